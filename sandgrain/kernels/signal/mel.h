/* Sandgrain kernel: logarithms of mel bands, or their cosine transform, of frames of int16 audio.
 *
 * The meaning in numpy: ops/signal/mel_frames.py, log_mel.py, mfcc.py. A bin of the spectrum lies on one side of one
 * triangle; with its weight it counts in the band that rises there, with the rest in the band below.
 */
#ifndef SG_MEL_H
#define SG_MEL_H

#include "sg_fft_s32.h"
#include "sg_finish.h"
#include "sg_frames.h"
#include "sg_log2.h"
#include "sg_magnitude.h"

struct sg_mel {
    int32_t frames, samples;        /* samples >= window + (frames - 1) * hop */
    int32_t window, hop, fft, window_shift;
    int32_t power, peak;            /* 1: magnitudes, 2: powers; 1: relative to the largest sample */
    int32_t bands, first;           /* first bin that counts */
    int32_t per_band, floor_shift;  /* 1: `floor` and `offset` have a row a band */
    int32_t coefficients, dct_shift; /* coefficients 0: logarithms come out */
    int32_t wide;                   /* 1: int16 output */
    int32_t mean, multiplier, shift, out_zero_point;
    const int16_t *taper, *twiddle;
    const int16_t *counts;          /* bins of each side, bands + 1 */
    const int16_t *weights;         /* Q15; their roots with power 2 */
    const int32_t *floor, *offset;
    const int16_t *dct;             /* coefficients x bands */
};

struct sg_mel_peak {
    int32_t lift; /* bits that samples go left */
    int32_t value; /* the largest sample after that, 2^15 at most */
};

SG_SPECIALIZE struct sg_mel_peak sg_mel_peak(const struct sg_mel *p, const int16_t *in)
{
    struct sg_mel_peak found = {0, 32768};
    int32_t largest = -32768, spread = 0;
    if (p->peak == 0) {
        return found;
    }
    for (int32_t i = 0; i < p->samples; i++) {
        largest = in[i] > largest ? in[i] : largest;
        spread |= in[i] ^ (in[i] >> 15);
    }
    found.lift = sg_clz32((uint32_t)spread) - 17;
    found.lift = found.lift < p->window_shift - 1 ? found.lift : p->window_shift - 1;
    largest = largest < 0 ? -largest : largest;
    found.value = largest == 0 ? 32768 : (int32_t)((uint32_t)largest << found.lift);
    return found;
}

/* x * weight / 2^16 rounded down, and x * weight of unsigned x. Cores without a 64-bit product take some of 32 bits:
 * with x = high 2^16 + low, no product of halves leaves 32. */
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
static inline int32_t sg_mel_part(int32_t x, int16_t weight)
{
    return (x >> 16) * weight + (((x & 0xffff) * weight) >> 16);
}
static inline uint64_t sg_mel_weigh(uint32_t x, int16_t weight)
{
    return ((uint64_t)((x >> 16) * (uint32_t)weight) << 16) + (x & 0xffffu) * (uint32_t)weight;
}
#else
static inline int32_t sg_mel_part(int32_t x, int16_t weight)
{
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__)
    int32_t part;
    __asm__("smulwb %0, %1, %2" : "=r"(part) : "r"(x), "r"(weight));
    return part;
#else
    return (int32_t)(((int64_t)x * (int32_t)((uint32_t)weight << 16)) >> 32); /* an upper half */
#endif
}
static inline uint64_t sg_mel_weigh(uint32_t x, int16_t weight)
{
    return (uint64_t)x * (uint64_t)(uint32_t)weight;
}
#endif

struct sg_mel_sums {
    uint64_t up, all;
};

/* The bins of one side: `up` is what the band that rises there gets, `all` what two bands share, in the same unit. */
SG_SPECIALIZE struct sg_mel_sums sg_mel_side(const int32_t *x, const int16_t *weights, int32_t count, int32_t power)
{
    struct sg_mel_sums sums = {0, 0};
    SG_FFT_ROLLED
    for (; count > 0; count--) {
        const int32_t re = x[0], im = x[1];
        if (power == 1) {
            const uint32_t whole = sg_magnitude_s32(re, im);
            sums.up += sg_mel_weigh(whole, *weights);
            sums.all += whole;
        } else {
            sums.up += sg_square(sg_mel_part(re, *weights));
            sums.up += sg_square(sg_mel_part(im, *weights));
            sums.all += sg_square(re);
            sums.all += sg_square(im);
        }
        SG_FFT_NEXT(x, 2);
        SG_FFT_NEXT(weights, 1);
    }
    if (power == 1) {
        sums.all <<= 15;
    } else {
        sums.up <<= 2; /* sg_mel_part halves */
    }
    return sums;
}

/* Natural logarithm of band b's sum, Q10. */
SG_SPECIALIZE int32_t sg_mel_log(const struct sg_mel *p, int32_t b, uint64_t sum, int32_t peak, int32_t peak_log)
{
    const int32_t row = p->per_band != 0 ? b : 0;
    const uint32_t scale = p->power == 1 ? (uint32_t)peak : (uint32_t)peak * (uint32_t)peak;
    uint64_t floor = (uint64_t)(uint32_t)p->floor[row] * scale;
    floor = p->floor_shift < 0 ? floor >> -p->floor_shift : floor << p->floor_shift;
    sum = p->power == 1 ? sum << 12 : sum;
    const int32_t level = sg_log2_q16(sum + floor) - p->offset[row] - peak_log;
    return sg_rounding_shift(sg_high_mul((int32_t)((uint32_t)level << 8), 1488522236), 14);
}

SG_SPECIALIZE void sg_mel_write(const struct sg_mel *p, int32_t value, int32_t i, void *out)
{
    if (p->wide != 0) {
        ((int16_t *)out)[i] = sg_finish_s16(value);
    } else {
        ((int8_t *)out)[i] = sg_finish_s8(value, p->mean, p->multiplier, p->shift, p->out_zero_point);
    }
}

/* scratch: `fft` words, and `bands` int16 for the logarithms when there are coefficients. */
SG_SPECIALIZE void sg_mel(const struct sg_mel *p, const int16_t *in, void *out, int8_t *scratch)
{
    int32_t *x = (int32_t *)(void *)scratch;
    int16_t *logs = (int16_t *)(void *)(x + p->fft);
    const struct sg_mel_peak peak = sg_mel_peak(p, in);
    const int32_t peak_log = p->power * (sg_log2_q16((uint32_t)peak.value) - (15 << 16));
    int32_t written = 0;

    for (int32_t f = 0; f < p->frames; f++) {
        const int16_t *weights = p->weights;
        const int32_t *bin = x + 2 * p->first;
        struct sg_mel_sums side;
        uint64_t rising;
        sg_window_s32(in + f * p->hop, 1, p->taper, p->window, p->fft, p->window_shift - peak.lift, x);
        sg_rfft_s32(x, p->fft, p->twiddle);
        side = sg_mel_side(bin, weights, p->counts[0], p->power);
        for (int32_t b = 0; b < p->bands; b++) {
            int32_t value;
            bin += 2 * p->counts[b];
            weights += p->counts[b];
            rising = side.up;
            side = sg_mel_side(bin, weights, p->counts[b + 1], p->power);
            value = sg_mel_log(p, b, rising + (side.all > side.up ? side.all - side.up : 0u), peak.value, peak_log);
            if (p->coefficients == 0) {
                sg_mel_write(p, value, written++, out);
            } else {
                logs[b] = sg_finish_s16(value);
            }
        }
        for (int32_t k = 0; k < p->coefficients; k++) {
            const int16_t *row = p->dct + k * p->bands;
            int32_t sum = 0;
            for (int32_t b = 0; b < p->bands; b++) {
                sum += row[b] * logs[b];
            }
            sg_mel_write(p, sg_rounding_shift(sum, p->dct_shift), written++, out);
        }
    }
}

#endif
