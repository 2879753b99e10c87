/* Sandgrain kernels: fixed-point exp and reciprocal, as TensorFlow Lite Micro (gemmlowp) computes them, bit for bit.
 * The same in numpy, with the formats explained, is sandgrain/graph/fixedpoint.py.
 */
#ifndef SG_FIXEDPOINT_H
#define SG_FIXEDPOINT_H

#include "sg_math.h"

/* In units of 2^-31. */
#define SG_EXP_EIGHTH 1895147668        /* exp(-1/8) */
#define SG_ONE_THIRD 715827883          /* 1/3 */
#define SG_EXP_QUARTER 1672461947       /* exp(-1/4), and so on: each the square of the one above */
#define SG_EXP_HALF 1302514674
#define SG_EXP_ONE 790015084
#define SG_EXP_TWO 290630308
#define SG_EXP_FOUR 39332535
#define SG_EXP_EIGHT 720401
#define SG_EXP_SIXTEEN 242
/* In units of 2^-29: the line that is nearest to 1/d for d in [1/2, 1]. */
#define SG_48_OVER_17 1515870810
#define SG_32_OVER_17 1010580540

/* Multiplies by exp(-2^k) where `bit` of the remainder is set. */
static inline int32_t sg_exp_step(int32_t result, int32_t remainder, int32_t bit, int32_t factor)
{
    return (remainder >> bit) & 1 ? sg_high_mul(result, factor) : result;
}

/* exp(a) for -32 < a <= 0: 5 integer bits in, none out; exp(0) is 2^31 - 1. */
static inline int32_t sg_exp_negative_q5(int32_t a)
{
    const int32_t quarter = (int32_t)1 << 24;
    const int32_t last = (a & (quarter - 1)) - quarter; /* in [-1/4, 0) */
    const int32_t remainder = last - a;                 /* a multiple of 1/4, not negative */
    /* A polynomial in x = last + 1/8, |x| <= 2^28 with no integer bits, so no sum below leaves 32 bits. */
    const int32_t x = last * 32 + ((int32_t)1 << 28);
    const int32_t x2 = sg_high_mul(x, x), x3 = sg_high_mul(x2, x), x4 = sg_high_mul(x2, x2);
    const int32_t tail = sg_rounding_shift(sg_high_mul(sg_rounding_shift(x4, 2) + x3, SG_ONE_THIRD) + x2, 1);
    int32_t result = SG_EXP_EIGHTH + sg_high_mul(x + tail, SG_EXP_EIGHTH);
    result = sg_exp_step(result, remainder, 24, SG_EXP_QUARTER);
    result = sg_exp_step(result, remainder, 25, SG_EXP_HALF);
    result = sg_exp_step(result, remainder, 26, SG_EXP_ONE);
    result = sg_exp_step(result, remainder, 27, SG_EXP_TWO);
    result = sg_exp_step(result, remainder, 28, SG_EXP_FOUR);
    result = sg_exp_step(result, remainder, 29, SG_EXP_EIGHT);
    result = sg_exp_step(result, remainder, 30, SG_EXP_SIXTEEN);
    return a == 0 ? INT32_MAX : result;
}

/* 1 / (1 + a) for 0 <= a < 1, no integer bits in or out. Newton's method on half the denominator, in [1/2, 1). */
static inline int32_t sg_one_over_one_plus_x(int32_t a)
{
    const int32_t half = (int32_t)(((int64_t)a + ((int64_t)1 << 31)) >> 1);
    int32_t x = SG_48_OVER_17 + sg_high_mul(-SG_32_OVER_17, half); /* 2 integer bits */
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = ((int32_t)1 << 29) - sg_high_mul(x, half);
        x += sg_high_mul(error, x) * 4; /* |error| shrinks from 2^29 / 17, so the product times 4 fits */
    }
    return x > INT32_MAX / 2 ? INT32_MAX : x * 2;
}

#endif
