/* Sandgrain kernel: pixels to a model's int8 input, a factor and an offset a channel, portable C99.
 *
 * The host keeps |x * factor + offset| < 2^30; the offset holds the zero point and the half that rounds. `out` may be `in`.
 */
#ifndef SG_NORMALIZE_U8_H
#define SG_NORMALIZE_U8_H

#include "sg_math.h"

struct sg_normalize_u8 {
    int32_t pixels, channels; /* channels with the same numbers count as more pixels */
    int32_t factor[4], offset[4];
    int32_t shift;
};

SG_SPECIALIZE void sg_normalize_u8(const struct sg_normalize_u8 *p, const uint8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < p->pixels; i++) {
        for (int32_t c = 0; c < p->channels; c++) {
            const int32_t level = (*in++ * p->factor[c] + p->offset[c]) >> p->shift;
            *out++ = (int8_t)sg_clamp(level, -128, 127);
        }
    }
}

#endif
