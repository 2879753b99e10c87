/* Sandgrain kernels: sums and maxima of four int8 channels at once, for cores with the DSP extension. */
#ifndef SG_DSP_FOURS_H
#define SG_DSP_FOURS_H

#include "sg_dsp.h"

/* Four sums in int16 halves: exact for up to 255 values each. */
struct sg_dsp_sums {
    uint32_t even, odd; /* channels 0 and 2, channels 1 and 3 */
};

static inline int32_t sg_dsp_low(uint32_t pair)
{
    return (int16_t)(uint16_t)pair;
}

static inline int32_t sg_dsp_high(uint32_t pair)
{
    return (int16_t)(uint16_t)(pair >> 16);
}

#if !SG_HAS_DSP
static inline uint32_t sg_dsp_pair(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16;
}
#endif

static inline void sg_dsp_add_four(struct sg_dsp_sums *sums, const int8_t *x)
{
#if SG_HAS_DSP
    const uint32_t word = sg_load32(x);
    __asm__("sxtab16 %0, %0, %1" : "+r"(sums->even) : "r"(word));
    __asm__("sxtab16 %0, %0, %1, ror #8" : "+r"(sums->odd) : "r"(word));
#else
    sums->even = sg_dsp_pair(sg_dsp_low(sums->even) + x[0], sg_dsp_high(sums->even) + x[2]);
    sums->odd = sg_dsp_pair(sg_dsp_low(sums->odd) + x[1], sg_dsp_high(sums->odd) + x[3]);
#endif
}

/* The sums of `count` values, `step` bytes apart, of each of four channels, on top of `sums`. */
static inline struct sg_dsp_sums sg_dsp_sum_fours(struct sg_dsp_sums sums, const int8_t *x, int32_t count, int32_t step)
{
    for (; count >= 4; count -= 4) {
        sg_dsp_add_four(&sums, x);
        sg_dsp_add_four(&sums, x + step);
        x = &x[2 * step];
        sg_dsp_add_four(&sums, x);
        sg_dsp_add_four(&sums, x + step);
        x = &x[2 * step];
    }
    for (; count > 0; count--) {
        sg_dsp_add_four(&sums, x);
        x = &x[step];
    }
    return sums;
}

/* The larger (smaller) of each of four bytes. */
static inline uint32_t sg_dsp_max_four(uint32_t a, uint32_t b)
{
#if SG_HAS_DSP
    uint32_t flags;
    __asm__("ssub8 %1, %0, %2\n\tsel %0, %0, %2" : "+r"(a), "=&r"(flags) : "r"(b) : "cc");
    return a;
#else
    uint32_t word = 0;
    for (int32_t i = 0; i < 32; i += 8) {
        const int8_t x = (int8_t)(uint8_t)(a >> i), y = (int8_t)(uint8_t)(b >> i);
        word |= (uint32_t)(uint8_t)(x > y ? x : y) << i;
    }
    return word;
#endif
}

static inline uint32_t sg_dsp_min_four(uint32_t a, uint32_t b)
{
    return ~sg_dsp_max_four(~a, ~b);
}

static inline uint32_t sg_dsp_splat(int32_t x)
{
    return (uint32_t)(uint8_t)(int8_t)x * 0x01010101u;
}

static inline void sg_dsp_store_four(int8_t *out, uint32_t word)
{
#if SG_HAS_DSP
    __builtin_memcpy(out, &word, 4);
#else
    for (int32_t i = 0; i < 4; i++) {
        out[i] = (int8_t)(uint8_t)(word >> (8 * i));
    }
#endif
}

/* `count` values to low .. high, where that is less than all of int8. */
static inline void sg_dsp_clamp(int8_t *x, int32_t count, int32_t low, int32_t high)
{
    const uint32_t lows = sg_dsp_splat(low), highs = sg_dsp_splat(high);
    if (low == -128 && high == 127) {
        return;
    }
    for (; count >= 4; count -= 4) {
        sg_dsp_store_four(x, sg_dsp_min_four(sg_dsp_max_four(sg_load32(x), lows), highs));
        x += 4;
    }
    for (; count > 0; count--) {
        *x = (int8_t)(*x < low ? low : (*x > high ? high : *x));
        x++;
    }
}

#endif
