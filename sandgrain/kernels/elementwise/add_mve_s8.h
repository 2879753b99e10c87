/* Sandgrain kernel for Helium: int8 element-wise sum or difference without broadcasting.
 *
 * y = saturate8((offset + a * a_multiplier + b * b_multiplier) >> 22): the host has checked that this is the op's rounding
 * for all 65,536 pairs, and that no sum leaves 32 bits (sandgrain/kernels/proofs/narrow_plane.py). The shift is a rounding one by 16,
 * whose half `offset` leaves out, and one by 6 (GNU's assembler 2.40 mistakes VQSHRN for VQRSHRN, so only that serves both).
 * Elements are read before they are written in their place: `out` may be `a` or `b`.
 */
#ifndef SG_ADD_MVE_S8_H
#define SG_ADD_MVE_S8_H

#include "sg_mve.h"

struct sg_add_mve_s8 {
    int32_t a_multiplier, b_multiplier;
    int32_t offset; /* less 2^15 */
    int32_t low, high;
    int32_t count;
};

static inline void sg_add_mve_s8(const struct sg_add_mve_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    int32_t left = p->count;
#if SG_MVE
    /* Elements 0 to 3 narrow into the lower, 4 to 7 into the upper halves: 0 4 1 5 2 6 3 7. */
    const uint16x8_t pairs = vidupq_n_u16(0, 1);
    const uint16x8_t places = vaddq_u16(vshrq_n_u16(pairs, 1), vshlq_n_u16(vandq_u16(pairs, vdupq_n_u16(1)), 2));
    const int32x4_t by = vdupq_n_s32(p->a_multiplier);
    for (int32_t k = p->count / 8; k > 0; k--) {
        const int32x4_t first = vmlasq_n_s32(vldrbq_s32(a), by, p->offset);
        const int32x4_t second = vmlasq_n_s32(vldrbq_s32(a + 4), by, p->offset);
        int16x8_t wide = vqrshrnbq_n_s32(vdupq_n_s16(0), vmlaq_n_s32(first, vldrbq_s32(b), p->b_multiplier), 16);
        wide = vqrshrntq_n_s32(wide, vmlaq_n_s32(second, vldrbq_s32(b + 4), p->b_multiplier), 16);
        wide = vshrq_n_s16(wide, 6);
        wide = vminq_s16(vmaxq_s16(wide, vdupq_n_s16((int16_t)p->low)), vdupq_n_s16((int16_t)p->high));
        vstrbq_scatter_offset_s16(out, places, wide);
        a += 8;
        b += 8;
        out += 8;
    }
    left = p->count % 8;
#endif
    for (; left > 0; left--) {
        *out++ = (int8_t)sg_clamp((p->offset + (1 << 15) + *a++ * p->a_multiplier + *b++ * p->b_multiplier) >> 22, p->low, p->high);
    }
}

#endif
