/* Sandgrain kernel: int8 fully connected layer, portable C99.
 *
 * Four units at a time share each input load. Weights are packed on the host in the order they are read:
 * [units / 4][depth][4], then the last units % 4 rows one after another. The bias holds the input zero point's share.
 * The host has proven that no accumulator leaves 32 bits.
 */
#ifndef SG_FULLY_CONNECTED_S8_H
#define SG_FULLY_CONNECTED_S8_H

#include "sg_math.h"

struct sg_fully_connected_s8 {
    const int8_t *weights;
    const int32_t *bias;       /* [units] */
    const int32_t *multiplier; /* [units] */
    const int8_t *shift;       /* [units], > 0 is left */
    int32_t batch, depth, units;
    int32_t out_zero_point, low, high;
};

static inline int8_t sg_fully_connected_s8_finish(const struct sg_fully_connected_s8 *p, int32_t acc, int32_t u)
{
    const int32_t y = sg_requantize(acc, p->multiplier[u], p->shift[u]) + p->out_zero_point;
    return (int8_t)sg_clamp(y, p->low, p->high);
}

static inline void sg_fully_connected_s8(const struct sg_fully_connected_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = 0; n < p->batch; n++) {
        const int8_t *w = p->weights;
        const int8_t *const end = in + p->depth;
        int32_t u = 0;
        for (; u + 4 <= p->units; u += 4) {
            int32_t acc0 = p->bias[u], acc1 = p->bias[u + 1], acc2 = p->bias[u + 2], acc3 = p->bias[u + 3];
            const int8_t *x = in;
            for (; end - x >= 2; x += 2, w += 8) {
                const int32_t x0 = x[0], x1 = x[1];
                acc0 += x0 * w[0];
                acc1 += x0 * w[1];
                acc2 += x0 * w[2];
                acc3 += x0 * w[3];
                acc0 += x1 * w[4];
                acc1 += x1 * w[5];
                acc2 += x1 * w[6];
                acc3 += x1 * w[7];
            }
            if (x != end) {
                acc0 += *x * w[0];
                acc1 += *x * w[1];
                acc2 += *x * w[2];
                acc3 += *x * w[3];
                w += 4;
            }
            out[0] = sg_fully_connected_s8_finish(p, acc0, u);
            out[1] = sg_fully_connected_s8_finish(p, acc1, u + 1);
            out[2] = sg_fully_connected_s8_finish(p, acc2, u + 2);
            out[3] = sg_fully_connected_s8_finish(p, acc3, u + 3);
            out += 4;
        }
        for (; u < p->units; u++) {
            int32_t acc = p->bias[u];
            for (const int8_t *x = in; x != end; x++) {
                acc += *x * *w++;
            }
            *out++ = sg_fully_connected_s8_finish(p, acc, u);
        }
        in = end;
    }
}

#endif
