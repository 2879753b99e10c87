/* Sandgrain kernel: each sample of an int16 signal less a part of the one before, portable C99.
 *
 * x 2^15 and coefficient x1 reach down to -2^30 and up to 2^30 - 2^15, so their difference lies within 2^31 - 2^15. It is rounded to
 * nearest, halves up, by adding the last bit that goes. `out` may be `in`. The state of a stream, 1 + channels words: whether a sample
 * came, and the last of each channel. Zero it before the first chunk; chunks of any length then give what one call gives.
 */
#ifndef SG_DIFFERENCE_S16_H
#define SG_DIFFERENCE_S16_H

#include "sg_math.h"

struct sg_difference_s16 {
    int32_t samples, channels;
    int32_t coefficient; /* Q15, 0 to 2^15 */
    int32_t bits;        /* that a sum loses: 15, or 16 for units of 2 */
    int32_t held;        /* 1: what comes before the first sample is that sample, 0: it is 0 */
};

/* `count` samples of every channel; the state goes on. */
SG_SPECIALIZE void sg_difference_s16_step(const struct sg_difference_s16 *p, void *state, const int16_t *in, int16_t *out,
                                          int32_t count)
{
    int32_t *s = (int32_t *)state;

    for (int32_t c = 0; c < p->channels && count > 0; c++) {
        int32_t before = p->held != 0 && s[0] == 0 ? in[c] : s[1 + c];
        for (int32_t i = c; i < count * p->channels; i += p->channels) {
            const int32_t x = in[i];
            out[i] = (int16_t)sg_clamp((((x * 32768 - p->coefficient * before) >> (p->bits - 1)) + 1) >> 1, -32768, 32767);
            before = x;
        }
        s[1 + c] = before;
    }
    s[0] = count > 0 ? 1 : s[0];
}

/* A whole window from a zero state. */
SG_SPECIALIZE void sg_difference_s16(const struct sg_difference_s16 *p, int8_t *scratch, const int16_t *in, int16_t *out)
{
    int32_t *state = (int32_t *)(void *)scratch;

    for (int32_t i = 0; i < 1 + p->channels; i++) {
        state[i] = 0;
    }
    sg_difference_s16_step(p, state, in, out, p->samples);
}

#endif
