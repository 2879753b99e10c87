/* Sandgrain kernel: int8 element-wise a + b or a - b with broadcasting, portable C99.
 *
 * Both inputs are brought to the scale 2^20 / (2 * the larger input scale). `a` is the input with the larger scale, for
 * which that is an exact multiplication by 2^19. |x - zero_point| <= 255, so a term is below 2^27, a sum below 2^28, and
 * twice a sum fits 32 bits. Element i of each input is read before output i is written, so `out` may be an input that is
 * not repeated.
 */
#ifndef SG_ADD_S8_H
#define SG_ADD_S8_H

#include "sg_narrow.h"

struct sg_add_s8 {
    int32_t size[5], a_stride[5], b_stride[5]; /* loops, outermost first; stride 0 repeats that input */
    int32_t a_factor, a_offset;                /* +-2^19; -zero_point * a_factor */
    int32_t b_factor, b_zero_point;            /* +-1 */
    int32_t b_multiplier, b_shift, b_half, b_sign;
    int32_t multiplier, shift, half, sign; /* from the sum to the output */
    int32_t out_zero_point, low, high;
};

/* The innermost loop. */
static inline void sg_add_s8_row(const struct sg_add_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t m = 0; m < p->size[4]; m++) {
        const int32_t wide = (*b - p->b_zero_point) * ((int32_t)1 << 21);
        const int32_t term = sg_narrow_shift(sg_high_mul_twice(wide, p->b_multiplier), p->b_shift, p->b_half, p->b_sign);
        const int32_t sum = *a * p->a_factor + p->a_offset + p->b_factor * term;
        const int32_t y = sg_narrow_shift(sg_high_mul_twice(sum * 2, p->multiplier), p->shift, p->half, p->sign);
        out[m] = (int8_t)sg_clamp(y + p->out_zero_point, p->low, p->high);
        a += p->a_stride[4];
        b += p->b_stride[4];
    }
}

static inline void sg_add_s8(const struct sg_add_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t i = 0; i < p->size[0]; i++) {
        for (int32_t j = 0; j < p->size[1]; j++) {
            for (int32_t k = 0; k < p->size[2]; k++) {
                const int8_t *row_a = a + i * p->a_stride[0] + j * p->a_stride[1] + k * p->a_stride[2];
                const int8_t *row_b = b + i * p->b_stride[0] + j * p->b_stride[1] + k * p->b_stride[2];
                for (int32_t l = 0; l < p->size[3]; l++) {
                    sg_add_s8_row(p, row_a, row_b, out);
                    row_a += p->a_stride[3];
                    row_b += p->b_stride[3];
                    out += p->size[4];
                }
            }
        }
    }
}

#endif
