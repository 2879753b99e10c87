/* Sandgrain kernels: real FFT of float samples, in place, unscaled. The same in numpy: ops/signal/fft.py.
 *
 * The algorithm is that of sg_fft_s32.h, and the steps without twiddles are the same text. Every operation rounds once, in
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

#define SG_FFT_VALUE float
#define SG_FFT_STEP(name) sg_fft_f32_##name
#include "sg_fft_steps.h"
#undef SG_FFT_VALUE
#undef SG_FFT_STEP

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
