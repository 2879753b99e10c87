/* Sandgrain kernel: int8 softmax over the last dimension, portable C99.
 *
 * Three walks over a row: its maximum, the sum of exp(beta * scale * (x - maximum)), the quotients. The exps are computed
 * twice rather than stored. Element i is read before output i is written, so `out` may be `in`.
 */
#ifndef SG_SOFTMAX_S8_H
#define SG_SOFTMAX_S8_H

#include "sg_fixedpoint.h"

struct sg_softmax_s8 {
    int32_t rows, depth; /* depth < 4096, so the sum of exps fits 12 integer bits */
    int32_t multiplier, left_shift;
    int32_t diff_min; /* a smaller difference counts as exp = 0 */
};

/* exp of a difference in [diff_min, 0], no integer bits. */
static inline int32_t sg_softmax_s8_exp(const struct sg_softmax_s8 *p, int32_t diff)
{
    const int32_t shifted = (int32_t)((uint32_t)diff << p->left_shift); /* >= -31 * 2^26 by diff_min */
    return sg_exp_negative_q5(sg_high_mul(shifted, p->multiplier));
}

static inline void sg_softmax_s8(const struct sg_softmax_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = 0; n < p->rows; n++) {
        int32_t max = -128, sum = 0, leading = 0;
        for (int32_t c = 0; c < p->depth; c++) {
            max = in[c] > max ? in[c] : max;
        }
        for (int32_t c = 0; c < p->depth; c++) {
            const int32_t diff = in[c] - max;
            if (diff >= p->diff_min) {
                sum += sg_rounding_shift(sg_softmax_s8_exp(p, diff), 12);
            }
        }
        /* The maximum's own exp makes the sum at least 2^19, so this ends. */
        while (((uint32_t)sum << leading) < ((uint32_t)1 << 31)) {
            leading++;
        }
        const int32_t fraction = (int32_t)(((uint32_t)sum << leading) - ((uint32_t)1 << 31));
        const int32_t scale = sg_one_over_one_plus_x(fraction);
        const int32_t exponent = 12 - leading + 23;
        for (int32_t c = 0; c < p->depth; c++) {
            const int32_t diff = in[c] - max;
            int32_t level = 0;
            if (diff >= p->diff_min && exponent <= 31) {
                level = sg_rounding_shift(sg_high_mul(sg_softmax_s8_exp(p, diff), scale), exponent);
            }
            out[c] = (int8_t)sg_clamp(level - 128, -128, 127);
        }
        in += p->depth;
        out += p->depth;
    }
}

#endif
