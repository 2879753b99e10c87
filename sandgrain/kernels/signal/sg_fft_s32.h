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

#define SG_FFT_VALUE int32_t
#define SG_FFT_STEP(name) sg_fft_s32_##name
#include "sg_fft_steps.h"
#undef SG_FFT_VALUE
#undef SG_FFT_STEP

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
