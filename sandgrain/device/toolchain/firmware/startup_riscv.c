/* Sandgrain firmware: reset for RISC-V. Memory comes from the linker script's symbols. */
#include <stdint.h>

extern uint32_t sg_data_load[], sg_data_start[], sg_data_end[], sg_bss_start[], sg_bss_end[];
int main(void);
void sg_reset(void);
void sg_start(void);

/* The first instructions: no stack yet, so no C. The global pointer must be set without being relaxed to itself. */
__attribute__((naked, used, section(".vectors"))) void sg_reset(void)
{
    __asm volatile(
        ".option push\n\t"
        ".option norelax\n\t"
        "la gp, __global_pointer$\n\t"
        ".option pop\n\t"
        "la sp, sg_stack_top\n\t"
        "j sg_start");
}

__attribute__((used, noreturn)) void sg_start(void)
{
    const uint32_t *from = sg_data_load;
    for (uint32_t *to = sg_data_start; to < sg_data_end; ++to) {
        *to = *from++;
    }
    for (uint32_t *to = sg_bss_start; to < sg_bss_end; ++to) {
        *to = 0;
    }
    (void)main();
    for (;;) {
    }
}
