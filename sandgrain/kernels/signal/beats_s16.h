/* Sandgrain kernel: the beat in the middle of each channel of an int16 signal [samples][channels] against those around it, portable C99.
 * What the columns mean is told in sandgrain/graph/ops/signal/beats.py.
 *
 * scratch: the activity, `samples` words. samples <= 32768 and span <= 16384, so that an activity is below 2^30.
 */
#ifndef SG_BEATS_S16_H
#define SG_BEATS_S16_H

#include "sg_correlation.h"
#include "sg_moments.h"

struct sg_beats_s16 {
    int32_t samples, channels;
    int32_t span, gap, share; /* share: in 1/256 */
    int32_t half, slack, points;
};

/* The activity of one channel; returns the largest. */
static inline int32_t sg_beats_activity(const struct sg_beats_s16 *p, const int16_t *x, int32_t *active)
{
    const int32_t before = p->span / 2, after = (p->span - 1) / 2;
    int32_t sum = 0, most = 0;
    for (int32_t i = -after; i < p->samples; i++) {
        const int32_t in = i + after, out = i - before - 1; /* the differences that come and go */
        if (in >= 1 && in < p->samples) {
            const int32_t step = x[in * p->channels] - x[(in - 1) * p->channels];
            sum += step < 0 ? -step : step;
        }
        if (out >= 1) {
            const int32_t step = x[out * p->channels] - x[(out - 1) * p->channels];
            sum -= step < 0 ? -step : step;
        }
        if (i >= 0) {
            active[i] = sum;
            most = sum > most ? sum : most;
        }
    }
    return most;
}

/* Whether a beat is here: the activity reaches `least` and is nowhere larger within the gap; of equals the first counts. */
static inline int32_t sg_beats_is_one(const struct sg_beats_s16 *p, const int32_t *active, int32_t least, int32_t i)
{
    const int32_t low = i > p->gap ? i - p->gap : 0, high = p->samples - 1 - i > p->gap ? i + p->gap : p->samples - 1;
    if (active[i] < least) {
        return 0;
    }
    for (int32_t k = low; k < i; k++) {
        if (active[k] >= active[i]) {
            return 0;
        }
    }
    for (int32_t k = i + 1; k <= high; k++) {
        if (active[k] > active[i]) {
            return 0;
        }
    }
    return 1;
}

/* a / b in 1 / `whole`, rounded down; 0 for b = 0. */
static inline int16_t sg_beats_over(int64_t a, int64_t b, int32_t whole)
{
    const int64_t ratio = b == 0 ? 0 : a * whole / b;
    return (int16_t)(ratio > 32767 ? 32767 : ratio);
}

static inline int32_t sg_beats_fits(const struct sg_beats_s16 *p, int32_t at)
{
    return at >= p->half && at + p->half < p->samples ? 1 : 0;
}

/* The best correlation of what is about two samples; INT32_MIN where nothing can be compared. */
static inline int32_t sg_beats_alike(const struct sg_beats_s16 *p, const int16_t *x, int32_t middle, int32_t other)
{
    const int32_t length = 2 * p->half + 1;
    int32_t best = INT32_MIN;
    if (sg_beats_fits(p, middle) == 0) {
        return best;
    }
    const int16_t *a = x + (middle - p->half) * p->channels;
    const struct sg_spread of_a = sg_spread_of(a, length, p->channels);
    for (int32_t at = other - p->slack; at <= other + p->slack; at++) {
        if (sg_beats_fits(p, at) != 0) {
            const int16_t *b = x + (at - p->half) * p->channels;
            const struct sg_spread of_b = sg_spread_of(b, length, p->channels);
            const int64_t both = sg_covariance(a, b, length, p->channels, of_a.sum, of_b.sum);
            const int32_t r = sg_correlation_of(&of_a, &of_b, both);
            best = r > best ? r : best;
        }
    }
    return best;
}

/* The beat in the middle against the others: since when, until when, and how much their shapes are alike: the largest, the smallest and the
 * mean of the correlations. */
static inline void sg_beats_compare(const struct sg_beats_s16 *p, const int16_t *x, const int32_t *active, int32_t least, int32_t middle,
                                    int16_t *times, int16_t *alike)
{
    int32_t compared = 0, sum = 0, largest = 0, smallest = 0, until = -1;
    times[0] = (int16_t)middle;
    for (int32_t i = 0; i < p->samples; i++) {
        if (i == middle || sg_beats_is_one(p, active, least, i) == 0) {
            continue;
        }
        if (i < middle) {
            times[0] = (int16_t)(middle - i);
        } else if (until < 0) {
            until = i - middle;
        }
        const int32_t r = sg_beats_alike(p, x, middle, i);
        if (r != INT32_MIN) {
            largest = compared == 0 || r > largest ? r : largest;
            smallest = compared == 0 || r < smallest ? r : smallest;
            sum += r; /* 2^15 beats of 2^14 at most */
            compared++;
        }
    }
    times[1] = (int16_t)(until < 0 ? p->samples - 1 - middle : until);
    alike[0] = (int16_t)largest;
    alike[1] = (int16_t)smallest;
    alike[2] = (int16_t)(compared == 0 ? 0 : sg_rounded(sum, compared));
}

/* Means of the parts about the middle, the sample at the window's end standing for those beyond it. */
static inline void sg_beats_shape(const struct sg_beats_s16 *p, const int16_t *x, int32_t middle, int16_t *out)
{
    const int32_t n = p->samples, length = 2 * p->half + 1;
    const struct sg_moments m = sg_moments_first(x, n, p->channels);
    const uint32_t root = sg_isqrt64((uint64_t)(m.squares * n - (int64_t)m.sum * m.sum)); /* n deviations */
    int32_t begin = 0;
    for (int32_t k = 0; k < p->points; k++) {
        const int32_t end = (k + 1) * length / p->points;
        int64_t sum = 0;
        for (int32_t i = begin; i < end; i++) {
            const int32_t at = middle - p->half + i;
            sum += x[sg_clamp(at, 0, n - 1) * p->channels];
        }
        const int64_t far = sum * n - (int64_t)(end - begin) * m.sum; /* below 2^47 */
        const uint64_t size = ((uint64_t)(far < 0 ? -far : far) << 8) / ((uint64_t)(root == 0u ? 1u : root) * (uint64_t)(end - begin));
        const int32_t magnitude = root == 0u ? 0 : (size < 32767u ? (int32_t)size : 32767);
        out[k] = (int16_t)(far < 0 ? -magnitude : magnitude);
        begin = end;
    }
}

/* One channel. */
static inline void sg_beats_columns(const struct sg_beats_s16 *p, const int16_t *x, int32_t *active, int16_t *out)
{
    const int32_t n = p->samples, most = sg_beats_activity(p, x, active);
    const int32_t share = (int32_t)(((int64_t)most * p->share) >> 8), least = share > 1 ? share : 1;
    int32_t count = 0, first = 0, last = 0, middle = n / 2, nearest = n;
    int64_t rest = 0;
    for (int32_t i = 0; i < n; i++) {
        if (sg_beats_is_one(p, active, least, i) != 0) {
            const int32_t far = i < n / 2 ? n / 2 - i : i - n / 2;
            if (far < nearest) {
                nearest = far;
                middle = i;
            }
            first = count == 0 ? i : first;
            last = i;
            count++;
            rest += active[i];
        }
    }
    rest -= count == 0 ? 0 : active[middle];
    const int32_t between = count > 1 ? last - first : n, distances = count > 1 ? count - 1 : 1;
    out[0] = (int16_t)count;
    sg_beats_compare(p, x, active, least, middle, out + 1, out + 8);
    out[3] = sg_beats_over(out[1], out[1] + out[2], 16384);
    out[4] = sg_beats_over((int64_t)out[1] * distances, between, 256);
    out[5] = sg_beats_over((int64_t)out[2] * distances, between, 256);
    out[6] = sg_beats_over(active[middle], most, 16384);
    out[7] = count > 1 ? sg_beats_over((int64_t)active[middle] * (count - 1), rest, 256) : 256;
    sg_beats_shape(p, x, middle, out + 11);
}

SG_SPECIALIZE void sg_beats_s16(const struct sg_beats_s16 *p, const int16_t *in, int16_t *out, int8_t *scratch)
{
    for (int32_t c = 0; c < p->channels; c++) {
        sg_beats_columns(p, in + c, (int32_t *)(void *)scratch, out + c * (11 + p->points));
    }
}

#endif
