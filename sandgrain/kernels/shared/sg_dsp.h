/* Sandgrain kernels: the DSP instructions of Armv7E-M as functions, and the rounding rule written with them.
 *
 * On a core without them (the computer that runs the tests) the same functions are plain C. Sums wrap modulo 2^32 in
 * both, as the instructions do.
 */
#ifndef SG_DSP_H
#define SG_DSP_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__GNUC__)
#define SG_HAS_DSP 1
#else
#define SG_HAS_DSP 0
#if defined(__GNUC__) && !defined(SG_ANY_CORE) /* define it where that is meant, such as for a test on a computer */
#define SG_ANY_CORE /* once is enough */
#warning "this C was made for a core with the DSP extension (Cortex-M4, M7, M33): here it gives the same bytes, but slowly; compile the model for this core, or define SG_ANY_CORE"
#endif
#endif

/* One copy for all layers that call it. */
#if defined(__GNUC__)
#define SG_SHARED __attribute__((noinline, unused)) static
#else
#define SG_SHARED static
#endif

/* A function whose body is one piece of assembly: the compiler adds nothing and may assume nothing about it. */
#if defined(__clang__)
#define SG_NAKED __attribute__((naked, noinline, unused)) static
#elif defined(__GNUC__)
#define SG_NAKED __attribute__((naked, noipa, unused)) static
#endif
#define SG_UNUSED __attribute__((unused))

/* A word of the scratch, which is declared as bytes and holds other types before and after. C's rules on aliasing let a compiler
 * think that a uint32_t is not there; of this type it may not. No flag such as -fno-strict-aliasing is needed. */
#if defined(__GNUC__)
typedef uint32_t __attribute__((may_alias)) sg_word;
#else
typedef uint32_t sg_word;
#endif

/* Four bytes at any address, the first in the lowest bits. */
static inline uint32_t sg_load32(const int8_t *x)
{
#if SG_HAS_DSP
    uint32_t word;
    __builtin_memcpy(&word, x, 4);
    return word;
#else
    return (uint32_t)(uint8_t)x[0] | (uint32_t)(uint8_t)x[1] << 8 | (uint32_t)(uint8_t)x[2] << 16
         | (uint32_t)(uint8_t)x[3] << 24;
#endif
}

static inline void sg_store32(int8_t *x, uint32_t word)
{
#if SG_HAS_DSP
    __builtin_memcpy(x, &word, 4);
#else
    x[0] = (int8_t)(uint8_t)word;
    x[1] = (int8_t)(uint8_t)(word >> 8);
    x[2] = (int8_t)(uint8_t)(word >> 16);
    x[3] = (int8_t)(uint8_t)(word >> 24);
#endif
}

/* acc + lo(x) * lo(y) + hi(x) * hi(y), lo and hi the signed halves. */
static inline int32_t sg_smlad(uint32_t x, uint32_t y, int32_t acc)
{
#if SG_HAS_DSP
    int32_t sum;
    __asm__("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(x), "r"(y), "r"(acc));
    return sum;
#else
    const int32_t low = (int32_t)(int16_t)(uint16_t)x * (int32_t)(int16_t)(uint16_t)y;
    const int32_t high = (int32_t)(int16_t)(uint16_t)(x >> 16) * (int32_t)(int16_t)(uint16_t)(y >> 16);
    const uint32_t sum = (uint32_t)acc + (uint32_t)low + (uint32_t)high;
    return (int32_t)sum;
#endif
}

/* Bytes 0 and 2, sign-extended to halves. */
static inline uint32_t sg_sxtb16(uint32_t x)
{
#if SG_HAS_DSP
    uint32_t pair;
    __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(x));
    return pair;
#else
    const uint32_t low = (uint32_t)(int8_t)(uint8_t)x & 0xFFFFu;
    const uint32_t high = (uint32_t)(int8_t)(uint8_t)(x >> 16);
    return low | high << 16;
#endif
}

/* Bytes 1 and 3, sign-extended to halves. */
static inline uint32_t sg_sxtb16_ror8(uint32_t x)
{
#if SG_HAS_DSP
    uint32_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(x));
    return pair;
#else
    return sg_sxtb16(x >> 8);
#endif
}

/* The high word of a * b, rounded to nearest, halves up. */
static inline int32_t sg_smmulr(int32_t a, int32_t b)
{
#if SG_HAS_DSP
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(a), "r"(b));
    return high;
#else
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 31)) >> 32);
#endif
}

/* add + the high word of a * b, rounded to nearest, halves up. */
static inline int32_t sg_smmlar(int32_t a, int32_t b, int32_t add)
{
#if SG_HAS_DSP
    int32_t high;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(high) : "r"(a), "r"(b), "r"(add));
    return high;
#else
    const uint32_t sum = (uint32_t)add + (uint32_t)sg_smmulr(a, b);
    return (int32_t)sum;
#endif
}

/* Saturated to -128..127. */
static inline int32_t sg_ssat8(int32_t x)
{
#if SG_HAS_DSP
    int32_t byte;
    __asm__("ssat %0, #8, %1" : "=r"(byte) : "r"(x));
    return byte;
#else
    return x < -128 ? -128 : (x > 127 ? 127 : x);
#endif
}

/* Clamps bytes that are there already: kernels whose blocks saturate to int8 do it for the layers that want less. */
SG_SHARED void sg_clamp_bytes(int8_t *y, int32_t count, int32_t low, int32_t high)
{
    const int8_t *const end = y + count;
    while (y != end) {
        *y = (int8_t)(*y < low ? low : (*y > high ? high : *y));
        y++;
    }
}

/* sg_requantize(acc, multiplier, -right) + zero_point in four instructions, for 2 <= right <= 31 and 2^30 <= multiplier:
 *   doubled = 2 * multiplier - 2^32, which fits 32 bits: acc + acc * doubled / 2^32 is acc * multiplier / 2^31;
 *   power = 2^(32 - right): x * power / 2^32 is x / 2^right, and SMMLAR's rounding adds the half.
 * Halves go up in both products; the rule wants them away from zero in the second, hence one less where x < 0.
 * A constant c (multiplier 0 with c = 0, or a channel that never varies): acc = 4 * c, doubled = 0, power = 2^30. */
static inline int32_t sg_requantize_dsp(int32_t acc, int32_t doubled, int32_t power, int32_t zero_point)
{
    const int32_t x = sg_smmlar(acc, doubled, acc);
    const uint32_t less = (uint32_t)x - (x < 0 ? 1u : 0u);
    return sg_smmlar((int32_t)less, power, zero_point);
}

/* The same where the result is clamped to `zero_point` or more (ReLU): the sign of a half no longer matters. */
static inline int32_t sg_requantize_relu_dsp(int32_t acc, int32_t doubled, int32_t power, int32_t zero_point)
{
    return sg_smmlar(sg_smmlar(acc, doubled, acc), power, zero_point);
}

#endif
