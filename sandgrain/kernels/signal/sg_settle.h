/* Sandgrain kernels: samples against the mean and deviation of others. The same in numpy: ops/signal/settle.py.
 *
 * A measure is three words: the sum of `lead` samples (at most 2^15 of them, so |sum| <= 2^30) and, in two words, the sum of their
 * squares (at most 2^45). lead x - sum is `lead` times the distance from the mean; it lies within 2^31.
 */
#ifndef SG_SETTLE_H
#define SG_SETTLE_H

#include "sg_isqrt.h"
#include "sg_math.h"

struct sg_settle_measure {
    int32_t sum;
    uint32_t low, high; /* of the sum of squares; of a mean and deviation that stay: the multiplier and the shift */
};

/* One sample comes in, and one, or 0, goes. */
static inline void sg_settle_add(struct sg_settle_measure *m, int32_t x, int32_t gone)
{
    const uint64_t squares = (((uint64_t)m->high << 32) | m->low) + (uint64_t)((int64_t)(x * x) - gone * gone);
    m->sum += x - gone;
    m->low = (uint32_t)squares;
    m->high = (uint32_t)(squares >> 32);
}

/* The sums become multiplier and shift: x y 2^-shift is x over the deviation, in 1/1024. `lead` times the deviation is the root of
 * lead squares - sum^2, which is below 2^60; it counts as `lead` at least. */
static inline void sg_settle_close(struct sg_settle_measure *m, int32_t lead)
{
    const uint64_t squares = ((uint64_t)m->high << 32) | m->low;
    const uint32_t root = sg_isqrt64(squares * (uint64_t)lead - (uint64_t)((int64_t)m->sum * m->sum));
    const uint32_t divisor = root > (uint32_t)lead ? root : (uint32_t)lead;
    const int32_t length = 32 - sg_clz32(divisor);
    m->low = (uint32_t)(((uint64_t)1 << (30 + length)) / divisor); /* 2^30 to 2^31 */
    m->high = (uint32_t)(20 + length);
}

/* One sample against a measure that is closed. The product lies within 2^62. */
static inline int16_t sg_settle_scaled(const struct sg_settle_measure *m, int32_t lead, int32_t x)
{
    const int64_t product = ((int64_t)x * lead - m->sum) * (int64_t)m->low;
    const int64_t y = (product + ((int64_t)1 << (m->high - 1u))) >> m->high;
    return (int16_t)(y < -32768 ? -32768 : y > 32767 ? 32767 : y);
}

/* One sample less the mean, which is rounded to nearest, halves up. */
static inline int16_t sg_settle_centred(const struct sg_settle_measure *m, int32_t lead, int32_t x)
{
    const int32_t sum = m->sum + (lead >> 1), quotient = sum / lead;
    return (int16_t)sg_clamp(x - quotient + (quotient * lead > sum ? 1 : 0), -32768, 32767);
}

#endif
