/* Sandgrain kernel: int8 transposed 2-D convolution, portable C99.
 *
 * Each output is gathered: the output positions that are alike modulo the stride (a phase) meet the same taps, and with those
 * taps they are an ordinary convolution of stride 1, whose pixel kernel is used. No accumulator is kept in memory.
 * Weights: for each phase, row by row, its taps backwards, packed as in conv_2d_s8.h.
 */
#ifndef SG_TRANSPOSE_CONV_S8_H
#define SG_TRANSPOSE_CONV_S8_H

#include "conv_2d_s8.h"

struct sg_transpose_conv_s8 {
    const int8_t *weights;
    const int32_t *bias;       /* [out_c] */
    const int32_t *multiplier; /* [out_c] */
    const int8_t *shift;       /* [out_c], > 0 is left */
    const int32_t *rows;       /* [stride_h]: taps, first output row, input row of the first tap there (may be outside) */
    const int32_t *columns;    /* [stride_w]: likewise */
    int32_t batch, in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t stride_h, stride_w;
    int32_t in_offset, out_zero_point, low, high;
};

/* The outputs of one phase. */
static inline void sg_transpose_conv_s8_phase(const struct sg_transpose_conv_s8 *p, const int8_t *weights, const int32_t *row,
                                              const int32_t *column, const int8_t *in, int8_t *out)
{
    const struct sg_conv_2d_s8 window = {
        .weights = weights,
        .bias = p->bias,
        .multiplier = p->multiplier,
        .shift = p->shift,
        .in_w = p->in_w,
        .in_c = p->in_c,
        .out_c = p->out_c,
        .kernel_h = row[0],
        .kernel_w = column[0],
        .dilation_h = 1,
        .dilation_w = 1,
        .in_offset = p->in_offset,
        .out_zero_point = p->out_zero_point,
        .low = p->low,
        .high = p->high,
    };
    int32_t y = row[2];

    for (int32_t oy = row[1]; oy < p->out_h; oy += p->stride_h) {
        const int32_t ky0 = sg_first_tap(y, 1);
        const int32_t ky1 = sg_last_tap(y, 1, window.kernel_h, p->in_h);
        int32_t x = column[2];
        for (int32_t ox = column[1]; ox < p->out_w; ox += p->stride_w) {
            const int32_t kx0 = sg_first_tap(x, 1);
            const int32_t kx1 = sg_last_tap(x, 1, window.kernel_w, p->in_w);
            const int32_t start = (y + ky0) * p->in_w + x + kx0;
            sg_conv_2d_s8_pixel(&window, in, start * p->in_c, out + (oy * p->out_w + ox) * p->out_c, ky0, ky1, kx0, kx1);
            x++;
        }
        y++;
    }
}

static inline void sg_transpose_conv_s8(const struct sg_transpose_conv_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = 0; n < p->batch; n++) {
        const int8_t *weights = p->weights;
        for (int32_t i = 0; i < p->stride_h; i++) {
            for (int32_t j = 0; j < p->stride_w; j++) {
                const int32_t *row = p->rows + 3 * i, *column = p->columns + 3 * j;
                sg_transpose_conv_s8_phase(p, weights, row, column, in, out);
                weights += row[0] * column[0] * p->in_c * p->out_c;
            }
        }
        in += p->in_h * p->in_w * p->in_c;
        out += p->out_h * p->out_w * p->out_c;
    }
}

#endif
