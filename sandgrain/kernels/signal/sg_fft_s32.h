/* Sandgrain kernels: real FFT of int32 samples with int16 twiddles, in place, unscaled. The same in numpy: ops/signal/fft.py.
 *
 * n real samples are read as n/2 complex ones, transformed by radix-4 stages (after one radix-2 stage where log2(n/2) is
 * odd), and split into the spectrum of the real ones. n is a power of two, 32 to 2048; a literal at the call folds.
 * Bound: |sample| <= (2^31 - 2^16) / n. Then no sum below exceeds n * |sample| plus the rounding, which fits 32 bits.
 * Products are half of what is meant (sg_fft.h): the additions double them.
 */
#ifndef SG_FFT_S32_H
#define SG_FFT_S32_H

#include "sg_fft.h"

static inline void sg_fft_s32_swap(int32_t *a, int32_t *b)
{
    const int32_t ar = a[0], ai = a[1], br = b[0], bi = b[1];
    a[0] = br;
    a[1] = bi;
    b[0] = ar;
    b[1] = ai;
}

/* Bit-reversed order of m complex values. Of an index and its mirror image, i and j are the parts that are even and below
 * m/2; the three others that have the same middle bits follow from them. */
static inline void sg_fft_s32_reorder(int32_t *x, int32_t m)
{
    int32_t *a = x;
    int32_t j = 0;
    SG_FFT_ROLLED
    for (int32_t i = 0; i < m / 2; i += 2) {
        int32_t *b = x + 2 * j, *c = b + m;
        int32_t bit = m / 4;
        SG_FFT_KEEP(c);
        sg_fft_s32_swap(a + 2, c);
        if (i < j) {
            int32_t *d = a + m;
            SG_FFT_KEEP(d);
            sg_fft_s32_swap(a, b);
            sg_fft_s32_swap(d + 2, c + 2);
        }
        SG_FFT_ROLLED
        while ((j & bit) != 0) {
            j ^= bit;
            bit >>= 1;
        }
        j |= bit;
        SG_FFT_NEXT(a, 4);
    }
}

/* Two-point transforms of neighbours. */
static inline void sg_fft_s32_twos(int32_t *x, const int32_t *end)
{
    SG_FFT_ROLLED
    while (x < end) {
        const int32_t ar = x[0], ai = x[1], br = x[2], bi = x[3];
        x[0] = ar + br;
        x[1] = ai + bi;
        x[2] = ar - br;
        x[3] = ai - bi;
        SG_FFT_NEXT(x, 4);
    }
}

/* Four-point transforms of neighbours, which are in bit-reversed order. */
static inline void sg_fft_s32_fours(int32_t *x, const int32_t *end)
{
    SG_FFT_ROLLED
    while (x < end) {
        const int32_t s0r = x[0] + x[2], s0i = x[1] + x[3], s1r = x[0] - x[2], s1i = x[1] - x[3];
        const int32_t s2r = x[4] + x[6], s2i = x[5] + x[7], s3r = x[4] - x[6], s3i = x[5] - x[7];
        x[0] = s0r + s2r;
        x[1] = s0i + s2i;
        x[2] = s1r + s3i;
        x[3] = s1i - s3r;
        x[4] = s0r - s2r;
        x[5] = s0i - s2i;
        x[6] = s1r - s3i;
        x[7] = s1i + s3r;
        SG_FFT_NEXT(x, 8);
    }
}

/* Four-point transforms of elements `step` words apart, whose twiddles are 1; blocks of four steps. */
static inline void sg_fft_s32_plain(int32_t *x, const int32_t *end, int32_t step)
{
    SG_FFT_ROLLED
    while (x < end) {
        const int32_t ar = x[0], ai = x[1];
        SG_FFT_KEEP(step);
        SG_FFT_NEXT(x, step);
        const int32_t br = x[0], bi = x[1];
        SG_FFT_NEXT(x, step);
        const int32_t cr = x[0], ci = x[1];
        SG_FFT_NEXT(x, step);
        const int32_t s0r = ar + br, s0i = ai + bi, s1r = ar - br, s1i = ai - bi;
        const int32_t s2r = cr + x[0], s2i = ci + x[1], s3r = cr - x[0], s3i = ci - x[1];
        x[0] = s1r - s3i;
        x[1] = s1i + s3r;
        SG_FFT_NEXT(x, -step);
        x[0] = s0r - s2r;
        x[1] = s0i - s2i;
        SG_FFT_NEXT(x, -step);
        x[0] = s1r + s3i;
        x[1] = s1i - s3r;
        SG_FFT_NEXT(x, -step);
        x[0] = s0r + s2r;
        x[1] = s0i + s2i;
        SG_FFT_NEXT(x, 4 * step);
    }
}

/* sg_fft_s32_plain with twiddles: w[0] for the third element, w[1] for the second, w[2] for the fourth. */
static inline void sg_fft_s32_turned(int32_t *x, const int32_t *end, int32_t step, const uint32_t *w)
{
    SG_FFT_ROLLED
    while (x < end) {
        const int32_t ar = x[0], ai = x[1];
        SG_FFT_KEEP(step);
        SG_FFT_NEXT(x, step);
        int32_t br = sg_fft_turn_re(x[0], x[1], w[1]), bi = sg_fft_turn_im(x[0], x[1], w[1]);
        SG_FFT_DONE(x, br, bi);
        const int32_t s0r = ar + 2 * br, s0i = ai + 2 * bi, s1r = ar - 2 * br, s1i = ai - 2 * bi;
        SG_FFT_NEXT(x, step);
        int32_t cr = sg_fft_turn_re(x[0], x[1], w[0]), ci = sg_fft_turn_im(x[0], x[1], w[0]);
        SG_FFT_DONE(x, cr, ci);
        SG_FFT_NEXT(x, step);
        int32_t dr = sg_fft_turn_re(x[0], x[1], w[2]), di = sg_fft_turn_im(x[0], x[1], w[2]);
        SG_FFT_DONE(x, dr, di);
        const int32_t s2r = cr + dr, s2i = ci + di, s3r = cr - dr, s3i = ci - di;
        x[0] = s1r - 2 * s3i;
        x[1] = s1i + 2 * s3r;
        SG_FFT_NEXT(x, -step);
        x[0] = s0r - 2 * s2r;
        x[1] = s0i - 2 * s2i;
        SG_FFT_NEXT(x, -step);
        x[0] = s1r + 2 * s3i;
        x[1] = s1i - 2 * s3r;
        SG_FFT_NEXT(x, -step);
        x[0] = s0r + 2 * s2r;
        x[1] = s0i + 2 * s2i;
        SG_FFT_NEXT(x, 4 * step);
    }
}

/* The stage that makes transforms of 4 q points from transforms of q > 1. */
static inline void sg_fft_s32_stage(int32_t *x, int32_t n, int32_t q, const int16_t *wave)
{
    const int32_t turn = n / (4 * q), step = 2 * q;
    sg_fft_s32_plain(x, x + n, step);
    SG_FFT_ROLLED
    for (int32_t k = 1; k <= q / 2; k++) {
        uint32_t w[3];
        int32_t at = k;
        sg_fft_turns(wave, n / 4, k * turn, w);
        SG_FFT_ROLLED
        for (;;) { /* k, and then q - k where that is another */
            sg_fft_s32_turned(x + 2 * at, x + n, step, w);
            if (2 * at >= q) {
                break;
            }
            sg_fft_mirror(w);
            at = q - k;
        }
    }
}

/* From the transform of n/2 complex values to the spectrum of n real ones. */
static inline void sg_fft_s32_split(int32_t *x, int32_t n, const int16_t *wave)
{
    const int16_t *cosine = wave + 1, *sine = wave + n / 4 - 1;
    int32_t *low = x + 2, *high = x + n - 2;
    const int32_t first = x[0];
    x[0] = first + x[1];
    x[1] = first - x[1];
    x[n / 2 + 1] = -x[n / 2 + 1];
    SG_FFT_KEEP(low);
    SG_FFT_KEEP(high);
    SG_FFT_ROLLED
    while (low < high) {
        const uint32_t w = sg_fft_pair(*cosine, *sine);
        const int32_t er = (low[0] + high[0]) >> 1, ei = (low[1] - high[1]) >> 1;
        const int32_t dr = low[1] + high[1], di = high[0] - low[0];
        const int32_t pr = sg_fft_turn_re(dr, di, w), pi = sg_fft_turn_im(dr, di, w);
        low[0] = er + pr;
        low[1] = ei + pi;
        high[0] = er - pr;
        high[1] = pi - ei;
        SG_FFT_NEXT(low, 2);
        SG_FFT_NEXT(high, -2);
        SG_FFT_NEXT(cosine, 1);
        SG_FFT_NEXT(sine, -1);
    }
}

/* x: n samples in; out x[0] = X[0], x[1] = X[n/2] (both real), x[2k], x[2k+1] = re, im of X[k] for 0 < k < n/2.
 * twiddle: n/4 + 1 cosines, Q15. */
SG_SPECIALIZE void sg_rfft_s32(int32_t *x, int32_t n, const int16_t *twiddle)
{
    const int32_t m = n / 2;
    int32_t q = 4;
    SG_FFT_KEEP(x);
    SG_FFT_KEEP(twiddle);

    sg_fft_s32_reorder(x, m);
    if ((m & 0x2aaa) != 0) { /* an odd power of two */
        sg_fft_s32_twos(x, x + n);
        q = 2;
    } else {
        sg_fft_s32_fours(x, x + n);
    }
    SG_FFT_ROLLED
    for (; q < m; q *= 4) {
        sg_fft_s32_stage(x, n, q, twiddle);
    }
    sg_fft_s32_split(x, n, twiddle);
}

#endif
