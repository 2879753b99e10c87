/* Sandgrain kernels: accumulator to int8 in one multiply, for rescalings whose every output step the host has checked
 * (sandgrain/kernels/proofs/output_thresholds.py). `code` is add * 256 + shift, |add| < 2^23, 0 <= shift < 16.
 */
#ifndef SG_SCALE_H
#define SG_SCALE_H

#include "sg_math.h"

/* One copy for all layers that call it, even where each layer has its own copy of what is around it. */
#if defined(__GNUC__)
#define SG_APART __attribute__((noinline, unused)) static
#else
#define SG_APART static inline
#endif

/* The high 32 bits of a * b; 0 <= b < 2^31. */
static inline int32_t sg_high_word(int32_t a, int32_t b)
{
#if defined(__ARM_ARCH_6M__)
    /* No long multiply: four of 16 x 16. |upper * low| < 2^31 and lower * high < 2^31, each with less than 2^16 added. */
    const int32_t upper = a >> 16;
    const uint32_t lower = (uint32_t)a & 0xffffu, high = (uint32_t)b >> 16, low = (uint32_t)b & 0xffffu;
    const int32_t cross = upper * (int32_t)low + (int32_t)(lower * low >> 16);
    const uint32_t middle = lower * high + ((uint32_t)cross & 0xffffu);
    return upper * (int32_t)high + (cross >> 16) + (int32_t)(middle >> 16);
#else
    return (int32_t)(((int64_t)a * b) >> 32);
#endif
}

static inline int8_t sg_scale_up(int32_t acc, int32_t multiplier, int32_t code)
{
    return (int8_t)sg_clamp((sg_high_word(acc, multiplier) + (code >> 8)) >> (code & 31), -128, 127);
}

/* The product gets 2^30 + acc above 0 and acc - 2^30 below, |acc| < 2^24: a half unit of the first rounding, so nearly
 * that the host could check that nothing changes. */
static inline int8_t sg_scale_away(int32_t acc, int32_t multiplier, int32_t code)
{
    const int64_t half = (int64_t)acc + (acc < 0 ? -(1 << 30) : 1 << 30);
    const int32_t high = (int32_t)(((int64_t)acc * multiplier + half) >> 32);
    return (int8_t)sg_clamp((high + (code >> 8)) >> (code & 31), -128, 127);
}

static inline int8_t sg_scale(int32_t acc, int32_t multiplier, int32_t code, int32_t away)
{
    return away != 0 ? sg_scale_away(acc, multiplier, code) : sg_scale_up(acc, multiplier, code);
}

#endif
