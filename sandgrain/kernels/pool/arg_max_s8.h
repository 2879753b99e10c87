/* Sandgrain kernel: index of the largest int8 along one axis, the first of equals, portable C99. */
#ifndef SG_ARG_MAX_S8_H
#define SG_ARG_MAX_S8_H

#include <stdint.h>

struct sg_arg_max_s8 {
    int32_t outer, axis, inner; /* the input as [outer][axis][inner] */
};

static inline void sg_arg_max_s8(const struct sg_arg_max_s8 *p, const int8_t *in, int32_t *out)
{
    for (int32_t o = 0; o < p->outer; o++) {
        for (int32_t i = 0; i < p->inner; i++) {
            const int8_t *x = in + i;
            int32_t best = x[0];
            int32_t index = 0;
            for (int32_t a = 1; a < p->axis; a++) {
                x += p->inner;
                if (*x > best) {
                    best = *x;
                    index = a;
                }
            }
            *out++ = index;
        }
        in += p->axis * p->inner;
    }
}

#endif
