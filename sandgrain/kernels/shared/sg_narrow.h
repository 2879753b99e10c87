/* Sandgrain kernels: the rounding rule of sg_math.h for values that the host has proven to be small. Same results, fewer
 * instructions (the first is one SMMULR on a core that has it).
 */
#ifndef SG_NARROW_H
#define SG_NARROW_H

#include "sg_math.h"

/* sg_high_mul(a, b), given 2 * a, which fits 32 bits. */
static inline int32_t sg_high_mul_twice(int32_t twice_a, int32_t b)
{
    return (int32_t)(((int64_t)twice_a * b + ((int64_t)1 << 31)) >> 32);
}

/* sg_rounding_shift(x, e) where x + half fits 32 bits; half = 2^(e-1) and sign = -1, or both 0 when e is 0. */
static inline int32_t sg_narrow_shift(int32_t x, int32_t e, int32_t half, int32_t sign)
{
    return (x + half + (sign & (x >> 31))) >> e;
}

#endif
