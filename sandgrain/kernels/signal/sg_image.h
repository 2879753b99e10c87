/* Sandgrain kernels: a weighted sum of pixels divided by the sum of its weights, rounded to nearest, halves up. The host has
 * found a multiplier and a shift that give the exact quotient (ops/signal/image.py, reciprocal). */
#ifndef SG_IMAGE_H
#define SG_IMAGE_H

#include "sg_math.h"

/* `wide`: the product needs 64 bits. */
static inline uint8_t sg_weighted_mean(int32_t sum, int32_t half, int32_t multiplier, int32_t shift, int32_t wide)
{
    const uint32_t n = (uint32_t)(sum + half);
    if (wide != 0) {
        return (uint8_t)((uint64_t)n * (uint32_t)multiplier >> shift);
    }
    return (uint8_t)(n * (uint32_t)multiplier >> shift);
}

#endif
