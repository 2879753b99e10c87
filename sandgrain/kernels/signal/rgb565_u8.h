/* Sandgrain kernel: 16-bit pixels of 5 red, 6 green and 5 blue bits to 8 bits each, portable C99.
 *
 * x / 31 and x / 63 of 255, rounded to nearest: (527 x + 23) / 64 and (259 x + 33) / 64 are exact. Pixels are walked backwards
 * and pixel n goes to 3n from 2n, so `out` may begin where `in` does.
 */
#ifndef SG_RGB565_U8_H
#define SG_RGB565_U8_H

#include "sg_math.h"

struct sg_rgb565_u8 {
    int32_t pixels;
    int32_t high; /* 1: the byte with red comes first (big endian), 0: second */
};

SG_SPECIALIZE void sg_rgb565_u8(const struct sg_rgb565_u8 *p, const uint8_t *in, uint8_t *out)
{
    for (int32_t i = p->pixels - 1; i >= 0; i--) {
        const uint32_t first = in[2 * i], second = in[2 * i + 1];
        const uint32_t pixel = p->high != 0 ? first << 8 | second : second << 8 | first;
        out[3 * i] = (uint8_t)(((pixel >> 11) * 527u + 23u) >> 6);
        out[3 * i + 1] = (uint8_t)(((pixel >> 5 & 63u) * 259u + 33u) >> 6);
        out[3 * i + 2] = (uint8_t)(((pixel & 31u) * 527u + 23u) >> 6);
    }
}

#endif
