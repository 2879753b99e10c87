/* Sandgrain kernel for Helium: int8 depthwise convolution, windows up to 4x4, strides 1 and 2, one output channel an input
 * channel.
 *
 * Eight channels at a time. Their inputs go into the scratch as [8][columns][4] bytes: the four bytes of a column are
 * four neighbouring lines, line n in byte n % 4, with the zero point all round the image. So the window of an output is 16
 * bytes in a row, one VMLADAV from its sum: the weights are gathered into the byte order of the line, 0 for lines and columns
 * outside the window. With stride 1 and up to three columns, 16 bytes hold the windows of two outputs.
 *
 * Lines are rows or columns of the image, as the host has chosen. Each line is read once, before the outputs that may
 * take its place are written.
 */
#ifndef SG_DEPTHWISE_MVE_S8_H
#define SG_DEPTHWISE_MVE_S8_H

#include "sg_layout.h"
#include "sg_mve.h"

struct sg_depthwise_mve_s8 {
    const int32_t *records; /* [channels]: bias, multiplier, shift (<= 0), the weights [columns][lines], a 0, filled up */
    const uint8_t *phases;  /* [4][16]: where in a record's weights the bytes for a first line in byte 0, 1, 2, 3 are */
    int32_t record;         /* bytes */
    int32_t batch, channels, in_bytes, out_bytes; /* bytes of an image */
    int32_t in_outer, in_inner, out_outer, out_inner; /* lines, and elements of a line */
    int32_t in_outer_step, in_inner_step, out_outer_step, out_inner_step; /* bytes */
    int32_t kernel_outer, stride_outer, stride_inner, pad_outer, pad_inner;
    int32_t plane; /* bytes of a channel in the scratch */
    int32_t two;   /* 16 bytes hold two windows */
    int32_t round_half_away, in_zero_point, out_zero_point, low, high;
};

/* The assembly reads this by offset. */
struct sg_mve_line {
    const int8_t *ring;     /* 0: of the first channel */
    int8_t *out;            /* 4 */
    int32_t plane, record;  /* 8, 12 */
    int32_t count;          /* 16: outputs */
    const int32_t *end;     /* 20: of the channels' records */
    const uint8_t *phase;   /* 24: 16 offsets */
    int32_t step;           /* 28: between outputs */
    int32_t zero, low, high; /* 32, 36, 40 */
};

#if SG_MVE

SG_LAYOUT(mve_line, SG_AT(sg_mve_line, ring, 0) && SG_AT(sg_mve_line, out, 4) && SG_AT(sg_mve_line, plane, 8) &&
                        SG_AT(sg_mve_line, record, 12) && SG_AT(sg_mve_line, count, 16) && SG_AT(sg_mve_line, end, 20) &&
                        SG_AT(sg_mve_line, phase, 24) && SG_AT(sg_mve_line, step, 28) && SG_AT(sg_mve_line, zero, 32) &&
                        SG_AT(sg_mve_line, low, 36) && SG_AT(sg_mve_line, high, 40));

#define SG_MVE_LINE_TWO_4(A, B, C, D)                                                                                        \
    "vldrb.u8 q1, [r1], #8\n\t"                                                                                              \
    "vmladav.s8 " A ", q1, q3\n\t"                                                                                           \
    "vldrb.u8 q2, [r1], #8\n\t"                                                                                              \
    "vmladav.s8 " B ", q1, q4\n\t"                                                                                           \
    "vmladav.s8 " C ", q2, q3\n\t"                                                                                           \
    "vmladav.s8 " D ", q2, q4\n\t"
#define SG_MVE_LINE_ONE_2(STEP, A, B)                                                                                        \
    "vldrb.u8 q1, [r1], #" STEP "\n\t"                                                                                       \
    "vldrb.u8 q2, [r1], #" STEP "\n\t"                                                                                       \
    "vmladav.s8 " A ", q1, q3\n\t"                                                                                           \
    "vmladav.s8 " B ", q2, q3\n\t"
#define SG_MVE_LINE_TWO SG_MVE_LINE_TWO_4("r0", "r8", "r2", "r10") SG_MVE_LINE_TWO_4("r4", "r12", "r6", "r14")
#define SG_MVE_LINE_ONE(STEP)                                                                                                \
    SG_MVE_LINE_ONE_2(STEP, "r0", "r8")                                                                                      \
    SG_MVE_LINE_ONE_2(STEP, "r2", "r10") SG_MVE_LINE_ONE_2(STEP, "r4", "r12") SG_MVE_LINE_ONE_2(STEP, "r6", "r14")

#define SG_MVE_LINE_AWAY                                                                                                     \
    "vshr.s32 q2, q0, #31\n\t"                                                                                               \
    "vqadd.s32 q0, q0, q2\n\t"                                                                                               \
    "vshr.s32 q2, q1, #31\n\t"                                                                                               \
    "vqadd.s32 q1, q1, q2\n\t"
#define SG_MVE_LINE_SATURATE "vqmovnb.s16 q0, q0\n\t"
#define SG_MVE_LINE_CLAMP                                                                                                    \
    "ldrd r0, r2, [r11, #36]\n\t"                                                                                            \
    "vdup.16 q1, r0\n\t"                                                                                                     \
    "vdup.16 q2, r2\n\t"                                                                                                     \
    "vmax.s16 q0, q0, q1\n\t"                                                                                                \
    "vmin.s16 q0, q0, q2\n\t"

/* What a turn of loop 2 does: eight outputs of a channel. With 16 bytes for two windows, four loads (8 bytes apart) and eight
 * VMLADAV, of the weights (q3) and of those one column on (q4); else eight loads and eight VMLADAV. Then six
 * instructions to put four sums in a vector and rescale them (eight where halves go away from zero), and
 * one store. Loop 1 goes on to the next channel's record.
 *
 * r1 inputs, r3 outputs, r5 record, r7 bytes of eight outputs, r9 outputs left, r11 the struct; q3 q4 weights, q5 places of
 * eight outputs, q6 zero point, q7 phase. Outputs 0 2 4 6 are summed in r0 r2 r4 r6, outputs 1 3 5 7 in r8 r10 r12 r14.
 * r7 may be a frame pointer, which compilers do not let go of: it is saved by hand. That moves sp, so all operands are in
 * registers of their own: nothing is addressed from sp or r7. */
#define SG_MVE_LINE_CHANNELS(DOTS, AWAY, CLAMP)                                                                              \
    __asm volatile("push {r7}\n\t"                                                                                           \
                   "ldrd r0, r7, [r11, #24]\n\t"                                                                             \
                   "vldrb.u8 q7, [r0]\n\t"                                                                                   \
                   "movs r0, #0\n\t"                                                                                         \
                   "vidup.u16 q5, r0, #1\n\t"                                                                                \
                   "vmul.i16 q5, q5, r7\n\t"                                                                                 \
                   "lsls r7, r7, #3\n\t"                                                                                     \
                   "ldr r0, [r11, #32]\n\t"                                                                                  \
                   "vdup.16 q6, r0\n"                                                                                        \
                   "1:\n\t"                                                                                                  \
                   "ldrd r1, r3, [r11]\n\t"                                                                                  \
                   "ldr r4, [r11, #8]\n\t"                                                                                   \
                   "add r0, r5, #12\n\t"                                                                                     \
                   "vldrb.u8 q3, [r0, q7]\n\t"                                                                               \
                   "add r4, r4, r1\n\t"                                                                                      \
                   "add r6, r3, #1\n\t"                                                                                      \
                   "strd r4, r6, [r11]\n\t"                                                                                  \
                   "ldr r9, [r11, #16]\n\t"                                                                                  \
                   "movs r0, #0\n\t"                                                                                         \
                   "vmov q4, q3\n\t"                                                                                         \
                   "vshlc q4, r0, #32\n"                                                                                     \
                   "2:\n\t" DOTS "vmov q0[2], q0[0], r0, r4\n\t"                                                             \
                   "vmov q0[3], q0[1], r2, r6\n\t"                                                                           \
                   "vmov q1[2], q1[0], r8, r12\n\t"                                                                          \
                   "vmov q1[3], q1[1], r10, r14\n\t"                                                                         \
                   "ldm r5, {r0, r2, r4}\n\t"                                                                                \
                   "vadd.i32 q0, q0, r0\n\t"                                                                                 \
                   "vqrdmulh.s32 q0, q0, r2\n\t"                                                                             \
                   "vadd.i32 q1, q1, r0\n\t"                                                                                 \
                   "vqrdmulh.s32 q1, q1, r2\n\t" AWAY "vrshl.s32 q0, r4\n\t"                                                 \
                   "vrshl.s32 q1, r4\n\t"                                                                                    \
                   "vqmovnb.s32 q0, q0\n\t"                                                                                  \
                   "vqmovnt.s32 q0, q1\n\t"                                                                                  \
                   "vctp.16 r9\n\t"                                                                                          \
                   "vqadd.s16 q0, q0, q6\n\t" CLAMP "vpst\n\t"                                                               \
                   "vstrbt.16 q0, [r3, q5]\n\t"                                                                              \
                   "add r3, r3, r7\n\t"                                                                                      \
                   "subs r9, r9, #8\n\t"                                                                                     \
                   "bgt 2b\n\t"                                                                                              \
                   "ldrd r0, r2, [r11, #12]\n\t"                                                                             \
                   "ldr r4, [r11, #20]\n\t"                                                                                  \
                   "add r5, r5, r0\n\t"                                                                                      \
                   "cmp r5, r4\n\t"                                                                                          \
                   "bne 1b\n\t"                                                                                              \
                   "pop {r7}\n"                                                                                              \
                   : "+r"(at)                                                                                                \
                   : "r"(line)                                                                                               \
                   : "r0", "r1", "r2", "r3", "r4", "r6", "r8", "r9", "r10", "r12", "r14", "q0", "q1", "q2", "q3", "q4", "q5",  \
                     "q6", "q7", "cc", "memory")

/* One line of outputs of the channels from `records` to l->end. Which: two windows in 16 bytes, windows 4 or 8 bytes apart. */
#define SG_MVE_LINE_FUNCTION(NAME, DOTS, AWAY, CLAMP)                                                                        \
    SG_MVE_SHARED void NAME(struct sg_mve_line *l, const int32_t *records)                                                   \
    {                                                                                                                        \
        register const int32_t *at __asm("r5") = records;                                                                    \
        register struct sg_mve_line *line __asm("r11") = l;                                                                  \
        SG_MVE_LINE_CHANNELS(DOTS, AWAY, CLAMP);                                                                             \
    }
SG_MVE_LINE_FUNCTION(sg_mve_line_two, SG_MVE_LINE_TWO, "", SG_MVE_LINE_SATURATE)
SG_MVE_LINE_FUNCTION(sg_mve_line_two_exact, SG_MVE_LINE_TWO, SG_MVE_LINE_AWAY, SG_MVE_LINE_CLAMP)
SG_MVE_LINE_FUNCTION(sg_mve_line_four, SG_MVE_LINE_ONE("4"), "", SG_MVE_LINE_SATURATE)
SG_MVE_LINE_FUNCTION(sg_mve_line_four_exact, SG_MVE_LINE_ONE("4"), SG_MVE_LINE_AWAY, SG_MVE_LINE_CLAMP)
SG_MVE_LINE_FUNCTION(sg_mve_line_eight, SG_MVE_LINE_ONE("8"), "", SG_MVE_LINE_SATURATE)
SG_MVE_LINE_FUNCTION(sg_mve_line_eight_exact, SG_MVE_LINE_ONE("8"), SG_MVE_LINE_AWAY, SG_MVE_LINE_CLAMP)

#else

static inline void sg_mve_line_c(const struct sg_depthwise_mve_s8 *p, const struct sg_mve_line *l, const int32_t *records)
{
    for (int32_t c = 0; records != l->end; c++, records += l->record / 4) {
        const int8_t *w = (const int8_t *)(records + 3);
        for (int32_t i = 0; i < l->count; i++) {
            const int8_t *x = l->ring + c * l->plane + 4 * i * p->stride_inner;
            int32_t acc = records[0];
            for (int32_t k = 0; k < 16; k++) {
                acc += x[k] * w[l->phase[k]];
            }
            l->out[c + i * l->step] = sg_mve_finish(acc, records[1], records[2], p->round_half_away, l->zero, l->low, l->high);
        }
    }
}

#endif

static inline void sg_depthwise_mve_s8_line(const struct sg_depthwise_mve_s8 *p, struct sg_mve_line *l, const int32_t *records)
{
#if SG_MVE
    if (p->two != 0) {
        if (p->round_half_away != 0) {
            sg_mve_line_two_exact(l, records);
        } else {
            sg_mve_line_two(l, records);
        }
    } else if (p->stride_inner == 1) {
        if (p->round_half_away != 0) {
            sg_mve_line_four_exact(l, records);
        } else {
            sg_mve_line_four(l, records);
        }
    } else if (p->round_half_away != 0) {
        sg_mve_line_eight_exact(l, records);
    } else {
        sg_mve_line_eight(l, records);
    }
#else
    sg_mve_line_c(p, l, records);
#endif
}

/* `count` elements of `lanes` (1 to 8) channels, `step` bytes apart, to every fourth byte of the planes. `step` 0 repeats.
 * A widening load takes its address from a low register ("l"). */
static inline void sg_mve_spread(int8_t *to, int32_t plane, const int8_t *from, int32_t step, int32_t count, int32_t lanes)
{
#if SG_MVE
    uint32_t zero = 0;
    const int8_t *next;
    __asm volatile("vidup.u16 q1, %[zero], #1\n\t"
                   "vmul.i16 q1, q1, %[plane]\n\t"
                   "vctp.16 %[lanes]\n\t"
                   "lsrs %[zero], %[count], #1\n\t"
                   "bcc 1f\n\t"
                   "vpstt\n\t"
                   "vldrbt.u16 q0, [%[from]]\n\t"
                   "vstrbt.16 q0, [%[to], q1]\n\t"
                   "add %[from], %[from], %[step]\n\t"
                   "add %[to], %[to], #4\n"
                   "1:\n\t"
                   "add %[next], %[from], %[step]\n\t"
                   "wls lr, %[zero], 3f\n\t"
                   "movs %[zero], #4\n\t"
                   "vadd.i16 q2, q1, %[zero]\n\t"
                   "lsl %[zero], %[step], #1\n"
                   "2:\n\t"
                   "vpstttt\n\t"
                   "vldrbt.u16 q0, [%[from]]\n\t"
                   "vstrbt.16 q0, [%[to], q1]\n\t"
                   "vldrbt.u16 q0, [%[next]]\n\t"
                   "vstrbt.16 q0, [%[to], q2]\n\t"
                   "add %[from], %[from], %[zero]\n\t"
                   "add %[next], %[next], %[zero]\n\t"
                   "add %[to], %[to], #8\n\t"
                   "le lr, 2b\n"
                   "3:\n"
                   : [to] "+&r"(to), [from] "+&l"(from), [zero] "+&Te"(zero), [next] "=&l"(next)
                   : [plane] "r"(plane), [lanes] "r"(lanes), [count] "r"(count), [step] "r"(step)
                   : "q0", "q1", "q2", "lr", "cc", "memory");
#else
    for (int32_t i = 0; i < count; i++) {
        for (int32_t c = 0; c < lanes; c++) {
            to[c * plane + 4 * i] = from[c + i * step];
        }
    }
#endif
}

static inline void sg_depthwise_mve_s8_eight(const struct sg_depthwise_mve_s8 *p, const int8_t *in, int8_t *out, int8_t *ring,
                                             int32_t c, int32_t lanes)
{
    const int32_t *const records = p->records + c * (p->record / 4);
    const int32_t *const end = records + lanes * (p->record / 4);
    int32_t next = p->pad_outer; /* the first line that is not in the ring; counted with the padding */
    sg_mve_fill(ring, p->in_zero_point, 8 * p->plane);
    for (int32_t o = 0; o < p->out_outer; o++) {
        const int32_t first = o * p->stride_outer;
        for (; next < first + p->kernel_outer; next++) {
            int8_t *to = ring + (next & 3) + 4 * p->pad_inner;
            const int32_t line = next - p->pad_outer;
            if (line < p->in_outer) {
                sg_mve_spread(to, p->plane, in + line * p->in_outer_step, p->in_inner_step, p->in_inner, lanes);
            } else {
                int8_t blank[8];
                for (int32_t k = 0; k < 8; k++) {
                    blank[k] = (int8_t)p->in_zero_point;
                }
                sg_mve_spread(to, p->plane, blank, 0, p->in_inner, lanes);
            }
        }
        struct sg_mve_line l = {
            ring, out, p->plane, p->record, p->out_inner, end, p->phases + 16 * (first & 3),
            p->out_inner_step, p->out_zero_point, p->low, p->high,
        };
        sg_depthwise_mve_s8_line(p, &l, records);
        out += p->out_outer_step;
    }
}

static inline void sg_depthwise_mve_s8(const struct sg_depthwise_mve_s8 *p, const int8_t *in, int8_t *out, int8_t *ring)
{
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t c = 0; c < p->channels; c += 8) {
            const int32_t left = p->channels - c;
            sg_depthwise_mve_s8_eight(p, in + c, out + c, ring, c, left < 8 ? left : 8);
        }
        in += p->in_bytes;
        out += p->out_bytes;
    }
}

#endif
