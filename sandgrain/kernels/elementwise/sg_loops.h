/* Sandgrain kernels: up to five loops over two inputs that broadcast, outermost first; stride 0 repeats an input. `row` is the
 * innermost one. Everything is inlined, so a kernel's row becomes part of its loops.
 */
#ifndef SG_LOOPS_H
#define SG_LOOPS_H

#include "sg_math.h"

typedef void (*sg_row)(const void *p, const int8_t *a, const int8_t *b, int8_t *out);

SG_SPECIALIZE void sg_loops(const int32_t *size, const int32_t *a_stride, const int32_t *b_stride, sg_row row, const void *p,
                            const int8_t *a, const int8_t *b, int8_t *out)
{
    for (int32_t i = 0; i < size[0]; i++) {
        for (int32_t j = 0; j < size[1]; j++) {
            for (int32_t k = 0; k < size[2]; k++) {
                const int8_t *row_a = a + i * a_stride[0] + j * a_stride[1] + k * a_stride[2];
                const int8_t *row_b = b + i * b_stride[0] + j * b_stride[1] + k * b_stride[2];
                for (int32_t l = 0; l < size[3]; l++) {
                    row(p, row_a, row_b, out);
                    row_a += a_stride[3];
                    row_b += b_stride[3];
                    out += size[4];
                }
            }
        }
    }
}

#endif
