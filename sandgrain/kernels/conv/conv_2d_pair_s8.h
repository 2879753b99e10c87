/* Sandgrain kernel: int8 2-D convolution by pairs of pixels, portable C99 (with an inner block in assembly on Armv7-M).
 *
 * The windows of two pixels are copied to the scratch, the input zero point where they hang over the edge, and all their
 * outputs are computed from there. So nothing of the input is read once a pair that it belongs to last has been copied:
 * the output may run into the input (the host knows how far). The bias holds the input zero point's share.
 *
 * A window's order: each row's taps and channels as they lie, cut to a multiple of 4; then what was cut off, row by row;
 * then up to 3 bytes that meet weights of 0.
 */
#ifndef SG_CONV_2D_PAIR_S8_H
#define SG_CONV_2D_PAIR_S8_H

#include "sg_block_4x2.h"
#include "sg_bytes.h"

struct sg_conv_2d_pair_s8 {
    const int8_t *weights; /* these five: see sg_block_4x2.h */
    const int32_t *table;
    int32_t depth, blocks, singles;
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, pad_top, pad_left;
    int32_t in_zero_point, low, high, away;
};

/* One row of taps to the scratch. `k`: bytes that earlier rows have put into the rest. */
static inline void sg_conv_2d_pair_s8_row(const struct sg_conv_2d_pair_s8 *p, const int8_t *in, int8_t *pair, int8_t *rest,
                                          int32_t k)
{
    const int32_t row = p->kernel_w * p->in_c, fours = row & ~3;
    sg_copy_fours(pair, in, fours);
    for (int32_t i = fours; i < row; i++) {
        rest[(k >> 2) * 8 + (k & 3)] = in[i];
        k++;
    }
}

/* The window at (y, x), some of it outside. A row that is not wholly inside is put together behind the windows. */
static inline void sg_conv_2d_pair_s8_edge(const struct sg_conv_2d_pair_s8 *p, const int8_t *in, int8_t *pair, int8_t *row,
                                           int32_t y, int32_t x)
{
    const int32_t taps = p->kernel_w * p->in_c, fours = taps & ~3;
    const int32_t before = x < 0 ? -x * p->in_c : 0, room = (p->in_w - x) * p->in_c;
    const int32_t inside = (room < taps ? room : taps) - before;
    int8_t *const rest = pair + 2 * fours * p->kernel_h;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        const int8_t *from = row;
        if (y >= 0 && y < p->in_h && inside == taps) {
            from = in + (y * p->in_w + x) * p->in_c;
        } else {
            sg_fill_bytes(row, (int8_t)p->in_zero_point, taps);
            if (y >= 0 && y < p->in_h && inside > 0) {
                sg_copy_bytes(row + before, in + ((y * p->in_w + x) * p->in_c + before), inside);
            }
        }
        sg_conv_2d_pair_s8_row(p, from, pair, rest, ky * (taps - fours));
        pair = &pair[2 * fours];
        y += p->dilation_h;
    }
}

/* The window at `in`, wholly inside. */
static inline void sg_conv_2d_pair_s8_inside(const struct sg_conv_2d_pair_s8 *p, const int8_t *in, int8_t *pair)
{
    const int32_t taps = p->kernel_w * p->in_c, fours = taps & ~3;
    int8_t *const rest = pair + 2 * fours * p->kernel_h;
    for (int32_t ky = 0; ky < p->kernel_h; ky++) {
        sg_conv_2d_pair_s8_row(p, in, pair, rest, ky * (taps - fours));
        pair = &pair[2 * fours];
        in += p->dilation_h * p->in_w * p->in_c;
    }
}

static inline void sg_conv_2d_pair_s8_finish(const struct sg_conv_2d_pair_s8 *p, const int8_t *pair, int8_t *out0, int8_t *out1)
{
    const struct sg_block_4x2 block = {p->weights, p->table, p->depth, p->blocks, p->singles};
    sg_block_4x2(&block, pair, out0, out1, p->away);
    if (p->low > -128 || p->high < 127) {
        for (int32_t i = 0; i < p->out_c; i++) {
            out0[i] = (int8_t)sg_clamp(out0[i], p->low, p->high);
            out1[i] = (int8_t)sg_clamp(out1[i], p->low, p->high);
        }
    }
}

/* A window of one pixel that moves by one: pixels follow each other in the input. */
static inline void sg_conv_2d_pair_s8_pointwise(const struct sg_conv_2d_pair_s8 *p, const int8_t *in, int8_t *out, int8_t *pair)
{
    int32_t left = p->batch * p->in_h * p->in_w;
    for (; left >= 2; left -= 2) {
        sg_copy_fours(pair, in, p->in_c);
        sg_copy_fours(pair + 4, in + p->in_c, p->in_c);
        sg_conv_2d_pair_s8_finish(p, pair, out, out + p->out_c);
        in += 2 * p->in_c;
        out += 2 * p->out_c;
    }
    if (left > 0) {
        sg_copy_fours(pair, in, p->in_c);
        sg_conv_2d_pair_s8_finish(p, pair, out, out);
    }
}

static inline void sg_conv_2d_pair_s8(const struct sg_conv_2d_pair_s8 *p, const int8_t *in, int8_t *out, int8_t *pair)
{
    const int32_t last_y = p->in_h - (p->kernel_h - 1) * p->dilation_h - 1, last_x = p->in_w - p->kernel_w;
    int32_t second = 0;
    for (int32_t i = 0; i < 2 * p->depth; i++) {
        pair[i] = 0;
    }
    if (p->kernel_h == 1 && p->kernel_w == 1 && p->stride_h == 1 && p->stride_w == 1 && p->out_h == p->in_h &&
        p->out_w == p->in_w) {
        sg_conv_2d_pair_s8_pointwise(p, in, out, pair);
        return;
    }
    for (int32_t n = 0; n < p->batch; n++) {
        int32_t y = -p->pad_top;
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            int32_t x = -p->pad_left;
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                if (y >= 0 && x >= 0 && y <= last_y && x <= last_x) {
                    sg_conv_2d_pair_s8_inside(p, in + (y * p->in_w + x) * p->in_c, pair + 4 * second);
                } else {
                    sg_conv_2d_pair_s8_edge(p, in, pair + 4 * second, pair + 2 * p->depth, y, x);
                }
                if (second != 0) {
                    sg_conv_2d_pair_s8_finish(p, pair, out, out + p->out_c);
                    out += 2 * p->out_c;
                }
                second ^= 1;
                x += p->stride_w;
            }
            y += p->stride_h;
        }
        in += p->in_h * p->in_w * p->in_c;
    }
    if (second != 0) {
        sg_conv_2d_pair_s8_finish(p, pair, out, out);
    }
}

#endif
