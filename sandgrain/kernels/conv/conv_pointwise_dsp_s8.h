/* Sandgrain kernel: int8 1x1 convolution of stride 1 on Armv7E-M, two pixels at a time.
 *
 * Each pair of pixels is widened to the scratch before its outputs are written. With `backward` the pairs are walked
 * from the last to the first, so outputs wider than the inputs may lie over them, at the same start.
 */
#ifndef SG_CONV_POINTWISE_DSP_S8_H
#define SG_CONV_POINTWISE_DSP_S8_H

#include "sg_conv_dsp.h"

struct sg_conv_pointwise_dsp_s8 {
    const int32_t *packed_weights; /* see sg_block_2x4.h */
    int32_t partial_block_begin, partial_block_end; /* in words of packed_weights: where the last, partial block starts and ends */
    int32_t pixels, in_c, out_c;
    int32_t zero_point, round_half_away, low, high;
    int32_t backward;
};

/* The last in_c % 4 bytes of a pixel, zeros after them. */
static inline uint32_t sg_conv_pointwise_tail(const int8_t *x, int32_t in_c)
{
    const int32_t left = in_c & 3;
    uint32_t word = 0;
    if (in_c > 4) {
        return sg_load32(x + in_c - 4) >> (32 - 8 * left);
    }
    for (int32_t i = left - 1; i >= 0; i--) {
        word = word << 8 | (uint8_t)x[i];
    }
    return word;
}

SG_SHARED void sg_conv_pointwise_dsp_s8(const struct sg_conv_pointwise_dsp_s8 *p, const int8_t *in, int8_t *out,
                                    int8_t *scratch)
{
    sg_word *const x = (sg_word *)(void *)scratch;
    const int32_t words = p->in_c >> 2;
    const struct sg_conv_dsp c = {
        {x, sg_block_2x4_skip((p->in_c + 3) >> 2), p->zero_point, p->round_half_away, x + 4 * ((p->in_c + 3) >> 2)},
        p->packed_weights, p->packed_weights + p->partial_block_begin, p->packed_weights + p->partial_block_end, p->out_c,
        p->low, p->high,
    };
    int32_t step = 2;
    int32_t first = 0;

    if (p->backward != 0) {
        first = (p->pixels - 1) & ~1;
        step = -2;
    }
    for (; first >= 0 && first < p->pixels; first += step) {
        const int32_t second = first + 1; /* of the pair, where there is one */
        const int8_t *const p0 = in + first * p->in_c;
        const int8_t *const p1 = second < p->pixels ? p0 + p->in_c : p0;
        sg_word *to = x;
        if (words != 0) {
            to = sg_widen_2(p0, p1, words, to);
        }
        if ((p->in_c & 3) != 0) {
            (void)sg_conv_widen_word(sg_conv_pointwise_tail(p0, p->in_c), sg_conv_pointwise_tail(p1, p->in_c), to);
        }
        sg_conv_dsp_pair(&c, out + first * p->out_c, second < p->pixels ? p->out_c : 0);
    }
}

#endif
