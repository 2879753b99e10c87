/* Sandgrain kernel: int8 depthwise 3x3 convolution, strides 1 and 2, for cores with the DSP extension (SMLAD).
 *
 * One channel at a time, over its own input (`out` may be `in`; the host sees to it that an output never lands on a pixel
 * that is still to be read). A line is a row, or a column where the host finds columns cheaper: the names below say along
 * (`inner`) and across (`outer`). Three padded lines wait in a ring in the scratch, widened to int16 and interleaved two
 * elements at a time: the words of elements 2i, 2i + 1 of ring slots 0, 1, 2 are neighbours, so one LDM reads a pair of
 * columns of the window. Line n is in slot n mod 3; the weights are rotated to match, not the lines.
 *
 * Rescaling. Nested floors are one floor, so with A = 2^k * accumulator, k >= 2, and s = k - 1 + (right shift),
 *   rescaled + zero point = (K + ((A * multiplier) >> 32)) >> s,   K = 2^(s-1) + 2^(k-2) + zero point * 2^s,
 * wherever negative halves do not matter (the clamp hides them). 2^k is folded into the int16 weights and the bias, with a k
 * for each channel that makes s 10 for all. Every accumulator a channel can have has been compared (`equal` in
 * sandgrain/kernels/proofs/single_multiply.py): SMMLA, SSAT, done.
 */
#ifndef SG_DEPTHWISE_3X3_DSP_S8_H
#define SG_DEPTHWISE_3X3_DSP_S8_H

#include "sg_dsp.h"
#include "sg_layout.h"

struct sg_depthwise_3x3_dsp_s8 {
    const int8_t *weights;     /* [channels][3 outer][3 inner] */
    const uint8_t *shift;      /* [channels], k: the left shift of the weights */
    const int32_t *bias;       /* [channels], times 2^k, the input zero point's share in it */
    const int32_t *multiplier; /* [channels] */
    int32_t channels;
    int32_t in_outer, in_inner, out_outer, out_inner; /* lines, elements of a line */
    int32_t in_outer_step, in_inner_step;             /* bytes from a line (an element) to the next */
    int32_t out_outer_step, out_inner_step;
    int32_t stride_outer, stride_inner, pad_outer, pad_inner; /* strides 1 or 2; padding before */
    int32_t ring_elements;                                    /* int16 elements of the ring: 6 per pair of columns */
    int32_t in_zero_point, offset;                            /* offset: 2^9 + out zero point * 2^10 */
};

/* A line's constants. The assembly loads the last four by one LDM, and the weights as six words of `rows`. */
struct sg_depthwise_3x3_dsp_s8_line {
    int32_t rows[10];                       /* weights (0, 1) and (1, 2) of rows 0, 1, 2, 0, 1 */
    int32_t multiplier, offset, step, bias; /* step: bytes between outputs */
};

static inline int32_t sg_depthwise_3x3_dsp_s8_pair(int32_t low, int32_t high)
{
    const uint32_t pair = ((uint32_t)low & 0xffffu) | ((uint32_t)high << 16);
    return (int32_t)pair;
}

static inline void sg_depthwise_3x3_dsp_s8_weights(const struct sg_depthwise_3x3_dsp_s8 *p, int32_t c,
                                                   struct sg_depthwise_3x3_dsp_s8_line *line)
{
    const int8_t *w = p->weights + 9 * c;
    const int32_t k = p->shift[c], scale = (int32_t)1 << k;
    for (int32_t r = 0; r < 3; r++) {
        const int32_t a = w[0] * scale, b = w[1] * scale, d = w[2] * scale;
        line->rows[2 * r] = sg_depthwise_3x3_dsp_s8_pair(a, b);
        line->rows[2 * r + 1] = sg_depthwise_3x3_dsp_s8_pair(b, d);
        w += 3;
    }
    line->rows[6] = line->rows[0];
    line->rows[7] = line->rows[1];
    line->rows[8] = line->rows[2];
    line->rows[9] = line->rows[3];
    line->multiplier = p->multiplier[c];
    line->offset = p->offset + (scale >> 2);
    line->step = p->out_inner_step;
    line->bias = p->bias[c];
}

#if SG_HAS_DSP

SG_LAYOUT(depthwise_3x3_line, SG_AT(sg_depthwise_3x3_dsp_s8_line, multiplier, 40) &&
                                  SG_AT(sg_depthwise_3x3_dsp_s8_line, offset, 44) &&
                                  SG_AT(sg_depthwise_3x3_dsp_s8_line, step, 48) && SG_AT(sg_depthwise_3x3_dsp_s8_line, bias, 52));

/* `count` outputs from the ring at `x`; `rows` are the line's weights from the row that slot 0 holds. In one piece, because
 * it needs every register: what the outputs' ends want (the multiplier, the offset, the step) comes from the stack each time.
 * r3, r10, r11: three words of the ring; r4 to r9: weights; r12, lr: accumulators.
 *
 * The text moves sp inside a frame that the compiler made. So no operand may be addressed from sp: an "m" operand, or an "r" one
 * that the compiler reloads, would be read 52 bytes too low after the pushes. The constraints see to that: all operands are "+r",
 * each bound to a register of its own (r0 to r3, r12), and there is no memory operand. What is pushed lies below the frame, where
 * the procedure call standard lets nobody keep anything (there is no red zone); r4 to r11 and lr are popped as they were, which
 * is why they are no clobbers, and a frame pointer in r7 or r11 survives. A debugger cannot unwind from between push and pop. */
#define SG_DEPTHWISE_3X3_DSP_S8_ENTER \
    "push {r4-r11, lr}\n\t" \
    "ldm r12, {r4-r7}\n\t" \
    "push {r4-r7}\n\t" \
    "ldm r3, {r4-r9}\n\t" \
    "subs r2, r2, #2\n\t" \
    "blt 2f\n"
#define SG_DEPTHWISE_3X3_DSP_S8_TWO_ENDS \
    "ldm sp, {r3, r10, r11}\n\t" \
    "smmla r12, r12, r3, r10\n\t" \
    "smmla lr, lr, r3, r10\n\t" \
    "ssat r12, #8, r12, asr #10\n\t" \
    "ssat lr, #8, lr, asr #10\n\t" \
    "strb r12, [r1]\n\t" \
    "strb lr, [r1, r11]\n\t" \
    "subs r2, r2, #2\n\t" \
    "add r1, r1, r11, lsl #1\n\t" \
    "bge 1b\n"
#define SG_DEPTHWISE_3X3_DSP_S8_LEAVE \
    "2:\n\t" \
    "adds r2, r2, #1\n\t" \
    "bne 3f\n\t" \
    "ldm r0!, {r3, r10, r11}\n\t" \
    "ldr r12, [sp, #12]\n\t" \
    "smlad r12, r3, r4, r12\n\t" \
    "smlad r12, r10, r6, r12\n\t" \
    "smlad r12, r11, r8, r12\n\t" \
    "ldm r0, {r3, r10, r11}\n\t" \
    "smlabt r12, r3, r5, r12\n\t" \
    "smlabt r12, r10, r7, r12\n\t" \
    "smlabt r12, r11, r9, r12\n\t" \
    "ldm sp, {r3, r10}\n\t" \
    "smmla r12, r12, r3, r10\n\t" \
    "ssat r12, #8, r12, asr #10\n\t" \
    "strb r12, [r1]\n" \
    "3:\n\t" \
    "add sp, sp, #16\n\t" \
    "pop {r4-r11, lr}"

static inline void sg_depthwise_3x3_dsp_s8_stride1(const int16_t *x, int8_t *out, int32_t count, const int32_t *rows, const int32_t *ends)
{
    register const int16_t *r0 __asm__("r0") = x;
    register int8_t *r1 __asm__("r1") = out;
    register int32_t r2 __asm__("r2") = count;
    register const int32_t *r3 __asm__("r3") = rows;
    register const int32_t *r12 __asm__("r12") = ends;
    __asm__ volatile(SG_DEPTHWISE_3X3_DSP_S8_ENTER
                     "1:\n\t"
                     "ldm r0!, {r3, r10, r11}\n\t" /* elements 0, 1 of the pair's window */
                     "ldr r12, [sp, #12]\n\t"
                     "smlatb lr, r3, r4, r12\n\t"
                     "smlad r12, r3, r4, r12\n\t"
                     "smlatb lr, r10, r6, lr\n\t"
                     "smlad r12, r10, r6, r12\n\t"
                     "smlatb lr, r11, r8, lr\n\t"
                     "smlad r12, r11, r8, r12\n\t"
                     "ldm r0, {r3, r10, r11}\n\t" /* elements 2, 3 */
                     "smlad lr, r3, r5, lr\n\t"
                     "smlabt r12, r3, r5, r12\n\t"
                     "smlad lr, r10, r7, lr\n\t"
                     "smlabt r12, r10, r7, r12\n\t"
                     "smlad lr, r11, r9, lr\n\t"
                     "smlabt r12, r11, r9, r12\n\t" SG_DEPTHWISE_3X3_DSP_S8_TWO_ENDS SG_DEPTHWISE_3X3_DSP_S8_LEAVE
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r12)
                     :
                     : "cc", "memory");
}

static inline void sg_depthwise_3x3_dsp_s8_stride2(const int16_t *x, int8_t *out, int32_t count, const int32_t *rows, const int32_t *ends)
{
    register const int16_t *r0 __asm__("r0") = x;
    register int8_t *r1 __asm__("r1") = out;
    register int32_t r2 __asm__("r2") = count;
    register const int32_t *r3 __asm__("r3") = rows;
    register const int32_t *r12 __asm__("r12") = ends;
    __asm__ volatile(SG_DEPTHWISE_3X3_DSP_S8_ENTER
                     "1:\n\t"
                     "ldm r0!, {r3, r10, r11}\n\t" /* elements 0, 1 */
                     "ldr lr, [sp, #12]\n\t"
                     "smlad r12, r3, r4, lr\n\t"
                     "smlad r12, r10, r6, r12\n\t"
                     "smlad r12, r11, r8, r12\n\t"
                     "ldm r0!, {r3, r10, r11}\n\t" /* elements 2, 3 */
                     "smlabt r12, r3, r5, r12\n\t"
                     "smlad lr, r3, r4, lr\n\t"
                     "smlabt r12, r10, r7, r12\n\t"
                     "smlad lr, r10, r6, lr\n\t"
                     "smlabt r12, r11, r9, r12\n\t"
                     "smlad lr, r11, r8, lr\n\t"
                     "ldm r0, {r3, r10, r11}\n\t" /* elements 4, 5 */
                     "smlabt lr, r3, r5, lr\n\t"
                     "smlabt lr, r10, r7, lr\n\t"
                     "smlabt lr, r11, r9, lr\n\t" SG_DEPTHWISE_3X3_DSP_S8_TWO_ENDS SG_DEPTHWISE_3X3_DSP_S8_LEAVE
                     : "+r"(r0), "+r"(r1), "+r"(r2), "+r"(r3), "+r"(r12)
                     :
                     : "cc", "memory");
}

static inline void sg_depthwise_3x3_dsp_s8_run(const struct sg_depthwise_3x3_dsp_s8 *p, const int16_t *x, int8_t *out,
                                               const struct sg_depthwise_3x3_dsp_s8_line *line, const int32_t *rows)
{
    if (p->stride_inner == 1) {
        sg_depthwise_3x3_dsp_s8_stride1(x, out, p->out_inner, rows, &line->multiplier);
    } else {
        sg_depthwise_3x3_dsp_s8_stride2(x, out, p->out_inner, rows, &line->multiplier);
    }
}

#else

static inline int32_t sg_depthwise_3x3_dsp_s8_half(int32_t pair, int32_t high)
{
    return (int16_t)(uint16_t)((uint32_t)pair >> (high != 0 ? 16 : 0));
}

/* The same in plain C: one line of outputs. */
static inline void sg_depthwise_3x3_dsp_s8_run(const struct sg_depthwise_3x3_dsp_s8 *p, const int16_t *x, int8_t *out,
                                               const struct sg_depthwise_3x3_dsp_s8_line *line, const int32_t *rows)
{
    for (int32_t i = 0; i < p->out_inner; i++) {
        int32_t acc = line->bias;
        for (int32_t slot = 0; slot < 3; slot++) {
            for (int32_t tap = 0; tap < 3; tap++) {
                const int32_t at = i * p->stride_inner + tap;
                acc += x[at / 2 * 6 + slot * 2 + at % 2] * sg_depthwise_3x3_dsp_s8_half(rows[2 * slot + tap / 2], tap > 0);
            }
        }
        const int32_t y = (line->offset + (int32_t)(((int64_t)acc * line->multiplier) >> 32)) >> 10;
        out[i * line->step] = (int8_t)(y < -128 ? -128 : (y > 127 ? 127 : y));
    }
}

#endif

/* `count` >= 1 elements, `step` bytes apart, widened into the ring from `to` on; `odd`: the first is the second of its pair. */
static inline void sg_depthwise_3x3_dsp_s8_copy(const int8_t *in, int16_t *to, int32_t count, int32_t step, int32_t odd)
{
    if (odd != 0) {
        to[1] = *in;
        in = &in[step];
        to += 6;
        count--;
    }
#if SG_HAS_DSP
    { /* operands in registers of their own, as above: the text moves sp */
        register const int8_t *r0 __asm__("r0") = in;
        register int16_t *r1 __asm__("r1") = to;
        register int32_t r2 __asm__("r2") = count;
        register int32_t r3 __asm__("r3") = step;
        __asm__ volatile("push {r4-r7}\n\t"
                         "add r12, r3, r3, lsl #1\n\t"
                         "subs r2, r2, #4\n\t"
                         "blt 2f\n"
                         "1:\n\t"
                         "ldrsb r4, [r0]\n\t"
                         "ldrsb r5, [r0, r3]\n\t"
                         "ldrsb r6, [r0, r3, lsl #1]\n\t"
                         "ldrsb r7, [r0, r12]\n\t"
                         "add r0, r0, r3, lsl #2\n\t"
                         "pkhbt r4, r4, r5, lsl #16\n\t"
                         "pkhbt r6, r6, r7, lsl #16\n\t"
                         "str r4, [r1], #12\n\t"
                         "str r6, [r1], #12\n\t"
                         "subs r2, r2, #4\n\t"
                         "blt 2f\n\t"
                         "ldrsb r4, [r0]\n\t"
                         "ldrsb r5, [r0, r3]\n\t"
                         "ldrsb r6, [r0, r3, lsl #1]\n\t"
                         "ldrsb r7, [r0, r12]\n\t"
                         "add r0, r0, r3, lsl #2\n\t"
                         "pkhbt r4, r4, r5, lsl #16\n\t"
                         "pkhbt r6, r6, r7, lsl #16\n\t"
                         "str r4, [r1], #12\n\t"
                         "str r6, [r1], #12\n\t"
                         "subs r2, r2, #4\n\t"
                         "bge 1b\n"
                         "2:\n\t"
                         "adds r2, r2, #4\n\t"
                         "pop {r4-r7}"
                         : "+r"(r0), "+r"(r1), "+r"(r2)
                         : "r"(r3)
                         : "r12", "cc", "memory");
        in = r0;
        to = r1;
        count = r2;
    }
#endif
    while (count >= 2) {
        to[0] = in[0];
        to[1] = in[step];
        count -= 2;
        to += 6;
        in = &in[2 * step];
    }
    if (count > 0) {
        to[0] = in[0];
    }
}

/* A line of padding into its slot. */
static inline void sg_depthwise_3x3_dsp_s8_blank(const struct sg_depthwise_3x3_dsp_s8 *p, int16_t *slot)
{
    const int16_t value = (int16_t)p->in_zero_point;
    const int16_t *const end = slot + p->ring_elements;
    while (slot != end) {
        slot[0] = value;
        slot[1] = value;
        slot += 6;
    }
}

static inline void sg_depthwise_3x3_dsp_s8_channel(const struct sg_depthwise_3x3_dsp_s8 *p, const int8_t *in, int8_t *out, int16_t *ring,
                                                   const struct sg_depthwise_3x3_dsp_s8_line *line)
{
    const int32_t start = p->pad_inner / 2 * 6, odd = p->pad_inner & 1;
    int32_t next = -p->pad_outer, slot = 0; /* the line to copy, twice its slot */
    int32_t rows = 0, todo = 3;             /* where the weights begin that slot 0 wants; lines to copy before the next outputs */
    for (int32_t left = p->out_outer; left > 0; left--) {
        for (; todo > 0; todo--) {
            if (next >= 0 && next < p->in_outer) {
                sg_depthwise_3x3_dsp_s8_copy(in, ring + slot + start, p->in_inner, p->in_inner_step, odd);
                in += p->in_outer_step;
            } else {
                sg_depthwise_3x3_dsp_s8_blank(p, ring + slot);
            }
            slot = slot == 4 ? 0 : slot + 2;
            next++;
        }
        sg_depthwise_3x3_dsp_s8_run(p, ring, out, line, line->rows + rows);
        out += p->out_outer_step;
        todo = p->stride_outer;
        rows -= 2 * todo;
        rows = rows < 0 ? rows + 6 : rows;
    }
}

static inline void sg_depthwise_3x3_dsp_s8(const struct sg_depthwise_3x3_dsp_s8 *p, const int8_t *in, int8_t *out, int8_t *scratch)
{
    int16_t *const ring = (int16_t *)(void *)scratch; /* 4-byte aligned, as all scratch is */
    struct sg_depthwise_3x3_dsp_s8_line line;
    for (int32_t i = 0; i < p->ring_elements; i++) {
        ring[i] = (int16_t)p->in_zero_point;
    }
    for (int32_t c = 0; c < p->channels; c++) {
        sg_depthwise_3x3_dsp_s8_weights(p, c, &line);
        sg_depthwise_3x3_dsp_s8_channel(p, in + c, out + c, ring, &line);
    }
}

#endif
