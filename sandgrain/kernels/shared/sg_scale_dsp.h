/* Sandgrain kernels: sg_requantize on Armv7E-M for shifts in both directions, from a pair of words that the host makes.
 *
 * doubled = 2 * multiplier - 2^32 (see sg_requantize_dsp). code: in its bytes 0 and 1 the shifts to the left before the product
 * and to the right after it, above them half of what the latter drops, less than 2^15; negative where there is a shift to the
 * right, whose halves go away from zero. In numpy: sandgrain/kernels/shared/scale_dsp.py.
 */
#ifndef SG_SCALE_DSP_H
#define SG_SCALE_DSP_H

#include "sg_dsp.h"

static inline int32_t sg_scale_dsp(int32_t acc, int32_t doubled, int32_t code)
{
    const int32_t shifted = (int32_t)((uint32_t)acc << ((uint32_t)code & 31u));
    int32_t y = sg_smmlar(shifted, doubled, shifted);
    y += (y & (code >> 31)) >> 31;
    return (y + ((code >> 16) & 0x7FFF)) >> (((uint32_t)code >> 8) & 31u);
}

#endif
