/* Sandgrain kernel: int16 [rows][columns] to int8, each column with an offset and a factor of its own, portable C99. `out` may
 * be `in`, or begin before it: byte i is written after value i was read, which ends behind it.
 */
#ifndef SG_STANDARDIZE_S16_H
#define SG_STANDARDIZE_S16_H

#include "sg_math.h"

struct sg_standardize_s16 {
    int32_t rows, columns;
    const int32_t *offset; /* [columns], 8 fraction bits, |offset| <= 2^24 */
    const int32_t *multiplier;
    const int8_t *shift;   /* <= 5: |256 x - offset| < 2^25 leaves room */
    int32_t out_zero_point;
};

SG_SPECIALIZE void sg_standardize_s16(const struct sg_standardize_s16 *p, const int16_t *in, int8_t *out)
{
    for (int32_t r = 0; r < p->rows; r++) {
        for (int32_t c = 0; c < p->columns; c++) {
            const int32_t centred = *in++ * 256 - p->offset[c];
            *out++ = (int8_t)sg_clamp(sg_requantize(centred, p->multiplier[c], p->shift[c]) + p->out_zero_point, -128, 127);
        }
    }
}

#endif
