/* Sandgrain kernel: -log(sum of exp(-energy)) of each row, over all rows, portable C99.
 *
 * One energy after another: -log(exp(-a) + exp(-b)) = min(a, b) - log(1 + exp(-|a - b|)), the last from a table.
 */
#ifndef SG_SOFT_LEAST_S32_H
#define SG_SOFT_LEAST_S32_H

#include "sg_rows.h"

struct sg_soft_least_s32 {
    const uint16_t *table; /* log(1 + exp(-i / 8)) in units of 2^-16, i = 0 .. 96, the last one 0 */
    int32_t rows, components;
    int32_t fraction; /* of the energies, 4 to 16 */
    int32_t largest;  /* 1: the largest of the rows' values, 0: their sum */
    int32_t shift;
};

/* log(1 + exp(-t)) for t >= 0, with the energies' fraction bits. */
static inline int32_t sg_soft_least_s32_log(const struct sg_soft_least_s32 *p, uint32_t t)
{
    const int32_t low = p->fraction - 3;
    if (t >> low >= 96u) {
        return 0;
    }
    const uint16_t *at = p->table + (t >> low);
    const int32_t part = (int32_t)(t & (((uint32_t)1 << low) - 1u)); /* < 2^13, times a step < 2^13 */
    const int32_t value = at[0] - ((at[0] - at[1]) * part >> low);
    return (value + (int32_t)(((uint32_t)1 << (16 - p->fraction)) >> 1)) >> (16 - p->fraction);
}

SG_SPECIALIZE void sg_soft_least_s32(const struct sg_soft_least_s32 *p, const int32_t *in, int32_t *out)
{
    int64_t total = 0;
    for (int32_t r = 0; r < p->rows; r++) {
        int32_t value = *in < 0 ? 0 : *in; /* falls by log 2 a component at most: far from INT32_MIN */
        in++;
        for (int32_t k = 1; k < p->components; k++) {
            const int32_t e = *in < 0 ? 0 : *in;
            in++;
            const int32_t least = e < value ? e : value, most = e < value ? value : e;
            value = least - sg_soft_least_s32_log(p, (uint32_t)most - (uint32_t)least);
        }
        total = sg_row_in(total, value, r, p->largest);
    }
    *out = sg_rows_score(total, p->shift);
}

#endif
