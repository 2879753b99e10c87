/* Sandgrain kernels: from a feature in fixed point to the output's integers. The same in numpy: ops/signal/base.py, finish. */
#ifndef SG_FINISH_H
#define SG_FINISH_H

#include "sg_math.h"

/* The value itself, saturated to 16 bits. */
static inline int16_t sg_finish_s16(int32_t value)
{
    return (int16_t)sg_clamp(value, -32768, 32767);
}

/* (value - mean) / std as the model's input; the division is in the multiplier. |value| and |mean| < 2^30. */
static inline int8_t sg_finish_s8(int32_t value, int32_t mean, int32_t multiplier, int32_t shift, int32_t out_zero_point)
{
    const int32_t level = sg_requantize(value - mean, multiplier, shift) + out_zero_point;
    return (int8_t)sg_clamp(level, -128, 127);
}

#endif
