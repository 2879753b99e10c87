/* Sandgrain kernel: int8 fully connected layer on Armv7E-M, eight units at a time.
 *
 * The weights come as one stream of words, a block of eight units after another:
 *   8 words       start of the sums: bias of unit 0, 256 * bias of unit 1 + bias of unit 0, the same for 2 3, 4 5, 6 7;
 *   8 a 4 inputs  for the inputs (c0, c2), then (c1, c3): four words, each as in sg_block_2x4.h for two of the units;
 *   16 words      (doubled, power) of each unit: see sg_requantize_dsp.
 * Four inputs are widened once for eight units: 31 instructions for 32 products.
 */
#ifndef SG_FULLY_CONNECTED_DSP_S8_H
#define SG_FULLY_CONNECTED_DSP_S8_H

#include "sg_dsp.h"

struct sg_fully_connected_dsp_s8 {
    const int32_t *packed_weights;
    /* In words of packed_weights: where the block of the last eight units starts, if it overlaps another, and the end. */
    int32_t partial_block_begin, partial_block_end;
    int32_t batch, depth, units;
    int32_t zero_point, round_half_away, low, high;
};

/* Computes the blocks from `stream` to `stream_end` (at least one) for the inputs from x to x_end, a multiple of four. */
#if SG_HAS_DSP

#define SG_STEP_1X8(x)         \
    "ldmia r1!,{r4,r5}\n"      \
    "smlad r7,r4," x ",r7\n"   \
    "smlad r9,r5," x ",r9\n"   \
    "sxtb16 r4,r4\n"           \
    "sxtb16 r5,r5\n"           \
    "smlad r6,r4," x ",r6\n"   \
    "smlad r8,r5," x ",r8\n"   \
    "ldmia r1!,{r4,r5}\n"      \
    "smlad r11,r4," x ",r11\n" \
    "smlad lr,r5," x ",lr\n"   \
    "sxtb16 r4,r4\n"           \
    "sxtb16 r5,r5\n"           \
    "smlad r10,r4," x ",r10\n" \
    "smlad r12,r5," x ",r12\n"
#define SG_INPUTS_1X8       \
    "ldr r3,[r0],#4\n"      \
    "sxtb16 r2,r3\n"        \
    "sxtb16 r3,r3,ror #8\n" \
    SG_STEP_1X8("r2") SG_STEP_1X8("r3")
#define SG_RELU_1X8(acc)                  \
    "ldmia r1!,{r4,r5}\n"                 \
    "smmlar " acc "," acc ",r4," acc "\n" \
    "smmlar " acc "," acc ",r5,r3\n"      \
    "ssat " acc ", #8, " acc "\n"         \
    "strb " acc ",[r2],#1\n"
#define SG_EXACT_1X8(acc)                    \
    "ldmia r1!,{r4,r5}\n"                    \
    "smmlar " acc "," acc ",r4," acc "\n"    \
    "add " acc "," acc ", " acc ",asr #31\n" \
    "smmlar " acc "," acc ",r5,r3\n"         \
    "ssat " acc ", #8, " acc "\n"            \
    "strb " acc ",[r2],#1\n"
#define SG_SPLIT_1X8(a, b)     \
    "sub " b "," b ", " a "\n" \
    "asr " b "," b ",#8\n"

/* The stack: x, x_end, out, zero_point at 0..12, saved registers, then from 52: stream, stream_end, round_half_away. */
SG_NAKED void sg_block_1x8(const int8_t *x SG_UNUSED, const int8_t *x_end SG_UNUSED, int8_t *out SG_UNUSED,
                           int32_t zero_point SG_UNUSED, const int32_t *stream SG_UNUSED,
                           const int32_t *stream_end SG_UNUSED, int32_t round_half_away SG_UNUSED)
{
    __asm__ volatile(
        ".syntax unified\n"
        "push {r0-r11,lr}\n"
        "ldr r1,[sp,#52]\n"
        "0: ldmia r1!,{r6-r12,lr}\n"
        "ldrd r0,r2,[sp]\n"
        "subs r2,r2,r0\n"
        "lsls r2,r2,#29\n" /* an odd number of fours starts in the middle */
        "bmi 2f\n"
        "1:\n"
        SG_INPUTS_1X8
        "2:\n"
        SG_INPUTS_1X8
        "ldr r2,[sp,#4]\n"
        "cmp r0,r2\n"
        "bne 1b\n"
        SG_SPLIT_1X8("r6", "r7")
        SG_SPLIT_1X8("r8", "r9")
        SG_SPLIT_1X8("r10", "r11")
        SG_SPLIT_1X8("r12", "lr")
        "ldrd r2,r3,[sp,#8]\n"
        "ldr r4,[sp,#60]\n"
        "cmp r4,#0\n"
        "bne 4f\n"
        SG_RELU_1X8("r6") SG_RELU_1X8("r7") SG_RELU_1X8("r8") SG_RELU_1X8("r9")
        SG_RELU_1X8("r10") SG_RELU_1X8("r11") SG_RELU_1X8("r12") SG_RELU_1X8("lr")
        "3: ldr r4,[sp,#56]\n"
        "str r2,[sp,#8]\n"
        "cmp r1,r4\n"
        "bne 0b\n"
        "add sp,sp,#16\n"
        "pop {r4-r11,pc}\n"
        "4:\n"
        SG_EXACT_1X8("r6") SG_EXACT_1X8("r7") SG_EXACT_1X8("r8") SG_EXACT_1X8("r9")
        SG_EXACT_1X8("r10") SG_EXACT_1X8("r11") SG_EXACT_1X8("r12") SG_EXACT_1X8("lr")
        "b 3b\n" ::: "memory", "cc");
}

#else

SG_SHARED void sg_block_1x8(const int8_t *x, const int8_t *x_end, int8_t *out, int32_t zero_point,
                            const int32_t *stream, const int32_t *stream_end, int32_t round_half_away)
{
    while (stream != stream_end) {
        int32_t acc[8];
        for (int32_t u = 0; u < 8; u++) {
            acc[u] = *stream;
            stream++;
        }
        for (const int8_t *v = x; v != x_end; v += 4) {
            const uint32_t four = sg_load32(v);
            for (int32_t u = 0; u < 16; u += 2) {
                const uint32_t pair = u < 8 ? sg_sxtb16(four) : sg_sxtb16_ror8(four);
                const uint32_t both = (uint32_t)*stream;
                stream++;
                acc[u & 7] = sg_smlad(sg_sxtb16(both), pair, acc[u & 7]);
                acc[(u & 7) + 1] = sg_smlad(both, pair, acc[(u & 7) + 1]);
            }
        }
        for (int32_t u = 0; u < 8; u++) {
            const int32_t sum = (u & 1) != 0 ? (int32_t)((uint32_t)acc[u] - (uint32_t)acc[u - 1]) >> 8 : acc[u];
            const int32_t y = round_half_away != 0 ? sg_requantize_dsp(sum, stream[0], stream[1], zero_point)
                                    : sg_requantize_relu_dsp(sum, stream[0], stream[1], zero_point);
            *out = (int8_t)sg_ssat8(y);
            out++;
            stream += 2;
        }
    }
}

#endif

SG_SHARED void sg_fully_connected_dsp_s8(const struct sg_fully_connected_dsp_s8 *p, const int8_t *in, int8_t *out)
{
    const int32_t *const tail = p->packed_weights + p->partial_block_begin;
    for (int32_t n = 0; n < p->batch; n++) {
        if (p->partial_block_begin != 0) {
            sg_block_1x8(in, in + p->depth, out, p->zero_point, p->packed_weights, tail, p->round_half_away);
        }
        if (p->partial_block_begin != p->partial_block_end) {
            /* The last eight units; those that the blocks above hold too come out the same again. */
            sg_block_1x8(in, in + p->depth, out + p->units - 8, p->zero_point, tail, p->packed_weights + p->partial_block_end,
                         p->round_half_away);
        }
        if (p->low > -128 || p->high < 127) {
            sg_clamp_bytes(out, p->units, p->low, p->high);
        }
        in += p->depth;
        out += p->units;
    }
}

#endif
