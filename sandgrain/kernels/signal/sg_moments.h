/* Sandgrain kernels: statistics of one channel of an int16 signal. The same in numpy: ops/signal/moments.py.
 *
 * `x` is the channel's first sample, `stride` the distance of two (the number of channels), n <= 32768: sums fit 31 bits, sums
 * of squares 46. Means are rounded to nearest, roots down, ratios are in 1/256.
 */
#ifndef SG_MOMENTS_H
#define SG_MOMENTS_H

#include "sg_isqrt.h"
#include "sg_math.h"

/* The statistics' numbers. */
#define SG_MEAN 0
#define SG_STD 1
#define SG_RMS 2
#define SG_MIN 3
#define SG_MAX 4
#define SG_RANGE 5
#define SG_MEAN_ABS 6
#define SG_MEAN_STEP 7
#define SG_MEDIAN 8
#define SG_SKEWNESS 9
#define SG_KURTOSIS 10
#define SG_CREST 11
#define SG_ZERO_CROSSINGS 12
#define SG_MEAN_CROSSINGS 13

struct sg_moments {
    const int16_t *x;
    int32_t n, stride;
    int32_t sum, min, max;
    int64_t squares;
    int32_t skewness, kurtosis; /* set by sg_moments_higher */
};

/* a / b to nearest for b > 0, halves up. */
static inline int32_t sg_rounded(int32_t a, int32_t b)
{
    const int32_t sum = a + (b >> 1), quotient = sum / b;
    return quotient - (quotient * b > sum ? 1 : 0);
}

/* Sum, squares and limits: the first pass. */
static inline struct sg_moments sg_moments_first(const int16_t *x, int32_t n, int32_t stride)
{
    struct sg_moments m = {x, n, stride, 0, *x, *x, 0, 0, 0};
    for (int32_t i = 0; i < n; i++) {
        const int32_t v = *x;
        m.sum += v;
        m.squares += v * v; /* <= 2^30 */
        m.min = v < m.min ? v : m.min;
        m.max = v > m.max ? v : m.max;
        x += stride;
    }
    return m;
}

/* The deviations from the mean are taken times 2^lift, -1 to 15, which makes the largest at least 2^13 and at most 2^15:
 * (x * 2^up - mean) >> down. */
struct sg_deviation {
    int32_t lift, up, down, mean;
};

static inline struct sg_deviation sg_moments_deviation(const struct sg_moments *m)
{
    struct sg_deviation d = {sg_clz32((uint32_t)(m->max - m->min)) - 17, 0, 0, 0};
    d.up = d.lift < 0 ? 0 : d.lift;
    d.down = d.up - d.lift;
    const int64_t sum = (int64_t)m->sum * ((int32_t)1 << d.up) + (m->n >> 1), quotient = sum / m->n;
    d.mean = (int32_t)(quotient - (quotient * m->n > sum ? 1 : 0));
    return d;
}

static inline int32_t sg_deviation_of(const struct sg_deviation *d, int32_t x)
{
    return (x * ((int32_t)1 << d->up) - d->mean) >> d->down;
}

/* Skewness and kurtosis: the second pass. e^2 / 2^15 <= 2^15, so its products with e and with itself fit 32 bits. */
static inline void sg_moments_higher(struct sg_moments *m)
{
    const struct sg_deviation deviation = sg_moments_deviation(m);
    int64_t square = 0, cube = 0, fourth = 0;
    const int16_t *x = m->x;

    if (m->max == m->min) {
        return;
    }
    for (int32_t i = 0; i < m->n; i++) {
        const int32_t e = sg_deviation_of(&deviation, *x);
        const int32_t e2 = e * e, small = (e2 + (1 << 14)) >> 15;
        square += e2;
        cube += small * e;
        fourth += small * small;
        x += m->stride;
    }
    /* variance < 2^30, at least 2^11; the mean of e^3 / 2^15 and that of e^4 / 2^30 are not above it. */
    const uint64_t n = (uint64_t)m->n, variance = (uint64_t)square / n;
    const uint64_t spread = variance * sg_isqrt64(variance << 16);
    const uint64_t skewness = ((((uint64_t)(cube < 0 ? -cube : cube) / n) << 31) + (spread >> 1)) / spread;
    const uint64_t ratio = (((uint64_t)fourth / n) << 30) / variance;
    const uint64_t kurtosis = ((ratio << 8) + (variance >> 1)) / variance;
    const int32_t magnitude = skewness < 32768u ? (int32_t)skewness : 32768;
    m->skewness = cube < 0 ? -magnitude : magnitude;
    m->kurtosis = kurtosis < 32767u ? (int32_t)kurtosis : 32767;
}

/* Changes between below `level` and not. */
static inline int32_t sg_moments_crossings(const struct sg_moments *m, int32_t level)
{
    const int16_t *x = m->x;
    int32_t count = 0, before = *x >= level;
    for (int32_t i = 1; i < m->n; i++) {
        x += m->stride;
        const int32_t now = *x >= level;
        count += now ^ before;
        before = now;
    }
    return count;
}

static inline int32_t sg_moments_mean_abs(const struct sg_moments *m)
{
    const int16_t *x = m->x;
    int32_t sum = 0;
    for (int32_t i = 0; i < m->n; i++) {
        sum += *x < 0 ? -*x : *x;
        x += m->stride;
    }
    return sg_rounded(sum, m->n);
}

static inline int32_t sg_moments_mean_step(const struct sg_moments *m)
{
    const int16_t *x = m->x;
    uint32_t sum = 0; /* < 2^15 * 2^16 */
    for (int32_t i = 1; i < m->n; i++) {
        const int32_t step = x[m->stride] - *x;
        sum += (uint32_t)(step < 0 ? -step : step);
        x += m->stride;
    }
    return m->n < 2 ? 0 : (int32_t)((sum + ((uint32_t)(m->n - 1) >> 1)) / (uint32_t)(m->n - 1));
}

/* How many samples are not above `level`; `next` becomes the smallest of those that are. */
static inline int32_t sg_moments_up_to(const struct sg_moments *m, int32_t level, int32_t *next)
{
    const int16_t *x = m->x;
    int32_t count = 0, above = m->max;
    for (int32_t i = 0; i < m->n; i++) {
        if (*x <= level) {
            count++;
        } else if (*x < above) {
            above = *x;
        }
        x += m->stride;
    }
    *next = above;
    return count;
}

/* The value that half of the samples do not exceed, found by halving the range: no copy, no sorting, at most 17 passes. */
static inline int32_t sg_moments_median(const struct sg_moments *m)
{
    int32_t low = m->min, high = m->max, next = 0;
    while (low < high) {
        const int32_t middle = (low + high) >> 1;
        if (sg_moments_up_to(m, middle, &next) >= (m->n + 1) / 2) {
            high = middle;
        } else {
            low = next; /* no sample lies between */
        }
    }
    if ((m->n & 1) != 0 || sg_moments_up_to(m, low, &next) > m->n / 2) {
        return low;
    }
    return (low + next) >> 1;
}

/* Largest magnitude over rms, in 1/256: root of peak^2 * n * 2^16 / squares, the dividend below 2^62. */
static inline int32_t sg_moments_crest(const struct sg_moments *m)
{
    const int32_t peak = m->max > -m->min ? m->max : -m->min;
    const uint64_t square = (uint64_t)((uint32_t)peak * (uint32_t)peak) * (uint32_t)m->n;
    return m->squares == 0 ? 0 : (int32_t)sg_isqrt64((square << 16) / (uint64_t)m->squares);
}

static inline int32_t sg_moments_std(const struct sg_moments *m)
{
    const int64_t spread = m->squares * m->n - (int64_t)m->sum * m->sum; /* n^2 times the variance, below 2^61 */
    return (int32_t)(sg_isqrt64((uint64_t)spread) / (uint32_t)m->n);
}

/* The statistic with this number. */
static inline int32_t sg_moments_value(const struct sg_moments *m, int32_t number)
{
    switch (number) {
    case SG_MEAN:
        return sg_rounded(m->sum, m->n);
    case SG_STD:
        return sg_moments_std(m);
    case SG_RMS:
        return (int32_t)sg_isqrt32((uint32_t)(m->squares / m->n));
    case SG_MIN:
        return m->min;
    case SG_MAX:
        return m->max;
    case SG_RANGE:
        return (m->max - m->min) >> 1;
    case SG_MEAN_ABS:
        return sg_moments_mean_abs(m);
    case SG_MEAN_STEP:
        return sg_moments_mean_step(m);
    case SG_MEDIAN:
        return sg_moments_median(m);
    case SG_SKEWNESS:
        return m->skewness;
    case SG_KURTOSIS:
        return m->kurtosis;
    case SG_CREST:
        return sg_moments_crest(m);
    case SG_ZERO_CROSSINGS:
        return sg_moments_crossings(m, 0);
    default: /* SG_MEAN_CROSSINGS; the mean, rounded up: sum / n rounds up where it is negative */
        return sg_moments_crossings(m, m->sum / m->n + (m->sum > 0 && m->sum % m->n != 0 ? 1 : 0));
    }
}

/* `count` statistics of a channel, saturated to 16 bits; `higher` where skewness or kurtosis is among them. Returns the end
 * of `out`. */
SG_SPECIALIZE int16_t *sg_moments_columns(struct sg_moments *m, const int32_t *numbers, int32_t count, int32_t higher,
                                          int16_t *out)
{
    if (higher != 0) {
        sg_moments_higher(m);
    }
    for (int32_t k = 0; k < count; k++) {
        *out++ = (int16_t)sg_clamp(sg_moments_value(m, numbers[k]), -32768, 32767);
    }
    return out;
}

#endif
