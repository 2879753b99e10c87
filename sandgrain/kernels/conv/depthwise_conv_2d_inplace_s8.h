/* Sandgrain kernel: int8 depthwise convolution with one output channel an input channel, portable C99.
 *
 * One channel at a time: its plane is copied to the scratch with the zero point all round it, and every output is then
 * computed from the scratch without a bounds check. Output pixel p of channel c lies where input pixel p of channel c
 * was, and the output has no more pixels than the input, so `out` may be `in`. One image; the host sees to both.
 * The bias holds the input zero point's share; the host has proven that twice an accumulator, shifted left where its
 * rescaling asks for that, fits 32 bits.
 */
#ifndef SG_DEPTHWISE_CONV_2D_INPLACE_S8_H
#define SG_DEPTHWISE_CONV_2D_INPLACE_S8_H

#include "sg_narrow.h"
#include "sg_scale.h"

struct sg_depthwise_conv_2d_inplace_s8 {
    const int8_t *weights;     /* [channels][kernel_h][kernel_w] */
    const int32_t *bias;       /* [channels] */
    const int32_t *multiplier; /* [channels] */
    const int8_t *shift;       /* [channels], > 0 is left */
    int32_t channels, in_h, in_w, out_h, out_w;
    int32_t plane_h, plane_w; /* the input with its padding: the scratch holds plane_h * plane_w bytes */
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t in_zero_point, out_zero_point, low, high;
    int32_t sign; /* -1, or 0 where the clamp hides how negative halves are rounded */
    const int32_t *code; /* [channels] for sg_scale.h when `scaled` */
    int32_t scaled, away;
};

/* Channel `in` (its pixels `channels` bytes apart) into the middle of the scratch. */
static inline void sg_depthwise_conv_2d_inplace_s8_copy(const struct sg_depthwise_conv_2d_inplace_s8 *p, const int8_t *in,
                                                        int8_t *plane)
{
    const int32_t step = p->channels;
    int8_t *row = plane + p->pad_top * p->plane_w + p->pad_left;
    for (int32_t y = 0; y < p->in_h; y++) {
        int8_t *to = row;
        int32_t left = p->in_w;
        while (left >= 4) {
            const int8_t a = in[0], b = in[step];
            in = &in[2 * step];
            to[0] = a;
            to[1] = b;
            const int8_t c = in[0], d = in[step];
            in = &in[2 * step];
            to[2] = c;
            to[3] = d;
            left -= 4;
            to += 4;
        }
        while (left > 0) {
            int8_t *const last = to;
            to++; /* before the store: compilers then keep one pointer */
            *last = *in;
            left--;
            in = &in[step];
        }
        row += p->plane_w;
    }
}

/* A channel's rescaling, taken apart for sg_narrow.h. */
struct sg_depthwise_conv_2d_inplace_s8_scale {
    int32_t multiplier, left, right, half, sign, code;
};

static inline struct sg_depthwise_conv_2d_inplace_s8_scale
sg_depthwise_conv_2d_inplace_s8_scale(const struct sg_depthwise_conv_2d_inplace_s8 *p, int32_t c)
{
    const int32_t shift = p->shift[c], right = shift < 0 ? -shift : 0;
    const struct sg_depthwise_conv_2d_inplace_s8_scale s = {
        p->multiplier[c], (shift > 0 ? shift : 0) + 1, right, (int32_t)(((uint32_t)1 << right) >> 1), right > 0 ? p->sign : 0,
        p->scaled != 0 ? p->code[c] : 0,
    };
    return s;
}

SG_SPECIALIZE int8_t sg_depthwise_conv_2d_inplace_s8_finish(const struct sg_depthwise_conv_2d_inplace_s8 *p, int32_t acc,
                                                            const struct sg_depthwise_conv_2d_inplace_s8_scale *s)
{
    if (p->scaled != 0) {
        return (int8_t)sg_clamp(sg_scale(acc, s->multiplier, s->code, p->away), p->low, p->high);
    }
    const int32_t wide = (int32_t)((uint32_t)acc << s->left);
    const int32_t y = sg_narrow_shift(sg_high_mul_twice(wide, s->multiplier), s->right, s->half, s->sign);
    return (int8_t)sg_clamp(y + p->out_zero_point, p->low, p->high);
}

/* Three taps of one row. */
static inline int32_t sg_depthwise_conv_2d_inplace_s8_row3(int32_t acc, const int8_t *x, const int8_t *w)
{
    return acc + x[0] * w[0] + x[1] * w[1] + x[2] * w[2];
}

/* One channel with a 3x3 window without dilation: two outputs at a time share the loads of the weights, and of the inputs
 * where their windows overlap. */
SG_SPECIALIZE void sg_depthwise_conv_2d_inplace_s8_3x3(const struct sg_depthwise_conv_2d_inplace_s8 *p, const int8_t *plane,
                                                       int32_t c, int8_t *out)
{
    const int8_t *w = p->weights + 9 * c;
    const int32_t bias = p->bias[c], next = p->stride_w, width = p->plane_w;
    const struct sg_depthwise_conv_2d_inplace_s8_scale s = sg_depthwise_conv_2d_inplace_s8_scale(p, c);
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        const int8_t *x = plane + oy * p->stride_h * width;
        int32_t left = p->out_w;
        while (left >= 2) {
            int32_t acc0 = sg_depthwise_conv_2d_inplace_s8_row3(bias, x, w);
            int32_t acc1 = sg_depthwise_conv_2d_inplace_s8_row3(bias, x + next, w);
            acc0 = sg_depthwise_conv_2d_inplace_s8_row3(acc0, x + width, w + 3);
            acc1 = sg_depthwise_conv_2d_inplace_s8_row3(acc1, x + width + next, w + 3);
            acc0 = sg_depthwise_conv_2d_inplace_s8_row3(acc0, x + 2 * width, w + 6);
            acc1 = sg_depthwise_conv_2d_inplace_s8_row3(acc1, x + 2 * width + next, w + 6);
            out[0] = sg_depthwise_conv_2d_inplace_s8_finish(p, acc0, &s);
            out[p->channels] = sg_depthwise_conv_2d_inplace_s8_finish(p, acc1, &s);
            out += 2 * p->channels;
            left -= 2;
            x = &x[2 * next];
        }
        if (left > 0) {
            int32_t acc = sg_depthwise_conv_2d_inplace_s8_row3(bias, x, w);
            acc = sg_depthwise_conv_2d_inplace_s8_row3(acc, x + width, w + 3);
            acc = sg_depthwise_conv_2d_inplace_s8_row3(acc, x + 2 * width, w + 6);
            *out = sg_depthwise_conv_2d_inplace_s8_finish(p, acc, &s);
            out += p->channels;
        }
    }
}

/* One channel with any window. */
static inline void sg_depthwise_conv_2d_inplace_s8_any(const struct sg_depthwise_conv_2d_inplace_s8 *p, const int8_t *plane,
                                                       int32_t c, int8_t *out)
{
    const int8_t *const weights = p->weights + c * p->kernel_h * p->kernel_w;
    const int32_t row_step = p->dilation_h * p->plane_w - p->kernel_w * p->dilation_w;
    const struct sg_depthwise_conv_2d_inplace_s8_scale s = sg_depthwise_conv_2d_inplace_s8_scale(p, c);
    for (int32_t oy = 0; oy < p->out_h; oy++) {
        for (int32_t ox = 0; ox < p->out_w; ox++) {
            const int8_t *w = weights;
            int32_t at = oy * p->stride_h * p->plane_w + ox * p->stride_w, acc = p->bias[c];
            for (int32_t ky = 0; ky < p->kernel_h; ky++) {
                for (int32_t kx = 0; kx < p->kernel_w; kx++) {
                    acc += plane[at] * *w++;
                    at += p->dilation_w;
                }
                at += row_step;
            }
            *out = sg_depthwise_conv_2d_inplace_s8_finish(p, acc, &s);
            out += p->channels;
        }
    }
}

/* Whether the window is the usual one. */
SG_SPECIALIZE int32_t sg_depthwise_conv_2d_inplace_s8_narrow(const struct sg_depthwise_conv_2d_inplace_s8 *p)
{
    return p->kernel_h == 3 && p->kernel_w == 3 && p->dilation_h == 1 && p->dilation_w == 1 ? 1 : 0;
}

SG_SPECIALIZE void sg_depthwise_conv_2d_inplace_s8(const struct sg_depthwise_conv_2d_inplace_s8 *p, const int8_t *in,
                                                   int8_t *out, int8_t *plane)
{
    const int32_t narrow = sg_depthwise_conv_2d_inplace_s8_narrow(p);
    for (int32_t i = 0; i < p->plane_h * p->plane_w; i++) {
        plane[i] = (int8_t)p->in_zero_point;
    }
    for (int32_t c = 0; c < p->channels; c++) {
        sg_depthwise_conv_2d_inplace_s8_copy(p, in + c, plane);
        if (narrow != 0) {
            sg_depthwise_conv_2d_inplace_s8_3x3(p, plane, c, out + c);
        } else {
            sg_depthwise_conv_2d_inplace_s8_any(p, plane, c, out + c);
        }
    }
}

#endif
