/* Sandgrain kernel: bilinear resize of a uint8 image with half-pixel centres, portable C99.
 *
 * Weights are exact integers of a common sum a side, so a result is rounded once: |sum| <= 255 * 2^22. The host moves the
 * neighbours of a clamped position inwards, with weight 0 for the one that does not count. Where both sides shrink, every
 * output starts to read at its own index or later, so `out` may be `in`.
 */
#ifndef SG_RESIZE_BILINEAR_U8_H
#define SG_RESIZE_BILINEAR_U8_H

#include "sg_image.h"

struct sg_resize_bilinear_u8 {
    const uint16_t *row;    /* [out_h]: upper input row of each output row */
    const uint16_t *down;   /* [out_h]: weight of the row below, of down_sum */
    const uint16_t *column; /* [out_w]: bytes from a row's begin to the left pixel of each output column */
    const uint16_t *across; /* [out_w]: weight of the pixel to its right, of across_sum */
    int32_t out_h, out_w, channels;
    int32_t line;         /* bytes of an input row */
    int32_t below, right; /* bytes to the neighbours; 0 where the image has one row, one column */
    int32_t down_sum, across_sum;
    int32_t half, multiplier, shift, wide; /* division by down_sum * across_sum */
};

SG_SPECIALIZE void sg_resize_bilinear_u8(const struct sg_resize_bilinear_u8 *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t y = 0; y < p->out_h; y++) {
        const uint8_t *line = in + p->row[y] * p->line;
        const int32_t down = p->down[y];
        for (int32_t x = 0; x < p->out_w; x++) {
            const uint8_t *a = line + p->column[x];
            const int32_t across = p->across[x];
            for (int32_t c = 0; c < p->channels; c++) {
                const uint8_t *b = a + p->right;
                const int32_t left = *a * p->down_sum + (a[p->below] - *a) * down;
                const int32_t right = *b * p->down_sum + (b[p->below] - *b) * down;
                const int32_t sum = left * p->across_sum + (right - left) * across;
                *out++ = sg_weighted_mean(sum, p->half, p->multiplier, p->shift, p->wide);
                a++;
            }
        }
    }
}

#endif
