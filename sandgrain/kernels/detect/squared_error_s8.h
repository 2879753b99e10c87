/* Sandgrain kernel: the sum of squared differences of two int8 tensors, portable C99. */
#ifndef SG_SQUARED_ERROR_S8_H
#define SG_SQUARED_ERROR_S8_H

#include "sg_energy.h"

struct sg_squared_error_s8 {
    int32_t size;                /* <= 2^15 */
    int32_t left, right, offset; /* difference = left * a - right * b - offset, |difference| < 2^24 */
    int32_t shift;
};

SG_SPECIALIZE void sg_squared_error_s8(const struct sg_squared_error_s8 *p, const int8_t *a, const int8_t *b, int32_t *out)
{
    uint64_t total = 0;
    for (int32_t i = 0; i < p->size; i++) {
        total = sg_add_square(total, p->left * a[i] - p->right * b[i] - p->offset);
    }
    *out = sg_energy(total, 0, p->shift);
}

#endif
