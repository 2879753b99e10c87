/* Sandgrain kernel: int8 2-D max pool, for cores with the DSP extension: four channels at a time, in one word.
 *
 * The host has seen to it that no window lies wholly outside.
 */
#ifndef SG_MAX_POOL_2D_DSP_S8_H
#define SG_MAX_POOL_2D_DSP_S8_H

#include "sg_dsp_fours.h"
#include "sg_math.h"

struct sg_max_pool_2d_dsp_s8 {
    int32_t batch, in_h, in_w, channels, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    int32_t low, high;
};

/* One output pixel from the `rows` x `columns` taps at `x`, all of them inside the input; `rows` are `row_step` bytes apart. */
static inline void sg_max_pool_2d_dsp_s8_pixel(const struct sg_max_pool_2d_dsp_s8 *p, const int8_t *x, int8_t *out, int32_t rows, int32_t columns, int32_t row_step)
{
    const uint32_t low = sg_dsp_splat(p->low), high = sg_dsp_splat(p->high);
    int32_t c = 0;
    for (; c + 4 <= p->channels; c += 4) {
        uint32_t largest = low;
        for (int32_t ky = 0; ky < rows; ky++) {
            const int8_t *v = x + c + ky * row_step;
            int32_t left = columns;
            for (; left >= 2; left -= 2) {
                largest = sg_dsp_max_four(largest, sg_load32(v));
                largest = sg_dsp_max_four(largest, sg_load32(v + p->channels));
                v += 2 * p->channels;
            }
            if (left > 0) {
                largest = sg_dsp_max_four(largest, sg_load32(v));
            }
        }
        if (p->high < 127) {
            largest = sg_dsp_min_four(largest, high);
        }
        sg_dsp_store_four(out + c, largest);
    }
    for (; c < p->channels; c++) {
        int32_t largest = -128;
        for (int32_t ky = 0; ky < rows; ky++) {
            const int8_t *v = x + c + ky * row_step;
            for (int32_t kx = 0; kx < columns; kx++) {
                largest = *v > largest ? *v : largest;
                v += p->channels;
            }
        }
        out[c] = (int8_t)sg_clamp(largest, p->low, p->high);
    }
}

static inline void sg_max_pool_2d_dsp_s8(const struct sg_max_pool_2d_dsp_s8 *p, const int8_t *in, int8_t *out)
{
    const int32_t row_step = p->in_w * p->channels;
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            const int32_t ky0 = sg_first_tap(y, 1), ky1 = sg_last_tap(y, 1, p->kernel_h, p->in_h);
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                const int32_t x = ox * p->stride_w - p->pad_left;
                const int32_t kx0 = sg_first_tap(x, 1), kx1 = sg_last_tap(x, 1, p->kernel_w, p->in_w);
                const int8_t *start = in + ((y + ky0) * p->in_w + x + kx0) * p->channels;
                const int32_t width = kx1 - kx0; /* rows of p->in_w are behind each other */
                const int32_t rows = width == p->in_w ? 1 : ky1 - ky0, columns = width == p->in_w ? (ky1 - ky0) * p->in_w : width;
                sg_max_pool_2d_dsp_s8_pixel(p, start, out, rows, columns, row_step);
                out += p->channels;
            }
        }
        in += p->in_h * row_step;
    }
}

#endif
