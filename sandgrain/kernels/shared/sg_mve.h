/* Sandgrain kernels for Helium (Armv8.1-M with MVE): copies, fills, and the house rounding on vectors.
 *
 * The inner blocks are inline assembly: compilers spill the eight accumulators, which VMLADAVA wants in even registers,
 * and use no tail-predicated loops. The same text serves GNU C and clang. Without Helium, plain C does the same, so that
 * layouts can be tested on any computer.
 *
 * The house rounding: VQRDMULH is the saturating rounding doubling high multiply, VRSHL the rounding shift with halves
 * up. Halves must go away from zero: where the output's clamp does not hide it, 1 is taken from negative values before
 * the shift, which then has to be by one or more.
 */
#ifndef SG_MVE_H
#define SG_MVE_H

#include <stdint.h>

#include "sg_math.h"

#if defined(__ARM_FEATURE_MVE)
#define SG_MVE 1
#include <arm_mve.h>
#else
#define SG_MVE 0
#if defined(__GNUC__) && !defined(SG_ANY_CORE) /* define it where that is meant, such as for a test on a computer */
#define SG_ANY_CORE /* once is enough */
#warning "this C was made for a core with Helium vectors (Cortex-M55): here it gives the same bytes, but slowly; compile the model for this core, or define SG_ANY_CORE"
#endif
#endif

/* One copy a program: the blocks are long and called seldom. */
#define SG_MVE_SHARED static __attribute__((noinline, unused))

/* `rows` runs of `run` bytes; all three > 0. Steps are from start to start, and may be negative. */
static inline void sg_mve_copy_rows(int8_t *to, const int8_t *from, int32_t rows, int32_t run, int32_t to_step,
                                    int32_t from_step)
{
#if SG_MVE
    const int32_t moved = (run + 15) & ~15;
    const int32_t to_next = to_step - moved, from_next = from_step - moved;
    __asm volatile("1:\n\t"
                   "dlstp.8 lr, %[run]\n"
                   "2:\n\t"
                   "vldrb.u8 q0, [%[from]], #16\n\t"
                   "vstrb.8 q0, [%[to]], #16\n\t"
                   "letp lr, 2b\n\t"
                   "add %[to], %[to], %[to_next]\n\t"
                   "add %[from], %[from], %[from_next]\n\t"
                   "subs %[rows], %[rows], #1\n\t"
                   "bne 1b\n"
                   : [to] "+&r"(to), [from] "+&r"(from), [rows] "+&r"(rows)
                   : [run] "r"(run), [to_next] "r"(to_next), [from_next] "r"(from_next)
                   : "q0", "lr", "cc", "memory");
#else
    for (; rows > 0; rows--) {
        for (int32_t i = 0; i < run; i++) {
            to[i] = from[i];
        }
        if (rows > 1) {
            to += to_step;
            from += from_step;
        }
    }
#endif
}

/* `count` > 0. */
static inline void sg_mve_fill(int8_t *to, int32_t value, int32_t count)
{
#if SG_MVE
    __asm volatile("vdup.8 q0, %[value]\n\t"
                   "dlstp.8 lr, %[count]\n"
                   "1:\n\t"
                   "vstrb.8 q0, [%[to]], #16\n\t"
                   "letp lr, 1b\n"
                   : [to] "+&r"(to)
                   : [value] "r"(value), [count] "r"(count)
                   : "q0", "lr", "memory");
#else
    for (int32_t i = 0; i < count; i++) {
        to[i] = (int8_t)value;
    }
#endif
}

#if !SG_MVE
/* What the vectors compute, one lane. `round_half_away`: halves away from zero. */
static inline int8_t sg_mve_finish(int32_t acc, int32_t multiplier, int32_t shift, int32_t round_half_away, int32_t zero, int32_t low,
                                   int32_t high)
{
    const int32_t right = -shift;
    const int64_t product = (int64_t)acc * multiplier;
    const int64_t fine = ((product + ((int64_t)1 << 30)) >> 31) - (round_half_away != 0 && product + ((int64_t)1 << 30) < 0 ? 1 : 0);
    const int32_t y = (int32_t)((fine + (right > 0 ? (int64_t)1 << (right - 1) : 0)) >> right);
    return (int8_t)sg_clamp(y + zero, low, high);
}
#endif

#endif
