/* Sandgrain kernels: the values of all rows become one score. */
#ifndef SG_ROWS_H
#define SG_ROWS_H

#include "sg_math.h"

/* Row r's value joins those before: added, or the larger one stays. At most 2^15 rows, so the sum fits. */
static inline int64_t sg_row_in(int64_t total, int32_t value, int32_t r, int32_t largest)
{
    if (!largest) {
        return total + value;
    }
    return r == 0 || value > total ? value : total;
}

/* total / 2^shift, rounded, saturated. */
static inline int32_t sg_rows_score(int64_t total, int32_t shift)
{
    const int64_t score = (total + (int64_t)(((uint32_t)1 << shift) >> 1)) >> shift;
    return score > INT32_MAX ? INT32_MAX : (score < INT32_MIN ? INT32_MIN : (int32_t)score);
}

#endif
