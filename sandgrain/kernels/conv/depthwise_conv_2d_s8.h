/* Sandgrain kernel: int8 depthwise convolution of any shape, portable C99.
 *
 * Each input channel makes `depth_multiplier` output channels. The host has proven that no accumulator leaves 32 bits.
 */
#ifndef SG_DEPTHWISE_CONV_2D_S8_H
#define SG_DEPTHWISE_CONV_2D_S8_H

#include "sg_math.h"

struct sg_depthwise_conv_2d_s8 {
    const int8_t *weights;     /* [in_c][depth_multiplier][kernel_h][kernel_w] */
    const int32_t *bias;       /* [out_c] */
    const int32_t *multiplier; /* [out_c] */
    const int8_t *shift;       /* [out_c], > 0 is left */
    int32_t batch, in_h, in_w, in_c, out_h, out_w, depth_multiplier;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t in_offset, out_zero_point, low, high;
};

/* One output pixel. The window's taps ky0..ky1-1, kx0..kx1-1 lie inside the input; tap (ky0, kx0) of channel 0 is x[start].
 * Where no tap lies inside, `start` and the first weight may be outside too: they stay indices until they are read. */
static inline void sg_depthwise_conv_2d_s8_pixel(const struct sg_depthwise_conv_2d_s8 *p, const int8_t *x, int32_t start,
                                                 int8_t *out, int32_t ky0, int32_t ky1, int32_t kx0, int32_t kx1)
{
    const int32_t x_step = p->dilation_w * p->in_c;
    const int32_t row_step = p->dilation_h * p->in_w * p->in_c - (kx1 - kx0) * x_step;
    int32_t first = ky0 * p->kernel_w + kx0, o = 0;
    for (int32_t c = 0; c < p->in_c; c++) {
        for (int32_t m = 0; m < p->depth_multiplier; m++) {
            int32_t at = start + c, w = first, acc = p->bias[o];
            for (int32_t ky = ky0; ky < ky1; ky++) {
                for (int32_t kx = kx0; kx < kx1; kx++) {
                    acc += (x[at] + p->in_offset) * p->weights[w++];
                    at += x_step;
                }
                at += row_step;
                w += p->kernel_w - (kx1 - kx0);
            }
            const int32_t y = sg_requantize(acc, p->multiplier[o], p->shift[o]) + p->out_zero_point;
            out[o] = (int8_t)sg_clamp(y, p->low, p->high);
            first += p->kernel_h * p->kernel_w;
            o++;
        }
    }
}

static inline void sg_depthwise_conv_2d_s8(const struct sg_depthwise_conv_2d_s8 *p, const int8_t *in, int8_t *out)
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
                sg_depthwise_conv_2d_s8_pixel(p, in, start * p->in_c, out, ky0, ky1, kx0, kx1);
                out += p->in_c * p->depth_multiplier;
            }
        }
        in += p->in_h * p->in_w * p->in_c;
    }
}

#endif
