/* Sandgrain kernel: float32 to int8, portable C99, single precision, no libm. `out` may be `in`: byte i is written after
 * float i was read.
 *
 * round(x / scale) with halves away from zero, saturated; NaN becomes the zero point. The quotient is cut to +-1024
 * first, beyond which every zero point saturates, so the conversion to an integer is always defined; the fraction is
 * then exact. No product is added to anything, so contraction to fused operations cannot change a result.
 */
#ifndef SG_QUANTIZE_F32_S8_H
#define SG_QUANTIZE_F32_S8_H

#include "sg_math.h"

struct sg_quantize_f32_s8 {
    float scale;
    int32_t zero_point, count;
};

static inline int32_t sg_quantize_f32_s8_round(float y)
{
    if (y >= 1024.0f) {
        return 1024;
    }
    if (y <= -1024.0f) {
        return -1024;
    }
    if (y > -1024.0f) {
        const int32_t whole = (int32_t)y;
        const float fraction = y - (float)whole;
        return whole + (fraction >= 0.5f ? 1 : 0) - (fraction <= -0.5f ? 1 : 0);
    }
    return 0; /* NaN */
}

static inline void sg_quantize_f32_s8(const struct sg_quantize_f32_s8 *p, const float *in, int8_t *out)
{
    for (int32_t i = 0; i < p->count; i++) {
        out[i] = (int8_t)sg_clamp(sg_quantize_f32_s8_round(in[i] / p->scale) + p->zero_point, -128, 127);
    }
}

#endif
