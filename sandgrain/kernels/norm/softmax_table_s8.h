/* Sandgrain kernel: int8 softmax over the last dimension, the exps of all differences to the maximum from a table.
 *
 * Equals softmax_s8.h. Element i is read before output i is written, so `out` may be `in`.
 */
#ifndef SG_SOFTMAX_TABLE_S8_H
#define SG_SOFTMAX_TABLE_S8_H

#include "sg_fixedpoint.h"

struct sg_softmax_table_s8 {
    const int32_t *exps; /* [count]: exp(-beta * scale * i), no integer bits; what lies behind counts as 0 */
    int32_t rows, depth; /* depth < 4096, so the sum of exps fits 12 integer bits */
    int32_t count;
};

static inline void sg_softmax_table_s8(const struct sg_softmax_table_s8 *p, const int8_t *in, int8_t *out)
{
    const int8_t *const end = in + p->rows * p->depth;
    while (in != end) {
        const int8_t *const row_end = in + p->depth;
        int32_t max = -128, leading = 0;
        uint32_t sum = 0;
        for (const int8_t *x = in; x != row_end; x++) {
            max = *x > max ? *x : max;
        }
        for (const int8_t *x = in; x != row_end; x++) {
            const int32_t i = max - *x;
            if (i < p->count) {
                sum += ((uint32_t)p->exps[i] + (1u << 11)) >> 12;
            }
        }
        /* The maximum's own exp makes the sum at least 2^19, so this ends. */
        while ((sum << leading) < ((uint32_t)1 << 31)) {
            leading++;
        }
        const int32_t scale = sg_one_over_one_plus_x((int32_t)((sum << leading) - ((uint32_t)1 << 31)));
        const int32_t exponent = 12 - leading + 23;
        const int32_t count = exponent <= 31 ? p->count : 0;
        const uint32_t half = (uint32_t)1 << ((uint32_t)(exponent - 1) & 31u);
        for (; in != row_end; in++, out++) {
            const int32_t i = max - *in;
            int32_t level = -128;
            if (i < count) {
                level += (int32_t)(((uint32_t)sg_high_mul(p->exps[i], scale) + half) >> exponent);
            }
            *out = (int8_t)(level > 127 ? 127 : level);
        }
    }
}

#endif
