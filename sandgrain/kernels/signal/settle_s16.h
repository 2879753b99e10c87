/* Sandgrain kernel: each sample of an int16 signal against the mean and deviation of the first `lead`, portable C99.
 *
 * The first `lead` samples of every channel give nothing. The state of a stream: how many of them came, then a measure a channel. Zero
 * it before the first chunk; chunks of any length then give what one call gives. `out` may be `in`.
 */
#ifndef SG_SETTLE_S16_H
#define SG_SETTLE_S16_H

#include "sg_settle.h"

struct sg_settle_s16 {
    int32_t samples, channels; /* samples: the lead and what comes behind it */
    int32_t lead;
    int32_t scaled; /* 1: over the deviation, in 1/1024; 0: less the mean alone */
};

/* `count` samples of every channel; returns how many of every channel were written. */
SG_SPECIALIZE int32_t sg_settle_s16_step(const struct sg_settle_s16 *p, void *state, const int16_t *in, int16_t *out, int32_t count)
{
    int32_t *came = (int32_t *)state;
    struct sg_settle_measure *measures = (struct sg_settle_measure *)(void *)(came + 1);
    int32_t i = 0;

    for (; i < count && *came < p->lead; i++) {
        *came += 1;
        for (int32_t c = 0; c < p->channels; c++) {
            sg_settle_add(&measures[c], *in++, 0);
            if (*came == p->lead && p->scaled != 0) {
                sg_settle_close(&measures[c], p->lead);
            }
        }
    }
    for (int32_t k = i; k < count; k++) {
        for (int32_t c = 0; c < p->channels; c++) {
            const int32_t x = *in++;
            *out++ = p->scaled != 0 ? sg_settle_scaled(&measures[c], p->lead, x) : sg_settle_centred(&measures[c], p->lead, x);
        }
    }
    return count - i;
}

/* A lead and a window from a zero state. */
SG_SPECIALIZE void sg_settle_s16(const struct sg_settle_s16 *p, int8_t *scratch, const int16_t *in, int16_t *out)
{
    int32_t *state = (int32_t *)(void *)scratch;

    for (int32_t i = 0; i < 1 + 3 * p->channels; i++) {
        state[i] = 0;
    }
    (void)sg_settle_s16_step(p, state, in, out, p->samples);
}

#endif
