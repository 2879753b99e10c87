/* Sandgrain kernels: the inner block of the portable convolutions: four output channels of two pixels at once.
 *
 * Each input of the two windows is loaded once for four channels and each weight once for two pixels: 14 instructions for
 * 8 multiply-accumulates on Armv7-M. `pair` holds both windows by fours: four inputs of the first, the same four of the
 * second, and so on, so that one pointer serves both.
 */
#ifndef SG_BLOCK_4X2_H
#define SG_BLOCK_4X2_H

#include "sg_layout.h"
#include "sg_scale.h"

/* The assembly for Armv7-M reads the first four members. `depth`: inputs of a window, a multiple of 4, above 0. */
struct sg_block_4x2 {
    const int8_t *weights; /* [blocks][depth][4], then [singles][depth] */
    const int32_t *table;  /* [blocks]: four biases, four pairs (multiplier, code); then [singles]: bias, multiplier, code */
    int32_t depth, blocks, singles;
};

#if defined(__GNUC__) && defined(__thumb2__) && !defined(SG_NO_ASSEMBLY)

SG_LAYOUT(block_4x2, SG_AT(sg_block_4x2, weights, 0) && SG_AT(sg_block_4x2, table, 4) && SG_AT(sg_block_4x2, depth, 8) &&
                         SG_AT(sg_block_4x2, blocks, 12));

/* r0 end of the windows, r1 windows, r2 weights, r3 r12 inputs, lr weight, r4..r7 sums of the first pixel, r8..r11 of the
 * second. Fourteen registers: compilers spill some of them or keep shuffling the sums. */
#define SG_TAP(first, second, at) \
    "ldrsb lr, [r2, #" #at "]\n\t" \
    "mla " #first ", r3, lr, " #first "\n\t" \
    "mla " #second ", r12, lr, " #second "\n\t"
#define SG_INPUT(a, b, at0, at1, at2, at3) \
    "ldrsb r3, [r1, #" #a "]\n\t" \
    "ldrsb r12, [r1, #" #b "]\n\t" \
    SG_TAP(r4, r8, at0) SG_TAP(r5, r9, at1) SG_TAP(r6, r10, at2) SG_TAP(r7, r11, at3)

/* Stack: [sp] windows, 4 out0, 8 out1, 12 weights, 16 table, 20 end of the windows, 24 end of the table. */
#define SG_BLOCKS(epilogue) \
    "push {r4-r11, lr}\n\t" \
    "ldrd r4, r5, [r0]\n\t" \
    "ldrd r6, r7, [r0, #8]\n\t" \
    "add r6, r1, r6, lsl #1\n\t" \
    "add r7, r7, r7, lsl #1\n\t" \
    "add r7, r5, r7, lsl #4\n\t" /* 48 bytes a block */ \
    "push {r1-r7}\n" \
    "1:\n\t" \
    "ldr r3, [sp, #16]\n\t" \
    "ldmia r3!, {r4-r7}\n\t" \
    "str r3, [sp, #16]\n\t" \
    "ldr r1, [sp]\n\t" \
    "ldr r0, [sp, #20]\n\t" \
    "ldr r2, [sp, #12]\n\t" \
    "mov r8, r4\n\t" \
    "mov r9, r5\n\t" \
    "mov r10, r6\n\t" \
    "mov r11, r7\n" \
    "2:\n\t" \
    "ldrsb r12, [r1, #4]\n\t" \
    "ldrsb r3, [r1], #8\n\t" \
    "ldrsb lr, [r2], #16\n\t" \
    "mla r4, r3, lr, r4\n\t" \
    "mla r8, r12, lr, r8\n\t" \
    SG_TAP(r5, r9, -15) SG_TAP(r6, r10, -14) SG_TAP(r7, r11, -13) \
    SG_INPUT(-7, -3, -12, -11, -10, -9) \
    SG_INPUT(-6, -2, -8, -7, -6, -5) \
    SG_INPUT(-5, -1, -4, -3, -2, -1) \
    "cmp r1, r0\n\t" \
    "bne 2b\n\t" \
    "str r2, [sp, #12]\n\t" \
    "ldr r12, [sp, #16]\n\t" \
    epilogue \
    "strd r1, r2, [sp, #4]\n\t" \
    "str r12, [sp, #16]\n\t" \
    "ldr r0, [sp, #24]\n\t" \
    "cmp r12, r0\n\t" \
    "bne 1b\n\t" \
    "add sp, sp, #28\n\t" \
    "pop {r4-r11, pc}\n"

/* r0 multiplier, r3 code, r12 table, r1 out0, r2 out1. The second pixel is written first: see sg_block_4x2. */
#define SG_SCALE_UP(sum) \
    "smull lr, " #sum ", " #sum ", r0\n\t" \
    "add " #sum ", " #sum ", r3, asr #8\n\t" \
    "asr " #sum ", " #sum ", r3\n\t" \
    "ssat " #sum ", #8, " #sum "\n\t"
#define SG_SCALE_AWAY(sum, high) \
    "eor lr, " #sum ", #0x40000000\n\t" \
    "asr " #high ", " #sum ", #31\n\t" \
    "smlal lr, " #high ", " #sum ", r0\n\t" \
    "add " #high ", " #high ", r3, asr #8\n\t" \
    "asr " #sum ", " #high ", r3\n\t" \
    "ssat " #sum ", #8, " #sum "\n\t"
#define SG_SCALES "ldrd r0, r3, [r12], #8\n\t"
#define SG_STORE(first, second) \
    "strb " #second ", [r2], #1\n\t" \
    "strb " #first ", [r1], #1\n\t"
#define SG_UP(first, second) SG_SCALES SG_SCALE_UP(first) SG_SCALE_UP(second) SG_STORE(first, second)
#define SG_AWAY(first, second) SG_SCALES SG_SCALE_AWAY(first, r8) SG_SCALE_AWAY(second, r8) SG_STORE(first, second)

__attribute__((naked, noinline, unused)) static void sg_blocks_4x2_up(
    const struct sg_block_4x2 *b __attribute__((unused)), const int8_t *pair __attribute__((unused)),
    int8_t *out0 __attribute__((unused)), int8_t *out1 __attribute__((unused)))
{
    __asm__ volatile(SG_BLOCKS("ldrd r1, r2, [sp, #4]\n\t" SG_UP(r4, r8) SG_UP(r5, r9) SG_UP(r6, r10) SG_UP(r7, r11)));
}

__attribute__((naked, noinline, unused)) static void sg_blocks_4x2_away(
    const struct sg_block_4x2 *b __attribute__((unused)), const int8_t *pair __attribute__((unused)),
    int8_t *out0 __attribute__((unused)), int8_t *out1 __attribute__((unused)))
{
    __asm__ volatile(SG_BLOCKS("ldr r1, [sp, #4]\n\t" SG_SCALES SG_SCALE_AWAY(r4, r2) SG_SCALE_AWAY(r8, r2)
                               "ldr r2, [sp, #8]\n\t" SG_STORE(r4, r8)
                               SG_AWAY(r5, r9) SG_AWAY(r6, r10) SG_AWAY(r7, r11)));
}

#else

#if defined(__GNUC__) && defined(__thumb__) && !defined(SG_NO_ASSEMBLY)

/* Armv6-M: r0 windows, r1 weights, r2 r3 inputs, r4 weight, r5 product; the sums of the first pixel in r6 r8 r9 r10, of the
 * second in r7 r11 r12 lr. 33 instructions for 8 multiply-accumulates, where compilers need 50. */
#define SG_TAP(at, first, second) \
    "ldrb r4, [r1, #" #at "]\n\t" \
    "sxtb r4, r4\n\t" \
    "movs r5, r4\n\t" \
    "muls r5, r2, r5\n\t" \
    "add " #first ", " #first ", r5\n\t" \
    "muls r4, r3, r4\n\t" \
    "add " #second ", " #second ", r4\n\t"
#define SG_INPUT(a, b, at0, at1, at2, at3) \
    "ldrb r2, [r0, #" #a "]\n\t" \
    "sxtb r2, r2\n\t" \
    "ldrb r3, [r0, #" #b "]\n\t" \
    "sxtb r3, r3\n\t" \
    SG_TAP(at0, r6, r7) SG_TAP(at1, r8, r11) SG_TAP(at2, r9, r12) SG_TAP(at3, r10, lr)

/* `sums`: the four biases; becomes the sums of the first pixel, then those of the second. */
__attribute__((naked, noinline, unused)) static void sg_sums_4x2(
    const int8_t *pair __attribute__((unused)), const int8_t *weights __attribute__((unused)),
    const int8_t *end __attribute__((unused)), int32_t *sums __attribute__((unused)))
{
    __asm__ volatile(".syntax unified\n\t"
                     "push {r4-r7, lr}\n\t"
                     "mov r4, r8\n\t"
                     "mov r5, r9\n\t"
                     "mov r6, r10\n\t"
                     "mov r7, r11\n\t"
                     "push {r2-r7}\n\t" /* [sp] end, 4 sums */
                     "ldmia r3!, {r4-r7}\n\t"
                     "mov r8, r5\n\t"
                     "mov r9, r6\n\t"
                     "mov r10, r7\n\t"
                     "mov r11, r5\n\t"
                     "mov r12, r6\n\t"
                     "mov lr, r7\n\t"
                     "mov r6, r4\n\t"
                     "mov r7, r4\n"
                     "1:\n\t"
                     SG_INPUT(0, 4, 0, 1, 2, 3)
                     SG_INPUT(1, 5, 4, 5, 6, 7)
                     SG_INPUT(2, 6, 8, 9, 10, 11)
                     SG_INPUT(3, 7, 12, 13, 14, 15)
                     "adds r0, #8\n\t"
                     "adds r1, #16\n\t"
                     "ldr r2, [sp]\n\t"
                     "cmp r0, r2\n\t"
                     "beq 2f\n\t" /* the loop is longer than a conditional branch reaches */
                     "b 1b\n"
                     "2:\n\t"
                     "ldr r0, [sp, #4]\n\t"
                     "mov r1, r6\n\t"
                     "mov r2, r8\n\t"
                     "mov r3, r9\n\t"
                     "mov r4, r10\n\t"
                     "stmia r0!, {r1-r4}\n\t"
                     "mov r1, r7\n\t"
                     "mov r2, r11\n\t"
                     "mov r3, r12\n\t"
                     "mov r4, lr\n\t"
                     "stmia r0!, {r1-r4}\n\t"
                     "pop {r2-r7}\n\t"
                     "mov r8, r4\n\t"
                     "mov r9, r5\n\t"
                     "mov r10, r6\n\t"
                     "mov r11, r7\n\t"
                     "pop {r4-r7, pc}\n");
}

static inline void sg_blocks_4x2(const struct sg_block_4x2 *b, const int8_t *pair, int8_t *out0, int8_t *out1, int32_t away)
{
    const int32_t *t = b->table;
    const int8_t *w = b->weights;
    for (int32_t left = b->blocks; left > 0; left--) {
        int32_t sums[8] = {t[0], t[1], t[2], t[3], 0, 0, 0, 0};
        sg_sums_4x2(pair, w, pair + 2 * b->depth, sums);
        t += 4;
        for (int32_t c = 0; c < 4; c++) {
            *out1 = sg_scale(sums[4 + c], t[0], t[1], away);
            out1++;
            *out0 = sg_scale(sums[c], t[0], t[1], away);
            out0++;
            t += 2;
        }
        w += 4 * b->depth;
    }
}

#else

/* Nothing that comes later may begin before this: keeps a compiler from loading and multiplying ahead until it spills. */
#if defined(__GNUC__) && defined(__riscv)
#define SG_SETTLE(a, b, c, d) __asm__("" : "+r"(x), "+r"(w), "+r"(a), "+r"(b), "+r"(c), "+r"(d))
#else
#define SG_SETTLE(a, b, c, d) (void)0
#endif

/* Input `k` of the four that `x` points at, two of the channels that `w` points at. */
#define SG_INPUT_2X2(k, first, a0, a1, b0, b1) \
    do { \
        const int32_t x0 = x[k], x1 = x[(k) + 4], c = w[4 * (k) + (first)], d = w[4 * (k) + (first) + 1]; \
        a0 += x0 * c; \
        b0 += x1 * c; \
        a1 += x0 * d; \
        b1 += x1 * d; \
        SG_SETTLE(a0, a1, b0, b1); \
    } while (0)

#define SG_INPUT(k) \
    do { \
        SG_INPUT_2X2(k, 0, a0, a1, b0, b1); \
        SG_INPUT_2X2(k, 2, a2, a3, b2, b3); \
    } while (0)

static inline void sg_blocks_4x2(const struct sg_block_4x2 *b, const int8_t *pair, int8_t *out0, int8_t *out1, int32_t away)
{
    const int32_t *t = b->table;
    const int8_t *w = b->weights;
    const int8_t *const end = pair + 2 * b->depth;
    for (int32_t left = b->blocks; left > 0; left--) {
        int32_t a0 = t[0], a1 = t[1], a2 = t[2], a3 = t[3], b0 = a0, b1 = a1, b2 = a2, b3 = a3;
        for (const int8_t *x = pair; x != end; x += 8) {
            SG_INPUT(0);
            SG_INPUT(1);
            SG_INPUT(2);
            SG_INPUT(3);
            w += 16;
        }
        out1[0] = sg_scale(b0, t[4], t[5], away);
        out1[1] = sg_scale(b1, t[6], t[7], away);
        out1[2] = sg_scale(b2, t[8], t[9], away);
        out1[3] = sg_scale(b3, t[10], t[11], away);
        out0[0] = sg_scale(a0, t[4], t[5], away);
        out0[1] = sg_scale(a1, t[6], t[7], away);
        out0[2] = sg_scale(a2, t[8], t[9], away);
        out0[3] = sg_scale(a3, t[10], t[11], away);
        out0 += 4;
        out1 += 4;
        t += 12;
    }
}

#endif

SG_APART void sg_blocks_4x2_up(const struct sg_block_4x2 *b, const int8_t *pair, int8_t *out0, int8_t *out1)
{
    sg_blocks_4x2(b, pair, out0, out1, 0);
}

SG_APART void sg_blocks_4x2_away(const struct sg_block_4x2 *b, const int8_t *pair, int8_t *out0, int8_t *out1)
{
    sg_blocks_4x2(b, pair, out0, out1, 1);
}

#endif

/* The channels that are left over from the blocks. */
SG_APART void sg_singles_1x2(const struct sg_block_4x2 *b, const int8_t *pair, int8_t *out0, int8_t *out1,
                             int32_t away)
{
    const int8_t *w = b->weights + 4 * b->blocks * b->depth;
    const int8_t *const end = pair + 2 * b->depth;
    const int32_t *t = b->table + 12 * b->blocks;
    out0 += 4 * b->blocks;
    out1 += 4 * b->blocks;
    for (int32_t left = b->singles; left > 0; left--) {
        int32_t sum0 = t[0], sum1 = sum0;
        for (const int8_t *x = pair; x != end; x += 8) {
            sum0 += x[0] * w[0] + x[1] * w[1] + x[2] * w[2] + x[3] * w[3];
            sum1 += x[4] * w[0] + x[5] * w[1] + x[6] * w[2] + x[7] * w[3];
            w += 4;
        }
        *out1 = sg_scale(sum1, t[1], t[2], away);
        out1++;
        *out0 = sg_scale(sum0, t[1], t[2], away);
        out0++;
        t += 3;
    }
}

/* All output channels of two pixels. `out1` may be `out0`, when there is one pixel: the first pixel is what remains. */
static inline void sg_block_4x2(const struct sg_block_4x2 *b, const int8_t *pair, int8_t *out0, int8_t *out1, int32_t away)
{
    if (b->blocks > 0) {
        if (away != 0) {
            sg_blocks_4x2_away(b, pair, out0, out1);
        } else {
            sg_blocks_4x2_up(b, pair, out0, out1);
        }
    }
    if (b->singles > 0) {
        sg_singles_1x2(b, pair, out0, out1, away);
    }
}

/* `count` bytes by fours into every second four. */
static inline void sg_copy_fours(int8_t *pair, const int8_t *in, int32_t count)
{
    for (; count >= 4; count -= 4) {
        const int8_t a = in[0], b = in[1], c = in[2], d = in[3];
        pair[0] = a;
        pair[1] = b;
        pair[2] = c;
        pair[3] = d;
        in += 4;
        pair += 8;
    }
    for (; count > 0; count--) {
        *pair = *in;
        pair++;
        in++;
    }
}

#endif
