/* Sandgrain kernel: the least distance of each row, over all rows, portable C99. */
#ifndef SG_LEAST_S32_H
#define SG_LEAST_S32_H

#include "sg_rows.h"

struct sg_least_s32 {
    int32_t rows, components;
    int32_t largest; /* 1: the largest of the rows' values, 0: their sum */
    int32_t shift;
};

SG_SPECIALIZE void sg_least_s32(const struct sg_least_s32 *p, const int32_t *in, int32_t *out)
{
    int64_t total = 0;
    for (int32_t r = 0; r < p->rows; r++) {
        int32_t least = INT32_MAX;
        for (int32_t k = 0; k < p->components; k++) {
            const int32_t e = *in++;
            least = e < least ? e : least;
        }
        total = sg_row_in(total, least < 0 ? 0 : least, r, p->largest);
    }
    *out = sg_rows_score(total, p->shift);
}

#endif
