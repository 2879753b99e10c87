/* Sandgrain kernel: shrink a uint8 image by whole factors, each output the mean of a box, portable C99.
 *
 * A box has at most 2^22 pixels. Every output starts to read at its own index or later, so `out` may be `in`.
 */
#ifndef SG_RESIZE_BOX_U8_H
#define SG_RESIZE_BOX_U8_H

#include "sg_image.h"

struct sg_resize_box_u8 {
    int32_t out_h, out_w, channels;
    int32_t box_h, box_w;
    int32_t line;                          /* bytes of an input row */
    int32_t half, multiplier, shift, wide; /* division by box_h * box_w */
};

SG_SPECIALIZE void sg_resize_box_u8(const struct sg_resize_box_u8 *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t y = 0; y < p->out_h; y++) {
        const uint8_t *box = in;
        for (int32_t x = 0; x < p->out_w; x++) {
            for (int32_t c = 0; c < p->channels; c++) {
                const uint8_t *from = box + c;
                int32_t sum = 0;
                for (int32_t i = 0; i < p->box_h; i++) {
                    for (int32_t j = 0; j < p->box_w; j++) {
                        sum += from[j * p->channels];
                    }
                    from += p->line;
                }
                *out++ = sg_weighted_mean(sum, p->half, p->multiplier, p->shift, p->wide);
            }
            box += p->box_w * p->channels;
        }
        in += p->box_h * p->line;
    }
}

#endif
