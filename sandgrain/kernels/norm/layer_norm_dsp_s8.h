/* Sandgrain kernel: int8 layer normalization over the last axis on Armv7E-M. The meaning is in sandgrain/graph/ops/norm/layer_norm.py.
 *
 * A row is summed before its first output and element i is read before output i is written, so `out` may be `in`.
 */
#ifndef SG_LAYER_NORM_DSP_S8_H
#define SG_LAYER_NORM_DSP_S8_H

#include "sg_root.h"
#include "sg_scale_dsp.h"

struct sg_layer_norm_dsp_s8 {
    const int16_t *gamma; /* [depth] */
    const int32_t *beta;  /* [depth], |beta| <= 2^30 */
    int64_t eps;          /* <= 2^50, of unit 2^-10 / depth^2 of an input step squared */
    int32_t rows, depth;  /* depth <= 4096 */
    int32_t fraction_bits;
    int32_t doubled, power; /* to the output: see sg_requantize_dsp */
    int32_t zero_point;
};

/* depth^2 times the variance, and `*sum`, of a row. */
static inline int64_t sg_layer_norm_spread(const int8_t *x, int32_t depth, int32_t *sum)
{
    const int8_t *const whole = x + (depth & ~3), *const end = x + depth;
    int32_t total = 0, squares = 0; /* squares <= 2^12 * 2^14 */
    for (; x != whole; x += 4) {
        const uint32_t four = sg_load32(x);
        const uint32_t even = sg_sxtb16(four), odd = sg_sxtb16_ror8(four);
        squares = sg_smlad(odd, odd, sg_smlad(even, even, squares));
        total = sg_smlad(odd, 0x00010001u, sg_smlad(even, 0x00010001u, total));
    }
    for (; x != end; x++) {
        total += *x;
        squares += *x * *x;
    }
    *sum = total;
    return (int64_t)depth * squares - (int64_t)total * total;
}

static inline int32_t sg_layer_norm_saturate(int32_t x)
{
    return x < -32768 ? -32768 : (x > 32767 ? 32767 : x);
}

SG_SHARED void sg_layer_norm_dsp_s8(const struct sg_layer_norm_dsp_s8 *p, const int8_t *in, int8_t *out)
{
    const int32_t depth = p->depth;
    for (int32_t n = 0; n < p->rows; n++) {
        int32_t sum;
        /* Cauchy and Schwarz: never negative; below 2^39 before it gets 10 fraction bits. */
        const int64_t v = sg_layer_norm_spread(in, depth, &sum) * 1024 + p->eps;
        const struct sg_root root = sg_one_over_root(v < 1 ? 1 : v);
        const int32_t shift = p->fraction_bits + 1 - (root.half - 5), right = shift < 0 ? -shift : 0; /* at most 12 */
        const int32_t doubled = (int32_t)((uint32_t)root.multiplier * 2u);
        const uint32_t half = ((uint32_t)1 << right) >> 1, away = right != 0 ? (uint32_t)1 << 31 : 0u;
        const int32_t code = (int32_t)((uint32_t)(shift + right) | (uint32_t)right << 8 | half << 16 | away);
        for (int32_t c = 0; c < depth; c++) {
            /* |depth * q - sum| < 2^20; shifted left it stays below 2^17, because the quotient fits 16 bits. */
            const int32_t q = sg_layer_norm_saturate(sg_scale_dsp(depth * in[c] - sum, doubled, code));
            const int32_t acc = q * p->gamma[c] + p->beta[c];
            out[c] = (int8_t)sg_ssat8(sg_requantize_dsp(acc, p->doubled, p->power, p->zero_point));
        }
        in += depth;
        out += depth;
    }
}

#endif
