/* Sandgrain kernels: leading zeros of a word. */
#ifndef SG_CLZ_H
#define SG_CLZ_H

#include <stdint.h>

/* Leading zeros of v, 32 for 0. Cores without the instruction halve the search five times: no library function. */
static inline int32_t sg_clz32(uint32_t v)
{
#if defined(__GNUC__) && defined(__ARM_FEATURE_CLZ)
    return v == 0u ? 32 : (int32_t)__builtin_clz(v);
#else
    int32_t zeros = 0;
    for (int32_t step = 16; step > 0; step >>= 1) {
        if ((v >> (32 - step)) == 0u) {
            zeros += step;
            v <<= step;
        }
    }
    return zeros + ((v >> 31) == 0u ? 1 : 0);
#endif
}

#endif
