/* Sandgrain kernel for Helium: int8 1x1 convolution, stride 1.
 *
 * Two pixels at a time are copied to the scratch, [2][vectors][16] bytes, before their outputs are written: `out` may be
 * `in` where there are no more output than input channels, and run into it where there are more (ops/conv_mve.py).
 */
#ifndef SG_CONV_POINTWISE_MVE_S8_H
#define SG_CONV_POINTWISE_MVE_S8_H

#include "sg_mve_dot.h"

struct sg_conv_pointwise_mve_s8 {
    const int32_t *packed_weights; /* see sg_mve_dot.h, order for two pixels */
    int32_t vectors, round_half_away;
    int32_t pixels, in_c, out_c;
    int32_t out_zero_point, low, high;
};

static inline void sg_conv_pointwise_mve_s8(const struct sg_conv_pointwise_mve_s8 *p, const int8_t *in, int8_t *out,
                                            int8_t *scratch)
{
    struct sg_mve_dot d = {
        scratch, scratch, p->vectors, out, out, p->out_zero_point, p->low, p->high,
    };
    for (int32_t left = p->pixels; left > 0; left -= 2) {
        const int32_t two = left > 1 ? 1 : 0;
        sg_mve_copy_rows(scratch, in, 1 + two, p->in_c, 16 * p->vectors, p->in_c);
        d.x1 = scratch + two * 16 * p->vectors;
        d.out0 = out;
        d.out1 = out + two * p->out_c;
        if (p->round_half_away != 0) {
            sg_mve_dot_pair_exact(&d, p->packed_weights, p->out_c);
        } else {
            sg_mve_dot_pair(&d, p->packed_weights, p->out_c);
        }
        in += 2 * p->in_c;
        out += 2 * p->out_c;
    }
}

#endif
