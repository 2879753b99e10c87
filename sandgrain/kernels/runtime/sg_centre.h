/* Sandgrain: whether a window has its event in the middle, for a model that was trained on such windows.
 *
 * How large a sample is: the sum of the squares of some of its channels. A square is at most 2^30 and there are at most 2^16 channels,
 * so the sum is below 2^47.
 */
#ifndef SG_CENTRE_H
#define SG_CENTRE_H

#include <stdint.h>

static inline int64_t sg_sample_size(const int16_t *sample, const uint16_t *which, uint32_t count)
{
    int64_t sum = 0;
    for (uint32_t k = 0; k < count; k++) {
        const int32_t value = sample[which[k]];
        sum += value * value;
    }
    return sum;
}

/* 1 where sample `samples` / 2 is the largest of the window, and larger than every sample before it; else 0. */
static inline int32_t sg_is_centred(const int16_t *window, uint32_t samples, uint32_t channels, const uint16_t *which, uint32_t count)
{
    const uint32_t middle = samples / 2;
    const int64_t largest = sg_sample_size(window + middle * channels, which, count);
    for (uint32_t i = 0; i < samples; i++) {
        const int64_t size = sg_sample_size(window + i * channels, which, count);
        if (i < middle ? size >= largest : size > largest) {
            return 0;
        }
    }
    return 1;
}

#endif
