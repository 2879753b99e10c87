/* Sandgrain runtime: what the C of every model builds on. */
#ifndef SG_RUN_H
#define SG_RUN_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#if INT_MAX < 0x7fffffff
#error "Sandgrain's C needs an int of at least 32 bits: 8-bit and 16-bit chips (AVR, MSP430) cannot run it"
#endif

#if defined(__GNUC__) && !defined(SG_NOINLINE)
#define SG_NOINLINE __attribute__((noinline)) /* keeps each layer a function: profiles and faults can name it */
#elif !defined(SG_NOINLINE)
#define SG_NOINLINE
#endif
#ifndef SG_TRACE
#define SG_TRACE(layer) ((void)0) /* called after each layer */
#endif

#ifndef SG_COPY /* define it before this header to bring an sg_copy of your own */
#define SG_COPY
/* `bytes` bytes that do not overlap, or the same ones: an input or output that lies in its slot already. */
static SG_NOINLINE void sg_copy(void *to, const void *from, uint32_t bytes)
{
    uint8_t *target = (uint8_t *)to;
    const uint8_t *source = (const uint8_t *)from;
    if (target == source) {
        return;
    }
#ifdef __ARM_FEATURE_UNALIGNED
    for (; bytes >= 4u; bytes -= 4u) {
        __builtin_memcpy(target, source, 4); /* a load and a store of a word */
        target += 4;
        source += 4;
    }
#endif
    for (; bytes > 0u; bytes--) {
        *target = *source;
        target++;
        source++;
    }
}
#endif

#endif
