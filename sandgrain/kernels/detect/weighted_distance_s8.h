/* Sandgrain kernel: weighted squared distances of rows of features from centroids, portable C99. */
#ifndef SG_WEIGHTED_DISTANCE_S8_H
#define SG_WEIGHTED_DISTANCE_S8_H

#include "sg_energy.h"

struct sg_weighted_distance_s8 {
    const int16_t *centroids; /* [components][depth], 7 bits below the features' unit */
    const int16_t *factors;   /* [components][depth] */
    const int32_t *bias;
    int32_t rows, step; /* row r starts at value r * step */
    int32_t depth, components;
    int32_t drop, shift; /* such that no sum of squares reaches 2^62 */
    int32_t narrow;      /* 1: |v| < 2^16 throughout */
};

SG_SPECIALIZE void sg_weighted_distance_s8(const struct sg_weighted_distance_s8 *p, const int8_t *in, int32_t *out)
{
    for (int32_t r = 0; r < p->rows; r++) {
        const int16_t *c = p->centroids, *s = p->factors;
        for (int32_t k = 0; k < p->components; k++) {
            uint64_t total = 0;
            for (int32_t d = 0; d < p->depth; d++) {
                /* |128 x - c| <= 2^14 + 2^15, times 2^15 < 2^31 */
                const int32_t v = (in[d] * 128 - *c++) * *s++ >> p->drop;
                total = p->narrow ? sg_add_narrow_square(total, v) : sg_add_square(total, v);
            }
            *out++ = sg_energy(total, p->bias[k], p->shift);
        }
        in += p->step;
    }
}

#endif
