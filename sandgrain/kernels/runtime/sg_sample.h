/* Sandgrain runtime: a sensor's reading, in its unit, to the sample that the features take. */
#ifndef SG_SAMPLE_H
#define SG_SAMPLE_H

#include <stdint.h>

/* Nearest int16 (halves away from zero) of 32768 value / full_scale, saturated; NaN gives 0. */
static inline int16_t sg_sample(float value, float full_scale)
{
    const float scaled = value / full_scale * 32768.0f;
    int32_t steps = 0;
    if (scaled >= 32767.0f) {
        return 32767;
    }
    if (scaled <= -32768.0f) {
        return -32768;
    }
    if (scaled > -32768.0f) { /* not NaN */
        const int32_t whole = (int32_t)scaled;
        const float fraction = scaled - (float)whole;
        steps = whole + (fraction >= 0.5f ? 1 : 0) - (fraction <= -0.5f ? 1 : 0);
    }
    return (int16_t)steps;
}

#endif
