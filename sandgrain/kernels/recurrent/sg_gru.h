/* Sandgrain kernels: a gated recurrent unit over a sequence. Its meaning is in sandgrain/graph/ops/recurrent/gru.py.
 *
 * Scratch, with U units padded to a multiple of four: the arguments from x and from the state, int16 [3][U] each, the state
 * in Q0.15, int16 [U], and as the output has it, int8 [U].
 */
#ifndef SG_GRU_H
#define SG_GRU_H

#include "sg_bytes.h"
#include "sg_gates.h"

struct sg_gru {
    struct sg_gate_rows x, h; /* of all three gates; h of the first two alone where the reset gate comes first */
    const uint16_t *table;
    int32_t batch, steps, units;
    int32_t last, reverse;                 /* only the last state goes out; the last step comes first */
    int32_t multiplier, shift, zero_point; /* from Q0.15 to the output */
};

static inline int8_t sg_gru_narrow(const struct sg_gru *p, int32_t q15)
{
    return (int8_t)sg_clamp(sg_requantize(q15, p->multiplier, p->shift) + p->zero_point, -128, 127);
}

/* The state behind the reset gate, as the output has it. */
static inline void sg_gru_reset(const struct sg_gru *p, const int16_t *x, const int16_t *h, const int16_t *state,
                                int8_t *narrow)
{
    for (int32_t u = 0; u < p->units; u++) {
        const int32_t reset = sg_logistic_q15(p->table, sg_saturate16(x[u] + h[u]));
        narrow[u] = sg_gru_narrow(p, sg_q15(reset * state[u]));
    }
}

/* The state after one step, from the arguments: reset, update and new, in this order. `gated`: new is behind its gate. */
SG_SPECIALIZE void sg_gru_update(const struct sg_gru *p, const int16_t *x, const int16_t *h, int16_t *state, int8_t *narrow,
                                 int gated)
{
    const int32_t width = p->x.units;
    for (int32_t u = 0; u < p->units; u++) {
        const int32_t keep = sg_logistic_q15(p->table, sg_saturate16(x[width + u] + h[width + u]));
        int32_t own = h[2 * width + u];
        if (!gated) {
            own = sg_q15(sg_logistic_q15(p->table, sg_saturate16(x[u] + h[u])) * own);
        }
        const int32_t fresh = sg_tanh_q15(p->table, sg_saturate16(x[2 * width + u] + own), 0, 0);
        /* |state - fresh| < 2^16 and keep < 2^15: the product and its half unit stay below 2^31. */
        const int32_t now = fresh + sg_q15(keep * (state[u] - fresh));
        state[u] = (int16_t)now;
        narrow[u] = sg_gru_narrow(p, now);
    }
}

/* `products` is sg_gate_rows or another function that computes the same. `gated`: the product of the state behind its reset
 * gate, or 0 where that gate comes after the product. */
SG_SPECIALIZE void sg_gru_run(const struct sg_gru *p, const int8_t *in, int8_t *out, int8_t *scratch,
                              sg_gate_products *products, const struct sg_gate_rows *gated)
{
    const int32_t width = p->x.units, step = p->reverse ? -1 : 1;
    int16_t *const x = (int16_t *)(void *)scratch;
    int16_t *const h = x + 3 * width;
    int16_t *const state = h + 3 * width;
    int8_t *const narrow = (int8_t *)(state + width);
    for (int32_t n = 0; n < p->batch; n++) {
        int32_t t = p->reverse ? p->steps - 1 : 0;
        for (int32_t u = 0; u < width; u++) {
            state[u] = 0;
            narrow[u] = (int8_t)p->zero_point;
        }
        for (int32_t k = 0; k < p->steps; k++, t += step) {
            products(&p->x, in + t * p->x.depth, x);
            products(&p->h, narrow, h);
            if (gated) {
                sg_gru_reset(p, x, h, state, narrow);
                products(gated, narrow, h + 2 * width);
            }
            sg_gru_update(p, x, h, state, narrow, gated != 0);
            if (!p->last) {
                sg_copy_bytes(out + t * p->units, narrow, p->units);
            }
        }
        if (p->last) {
            sg_copy_bytes(out, narrow, p->units);
        }
        in += p->steps * p->x.depth;
        out += p->last ? p->units : p->steps * p->units;
    }
}

#endif
