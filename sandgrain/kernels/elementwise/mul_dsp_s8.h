/* Sandgrain kernel: int8 element-wise product without broadcasting, for cores with the DSP extension.
 *
 * Nested floors are one floor: round(product * multiplier / 2^31), then / 2^shift with halves away from zero, plus the zero
 * point, is SMMLAR(2 * product, multiplier, half + (zero point << shift)) >> shift, less `sign` where the product is
 * negative. The host has proven that twice a shifted product fits 32 bits. Element i of each input is read before output i is
 * written, so `out` may be an input.
 */
#ifndef SG_MUL_DSP_S8_H
#define SG_MUL_DSP_S8_H

#include "sg_dsp_fours.h"

struct sg_mul_dsp_s8 {
    int32_t a_zero_point, b_zero_point;
    int32_t left; /* one more than the rescaling's left shift */
    int32_t multiplier, offset, shift;
    int32_t sign; /* -1, or 0 where the clamp hides how negative halves are rounded */
    int32_t low, high;
    int32_t count;
};

static inline int8_t sg_mul_dsp_s8_one(const struct sg_mul_dsp_s8 *p, int32_t a, int32_t b)
{
    const int32_t product = a * b * ((int32_t)1 << p->left);
    const int32_t y = sg_smmlar(product, p->multiplier, p->offset + (p->sign & (product >> 31))) >> p->shift;
    return (int8_t)sg_ssat8(y);
}

static inline void sg_mul_dsp_s8(const struct sg_mul_dsp_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    int32_t i = 0;
    for (; i + 4 <= p->count; i += 4) {
        const int8_t a0 = a[i], a1 = a[i + 1], a2 = a[i + 2], a3 = a[i + 3];
        const int8_t b0 = b[i], b1 = b[i + 1], b2 = b[i + 2], b3 = b[i + 3];
        out[i] = sg_mul_dsp_s8_one(p, a0 - p->a_zero_point, b0 - p->b_zero_point);
        out[i + 1] = sg_mul_dsp_s8_one(p, a1 - p->a_zero_point, b1 - p->b_zero_point);
        out[i + 2] = sg_mul_dsp_s8_one(p, a2 - p->a_zero_point, b2 - p->b_zero_point);
        out[i + 3] = sg_mul_dsp_s8_one(p, a3 - p->a_zero_point, b3 - p->b_zero_point);
    }
    for (; i < p->count; i++) {
        out[i] = sg_mul_dsp_s8_one(p, a[i] - p->a_zero_point, b[i] - p->b_zero_point);
    }
    sg_dsp_clamp(out, p->count, p->low, p->high);
}

#endif
