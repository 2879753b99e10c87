/* Sandgrain kernel: bilinear resize of an int8 NHWC tensor, portable C99. Which pixels an output lies between, and how much of
 * the second one counts, was worked out on the host.
 */
#ifndef SG_RESIZE_BILINEAR_S8_H
#define SG_RESIZE_BILINEAR_S8_H

#include "sg_narrow.h"

struct sg_resize_bilinear_s8 {
    const uint16_t *row;    /* [out_h]: input row at or above each output row */
    const uint16_t *below;  /* [out_h]: 1024ths of the row after it; 0 where that is none */
    const uint16_t *column; /* [out_w]: likewise */
    const uint16_t *right;  /* [out_w] */
    int32_t batch, in_h, in_w, out_h, out_w;
    int32_t pixel; /* channels */
};

/* One output pixel from the four around it; `step` bytes to those on the right, `line` to those below. The weights sum to
 * 2^20 and |value| <= 128, so a sum fits 28 bits. */
static inline void sg_resize_bilinear_s8_pixel(const int8_t *from, int8_t *out, int32_t count, int32_t step, int32_t line,
                                               int32_t right, int32_t below)
{
    const int32_t w3 = right * below, w2 = below * 1024 - w3, w1 = right * 1024 - w3, w0 = (1 << 20) - w1 - w2 - w3;
    const int8_t *under = from + line;

    for (int32_t c = 0; c < count; c++) {
        const int32_t sum = from[c] * w0 + from[c + step] * w1 + under[c] * w2 + under[c + step] * w3;
        out[c] = (int8_t)sg_narrow_shift(sum, 20, 1 << 19, -1);
    }
}

static inline void sg_resize_bilinear_s8(const struct sg_resize_bilinear_s8 *p, const int8_t *in, int8_t *out)
{
    const int32_t line = p->in_w * p->pixel;

    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t y = 0; y < p->out_h; y++) {
            const int8_t *from = in + p->row[y] * line;
            const int32_t below = p->below[y];
            for (int32_t x = 0; x < p->out_w; x++) {
                const int32_t right = p->right[x];
                sg_resize_bilinear_s8_pixel(from + p->column[x] * p->pixel, out, p->pixel, right ? p->pixel : 0,
                                            below ? line : 0, right, below);
                out += p->pixel;
            }
        }
        in += p->in_h * line;
    }
}

#endif
