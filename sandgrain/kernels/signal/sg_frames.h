/* Sandgrain kernels: tapered frames for the FFTs, and the power of their spectra. The same in numpy: ops/signal/frames.py. */
#ifndef SG_FRAMES_H
#define SG_FRAMES_H

#include "sg_clz.h"
#include "sg_fft.h"

/* `window` samples, `stride` int16 apart, times a Q15 taper, and zeros up to `fft`. The shift, at least 1, makes room:
 * |product| < 2^30, so the nudge cannot overflow. */
SG_SPECIALIZE void sg_window_s32(const int16_t *in, int32_t stride, const int16_t *taper, int32_t window, int32_t fft,
                                 int32_t shift, int32_t *out)
{
    int32_t i = 0;
    for (; i < window; i++) {
        out[i] = (*in * taper[i] + (int32_t)(1u << (shift - 1))) >> shift;
        in = &in[stride];
    }
    for (; i < fft; i++) {
        out[i] = 0;
    }
}

/* The largest shift, 14 or less, that leaves all samples of a frame in 15 bits, as sg_rfft_s16 likes them; -1 or more. */
SG_SPECIALIZE int32_t sg_lift(const int16_t *in, int32_t stride, int32_t window)
{
    int32_t spread = 0, lift = 0;
    for (int32_t i = 0; i < window; i++) {
        spread |= *in ^ (*in >> 15);
        in = &in[stride];
    }
    lift = sg_clz32((uint32_t)spread) - 18;
    return lift < 14 ? lift : 14;
}

/* The same as sg_window_s32 for sg_rfft_s16: 16-bit products times 2^lift, two in a word, the earlier one in the lower half. */
SG_SPECIALIZE void sg_window_s16(const int16_t *in, int32_t stride, const int16_t *taper, int32_t window, int32_t fft,
                                 int32_t lift, uint32_t *out)
{
    const int32_t shift = 15 - lift, nudge = (int32_t)(1u << (shift - 1));
    int32_t i = 0;
    for (; i + 1 < window; i += 2) {
        const int32_t low = (in[0] * taper[i] + nudge) >> shift, high = (in[stride] * taper[i + 1] + nudge) >> shift;
        out[i >> 1] = sg_fft_pair(low, high);
        in = &in[2 * stride];
    }
    if ((window & 1) != 0) {
        out[i >> 1] = sg_fft_pair((in[0] * taper[i] + nudge) >> shift, 0);
        i += 2;
    }
    for (; i < fft; i += 2) {
        out[i >> 1] = 0;
    }
}

/* The same for sg_rfft_f32: sample times Q15 taper, rounded to float. */
SG_SPECIALIZE void sg_window_f32(const int16_t *in, int32_t stride, const int16_t *taper, int32_t window, int32_t fft,
                                 float *out)
{
    int32_t i = 0;
    for (; i < window; i++) {
        const int32_t product = *in * taper[i];
        out[i] = (float)product;
        in = &in[stride];
    }
    for (; i < fft; i++) {
        out[i] = 0.0f;
    }
}

static inline uint64_t sg_square(int32_t x)
{
#if SG_FFT_NARROW
    const int32_t high = x >> 16, low = x & 0xffff; /* |high * low| < 2^31 */
    return ((uint64_t)(uint32_t)(high * high) << 32) + ((uint64_t)(int64_t)(high * low) << 17) + (uint32_t)low * (uint32_t)low;
#else
    const int64_t square = (int64_t)x * x;
    return (uint64_t)square;
#endif
}

/* re^2 + im^2, below 2^62 after sg_rfft_s32. */
static inline uint64_t sg_power(int32_t re, int32_t im)
{
    return sg_square(re) + sg_square(im);
}

/* |X[k]|^2 of a packed spectrum of n points, 0 <= k <= n/2. */
static inline uint64_t sg_power_s32(const int32_t *x, int32_t n, int32_t k)
{
    if (k == 0) {
        return sg_power(x[0], 0);
    }
    return k == n / 2 ? sg_power(x[1], 0) : sg_power(x[2 * k], x[2 * k + 1]);
}

/* v * 2^by, rounded down; -64 < by < 64. */
static inline uint64_t sg_scale_u64(uint64_t v, int32_t by)
{
    return by >= 0 ? v << by : v >> -by;
}

/* The same of sg_rfft_s16's spectrum, times 2^by: |X[k]|^2 in the units of sg_power_s32. */
static inline uint64_t sg_power_s16(const uint32_t *x, int32_t n, int32_t k, int32_t by)
{
    const uint32_t v = x[k == n / 2 ? 0 : k];
    const int32_t low = (int16_t)(uint16_t)v, high = (int16_t)(uint16_t)(v >> 16);
    const int32_t re = k == n / 2 ? high : low, im = k == 0 || k == n / 2 ? 0 : high;
    const int32_t re2 = re * re, im2 = im * im;
    return sg_scale_u64((uint32_t)re2 + (uint32_t)im2, by); /* the sum is 2^31 at most */
}

/* The same of sg_rfft_f32's spectrum: the float's 24 bits, shifted by its exponent. Below 2^-63 it is 0. */
static inline uint64_t sg_power_f32(const float *x, int32_t n, int32_t k, int32_t by)
{
    const float re = k == 0 ? x[0] : (k == n / 2 ? x[1] : x[2 * k]);
    const float im = k == 0 || k == n / 2 ? 0.0f : x[2 * k + 1];
    union {
        float value;
        uint32_t bits;
    } sum;
    int32_t shift;
    sum.value = re * re + im * im;
    shift = (int32_t)(sum.bits >> 23) - 150 + by;
    return shift <= -64 ? 0u : sg_scale_u64((sum.bits & 0x7fffffu) | 0x800000u, shift);
}

#endif
