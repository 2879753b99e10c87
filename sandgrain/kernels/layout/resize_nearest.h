/* Sandgrain kernel: nearest-neighbour resize of an NHWC tensor, portable C99, any element type. Which row and column is
 * nearest was worked out on the host. */
#ifndef SG_RESIZE_NEAREST_H
#define SG_RESIZE_NEAREST_H

#include "sg_bytes.h"

struct sg_resize_nearest {
    const uint16_t *row;    /* [out_h]: input row of each output row */
    const uint16_t *column; /* [out_w]: input column of each output column */
    int32_t batch, in_h, in_w, out_h, out_w;
    int32_t pixel; /* bytes of one pixel: channels * element size */
};

static inline void sg_resize_nearest(const struct sg_resize_nearest *p, const void *in, void *out)
{
    const int8_t *image = (const int8_t *)in;
    int8_t *to = (int8_t *)out;
    const int32_t line = p->in_w * p->pixel;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t y = 0; y < p->out_h; y++) {
            const int8_t *from = image + p->row[y] * line;
            for (int32_t x = 0; x < p->out_w; x++) {
                sg_copy_bytes(to, from + p->column[x] * p->pixel, p->pixel);
                to += p->pixel;
            }
        }
        image += p->in_h * line;
    }
}

#endif
