/* Sandgrain kernel: squared distances of rows of features from centroids, portable C99. */
#ifndef SG_PLAIN_DISTANCE_S8_H
#define SG_PLAIN_DISTANCE_S8_H

#include "sg_energy.h"

struct sg_plain_distance_s8 {
    const int16_t *centroids; /* [components][depth], 7 bits below the features' unit */
    const int32_t *bias;
    int32_t rows, step; /* row r starts at value r * step */
    int32_t depth, components, shift;
};

SG_SPECIALIZE void sg_plain_distance_s8(const struct sg_plain_distance_s8 *p, const int8_t *in, int32_t *out)
{
    for (int32_t r = 0; r < p->rows; r++) {
        const int16_t *c = p->centroids;
        for (int32_t k = 0; k < p->components; k++) {
            uint64_t total = 0;
            for (int32_t d = 0; d < p->depth; d++) {
                total = sg_add_narrow_square(total, in[d] * 128 - *c++); /* |128 x - c| <= 2^14 + 2^15 */
            }
            *out++ = sg_energy(total, p->bias[k], p->shift);
        }
        in += p->step;
    }
}

#endif
