/* Sandgrain kernel: Butterworth high-pass, low-pass or band-pass of an int16 signal, in sections of two poles, portable C99.
 *
 * y = gain * (x + zero * x1 + x2) - a1 * y1 - a2 * y2, on values with `fraction` bits below the signal's unit. The low 30 bits
 * of a sum, which y loses, are added to the next sum, so rounding adds no constant. The host has proven |x|, |y| < 2^29 for
 * every int16 signal: x +- 2 x1 + x2 fits 32 bits, and no sum of products reaches 2^63. `out` may be `in`.
 *
 * The state of a stream, 2 + 3 * sections words a channel: the last two inputs of each section (those of section k + 1 are
 * the outputs of section k), the last two outputs of the last, and the low bits of each. Zero it before the first chunk;
 * chunks of any length then give what one call gives.
 */
#ifndef SG_BIQUAD_S16_H
#define SG_BIQUAD_S16_H

#include "sg_math.h"

/* A value of 32 bits from here on: clang multiplies what it knows as 64 bits by three products where smlal does. */
#if defined(__GNUC__) && defined(__ARM_FEATURE_DSP)
#define SG_BIQUAD_SETTLE(x) __asm__("" : "+r"(x))
#else
#define SG_BIQUAD_SETTLE(x) ((void)0)
#endif

struct sg_biquad_s16 {
    int32_t samples, channels, sections;
    int32_t fraction;                 /* bits */
    int32_t zero[4];                  /* 2 or -2 */
    int32_t multiplier[4], shift[4];  /* gain * 2^30 = multiplier / 2^shift */
    int32_t a1[4], a2[4];             /* 30 fraction bits */
};

/* One sample through section k; `s` holds x1, x2, y1, y2. */
static inline int32_t sg_biquad_s16_section(const struct sg_biquad_s16 *p, int32_t k, const int32_t *s, int32_t *low, int32_t x)
{
    const int32_t middle = p->zero[k] > 0 ? s[0] : -s[0];
    int32_t sum = x + middle + middle + s[1];
    SG_BIQUAD_SETTLE(sum);
    const int64_t total = (((int64_t)sum * p->multiplier[k]) >> p->shift[k]) - (int64_t)s[2] * p->a1[k]
        - (int64_t)s[3] * p->a2[k] + *low;
    int32_t y = (int32_t)(total >> 30);
    SG_BIQUAD_SETTLE(y);
    *low = (int32_t)(total & 0x3fffffff);
    return y;
}

static inline int32_t sg_biquad_s16_cascade(const struct sg_biquad_s16 *p, int32_t *state, int32_t value)
{
    int32_t *s = state, *low = state + 2 * p->sections + 2;
#if defined(__GNUC__)
#pragma GCC unroll 4 /* the sections' constants fold, and with them the shifts of 64 bits */
#endif
    for (int32_t k = 0; k < p->sections; k++) {
        const int32_t y = sg_biquad_s16_section(p, k, s, low + k, value);
        s[1] = s[0];
        s[0] = value;
        s += 2;
        value = y;
    }
    s[1] = s[0];
    s[0] = value;
    return value;
}

/* `count` samples of every channel; the state goes on. */
SG_SPECIALIZE void sg_biquad_s16_step(const struct sg_biquad_s16 *p, void *state, const int16_t *in, int16_t *out, int32_t count)
{
    const int32_t half = (int32_t)(((uint32_t)1 << p->fraction) >> 1);
    int32_t *s = (int32_t *)state;

    for (int32_t c = 0; c < p->channels; c++) {
        for (int32_t i = c; i < count * p->channels; i += p->channels) {
            const int32_t y = sg_biquad_s16_cascade(p, s, (int32_t)in[i] * ((int32_t)1 << p->fraction));
            out[i] = (int16_t)sg_clamp((y + half) >> p->fraction, -32768, 32767);
        }
        s += 2 + 3 * p->sections;
    }
}

/* A whole window from a zero state. */
SG_SPECIALIZE void sg_biquad_s16(const struct sg_biquad_s16 *p, int8_t *scratch, const int16_t *in, int16_t *out)
{
    int32_t *state = (int32_t *)(void *)scratch;

    for (int32_t i = 0; i < p->channels * (2 + 3 * p->sections); i++) {
        state[i] = 0;
    }
    sg_biquad_s16_step(p, state, in, out, p->samples);
}

#endif
