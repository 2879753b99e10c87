/* Sandgrain kernels: binary logarithm of an integer. The same in numpy: ops/signal/roots.py, log2_q16. */
#ifndef SG_LOG2_H
#define SG_LOG2_H

#include "sg_clz.h"

/* log2(1 + i / 32) - i / 32 in units of 2^-16. */
static const uint16_t sg_log2_table[33] = {
    0, 861, 1636, 2329, 2944, 3487, 3960, 4368, 4714, 5001, 5231, 5408, 5533, 5610, 5640, 5626, 5568,
    5470, 5332, 5156, 4944, 4697, 4416, 4103, 3759, 3384, 2981, 2549, 2090, 1605, 1094, 559, 0,
};

/* log2(v) in units of 2^-16, within 0.00025; exact for powers of two; log2(0) is taken as 0. */
static inline int32_t sg_log2_q16(uint64_t v)
{
    const uint32_t high = (uint32_t)(v >> 32), low = (uint32_t)v;
    const int32_t zeros = sg_clz32(high != 0u ? high : low | 1u);
    int32_t whole = 31 - zeros;
    uint32_t mantissa = low << zeros; /* 2^31 at the leading one */
    if (high != 0u) {
        whole += 32;
        mantissa = (high << zeros) | ((low >> 1) >> (31 - zeros));
    }
    const int32_t fraction = (int32_t)((mantissa >> 15) & 0xffffu), i = fraction >> 11, part = fraction & 2047;
    const int32_t from = sg_log2_table[i], to = sg_log2_table[i + 1];
    return (int32_t)((uint32_t)whole << 16) + fraction + from + (((to - from) * part + 1024) >> 11);
}

#endif
