/* Sandgrain kernel: int8 long short-term memory over a sequence, portable C99. */
#ifndef SG_LSTM_S8_H
#define SG_LSTM_S8_H

#include "sg_gate_rows.h"
#include "sg_lstm.h"

struct sg_lstm_s8 {
    const int8_t *weights_x; /* of the input, as in struct sg_gate_rows */
    const int32_t *bias_x, *multiplier_x;
    const int8_t *shift_x;
    int32_t gate_step_x, unit_step_x;
    const int8_t *weights_h; /* of the state */
    const int32_t *bias_h, *multiplier_h;
    const int8_t *shift_h;
    int32_t gate_step_h, unit_step_h;
    const uint16_t *table;
    int32_t batch, steps, features, units, padded, last, reverse;
    int32_t input_shift, cell_left, cell_right, clip;
    int32_t multiplier, shift, zero_point;
};

SG_SPECIALIZE void sg_lstm_s8(const struct sg_lstm_s8 *p, const int8_t *in, int8_t *out, int8_t *scratch)
{
    const struct sg_lstm layer = {
        {p->weights_x, p->bias_x, p->multiplier_x, p->shift_x, p->gate_step_x, p->unit_step_x, 4, p->padded, p->features},
        {p->weights_h, p->bias_h, p->multiplier_h, p->shift_h, p->gate_step_h, p->unit_step_h, 4, p->padded, p->units},
        p->table, p->batch, p->steps, p->units, p->last, p->reverse, p->input_shift, p->cell_left, p->cell_right, p->clip,
        p->multiplier, p->shift, p->zero_point,
    };
    sg_lstm_run(&layer, in, out, scratch, sg_gate_rows);
}

#endif
