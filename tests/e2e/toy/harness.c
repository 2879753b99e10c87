/* A small model by hand, with the symbols that a generated harness exports: two layers and an overhead copy. */
#include <stdint.h>

int toy_run(const int8_t *in, int8_t *out);
int sg_infer(void);
void toy_layer_0(const int8_t *in, int16_t *out);
void toy_layer_1(const int16_t *in, int8_t *out);
extern void *const sg_inputs[1];
extern void *const sg_outputs[1];
extern const uint32_t sg_input_count, sg_output_count, sg_input_bytes[1], sg_output_bytes[1];
extern int16_t toy_arena[64];

#ifndef ROUNDS
#define ROUNDS 1
#endif

static const int8_t weights[8] = {1, -2, 3, -4, 5, -6, 7, -8};
static int32_t bias = 100; /* in .data, so a boot that forgets to copy it is seen */
static int32_t calls;      /* in .bss */
static int8_t input[64], output[64];
int16_t toy_arena[64];

__attribute__((noinline)) void toy_layer_0(const int8_t *in, int16_t *out)
{
    for (int round = 0; round < ROUNDS; ++round) {
        for (int i = 0; i < 64; ++i) {
            int32_t sum = bias;
            for (int k = 0; k < 8; ++k) {
                sum += in[(i + k) & 63] * weights[k];
            }
            if (sum & 1) {
                sum += 3;
            }
            out[i] = (int16_t)sum;
        }
    }
}

__attribute__((noinline)) void toy_layer_1(const int16_t *in, int8_t *out)
{
    volatile int32_t local[16]; /* so that the stack is used */
    for (int i = 0; i < 64; ++i) {
        local[i & 15] = in[i] / (i + 3); /* a library call on Cortex-M0+ */
        const int64_t wide = (int64_t)local[i & 15] * 1234567 / ((int64_t)i + 9); /* and one everywhere */
        out[i] = (int8_t)(wide >> 12);
    }
}

__attribute__((noinline)) int toy_run(const int8_t *in, int8_t *out)
{
    calls++;
    toy_layer_0(in, toy_arena);
    toy_layer_1(toy_arena, out);
    return 0;
}

int sg_infer(void)
{
    return toy_run(input, output);
}

const uint32_t sg_input_count = 1, sg_output_count = 1;
void *const sg_inputs[1] = {input};
void *const sg_outputs[1] = {output};
const uint32_t sg_input_bytes[1] = {sizeof input}, sg_output_bytes[1] = {sizeof output};
