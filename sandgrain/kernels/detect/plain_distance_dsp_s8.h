/* Sandgrain kernel: squared distances of rows of features from centroids on Armv7E-M, four values at a time. */
#ifndef SG_PLAIN_DISTANCE_DSP_S8_H
#define SG_PLAIN_DISTANCE_DSP_S8_H

#include "sg_dsp_rows.h"

struct sg_plain_distance_dsp_s8 {
    const int32_t *centroids; /* [components][pairs], pairs even, 7 bits below the features' unit; 128 x - c fits int16 */
    const int32_t *bias;
    int32_t rows, step; /* row r starts at value r * step */
    int32_t depth, components, shift;
};

SG_SPECIALIZE void sg_plain_distance_dsp_s8(const struct sg_plain_distance_dsp_s8 *p, const int8_t *in, int32_t *out,
                                            int8_t *scratch)
{
    for (int32_t r = 0; r < p->rows; r++) {
        const int32_t *c = p->centroids;
        sg_widen_row(in, scratch, p->depth, 128);
        for (int32_t k = 0; k < p->components; k++) {
            const int8_t *x = scratch;
            uint64_t total = 0;
            for (int32_t d = 0; d < p->depth; d += 4) {
                total = sg_add_squares(total, sg_ssub16(sg_load32(x), (uint32_t)c[0]));
                total = sg_add_squares(total, sg_ssub16(sg_load32(x + 4), (uint32_t)c[1]));
                x += 8;
                c += 2;
            }
            *out++ = sg_energy(total, p->bias[k], p->shift);
        }
        in += p->step;
    }
}

#endif
