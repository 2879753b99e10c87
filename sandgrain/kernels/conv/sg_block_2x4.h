/* Sandgrain kernels: the inner block of every convolution on Armv7E-M. Two pixels by four output channels at a time.
 *
 * The pixels' windows lie widened in `x`: for each pair of inputs one word of pixel 0, then one of pixel 1. Every four
 * inputs c0..c3 make the pairs (c0, c2) and (c1, c3), as SXTB16 gives them.
 *
 * The weights come as one stream of words, a block of four output channels a, b, c, d after another:
 *   4 words    start of the sums: bias of a, 256 * bias of b + bias of a, the same for c and d;
 *   2 a pair   halves 256 * (weight of b) + (weight of a), one half for each input of the pair; then c and d;
 *   8 words    (doubled, power) of a, b, c, d: see sg_requantize_dsp.
 * A word used as it stands sums 256 * B + A; its low bytes, widened by one SXTB16, sum A. The difference is 256 * B,
 * exact as long as B fits 24 bits and each half 16: stream_of in sandgrain/kernels/shared/dsp_stream.py takes no other weights.
 * Twelve instructions do 16 products.
 */
#ifndef SG_BLOCK_2X4_H
#define SG_BLOCK_2X4_H

#include "sg_dsp.h"
#include "sg_layout.h"

/* What a layer's blocks share. The assembly reads the members in this order. */
struct sg_block_2x4 {
    const sg_word *x; /* the widened windows: 4 * (number of fours) words, at least 4 */
    uint32_t skip;     /* where the unrolled body starts: see sg_block_2x4_skip */
    int32_t zero_point;
    int32_t round_half_away; /* 0 when the clamp starts at zero_point (see sg_requantize_relu_dsp) */
    const sg_word *x_end;
};

/* The first four inputs stand before a body that is unrolled for four times as many. Bits 31 and 30: how many of its
 * steps the first round skips; bit 0: there is a round at all. */
static inline uint32_t sg_block_2x4_skip(int32_t fours)
{
    const int32_t skipped = (1 - fours) & 3;
    return ((uint32_t)skipped << 30) | (fours > 1 ? 1u : 0u);
}

#if SG_HAS_DSP
SG_LAYOUT(block_2x4, SG_AT(sg_block_2x4, x, 0) && SG_AT(sg_block_2x4, skip, 4) && SG_AT(sg_block_2x4, zero_point, 8) &&
                         SG_AT(sg_block_2x4, round_half_away, 12) && SG_AT(sg_block_2x4, x_end, 16));
#endif

/* Computes the blocks from `stream` to `stream_end`, at least one. `out` is pixel 0's first byte, out[to_1] pixel 1's; a
 * lone pixel gives to_1 = 0, and pixel 0 is written last. Results saturate to -128..127. */
#if SG_HAS_DSP

#define SG_STEP_2X4         \
    "ldmia r0!,{r2,r3}\n"   \
    "ldmia r1!,{r4,r5}\n"   \
    "smlad r8,r4,r2,r8\n"   \
    "smlad r9,r4,r3,r9\n"   \
    "smlad r12,r5,r2,r12\n" \
    "smlad lr,r5,r3,lr\n"   \
    "sxtb16 r4,r4\n"        \
    "sxtb16 r5,r5\n"        \
    "smlad r6,r4,r2,r6\n"   \
    "smlad r7,r4,r3,r7\n"   \
    "smlad r10,r5,r2,r10\n" \
    "smlad r11,r5,r3,r11\n"

#define SG_TWO_STEPS_2X4 ".rept 2\n" SG_STEP_2X4 ".endr\n"

/* One channel: r4 doubled, r5 power, r3 the zero point; pixel 1 goes out first. */
#define SG_RELU_2X4(p0, p1)            \
    "ldmia r1!,{r4,r5}\n"              \
    "smmlar " p1 "," p1 ",r4," p1 "\n" \
    "smmlar " p0 "," p0 ",r4," p0 "\n" \
    "smmlar " p1 "," p1 ",r5,r3\n"     \
    "smmlar " p0 "," p0 ",r5,r3\n"     \
    "ssat " p1 ",#8," p1 "\n"          \
    "ssat " p0 ",#8," p0 "\n"          \
    "strb " p1 ",[r2,r0]\n"            \
    "strb " p0 ",[r2],#1\n"
#define SG_EXACT_2X4(p0, p1)              \
    "ldmia r1!,{r4,r5}\n"                 \
    "smmlar " p1 "," p1 ",r4," p1 "\n"    \
    "smmlar " p0 "," p0 ",r4," p0 "\n"    \
    "add " p1 "," p1 ", " p1 ",asr #31\n" \
    "add " p0 "," p0 ", " p0 ",asr #31\n" \
    "smmlar " p1 "," p1 ",r5,r3\n"        \
    "smmlar " p0 "," p0 ",r5,r3\n"        \
    "ssat " p1 ",#8," p1 "\n"             \
    "ssat " p0 ",#8," p0 "\n"             \
    "strb " p1 ",[r2,r0]\n"               \
    "strb " p0 ",[r2],#1\n"

/* The first step: the bias serves both pixels. */
#define SG_FIRST_2X4        \
    "ldmia r0!,{r2,r3}\n"   \
    "ldmia r1!,{r4,r5}\n"   \
    "smlad r9,r4,r3,r8\n"   \
    "smlad r8,r4,r2,r8\n"   \
    "smlad lr,r5,r3,r12\n"  \
    "smlad r12,r5,r2,r12\n" \
    "sxtb16 r4,r4\n"        \
    "sxtb16 r5,r5\n"        \
    "smlad r7,r4,r3,r6\n"   \
    "smlad r6,r4,r2,r6\n"   \
    "smlad r11,r5,r3,r10\n" \
    "smlad r10,r5,r2,r10\n"

/* The stack: out, to_1, x, skip, zero_point, round_half_away, x_end at 0..24, saved registers from 28, stream_end at 64.
 * r0 x, r1 stream, r2 r3 the inputs, r4 r5 the weights; sums: a r6 r7, b r8 r9, c r10 r11, d r12 lr. */
SG_NAKED void sg_block_2x4(const struct sg_block_2x4 *p SG_UNUSED, int8_t *out SG_UNUSED, int32_t to_1 SG_UNUSED,
                           const int32_t *stream SG_UNUSED, const int32_t *stream_end SG_UNUSED)
{
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r11,lr}\n"
        "ldm r0,{r4-r8}\n"
        "push {r1,r2,r4-r8}\n"
        "mov r1,r3\n"
        "0: ldm r1!,{r6,r8,r10,r12}\n"
        "ldrd r0,r2,[sp,#8]\n"
        "lsls r2,r2,#1\n" /* nothing below changes the flags */
        SG_FIRST_2X4 SG_STEP_2X4
        "bcs 7f\n"
        "bmi 2f\n"
        "beq 5f\n"
        "1:\n"
        SG_TWO_STEPS_2X4
        "2:\n"
        SG_TWO_STEPS_2X4
        "3:\n"
        SG_TWO_STEPS_2X4
        "4:\n"
        SG_TWO_STEPS_2X4
        "ldr r2,[sp,#24]\n"
        "cmp r0,r2\n"
        "bne 1b\n"
        "5:\n"
        "sub r8,r8,r6\n"
        "sub r9,r9,r7\n"
        "sub r12,r12,r10\n"
        "sub lr,lr,r11\n"
        "asr r8,r8,#8\n"
        "asr r9,r9,#8\n"
        "asr r12,r12,#8\n"
        "asr lr,lr,#8\n"
        "ldrd r2,r0,[sp]\n"
        "ldrd r3,r4,[sp,#16]\n"
        "cmp r4,#0\n"
        "bne 8f\n"
        SG_RELU_2X4("r6", "r7")
        SG_RELU_2X4("r8", "r9")
        SG_RELU_2X4("r10", "r11")
        SG_RELU_2X4("r12", "lr")
        "6: ldr r4,[sp,#64]\n"
        "str r2,[sp]\n"
        "cmp r1,r4\n"
        "bne 0b\n"
        "add sp,sp,#28\n"
        "pop {r4-r11,pc}\n"
        "7: bmi 4b\n"
        "b 3b\n"
        "8:\n"
        SG_EXACT_2X4("r6", "r7")
        SG_EXACT_2X4("r8", "r9")
        SG_EXACT_2X4("r10", "r11")
        SG_EXACT_2X4("r12", "lr")
        "b 6b\n" ::: "memory", "cc");
}

#define SG_STEP_WIDEN       \
    "ldr r6,[r0],#4\n"      \
    "ldr r7,[r1],#4\n"      \
    "sxtb16 r4,r6\n"        \
    "sxtb16 r5,r7\n"        \
    "sxtb16 r6,r6,ror #8\n" \
    "sxtb16 r7,r7,ror #8\n" \
    "stmia r3!,{r4-r7}\n"

/* Widens `words` words (at least one) of two pixels into `to`; returns the end of what it wrote. */
SG_NAKED sg_word *sg_widen_2(const int8_t *p0 SG_UNUSED, const int8_t *p1 SG_UNUSED, int32_t words SG_UNUSED,
                              sg_word *to SG_UNUSED)
{
    __asm__ volatile(
        ".syntax unified\n"
        "push {r4-r7,lr}\n"
        "adds r2,r2,#1\n" /* the body is unrolled for two; an odd count starts at its second half */
        "lsrs r2,r2,#1\n"
        "bcc 1f\n"
        "0:\n"
        SG_STEP_WIDEN
        "1:\n"
        SG_STEP_WIDEN
        "subs r2,r2,#1\n"
        "bne 0b\n"
        "mov r0,r3\n"
        "pop {r4-r7,pc}\n" ::: "memory", "cc");
}

#else

static inline int32_t sg_finish_2x4(int32_t acc, const int32_t *pair, int32_t zero_point, int32_t round_half_away)
{
    return sg_ssat8(round_half_away != 0 ? sg_requantize_dsp(acc, pair[0], pair[1], zero_point)
                          : sg_requantize_relu_dsp(acc, pair[0], pair[1], zero_point));
}

/* The same block for a computer without the instructions. */
SG_SHARED void sg_block_2x4(const struct sg_block_2x4 *p, int8_t *out, int32_t to_1, const int32_t *stream,
                            const int32_t *stream_end)
{
    while (stream != stream_end) {
        int32_t acc[4][2];
        for (int32_t c = 0; c < 4; c++) {
            acc[c][0] = *stream;
            acc[c][1] = *stream;
            stream++;
        }
        for (const sg_word *v = p->x; v != p->x_end; v += 2) {
            for (int32_t c = 0; c < 4; c += 2) {
                const uint32_t both = (uint32_t)*stream;
                stream++;
                for (int32_t k = 0; k < 2; k++) {
                    acc[c][k] = sg_smlad(sg_sxtb16(both), v[k], acc[c][k]);
                    acc[c + 1][k] = sg_smlad(both, v[k], acc[c + 1][k]);
                }
            }
        }
        for (int32_t c = 0; c < 4; c++) {
            for (int32_t k = 1; k >= 0; k--) {
                int32_t sum = acc[c][k];
                if ((c & 1) != 0) {
                    sum = (int32_t)((uint32_t)sum - (uint32_t)acc[c - 1][k]) >> 8;
                }
                out[k * to_1] = (int8_t)sg_finish_2x4(sum, stream, p->zero_point, p->round_half_away);
            }
            stream += 2;
            out++;
        }
    }
}

SG_SHARED sg_word *sg_widen_2(const int8_t *p0, const int8_t *p1, int32_t words, sg_word *to)
{
    for (int32_t i = 0; i < words; i++) {
        const uint32_t v0 = sg_load32(p0 + 4 * i), v1 = sg_load32(p1 + 4 * i);
        to[0] = sg_sxtb16(v0);
        to[1] = sg_sxtb16(v1);
        to[2] = sg_sxtb16_ror8(v0);
        to[3] = sg_sxtb16_ror8(v1);
        to += 4;
    }
    return to;
}

#endif

#endif
