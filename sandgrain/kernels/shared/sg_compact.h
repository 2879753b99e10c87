/* Sandgrain kernels: what the kernels of least code share: one loop over rows of weights, one copy of a window, one rescaling.
 *
 * Nothing is unrolled and no function is forced into its callers: a network calls the same few of them for all its layers.
 * Sizes are 16-bit, as the host has seen to. A channel has two words in its layer's table:
 *   bias * 32 + shift    the bias holds the input zero point's share and fits 27 bits;
 *   doubled              see sg_compact_scale.
 */
#ifndef SG_COMPACT_H
#define SG_COMPACT_H

#include "sg_dsp.h"
#include "sg_layout.h"
#include "sg_math.h"

/* A function that the compiler inlines where that makes the code smaller. */
#if defined(__GNUC__)
#define SG_COMPACT __attribute__((unused)) static
#else
#define SG_COMPACT static
#endif

struct sg_limits {
    int8_t zero_point, low, high;
};

/* Rows of weights over runs of inputs: one run for all units, or one a unit. */
struct sg_rows {
    const int8_t *weights; /* [units][depth] */
    const int32_t *table;  /* [units][2] */
    uint16_t depth, units;
    uint16_t advance; /* from a unit's inputs to the next one's: 0 or depth */
    struct sg_limits limits;
};

/* Windows over an image. A window's first tap may start in any row y = -pad_top, -pad_top + stride_h ... below y_end. */
struct sg_window {
    int32_t outside; /* what taps outside read, the input zero point in each of its bytes */
    int16_t in_h, in_w, in_c, y_end, x_end;
    uint16_t step; /* from channel to channel in a window's copy: 1, or the number of taps */
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};

/* sg_requantize(acc, multiplier, 1 - shift) for |acc| < 2^29, multiplier >= 2^30 and 1 <= shift <= 30. doubled: 2 * multiplier, less
 * 2^32. Twice the product, plus twice the half, minus 1 where it is negative: halves then go away from zero, and a shift by nothing
 * needs no case of its own. */
SG_COMPACT int32_t sg_compact_scale(int32_t acc, int32_t doubled, int32_t shift)
{
    const int32_t x = sg_smmlar(acc, doubled, acc);
    return (2 * x + (1 << shift >> 1) + (x >> 31)) >> shift;
}

SG_COMPACT int8_t sg_compact_finish(int32_t acc, int32_t doubled, int32_t shift, const struct sg_limits *limits)
{
    return (int8_t)sg_clamp(sg_compact_scale(acc, doubled, shift) + limits->zero_point, limits->low, limits->high);
}

/* The outputs of all units for the inputs at `x`; returns where the next ones go. */
#if SG_HAS_DSP

SG_LAYOUT(rows, SG_AT(sg_rows, weights, 0) && SG_AT(sg_rows, table, 4) && SG_AT(sg_rows, depth, 8) && SG_AT(sg_rows, units, 10) &&
                    SG_AT(sg_rows, advance, 12) && SG_AT(sg_rows, limits.zero_point, 14) && SG_AT(sg_rows, limits.low, 15) &&
                    SG_AT(sg_rows, limits.high, 16));

#define SG_LANES_COMPACT(acc, w) "smlad " acc ",r11," w "," acc "\n"

/* Two units at a time where they have the same inputs. r1 x, r2 out, r3 and r5 weights, r4 table, r8 and r7 sums, r9 inputs, r10
 * depth left, then how many units are done; the others come and go. The stack: p at 0, units left at 12. What is read of p: depth
 * at 8, units at 10, advance at 12, the limits at 14, 15 and 16. */
SG_NAKED int8_t *sg_rows_of(const struct sg_rows *p SG_UNUSED, const int8_t *x SG_UNUSED, int8_t *out SG_UNUSED)
{
    __asm__ volatile(
        ".syntax unified\n"
        "push {r0-r11,lr}\n"
        "ldrd r3,r4,[r0]\n"
        "ldrh r5,[r0,#10]\n"
        "0: str r5,[sp,#12]\n"
        "ldrh r10,[r0,#8]\n"
        "ldrh r6,[r0,#12]\n"
        "mov r9,r1\n"
        "ldr r8,[r4]\n"
        "asr r8,r8,#5\n"
        "cbnz r6,5f\n"
        "cmp r5,#2\n"
        "blt 5f\n"
        "ldr r7,[r4,#8]\n"
        "add r5,r3,r10\n"
        "asr r7,r7,#5\n"
        "subs r10,r10,#4\n"
        "blt 2f\n"
        "1: ldr lr,[r9],#4\n" /* 15 instructions for 8 products */
        "ldr r12,[r3],#4\n"
        "ldr r6,[r5],#4\n"
        "sxtb16 r11,lr\n"
        "sxtb16 r0,r12\n" SG_LANES_COMPACT("r8", "r0")
        "sxtb16 r0,r6\n" SG_LANES_COMPACT("r7", "r0")
        "sxtb16 r11,lr,ror #8\n"
        "sxtb16 r12,r12,ror #8\n" SG_LANES_COMPACT("r8", "r12")
        "sxtb16 r6,r6,ror #8\n" SG_LANES_COMPACT("r7", "r6")
        "subs r10,r10,#4\n"
        "bge 1b\n"
        "2: adds r10,r10,#4\n"
        "beq 4f\n"
        "3: ldrsb lr,[r9],#1\n"
        "ldrsb r12,[r3],#1\n"
        "ldrsb r6,[r5],#1\n"
        "mla r8,lr,r12,r8\n"
        "mla r7,lr,r6,r7\n"
        "subs r10,r10,#1\n"
        "bne 3b\n"
        "4: mov r3,r5\n"
        "mov r10,#2\n"
        "b 8f\n"
        "5: subs r10,r10,#4\n" /* one unit */
        "blt 6f\n"
        "1: ldr lr,[r9],#4\n"
        "ldr r12,[r3],#4\n"
        "sxtb16 r11,lr\n"
        "sxtb16 r6,r12\n" SG_LANES_COMPACT("r8", "r6")
        "sxtb16 r11,lr,ror #8\n"
        "sxtb16 r12,r12,ror #8\n" SG_LANES_COMPACT("r8", "r12")
        "subs r10,r10,#4\n"
        "bge 1b\n"
        "6: adds r10,r10,#4\n"
        "beq 7f\n"
        "3: ldrsb lr,[r9],#1\n"
        "ldrsb r12,[r3],#1\n"
        "subs r10,r10,#1\n"
        "mla r8,lr,r12,r8\n"
        "bne 3b\n"
        "7: mov r10,#1\n"
        "8: ldr r0,[sp]\n"
        "mov r5,r10\n"
        "9: ldrd r6,r11,[r4],#8\n" /* sg_compact_finish of each */
        "and r6,r6,#31\n"
        "smmlar r8,r8,r11,r8\n"
        "mov r12,#1\n"
        "lsl r12,r12,r6\n"
        "lsr r12,r12,#1\n"
        "add r12,r12,r8,asr #31\n"
        "add r8,r12,r8,lsl #1\n"
        "asr r8,r8,r6\n"
        "ldrsb r12,[r0,#14]\n"
        "add r8,r8,r12\n"
        "ldrsb r12,[r0,#15]\n"
        "cmp r8,r12\n"
        "it lt\n"
        "movlt r8,r12\n"
        "ldrsb r12,[r0,#16]\n"
        "cmp r8,r12\n"
        "it gt\n"
        "movgt r8,r12\n"
        "strb r8,[r2],#1\n"
        "mov r8,r7\n"
        "subs r5,r5,#1\n"
        "bne 9b\n"
        "ldrh r12,[r0,#12]\n"
        "add r1,r1,r12\n"
        "ldr r5,[sp,#12]\n"
        "subs r5,r5,r10\n"
        "bne 0b\n"
        "mov r0,r2\n"
        "add sp,sp,#16\n"
        "pop {r4-r11,pc}\n" ::: "memory", "cc");
}

#else

SG_COMPACT int8_t *sg_rows_of(const struct sg_rows *p, const int8_t *x, int8_t *out)
{
    const int8_t *w = p->weights;
    const int32_t *entry = p->table;
    for (int32_t u = p->units; u > 0; u--) {
        const int8_t *v = x;
        const int8_t *const end = w + p->depth;
        int32_t acc = entry[0] >> 5;
        while (w != end) {
            acc += *v++ * *w++;
        }
        *out++ = sg_compact_finish(acc, entry[1], entry[0] & 31, &p->limits);
        entry += 2;
        x += p->advance;
    }
    return out;
}

#endif

/* Copies the window whose first tap is at (y, x) to `to`: tap after tap, or, with a step, channel after channel. */
SG_COMPACT void sg_window_at(const struct sg_window *p, const int8_t *in, int32_t y, int32_t x, int8_t *to)
{
    for (int32_t ky = p->kernel_h; ky > 0; ky--) {
        int32_t column = x;
        for (int32_t kx = p->kernel_w; kx > 0; kx--) {
            const int32_t inside = (uint32_t)y < (uint32_t)p->in_h && (uint32_t)column < (uint32_t)p->in_w;
            const int8_t *from = inside ? in + (y * p->in_w + column) * p->in_c : (const int8_t *)&p->outside;
            int8_t *tap = to;
            int32_t left = p->in_c;
#if SG_HAS_DSP
            for (; p->step == 1 && left >= 4; left -= 4) {
                sg_store32(tap, sg_load32(from));
                tap += 4;
                from += 4 * inside;
            }
#endif
            for (; left > 0; left--) {
                *tap = *from;
                tap += p->step;
                from += inside;
            }
            to += p->step == 1 ? p->in_c : 1;
            column += p->dilation_w;
        }
        y += p->dilation_h;
    }
}

#endif
