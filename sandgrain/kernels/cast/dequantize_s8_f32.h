/* Sandgrain kernel: int8 to float32, portable C99: one exact difference, one single-precision product. */
#ifndef SG_DEQUANTIZE_S8_F32_H
#define SG_DEQUANTIZE_S8_F32_H

#include <stdint.h>

struct sg_dequantize_s8_f32 {
    float scale;
    int32_t zero_point, count;
};

static inline void sg_dequantize_s8_f32(const struct sg_dequantize_s8_f32 *p, const int8_t *in, float *out)
{
    for (int32_t i = 0; i < p->count; i++) {
        out[i] = p->scale * (float)(in[i] - p->zero_point);
    }
}

#endif
