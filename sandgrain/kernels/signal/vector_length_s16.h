/* Sandgrain kernel: the Euclidean length of some channels of an int16 signal as its last channel, portable C99.
 *
 * Squares are 2^30 at most and there are 16, so that the sum is 2^34 at most; the root, rounded down and shifted, is 2^15 at most. `out`
 * lies apart from `in`. A stream has no state.
 */
#ifndef SG_VECTOR_LENGTH_S16_H
#define SG_VECTOR_LENGTH_S16_H

#include "sg_isqrt.h"
#include "sg_math.h"

struct sg_vector_length_s16 {
    int32_t samples, channels;
    int32_t measured; /* a bit for each channel that counts */
    int32_t copied;   /* a bit for each channel that is copied */
    int32_t shift;    /* bits that the length loses */
};

static inline void sg_vector_length_s16_rows(const struct sg_vector_length_s16 *p, const int16_t *in, int16_t *out, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        uint64_t sum = 0;
        for (int32_t c = 0; c < p->channels; c++) {
            const int32_t x = *in++, square = x * x;
            if (((p->measured >> c) & 1) != 0) {
                sum += (uint32_t)square;
            }
            if (((p->copied >> c) & 1) != 0) {
                *out++ = (int16_t)x;
            }
        }
        *out++ = (int16_t)sg_clamp((int32_t)(sg_isqrt64(sum) >> p->shift), 0, 32767);
    }
}

/* `count` samples of every channel. */
SG_SPECIALIZE void sg_vector_length_s16_step(const struct sg_vector_length_s16 *p, void *state, const int16_t *in, int16_t *out,
                                             int32_t count)
{
    (void)state;
    sg_vector_length_s16_rows(p, in, out, count);
}

SG_SPECIALIZE void sg_vector_length_s16(const struct sg_vector_length_s16 *p, const int16_t *in, int16_t *out)
{
    sg_vector_length_s16_rows(p, in, out, p->samples);
}

#endif
