/* Sandgrain kernel: moves the `bytes` that start `from` bytes into the buffer to its start. Ascending, so they may overlap. */
#ifndef SG_SLIDE_H
#define SG_SLIDE_H

#include "sg_bytes.h"

struct sg_slide {
    int32_t bytes, from;
};

static inline void sg_slide(const struct sg_slide *p, int8_t *buffer)
{
    sg_copy_bytes(buffer, buffer + p->from, p->bytes);
}

#endif
