/* Sandgrain kernel: statistics, band powers and peaks of each channel of an int16 signal, and behind them the correlation of each pair of channels,
 * portable C99. The parts say what they do: vibration_s16.h, sg_correlation.h.
 */
#ifndef SG_VIBRATION_PAIRS_S16_H
#define SG_VIBRATION_PAIRS_S16_H

#include "sg_correlation.h"
#include "vibration_s16.h"

struct sg_vibration_pairs_s16 {
    struct sg_vibration_s16 columns;
    int32_t before; /* values in front of the correlations */
};

/* scratch: three words a channel, or what the columns need. */
SG_SPECIALIZE void sg_vibration_pairs_s16(const struct sg_vibration_pairs_s16 *p, const int16_t *in, int16_t *out, int8_t *scratch)
{
    sg_vibration_s16(&p->columns, in, out, scratch);
    sg_correlations(in, p->columns.samples, p->columns.channels, (struct sg_spread *)(void *)scratch, out + p->before);
}

#endif
