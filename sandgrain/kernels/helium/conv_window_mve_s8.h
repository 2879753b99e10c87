/* Sandgrain kernel for Helium: int8 2-D convolution, any window.
 *
 * Two pixels at a time: their windows are gathered into the scratch, [2][vectors][16] bytes, and then go through all output
 * channels. The bias holds the input zero point's share, and taps outside the input are that zero point. A pair is
 * written once it has been gathered, which lets the output run into the input (sandgrain/ops/conv_mve.py says how far).
 */
#ifndef SG_CONV_WINDOW_MVE_S8_H
#define SG_CONV_WINDOW_MVE_S8_H

#include "sg_mve_dot.h"

struct sg_conv_window_mve_s8 {
    const int32_t *stream; /* see sg_mve_dot.h, order for two pixels */
    int32_t vectors, exact;
    int32_t batch, in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t in_zero_point, out_zero_point, low, high;
};

/* The window whose first tap lies at (y, x), which may be outside. */
static inline void sg_conv_window_mve_s8_gather(const struct sg_conv_window_mve_s8 *p, const int8_t *in, int32_t y, int32_t x,
                                                int8_t *to)
{
    const int32_t ky0 = sg_first_tap(y, p->dilation_h), ky1 = sg_last_tap(y, p->dilation_h, p->kernel_h, p->in_h);
    const int32_t kx0 = sg_first_tap(x, p->dilation_w), kx1 = sg_last_tap(x, p->dilation_w, p->kernel_w, p->in_w);
    const int32_t row = p->kernel_w * p->in_c, from_row = p->dilation_h * p->in_w * p->in_c;
    const int32_t rows = ky1 - ky0, columns = kx1 - kx0;
    if (rows < p->kernel_h || columns < p->kernel_w) {
        sg_mve_fill(to, p->in_zero_point, p->kernel_h * row);
    }
    if (rows <= 0 || columns <= 0) {
        return;
    }
    to += ky0 * row + kx0 * p->in_c;
    const int8_t *from = in + ((y + ky0 * p->dilation_h) * p->in_w + x + kx0 * p->dilation_w) * p->in_c;
    if (p->dilation_w == 1) {
        sg_mve_copy_rows(to, from, rows, columns * p->in_c, row, from_row);
        return;
    }
    for (int32_t k = 0; k < columns; k++) {
        sg_mve_copy_rows(to + k * p->in_c, from + k * p->dilation_w * p->in_c, rows, p->in_c, row, from_row);
    }
}

static inline void sg_conv_window_mve_s8(const struct sg_conv_window_mve_s8 *p, const int8_t *in, int8_t *out, int8_t *scratch)
{
    struct sg_mve_dot d = {
        scratch, scratch, p->vectors, out, out, p->out_zero_point, p->low, p->high,
    };
    int8_t *const second = scratch + 16 * p->vectors;
    for (int32_t n = 0; n < p->batch; n++) {
        int32_t y = -p->pad_top, x = -p->pad_left, ox = 0;
        for (int32_t left = p->out_h * p->out_w; left > 0; left -= 2) {
            int8_t *to = scratch;
            for (int32_t k = left > 1 ? 2 : 1; k > 0; k--) {
                sg_conv_window_mve_s8_gather(p, in, y, x, to);
                to = second;
                x += p->stride_w;
                if (++ox == p->out_w) {
                    ox = 0;
                    x = -p->pad_left;
                    y += p->stride_h;
                }
            }
            d.x1 = left > 1 ? second : scratch;
            d.out0 = out;
            d.out1 = left > 1 ? out + p->out_c : out;
            if (p->exact != 0) {
                sg_mve_dot_pair_exact(&d, p->stream, p->out_c);
            } else {
                sg_mve_dot_pair(&d, p->stream, p->out_c);
            }
            out += left > 1 ? 2 * p->out_c : p->out_c;
        }
        in += p->in_h * p->in_w * p->in_c;
    }
}

#endif
