/* Sandgrain kernels: from the power of a bin to a value of a spectrogram. The same in numpy: ops/signal/spectrogram.py. */
#ifndef SG_SPECTRUM_H
#define SG_SPECTRUM_H

#include "sg_finish.h"
#include "sg_isqrt.h"
#include "sg_log2.h"

/* sqrt(v) with 12 fractional bits, 16 of them right. */
static inline uint64_t sg_spectrum_root(uint64_t v)
{
    const uint32_t high = (uint32_t)(v >> 32);
    const int32_t zeros = (high != 0u ? sg_clz32(high) : 32 + sg_clz32((uint32_t)v)) & ~1;
    return v == 0u ? 0u : ((uint64_t)sg_isqrt_top((uint32_t)((v << zeros) >> 32)) << 28) >> (zeros / 2);
}

/* Fixed-point value of |X|^2 <= 2^62 or a little more: 2^unit is 1 (of the power, or of the root's unit), floor * 2^floor_shift is added
 * before the logarithm. */
SG_SPECIALIZE int32_t sg_spectrum_value(uint64_t square, int32_t power, int32_t log, int32_t unit, int32_t floor,
                                        int32_t floor_shift)
{
    if (log != 0) {
        const uint64_t sum = (power == 1 ? sg_spectrum_root(square) : square) + ((uint64_t)(uint32_t)floor << floor_shift);
        const int32_t bits = sg_log2_q16(sum) - (int32_t)((uint32_t)unit << 16);
        return sg_rounding_shift(sg_high_mul((int32_t)((uint32_t)bits << 8), 1488522236), 14); /* ln 2 */
    }
    if (power == 1) { /* full scale, rounded up in 16 bits, may not fit */
        return (int32_t)sg_isqrt32((square >> 62) != 0u ? 0xffffffffu : (uint32_t)(square >> 30));
    }
    return (int32_t)(square >> 45);
}

#endif
