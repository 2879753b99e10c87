/* Sandgrain kernels: the matrix products of recurrent layers, portable C99. */
#ifndef SG_GATE_ROWS_H
#define SG_GATE_ROWS_H

#include "sg_gates.h"

/* Q3.12 arguments of all gates, saturated: `out` is [gates][units]. The host has proven that no sum leaves 32 bits. */
static inline void sg_gate_rows(const struct sg_gate_rows *r, const int8_t *in, int16_t *out)
{
    const int8_t *w = r->weights;
    const int32_t *bias = r->bias;
    for (int32_t g = 0; g < r->gates; g++) {
        const int32_t *multiplier = r->multiplier + g * r->gate_step;
        const int8_t *shift = r->shift + g * r->gate_step;
        for (int32_t u = 0; u < r->units; u += 4, bias += 4) {
            int32_t acc[4] = {bias[0], bias[1], bias[2], bias[3]};
            int32_t d = 0;
            for (; d + 4 <= r->depth; d += 4, w += 16) {
                const int32_t x0 = in[d], x1 = in[d + 1], x2 = in[d + 2], x3 = in[d + 3];
                acc[0] += x0 * w[0] + x1 * w[1] + x2 * w[2] + x3 * w[3];
                acc[1] += x0 * w[4] + x1 * w[5] + x2 * w[6] + x3 * w[7];
                acc[2] += x0 * w[8] + x1 * w[9] + x2 * w[10] + x3 * w[11];
                acc[3] += x0 * w[12] + x1 * w[13] + x2 * w[14] + x3 * w[15];
            }
            for (; d < r->depth; d++, w += 4) {
                for (int32_t k = 0; k < 4; k++) {
                    acc[k] += in[d] * w[k];
                }
            }
            for (int32_t k = 0; k < 4; k++) {
                *out++ = (int16_t)sg_saturate16(sg_requantize(acc[k], *multiplier, *shift));
                multiplier += r->unit_step;
                shift += r->unit_step;
            }
        }
    }
}

#endif
