/* Sandgrain kernel: int8 mean over any axes, portable C99.
 *
 * The host merges neighbouring dimensions, which leaves at most three kept and three reduced loops, outermost first.
 * Output n reads nothing before input n, so `out` may be `in`. The host has proven that a sum fits 32 bits.
 */
#ifndef SG_MEAN_S8_H
#define SG_MEAN_S8_H

#include "sg_math.h"

struct sg_mean_s8 {
    int32_t kept[3], kept_stride[3];
    int32_t reduced[3], reduced_stride[3];
    int32_t offset;            /* -(input zero point) * count */
    int32_t multiplier, shift; /* from the sum to the output: they divide by the count too */
    int32_t out_zero_point;
};

static inline int8_t sg_mean_s8_one(const struct sg_mean_s8 *p, const int8_t *in)
{
    int32_t sum = p->offset;
    for (int32_t i = 0; i < p->reduced[0]; i++) {
        for (int32_t j = 0; j < p->reduced[1]; j++) {
            const int8_t *x = in + i * p->reduced_stride[0] + j * p->reduced_stride[1];
            for (int32_t k = 0; k < p->reduced[2]; k++) {
                sum += *x;
                x += p->reduced_stride[2];
            }
        }
    }
    return (int8_t)sg_clamp(sg_requantize(sum, p->multiplier, p->shift) + p->out_zero_point, -128, 127);
}

static inline void sg_mean_s8(const struct sg_mean_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < p->kept[0]; i++) {
        for (int32_t j = 0; j < p->kept[1]; j++) {
            const int8_t *x = in + i * p->kept_stride[0] + j * p->kept_stride[1];
            for (int32_t k = 0; k < p->kept[2]; k++) {
                *out++ = sg_mean_s8_one(p, x);
                x += p->kept_stride[2];
            }
        }
    }
}

#endif
