/* Sandgrain kernels: what the convolutions on Armv7E-M share: a pair of pixels, once its windows are widened. */
#ifndef SG_CONV_DSP_H
#define SG_CONV_DSP_H

#include "sg_block_2x4.h"

/* Where the sums of a layer come from and go to; filled once a call. */
struct sg_conv_dsp {
    struct sg_block_2x4 block;
    const int32_t *packed_weights; /* blocks of four channels, as sg_block_2x4 reads them */
    const int32_t *partial_block_begin; /* the last channels, if their number is no multiple of four; else partial_block_end */
    const int32_t *partial_block_end;
    int32_t out_c, low, high;
};

/* Four bytes of each of two pixels, widened as sg_widen_2 does. */
static inline sg_word *sg_conv_widen_word(uint32_t v0, uint32_t v1, sg_word *to)
{
    to[0] = sg_sxtb16(v0);
    to[1] = sg_sxtb16(v1);
    to[2] = sg_sxtb16_ror8(v0);
    to[3] = sg_sxtb16_ror8(v1);
    return to + 4;
}

/* All channels of one pair of pixels, to_1 bytes apart (0 for a lone pixel). */
SG_SHARED void sg_conv_dsp_pair(const struct sg_conv_dsp *c, int8_t *out, int32_t to_1)
{
    if (c->packed_weights != c->partial_block_begin) {
        sg_block_2x4(&c->block, out, to_1, c->packed_weights, c->partial_block_begin);
    }
    if (c->partial_block_begin != c->partial_block_end && c->out_c >= 4) {
        /* The last four channels; those that the blocks above hold too come out the same again. */
        sg_block_2x4(&c->block, out + c->out_c - 4, to_1, c->partial_block_begin, c->partial_block_end);
    } else if (c->partial_block_begin != c->partial_block_end) {
        int8_t four[8];
        sg_block_2x4(&c->block, four, 4, c->partial_block_begin, c->partial_block_end);
        for (int32_t k = 0; k < c->out_c; k++) {
            out[to_1 + k] = four[4 + k];
            out[k] = four[k];
        }
    } else {
        /* no block is partial */
    }
    if (c->low > -128 || c->high < 127) {
        sg_clamp_bytes(out, c->out_c, c->low, c->high);
        sg_clamp_bytes(out + to_1, c->out_c, c->low, c->high);
    }
}

#endif
