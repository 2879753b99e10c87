/* Sandgrain runtime: the bookkeeping of a stream. Samples go into a ring of one frame, rows into a ring of one window.
 *
 * The state lies in a struct that the caller owns, NAME_stream; all counters are 0 at its start.
 */
#ifndef SG_STREAM_H
#define SG_STREAM_H

#include "sg_run.h"

/* How many of `count` samples are taken at a time: at most `limit`, and no more than the ring has room for. */
static inline int32_t sg_stream_take(int32_t count, int32_t room, int32_t limit)
{
    const int32_t most = room < limit ? room : limit;
    return count < most ? count : most;
}

/* The frame is read: the `kept` last elements of the ring (samples of all channels) become its first. */
static inline void sg_stream_slide(int16_t *ring, int32_t kept, int32_t hop)
{
    for (int32_t i = 0; i < kept; i++) {
        ring[i] = ring[i + hop];
    }
}

struct sg_stream_rows {
    int32_t window;     /* rows in the ring */
    uint32_t row_bytes; /* of one row */
};

/* A row was put at `next`, the place of the oldest. `rows`: made so far, at most a window of them; `wait`: rows until the next
 * result, which is due where no row is missing and nothing is to be waited for. */
static inline void sg_stream_row(const struct sg_stream_rows *p, int32_t *rows, int32_t *next, int32_t *wait)
{
    *next = *next + 1 < p->window ? *next + 1 : 0;
    *rows += *rows < p->window ? 1 : 0;
    *wait -= *wait > 0 ? 1 : 0;
}

/* The ring of rows into `window`, the oldest first. */
static inline void sg_stream_unroll(const struct sg_stream_rows *p, void *window, const void *ring, int32_t next)
{
    const uint32_t newest = (uint32_t)next * p->row_bytes, oldest = (uint32_t)p->window * p->row_bytes - newest;
    sg_copy(window, (const uint8_t *)ring + newest, oldest);
    sg_copy((uint8_t *)window + oldest, ring, newest);
}

#endif
