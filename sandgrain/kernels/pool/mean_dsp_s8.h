/* Sandgrain kernel: int8 mean over all but the first and the last dimensions, for cores with the DSP extension.
 *
 * Four channels at a time: their sums are int16 halves of two words, exact for the at most 255 values that the host lets in.
 * An output is written after all of its inputs have been read, and at or before them, so `out` may be `in`.
 */
#ifndef SG_MEAN_DSP_S8_H
#define SG_MEAN_DSP_S8_H

#include "sg_dsp_fours.h"
#include "sg_math.h"

struct sg_mean_dsp_s8 {
    int32_t batch, count, channels; /* input [batch][count][channels] */
    int32_t offset;                 /* -(input zero point) * count */
    int32_t multiplier, shift;      /* from the sum to the output: they divide by the count too */
    int32_t out_zero_point;
};

static inline int8_t sg_mean_dsp_s8_finish(const struct sg_mean_dsp_s8 *p, int32_t sum)
{
    return (int8_t)sg_ssat8(sg_requantize(sum + p->offset, p->multiplier, p->shift) + p->out_zero_point);
}

static inline void sg_mean_dsp_s8(const struct sg_mean_dsp_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = 0; n < p->batch; n++) {
        int32_t c = 0;
        for (; c + 4 <= p->channels; c += 4) {
            const struct sg_dsp_sums none = {0, 0};
            const struct sg_dsp_sums sums = sg_dsp_sum_fours(none, in + c, p->count, p->channels);
            out[c] = sg_mean_dsp_s8_finish(p, sg_dsp_low(sums.even));
            out[c + 1] = sg_mean_dsp_s8_finish(p, sg_dsp_low(sums.odd));
            out[c + 2] = sg_mean_dsp_s8_finish(p, sg_dsp_high(sums.even));
            out[c + 3] = sg_mean_dsp_s8_finish(p, sg_dsp_high(sums.odd));
        }
        for (; c < p->channels; c++) {
            int32_t sum = 0;
            for (int32_t i = 0; i < p->count; i++) {
                sum += in[i * p->channels + c];
            }
            out[c] = sg_mean_dsp_s8_finish(p, sum);
        }
        in += p->count * p->channels;
        out += p->channels;
    }
}

#endif
