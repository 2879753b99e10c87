/* Sandgrain kernel: exchange the first and the third channel, RGB to BGR and back, portable C99. A pixel is read before it
 * is written, so `out` may be `in`. */
#ifndef SG_REORDER_U8_H
#define SG_REORDER_U8_H

#include "sg_math.h"

struct sg_reorder_u8 {
    int32_t pixels;
};

SG_SPECIALIZE void sg_reorder_u8(const struct sg_reorder_u8 *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < p->pixels; i++) {
        const uint8_t a = in[0], b = in[1], c = in[2];
        out[0] = c;
        out[1] = b;
        out[2] = a;
        in += 3;
        out += 3;
    }
}

#endif
