/* Sandgrain kernels: long short-term memory over a sequence, as TensorFlow Lite Micro computes it (lstm_eval, 8x8_16).
 *
 * The meaning is in sandgrain/graph/ops/recurrent/lstm.py. Scratch, with U units padded to a multiple of four: the arguments from x and from
 * the hidden state, int16 [4][U] each, the cell state int16 [U], the hidden state int8 [U].
 */
#ifndef SG_LSTM_H
#define SG_LSTM_H

#include "sg_bytes.h"
#include "sg_gates.h"

struct sg_lstm {
    struct sg_gate_rows x, h;
    const uint16_t *table;
    int32_t batch, steps, units;
    int32_t last, reverse;                 /* only the last state goes out; the last step comes first */
    int32_t input_shift;                   /* from input gate times new value to the cell, less the first bit */
    int32_t cell_left, cell_right;         /* to the 12 fraction bits of tanh's argument */
    int32_t clip;                          /* of the cell; 0 for none */
    int32_t multiplier, shift, zero_point; /* from Q0.30 to the output */
};

/* round(x / 2^(e + 1)) as the house rule does it with a multiplier of 2^30. |x| <= 2^30. */
static inline int32_t sg_lstm_shift(int32_t x, int32_t e)
{
    return sg_rounding_shift((x + 1) >> 1, e);
}

/* The states after one step, from the arguments: input, forget, new and output, in this order. */
static inline void sg_lstm_update(const struct sg_lstm *p, const int16_t *x, const int16_t *h, int16_t *cell, int8_t *hidden)
{
    const int32_t width = p->x.units;
    for (int32_t u = 0; u < p->units; u++) {
        int32_t gate[4];
        for (int32_t g = 0; g < 4; g++) {
            const int32_t sum = sg_saturate16(x[g * width + u] + h[g * width + u]);
            gate[g] = g == 2 ? sg_tanh_q15(p->table, sum, 0, 0) : sg_logistic_q15(p->table, sum);
        }
        const int32_t kept = sg_lstm_shift(gate[1] * cell[u], 14);
        const int32_t fresh = sg_saturate16(sg_lstm_shift(gate[0] * gate[2], p->input_shift));
        int32_t now = sg_saturate16(kept + fresh);
        if (p->clip > 0) {
            now = sg_clamp(now, -p->clip, p->clip);
        }
        cell[u] = (int16_t)now;
        const int32_t shown = sg_tanh_q15(p->table, now, p->cell_left, p->cell_right) * gate[3];
        hidden[u] = (int8_t)sg_clamp(sg_requantize(shown, p->multiplier, p->shift) + p->zero_point, -128, 127);
    }
}

/* `products` is sg_gate_rows or another function that computes the same. */
SG_SPECIALIZE void sg_lstm_run(const struct sg_lstm *p, const int8_t *in, int8_t *out, int8_t *scratch,
                               sg_gate_products *products)
{
    const int32_t width = p->x.units, step = p->reverse ? -1 : 1;
    int16_t *const x = (int16_t *)(void *)scratch;
    int16_t *const h = x + 4 * width;
    int16_t *const cell = h + 4 * width;
    int8_t *const hidden = (int8_t *)(cell + width);
    for (int32_t n = 0; n < p->batch; n++) {
        int32_t t = p->reverse ? p->steps - 1 : 0;
        for (int32_t u = 0; u < width; u++) {
            cell[u] = 0;
            hidden[u] = (int8_t)p->zero_point;
        }
        for (int32_t k = 0; k < p->steps; k++, t += step) {
            products(&p->x, in + t * p->x.depth, x);
            products(&p->h, hidden, h);
            sg_lstm_update(p, x, h, cell, hidden);
            if (!p->last) {
                sg_copy_bytes(out + t * p->units, hidden, p->units);
            }
        }
        if (p->last) {
            sg_copy_bytes(out, hidden, p->units);
        }
        in += p->steps * p->x.depth;
        out += p->last ? p->units : p->steps * p->units;
    }
}

#endif
