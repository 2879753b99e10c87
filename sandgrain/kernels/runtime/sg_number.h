/* Sandgrain: an int32 output as a number in parts of the user's unit. The same in numpy is sandgrain/graph/numbers.py. */
#ifndef SG_NUMBER_H
#define SG_NUMBER_H

#include <stdint.h>

/* sum * multiplier / 2^shift, halves up, plus offset, saturated; 0 <= multiplier < 2^31 and 0 < shift <= 62.
 * |sum * multiplier| <= 2^62 and half a unit is at most 2^61, so their sum stays below 2^63. */
static inline int32_t sg_number(int32_t sum, int32_t multiplier, int32_t shift, int32_t offset)
{
    const int64_t value = (((int64_t)sum * multiplier + ((int64_t)1 << (shift - 1))) >> shift) + offset;
    return value < INT32_MIN ? INT32_MIN : (value > INT32_MAX ? INT32_MAX : (int32_t)value);
}

#endif
