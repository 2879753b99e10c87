/* Sandgrain kernels: the one rounding rule, in C. The same rule in numpy is sandgrain/graph/quantization.py.
 *
 * Right shifts of negative values are arithmetic, as on every compiler for the cores we target (C99 leaves it to the
 * implementation); left shifts go through unsigned, so they wrap and are never undefined.
 */
#ifndef SG_MATH_H
#define SG_MATH_H

#include <stdint.h>

/* A function that each caller gets a copy of, its parameters folded in; a layer that shares code calls a copy of its own. */
#if defined(__GNUC__)
#define SG_SPECIALIZE static inline __attribute__((always_inline))
#else
#define SG_SPECIALIZE static inline
#endif

/* round(a * b / 2^31), halves up. b is a multiplier in [0, 2^31), so the one case that would saturate cannot occur.
 * |a * b| < 2^62, so the nudge cannot overflow. */
static inline int32_t sg_high_mul(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* x / 2^e rounded to nearest, halves away from zero; 0 <= e <= 31. */
static inline int32_t sg_rounding_shift(int32_t x, int32_t e)
{
    const int32_t mask = (int32_t)(((uint32_t)1 << e) - 1u);
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> e) + (remainder > threshold ? 1 : 0);
}

/* acc * multiplier * 2^(shift - 31): shift > 0 goes left before the multiply, shift < 0 right after it. */
static inline int32_t sg_requantize(int32_t acc, int32_t multiplier, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    return sg_rounding_shift(sg_high_mul((int32_t)((uint32_t)acc << left), multiplier), right);
}

static inline int32_t sg_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : (x > high ? high : x);
}

/* A window of `kernel` taps, `dilation` apart, starts at `start` of an axis of `size`: taps first..last-1 lie inside.
 * A window wholly outside gives first >= last. */
static inline int32_t sg_first_tap(int32_t start, int32_t dilation)
{
    return start >= 0 ? 0 : (dilation == 1 ? -start : (-start + dilation - 1) / dilation);
}

static inline int32_t sg_last_tap(int32_t start, int32_t dilation, int32_t kernel, int32_t size)
{
    const int32_t room = size - start;
    const int32_t taps = room <= 0 ? 0 : (dilation == 1 ? room : (room + dilation - 1) / dilation);
    return taps < kernel ? taps : kernel;
}

#endif
