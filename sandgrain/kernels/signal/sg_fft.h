/* Sandgrain kernels: what the FFTs share: the twiddles, and 32-bit values times 16-bit twiddles.
 *
 * A twiddle is a cosine and a sine in Q15, from a table of a quarter wave: n/4 + 1 cosines of 2 pi i / n. The same in numpy:
 * ops/signal/fft.py.
 */
#ifndef SG_FFT_H
#define SG_FFT_H

#include "sg_math.h"

/* Cores with eight registers for arithmetic, and without a 64-bit product. */
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
#define SG_FFT_NARROW 1
#else
#define SG_FFT_NARROW 0
#endif

#if defined(__clang__)
#define SG_FFT_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define SG_FFT_ROLLED
#endif

/* Compilers like to turn a pointer that walks into a base and several indices, for which small cores have no registers.
 * After SG_FFT_KEEP they no longer know where it points relative to others. */
#if defined(__GNUC__)
#define SG_FFT_KEEP(pointer) __asm__("" : "+r"(pointer))
#else
#define SG_FFT_KEEP(pointer) ((void)(pointer))
#endif
/* Where registers are few: re and im are computed before what follows, and nothing of it is kept for later. */
#if defined(__GNUC__) && SG_FFT_NARROW
#define SG_FFT_DONE(pointer, re, im) __asm__("" : "+r"(pointer), "+r"(re), "+r"(im))
#else
#define SG_FFT_DONE(pointer, re, im) ((void)(pointer))
#endif
#define SG_FFT_NEXT(pointer, step) \
    do {                           \
        (pointer) += (step);       \
        SG_FFT_KEEP(pointer);      \
    } while (0)

/* A twiddle c - j s: the cosine in the lower half, the sine in the upper. One register holds it. */
static inline uint32_t sg_fft_pair(int32_t c, int32_t s)
{
    return ((uint32_t)c & 0xffffu) | (uint32_t)s << 16;
}

static inline int32_t sg_fft_cosine(uint32_t w)
{
    return (int16_t)(uint16_t)w;
}

static inline int32_t sg_fft_sine(uint32_t w)
{
    return (int16_t)(uint16_t)(w >> 16);
}

/* Half of the real and of the imaginary part of (re + j im) (c - j s): every product is floor(x * w / 2^16). */
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__)
static inline int32_t sg_fft_turn_re(int32_t re, int32_t im, uint32_t w)
{
    int32_t half;
    __asm__("smulwb %0, %1, %2" : "=r"(half) : "r"(re), "r"(w));
    __asm__("smlawt %0, %1, %2, %3" : "=r"(half) : "r"(im), "r"(w), "r"(half));
    return half;
}
static inline int32_t sg_fft_turn_im(int32_t re, int32_t im, uint32_t w)
{
    int32_t half, other;
    __asm__("smulwb %0, %1, %2" : "=r"(half) : "r"(im), "r"(w));
    __asm__("smulwt %0, %1, %2" : "=r"(other) : "r"(re), "r"(w));
    return half - other;
}
#else
static inline int32_t sg_fft_mul(int32_t x, int32_t w)
{
#if SG_FFT_NARROW
    return (x >> 16) * w + (((x & 0xffff) * w) >> 16); /* 65535 * 32768 < 2^31 */
#else
    return (int32_t)(((int64_t)x * (int32_t)((uint32_t)w << 16)) >> 32); /* one instruction where the upper half is one */
#endif
}
static inline int32_t sg_fft_turn_re(int32_t re, int32_t im, uint32_t w)
{
    return sg_fft_mul(re, sg_fft_cosine(w)) + sg_fft_mul(im, sg_fft_sine(w));
}
static inline int32_t sg_fft_turn_im(int32_t re, int32_t im, uint32_t w)
{
    return sg_fft_mul(im, sg_fft_cosine(w)) - sg_fft_mul(re, sg_fft_sine(w));
}
#endif

/* The twiddles of index i, 2 i and 3 i of n (i <= n/8), from a quarter wave; `quarter` is n/4. */
static inline void sg_fft_turns(const int16_t *wave, int32_t quarter, int32_t i, uint32_t *w)
{
    const int16_t *end = wave + quarter;
    w[0] = sg_fft_pair(wave[i], *(end - i));
    w[1] = sg_fft_pair(wave[2 * i], *(end - 2 * i));
    i *= 3;
    if (i <= quarter) {
        w[2] = sg_fft_pair(wave[i], *(end - i));
    } else {
        w[2] = sg_fft_pair(-wave[2 * quarter - i], wave[i - quarter]);
    }
}

/* From the twiddles of i, 2 i, 3 i to those of n/4 - i, n/2 - 2 i, 3n/4 - 3 i. */
static inline void sg_fft_mirror(uint32_t *w)
{
    w[0] = w[0] >> 16 | w[0] << 16;
    w[1] = sg_fft_pair(-sg_fft_cosine(w[1]), sg_fft_sine(w[1]));
    w[2] = sg_fft_pair(-sg_fft_sine(w[2]), -sg_fft_cosine(w[2]));
}

#endif
