/* Sandgrain kernel: int8 fully connected layer or 1x1 convolution of stride 1, the least code. */
#ifndef SG_DENSE_COMPACT_S8_H
#define SG_DENSE_COMPACT_S8_H

#include "sg_compact.h"

struct sg_dense_compact_s8 {
    struct sg_rows rows;
    int32_t runs; /* rows of a batch, or pixels */
};

static inline void sg_dense_compact_s8(const struct sg_dense_compact_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = p->runs; n > 0; n--) {
        out = sg_rows_of(&p->rows, in, out);
        in += p->rows.depth;
    }
}

#endif
