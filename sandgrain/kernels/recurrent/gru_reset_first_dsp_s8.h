/* Sandgrain kernel: int8 gated recurrent unit that resets its state before the product, on Armv7E-M. */
#ifndef SG_GRU_RESET_FIRST_DSP_S8_H
#define SG_GRU_RESET_FIRST_DSP_S8_H

#include "sg_gate_rows_dsp.h"
#include "sg_gru.h"

struct sg_gru_reset_first_dsp_s8 {
    const int8_t *weights_x; /* of the input, as in struct sg_gate_rows */
    const int32_t *bias_x, *scale_x;
    int32_t gate_step_x, unit_step_x;
    const int8_t *weights_h; /* of the state, for reset and update */
    const int32_t *bias_h, *scale_h;
    int32_t gate_step_h, unit_step_h;
    const int8_t *weights_r; /* of the state behind the reset gate */
    const int32_t *bias_r, *scale_r;
    int32_t gate_step_r, unit_step_r;
    const uint16_t *table;
    int32_t batch, steps, features, units, padded, last, reverse;
    int32_t multiplier, shift, zero_point;
};

SG_SPECIALIZE void sg_gru_reset_first_dsp_s8(const struct sg_gru_reset_first_dsp_s8 *p, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const struct sg_gru layer = {
        {p->weights_x, p->bias_x, p->scale_x, 0, p->gate_step_x, p->unit_step_x, 3, p->padded, p->features},
        {p->weights_h, p->bias_h, p->scale_h, 0, p->gate_step_h, p->unit_step_h, 2, p->padded, p->units},
        p->table, p->batch, p->steps, p->units, p->last, p->reverse, p->multiplier, p->shift, p->zero_point,
    };
    const struct sg_gate_rows gated = {
        p->weights_r, p->bias_r, p->scale_r, 0, p->gate_step_r, p->unit_step_r, 1, p->padded, p->units,
    };
    sg_gru_run(&layer, in, out, scratch, sg_gate_rows_dsp, &gated);
}

#endif
