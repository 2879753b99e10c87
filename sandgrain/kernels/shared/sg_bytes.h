/* Sandgrain kernels: copy and fill bytes. Four loads, then four stores: compilers for cores with unaligned access merge
 * them into one word each. The blocks may overlap where `out` lies before `in`. */
#ifndef SG_BYTES_H
#define SG_BYTES_H

#include <stdint.h>

static inline void sg_copy_bytes(int8_t *out, const int8_t *in, int32_t count)
{
    for (; count >= 4; count -= 4) {
        const int8_t a = in[0], b = in[1], c = in[2], d = in[3];
        out[0] = a;
        out[1] = b;
        out[2] = c;
        out[3] = d;
        in += 4;
        out += 4;
    }
    for (; count > 0; count--) {
        *out = *in;
        out++;
        in++;
    }
}

static inline void sg_fill_bytes(int8_t *out, int8_t value, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        out[i] = value;
    }
}

#endif
