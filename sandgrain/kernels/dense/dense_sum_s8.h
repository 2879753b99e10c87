/* Sandgrain kernel: the sums of an int8 fully connected layer, portable C99.
 *
 * The bias holds the input zero point's share. The host has proven that no sum leaves 32 bits.
 */
#ifndef SG_DENSE_SUM_S8_H
#define SG_DENSE_SUM_S8_H

#include "sg_math.h"

struct sg_dense_sum_s8 {
    const int8_t *weights; /* [units][depth] */
    const int32_t *bias;   /* [units] */
    int32_t batch, depth, units;
};

SG_SPECIALIZE void sg_dense_sum_s8(const struct sg_dense_sum_s8 *p, const int8_t *in, int32_t *out)
{
    for (int32_t n = 0; n < p->batch; n++, in += p->depth) {
        const int8_t *w = p->weights;
        for (int32_t u = 0; u < p->units; u++) {
            int32_t sum = p->bias[u];
            for (int32_t k = 0; k < p->depth; k++) {
                sum += in[k] * *w++;
            }
            *out++ = sum;
        }
    }
}

#endif
