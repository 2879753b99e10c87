/* Sandgrain kernel for Helium: int8 fully connected layer with any number of inputs. They are copied to the scratch,
 * [vectors][16] bytes, before an output is written: where there is one sample, `out` may be `in`. */
#ifndef SG_FULLY_CONNECTED_COPY_MVE_S8_H
#define SG_FULLY_CONNECTED_COPY_MVE_S8_H

#include "sg_mve_dot.h"

struct sg_fully_connected_copy_mve_s8 {
    const int32_t *packed_weights; /* see sg_mve_dot.h, order for one pixel */
    int32_t vectors, round_half_away;
    int32_t batch, depth, units;
    int32_t out_zero_point, low, high;
};

static inline void sg_fully_connected_copy_mve_s8(const struct sg_fully_connected_copy_mve_s8 *p, const int8_t *in,
                                                  int8_t *out, int8_t *scratch)
{
    struct sg_mve_dot d = {
        scratch, scratch, p->vectors, out, out, p->out_zero_point, p->low, p->high,
    };
    for (int32_t n = 0; n < p->batch; n++) {
        d.out0 = out + n * p->units;
        sg_mve_copy_rows(scratch, in + n * p->depth, 1, p->depth, 0, 0);
        if (p->round_half_away != 0) {
            sg_mve_dot_one_exact(&d, p->packed_weights, p->units);
        } else {
            sg_mve_dot_one(&d, p->packed_weights, p->units);
        }
    }
}

#endif
