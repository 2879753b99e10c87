/* Sandgrain runtime: real numbers to an int8 port's integers and back. value = scale * (integer - zero_point). */
#ifndef SG_PORTS_H
#define SG_PORTS_H

#include <stdint.h>

/* Nearest int8 (halves away from zero), saturated; NaN gives the zero point. */
static inline int8_t sg_quantize_s8(float value, float scale, int32_t zero_point)
{
    const float scaled = value / scale;
    int32_t level = 0;
    if (scaled >= 256.0f) {
        return 127;
    }
    if (scaled <= -256.0f) {
        return -128;
    }
    if (scaled > -256.0f) { /* not NaN; the fraction is exact, where adding 0.5 would round */
        const int32_t whole = (int32_t)scaled;
        const float fraction = scaled - (float)whole;
        level = whole + (fraction >= 0.5f ? 1 : 0) - (fraction <= -0.5f ? 1 : 0);
    }
    level += zero_point;
    return (int8_t)(level > 127 ? 127 : level < -128 ? -128 : level);
}

static inline float sg_dequantize_s8(int8_t value, float scale, int32_t zero_point)
{
    const int32_t steps = value - zero_point;
    return (float)steps * scale;
}

#endif
