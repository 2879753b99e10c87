/* Sandgrain kernels for Helium: dot products of int8 vectors, eight output channels at a time, to the int8 outputs.
 *
 * The stream holds groups of eight channels; the last is filled up with zeros. Inputs come in vectors of 16, the last
 * filled up with anything (its weights are 0). Order of a group for two pixels: first channels 0 2 4 6, then 1 3 5 7, each
 * [4] bias, [vectors][4][16] weights, [4] multiplier, [4] shift (<= 0). For one pixel: channels 0 2 4 6 1 3 5 7 with
 * [8] bias, [vectors][8][16] weights, [4] multiplier, [4] shift, [4] multiplier, [4] shift. The even channels become the
 * lower, the odd ones the upper halves of 16-bit pairs, so that narrowing puts all in order.
 *
 * What a turn of the inner loops does (unrolled twice; an odd vector comes first):
 *   two pixels   6 loads of 16 bytes and 8 VMLADAVA: 16 inputs of 2 pixels by 4 channels, 128 products. q0 and q1 hold the
 *                pixels, q2 and q3 take turns with the weights; sums in r0 r2 r4 r6 (pixel 0) and r8 r10 r12 r14 (pixel 1).
 *   one pixel    9 loads and 8 VMLADAVA: 16 inputs by 8 channels, 128 products. q0 holds the pixel, q1 and q2 take turns;
 *                sums in r0 r2 ... r14.
 * A load and a VMLADAVA alternate where they can: a core of two beats a tick then runs them over each other. r1 r3
 * inputs, r5 stream, r7 vectors left, r9 channels left, r11 the struct; q4 q5 the narrowed outputs, q6 the zero point.
 */
#ifndef SG_MVE_DOT_H
#define SG_MVE_DOT_H

#include "sg_layout.h"
#include "sg_mve.h"

/* The assembly reads this by offset. */
struct sg_mve_dot {
    const int8_t *x0, *x1; /* 0, 4: the two pixels' inputs */
    int32_t vectors;       /* 8: of 16 inputs */
    int8_t *out0, *out1;   /* 12, 16 */
    int32_t zero;          /* 20 */
    int32_t low, high;     /* 24, 28: -128 and 127 where not exact */
};

#if SG_MVE

SG_LAYOUT(mve_dot, SG_AT(sg_mve_dot, x0, 0) && SG_AT(sg_mve_dot, x1, 4) && SG_AT(sg_mve_dot, vectors, 8) &&
                       SG_AT(sg_mve_dot, out0, 12) && SG_AT(sg_mve_dot, out1, 16) && SG_AT(sg_mve_dot, zero, 20) &&
                       SG_AT(sg_mve_dot, low, 24) && SG_AT(sg_mve_dot, high, 28));

/* 16 inputs of two pixels, 4 channels. */
#define SG_MVE_DOT_2X4                                                                                                       \
    "vldrb.u8 q0, [r1], #16\n\t"                                                                                             \
    "vldrb.u8 q2, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r0, q0, q2\n\t"                                                                                             \
    "vldrb.u8 q1, [r3], #16\n\t"                                                                                             \
    "vmladava.s8 r8, q1, q2\n\t"                                                                                             \
    "vldrb.u8 q3, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r2, q0, q3\n\t"                                                                                             \
    "vldrb.u8 q2, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r10, q1, q3\n\t"                                                                                            \
    "vmladava.s8 r4, q0, q2\n\t"                                                                                             \
    "vldrb.u8 q3, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r12, q1, q2\n\t"                                                                                            \
    "vmladava.s8 r6, q0, q3\n\t"                                                                                             \
    "vmladava.s8 r14, q1, q3\n\t"

/* 16 inputs of one pixel, 8 channels. */
#define SG_MVE_DOT_1X8                                                                                                       \
    "vldrb.u8 q0, [r1], #16\n\t"                                                                                             \
    "vldrb.u8 q1, [r5], #16\n\t"                                                                                             \
    "vldrb.u8 q2, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r0, q0, q1\n\t"                                                                                             \
    "vldrb.u8 q1, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r2, q0, q2\n\t"                                                                                             \
    "vldrb.u8 q2, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r4, q0, q1\n\t"                                                                                             \
    "vldrb.u8 q1, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r6, q0, q2\n\t"                                                                                             \
    "vldrb.u8 q2, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r8, q0, q1\n\t"                                                                                             \
    "vldrb.u8 q1, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r10, q0, q2\n\t"                                                                                            \
    "vldrb.u8 q2, [r5], #16\n\t"                                                                                             \
    "vmladava.s8 r12, q0, q1\n\t"                                                                                            \
    "vmladava.s8 r14, q0, q2\n\t"

/* All vectors: an odd one first, then two at a time. MVE leaves the flags of LSRS alone. */
#define SG_MVE_DOT_LOOP(STEP)                                                                                                \
    "lsrs r7, r7, #1\n\t"                                                                                                    \
    "bcc 2f\n\t" STEP "beq 3f\n"                                                                                             \
    "2:\n\t" STEP STEP "subs r7, r7, #1\n\t"                                                                                 \
    "bne 2b\n"                                                                                                               \
    "3:\n\t"

#define SG_MVE_DOT_PACK                                                                                                      \
    "vmov q0[2], q0[0], r0, r4\n\t"                                                                                          \
    "vmov q0[3], q0[1], r2, r6\n\t"                                                                                          \
    "vmov q1[2], q1[0], r8, r12\n\t"                                                                                         \
    "vmov q1[3], q1[1], r10, r14\n\t"

/* Halves away from zero: 1 off negative values. */
#define SG_MVE_DOT_AWAY(Q, T)                                                                                                \
    "vshr.s32 " T ", " Q ", #31\n\t"                                                                                         \
    "vqadd.s32 " Q ", " Q ", " T "\n\t"

/* Four channels of two pixels, narrowed into the B or T halves of q4 and q5. */
#define SG_MVE_DOT_HALF(HALF, AWAY0, AWAY1)                                                                                  \
    "ldm r5, {r0, r2, r4, r6}\n\t"                                                                                           \
    "ldm r5!, {r8, r10, r12, r14}\n\t"                                                                                       \
    "ldrd r1, r3, [r11]\n\t"                                                                                                 \
    "ldr r7, [r11, #8]\n\t" SG_MVE_DOT_LOOP(SG_MVE_DOT_2X4) "vldrw.32 q2, [r5], #16\n\t" SG_MVE_DOT_PACK                     \
    "vqrdmulh.s32 q0, q0, q2\n\t"                                                                                            \
    "vqrdmulh.s32 q1, q1, q2\n\t" AWAY0 "vldrw.32 q3, [r5], #16\n\t" AWAY1 "vrshl.s32 q0, q0, q3\n\t"                        \
    "vrshl.s32 q1, q1, q3\n\t"                                                                                               \
    "vqmovn" HALF ".s32 q4, q0\n\t"                                                                                          \
    "vqmovn" HALF ".s32 q5, q1\n\t"

#define SG_MVE_DOT_SATURATE "vqmovnb.s16 q4, q4\n\tvqmovnb.s16 q5, q5\n\t"
#define SG_MVE_DOT_SATURATE1 "vqmovnb.s16 q4, q4\n\t"
#define SG_MVE_DOT_CLAMP1                                                                                                    \
    "ldrd r2, r4, [r11, #24]\n\t"                                                                                            \
    "vdup.16 q0, r2\n\t"                                                                                                     \
    "vdup.16 q1, r4\n\t"                                                                                                     \
    "vmax.s16 q4, q4, q0\n\t"                                                                                                \
    "vmin.s16 q4, q4, q1\n\t"
#define SG_MVE_DOT_CLAMP                                                                                                     \
    SG_MVE_DOT_CLAMP1                                                                                                        \
    "vmax.s16 q5, q5, q0\n\t"                                                                                                \
    "vmin.s16 q5, q5, q1\n\t"

/* r7 may be a frame pointer, which compilers do not let go of: it is saved by hand. That moves sp, so all operands are in
 * registers of their own: nothing is addressed from sp or r7. */
#define SG_MVE_DOT_PAIR(AWAY0, AWAY1, CLAMP)                                                                                 \
    __asm volatile("push {r7}\n\t"                                                                                           \
                   "ldr r0, [r11, #20]\n\t"                                                                                  \
                   "vdup.16 q6, r0\n"                                                                                        \
                   "1:\n\t" SG_MVE_DOT_HALF("b", AWAY0, AWAY1) SG_MVE_DOT_HALF("t", AWAY0, AWAY1) "ldrd r0, r3, [r11, #12]\n\t" \
                   "vctp.16 r9\n\t"                                                                                          \
                   "vqadd.s16 q4, q4, q6\n\t"                                                                                \
                   "vqadd.s16 q5, q5, q6\n\t" CLAMP "vpstt\n\t"                                                              \
                   "vstrbt.16 q5, [r3], #8\n\t"                                                                              \
                   "vstrbt.16 q4, [r0], #8\n\t"                                                                              \
                   "strd r0, r3, [r11, #12]\n\t"                                                                             \
                   "subs r9, r9, #8\n\t"                                                                                     \
                   "bgt 1b\n\t"                                                                                              \
                   "pop {r7}\n"                                                                                              \
                   : "+r"(stream), "+r"(left)                                                                                \
                   : "r"(dot)                                                                                                \
                   : "r0", "r1", "r2", "r3", "r4", "r6", "r8", "r10", "r12", "r14", "q0", "q1", "q2", "q3", "q4", "q5", "q6", \
                     "cc", "memory")

#define SG_MVE_DOT_ONE(AWAY0, AWAY1, CLAMP)                                                                                  \
    __asm volatile("push {r7}\n\t"                                                                                           \
                   "ldr r0, [r11, #20]\n\t"                                                                                  \
                   "vdup.16 q6, r0\n\t"                                                                                      \
                   "ldr r3, [r11, #12]\n"                                                                                    \
                   "1:\n\t"                                                                                                  \
                   "ldm r5!, {r0, r2, r4, r6, r8, r10, r12, r14}\n\t"                                                        \
                   "ldr r1, [r11]\n\t"                                                                                       \
                   "ldr r7, [r11, #8]\n\t" SG_MVE_DOT_LOOP(SG_MVE_DOT_1X8) "vldrw.32 q2, [r5], #16\n\t" SG_MVE_DOT_PACK      \
                   "vldrw.32 q3, [r5], #16\n\t"                                                                              \
                   "vqrdmulh.s32 q0, q0, q2\n\t" AWAY0 "vldrw.32 q4, [r5], #16\n\t"                                          \
                   "vqrdmulh.s32 q1, q1, q4\n\t" AWAY1 "vldrw.32 q5, [r5], #16\n\t"                                          \
                   "vrshl.s32 q0, q0, q3\n\t"                                                                                \
                   "vrshl.s32 q1, q1, q5\n\t"                                                                                \
                   "vqmovnb.s32 q4, q0\n\t"                                                                                  \
                   "vqmovnt.s32 q4, q1\n\t"                                                                                  \
                   "vctp.16 r9\n\t"                                                                                          \
                   "vqadd.s16 q4, q4, q6\n\t" CLAMP "vpst\n\t"                                                               \
                   "vstrbt.16 q4, [r3], #8\n\t"                                                                              \
                   "subs r9, r9, #8\n\t"                                                                                     \
                   "bgt 1b\n\t"                                                                                              \
                   "pop {r7}\n"                                                                                              \
                   : "+r"(stream), "+r"(left)                                                                                \
                   : "r"(dot)                                                                                                \
                   : "r0", "r1", "r2", "r3", "r4", "r6", "r8", "r10", "r12", "r14", "q0", "q1", "q2", "q3", "q4", "q5", "q6", \
                     "cc", "memory")

#define SG_MVE_DOT_REGISTERS                                                                                                 \
    register const int32_t *stream __asm("r5") = words;                                                                      \
    register int32_t left __asm("r9") = channels;                                                                            \
    register struct sg_mve_dot *dot __asm("r11") = d

/* Two pixels to d->out0 and d->out1, which it moves on; x0 and x1 (and then out0 and out1) may be the same. */
SG_MVE_SHARED void sg_mve_dot_pair(struct sg_mve_dot *d, const int32_t *words, int32_t channels)
{
    SG_MVE_DOT_REGISTERS;
    SG_MVE_DOT_PAIR("", "", SG_MVE_DOT_SATURATE);
}

SG_MVE_SHARED void sg_mve_dot_pair_exact(struct sg_mve_dot *d, const int32_t *words, int32_t channels)
{
    SG_MVE_DOT_REGISTERS;
    SG_MVE_DOT_PAIR(SG_MVE_DOT_AWAY("q0", "q2"), SG_MVE_DOT_AWAY("q1", "q2"), SG_MVE_DOT_CLAMP);
}

/* One pixel to d->out0. */
SG_MVE_SHARED void sg_mve_dot_one(struct sg_mve_dot *d, const int32_t *words, int32_t channels)
{
    SG_MVE_DOT_REGISTERS;
    SG_MVE_DOT_ONE("", "", SG_MVE_DOT_SATURATE1);
}

SG_MVE_SHARED void sg_mve_dot_one_exact(struct sg_mve_dot *d, const int32_t *words, int32_t channels)
{
    SG_MVE_DOT_REGISTERS;
    SG_MVE_DOT_ONE(SG_MVE_DOT_AWAY("q0", "q2"), SG_MVE_DOT_AWAY("q1", "q2"), SG_MVE_DOT_CLAMP1);
}

#else

/* Channel number `lane` of `lanes` that lie together: what its sum becomes. */
static inline int8_t sg_mve_dot_lane(const struct sg_mve_dot *d, const int8_t *x, const int32_t *words, int32_t lanes,
                                     int32_t lane, const int32_t *scales, int32_t round_half_away)
{
    const int8_t *w = (const int8_t *)(words + lanes) + 16 * lane;
    int32_t acc = words[lane];
    for (int32_t v = 0; v < d->vectors; v++) {
        for (int32_t i = 0; i < 16; i++) {
            acc += x[16 * v + i] * w[i];
        }
        w += 16 * lanes;
    }
    return sg_mve_finish(acc, scales[0], scales[4], round_half_away, d->zero, d->low, d->high);
}

static inline void sg_mve_dot_pair_c(struct sg_mve_dot *d, const int32_t *words, int32_t channels, int32_t round_half_away)
{
    const int32_t half = 12 + 16 * d->vectors; /* words */
    for (int32_t c = 0; c < channels; c++) {
        const int32_t *group = words + (2 * (c / 8) + (c & 1)) * half;
        const int32_t lane = (c & 7) >> 1;
        const int8_t y1 = sg_mve_dot_lane(d, d->x1, group, 4, lane, group + 4 + 16 * d->vectors + lane, round_half_away);
        const int8_t y0 = sg_mve_dot_lane(d, d->x0, group, 4, lane, group + 4 + 16 * d->vectors + lane, round_half_away);
        d->out1[c] = y1;
        d->out0[c] = y0;
    }
}

static inline void sg_mve_dot_one_c(struct sg_mve_dot *d, const int32_t *words, int32_t channels, int32_t round_half_away)
{
    for (int32_t c = 0; c < channels; c++) {
        const int32_t *group = words + (c / 8) * (24 + 32 * d->vectors);
        const int32_t lane = (c & 7) >> 1, odd = c & 1;
        const int32_t *scales = group + 8 + 32 * d->vectors + 8 * odd + lane;
        d->out0[c] = sg_mve_dot_lane(d, d->x0, group, 8, 4 * odd + lane, scales, round_half_away);
    }
}

static inline void sg_mve_dot_pair(struct sg_mve_dot *d, const int32_t *words, int32_t channels)
{
    sg_mve_dot_pair_c(d, words, channels, 0);
}

static inline void sg_mve_dot_pair_exact(struct sg_mve_dot *d, const int32_t *words, int32_t channels)
{
    sg_mve_dot_pair_c(d, words, channels, 1);
}

static inline void sg_mve_dot_one(struct sg_mve_dot *d, const int32_t *words, int32_t channels)
{
    sg_mve_dot_one_c(d, words, channels, 0);
}

static inline void sg_mve_dot_one_exact(struct sg_mve_dot *d, const int32_t *words, int32_t channels)
{
    sg_mve_dot_one_c(d, words, channels, 1);
}

#endif

#endif
