/* Sandgrain kernel: int8 2-D average pool, portable C99.
 *
 * Four channels at a time walk the window together. The host has seen to it that no window lies wholly outside
 * and that a plane has fewer than 2^23 pixels, so a sum fits 32 bits.
 */
#ifndef SG_AVERAGE_POOL_2D_S8_H
#define SG_AVERAGE_POOL_2D_S8_H

#include "sg_math.h"

struct sg_average_pool_2d_s8 {
    int32_t batch, in_h, in_w, channels, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left;
    int32_t low, high;
};

/* sum / count to nearest, halves away from zero. */
static inline int8_t sg_average_pool_2d_s8_finish(const struct sg_average_pool_2d_s8 *p, int32_t sum, int32_t count)
{
    const int32_t half = count / 2;
    return (int8_t)sg_clamp((sum + (sum > 0 ? half : -half)) / count, p->low, p->high);
}

/* One output pixel from the `rows` x `columns` taps at `x`, all of them inside the input. */
static inline void sg_average_pool_2d_s8_pixel(const struct sg_average_pool_2d_s8 *p, const int8_t *x, int8_t *out, int32_t rows, int32_t columns)
{
    const int32_t step = p->channels;
    const int32_t row_step = (p->in_w - columns) * step;
    int32_t c = 0;
    for (; c + 4 <= p->channels; c += 4) {
        int32_t v0 = 0, v1 = 0, v2 = 0, v3 = 0;
        const int8_t *v = x + c;
        for (int32_t ky = 0; ky < rows; ky++) {
            for (int32_t kx = 0; kx < columns; kx++) {
                v0 += v[0];
                v1 += v[1];
                v2 += v[2];
                v3 += v[3];
                v = &v[step];
            }
            v = &v[row_step];
        }
        out[c] = sg_average_pool_2d_s8_finish(p, v0, rows * columns);
        out[c + 1] = sg_average_pool_2d_s8_finish(p, v1, rows * columns);
        out[c + 2] = sg_average_pool_2d_s8_finish(p, v2, rows * columns);
        out[c + 3] = sg_average_pool_2d_s8_finish(p, v3, rows * columns);
    }
    for (; c < p->channels; c++) {
        int32_t v0 = 0;
        const int8_t *v = x + c;
        for (int32_t ky = 0; ky < rows; ky++) {
            for (int32_t kx = 0; kx < columns; kx++) {
                v0 += *v;
                v = &v[step];
            }
            v = &v[row_step];
        }
        out[c] = sg_average_pool_2d_s8_finish(p, v0, rows * columns);
    }
}

static inline void sg_average_pool_2d_s8(const struct sg_average_pool_2d_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            const int32_t y = oy * p->stride_h - p->pad_top;
            const int32_t ky0 = sg_first_tap(y, 1), ky1 = sg_last_tap(y, 1, p->kernel_h, p->in_h);
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                const int32_t x = ox * p->stride_w - p->pad_left;
                const int32_t kx0 = sg_first_tap(x, 1), kx1 = sg_last_tap(x, 1, p->kernel_w, p->in_w);
                const int8_t *start = in + ((y + ky0) * p->in_w + x + kx0) * p->channels;
                sg_average_pool_2d_s8_pixel(p, start, out, ky1 - ky0, kx1 - kx0);
                out += p->channels;
            }
        }
        in += p->in_h * p->in_w * p->channels;
    }
}

#endif
