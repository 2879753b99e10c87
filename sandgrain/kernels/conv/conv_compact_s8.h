/* Sandgrain kernel: int8 2-D convolution of one image, depthwise or not, the least code. A window is copied, then met by the weights of
 * every channel: all of it, or, depthwise, the channel's own taps.
 */
#ifndef SG_CONV_COMPACT_S8_H
#define SG_CONV_COMPACT_S8_H

#include "sg_compact.h"

struct sg_conv_compact_s8 {
    struct sg_rows rows; /* depth: taps * in_c; depthwise: taps, advancing */
    struct sg_window window;
};

static inline void sg_conv_compact_s8(const struct sg_conv_compact_s8 *p, const int8_t *in, int8_t *out, int8_t *scratch)
{
    for (int32_t y = -p->window.pad_top; y < p->window.y_end; y += p->window.stride_h) {
        for (int32_t x = -p->window.pad_left; x < p->window.x_end; x += p->window.stride_w) {
            sg_window_at(&p->window, in, y, x, scratch);
            out = sg_rows_of(&p->rows, scratch, out);
        }
    }
}

#endif
