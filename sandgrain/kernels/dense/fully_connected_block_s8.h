/* Sandgrain kernel: int8 fully connected layer, eight units at a time (an inner block in assembly on Armv7-M).
 *
 * Each input is loaded once for eight units: 17 instructions for 8 multiply-accumulates on Armv7-M. Weights and table lie
 * in the order they are read: blocks of eight units, then four units if four are left, then the others one by one.
 * The bias holds the input zero point's share.
 */
#ifndef SG_FULLY_CONNECTED_BLOCK_S8_H
#define SG_FULLY_CONNECTED_BLOCK_S8_H

#include "sg_layout.h"
#include "sg_scale.h"

/* The assembly for Armv7-M reads the first four members. */
struct sg_fully_connected_block_s8 {
    const int8_t *weights; /* [blocks][depth][8], [fours][depth][4], [others][depth] */
    const int32_t *table;  /* for each of these its biases, then its pairs (multiplier, code) */
    int32_t depth, blocks, fours;
    int32_t batch, units, low, high, away;
};

/* Four units whose weights lie `step` bytes apart for each input. `scales`: their pairs (multiplier, code). */
SG_APART void sg_dense_four(const struct sg_fully_connected_block_s8 *p, const int8_t *x, const int8_t *w,
                            int32_t step, const int32_t *bias, const int32_t *scales, int8_t *out)
{
    const int8_t *const end = x + p->depth;
    int32_t sum0 = bias[0], sum1 = bias[1], sum2 = bias[2], sum3 = bias[3];
    while (x != end) {
        const int32_t value = *x;
        x++;
        sum0 += value * w[0];
        sum1 += value * w[1];
        sum2 += value * w[2];
        sum3 += value * w[3];
        w = &w[step];
    }
    out[0] = sg_scale(sum0, scales[0], scales[1], p->away);
    out[1] = sg_scale(sum1, scales[2], scales[3], p->away);
    out[2] = sg_scale(sum2, scales[4], scales[5], p->away);
    out[3] = sg_scale(sum3, scales[6], scales[7], p->away);
}

#if defined(__GNUC__) && defined(__thumb2__) && !defined(SG_NO_ASSEMBLY)

SG_LAYOUT(fully_connected_block, SG_AT(sg_fully_connected_block_s8, weights, 0) && SG_AT(sg_fully_connected_block_s8, table, 4) &&
                                     SG_AT(sg_fully_connected_block_s8, depth, 8) &&
                                     SG_AT(sg_fully_connected_block_s8, blocks, 12));

/* r0 end, r1 inputs, r2 weights, r3 input, lr weight, r4..r11 sums. */
#define SG_UNIT(sum, at) \
    "ldrsb lr, [r2, #" #at "]\n\t" \
    "mla " #sum ", r3, lr, " #sum "\n\t"
#define SG_DENSE_INPUT(x, at0, at1, at2, at3, at4, at5, at6, at7) \
    "ldrsb r3, [r1, #" #x "]\n\t" \
    SG_UNIT(r4, at0) SG_UNIT(r5, at1) SG_UNIT(r6, at2) SG_UNIT(r7, at3) \
    SG_UNIT(r8, at4) SG_UNIT(r9, at5) SG_UNIT(r10, at6) SG_UNIT(r11, at7)
/* The first input of some: both pointers move on, the weights by `step` bytes. */
#define SG_DENSE_FIRST(count, step, at1, at2, at3, at4, at5, at6, at7) \
    "ldrsb r3, [r1], #" #count "\n\t" \
    "ldrsb lr, [r2], #" #step "\n\t" \
    "mla r4, r3, lr, r4\n\t" \
    SG_UNIT(r5, at1) SG_UNIT(r6, at2) SG_UNIT(r7, at3) \
    SG_UNIT(r8, at4) SG_UNIT(r9, at5) SG_UNIT(r10, at6) SG_UNIT(r11, at7)

/* Stack: [sp] inputs, 4 out, 8 end of the fours, 12 weights, 16 table, 20 end of the inputs, 24 end of the table. */
#define SG_DENSE(epilogue) \
    "push {r4-r11, lr}\n\t" \
    "ldrd r4, r5, [r0]\n\t" \
    "ldrd r6, r7, [r0, #8]\n\t" \
    "bic r3, r6, #3\n\t" \
    "add r3, r3, r1\n\t" \
    "add r6, r6, r1\n\t" \
    "add r7, r7, r7, lsl #1\n\t" \
    "add r7, r5, r7, lsl #5\n\t" /* 96 bytes a block */ \
    "push {r1-r7}\n" \
    "1:\n\t" \
    "ldr r3, [sp, #16]\n\t" \
    "ldmia r3!, {r4-r11}\n\t" \
    "str r3, [sp, #16]\n\t" \
    "ldr r1, [sp]\n\t" \
    "ldrd r0, r2, [sp, #8]\n\t" \
    "cmp r1, r0\n\t" \
    "beq 3f\n" \
    "2:\n\t" \
    SG_DENSE_FIRST(4, 32, -31, -30, -29, -28, -27, -26, -25) \
    SG_DENSE_INPUT(-3, -24, -23, -22, -21, -20, -19, -18, -17) \
    SG_DENSE_INPUT(-2, -16, -15, -14, -13, -12, -11, -10, -9) \
    SG_DENSE_INPUT(-1, -8, -7, -6, -5, -4, -3, -2, -1) \
    "cmp r1, r0\n\t" \
    "bne 2b\n" \
    "3:\n\t" \
    "ldr r0, [sp, #20]\n\t" \
    "cmp r1, r0\n\t" \
    "beq 5f\n" \
    "4:\n\t" \
    SG_DENSE_FIRST(1, 8, -7, -6, -5, -4, -3, -2, -1) \
    "cmp r1, r0\n\t" \
    "bne 4b\n" \
    "5:\n\t" \
    "str r2, [sp, #12]\n\t" \
    "ldr r12, [sp, #16]\n\t" \
    "ldr r1, [sp, #4]\n\t" \
    epilogue(r4) epilogue(r5) epilogue(r6) epilogue(r7) \
    epilogue(r8) epilogue(r9) epilogue(r10) epilogue(r11) \
    "str r1, [sp, #4]\n\t" \
    "str r12, [sp, #16]\n\t" \
    "ldr r0, [sp, #24]\n\t" \
    "cmp r12, r0\n\t" \
    "bne 1b\n\t" \
    "add sp, sp, #28\n\t" \
    "pop {r4-r11, pc}\n"

/* sg_scale_up and sg_scale_away: r0 multiplier, r3 code, r12 table, r1 out. */
#define SG_DENSE_UP(sum) \
    "ldrd r0, r3, [r12], #8\n\t" \
    "smull lr, " #sum ", " #sum ", r0\n\t" \
    "add " #sum ", " #sum ", r3, asr #8\n\t" \
    "asr " #sum ", " #sum ", r3\n\t" \
    "ssat " #sum ", #8, " #sum "\n\t" \
    "strb " #sum ", [r1], #1\n\t"
#define SG_DENSE_AWAY(sum) \
    "ldrd r0, r3, [r12], #8\n\t" \
    "eor lr, " #sum ", #0x40000000\n\t" \
    "asr r2, " #sum ", #31\n\t" \
    "smlal lr, r2, " #sum ", r0\n\t" \
    "add r2, r2, r3, asr #8\n\t" \
    "asr r2, r2, r3\n\t" \
    "ssat r2, #8, r2\n\t" \
    "strb r2, [r1], #1\n\t"

__attribute__((naked, noinline, unused)) static void sg_dense_blocks_up(
    const struct sg_fully_connected_block_s8 *p __attribute__((unused)), const int8_t *x __attribute__((unused)),
    int8_t *out __attribute__((unused)))
{
    __asm__ volatile(SG_DENSE(SG_DENSE_UP));
}

__attribute__((naked, noinline, unused)) static void sg_dense_blocks_away(
    const struct sg_fully_connected_block_s8 *p __attribute__((unused)), const int8_t *x __attribute__((unused)),
    int8_t *out __attribute__((unused)))
{
    __asm__ volatile(SG_DENSE(SG_DENSE_AWAY));
}

static inline void sg_dense_blocks(const struct sg_fully_connected_block_s8 *p, const int8_t *x, int8_t *out)
{
    if (p->away != 0) {
        sg_dense_blocks_away(p, x, out);
    } else {
        sg_dense_blocks_up(p, x, out);
    }
}

#else

static inline void sg_dense_blocks(const struct sg_fully_connected_block_s8 *p, const int8_t *x, int8_t *out)
{
    const int8_t *w = p->weights;
    const int32_t *t = p->table;
    for (int32_t left = p->blocks; left > 0; left--) {
        sg_dense_four(p, x, w, 8, t, t + 8, out);
        sg_dense_four(p, x, w + 4, 8, t + 4, t + 16, out + 4);
        w += 8 * p->depth;
        t += 24;
        out += 8;
    }
}

#endif

static inline void sg_fully_connected_block_s8(const struct sg_fully_connected_block_s8 *p, const int8_t *in, int8_t *out)
{
    for (int32_t n = 0; n < p->batch; n++) {
        const int8_t *w = p->weights + 8 * p->blocks * p->depth;
        const int32_t *t = p->table + 24 * p->blocks;
        int32_t unit = 8 * p->blocks;
        if (p->blocks > 0) {
            sg_dense_blocks(p, in, out);
        }
        if (p->fours > 0) {
            sg_dense_four(p, in, w, 4, t, t + 4, out + unit);
            w += 4 * p->depth;
            t += 12;
            unit += 4;
        }
        for (; unit < p->units; unit++) {
            int32_t sum = t[0];
            for (int32_t i = 0; i < p->depth; i++) {
                sum += in[i] * *w++;
            }
            out[unit] = sg_scale(sum, t[1], t[2], p->away);
            t += 3;
        }
        for (int32_t i = 0; i < p->units && (p->low > -128 || p->high < 127); i++) {
            out[i] = (int8_t)sg_clamp(out[i], p->low, p->high);
        }
        in += p->depth;
        out += p->units;
    }
}

#endif
