/* Sandgrain kernel for Helium: int8 2-D convolution, any window.
 *
 * Two pixels at a time: their windows are gathered into the scratch, [2][vectors][16] bytes, and then go through all output
 * channels. The bias holds the input zero point's share, and taps outside the input are that zero point. A pair is
 * written once it has been gathered, which lets the output run into the input (sandgrain/kernels/shared/overlap.py says how far).
 */
#ifndef SG_CONV_WINDOW_MVE_S8_H
#define SG_CONV_WINDOW_MVE_S8_H

#include "sg_mve_dot.h"

struct sg_conv_window_mve_s8 {
    const int32_t *packed_weights; /* see sg_mve_dot.h, order for two pixels */
    int32_t vectors, round_half_away;
    int32_t batch, in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t in_zero_point, out_zero_point, low, high;
};

/* The window whose first tap lies at (y, x): any that is not wholly inside, or has gaps in its rows. */
SG_MVE_SHARED void sg_conv_window_mve_s8_edge(const struct sg_conv_window_mve_s8 *p, const int8_t *in, int32_t y, int32_t x,
                                              int8_t *to)
{
    const int32_t ky0 = sg_first_tap(y, p->dilation_h), ky1 = sg_last_tap(y, p->dilation_h, p->kernel_h, p->in_h);
    const int32_t kx0 = sg_first_tap(x, p->dilation_w), kx1 = sg_last_tap(x, p->dilation_w, p->kernel_w, p->in_w);
    const int32_t row = p->kernel_w * p->in_c, from_row = p->dilation_h * p->in_w * p->in_c;
    if (ky1 - ky0 < p->kernel_h || kx1 - kx0 < p->kernel_w) {
        sg_mve_fill(to, p->in_zero_point, p->kernel_h * row);
    }
    if (ky0 >= ky1) {
        return;
    }
    const int8_t *rows = in + (y + ky0 * p->dilation_h) * p->in_w * p->in_c;
    for (int32_t k = kx0; k < kx1; k += p->dilation_w == 1 ? kx1 - kx0 : 1) {
        const int32_t run = p->dilation_w == 1 ? (kx1 - kx0) * p->in_c : p->in_c;
        sg_mve_copy_rows(to + ky0 * row + k * p->in_c, rows + (x + k * p->dilation_w) * p->in_c, ky1 - ky0, run, row, from_row);
    }
}

static inline void sg_conv_window_mve_s8(const struct sg_conv_window_mve_s8 *p, const int8_t *in, int8_t *out, int8_t *scratch)
{
    struct sg_mve_dot d = {
        scratch, scratch, p->vectors, out, out, p->out_zero_point, p->low, p->high,
    };
    int8_t *const second = scratch + 16 * p->vectors;
    const int32_t row = p->kernel_w * p->in_c, from_row = p->dilation_h * p->in_w * p->in_c;
    /* Windows that start at x from 0 to last_x, y from 0 to last_y are wholly inside. Gaps in rows leave no such x. */
    const int32_t last_x = p->dilation_w == 1 ? p->in_w - p->kernel_w : -1;
    const int32_t last_y = p->in_h - 1 - (p->kernel_h - 1) * p->dilation_h;
    for (int32_t n = 0; n < p->batch; n++) {
        int32_t y = -p->pad_top, x = -p->pad_left, ox = 0;
        for (int32_t left = p->out_h * p->out_w; left > 0; left -= 2) {
            int8_t *to = scratch;
            for (int32_t k = left > 1 ? 2 : 1; k > 0; k--) {
                if (x >= 0 && x <= last_x && y >= 0 && y <= last_y) {
                    sg_mve_copy_rows(to, in + (y * p->in_w + x) * p->in_c, p->kernel_h, row, row, from_row);
                } else {
                    sg_conv_window_mve_s8_edge(p, in, y, x, to);
                }
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
            if (p->round_half_away != 0) {
                sg_mve_dot_pair_exact(&d, p->packed_weights, p->out_c);
            } else {
                sg_mve_dot_pair(&d, p->packed_weights, p->out_c);
            }
            out += left > 1 ? 2 * p->out_c : p->out_c;
        }
        in += p->in_h * p->in_w * p->in_c;
    }
}

#endif
