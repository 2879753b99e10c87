/* Sandgrain kernel: int8 layer normalization over the last axis, portable C99. The meaning is in sandgrain/graph/ops/norm/layer_norm.py.
 *
 * A row is summed before its first output and element i is read before output i is written, so `out` may be `in`.
 */
#ifndef SG_LAYER_NORM_S8_H
#define SG_LAYER_NORM_S8_H

#include "sg_root.h"

struct sg_layer_norm_s8 {
    const int16_t *gamma; /* [depth] */
    const int32_t *beta;  /* [depth], |beta| <= 2^30 */
    int64_t eps;          /* <= 2^50, of unit 2^-10 / depth^2 of an input step squared */
    int32_t rows, depth;  /* depth <= 4096 */
    int32_t fraction_bits;
    int32_t multiplier, shift, zero_point;
};

static inline void sg_layer_norm_s8(const struct sg_layer_norm_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = 0; n < p->rows; n++) {
        int32_t sum = 0, squares = 0; /* squares <= 2^12 * 2^14 */
        for (int32_t c = 0; c < p->depth; c++) {
            const int32_t q = in[c];
            sum += q;
            squares += q * q;
        }
        /* Cauchy and Schwarz: never negative; below 2^39 before it gets 10 fraction bits. */
        const int64_t v = ((int64_t)p->depth * squares - (int64_t)sum * sum) * 1024 + p->eps;
        const struct sg_root root = sg_one_over_root(v < 1 ? 1 : v);
        const int32_t shift = p->fraction_bits + 1 - (root.half - 5);
        for (int32_t c = 0; c < p->depth; c++) {
            /* |depth * q - sum| < 2^20; shifted left it stays below 2^17, because the quotient fits 16 bits. */
            const int32_t q = sg_clamp(sg_requantize(p->depth * in[c] - sum, root.multiplier, shift), -32768, 32767);
            const int32_t y8 = sg_requantize(q * p->gamma[c] + p->beta[c], p->multiplier, p->shift) + p->zero_point;
            out[c] = (int8_t)sg_clamp(y8, -128, 127);
        }
        in += p->depth;
        out += p->depth;
    }
}

#endif
