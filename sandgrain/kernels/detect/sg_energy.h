/* Sandgrain kernels: a sum of squares becomes a distance. The same in numpy: ops/detect/base.py, energy. */
#ifndef SG_ENERGY_H
#define SG_ENERGY_H

#include "sg_math.h"

/* bias + total / 2^shift, rounded, saturated to int32. total < 2^62, so half a unit fits on top; 0 <= bias <= 2^30. */
static inline int32_t sg_energy(uint64_t total, int32_t bias, int32_t shift)
{
    const uint64_t whole = (total + (((uint64_t)1 << shift) >> 1)) >> shift;
    return whole > (uint64_t)(INT32_MAX - bias) ? INT32_MAX : (int32_t)(uint32_t)whole + bias;
}

/* total + v^2, as one multiply-accumulate where the core has it. */
static inline uint64_t sg_add_square(uint64_t total, int32_t v)
{
    return total + (uint64_t)((int64_t)v * v);
}

/* The same for |v| < 2^16, whose square fits 32 bits: cores without a long multiplication would call a function. */
static inline uint64_t sg_add_narrow_square(uint64_t total, int32_t v)
{
#if defined(__ARM_FEATURE_DSP)
    return sg_add_square(total, v);
#else
    return total + (uint32_t)v * (uint32_t)v;
#endif
}

#endif
