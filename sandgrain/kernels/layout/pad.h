/* Sandgrain kernel: pad a tensor of up to five dimensions with one byte value, portable C99. Elements wider than a byte
 * can be padded with zeros. The output is written once, from front to back. */
#ifndef SG_PAD_H
#define SG_PAD_H

#include "sg_bytes.h"

struct sg_pad {
    int32_t size[4];   /* input extents of the four outer dimensions; 1 where unused */
    int32_t run;       /* bytes of the innermost dimension of the input */
    int32_t before[5]; /* bytes of padding written before and after each dimension's elements */
    int32_t after[5];
    int32_t value;
};

static inline int8_t *sg_pad_fill(const struct sg_pad *p, int8_t *out, int32_t count)
{
    sg_fill_bytes(out, (int8_t)p->value, count);
    return out + count;
}

/* Everything inside one index of the two outer dimensions. */
static inline int8_t *sg_pad_inner(const struct sg_pad *p, const int8_t **in, int8_t *out)
{
    out = sg_pad_fill(p, out, p->before[2]);
    for (int32_t c = 0; c < p->size[2]; c++) {
        out = sg_pad_fill(p, out, p->before[3]);
        for (int32_t d = 0; d < p->size[3]; d++) {
            out = sg_pad_fill(p, out, p->before[4]);
            sg_copy_bytes(out, *in, p->run);
            *in += p->run;
            out = sg_pad_fill(p, out + p->run, p->after[4]);
        }
        out = sg_pad_fill(p, out, p->after[3]);
    }
    return sg_pad_fill(p, out, p->after[2]);
}

static inline void sg_pad(const struct sg_pad *p, const void *in, void *out)
{
    const int8_t *from = (const int8_t *)in;
    int8_t *to = sg_pad_fill(p, (int8_t *)out, p->before[0]);

    for (int32_t a = 0; a < p->size[0]; a++) {
        to = sg_pad_fill(p, to, p->before[1]);
        for (int32_t b = 0; b < p->size[1]; b++) {
            to = sg_pad_inner(p, &from, to);
        }
        to = sg_pad_fill(p, to, p->after[1]);
    }
    (void)sg_pad_fill(p, to, p->after[0]);
}

#endif
