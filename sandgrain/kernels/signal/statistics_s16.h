/* Sandgrain kernel: statistics of each channel of an int16 signal [samples][channels], one channel's after another's, portable
 * C99. */
#ifndef SG_STATISTICS_S16_H
#define SG_STATISTICS_S16_H

#include "sg_moments.h"

struct sg_statistics_s16 {
    int32_t samples, channels;
    int32_t count, higher, numbers[16]; /* see sg_moments.h */
};

SG_SPECIALIZE void sg_statistics_s16(const struct sg_statistics_s16 *p, const int16_t *in, int16_t *out)
{
    for (int32_t c = 0; c < p->channels; c++) {
        struct sg_moments m = sg_moments_first(in + c, p->samples, p->channels);
        out = sg_moments_columns(&m, p->numbers, p->count, p->higher, out);
    }
}

#endif
