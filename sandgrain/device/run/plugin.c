/* The block counter (count.c) as a QEMU plugin: counts the first inference, from sg_infer to sg_done.
 *
 * The few declarations of QEMU's plugin interface, version 1, that are needed stand here: distributions leave its header
 * out. Arguments: plan=FILE (what to count: see `struct plan`), edges=FILE (where the counts go). */
#include "count.c"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

extern int qemu_plugin_version;
int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*cb)(unsigned, void *), int flags, void *user);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, void *), void *user);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

enum { BLOCKS = 1 << 15, EDGES = 1 << 17, RANGES = 1024 };

/* The plan file: these three words, then `ranges` times struct sg_range. */
struct plan {
    uint32_t first, stop; /* entries of sg_infer and of sg_done */
    uint32_t ranges;
};

static struct sg_block blocks[BLOCKS];
static struct sg_edge edges[EDGES];
static struct sg_range ranges[RANGES];
static struct sg_counter counter;
static struct plan plan;
static int state; /* 0: before the first inference, 1: counting, 2: done */
static char edges_path[4096];

static void on_block(unsigned cpu, void *user)
{
    const uint32_t address = (uint32_t)((uint64_t)(uintptr_t)user >> 16);
    const uint32_t size = (uint32_t)((uint64_t)(uintptr_t)user & 0xffffu);
    (void)cpu;
    if (state == 0 && address == plan.first) {
        state = 1;
    } else if (state == 1 && address == plan.stop) {
        state = 2;
    }
    if (state == 1) {
        sg_count_block(0, address, size, &counter);
    }
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    const size_t count = qemu_plugin_tb_n_insns(tb);
    uint64_t size = 0;
    (void)id;
    for (size_t i = 0; i < count; ++i) {
        size += qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i));
    }
    const uint64_t address = qemu_plugin_tb_vaddr(tb) & ~(uint64_t)1;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, 0, (void *)(uintptr_t)(address << 16 | (size & 0xffffu)));
}

static void on_exit(qemu_plugin_id_t id, void *user)
{
    FILE *file = fopen(edges_path, "wb");
    (void)id;
    (void)user;
    if (file == 0) {
        return;
    }
    /* One word first: 1 when a table overflowed or no inference ended. */
    const uint32_t broken = (uint32_t)(counter.full != 0 || state != 2);
    (void)fwrite(&broken, sizeof broken, 1, file);
    for (uint32_t i = 0; i < EDGES; ++i) {
        if (edges[i].count != 0) {
            (void)fwrite(&edges[i], sizeof edges[i], 1, file);
        }
    }
    (void)fclose(file);
}

static int read_plan(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == 0) {
        return -1;
    }
    int ok = fread(&plan, sizeof plan, 1, file) == 1 && plan.ranges <= RANGES;
    ok = ok && fread(ranges, sizeof ranges[0], plan.ranges, file) == plan.ranges;
    (void)fclose(file);
    return ok ? 0 : -1;
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    int planned = -1;
    for (int i = 0; i < argc; ++i) {
        if (strncmp(argv[i], "plan=", 5) == 0) {
            planned = read_plan(argv[i] + 5);
        } else if (strncmp(argv[i], "edges=", 6) == 0 && strlen(argv[i]) < sizeof edges_path) {
            memcpy(edges_path, argv[i] + 6, strlen(argv[i] + 6) + 1);
        }
    }
    if (planned != 0) {
        return -1;
    }
    counter.blocks = blocks;
    counter.edges = edges;
    counter.ranges = ranges;
    counter.block_slots = BLOCKS;
    counter.edge_slots = EDGES;
    counter.range_count = plan.ranges;
    counter.layer = -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, on_exit, 0);
    return 0;
}
