/* Sandgrain kernel: the largest int8 over any axes, portable C99.
 *
 * The host merges neighbouring dimensions, which leaves at most three kept and three reduced loops, outermost first.
 * Output n reads nothing before input n, so `out` may be `in`.
 */
#ifndef SG_REDUCE_MAX_S8_H
#define SG_REDUCE_MAX_S8_H

#include <stdint.h>

struct sg_reduce_max_s8 {
    int32_t kept[3], kept_stride[3];
    int32_t reduced[3], reduced_stride[3];
};

static inline int8_t sg_reduce_max_s8_one(const struct sg_reduce_max_s8 *p, const int8_t *in)
{
    int32_t largest = -128;
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            const int8_t *x = in + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                largest = *x > largest ? *x : largest;
                x += p->reduced_stride[2];
            }
        }
    }
    return (int8_t)largest;
}

static inline void sg_reduce_max_s8(const struct sg_reduce_max_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            const int8_t *x = in + i * p->kept_stride[0] + j * p->kept_stride[1];
            for (int32_t k = 0; k < p->kept[2]; k++) {
                *out++ = sg_reduce_max_s8_one(p, x);
                x += p->kept_stride[2];
            }
        }
    }
}

#endif
