/* Counts, for every pair of blocks, how often the second ran right after the first, and in which layer.
 *
 * Called by the emulator at the start of each block. Two open-addressed tables, both sized by the caller (powers of
 * two): blocks by address, edges by (layer, previous block, block). */
#include <stdint.h>

struct sg_range {
    uint32_t start, end; /* addresses of a function, end exclusive */
    int32_t layer;       /* entering it at `start` begins this layer; -1: any block in it ends the running layer */
};

struct sg_block {
    uint32_t address, size;
    int32_t mark; /* SG_NONE, -1 or the layer that begins here */
};

struct sg_edge {
    uint32_t previous, previous_size; /* address and bytes of the block before, 0 and 0 at the start */
    uint32_t block, size;
    int32_t layer;
    uint32_t unused;
    uint64_t count; /* 0: a free slot */
};

enum { SG_NONE = -2 };

struct sg_counter {
    struct sg_block *blocks;
    struct sg_edge *edges;
    const struct sg_range *ranges;
    uint32_t block_slots, edge_slots, range_count;
    uint32_t block_count, edge_count;
    int32_t layer;
    uint32_t previous, previous_size;
    int32_t full; /* a table overflowed: the counts are not to be used */
    struct sg_edge *last;
};

void sg_count_block(void *emulator, uint64_t address, uint32_t size, struct sg_counter *c);

static uint32_t scramble(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

static int32_t mark_of(const struct sg_counter *c, uint32_t address)
{
    for (uint32_t i = 0; i < c->range_count; ++i) {
        const struct sg_range *r = &c->ranges[i];
        if (r->layer >= 0 ? address == r->start : (address >= r->start && address < r->end)) {
            return r->layer;
        }
    }
    return SG_NONE;
}

/* The block's slot. A size of 0 means free. The same address with another size is another block. */
static struct sg_block *find_block(struct sg_counter *c, uint32_t address, uint32_t size)
{
    uint32_t slot = scramble(address ^ (size << 24)) & (c->block_slots - 1u);
    while (c->blocks[slot].size != 0) {
        if (c->blocks[slot].address == address && c->blocks[slot].size == size) {
            return &c->blocks[slot];
        }
        slot = (slot + 1u) & (c->block_slots - 1u);
    }
    if (c->block_count + 1u >= c->block_slots) {
        c->full = 1;
        return 0;
    }
    c->block_count++;
    c->blocks[slot].address = address;
    c->blocks[slot].size = size;
    c->blocks[slot].mark = mark_of(c, address);
    return &c->blocks[slot];
}

static int is_edge(const struct sg_edge *e, const struct sg_counter *c, uint32_t block, uint32_t size)
{
    return e->previous == c->previous && e->block == block && e->layer == c->layer && e->size == size &&
           e->previous_size == c->previous_size;
}

static struct sg_edge *find_edge(struct sg_counter *c, uint32_t block, uint32_t size)
{
    uint32_t slot = scramble(c->previous * 31u + block + ((uint32_t)c->layer << 20)) & (c->edge_slots - 1u);
    while (c->edges[slot].count != 0) {
        if (is_edge(&c->edges[slot], c, block, size)) {
            return &c->edges[slot];
        }
        slot = (slot + 1u) & (c->edge_slots - 1u);
    }
    if (c->edge_count + 1u >= c->edge_slots) {
        c->full = 1;
        return 0;
    }
    c->edge_count++;
    c->edges[slot].previous = c->previous;
    c->edges[slot].previous_size = c->previous_size;
    c->edges[slot].block = block;
    c->edges[slot].size = size;
    c->edges[slot].layer = c->layer;
    return &c->edges[slot];
}

void sg_count_block(void *emulator, uint64_t address, uint32_t size, struct sg_counter *c)
{
    const uint32_t here = (uint32_t)address & ~1u;
    struct sg_edge *e = c->last;
    (void)emulator;
    if (c->full) {
        return;
    }
    const struct sg_block *b = find_block(c, here, size);
    if (b == 0) {
        return;
    }
    if (b->mark != SG_NONE) {
        c->layer = b->mark;
    }
    if (e == 0 || !is_edge(e, c, here, size)) {
        e = find_edge(c, here, size);
        if (e == 0) {
            return;
        }
    }
    e->count++;
    c->last = e;
    c->previous = here;
    c->previous_size = size;
}
