/* Sandgrain kernel: statistics, log powers of frequency bands and spectral peaks of each channel of an int16 signal, portable
 * C99. What the columns mean is told in sandgrain/graph/ops/signal/vibration.py.
 *
 * scratch: the powers of bins 0 to fft / 2, summed over frames, two words each (low, high), fft + 2 words; the first frame is
 * transformed in the same place. Then, with more frames than one, fft words for the others. The host chose `shift` so that the
 * powers of all bins and frames sum to 2^63 at most.
 */
#ifndef SG_VIBRATION_S16_H
#define SG_VIBRATION_S16_H

#include "sg_fft_s32.h"
#include "sg_frames.h"
#include "sg_log2.h"
#include "sg_moments.h"

#define SG_VIBRATION_LOWEST (-4096)
#define SG_VIBRATION_PEAKS 8

struct sg_vibration_s16 {
    int32_t samples, channels;
    int32_t count, higher, numbers[16]; /* statistics, see sg_moments.h */
    int32_t fft, window, hop, frames;
    int32_t shift;          /* of deviation * taper */
    int32_t offset;         /* log2 of a unit's power, 16 fraction bits */
    int32_t bands, peaks;   /* peaks <= 8 */
    const int16_t *edges;   /* [bands + 1]: the first bin of each band, and the one after the last */
    const int16_t *taper;   /* [window], Q15 */
    const int16_t *twiddle; /* [fft / 4 + 1], Q15 */
};

static inline uint64_t sg_vibration_power(const int32_t *power, int32_t k)
{
    return ((uint64_t)(uint32_t)power[2 * k + 1] << 32) | (uint32_t)power[2 * k];
}

static inline void sg_vibration_store(int32_t *power, int32_t k, uint64_t value)
{
    power[2 * k] = (int32_t)(uint32_t)value;
    power[2 * k + 1] = (int32_t)(uint32_t)(value >> 32);
}

/* The deviations of a frame, tapered, with zeros behind them. */
static inline void sg_vibration_frame(const struct sg_vibration_s16 *p, const struct sg_deviation *d, const int16_t *x,
                                      int32_t *out)
{
    for (int32_t i = 0; i < p->fft; i++) {
        if (i < p->window) {
            /* |deviation| <= 2^15 and |taper| < 2^15 */
            out[i] = (sg_deviation_of(d, *x) * p->taper[i] + (int32_t)(1u << (p->shift - 1))) >> p->shift;
            x += p->channels;
        } else {
            out[i] = 0;
        }
    }
}

/* Powers of all frames; the outer bins count half, since the others stand for two. */
static inline void sg_vibration_spectrum(const struct sg_vibration_s16 *p, const struct sg_deviation *d, const int16_t *x,
                                         int32_t *power)
{
    const int32_t half = p->fft / 2;
    for (int32_t f = 0; f < p->frames; f++) {
        int32_t *work = f == 0 ? power : power + p->fft + 2;
        sg_vibration_frame(p, d, x + f * p->hop * p->channels, work);
        sg_rfft_s32(work, p->fft, p->twiddle);
        const uint64_t last = sg_power(work[1], 0);
        sg_vibration_store(power, half, f == 0 ? last : sg_vibration_power(power, half) + last);
        work[1] = 0;
        for (int32_t k = 0; k < half; k++) {
            const uint64_t now = sg_power(work[2 * k], work[2 * k + 1]);
            sg_vibration_store(power, k, f == 0 ? now : sg_vibration_power(power, k) + now);
        }
    }
    sg_vibration_store(power, 0, sg_vibration_power(power, 0) >> 1);
    sg_vibration_store(power, half, sg_vibration_power(power, half) >> 1);
}

static inline int16_t sg_vibration_level(uint64_t power, int32_t offset)
{
    return (int16_t)sg_clamp((sg_log2_q16(power) - offset + 128) >> 8, SG_VIBRATION_LOWEST, 32767);
}

/* Bins of the largest maxima, the largest first, the lower of equals first; returns how many. */
static inline int32_t sg_vibration_maxima(const struct sg_vibration_s16 *p, const int32_t *power, int32_t *bins)
{
    const int32_t low = p->edges[0], high = p->edges[p->bands];
    int32_t found = 0;
    for (int32_t k = low < 1 ? 1 : low; k < high && k < p->fft / 2; k++) {
        const uint64_t here = sg_vibration_power(power, k);
        if (here > sg_vibration_power(power, k - 1) && here >= sg_vibration_power(power, k + 1)) {
            int32_t place = found < p->peaks ? found++ : p->peaks;
            for (; place > 0 && here > sg_vibration_power(power, bins[place - 1]); place--) {
                if (place < p->peaks) {
                    bins[place] = bins[place - 1];
                }
            }
            if (place < p->peaks) {
                bins[place] = k;
            }
        }
    }
    return found;
}

/* Where the parabola through three log powers is highest, in 1/32 of a bin. */
static inline int16_t sg_vibration_frequency(const int32_t *power, int32_t k)
{
    const int32_t below = sg_log2_q16(sg_vibration_power(power, k - 1)), top = sg_log2_q16(sg_vibration_power(power, k));
    const int32_t above = sg_log2_q16(sg_vibration_power(power, k + 1)), curve = 2 * top - below - above;
    return (int16_t)(k * 32 + (curve == 0 ? 0 : sg_rounded(16 * (above - below), curve)));
}

static inline int16_t *sg_vibration_peaks(const struct sg_vibration_s16 *p, const int32_t *power, int32_t offset, int16_t *out)
{
    int32_t bins[SG_VIBRATION_PEAKS] = {0}; /* a compiler that does not see that each is set before it is read warns */
    const int32_t found = p->peaks == 0 ? 0 : sg_vibration_maxima(p, power, bins);
    for (int32_t k = 0; k < p->peaks; k++) {
        out[0] = k < found ? sg_vibration_frequency(power, bins[k]) : 0;
        out[1] = k < found ? sg_vibration_level(sg_vibration_power(power, bins[k]), offset) : SG_VIBRATION_LOWEST;
        out += 2;
    }
    return out;
}

SG_SPECIALIZE void sg_vibration_s16(const struct sg_vibration_s16 *p, const int16_t *in, int16_t *out, int8_t *scratch)
{
    int32_t *power = (int32_t *)(void *)scratch;

    for (int32_t c = 0; c < p->channels; c++) {
        struct sg_moments m = sg_moments_first(in + c, p->samples, p->channels);
        const struct sg_deviation d = sg_moments_deviation(&m);
        const int32_t offset = p->offset + d.lift * 131072;
        out = sg_moments_columns(&m, p->numbers, p->count, p->higher, out);
        sg_vibration_spectrum(p, &d, in + c, power);
        for (int32_t b = 0; b < p->bands; b++) {
            uint64_t sum = 0;
            for (int32_t k = p->edges[b]; k < p->edges[b + 1]; k++) {
                sum += sg_vibration_power(power, k);
            }
            *out++ = sg_vibration_level(sum, offset);
        }
        out = sg_vibration_peaks(p, power, offset, out);
    }
}

#endif
