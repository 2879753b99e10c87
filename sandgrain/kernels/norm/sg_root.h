/* Sandgrain kernels: one over a square root. The same in numpy is sandgrain/graph/ops/norm/layer_norm.py. */
#ifndef SG_ROOT_H
#define SG_ROOT_H

#include "sg_math.h"

/* 1 / sqrt(v) = multiplier * 2^(-30 - half); 2^30 <= multiplier < 2^31. */
struct sg_root {
    int32_t multiplier, half;
};

/* 1 <= v < 2^52. Newton's method on a = v / 4^half in 1/4 .. 1: y += y (1 - a y^2) / 2, 29 fraction bits. */
static inline struct sg_root sg_one_over_root(int64_t v)
{
    struct sg_root root = {0, 0};
    while ((v >> (2 * root.half)) != 0) {
        root.half++;
    }
    const int32_t left = 31 - 2 * root.half;
    const int32_t a = (int32_t)(left >= 0 ? v << left : v >> -left);
    int32_t y = 1144984594 - sg_high_mul(a, 654284580);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = ((int32_t)1 << 27) - sg_high_mul(sg_high_mul(y, y), a);
        y += sg_high_mul(error, y) * 8;
    }
    root.multiplier = y > INT32_MAX / 2 ? INT32_MAX : (y < (int32_t)1 << 29 ? (int32_t)1 << 30 : 2 * y);
    return root;
}

#endif
