/* Sandgrain kernel: int8 x where x >= 0, alpha * x elsewhere, with broadcasting, portable C99.
 *
 * |x - zero_point| <= 255: the left shift is at most 22 above zero and 14 below, where alpha is a factor too, so twice a shifted
 * value fits 32 bits. Element i of each input is read before output i is written, so `out` may be an input that is not
 * repeated.
 */
#ifndef SG_PRELU_S8_H
#define SG_PRELU_S8_H

#include "sg_loops.h"
#include "sg_narrow.h"

struct sg_prelu_s8 {
    int32_t size[5], a_stride[5], b_stride[5];
    int32_t a_zero_point, b_zero_point;
    int32_t upper_left, upper_multiplier, upper_shift, upper_half, upper_sign; /* `left`: one more than the left shift */
    int32_t lower_left, lower_multiplier, lower_shift, lower_half, lower_sign;
    int32_t out_zero_point;
};

SG_SPECIALIZE void sg_prelu_s8_row(const void *parameters, const int8_t *a, const int8_t *b, int8_t *out)
{
    const struct sg_prelu_s8 *p = (const struct sg_prelu_s8 *)parameters;

    for (int32_t m = 0; m < p->size[4]; m++) {
        const int32_t x = *a - p->a_zero_point;
        int32_t y;
        if (x >= 0) {
            y = sg_high_mul_twice(x * ((int32_t)1 << p->upper_left), p->upper_multiplier);
            y = sg_narrow_shift(y, p->upper_shift, p->upper_half, p->upper_sign);
        } else {
            y = sg_high_mul_twice(x * (*b - p->b_zero_point) * ((int32_t)1 << p->lower_left), p->lower_multiplier);
            y = sg_narrow_shift(y, p->lower_shift, p->lower_half, p->lower_sign);
        }
        out[m] = (int8_t)sg_clamp(y + p->out_zero_point, -128, 127);
        a += p->a_stride[4];
        b += p->b_stride[4];
    }
}

static inline void sg_prelu_s8(const struct sg_prelu_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    sg_loops(p->size, p->a_stride, p->b_stride, sg_prelu_s8_row, p, a, b, out);
}

#endif
