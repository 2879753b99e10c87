/* Sandgrain kernel: int8 matrix products over a batch of up to three dimensions, on Armv7E-M.
 *
 * x lies row after row. Four columns of y at a time are widened into the scratch bytes, their zero point taken off, in the
 * order in which SXTB16 gives inputs: for every four of the depth and each column two words, (0, 2) and (1, 3). Behind x's last
 * whole word come single inputs. Each row of x then takes 19 instructions for 16 products.
 */
#ifndef SG_BATCH_MATMUL_DSP_S8_H
#define SG_BATCH_MATMUL_DSP_S8_H

#include "sg_scale_dsp.h"

struct sg_batch_matmul_dsp_s8 {
    int32_t batch[3], x_batch[3], y_batch[3]; /* extents, and each operand's strides */
    int32_t rows, depth, columns;
    int32_t x_row, y_depth, y_column;
    int32_t x_offset, y_offset; /* added to each element: minus its zero point */
    int32_t doubled, code;      /* see sg_scale_dsp.h */
    int32_t out_zero_point;
};

/* Columns first .. first + 3 of y (repeating the last one) into `wide`; sums[c] is x_offset times the sum of column c. */
static inline void sg_batch_matmul_dsp_pack(const struct sg_batch_matmul_dsp_s8 *p, const int8_t *y, int32_t first,
                                            int16_t *wide, int32_t *sums)
{
    for (int32_t c = 0; c < 4; c++) {
        const int32_t column = first + c < p->columns ? first + c : p->columns - 1;
        const int8_t *v = y + column * p->y_column;
        int16_t *to = wide + 4 * c;
        int32_t sum = 0, k = 0;
        for (; k + 4 <= p->depth; k += 4, to += 16) {
            const int32_t v0 = v[0] + p->y_offset, v1 = v[p->y_depth] + p->y_offset;
            const int32_t v2 = v[2 * p->y_depth] + p->y_offset, v3 = v[3 * p->y_depth] + p->y_offset;
            to[0] = (int16_t)v0;
            to[1] = (int16_t)v2;
            to[2] = (int16_t)v1;
            to[3] = (int16_t)v3;
            sum += v0 + v1 + v2 + v3;
            v += 4 * p->y_depth;
        }
        for (; k < p->depth; k++, to++) {
            *to = (int16_t)(*v + p->y_offset);
            sum += *to;
            v += p->y_depth;
        }
        sums[c] = p->x_offset * sum;
    }
}

static inline uint32_t sg_batch_matmul_dsp_pair(const int16_t *wide)
{
#if SG_HAS_DSP
    uint32_t pair;
    __builtin_memcpy(&pair, wide, 4);
    return pair;
#else
    return ((uint32_t)wide[0] & 0xFFFFu) | (uint32_t)wide[1] << 16;
#endif
}

/* Four columns of one row. */
static inline void sg_batch_matmul_dsp_row(const struct sg_batch_matmul_dsp_s8 *p, const int8_t *x, const int16_t *wide,
                                           const int32_t *sums, int8_t *out, int32_t count)
{
    const int8_t *const whole = x + (p->depth & ~3), *const end = x + p->depth;
    int32_t acc[4] = {sums[0], sums[1], sums[2], sums[3]};
    for (; x != whole; x += 4, wide += 16) {
        const uint32_t four = sg_load32(x);
        const uint32_t even = sg_sxtb16(four), odd = sg_sxtb16_ror8(four);
        acc[0] = sg_smlad(odd, sg_batch_matmul_dsp_pair(wide + 2), sg_smlad(even, sg_batch_matmul_dsp_pair(wide), acc[0]));
        acc[1] = sg_smlad(odd, sg_batch_matmul_dsp_pair(wide + 6), sg_smlad(even, sg_batch_matmul_dsp_pair(wide + 4), acc[1]));
        acc[2] = sg_smlad(odd, sg_batch_matmul_dsp_pair(wide + 10), sg_smlad(even, sg_batch_matmul_dsp_pair(wide + 8), acc[2]));
        acc[3] = sg_smlad(odd, sg_batch_matmul_dsp_pair(wide + 14), sg_smlad(even, sg_batch_matmul_dsp_pair(wide + 12), acc[3]));
    }
    for (; x != end; x++, wide++) {
        acc[0] += *x * wide[0];
        acc[1] += *x * wide[4];
        acc[2] += *x * wide[8];
        acc[3] += *x * wide[12];
    }
    for (int32_t c = 0; c < 4 && c < count; c++) {
        out[c] = (int8_t)sg_ssat8(sg_scale_dsp(acc[c], p->doubled, p->code) + p->out_zero_point);
    }
}

SG_SHARED void sg_batch_matmul_dsp_s8(const struct sg_batch_matmul_dsp_s8 *p, const int8_t *x, const int8_t *y, int8_t *out,
                                      int8_t *scratch)
{
    int16_t *const wide = (int16_t *)(void *)scratch;
    int32_t sums[4];
    for (int32_t a = 0; a < p->batch[0]; a++) {
        for (int32_t b = 0; b < p->batch[1]; b++) {
            for (int32_t c = 0; c < p->batch[2]; c++) {
                const int8_t *left = x + (a * p->x_batch[0] + b * p->x_batch[1] + c * p->x_batch[2]);
                const int8_t *right = y + (a * p->y_batch[0] + b * p->y_batch[1] + c * p->y_batch[2]);
                for (int32_t first = 0; first < p->columns; first += 4) {
                    sg_batch_matmul_dsp_pack(p, right, first, wide, sums);
                    for (int32_t r = 0; r < p->rows; r++) {
                        sg_batch_matmul_dsp_row(p, left + r * p->x_row, wide, sums, out + r * p->columns + first, p->columns - first);
                    }
                }
                out += p->rows * p->columns;
            }
        }
    }
}

#endif
