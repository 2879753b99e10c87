/* Sandgrain kernel: slices of a tensor along one axis at positions that are known at run time, portable C99, any element type. */
#ifndef SG_GATHER_AT_H
#define SG_GATHER_AT_H

#include "sg_bytes.h"
#include "sg_math.h"

struct sg_gather_at {
    int32_t outer, axis; /* extents before the axis, and of it */
    int32_t count;       /* positions */
    int32_t run;         /* bytes of one slice */
};

static inline void sg_gather_at(const struct sg_gather_at *p, const void *in, const int32_t *at, void *out)
{
    const int8_t *from = (const int8_t *)in;
    int8_t *to = (int8_t *)out;

    for (int32_t n = 0; n < p->outer; n++) {
        for (int32_t i = 0; i < p->count; i++) {
            sg_copy_bytes(to, from + sg_clamp(at[i], 0, p->axis - 1) * p->run, p->run);
            to += p->run;
        }
        from += p->axis * p->run;
    }
}

#endif
