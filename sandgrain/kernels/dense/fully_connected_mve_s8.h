/* Sandgrain kernel for Helium: int8 fully connected layer, inputs in whole vectors of 16. */
#ifndef SG_FULLY_CONNECTED_MVE_S8_H
#define SG_FULLY_CONNECTED_MVE_S8_H

#include "sg_mve_dot.h"

struct sg_fully_connected_mve_s8 {
    const int32_t *packed_weights; /* see sg_mve_dot.h, order for one pixel */
    int32_t vectors, round_half_away;
    int32_t batch, units;
    int32_t out_zero_point, low, high;
};

static inline void sg_fully_connected_mve_s8(const struct sg_fully_connected_mve_s8 *p, const int8_t *in, int8_t *out)
{
    struct sg_mve_dot d = {
        in, in, p->vectors, out, out, p->out_zero_point, p->low, p->high,
    };
    for (int32_t n = 0; n < p->batch; n++) {
        d.x0 = in + n * 16 * p->vectors;
        d.out0 = out + n * p->units;
        if (p->round_half_away != 0) {
            sg_mve_dot_one_exact(&d, p->packed_weights, p->units);
        } else {
            sg_mve_dot_one(&d, p->packed_weights, p->units);
        }
    }
}

#endif
