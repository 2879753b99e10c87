/* Sandgrain kernel: statistics of each channel of an int16 signal, and behind them the correlation of each pair of channels,
 * portable C99. The parts say what they do: statistics_s16.h, sg_correlation.h.
 */
#ifndef SG_STATISTICS_PAIRS_S16_H
#define SG_STATISTICS_PAIRS_S16_H

#include "sg_correlation.h"
#include "statistics_s16.h"

struct sg_statistics_pairs_s16 {
    struct sg_statistics_s16 columns;
    int32_t before; /* values in front of the correlations */
};

/* scratch: three words a channel. */
SG_SPECIALIZE void sg_statistics_pairs_s16(const struct sg_statistics_pairs_s16 *p, const int16_t *in, int16_t *out, int8_t *scratch)
{
    sg_statistics_s16(&p->columns, in, out);
    sg_correlations(in, p->columns.samples, p->columns.channels, (struct sg_spread *)(void *)scratch, out + p->before);
}

#endif
