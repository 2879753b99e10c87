/* Sandgrain kernel: int8 2-D max pool of one image, the least code. */
#ifndef SG_MAX_POOL_2D_COMPACT_S8_H
#define SG_MAX_POOL_2D_COMPACT_S8_H

#include "sg_pool_compact.h"

struct sg_max_pool_2d_compact_s8 {
    struct sg_pool_compact pool;
};

static inline void sg_max_pool_2d_compact_s8(const struct sg_max_pool_2d_compact_s8 *p, const int8_t *in, int8_t *out)
{
    sg_pool_compact_all(&p->pool, in, out, 0);
}

#endif
