/* Sandgrain kernels: correlation of each pair of channels of an int16 signal. The same in numpy: ops/signal/correlation.py.
 *
 * Pearson's r in units of 2^-14. n <= 32768: sums of products are 2^45 at most, n^2 times a variance or covariance 2^60. A root is stretched
 * to 32 bits; a covariance with the stretches of both its channels stays below 2^64 (Cauchy and Schwarz).
 */
#ifndef SG_CORRELATION_H
#define SG_CORRELATION_H

#include "sg_isqrt.h"

struct sg_spread {
    int32_t sum;
    uint32_t root; /* of n^2 times the variance, times 2^lift; 0 where the channel does not vary */
    int32_t lift;
};

/* n times the sum of products of two channels less the product of their sums. */
static inline int64_t sg_covariance(const int16_t *a, const int16_t *b, int32_t n, int32_t stride, int32_t sum_a, int32_t sum_b)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += *a * *b;
        a += stride;
        b += stride;
    }
    return sum * n - (int64_t)sum_a * sum_b;
}

static inline struct sg_spread sg_spread_of(const int16_t *x, int32_t n, int32_t stride)
{
    struct sg_spread found = {0, 0u, 0};
    const int16_t *at = x;
    for (int32_t i = 0; i < n; i++) {
        found.sum += *at;
        at += stride;
    }
    const uint64_t square = (uint64_t)sg_covariance(x, x, n, stride, found.sum, found.sum);
    const uint32_t high = (uint32_t)(square >> 32);
    if (square != 0u) {
        const int32_t zeros = (high != 0u ? sg_clz32(high) : 32 + sg_clz32((uint32_t)square)) & ~1;
        found.root = sg_isqrt64(square << zeros);
        found.lift = zeros / 2;
    }
    return found;
}

static inline int16_t sg_correlation_of(const struct sg_spread *a, const struct sg_spread *b, int64_t covariance)
{
    const uint64_t size = covariance < 0 ? 0u - (uint64_t)covariance : (uint64_t)covariance;
    const uint64_t whole = ((uint64_t)a->root * b->root) >> 15; /* 2^47 or more where both channels vary */
    if (whole == 0u) {
        return 0;
    }
    const uint64_t ratio = (((size << (a->lift + b->lift)) >> 1) + (whole >> 1)) / whole;
    const int32_t r = ratio > 16384u ? 16384 : (int32_t)ratio;
    return (int16_t)(covariance < 0 ? -r : r);
}

/* Of all pairs of `channels`: 0 and 1, 0 and 2 ... 1 and 2 ... `spreads`: one a channel, scratch. */
static inline void sg_correlations(const int16_t *in, int32_t n, int32_t channels, struct sg_spread *spreads, int16_t *out)
{
    for (int32_t c = 0; c < channels; c++) {
        spreads[c] = sg_spread_of(in + c, n, channels);
    }
    for (int32_t a = 0; a < channels; a++) {
        for (int32_t b = a + 1; b < channels; b++) {
            const int64_t both = sg_covariance(in + a, in + b, n, channels, spreads[a].sum, spreads[b].sum);
            *out++ = sg_correlation_of(&spreads[a], &spreads[b], both);
        }
    }
}

#endif
