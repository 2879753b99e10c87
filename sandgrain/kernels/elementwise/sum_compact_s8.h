/* Sandgrain kernel: int8 element-wise a + b or a - b of two tensors of one shape, the least code.
 *
 * The arithmetic is that of add_s8.h: each input, shifted left by 20, is brought to one scale; then their sum to the output's.
 */
#ifndef SG_SUM_COMPACT_S8_H
#define SG_SUM_COMPACT_S8_H

#include "sg_compact.h"

struct sg_sum_compact_s8 {
    int32_t size;
    int32_t a_doubled, b_doubled, doubled; /* these and the shifts: see sg_compact_scale */
    uint8_t a_shift, b_shift, shift, minus; /* minus: a - b */
    int8_t a_zero_point, b_zero_point;
    struct sg_limits limits;
};

static inline void sg_sum_compact_s8(const struct sg_sum_compact_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t i = 0; i < p->size; i++) {
        const int32_t x = sg_compact_scale((a[i] - p->a_zero_point) * (1 << 20), p->a_doubled, p->a_shift);
        const int32_t y = sg_compact_scale((b[i] - p->b_zero_point) * (1 << 20), p->b_doubled, p->b_shift);
        out[i] = sg_compact_finish(p->minus ? x - y : x + y, p->doubled, p->shift, &p->limits);
    }
}

#endif
