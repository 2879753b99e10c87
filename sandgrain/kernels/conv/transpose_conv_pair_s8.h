/* Sandgrain kernel: int8 transposed 2-D convolution by pairs of pixels, portable C99 (with an inner block in assembly on Armv7-M).
 *
 * The output positions that are alike modulo the stride (a phase) meet the same taps; they are a convolution of stride 1, whose
 * windows are copied and computed as in conv_2d_pair_s8.h. Their outputs lie stride pixels apart.
 */
#ifndef SG_TRANSPOSE_CONV_PAIR_S8_H
#define SG_TRANSPOSE_CONV_PAIR_S8_H

#include "conv_2d_pair_s8.h"

struct sg_transpose_conv_pair_s8 {
    const int8_t *weights;  /* for each phase, row by row: see sg_block_4x2.h */
    const int32_t *table;   /* likewise */
    const int8_t *away;     /* likewise: see sg_scale.h */
    const int32_t *rows;    /* [stride_h]: taps (at least 1), first output row, input row of the first tap there */
    const int32_t *columns; /* [stride_w]: likewise */
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t stride_h, stride_w;
    int32_t in_zero_point, low, high;
};

/* The outputs of one phase. */
static inline void sg_transpose_conv_pair_s8_phase(const struct sg_transpose_conv_pair_s8 *p, const struct sg_conv_2d_pair_s8 *q,
                                                   const int32_t *row, const int32_t *column, const int8_t *in, int8_t *out,
                                                   int8_t *pair)
{
    const int32_t last_y = p->in_h - q->kernel_h, last_x = p->in_w - q->kernel_w;
    int32_t second = 0, y = row[2];
    int8_t *first = out;

    for (int32_t i = 0; i < 2 * q->depth; i++) {
        pair[i] = 0;
    }
    for (int32_t oy = row[1]; oy < p->out_h; oy += p->stride_h, y++) {
        int32_t x = column[2];
        for (int32_t ox = column[1]; ox < p->out_w; ox += p->stride_w, x++) {
            int8_t *const to = out + (oy * p->out_w + ox) * p->out_c;
            if (y >= 0 && x >= 0 && y <= last_y && x <= last_x) {
                sg_conv_2d_pair_s8_inside(q, in + (y * p->in_w + x) * p->in_c, pair + 4 * second);
            } else {
                sg_conv_2d_pair_s8_edge(q, in, pair + 4 * second, pair + 2 * q->depth, y, x);
            }
            if (second) {
                sg_conv_2d_pair_s8_finish(q, pair, first, to);
            }
            first = to;
            second ^= 1;
        }
    }
    if (second) {
        sg_conv_2d_pair_s8_finish(q, pair, first, first);
    }
}

static inline void sg_transpose_conv_pair_s8_image(const struct sg_transpose_conv_pair_s8 *p, const int8_t *in, int8_t *out,
                                                   int8_t *pair)
{
    struct sg_conv_2d_pair_s8 q = {
        .weights = p->weights,
        .table = p->table,
        .blocks = p->out_c / 4,
        .singles = p->out_c % 4,
        .in_h = p->in_h,
        .in_w = p->in_w,
        .in_c = p->in_c,
        .out_c = p->out_c,
        .dilation_h = 1,
        .in_zero_point = p->in_zero_point,
        .low = p->low,
        .high = p->high,
    };
    for (int32_t i = 0; i < p->stride_h; i++) {
        for (int32_t j = 0; j < p->stride_w; j++) {
            const int32_t *row = p->rows + 3 * i, *column = p->columns + 3 * j;
            q.kernel_h = row[0];
            q.kernel_w = column[0];
            q.depth = (row[0] * column[0] * p->in_c + 3) / 4 * 4;
            q.away = p->away[i * p->stride_w + j];
            sg_transpose_conv_pair_s8_phase(p, &q, row, column, in, out, pair);
            q.weights += p->out_c * q.depth;
            q.table += 3 * p->out_c;
        }
    }
}

static inline void sg_transpose_conv_pair_s8(const struct sg_transpose_conv_pair_s8 *p, const int8_t *in, int8_t *out, int8_t *pair)
{
    for (int32_t n = 0; n < p->batch; n++) {
        sg_transpose_conv_pair_s8_image(p, in, out, pair);
        in += p->in_h * p->in_w * p->in_c;
        out += p->out_h * p->out_w * p->out_c;
    }
}

#endif
