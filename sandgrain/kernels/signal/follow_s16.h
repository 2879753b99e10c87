/* Sandgrain kernel: each sample of an int16 signal against the mean and deviation of the `lead` samples before it, portable C99.
 *
 * The first `lead` samples of every channel give nothing. The state of a stream: how many came (as far as that matters), the place of the
 * oldest sample, a measure a channel, and the last `lead` samples of all channels as a ring. Zero it before the first chunk; chunks of
 * any length then give what one call gives. `out` may be `in`. A sample costs a root and a division of 64 bits a channel.
 */
#ifndef SG_FOLLOW_S16_H
#define SG_FOLLOW_S16_H

#include "sg_settle.h"

struct sg_follow_s16 {
    int32_t samples, channels; /* samples: the lead and what comes behind it */
    int32_t lead;
    int32_t scaled; /* 1: over the deviation, in 1/1024; 0: less the mean alone */
};

static inline int16_t sg_follow_s16_one(const struct sg_follow_s16 *p, const struct sg_settle_measure *sums, int32_t x)
{
    struct sg_settle_measure m = *sums;
    if (p->scaled == 0) {
        return sg_settle_centred(&m, p->lead, x);
    }
    sg_settle_close(&m, p->lead);
    return sg_settle_scaled(&m, p->lead, x);
}

/* `count` samples of every channel; returns how many of every channel were written. */
SG_SPECIALIZE int32_t sg_follow_s16_step(const struct sg_follow_s16 *p, void *state, const int16_t *in, int16_t *out, int32_t count)
{
    int32_t *came = (int32_t *)state, *oldest = came + 1;
    struct sg_settle_measure *measures = (struct sg_settle_measure *)(void *)(came + 2);
    int16_t *ring = (int16_t *)(void *)(measures + p->channels);
    int32_t written = 0;

    for (int32_t i = 0; i < count; i++) {
        int16_t *place = ring + *oldest * p->channels;
        for (int32_t c = 0; c < p->channels; c++) {
            const int32_t x = *in++;
            if (*came == p->lead) {
                *out++ = sg_follow_s16_one(p, &measures[c], x);
            }
            sg_settle_add(&measures[c], x, place[c]); /* 0 is gone as long as the ring fills */
            place[c] = (int16_t)x;
        }
        written += *came == p->lead ? 1 : 0;
        *came += *came < p->lead ? 1 : 0;
        *oldest = *oldest + 1 < p->lead ? *oldest + 1 : 0;
    }
    return written;
}

/* A lead and a window from a zero state. */
SG_SPECIALIZE void sg_follow_s16(const struct sg_follow_s16 *p, int8_t *scratch, const int16_t *in, int16_t *out)
{
    int32_t *state = (int32_t *)(void *)scratch;

    for (int32_t i = 0; i < 2 + 3 * p->channels + (p->lead * p->channels + 1) / 2; i++) {
        state[i] = 0;
    }
    (void)sg_follow_s16_step(p, state, in, out, p->samples);
}

#endif
