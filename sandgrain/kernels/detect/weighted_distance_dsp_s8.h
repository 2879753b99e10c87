/* Sandgrain kernel: weighted squared distances of rows of features from centroids on Armv7E-M, four values at a time. */
#ifndef SG_WEIGHTED_DISTANCE_DSP_S8_H
#define SG_WEIGHTED_DISTANCE_DSP_S8_H

#include "sg_dsp_rows.h"

struct sg_weighted_distance_dsp_s8 {
    const int32_t *tables; /* [components][pairs][2], pairs even: two centroids with 7 fraction bits, then two factors */
    const int32_t *bias;
    int32_t rows, step; /* row r starts at value r * step */
    int32_t depth, components;
    int32_t drop, shift; /* such that no sum of squares reaches 2^62 */
};

/* total + both squares of a pair: |128 x - c| < 2^15, times a factor < 2^15. */
static inline uint64_t sg_weighted_pair(uint64_t total, uint32_t x, const int32_t *table, int32_t drop)
{
    const uint32_t u = sg_ssub16(x, (uint32_t)table[0]), s = (uint32_t)table[1];
    const int32_t low = sg_low_half(u) * sg_low_half(s) >> drop, high = sg_high_half(u) * sg_high_half(s) >> drop;
    return sg_add_square(sg_add_square(total, low), high);
}

SG_SPECIALIZE void sg_weighted_distance_dsp_s8(const struct sg_weighted_distance_dsp_s8 *p, const int8_t *in, int32_t *out,
                                               int8_t *scratch)
{
    for (int32_t r = 0; r < p->rows; r++) {
        const int32_t *t = p->tables;
        sg_widen_row(in, scratch, p->depth, 128);
        for (int32_t k = 0; k < p->components; k++) {
            const int8_t *x = scratch;
            uint64_t total = 0;
            for (int32_t d = 0; d < p->depth; d += 4) {
                total = sg_weighted_pair(total, sg_load32(x), t, p->drop);
                total = sg_weighted_pair(total, sg_load32(x + 4), t + 2, p->drop);
                x += 8;
                t += 4;
            }
            *out++ = sg_energy(total, p->bias[k], p->shift);
        }
        in += p->step;
    }
}

#endif
