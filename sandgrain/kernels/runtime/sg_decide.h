/* Sandgrain runtime: from a stream's scores to decisions. The same rule in numpy: sandgrain/graph/decisions.py. */
#ifndef SG_DECIDE_H
#define SG_DECIDE_H

#include <stdint.h>

struct sg_decide_rule {
    int32_t labels;
    int32_t smoothing; /* results that are added up, 1 to 64 */
    int32_t margin;    /* steps of the output, for each of them, by which a label must lead */
};

/* Puts one result into the ring [smoothing][labels] at `next`; `count`: results in it; `hold`: results until the next decision
 * may come; `held`: 1 + the label of the last decision while it leads all along, or 0. Returns the label that leads clearly, the
 * first of equals, and was not decided for already, or -1. Sums of 64 int8 fit 14 bits. */
static inline int32_t sg_decide(const struct sg_decide_rule *p, int8_t *ring, int32_t *next, int32_t *count, int32_t *hold,
                                int32_t *held, const int8_t *scores)
{
    int32_t best = -1, first = -32768, second = -32768; /* below every sum */
    for (int32_t k = 0; k < p->labels; k++) {
        ring[*next * p->labels + k] = scores[k];
    }
    *next = *next + 1 < p->smoothing ? *next + 1 : 0;
    *count += *count < p->smoothing ? 1 : 0;
    *hold -= *hold > 0 ? 1 : 0;
    if (*count < p->smoothing) {
        return -1;
    }
    for (int32_t k = 0; k < p->labels; k++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < p->smoothing; i++) {
            sum += ring[i * p->labels + k];
        }
        if (sum > first) {
            second = first;
            first = sum;
            best = k;
        } else if (sum > second) {
            second = sum;
        } else {
            /* it is not among the two largest */
        }
    }
    best = first - second < p->margin * p->smoothing ? -1 : best;
    *held = best + 1 == *held ? *held : 0; /* it has fallen below the margin: the next time is a new one */
    return *hold > 0 || *held > 0 ? -1 : best;
}

#endif
