/* Sandgrain firmware: vector table and reset for Cortex-M. Memory comes from the linker script's symbols. */
#include <stdint.h>

extern uint32_t sg_stack_top[], sg_data_load[], sg_data_start[], sg_data_end[], sg_bss_start[], sg_bss_end[];
int main(void);
void sg_reset(void);
void sg_fault(void);

typedef void (*sg_vector)(void);

/* Entry 0 is the stack pointer, entry 1 the reset handler, 2..15 the system exceptions: a fault stops right there. */
extern const sg_vector sg_vectors[16];
__attribute__((section(".vectors"), used)) const sg_vector sg_vectors[16] = {
    (sg_vector)(uintptr_t)sg_stack_top, sg_reset, sg_fault, sg_fault, sg_fault, sg_fault, sg_fault, sg_fault,
    sg_fault, sg_fault, sg_fault, sg_fault, sg_fault, sg_fault, sg_fault, sg_fault,
};

/* Weak: firmware for QEMU reports the fault instead. */
__attribute__((used, weak)) void sg_fault(void)
{
    for (;;) {
    }
}

__attribute__((used)) void sg_reset(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    /* CPACR: full access to coprocessors 10 and 11, the FPU (and the vector unit). */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm volatile("dsb\n\tisb" ::: "memory");
#endif
    const uint32_t *from = sg_data_load;
    for (uint32_t *to = sg_data_start; to < sg_data_end; ++to) {
        *to = *from++;
    }
    for (uint32_t *to = sg_bss_start; to < sg_bss_end; ++to) {
        *to = 0;
    }
    (void)main();
    sg_fault();
}
