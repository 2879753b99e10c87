/* Sandgrain kernel: int8 matrix products over a batch of up to three dimensions, portable C99.
 *
 * Strides are in elements; a batch dimension that is broadcast has stride 0, and a transposed operand has its last two
 * strides swapped. The host has proven that no accumulator leaves 32 bits.
 */
#ifndef SG_BATCH_MATMUL_S8_H
#define SG_BATCH_MATMUL_S8_H

#include "sg_math.h"

struct sg_batch_matmul_s8 {
    int32_t batch[3], x_batch[3], y_batch[3]; /* extents, and each operand's strides */
    int32_t rows, depth, columns;
    int32_t x_row, x_depth, y_depth, y_column;
    int32_t x_offset, y_offset; /* added to each element: minus its zero point */
    int32_t multiplier, shift, out_zero_point;
};

static inline int8_t sg_batch_matmul_s8_finish(const struct sg_batch_matmul_s8 *p, int32_t acc)
{
    return (int8_t)sg_clamp(sg_requantize(acc, p->multiplier, p->shift) + p->out_zero_point, -128, 127);
}

/* One row of the product: four columns at a time share each load of x. */
static inline void sg_batch_matmul_s8_row(const struct sg_batch_matmul_s8 *p, const int8_t *x, const int8_t *y, int8_t *out)
{
    const int32_t step = p->y_column;
    int32_t c = 0;

    for (; c + 4 <= p->columns; c += 4) {
        int32_t acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
        const int8_t *v = y, *a = x;
        for (int32_t k = 0; k < p->depth; k++) {
            const int32_t value = *a + p->x_offset;
            acc0 += value * (v[0] + p->y_offset);
            acc1 += value * (v[step] + p->y_offset);
            acc2 += value * (v[2 * step] + p->y_offset);
            acc3 += value * (v[3 * step] + p->y_offset);
            a += p->x_depth;
            v += p->y_depth;
        }
        out[c] = sg_batch_matmul_s8_finish(p, acc0);
        out[c + 1] = sg_batch_matmul_s8_finish(p, acc1);
        out[c + 2] = sg_batch_matmul_s8_finish(p, acc2);
        out[c + 3] = sg_batch_matmul_s8_finish(p, acc3);
        y += 4 * step;
    }
    for (; c < p->columns; c++) {
        int32_t acc = 0;
        const int8_t *v = y, *a = x;
        for (int32_t k = 0; k < p->depth; k++) {
            acc += (*a + p->x_offset) * (*v + p->y_offset);
            a += p->x_depth;
            v += p->y_depth;
        }
        out[c] = sg_batch_matmul_s8_finish(p, acc);
        y += step;
    }
}

static inline void sg_batch_matmul_s8(const struct sg_batch_matmul_s8 *p, const int8_t *x, const int8_t *y, int8_t *out)
{
    for (int32_t a = 0; a < p->batch[0]; a++) {
        for (int32_t b = 0; b < p->batch[1]; b++) {
            for (int32_t c = 0; c < p->batch[2]; c++) {
                const int8_t *left = x + (a * p->x_batch[0] + b * p->x_batch[1] + c * p->x_batch[2]);
                const int8_t *right = y + (a * p->y_batch[0] + b * p->y_batch[1] + c * p->y_batch[2]);
                for (int32_t r = 0; r < p->rows; r++) {
                    sg_batch_matmul_s8_row(p, left + r * p->x_row, right, out);
                    out += p->columns;
                }
            }
        }
    }
}

#endif
