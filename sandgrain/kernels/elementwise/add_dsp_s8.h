/* Sandgrain kernel: int8 element-wise a + b or a - b without broadcasting, for cores with the DSP extension.
 *
 *   out = saturate8((offset + (a * a_multiplier >> 8) + (b * b_multiplier >> 8)) >> 21)
 *
 * clamped to low .. high. The host has found constants with which this equals the rule for all 65,536 pairs, zero points included, and no sum leaves
 * 32 bits. Element i of each input is read before output i is written, so `out` may be an input.
 */
#ifndef SG_ADD_DSP_S8_H
#define SG_ADD_DSP_S8_H

#include "sg_dsp_fours.h"

struct sg_add_dsp_s8 {
    int32_t a_multiplier, b_multiplier, offset;
    int32_t low, high;
    int32_t count;
};

#if SG_HAS_DSP

/* Outputs at out[at] and out[at + 2], from pairs of inputs times 256. */
#define SG_ADD_DSP_S8_PAIR(at, a, b) \
    do { \
        int32_t low, high; \
        __asm__("smlawb %0, %1, %2, %3" : "=r"(low) : "r"(a_multiplier), "r"(a), "r"(offset)); \
        __asm__("smlawt %0, %1, %2, %3" : "=r"(high) : "r"(a_multiplier), "r"(a), "r"(offset)); \
        __asm__("smlawb %0, %1, %2, %0" : "+r"(low) : "r"(b_multiplier), "r"(b)); \
        __asm__("smlawt %0, %1, %2, %0" : "+r"(high) : "r"(b_multiplier), "r"(b)); \
        __asm__("ssat %0, #8, %0, asr #21" : "+r"(low)); \
        __asm__("ssat %0, #8, %0, asr #21" : "+r"(high)); \
        out[at] = (int8_t)low; \
        out[(at) + 2] = (int8_t)high; \
    } while (0)

static inline int32_t sg_add_dsp_s8_fours(const struct sg_add_dsp_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    const int32_t a_multiplier = p->a_multiplier, b_multiplier = p->b_multiplier, offset = p->offset;
    const uint32_t high_bytes = 0xFF00FF00u;
    const int8_t *const end = out + (p->count & ~3);
    for (; out != end; a += 4, b += 4, out += 4) {
        const uint32_t wa = sg_load32(a), wb = sg_load32(b);
        const uint32_t a02 = (wa << 8) & high_bytes, b02 = (wb << 8) & high_bytes;
        const uint32_t a13 = wa & high_bytes, b13 = wb & high_bytes;
        SG_ADD_DSP_S8_PAIR(0, a02, b02);
        SG_ADD_DSP_S8_PAIR(1, a13, b13);
    }
    return p->count & ~3;
}

#endif

static inline void sg_add_dsp_s8(const struct sg_add_dsp_s8 *p, const int8_t *a, const int8_t *b, int8_t *out)
{
    int32_t i = 0;
#if SG_HAS_DSP
    i = sg_add_dsp_s8_fours(p, a, b, out);
#endif
    for (; i < p->count; i++) {
        const int32_t term_a = (int32_t)((int64_t)a[i] * p->a_multiplier >> 8);
        const int32_t term_b = (int32_t)((int64_t)b[i] * p->b_multiplier >> 8);
        out[i] = (int8_t)sg_ssat8((p->offset + term_a + term_b) >> 21);
    }
    sg_dsp_clamp(out, p->count, p->low, p->high);
}

#endif
