/* Sandgrain firmware for QEMU: takes samples from a file and writes the outputs to another, by semihosting.
 *
 * In QEMU's working directory: samples.bin holds the inputs of all samples, outputs.bin gets the outputs, stack.bin the
 * deepest use of the stack in bytes, fault.bin the program counter and the address of an access that faulted. */
#include <stddef.h>
#include <stdint.h>

extern uint32_t sg_stack_top[], sg_stack_limit[];
extern void *const sg_inputs[], *const sg_outputs[];
extern const uint32_t sg_input_count, sg_output_count, sg_input_bytes[], sg_output_bytes[];
int sg_infer(void);
int main(void);
void sg_ready(void);
void sg_done(void);
void sg_fault(void);
void sg_report(const uint32_t *frame);

enum { SG_OPEN = 1, SG_CLOSE = 2, SG_WRITE = 5, SG_READ = 6, SG_EXIT = 0x20 };
enum { SG_READ_BINARY = 1, SG_WRITE_BINARY = 5 };
enum { SG_STATUS_FAULT = 3, SG_STATUS_FILES = 4, SG_STATUS_MODEL = 5 };

#define SG_PAINT 0xA5A5A5A5u

static intptr_t call(uint32_t operation, const void *arguments)
{
    register uint32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = arguments;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (intptr_t)r0;
}

__attribute__((noreturn)) static void leave(uint32_t status)
{
    const uint32_t arguments[2] = {0x20026u, status}; /* the application ended */
    (void)call(SG_EXIT, arguments);
    for (;;) {
    }
}

static intptr_t open_file(const char *name, uint32_t length, uint32_t mode)
{
    const uintptr_t arguments[3] = {(uintptr_t)name, mode, length};
    const intptr_t file = call(SG_OPEN, arguments);
    if (file < 0) {
        leave(SG_STATUS_FILES);
    }
    return file;
}

/* Returns the number of bytes that were not moved. */
static uint32_t move(uint32_t operation, intptr_t file, const void *data, uint32_t size)
{
    const uintptr_t arguments[3] = {(uintptr_t)file, (uintptr_t)data, size};
    return (uint32_t)call(operation, arguments);
}

static void save(const char *name, uint32_t length, const void *data, uint32_t size)
{
    const intptr_t file = open_file(name, length, SG_WRITE_BINARY);
    (void)move(SG_WRITE, file, data, size);
    (void)call(SG_CLOSE, &file);
}

/* The profiler counts from the entry of sg_infer to the entry of sg_done. */
__attribute__((noinline, used)) void sg_done(void)
{
    __asm volatile("" ::: "memory");
}

__attribute__((noinline, used)) void sg_ready(void)
{
    __asm volatile("" ::: "memory");
}

__attribute__((used)) void sg_report(const uint32_t *frame)
{
    /* The stacked program counter, CFSR, BFAR. */
    const uint32_t report[3] = {frame[6], *(volatile uint32_t *)0xE000ED28u, *(volatile uint32_t *)0xE000ED38u};
    save("fault.bin", 9, report, sizeof report);
    leave(SG_STATUS_FAULT);
}

__attribute__((naked, used)) void sg_fault(void)
{
    __asm volatile("mrs r0, msp\n\tb sg_report");
}

int main(void)
{
    uint32_t *top; /* where the stack of sg_infer begins */
    __asm volatile("mov %0, sp" : "=r"(top));
    for (uint32_t *p = sg_stack_limit; p < top; ++p) {
        *p = SG_PAINT;
    }
    const intptr_t samples = open_file("samples.bin", 11, SG_READ_BINARY);
    const intptr_t outputs = open_file("outputs.bin", 11, SG_WRITE_BINARY);
    uint32_t deepest = 0;
    sg_ready();
    for (uint32_t sample = 0;; ++sample) {
        int more = sg_input_count != 0 || sample == 0; /* a program without inputs runs once */
        for (uint32_t i = 0; i < sg_input_count; ++i) {
            more = more && move(SG_READ, samples, sg_inputs[i], sg_input_bytes[i]) == 0;
        }
        if (!more) {
            (void)call(SG_CLOSE, &outputs);
            save("stack.bin", 9, &deepest, sizeof deepest);
            leave(0);
        }
        const int status = sg_infer();
        sg_done();
        if (status != 0) {
            save("fault.bin", 9, &status, sizeof status);
            leave(SG_STATUS_MODEL);
        }
        const uint32_t *lowest = sg_stack_limit;
        while (lowest < top && *lowest == SG_PAINT) {
            ++lowest;
        }
        deepest = (uint32_t)((uintptr_t)top - (uintptr_t)lowest);
        for (uint32_t i = 0; i < sg_output_count; ++i) {
            if (move(SG_WRITE, outputs, sg_outputs[i], sg_output_bytes[i]) != 0) {
                leave(SG_STATUS_FILES);
            }
        }
    }
}
