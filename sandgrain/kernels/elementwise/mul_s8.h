/* Sandgrain kernel: int8 element-wise product with broadcasting, portable C99.
 *
 * |x - zero_point| <= 255 and the left shift is at most 14, so twice a shifted product fits 32 bits. Element i of each
 * input is read before output i is written, so `out` may be an input that is not repeated.
 */
#ifndef SG_MUL_S8_H
#define SG_MUL_S8_H

#include "sg_narrow.h"

struct sg_mul_s8 {
    int32_t size[5], a_stride[5], b_stride[5]; /* loops, outermost first; stride 0 repeats that input */
    int32_t a_zero_point, b_zero_point;
    int32_t left; /* one more than the rescaling's left shift */
    int32_t multiplier, shift, half, sign;
    int32_t out_zero_point, low, high;
};

/* The innermost loop. */
static inline void sg_mul_s8_row(const struct sg_mul_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t m = 0; m < p->size[4]; m++) {
        const int32_t product = (*a - p->a_zero_point) * (*b - p->b_zero_point) * ((int32_t)1 << p->left);
        const int32_t y = sg_narrow_shift(sg_high_mul_twice(product, p->multiplier), p->shift, p->half, p->sign);
        out[m] = (int8_t)sg_clamp(y + p->out_zero_point, p->low, p->high);
        a += p->a_stride[4];
        b += p->b_stride[4];
    }
}

static inline void sg_mul_s8(const struct sg_mul_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                const int8_t *row_a = a + i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2];
                const int8_t *row_b = b + i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2];
                for (int32_t l = 0; l < p->size[3]; l++) {
                    sg_mul_s8_row(p, row_a, row_b, out);
                    row_a += p->a_stride[3];
                    row_b += p->b_stride[3];
                    out += p->size[4];
                }
            }
        }
    }
}

#endif
