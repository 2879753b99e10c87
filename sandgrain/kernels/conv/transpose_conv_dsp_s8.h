/* Sandgrain kernel: int8 transposed 2-D convolution on Armv7E-M, two pixels at a time.
 *
 * The output positions that are alike modulo the stride (a phase) meet the same taps; they are a convolution of stride 1, whose
 * windows are gathered and computed as in conv_window_dsp_s8.h. Their outputs lie stride pixels apart.
 */
#ifndef SG_TRANSPOSE_CONV_DSP_S8_H
#define SG_TRANSPOSE_CONV_DSP_S8_H

#include "conv_window_dsp_s8.h"

struct sg_transpose_conv_dsp_s8 {
    const int32_t *packed_weights;  /* for each phase, row by row: see sg_block_2x4.h */
    const int8_t *blank;    /* [in_c], the input zero point */
    const int32_t *rows;    /* [stride_h]: taps (at least 1), first output row, input row of the first tap there */
    const int32_t *columns; /* [stride_w]: likewise */
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t stride_h, stride_w;
    int32_t zero_point, round_half_away, low, high;
};

/* A window's place, and its output. */
struct sg_transpose_spot {
    struct sg_place at;
    int32_t ox;
    int8_t *out;
};

static inline struct sg_transpose_spot sg_transpose_conv_dsp_next(const struct sg_transpose_conv_dsp_s8 *p,
                                                                  const int32_t *column, struct sg_transpose_spot s)
{
    s.at.x++;
    s.ox += p->stride_w;
    s.out += p->stride_w * p->out_c;
    if (s.ox >= p->out_w) {
        s.out += (p->stride_h * p->out_w + column[1] - s.ox) * p->out_c;
        s.ox = column[1];
        s.at.x = column[2];
        s.at.y++;
    }
    return s;
}

/* The outputs of one phase; returns where the stream goes on. */
SG_SHARED const int32_t *sg_transpose_conv_dsp_phase(const struct sg_transpose_conv_dsp_s8 *p, const int32_t *stream,
                                                     const int32_t *row, const int32_t *column, const int8_t *in, int8_t *out,
                                                     sg_word *x)
{
    const int32_t words = (row[0] * column[0] * p->in_c + 3) >> 2, block = 12 + 4 * words;
    const struct sg_conv_window_dsp_s8 window = {
        .blank = p->blank,
        .words = words,
        .in_h = p->in_h,
        .in_w = p->in_w,
        .in_c = p->in_c,
        .kernel_h = row[0],
        .kernel_w = column[0],
        .dilation_h = 1,
        .dilation_w = 1,
        .row_bytes = column[0] * p->in_c,
        .inside_rows = p->in_h >= row[0] ? p->in_h - row[0] + 1 : 0,
        .inside_columns = p->in_w >= column[0] ? p->in_w - column[0] + 1 : 0,
    };
    const struct sg_conv_dsp c = {
        {x, sg_block_2x4_skip(words), p->zero_point, p->round_half_away, x + 4 * words},
        stream, stream + (p->out_c >> 2) * block, stream + ((p->out_c + 3) >> 2) * block, p->out_c, p->low, p->high,
    };
    const int32_t down = p->out_h > row[1] ? (p->out_h - row[1] + p->stride_h - 1) / p->stride_h : 0;
    const int32_t across = p->out_w > column[1] ? (p->out_w - column[1] + p->stride_w - 1) / p->stride_w : 0;
    struct sg_transpose_spot s = {{row[2], column[2]}, column[1], out + (row[1] * p->out_w + column[1]) * p->out_c};

    for (int32_t left = down * across; left > 0; left -= 2) {
        const struct sg_transpose_spot second = left > 1 ? sg_transpose_conv_dsp_next(p, column, s) : s;
        sg_conv_window_pair(&window, in, s.at, second.at, x);
        sg_conv_dsp_pair(&c, s.out, (int32_t)(second.out - s.out));
        s = sg_transpose_conv_dsp_next(p, column, second);
    }
    return c.partial_block_end;
}

SG_SHARED void sg_transpose_conv_dsp_s8(const struct sg_transpose_conv_dsp_s8 *p, const int8_t *in, int8_t *out, int8_t *scratch)
{
    for (int32_t n = 0; n < p->batch; n++) {
        const int32_t *stream = p->packed_weights;
        for (int32_t i = 0; i < p->stride_h; i++) {
            for (int32_t j = 0; j < p->stride_w; j++) {
                stream = sg_transpose_conv_dsp_phase(p, stream, p->rows + 3 * i, p->columns + 3 * j, in, out,
                                                     (sg_word *)(void *)scratch);
            }
        }
        in += p->in_h * p->in_w * p->in_c;
        out += p->out_h * p->out_w * p->out_c;
    }
}

#endif
