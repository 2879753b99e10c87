/* Sandgrain kernels: integer square roots, rounded down. The same in numpy: ops/signal/roots.py. */
#ifndef SG_ISQRT_H
#define SG_ISQRT_H

#include "sg_clz.h"

/* 128 / sqrt((i + 0.5) / 128), i from 32: the reciprocal of the root, within 1.2 %. */
static const uint8_t sg_isqrt_table[96] = {
    254, 250, 247, 243, 240, 236, 233, 230, 228, 225, 222, 220, 217, 215, 212, 210, 208, 206, 204, 202, 200, 198, 196, 194,
    193, 191, 189, 188, 186, 185, 183, 182, 180, 179, 178, 176, 175, 174, 172, 171, 170, 169, 168, 167, 166, 164, 163, 162,
    161, 160, 159, 158, 158, 157, 156, 155, 154, 153, 152, 151, 151, 150, 149, 148, 147, 147, 146, 145, 144, 144, 143, 142,
    142, 141, 140, 140, 139, 138, 138, 137, 137, 136, 135, 135, 134, 134, 133, 132, 132, 131, 131, 130, 130, 129, 129, 128,
};

/* Newton's step for the root s (16 bits of fraction) of m (32 bits of fraction): r is about 128 / sqrt(m). The
 * difference is right although the square can wrap. */
static inline uint32_t sg_isqrt_step(uint32_t m, uint32_t s, int32_t r)
{
    return s + (uint32_t)((((int32_t)(m - s * s) >> 8) * r) >> 16);
}

/* Root of m >= 2^30. */
static inline uint32_t sg_isqrt_top(uint32_t m)
{
    const int32_t r = sg_isqrt_table[(m >> 25) - 32u];
    uint32_t s = ((m >> 16) * (uint32_t)r) >> 7; /* within 1.2 %: 790 */
    s = sg_isqrt_step(m, s, r);                  /* within 1.5 * 0.012^2: 15 */
    s = sg_isqrt_step(m, s, r);                  /* within 2 */
    s = s > 65535u ? 65535u : s;
    while (s * s > m) {
        s--;
    }
    while (m - s * s > 2u * s) {
        s++;
    }
    return s;
}

/* floor(sqrt(v)). */
static inline uint32_t sg_isqrt32(uint32_t v)
{
    const int32_t zeros = sg_clz32(v) & 30; /* 0 becomes 0 << 30 */
    return v == 0u ? 0u : sg_isqrt_top(v << zeros) >> (zeros / 2);
}

/* floor(sqrt(v)): the upper half, and one digit of long division for the lower (P. Zimmermann, "Karatsuba Square Root",
 * 1999). */
static inline uint32_t sg_isqrt64(uint64_t v)
{
    uint64_t m = v;
    int32_t down = 0;
    uint32_t top, rest, digit;

    if ((v >> 32) == 0u) {
        return sg_isqrt32((uint32_t)v);
    }
    down = (sg_clz32((uint32_t)(v >> 32)) & 30) / 2;
    m = v << (2 * down);
    top = sg_isqrt_top((uint32_t)(m >> 32));
    rest = (uint32_t)(m >> 32) - top * top; /* <= 2 top */
    digit = ((rest << 15) | ((uint32_t)m >> 17)) / top;
    if (digit > 65535u) {
        digit = 65535u;
    }
    top = (top << 16) | digit;
    if ((uint64_t)top * top > m) { /* one too many at most */
        top--;
    }
    return top >> down;
}

#endif
