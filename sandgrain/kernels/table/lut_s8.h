/* Sandgrain kernel: any int8 -> int8 function as a table, portable C99. `out` may be `in`.
 *
 * The table is in the order of the bytes read as unsigned: entry 0 is for 0, entry 128 for -128, entry 255 for -1.
 */
#ifndef SG_LUT_S8_H
#define SG_LUT_S8_H

#include <stdint.h>

struct sg_lut_s8 {
    const int8_t *table; /* [256] */
    int32_t count;
};

static inline void sg_lut_s8(const struct sg_lut_s8 *p, const int8_t *in, int8_t *out)
{
    const int8_t *table = p->table;
    int32_t i = 0;

    for (; i + 4 <= p->count; i += 4) {
        const int8_t a = table[(uint8_t)in[i]];
        const int8_t b = table[(uint8_t)in[i + 1]];
        const int8_t c = table[(uint8_t)in[i + 2]];
        const int8_t d = table[(uint8_t)in[i + 3]];
        out[i] = a;
        out[i + 1] = b;
        out[i + 2] = c;
        out[i + 3] = d;
    }
    for (; i < p->count; i++) {
        out[i] = table[(uint8_t)in[i]];
    }
}

#endif
