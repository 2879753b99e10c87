/* Sandgrain kernel: the luma of a colour image, portable C99.
 *
 * The weights sum up to 2^16, so the sum fits 24 bits and white stays 255. Output n reads at 3n, so `out` may be `in`.
 */
#ifndef SG_GREY_U8_H
#define SG_GREY_U8_H

#include "sg_math.h"

struct sg_grey_u8 {
    int32_t pixels;
    int32_t weight[3]; /* of the channels in their order, 16 fraction bits */
};

SG_SPECIALIZE void sg_grey_u8(const struct sg_grey_u8 *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = 0; i < p->pixels; i++) {
        const int32_t sum = in[0] * p->weight[0] + in[1] * p->weight[1] + in[2] * p->weight[2];
        *out++ = (uint8_t)((uint32_t)(sum + 0x8000) >> 16);
        in += 3;
    }
}

#endif
