/* Sandgrain kernel: squared lengths of rows of features whitened by triangular factors on Armv7E-M.
 *
 * Two rows of a triangle at a time, which have as many pairs of values when the first ends in a zero: three loads and two
 * double multiply-accumulates for four products.
 */
#ifndef SG_WHITENED_DISTANCE_DSP_S8_H
#define SG_WHITENED_DISTANCE_DSP_S8_H

#include "sg_dsp_rows.h"

struct sg_whitened_distance_dsp_s8 {
    const int32_t *factors; /* [components], then for rows 2i and 2i + 1: i + 1 times a pair of the one, a pair of the other */
    const int32_t *offset;  /* [components][2 * pairs], half a unit of the shifted sum included */
    const int8_t *drop;     /* [components][2 * pairs], such that no sum of squares reaches 2^62 */
    const int32_t *bias;
    int32_t rows, step; /* row r starts at value r * step */
    int32_t depth, pairs, components, shift;
};

SG_SPECIALIZE void sg_whitened_distance_dsp_s8(const struct sg_whitened_distance_dsp_s8 *p, const int8_t *in, int32_t *out,
                                               int8_t *scratch)
{
    for (int32_t r = 0; r < p->rows; r++) {
        const int32_t *w = p->factors, *offset = p->offset;
        const int8_t *drop = p->drop;
        sg_widen_row(in, scratch, p->depth, 1);
        for (int32_t k = 0; k < p->components; k++) {
            uint64_t total = 0;
            for (int32_t i = 0; i < p->pairs; i++) {
                const int8_t *x = scratch;
                int32_t even = -offset[0], odd = -offset[1]; /* the host has proven that no partial sum leaves 32 bits */
                for (int32_t d = 0; d <= i; d++) {
                    const uint32_t pair = sg_load32(x);
                    even = sg_smlad((uint32_t)w[0], pair, even);
                    odd = sg_smlad((uint32_t)w[1], pair, odd);
                    x += 4;
                    w += 2;
                }
                total = sg_add_square(sg_add_square(total, even >> drop[0]), odd >> drop[1]);
                offset += 2;
                drop += 2;
            }
            *out++ = sg_energy(total, p->bias[k], p->shift);
        }
        in += p->step;
    }
}

#endif
