/* Sandgrain kernel: every factor-th sample of an int16 signal after a symmetric FIR filter with Q15 taps, portable C99.
 *
 * The host has proven that the magnitudes of the taps sum to at most 65535: a sum of products and half a unit stay below 2^31.
 * The state of a stream, all int16: how many samples came since the last output, then the last `history` samples of all
 * channels, oldest first. Zero it before the first chunk; chunks of any length then give what one call gives. `out` lies apart from `in`.
 */
#ifndef SG_DECIMATE_S16_H
#define SG_DECIMATE_S16_H

#include "sg_math.h"

struct sg_decimate_s16 {
    int32_t samples, channels, factor;
    int32_t history;     /* taps - 1, even */
    const int16_t *half; /* [history / 2 + 1]: the first taps, the middle one last */
};

/* All taps within `in`; `x` is the oldest sample that is used. */
static inline int32_t sg_decimate_s16_inside(const struct sg_decimate_s16 *p, const int16_t *x)
{
    const int16_t *y = x + p->history * p->channels;
    int32_t sum = 1 << 14;
    for (int32_t j = 0; j < p->history / 2; j++) {
        sum += p->half[j] * ((int32_t)*x + *y);
        x += p->channels;
        y -= p->channels;
    }
    return sum + p->half[p->history / 2] * (int32_t)*x;
}

/* The newest sample is number i of `in`, i < history: the oldest `history - i` come from the delay line. */
static inline int32_t sg_decimate_s16_across(const struct sg_decimate_s16 *p, const int16_t *line, const int16_t *in, int32_t i)
{
    const int16_t *x = line + i * p->channels;
    int32_t sum = 1 << 14;
    for (int32_t j = 0; j <= p->history; j++) {
        if (j == p->history - i) {
            x = in;
        }
        sum += p->half[j <= p->history / 2 ? j : p->history - j] * (int32_t)*x;
        x += p->channels;
    }
    return sum;
}

/* The delay line after `count` samples of `in`. */
static inline void sg_decimate_s16_remember(const struct sg_decimate_s16 *p, int16_t *line, const int16_t *in, int32_t count)
{
    const int32_t kept = count < p->history ? (p->history - count) * p->channels : 0;
    const int32_t all = p->history * p->channels;
    const int16_t *from = in + count * p->channels - (all - kept);
    for (int32_t i = 0; i < kept; i++) {
        line[i] = line[i + count * p->channels];
    }
    for (int32_t i = kept; i < all; i++) {
        line[i] = *from++;
    }
}

/* `count` samples of every channel; returns how many of every channel were written. */
SG_SPECIALIZE int32_t sg_decimate_s16_step(const struct sg_decimate_s16 *p, void *state, const int16_t *in, int16_t *out,
                                           int32_t count)
{
    int16_t *line = (int16_t *)state + 1;
    int32_t written = 0, i = p->factor - 1 - line[-1];

    for (; i < count; i += p->factor) {
        for (int32_t c = 0; c < p->channels; c++) {
            const int32_t sum = i < p->history ? sg_decimate_s16_across(p, line + c, in + c, i)
                                               : sg_decimate_s16_inside(p, in + (i - p->history) * p->channels + c);
            *out++ = (int16_t)sg_clamp(sum >> 15, -32768, 32767);
        }
        written++;
    }
    line[-1] = (int16_t)(count - (i - p->factor + 1));
    sg_decimate_s16_remember(p, line, in, count);
    return written;
}

/* A whole window, zeros before it. */
SG_SPECIALIZE void sg_decimate_s16(const struct sg_decimate_s16 *p, int8_t *scratch, const int16_t *in, int16_t *out)
{
    int16_t *state = (int16_t *)(void *)scratch;

    for (int32_t i = 0; i < 1 + p->history * p->channels; i++) {
        state[i] = 0;
    }
    (void)sg_decimate_s16_step(p, state, in, out, p->samples);
}

#endif
