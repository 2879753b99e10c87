/* Sandgrain kernel: the larger or the smaller of two int8 inputs, element by element with broadcasting, portable C99. Element i
 * of each input is read before output i is written, so `out` may be an input that is not repeated.
 */
#ifndef SG_EXTREME_S8_H
#define SG_EXTREME_S8_H

#include "sg_loops.h"

struct sg_extreme_s8 {
    int32_t size[5], a_stride[5], b_stride[5];
    int32_t larger; /* 1 for the larger, 0 for the smaller */
};

SG_SPECIALIZE void sg_extreme_s8_row(const void *parameters, const int8_t *a, const int8_t *b, int8_t *out)
{
    const struct sg_extreme_s8 *p = (const struct sg_extreme_s8 *)parameters;

    for (int32_t m = 0; m < p->size[4]; m++) {
        const int8_t x = *a, y = *b;
        out[m] = (x > y) == p->larger ? x : y;
        a += p->a_stride[4];
        b += p->b_stride[4];
    }
}

static inline void sg_extreme_s8(const struct sg_extreme_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    sg_loops(p->size, p->a_stride, p->b_stride, sg_extreme_s8_row, p, a, b, out);
}

#endif
