/* Sandgrain kernel: copy `rows` runs of bytes from one stride to another, portable C99. One call for each input of a
 * concatenation and for each output of a split; any element type. */
#ifndef SG_COPY_ROWS_H
#define SG_COPY_ROWS_H

#include "sg_bytes.h"

struct sg_copy_rows {
    int32_t rows, run;           /* runs, and bytes a run */
    int32_t in_start, in_step;   /* bytes: where the first run lies, and from one run to the next */
    int32_t out_start, out_step; /* bytes */
};

static inline void sg_copy_rows(const struct sg_copy_rows *p, const void *in, void *out)
{
    const int8_t *from = (const int8_t *)in + p->in_start;
    int8_t *to = (int8_t *)out + p->out_start;

    for (int32_t r = 0; r < p->rows; r++) {
        sg_copy_bytes(to + r * p->out_step, from + r * p->in_step, p->run);
    }
}

#endif
