/* Sandgrain kernels: real FFT of float samples, in place, unscaled. The same in numpy: ops/signal/fft.py.
 *
 * The algorithm is that of sg_fft_s32.h, and the steps without twiddles are the same text for another type. Every operation rounds once, in
 * the order written here: the results equal numpy's bit for bit where the compiler fuses no multiplication with an addition
 * (-ffp-contract=off).
 */
#ifndef SG_FFT_F32_H
#define SG_FFT_F32_H

#include "sg_fft.h"

struct sg_fft_turn_f32 {
    float c, s; /* cosine and sine: the twiddle is c - j s */
};

static inline float sg_fft_f32_re(float re, float im, struct sg_fft_turn_f32 w)
{
    return re * w.c + im * w.s;
}

static inline float sg_fft_f32_im(float re, float im, struct sg_fft_turn_f32 w)
{
    return im * w.c - re * w.s;
}

/* The twiddles of index i, 2 i and 3 i of n (i <= n/8), from a quarter wave; `quarter` is n/4. */
static inline void sg_fft_f32_turns(const float *wave, int32_t quarter, int32_t i, struct sg_fft_turn_f32 *w)
{
    const float *end = wave + quarter;
    w[0].c = wave[i];
    w[0].s = *(end - i);
    w[1].c = wave[2 * i];
    w[1].s = *(end - 2 * i);
    i *= 3;
    if (i <= quarter) {
        w[2].c = wave[i];
        w[2].s = *(end - i);
    } else {
        w[2].c = -wave[2 * quarter - i];
        w[2].s = wave[i - quarter];
    }
}

/* From the twiddles of i, 2 i, 3 i to those of n/4 - i, n/2 - 2 i, 3n/4 - 3 i. */
static inline void sg_fft_f32_mirror(struct sg_fft_turn_f32 *w)
{
    const float c1 = w[0].c, c3 = w[2].c;
    w[0].c = w[0].s;
    w[0].s = c1;
    w[1].c = -w[1].c;
    w[2].c = -w[2].s;
    w[2].s = -c3;
}

static inline void sg_fft_f32_swap(float *a, float *b)
{
    const float ar = a[0], ai = a[1], br = b[0], bi = b[1];
    a[0] = br;
    a[1] = bi;
    b[0] = ar;
    b[1] = ai;
}

/* Bit-reversed order of m complex values. Of an index and its mirror image, i and j are the parts that are even and below
 * m/2; the three others that have the same middle bits follow from them. */
static inline void sg_fft_f32_reorder(float *x, int32_t m)
{
    float *a = x;
    int32_t j = 0;
    SG_FFT_ROLLED
    for (int32_t i = 0; i < m / 2; i += 2) {
        float *b = x + 2 * j, *c = b + m;
        int32_t bit = m / 4;
        SG_FFT_KEEP(c);
        sg_fft_f32_swap(a + 2, c);
        if (i < j) {
            float *d = a + m;
            SG_FFT_KEEP(d);
            sg_fft_f32_swap(a, b);
            sg_fft_f32_swap(d + 2, c + 2);
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
static inline void sg_fft_f32_twos(float *x, const float *end)
{
    SG_FFT_ROLLED
    while (x < end) {
        const float ar = x[0], ai = x[1], br = x[2], bi = x[3];
        x[0] = ar + br;
        x[1] = ai + bi;
        x[2] = ar - br;
        x[3] = ai - bi;
        SG_FFT_NEXT(x, 4);
    }
}

/* Four-point transforms of neighbours, which are in bit-reversed order. */
static inline void sg_fft_f32_fours(float *x, const float *end)
{
    SG_FFT_ROLLED
    while (x < end) {
        const float s0r = x[0] + x[2], s0i = x[1] + x[3], s1r = x[0] - x[2], s1i = x[1] - x[3];
        const float s2r = x[4] + x[6], s2i = x[5] + x[7], s3r = x[4] - x[6], s3i = x[5] - x[7];
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
static inline void sg_fft_f32_plain(float *x, const float *end, int32_t step)
{
    SG_FFT_ROLLED
    while (x < end) {
        const float ar = x[0], ai = x[1];
        SG_FFT_KEEP(step);
        SG_FFT_NEXT(x, step);
        const float br = x[0], bi = x[1];
        SG_FFT_NEXT(x, step);
        const float cr = x[0], ci = x[1];
        SG_FFT_NEXT(x, step);
        const float s0r = ar + br, s0i = ai + bi, s1r = ar - br, s1i = ai - bi;
        const float s2r = cr + x[0], s2i = ci + x[1], s3r = cr - x[0], s3i = ci - x[1];
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

/* sg_fft_f32_plain with twiddles: w[0] for the third element, w[1] for the second, w[2] for the fourth. */
static inline void sg_fft_f32_turned(float *x, const float *end, int32_t step, const struct sg_fft_turn_f32 *w)
{
    SG_FFT_ROLLED
    while (x < end) {
        const float ar = x[0], ai = x[1];
        SG_FFT_KEEP(step);
        SG_FFT_NEXT(x, step);
        float br = sg_fft_f32_re(x[0], x[1], w[1]), bi = sg_fft_f32_im(x[0], x[1], w[1]);
        const float s0r = ar + br, s0i = ai + bi, s1r = ar - br, s1i = ai - bi;
        SG_FFT_NEXT(x, step);
        float cr = sg_fft_f32_re(x[0], x[1], w[0]), ci = sg_fft_f32_im(x[0], x[1], w[0]);
        SG_FFT_NEXT(x, step);
        float dr = sg_fft_f32_re(x[0], x[1], w[2]), di = sg_fft_f32_im(x[0], x[1], w[2]);
        const float s2r = cr + dr, s2i = ci + di, s3r = cr - dr, s3i = ci - di;
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

/* The stage that makes transforms of 4 q points from transforms of q > 1. */
static inline void sg_fft_f32_stage(float *x, int32_t n, int32_t q, const float *wave)
{
    const int32_t turn = n / (4 * q), step = 2 * q;
    sg_fft_f32_plain(x, x + n, step);
    SG_FFT_ROLLED
    for (int32_t k = 1; k <= q / 2; k++) {
        struct sg_fft_turn_f32 w[3];
        int32_t at = k;
        sg_fft_f32_turns(wave, n / 4, k * turn, w);
        SG_FFT_ROLLED
        for (;;) { /* k, and then q - k where that is another */
            sg_fft_f32_turned(x + 2 * at, x + n, step, w);
            if (2 * at >= q) {
                break;
            }
            sg_fft_f32_mirror(w);
            at = q - k;
        }
    }
}

/* From the transform of n/2 complex values to the spectrum of n real ones. */
static inline void sg_fft_f32_split(float *x, int32_t n, const float *wave)
{
    const float *cosine = wave + 1, *sine = wave + n / 4 - 1;
    float *low = x + 2, *high = x + n - 2;
    const float first = x[0];
    x[0] = first + x[1];
    x[1] = first - x[1];
    x[n / 2 + 1] = -x[n / 2 + 1];
    SG_FFT_KEEP(low);
    SG_FFT_KEEP(high);
    SG_FFT_ROLLED
    while (low < high) {
        const struct sg_fft_turn_f32 w = {*cosine, *sine};
        const float er = 0.5f * (low[0] + high[0]), ei = 0.5f * (low[1] - high[1]);
        const float dr = 0.5f * (low[1] + high[1]), di = 0.5f * (high[0] - low[0]);
        const float pr = sg_fft_f32_re(dr, di, w), pi = sg_fft_f32_im(dr, di, w);
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
 * twiddle: n/4 + 1 cosines. */
SG_SPECIALIZE void sg_rfft_f32(float *x, int32_t n, const float *twiddle)
{
    const int32_t m = n / 2;
    int32_t q = 4;
    SG_FFT_KEEP(x);
    SG_FFT_KEEP(twiddle);

    sg_fft_f32_reorder(x, m);
    if ((m & 0x2aaa) != 0) { /* an odd power of two */
        sg_fft_f32_twos(x, x + n);
        q = 2;
    } else {
        sg_fft_f32_fours(x, x + n);
    }
    SG_FFT_ROLLED
    for (; q < m; q *= 4) {
        sg_fft_f32_stage(x, n, q, twiddle);
    }
    sg_fft_f32_split(x, n, twiddle);
}

#endif
