/* Sandgrain kernel: shrink a uint8 image by the area that each output pixel covers, any ratio, portable C99.
 *
 * Along a side an input pixel is `whole` wide and an output pixel `total`, so that all cuts fall on integers: a pixel between
 * counts `whole`, the first and the last one as much of it as is covered. |sum| <= 255.5 * 2^22. Every input row is read once:
 * one row of sums lies in scratch, and the row in which an output row ends begins the next one. Every output starts to read
 * at its own index or later, so `out` may be `in`.
 */
#ifndef SG_RESIZE_AREA_U8_H
#define SG_RESIZE_AREA_U8_H

#include "sg_image.h"

struct sg_resize_area_u8 {
    const uint16_t *column; /* [out_w]: bytes from a row's begin to the first covered pixel */
    const uint16_t *part;   /* [out_w, 3]: weight of the first pixel, how many pixels between, weight of the last */
    int32_t in_h, out_w, channels;
    int32_t line;                 /* bytes of an input row */
    int32_t next;                 /* bytes to the next pixel; 0 where the width stays, with weight 0 for the last pixel */
    int32_t row_whole, row_total; /* height of an input row, of an output row */
    int32_t column_whole;
    int32_t half, multiplier, shift, wide; /* division by the area of an output pixel */
};

/* The covered pixels of one channel, weighted along the row. */
static inline int32_t sg_resize_area_u8_line(const struct sg_resize_area_u8 *p, const uint8_t *a, const uint16_t *part)
{
    const int32_t first = *a * part[0];
    int32_t between = 0;
    for (int32_t k = part[1]; k > 0; k--) {
        a += p->next;
        between += *a;
    }
    return first + between * p->column_whole + a[p->next] * part[2];
}

SG_SPECIALIZE void sg_resize_area_u8(const struct sg_resize_area_u8 *p, const uint8_t *in, uint8_t *out, int8_t *scratch)
{
    int32_t *sums = (int32_t *)(void *)scratch;
    int32_t left = p->row_total; /* of the output row */

    for (int32_t i = 0; i < p->out_w * p->channels; i++) {
        sums[i] = 0;
    }
    for (int32_t y = 0; y < p->in_h; y++) {
        const int32_t ends = left <= p->row_whole ? 1 : 0;
        const int32_t weight = ends != 0 ? left : p->row_whole;
        const int32_t rest = p->row_whole - weight;
        int32_t *sum = sums;
        for (int32_t x = 0; x < p->out_w; x++) {
            const uint8_t *from = in + p->column[x];
            for (int32_t c = 0; c < p->channels; c++) {
                const int32_t line = sg_resize_area_u8_line(p, from + c, p->part + 3 * x);
                const int32_t whole = *sum + line * weight;
                if (ends != 0) {
                    *out++ = sg_weighted_mean(whole, p->half, p->multiplier, p->shift, p->wide);
                    *sum++ = line * rest;
                } else {
                    *sum++ = whole;
                }
            }
        }
        left = ends != 0 ? p->row_total - rest : left - p->row_whole;
        in += p->line;
    }
}

#endif
