/* Sandgrain kernel: read a tensor by strides and write it densely, portable C99: transposes and strided slices of up to
 * five dimensions, any element type. The host merges dimensions, so `run` is as long as it can be. */
#ifndef SG_GATHER_H
#define SG_GATHER_H

#include "sg_bytes.h"

struct sg_gather {
    int32_t size[5];   /* output extents, outermost first; 1 where unused */
    int32_t stride[5]; /* bytes in the input from one index to the next, of either sign */
    int32_t start;     /* bytes: where index 0, 0, 0, 0, 0 lies in the input */
    int32_t run;       /* contiguous bytes copied at each index */
};

/* The innermost dimension: single bytes are the usual case of a transposed int8 tensor. */
static inline int8_t *sg_gather_line(const struct sg_gather *p, const int8_t *in, int8_t *out)
{
    const int32_t count = p->size[4], step = p->stride[4], run = p->run;

    if (run == 1) {
        for (int32_t i = 0; i < count; i++) {
            *out++ = in[i * step];
        }
        return out;
    }
    for (int32_t i = 0; i < count; i++) {
        sg_copy_bytes(out, in + i * step, run);
        out += run;
    }
    return out;
}

static inline void sg_gather(const struct sg_gather *p, const void *in, void *out)
{
    const int8_t *base = (const int8_t *)in + p->start;
    int8_t *to = (int8_t *)out;

    for (int32_t a = 0; a < p->size[0]; a++) {
        for (int32_t b = 0; b < p->size[1]; b++) {
            for (int32_t c = 0; c < p->size[2]; c++) {
                const int32_t outer = a * p->stride[0] + b * p->stride[1] + c * p->stride[2];
                for (int32_t d = 0; d < p->size[3]; d++) {
                    to = sg_gather_line(p, base + (outer + d * p->stride[3]), to);
                }
            }
        }
    }
}

#endif
