/* Sandgrain kernels: the steps of an FFT that meet no twiddles, for values of one type.
 *
 * sg_fft_s32.h and sg_fft_f32.h each include this file, which is why it has no guard. Before that they define
 *   SG_FFT_VALUE        the type of a real or an imaginary part;
 *   SG_FFT_STEP(name)   the name of a function for that type.
 * Complex values are pairs, the real part first.
 */
#if !defined(SG_FFT_VALUE) || !defined(SG_FFT_STEP)
#error "include sg_fft_s32.h or sg_fft_f32.h"
#endif

static inline void SG_FFT_STEP(swap)(SG_FFT_VALUE *a, SG_FFT_VALUE *b)
{
    const SG_FFT_VALUE ar = a[0], ai = a[1], br = b[0], bi = b[1];
    a[0] = br;
    a[1] = bi;
    b[0] = ar;
    b[1] = ai;
}

/* Bit-reversed order of m complex values. Of an index and its mirror image, i and j are the parts that are even and below
 * m/2; the three others that have the same middle bits follow from them. */
static inline void SG_FFT_STEP(reorder)(SG_FFT_VALUE *x, int32_t m)
{
    SG_FFT_VALUE *a = x;
    int32_t j = 0;
    SG_FFT_ROLLED
    for (int32_t i = 0; i < m / 2; i += 2) {
        SG_FFT_VALUE *b = x + 2 * j, *c = b + m;
        int32_t bit = m / 4;
        SG_FFT_KEEP(c);
        SG_FFT_STEP(swap)(a + 2, c);
        if (i < j) {
            SG_FFT_VALUE *d = a + m;
            SG_FFT_KEEP(d);
            SG_FFT_STEP(swap)(a, b);
            SG_FFT_STEP(swap)(d + 2, c + 2);
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
static inline void SG_FFT_STEP(twos)(SG_FFT_VALUE *x, const SG_FFT_VALUE *end)
{
    SG_FFT_ROLLED
    while (x < end) {
        const SG_FFT_VALUE ar = x[0], ai = x[1], br = x[2], bi = x[3];
        x[0] = ar + br;
        x[1] = ai + bi;
        x[2] = ar - br;
        x[3] = ai - bi;
        SG_FFT_NEXT(x, 4);
    }
}

/* Four-point transforms of neighbours, which are in bit-reversed order. */
static inline void SG_FFT_STEP(fours)(SG_FFT_VALUE *x, const SG_FFT_VALUE *end)
{
    SG_FFT_ROLLED
    while (x < end) {
        const SG_FFT_VALUE s0r = x[0] + x[2], s0i = x[1] + x[3], s1r = x[0] - x[2], s1i = x[1] - x[3];
        const SG_FFT_VALUE s2r = x[4] + x[6], s2i = x[5] + x[7], s3r = x[4] - x[6], s3i = x[5] - x[7];
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
static inline void SG_FFT_STEP(plain)(SG_FFT_VALUE *x, const SG_FFT_VALUE *end, int32_t step)
{
    SG_FFT_ROLLED
    while (x < end) {
        const SG_FFT_VALUE ar = x[0], ai = x[1];
        SG_FFT_KEEP(step);
        SG_FFT_NEXT(x, step);
        const SG_FFT_VALUE br = x[0], bi = x[1];
        SG_FFT_NEXT(x, step);
        const SG_FFT_VALUE cr = x[0], ci = x[1];
        SG_FFT_NEXT(x, step);
        const SG_FFT_VALUE s0r = ar + br, s0i = ai + bi, s1r = ar - br, s1i = ai - bi;
        const SG_FFT_VALUE s2r = cr + x[0], s2i = ci + x[1], s3r = cr - x[0], s3i = ci - x[1];
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
