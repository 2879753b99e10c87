/* Sandgrain kernel: squared lengths of rows of features whitened by triangular factors, portable C99. */
#ifndef SG_WHITENED_DISTANCE_S8_H
#define SG_WHITENED_DISTANCE_S8_H

#include "sg_energy.h"

struct sg_whitened_distance_s8 {
    const int16_t *factors; /* [components], then row i of i + 1 values, for every i < depth */
    const int32_t *offset;  /* [components][depth], half a unit of the shifted sum included */
    const int8_t *drop;     /* [components][depth], such that no sum of squares reaches 2^62 */
    const int32_t *bias;
    int32_t rows, step; /* row r starts at value r * step */
    int32_t depth, components, shift;
};

SG_SPECIALIZE void sg_whitened_distance_s8(const struct sg_whitened_distance_s8 *p, const int8_t *in, int32_t *out)
{
    for (int32_t r = 0; r < p->rows; r++) {
        const int16_t *w = p->factors;
        const int32_t *offset = p->offset;
        const int8_t *drop = p->drop;
        for (int32_t k = 0; k < p->components; k++) {
            uint64_t total = 0;
            for (int32_t i = 0; i < p->depth; i++) {
                int32_t sum = -*offset++; /* the host has proven that no partial sum leaves 32 bits */
                for (int32_t d = 0; d <= i; d++) {
                    sum += in[d] * *w++;
                }
                total = sg_add_square(total, sum >> *drop++);
            }
            *out++ = sg_energy(total, p->bias[k], p->shift);
        }
        in += p->step;
    }
}

#endif
