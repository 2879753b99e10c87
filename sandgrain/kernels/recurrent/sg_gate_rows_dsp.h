/* Sandgrain kernels: the matrix products of recurrent layers on Armv7E-M. Four inputs are widened once for four units.
 *
 * The multipliers are pairs of words as in sg_scale_dsp.h.
 */
#ifndef SG_GATE_ROWS_DSP_H
#define SG_GATE_ROWS_DSP_H

#include "sg_gates.h"
#include "sg_scale_dsp.h"

static inline int32_t sg_gate_dot_dsp(const int8_t *w, uint32_t even, uint32_t odd, int32_t acc)
{
    const uint32_t four = sg_load32(w);
    return sg_smlad(sg_sxtb16_ror8(four), odd, sg_smlad(sg_sxtb16(four), even, acc));
}

/* Equals sg_gate_rows of sg_gate_rows.h. */
SG_SHARED void sg_gate_rows_dsp(const struct sg_gate_rows *r, const int8_t *in, int16_t *out)
{
    const int8_t *w = r->weights;
    const int32_t *bias = r->bias;
    const int8_t *const whole = in + (r->depth & ~3), *const end = in + r->depth;
    for (int32_t g = 0; g < r->gates; g++) {
        const int32_t *scale = r->multiplier + 2 * g * r->gate_step;
        for (int32_t u = 0; u < r->units; u += 4, bias += 4, out += 4) {
            int32_t acc[4] = {bias[0], bias[1], bias[2], bias[3]};
            const int8_t *x = in;
            for (; x != whole; x += 4, w += 16) {
                const uint32_t four = sg_load32(x);
                const uint32_t even = sg_sxtb16(four), odd = sg_sxtb16_ror8(four);
                acc[0] = sg_gate_dot_dsp(w, even, odd, acc[0]);
                acc[1] = sg_gate_dot_dsp(w + 4, even, odd, acc[1]);
                acc[2] = sg_gate_dot_dsp(w + 8, even, odd, acc[2]);
                acc[3] = sg_gate_dot_dsp(w + 12, even, odd, acc[3]);
            }
            for (; x != end; x++, w += 4) {
                acc[0] += *x * w[0];
                acc[1] += *x * w[1];
                acc[2] += *x * w[2];
                acc[3] += *x * w[3];
            }
            for (int32_t k = 0; k < 4; k++) {
                out[k] = (int16_t)sg_saturate16(sg_scale_dsp(acc[k], scale[0], scale[1]));
                scale += 2 * r->unit_step;
            }
        }
    }
}

#endif
