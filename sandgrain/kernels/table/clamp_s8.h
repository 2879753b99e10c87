/* Sandgrain kernel: clamp int8 values to low..high, portable C99. `out` may be `in`. */
#ifndef SG_CLAMP_S8_H
#define SG_CLAMP_S8_H

#include "sg_math.h"

struct sg_clamp_s8 {
    int32_t low, high; /* -128 <= low <= high <= 127 */
    int32_t count;
};

static inline void sg_clamp_s8(const struct sg_clamp_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < p->count; i++) {
        out[i] = (int8_t)sg_clamp(in[i], p->low, p->high);
    }
}

#endif
