/* Sandgrain kernel: int8 2-D convolution, portable C99.
 *
 * Four output channels at a time share each input load. Weights are packed on the host in the order they are read:
 * [out_c / 4][kernel_h][kernel_w][in_c][4], then the last out_c % 4 channels one after another.
 * The host has proven that no accumulator leaves 32 bits.
 */
#ifndef SG_CONV_2D_S8_H
#define SG_CONV_2D_S8_H

#include "sg_math.h"

struct sg_conv_2d_s8 {
    const int8_t *weights;
    const int32_t *bias;       /* [out_c]; holds the input zero point's share where there is no padding */
    const int32_t *multiplier; /* [out_c] */
    const int8_t *shift;       /* [out_c], > 0 is left */
    int32_t batch, in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t in_offset, out_zero_point, low, high;
};

static inline int8_t sg_conv_2d_s8_finish(const struct sg_conv_2d_s8 *p, int32_t acc, int32_t c)
{
    const int32_t y = sg_requantize(acc, p->multiplier[c], p->shift[c]) + p->out_zero_point;
    return (int8_t)sg_clamp(y, p->low, p->high);
}

/* One output pixel. The window's taps ky0..ky1-1, kx0..kx1-1 lie inside the input; tap (ky0, kx0) is x[start]. Where no tap
 * lies inside, `start` may be outside the input, so it is made a pointer only where a tap is read.
 * Where dilation_w is 1, a row's taps and channels are one contiguous run in the input and in the weights. */
static inline void sg_conv_2d_s8_pixel(const struct sg_conv_2d_s8 *p, const int8_t *x, int32_t start, int8_t *out, int32_t ky0,
                                       int32_t ky1, int32_t kx0, int32_t kx1)
{
    const int32_t taps = p->kernel_h * p->kernel_w * p->in_c;
    const int32_t runs = p->dilation_w == 1 ? (kx1 > kx0) : kx1 - kx0;
    const int32_t run = p->dilation_w == 1 ? (kx1 - kx0) * p->in_c : p->in_c;
    const int32_t row_step = p->dilation_h * p->in_w * p->in_c;
    const int32_t run_step = p->dilation_w * p->in_c;
    const int8_t *weights = p->weights;
    int32_t c = 0;

    for (; c + 4 <= p->out_c; c += 4) {
        int32_t acc0 = p->bias[c], acc1 = p->bias[c + 1], acc2 = p->bias[c + 2], acc3 = p->bias[c + 3];
        for (int32_t ky = ky0; ky < ky1; ky++) {
            const int32_t row = start + (ky - ky0) * row_step;
            for (int32_t r = 0; r < runs; r++) {
                const int8_t *v = x + (row + r * run_step);
                const int8_t *w = weights + (ky * p->kernel_w + kx0 + r) * p->in_c * 4;
                for (int32_t i = 0; i < run; i++) {
                    const int32_t value = v[i] + p->in_offset;
                    acc0 += value * w[0];
                    acc1 += value * w[1];
                    acc2 += value * w[2];
                    acc3 += value * w[3];
                    w += 4;
                }
            }
        }
        out[c] = sg_conv_2d_s8_finish(p, acc0, c);
        out[c + 1] = sg_conv_2d_s8_finish(p, acc1, c + 1);
        out[c + 2] = sg_conv_2d_s8_finish(p, acc2, c + 2);
        out[c + 3] = sg_conv_2d_s8_finish(p, acc3, c + 3);
        weights += 4 * taps;
    }
    /* The mask is for compilers that know out_c: from c alone, gcc does not see that no channel is left, and counts too far. */
    for (; (p->out_c & 3) != 0 && c < p->out_c; c++) {
        int32_t acc = p->bias[c];
        for (int32_t ky = ky0; ky < ky1; ky++) {
            const int32_t row = start + (ky - ky0) * row_step;
            for (int32_t r = 0; r < runs; r++) {
                const int8_t *v = x + (row + r * run_step);
                const int8_t *w = weights + (ky * p->kernel_w + kx0 + r) * p->in_c;
                for (int32_t i = 0; i < run; i++) {
                    acc += (v[i] + p->in_offset) * *w++;
                }
            }
        }
        out[c] = sg_conv_2d_s8_finish(p, acc, c);
        weights += taps;
    }
}

static inline void sg_conv_2d_s8(const struct sg_conv_2d_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            const int32_t ky0 = sg_first_tap(y, p->dilation_h);
            const int32_t ky1 = sg_last_tap(y, p->dilation_h, p->kernel_h, p->in_h);
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                const int32_t x = ox * p->stride_w - p->pad_left;
                const int32_t kx0 = sg_first_tap(x, p->dilation_w);
                const int32_t kx1 = sg_last_tap(x, p->dilation_w, p->kernel_w, p->in_w);
                const int32_t start = (y + ky0 * p->dilation_h) * p->in_w + x + kx0 * p->dilation_w;
                sg_conv_2d_s8_pixel(p, in, start * p->in_c, out, ky0, ky1, kx0, kx1);
                out += p->out_c;
            }
        }
        in += p->in_h * p->in_w * p->in_c;
    }
}

#endif
