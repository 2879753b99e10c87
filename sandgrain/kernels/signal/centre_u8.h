/* Sandgrain kernel: x - 128, which is what most models make of a pixel: the top bit flips. Portable C99; a word at a time
 * where both pointers allow it. `out` may be `in`. */
#ifndef SG_CENTRE_U8_H
#define SG_CENTRE_U8_H

#include "sg_math.h"

struct sg_centre_u8 {
    int32_t count;
};

SG_SPECIALIZE void sg_centre_u8(const struct sg_centre_u8 *p, const uint8_t *in, int8_t *out)
{
    int32_t i = 0;
#if defined(__GNUC__)
    if ((((uintptr_t)in | (uintptr_t)out) & 3u) == 0) {
        for (; i + 4 <= p->count; i += 4) {
            uint32_t word;
            __builtin_memcpy(&word, __builtin_assume_aligned(in + i, 4), 4);
            word ^= 0x80808080u;
            __builtin_memcpy(__builtin_assume_aligned(out + i, 4), &word, 4);
        }
    }
#endif
    for (; i < p->count; i++) {
        out[i] = (int8_t)(in[i] - 128);
    }
}

#endif
