/* Sandgrain kernels: the parts of sg_fft_s16.h for cores that compute with both halves of a word at once (Armv7E-M). Bit
 * for bit the same. */
#ifndef SG_FFT_S16_PAIRS_H
#define SG_FFT_S16_PAIRS_H

#include <stdint.h>

#define SG_FFT_PAIR_OP(name)                                                    \
    static inline uint32_t sg_fft_##name(uint32_t a, uint32_t b)                \
    {                                                                           \
        uint32_t y;                                                             \
        __asm__(#name " %0, %1, %2" : "=r"(y) : "r"(a), "r"(b));                \
        return y;                                                               \
    }
SG_FFT_PAIR_OP(sadd16)  /* a + b */
SG_FFT_PAIR_OP(ssub16)  /* a - b */
SG_FFT_PAIR_OP(sasx)    /* a + j b */
SG_FFT_PAIR_OP(ssax)    /* a - j b */
SG_FFT_PAIR_OP(shadd16) /* half of these, rounded down */
SG_FFT_PAIR_OP(shsub16)
SG_FFT_PAIR_OP(shasx)
SG_FFT_PAIR_OP(shsax)

/* Half the product of a value and a twiddle, rounded. */
static inline uint32_t sg_fft_turn16(uint32_t v, uint32_t w)
{
    const int32_t nudge = 0x8000;
    uint32_t re, im, y;
    __asm__("smlad %0, %1, %2, %3" : "=r"(re) : "r"(w), "r"(v), "r"(nudge));
    __asm__("smlsdx %0, %1, %2, %3" : "=r"(im) : "r"(w), "r"(v), "r"(nudge));
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(y) : "r"(im), "r"(re));
    return y;
}

/* Results of a four-point transform, times 1/2 when `half`. */
SG_SPECIALIZE uint32_t sg_fft_s16_four(uint32_t *x, int32_t step, int32_t half, uint32_t s0, uint32_t s1, uint32_t s2,
                                       uint32_t s3, uint32_t seen)
{
    const uint32_t y0 = half != 0 ? sg_fft_shadd16(s0, s2) : sg_fft_sadd16(s0, s2);
    const uint32_t y1 = half != 0 ? sg_fft_shsax(s1, s3) : sg_fft_ssax(s1, s3);
    const uint32_t y2 = half != 0 ? sg_fft_shsub16(s0, s2) : sg_fft_ssub16(s0, s2);
    const uint32_t y3 = half != 0 ? sg_fft_shasx(s1, s3) : sg_fft_sasx(s1, s3);
    x[0] = y0;
    x[step] = y1;
    x[2 * step] = y2;
    x[3 * step] = y3;
    seen |= y0 ^ y0 << 1;
    seen |= y1 ^ y1 << 1;
    seen |= y2 ^ y2 << 1;
    return seen | (y3 ^ y3 << 1);
}

SG_SPECIALIZE uint32_t sg_fft_s16_plain_loop(uint32_t *x, const uint32_t *end, int32_t step, int32_t half)
{
    uint32_t seen = 0;
    SG_FFT_ROLLED
    while (x < end) {
        const uint32_t a = x[0], b = x[step], c = x[2 * step], d = x[3 * step];
        seen = sg_fft_s16_four(x, step, half, sg_fft_shadd16(a, b), sg_fft_shsub16(a, b), sg_fft_shadd16(c, d),
                               sg_fft_shsub16(c, d), seen);
        SG_FFT_NEXT(x, 4 * step);
    }
    return seen;
}

static inline uint32_t sg_fft_s16_plain(uint32_t *x, const uint32_t *end, int32_t step, int32_t half)
{
    return half != 0 ? sg_fft_s16_plain_loop(x, end, step, 1) : sg_fft_s16_plain_loop(x, end, step, 0);
}

SG_SPECIALIZE uint32_t sg_fft_s16_turned_loop(uint32_t *x, const uint32_t *end, int32_t step, int32_t half,
                                              const uint32_t *w)
{
    uint32_t seen = 0;
    SG_FFT_ROLLED
    while (x < end) {
        const uint32_t a = sg_fft_shadd16(x[0], 0u), b = sg_fft_turn16(x[step], w[1]);
        const uint32_t s0 = sg_fft_sadd16(a, b), s1 = sg_fft_ssub16(a, b);
        const uint32_t c = sg_fft_turn16(x[2 * step], w[0]), d = sg_fft_turn16(x[3 * step], w[2]);
        seen = sg_fft_s16_four(x, step, half, s0, s1, sg_fft_sadd16(c, d), sg_fft_ssub16(c, d), seen);
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
        const uint32_t a = x[0], b = x[1], y0 = sg_fft_shadd16(a, b), y1 = sg_fft_shsub16(a, b);
        x[0] = y0;
        x[1] = y1;
        seen |= (y0 ^ y0 << 1) | (y1 ^ y1 << 1);
        SG_FFT_NEXT(x, 2);
    }
    return seen;
}

static inline uint32_t sg_fft_s16_half(uint32_t v)
{
    return sg_fft_shadd16(v, 0u);
}

/* X[k] and X[m - k] from Z[k] and Z[m - k]. With sum = low + high and dif = high - low, twice the odd part's spectrum is
 * the upper half of sum and the lower half of dif. */
static inline void sg_fft_s16_part(uint32_t *low, uint32_t *high, int32_t c, int32_t s)
{
    const uint32_t a = *low, b = *high, sum = sg_fft_sadd16(a, b), dif = sg_fft_ssub16(b, a);
    const uint32_t sums = sg_fft_shadd16(a, b), difs = sg_fft_shsub16(a, b);
    const int32_t nudge = 0x8000;
    uint32_t even, odd, re, im, other, up;
    __asm__("smlatb %0, %1, %2, %3" : "=r"(re) : "r"(sum), "r"(c), "r"(nudge));
    __asm__("smlabb %0, %1, %2, %3" : "=r"(re) : "r"(dif), "r"(s), "r"(re));
    __asm__("smlabb %0, %1, %2, %3" : "=r"(im) : "r"(dif), "r"(c), "r"(nudge));
    __asm__("smultb %0, %1, %2" : "=r"(other) : "r"(sum), "r"(s));
    im -= other;
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(odd) : "r"(im), "r"(re));
    __asm__("pkhbt %0, %1, %2" : "=r"(even) : "r"(sums), "r"(difs));
    *low = sg_fft_sadd16(even, odd);
    up = sg_fft_ssub16(odd, even);
    even = sg_fft_ssub16(even, odd);
    __asm__("pkhbt %0, %1, %2" : "=r"(*high) : "r"(even), "r"(up));
}

#endif
