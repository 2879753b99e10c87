/* Sandgrain kernel: int8 2-D convolution on Armv7E-M with any window, stride, dilation and padding, two pixels at a time.
 *
 * The windows of two neighbouring pixels (row after row, so a pair may straddle rows) are widened to the scratch with
 * the padding filled in, then computed together. A window's order there: the whole words of each of its rows, then the
 * bytes that are left over from each row, together. Windows that reach outside are first laid out as bytes behind the
 * widened ones ("staged"), or, where channels come in whole words, gathered tap by tap with `blank` for the padding.
 */
#ifndef SG_CONV_WINDOW_DSP_S8_H
#define SG_CONV_WINDOW_DSP_S8_H

#include "sg_conv_dsp.h"
#include "sg_math.h"

struct sg_conv_window_dsp_s8 {
    const int32_t *packed_weights; /* see sg_block_2x4.h */
    const int8_t *blank;   /* [in_c], the input zero point */
    int32_t partial_block_begin, partial_block_end; /* in words of packed_weights: where the last, partial block starts and ends */
    int32_t words;         /* a window's size in words, rounded up */
    int32_t batch, in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t row_bytes;      /* kernel_w * in_c */
    /* Windows that start in rows 0..inside_rows-1 and columns 0..inside_columns-1 are runs of row_bytes inside the input. */
    int32_t inside_rows, inside_columns;
    int32_t zero_point, round_half_away, low, high;
};

/* A window's place: its first tap's row and column, which may lie outside. */
struct sg_place {
    int32_t y, x;
};

/* Whether neither of two windows reaches outside. */
static inline int32_t sg_conv_window_inside(const struct sg_conv_window_dsp_s8 *p, struct sg_place at0, struct sg_place at1)
{
    const uint32_t rows = (uint32_t)p->inside_rows, columns = (uint32_t)p->inside_columns;
    return (uint32_t)at0.y < rows && (uint32_t)at0.x < columns && (uint32_t)at1.y < rows && (uint32_t)at1.x < columns ? 1 : 0;
}

/* One window as bytes, rows one after another. */
static inline void sg_conv_window_stage(const struct sg_conv_window_dsp_s8 *p, const int8_t *in, struct sg_place at,
                                        int8_t *to)
{
    const int32_t ky0 = sg_first_tap(at.y, p->dilation_h), kx0 = sg_first_tap(at.x, p->dilation_w);
    const int32_t ky1 = sg_last_tap(at.y, p->dilation_h, p->kernel_h, p->in_h);
    const int32_t kx1 = sg_last_tap(at.x, p->dilation_w, p->kernel_w, p->in_w);
    const int32_t runs = p->dilation_w == 1 ? (kx1 > kx0) : kx1 - kx0;
    const int32_t run = p->dilation_w == 1 ? (kx1 - kx0) * p->in_c : p->in_c;
    const uint32_t fill = (uint32_t)(uint8_t)p->blank[0] * 0x01010101u;

    for (int32_t i = 0; i < p->words; i++) {
        sg_store32(to + 4 * i, fill);
    }
    for (int32_t ky = ky0; ky < ky1; ky++) {
        const int8_t *from = in + ((at.y + ky * p->dilation_h) * p->in_w + at.x + kx0 * p->dilation_w) * p->in_c;
        int8_t *row = to + ky * p->row_bytes + kx0 * p->in_c;
        for (int32_t r = 0; r < runs; r++) {
            for (int32_t i = 0; i < run; i++) {
                row[i] = from[i];
            }
            from += p->dilation_w * p->in_c;
            row += p->in_c;
        }
    }
}

static inline const int8_t *sg_conv_window_tap(const struct sg_conv_window_dsp_s8 *p, const int8_t *in, int32_t y, int32_t x)
{
    return y >= 0 && y < p->in_h && x >= 0 && x < p->in_w ? in + (y * p->in_w + x) * p->in_c : p->blank;
}

static inline void sg_conv_window_taps(const struct sg_conv_window_dsp_s8 *p, const int8_t *in, struct sg_place at0,
                                       struct sg_place at1, sg_word *to)
{
    for (int32_t y = 0; y < p->kernel_h * p->dilation_h; y += p->dilation_h) {
        for (int32_t x = 0; x < p->kernel_w * p->dilation_w; x += p->dilation_w) {
            to = sg_widen_2(sg_conv_window_tap(p, in, at0.y + y, at0.x + x),
                            sg_conv_window_tap(p, in, at1.y + y, at1.x + x), p->in_c >> 2, to);
        }
    }
}

/* Two windows whose rows are runs of row_bytes, `step` bytes apart. */
static inline void sg_conv_window_rows(const struct sg_conv_window_dsp_s8 *p, const int8_t *p0, const int8_t *p1,
                                       int32_t step, sg_word *to)
{
    const int32_t row_words = p->row_bytes >> 2, rest = p->row_bytes & 3;
    const int8_t *const end = p0 + p->kernel_h * step;
    uint32_t v0 = 0u, v1 = 0u, at = 0u;

    if (row_words != 0) {
        const int8_t *q1 = p1;
        for (const int8_t *q0 = p0; q0 != end; q0 = &q0[step]) {
            to = sg_widen_2(q0, q1, row_words, to);
            q1 = &q1[step];
        }
    }
    if (rest == 0) {
        return;
    }
    p1 = &p1[4 * row_words];
    if (rest == 1 && p->kernel_h == 3) { /* 3x3 over three channels, the usual first layer */
        const int8_t *const q0 = p0 + 4 * row_words;
        v0 = (uint32_t)(uint8_t)q0[0] | (uint32_t)(uint8_t)q0[step] << 8 | (uint32_t)(uint8_t)q0[2 * step] << 16;
        v1 = (uint32_t)(uint8_t)p1[0] | (uint32_t)(uint8_t)p1[step] << 8 | (uint32_t)(uint8_t)p1[2 * step] << 16;
        (void)sg_conv_widen_word(v0, v1, to);
        return;
    }
    for (p0 = &p0[4 * row_words]; p0 != end + 4 * row_words; p0 = &p0[step]) {
        for (int32_t i = 0; i < rest; i++) {
            v0 |= (uint32_t)(uint8_t)p0[i] << at;
            v1 |= (uint32_t)(uint8_t)p1[i] << at;
            at += 8u;
            if (at == 32u) {
                to = sg_conv_widen_word(v0, v1, to);
                v0 = 0u;
                v1 = 0u;
                at = 0u;
            }
        }
        p1 = &p1[step];
    }
    if (at != 0u) {
        (void)sg_conv_widen_word(v0, v1, to);
    }
}

static inline struct sg_place sg_conv_window_next(const struct sg_conv_window_dsp_s8 *p, struct sg_place at)
{
    at.x += p->stride_w;
    if (at.x >= p->out_w * p->stride_w - p->pad_left) {
        at.x = -p->pad_left;
        at.y += p->stride_h;
    }
    return at;
}

/* The widened windows of two pixels, in `x`; behind it there is room to stage them. */
SG_SPECIALIZE void sg_conv_window_pair(const struct sg_conv_window_dsp_s8 *p, const int8_t *in, struct sg_place at0,
                                       struct sg_place at1, sg_word *x)
{
    const int32_t inside = sg_conv_window_inside(p, at0, at1);
    const int8_t *p0 = in, *p1 = in;
    int32_t step = p->dilation_h * p->in_w * p->in_c;

    if (inside == 0 && (p->in_c & 3) == 0) {
        sg_conv_window_taps(p, in, at0, at1, x);
        return;
    }
    if (inside != 0) {
        p0 = in + (at0.y * p->in_w + at0.x) * p->in_c;
        p1 = in + (at1.y * p->in_w + at1.x) * p->in_c;
    } else {
        int8_t *const staged = (int8_t *)(x + 4 * p->words);
        sg_conv_window_stage(p, in, at0, staged);
        sg_conv_window_stage(p, in, at1, staged + 4 * p->words);
        p0 = staged;
        p1 = staged + 4 * p->words;
        step = p->row_bytes;
    }
    sg_conv_window_rows(p, p0, p1, step, x);
}

SG_SHARED void sg_conv_window_dsp_s8(const struct sg_conv_window_dsp_s8 *p, const int8_t *in, int8_t *out, int8_t *scratch)
{
    sg_word *const x = (sg_word *)(void *)scratch;
    const struct sg_conv_dsp c = {
        {x, sg_block_2x4_skip(p->words), p->zero_point, p->round_half_away, x + 4 * p->words},
        p->packed_weights, p->packed_weights + p->partial_block_begin, p->packed_weights + p->partial_block_end, p->out_c,
        p->low, p->high,
    };
    for (int32_t n = 0; n < p->batch; n++) {
        struct sg_place at0 = {-p->pad_top, -p->pad_left};
        for (int32_t left = p->out_h * p->out_w; left > 0; left -= 2) {
            const struct sg_place at1 = left > 1 ? sg_conv_window_next(p, at0) : at0;
            sg_conv_window_pair(p, in, at0, at1, x);
            sg_conv_dsp_pair(&c, out, left > 1 ? p->out_c : 0);
            at0 = sg_conv_window_next(p, at1);
            out += left > 1 ? 2 * p->out_c : p->out_c;
        }
        in += p->in_h * p->in_w * p->in_c;
    }
}

#endif
