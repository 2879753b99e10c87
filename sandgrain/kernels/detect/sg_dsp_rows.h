/* Sandgrain kernels: rows of int8 features as pairs of int16, for the distances of detectors on Armv7E-M. */
#ifndef SG_DSP_ROWS_H
#define SG_DSP_ROWS_H

#include "sg_dsp.h"
#include "sg_energy.h"

/* `depth` values times `factor` (1 or 128) as int16, with zeros behind them up to a multiple of four. */
SG_SHARED void sg_widen_row(const int8_t *in, int8_t *pairs, int32_t depth, int32_t factor)
{
    int32_t d = 0;
    for (; d + 1 < depth; d += 2) {
        sg_store32(pairs + 2 * d, ((uint32_t)(in[d] * factor) & 0xFFFFu) | (uint32_t)(in[d + 1] * factor) << 16);
    }
    for (; d < depth || (d & 3) != 0; d += 2) {
        sg_store32(pairs + 2 * d, d < depth ? (uint32_t)(in[d] * factor) & 0xFFFFu : 0u);
    }
}

/* Halves of x less those of y, neither of which leaves int16. */
static inline uint32_t sg_ssub16(uint32_t x, uint32_t y)
{
#if SG_HAS_DSP
    uint32_t difference;
    __asm__("ssub16 %0, %1, %2" : "=r"(difference) : "r"(x), "r"(y));
    return difference;
#else
    return ((x - y) & 0xFFFFu) | ((x >> 16) - (y >> 16)) << 16;
#endif
}

/* The signed halves. */
static inline int32_t sg_low_half(uint32_t x)
{
    return (int16_t)(uint16_t)x;
}

static inline int32_t sg_high_half(uint32_t x)
{
    return (int32_t)x >> 16;
}

/* total + the squares of both halves of v. */
static inline uint64_t sg_add_squares(uint64_t total, uint32_t v)
{
#if SG_HAS_DSP
    uint32_t low = (uint32_t)total, high = (uint32_t)(total >> 32);
    __asm__("smlald %0, %1, %2, %2" : "+r"(low), "+r"(high) : "r"(v));
    return (uint64_t)high << 32 | low;
#else
    return sg_add_square(sg_add_square(total, sg_low_half(v)), sg_high_half(v));
#endif
}

#endif
