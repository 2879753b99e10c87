/* Sandgrain kernels: the gates of recurrent layers in 16-bit fixed point. The same in numpy is sandgrain/graph/ops/recurrent/gates.py.
 *
 * A gate's argument has 12 fraction bits (Q3.12), its value 15 (Q0.15).
 */
#ifndef SG_GATES_H
#define SG_GATES_H

#include "sg_math.h"

/* The arguments that one vector gives to all gates. Units are a multiple of four, padded with zeros. */
struct sg_gate_rows {
    const int8_t *weights; /* [gates][units / 4][depth / 4][4 units][4 inputs], then the last inputs [depth % 4][4 units] */
    const int32_t *bias;   /* [gates][units], with the zero point's share */
    const int32_t *multiplier; /* on cores with DSP pairs: see sg_scale_dsp.h */
    const int8_t *shift;
    int32_t gate_step, unit_step; /* from one multiplier to the next */
    int32_t gates, units, depth;
};

/* Q3.12 arguments of all gates from one vector, saturated to 16 bits: `out` is [gates][units]. */
typedef void sg_gate_products(const struct sg_gate_rows *r, const int8_t *in, int16_t *out);

static inline int32_t sg_saturate16(int32_t x)
{
    return sg_clamp(x, -32768, 32767);
}

/* round(x / 2^15), halves up. */
static inline int32_t sg_q15(int32_t x)
{
    return (x + (1 << 14)) >> 15;
}

/* Q3.12 -> Q0.15; the table holds 65536 / (1 + exp(-i / 24)). 3 * |x| / 2^9 <= 192, so it is never left. */
static inline int32_t sg_logistic_q15(const uint16_t *table, int32_t x)
{
    const uint32_t position = 3u * (uint32_t)(x < 0 ? -x : x);
    const uint16_t *const at = table + (position >> 9);
    const uint32_t value = ((uint32_t)at[0] << 9) + (position & 511u) * ((uint32_t)at[1] - at[0]);
    return (int32_t)((x < 0 ? ((uint32_t)1 << 25) + 511u - value : value + 512u) >> 10);
}

/* 16-bit x with 12 - left + right fraction bits, one of them 0 -> Q0.15: tanh(x) = 2 * logistic(2 x) - 1. */
static inline int32_t sg_tanh_q15(const uint16_t *table, int32_t x, int32_t left, int32_t right)
{
    const int32_t third = (3 * x * (1 << left) + ((1 << right) >> 1)) >> right;
    const uint32_t position = (uint32_t)(third < 0 ? -third : third), index = position >> 8;
    int32_t value = 0xFFFF << 8;
    if (index < 255u) {
        const uint16_t *const at = table + index;
        value = (int32_t)(((uint32_t)at[0] << 8) + (position & 255u) * ((uint32_t)at[1] - at[0]));
    }
    value -= (int32_t)1 << 23;
    return (third < 0 ? 127 - value : value + 128) >> 8;
}

#endif
