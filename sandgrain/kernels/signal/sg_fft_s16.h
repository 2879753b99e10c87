/* Sandgrain kernels: real FFT of int16 samples in block floating point, in place. The same in numpy: ops/signal/fft.py.
 *
 * A complex value is one 32-bit word, the real part in its lower half: n samples lie in n/2 words. All values share one
 * exponent. Before each stage the largest of them decides how the stage scales: `top` is the smallest t with -2^t <= v <
 * 2^t for every part v. A stage multiplies by 1/2 (top <= 13) or 1/4 (top = 14), which keeps every sum in 16 bits: a part
 * grows by 1 + 3 sqrt(2) at most, and 5.25 / 2 * 2^13 = 5.25 / 4 * 2^14 < 2^15. Blocks with top = 15 are halved before, and
 * those below 13 shifted up to 14. Products round to nearest, halvings round down.
 */
#ifndef SG_FFT_S16_H
#define SG_FFT_S16_H

#include "sg_clz.h"
#include "sg_fft.h"

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__)
#include "sg_fft_s16_pairs.h"
#else

static inline int32_t sg_fft_low(uint32_t v)
{
    return (int16_t)(uint16_t)v;
}

static inline int32_t sg_fft_high(uint32_t v)
{
    return (int16_t)(uint16_t)(v >> 16);
}

/* Four-point transform: s0 = a + b, s1 = a - b and s2 = c + d, s3 = c - d in halves of the inputs' scale; `half` halves
 * the results once more. Returns the bits for `top`. */
#define SG_FFT_S16_FOUR(x, step, half, s0r, s0i, s1r, s1i, s2r, s2i, s3r, s3i)             \
    do {                                                                                  \
        const uint32_t y0 = sg_fft_pair(((s0r) + (s2r)) >> (half), ((s0i) + (s2i)) >> (half)); \
        const uint32_t y1 = sg_fft_pair(((s1r) + (s3i)) >> (half), ((s1i) - (s3r)) >> (half)); \
        const uint32_t y2 = sg_fft_pair(((s0r) - (s2r)) >> (half), ((s0i) - (s2i)) >> (half)); \
        const uint32_t y3 = sg_fft_pair(((s1r) - (s3i)) >> (half), ((s1i) + (s3r)) >> (half)); \
        (x)[0] = y0;                                                                      \
        (x)[(step)] = y1;                                                                 \
        (x)[2 * (step)] = y2;                                                             \
        (x)[3 * (step)] = y3;                                                             \
        seen |= (y0 ^ y0 << 1) | (y1 ^ y1 << 1) | (y2 ^ y2 << 1) | (y3 ^ y3 << 1);        \
    } while (0)

SG_SPECIALIZE uint32_t sg_fft_s16_plain_loop(uint32_t *x, const uint32_t *end, int32_t step, int32_t half)
{
    uint32_t seen = 0;
    SG_FFT_ROLLED
    while (x < end) {
        const uint32_t a = x[0], b = x[step], c = x[2 * step], d = x[3 * step];
        const int32_t s0r = (sg_fft_low(a) + sg_fft_low(b)) >> 1, s0i = (sg_fft_high(a) + sg_fft_high(b)) >> 1;
        const int32_t s1r = (sg_fft_low(a) - sg_fft_low(b)) >> 1, s1i = (sg_fft_high(a) - sg_fft_high(b)) >> 1;
        const int32_t s2r = (sg_fft_low(c) + sg_fft_low(d)) >> 1, s2i = (sg_fft_high(c) + sg_fft_high(d)) >> 1;
        const int32_t s3r = (sg_fft_low(c) - sg_fft_low(d)) >> 1, s3i = (sg_fft_high(c) - sg_fft_high(d)) >> 1;
        SG_FFT_S16_FOUR(x, step, half, s0r, s0i, s1r, s1i, s2r, s2i, s3r, s3i);
        SG_FFT_NEXT(x, 4 * step);
    }
    return seen;
}

static inline uint32_t sg_fft_s16_plain(uint32_t *x, const uint32_t *end, int32_t step, int32_t half)
{
    return half != 0 ? sg_fft_s16_plain_loop(x, end, step, 1) : sg_fft_s16_plain_loop(x, end, step, 0);
}

/* Half the product of a value and a twiddle, rounded. */
static inline int32_t sg_fft_s16_re(int32_t re, int32_t im, uint32_t w)
{
    return (re * sg_fft_cosine(w) + im * sg_fft_sine(w) + 0x8000) >> 16;
}

static inline int32_t sg_fft_s16_im(int32_t re, int32_t im, uint32_t w)
{
    return (im * sg_fft_cosine(w) - re * sg_fft_sine(w) + 0x8000) >> 16;
}

#define SG_FFT_S16_TURN(v, w, re, im)                                                                     \
    int32_t re = sg_fft_s16_re(sg_fft_low(v), sg_fft_high(v), (w)), \
            im = sg_fft_s16_im(sg_fft_low(v), sg_fft_high(v), (w))

SG_SPECIALIZE uint32_t sg_fft_s16_turned_loop(uint32_t *x, const uint32_t *end, int32_t step, int32_t half,
                                              const uint32_t *w)
{
    uint32_t seen = 0;
    SG_FFT_ROLLED
    while (x < end) {
        const uint32_t a = x[0], b = x[step], c = x[2 * step], d = x[3 * step];
        const int32_t ar = sg_fft_low(a) >> 1, ai = sg_fft_high(a) >> 1;
        SG_FFT_S16_TURN(b, w[1], br, bi);
        SG_FFT_DONE(x, br, bi);
        SG_FFT_S16_TURN(c, w[0], cr, ci);
        SG_FFT_DONE(x, cr, ci);
        SG_FFT_S16_TURN(d, w[2], dr, di);
        SG_FFT_DONE(x, dr, di);
        const int32_t s0r = ar + br, s0i = ai + bi, s1r = ar - br, s1i = ai - bi;
        const int32_t s2r = cr + dr, s2i = ci + di, s3r = cr - dr, s3i = ci - di;
        SG_FFT_S16_FOUR(x, step, half, s0r, s0i, s1r, s1i, s2r, s2i, s3r, s3i);
        SG_FFT_NEXT(x, 4 * step);
    }
    return seen;
}

/* The same with twiddles: w[0] for the third element, w[1] for the second, w[2] for the fourth. */
static inline uint32_t sg_fft_s16_turned(uint32_t *x, const uint32_t *end, int32_t step, int32_t half, const uint32_t *w)
{
    return half != 0 ? sg_fft_s16_turned_loop(x, end, step, 1, w) : sg_fft_s16_turned_loop(x, end, step, 0, w);
}

/* Two-point transforms of neighbours, halved. */
static inline uint32_t sg_fft_s16_twos(uint32_t *x, const uint32_t *end)
{
    uint32_t seen = 0;
    SG_FFT_ROLLED
    while (x < end) {
        const uint32_t a = x[0], b = x[1];
        const uint32_t y0 = sg_fft_pair((sg_fft_low(a) + sg_fft_low(b)) >> 1, (sg_fft_high(a) + sg_fft_high(b)) >> 1);
        const uint32_t y1 = sg_fft_pair((sg_fft_low(a) - sg_fft_low(b)) >> 1, (sg_fft_high(a) - sg_fft_high(b)) >> 1);
        x[0] = y0;
        x[1] = y1;
        seen |= (y0 ^ y0 << 1) | (y1 ^ y1 << 1);
        SG_FFT_NEXT(x, 2);
    }
    return seen;
}

static inline uint32_t sg_fft_s16_half(uint32_t v)
{
    return sg_fft_pair(sg_fft_low(v) >> 1, sg_fft_high(v) >> 1);
}

/* X[k] and X[m - k] from Z[k] and Z[m - k]. */
static inline void sg_fft_s16_part(uint32_t *low, uint32_t *high, int32_t c, int32_t s)
{
    const int32_t lr = sg_fft_low(*low), li = sg_fft_high(*low), hr = sg_fft_low(*high), hi = sg_fft_high(*high);
    const int32_t er = (lr + hr) >> 1, ei = (li - hi) >> 1, dr = li + hi, di = hr - lr;
    const int32_t pr = (dr * c + di * s + 0x8000) >> 16, pi = (di * c - dr * s + 0x8000) >> 16;
    *low = sg_fft_pair(er + pr, ei + pi);
    *high = sg_fft_pair(er - pr, pi - ei);
}

#endif

/* The smallest t with -2^t <= v < 2^t for every part v, from the bits in which parts and their doubles differ. */
static inline int32_t sg_fft_s16_top(uint32_t seen)
{
    return 31 - sg_clz32(((seen | seen >> 16) & 0xffffu) | 1u);
}

/* All parts times 2^up; up is -1 (rounded down) or >= 0. */
static inline void sg_fft_s16_shift(uint32_t *x, const uint32_t *end, int32_t up)
{
    if (up < 0) {
        SG_FFT_ROLLED
        for (; x < end; x++) {
            *x = sg_fft_s16_half(*x);
        }
    }
    SG_FFT_ROLLED
    for (; x < end; x++) {
        *x = ((*x << up) & 0xffffu) | (*x & 0xffff0000u) << up;
    }
}

/* Scales a block for the next stage and its exponent with it. Returns whether the stage has to halve twice. */
static inline int32_t sg_fft_s16_level(uint32_t *x, const uint32_t *end, uint32_t seen, int32_t least, int32_t *exponent)
{
    const int32_t top = sg_fft_s16_top(seen);
    const int32_t up = top == 15 ? -1 : (top < least ? 14 - top : 0);
    if (up != 0) {
        sg_fft_s16_shift(x, end, up);
        *exponent -= up;
    }
    return top + up >= 14 ? 1 : 0;
}

static inline void sg_fft_s16_swap(uint32_t *a, uint32_t *b)
{
    const uint32_t v = *a;
    *a = *b;
    *b = v;
}

/* Bit-reversed order of m words: sg_fft_s32_reorder says how. Returns the bits for `top`. */
static inline uint32_t sg_fft_s16_reorder(uint32_t *x, int32_t m)
{
    uint32_t seen = 0;
    int32_t j = 0;
    SG_FFT_ROLLED
    for (int32_t i = 0; i < m; i++) {
        seen |= x[i] ^ x[i] << 1;
    }
    SG_FFT_ROLLED
    for (int32_t i = 0; i < m / 2; i += 2) {
        uint32_t *a = x + i, *b = x + j;
        int32_t bit = m / 4;
        SG_FFT_KEEP(b);
        sg_fft_s16_swap(a + 1, b + m / 2);
        if (i < j) {
            sg_fft_s16_swap(a, b);
            sg_fft_s16_swap(a + m / 2 + 1, b + m / 2 + 1);
        }
        SG_FFT_ROLLED
        while ((j & bit) != 0) {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
    }
    return seen;
}

/* The stage that makes transforms of 4 q points from transforms of q. Returns the bits for `top`. */
static inline uint32_t sg_fft_s16_stage(uint32_t *x, int32_t n, int32_t q, int32_t half, const int16_t *wave)
{
    const uint32_t *end = x + n / 2;
    const int32_t turn = n / (4 * q);
    uint32_t seen = sg_fft_s16_plain(x, end, q, half);
    SG_FFT_ROLLED
    for (int32_t k = 1; k <= q / 2; k++) {
        uint32_t w[3];
        int32_t at = k;
        sg_fft_turns(wave, n / 4, k * turn, w);
        SG_FFT_ROLLED
        for (;;) { /* k, and then q - k where that is another */
            seen |= sg_fft_s16_turned(x + at, end, q, half, w);
            if (2 * at >= q) {
                break;
            }
            sg_fft_mirror(w);
            at = q - k;
        }
    }
    return seen;
}

/* x: n samples, two in a word (the earlier one in the lower half); out in the same halves X[0], X[n/2] (both real), then
 * re, im of X[k] for 0 < k < n/2, all times 2^-e. twiddle: n/4 + 1 cosines, Q15. Returns e. */
SG_SPECIALIZE int32_t sg_rfft_s16(uint32_t *x, int32_t n, const int16_t *twiddle)
{
    const int32_t m = n / 2;
    const int16_t *cosine = twiddle + 1, *sine = twiddle + n / 4 - 1;
    const uint32_t *end = x + m;
    int32_t exponent = 0, half, q = 1;
    uint32_t seen, *low = x + 1, *high = x + m - 1;

    seen = sg_fft_s16_reorder(x, m);
    half = sg_fft_s16_level(x, end, seen, 13, &exponent);
    if ((m & 0x2aaa) != 0) { /* an odd power of two */
        seen = sg_fft_s16_twos(x, end);
        exponent += 1;
        half = sg_fft_s16_level(x, end, seen, 13, &exponent);
        q = 2;
    }
    SG_FFT_ROLLED
    for (; q < m; q *= 4) {
        seen = sg_fft_s16_stage(x, n, q, half, twiddle);
        exponent += 1 + half;
        /* The split needs no more than top <= 14. */
        half = sg_fft_s16_level(x, end, seen, 4 * q < m ? 13 : 0, &exponent);
    }
    x[0] = sg_fft_pair((int16_t)(uint16_t)x[0] + (int16_t)(uint16_t)(x[0] >> 16),
                       (int16_t)(uint16_t)x[0] - (int16_t)(uint16_t)(x[0] >> 16));
    x[m / 2] = (x[m / 2] & 0xffffu) | (0u - (x[m / 2] & 0xffff0000u));
    SG_FFT_ROLLED
    while (low < high) {
        sg_fft_s16_part(low, high, *cosine, *sine);
        SG_FFT_NEXT(low, 1);
        SG_FFT_NEXT(high, -1);
        SG_FFT_NEXT(cosine, 1);
        SG_FFT_NEXT(sine, -1);
    }
    return exponent;
}

#endif
