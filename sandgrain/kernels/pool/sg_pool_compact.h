/* Sandgrain kernels: both pools over one image, the least code; `average` is a literal, so each kernel keeps its half. */
#ifndef SG_POOL_COMPACT_H
#define SG_POOL_COMPACT_H

#include "sg_math.h"

struct sg_pool_compact {
    int16_t in_h, in_w, channels, y_end, x_end; /* windows start above y_end, left of x_end */
    uint16_t kernel_h, kernel_w;
    uint8_t stride_h, stride_w, pad_top, pad_left;
    int8_t low, high;
};

/* One output from the taps in rows y0..y1-1 and columns x0..x1-1, all inside; `in`: the channel's first byte. */
SG_SPECIALIZE int32_t sg_pool_compact_one(const struct sg_pool_compact *p, const int8_t *in, int32_t y0, int32_t y1, int32_t x0,
                                          int32_t x1, int32_t average)
{
    int32_t value = average ? 0 : -128;
    for (int32_t y = y0; y < y1; y++) {
        for (int32_t x = x0; x < x1; x++) {
            const int32_t tap = in[(y * p->in_w + x) * p->channels];
            value = average ? value + tap : (tap > value ? tap : value);
        }
    }
    if (average) { /* to nearest, halves away from zero */
        const int32_t count = (y1 - y0) * (x1 - x0), half = count / 2;
        value = (value + (value > 0 ? half : -half)) / count;
    }
    return value;
}

SG_SPECIALIZE void sg_pool_compact_all(const struct sg_pool_compact *p, const int8_t *in, int8_t *out, int32_t average)
{
    for (int32_t y = -p->pad_top; y < p->y_end; y += p->stride_h) {
        const int32_t y1 = y + p->kernel_h, y0 = y < 0 ? 0 : y;
        for (int32_t x = -p->pad_left; x < p->x_end; x += p->stride_w) {
            const int32_t x1 = x + p->kernel_w, x0 = x < 0 ? 0 : x;
            for (int32_t c = 0; c < p->channels; c++) {
                const int32_t value = sg_pool_compact_one(p, in + c, y0, y1 < p->in_h ? y1 : p->in_h, x0, x1 < p->in_w ? x1 : p->in_w, average);
                *out++ = (int8_t)sg_clamp(value, p->low, p->high);
            }
        }
    }
}

#endif
