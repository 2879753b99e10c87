/* The example's own main.c as firmware: what it prints is kept as text, which is the only output. */
#include <stdarg.h>
#include <stdint.h>

int printf(const char *format, ...);
int sg_infer(void);
extern const uint32_t sg_input_count, sg_input_bytes[], sg_output_count, sg_output_bytes[];
extern void *const sg_inputs[], *const sg_outputs[];

#define main example_main
#include "example/main.c"
#undef main

#define ROOM 1024u
static char text[ROOM]; /* the rest stays 0 */
static uint32_t used;

static void put(char c)
{
    if (used < ROOM) {
        text[used++] = c;
    }
}

/* %s and %d, which is all that the example needs. Digits come out last first: an int has 10 at most. */
int printf(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    for (; *format != 0; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        format++;
        if (*format == 's') {
            for (const char *s = va_arg(list, const char *); *s != 0; s++) {
                put(*s);
            }
        } else {
            const int value = va_arg(list, int);
            uint32_t rest = value < 0 ? 0u - (uint32_t)value : (uint32_t)value, count = 0;
            char digits[10];
            if (value < 0) {
                put('-');
            }
            do {
                digits[count++] = (char)('0' + (char)(rest % 10u));
                rest /= 10u;
            } while (rest != 0u);
            while (count > 0u) {
                put(digits[--count]);
            }
        }
    }
    va_end(list);
    return 0;
}

static uint8_t nothing;
const uint32_t sg_input_count = 1, sg_input_bytes[] = {1}, sg_output_count = 1, sg_output_bytes[] = {ROOM};
void *const sg_inputs[] = {&nothing};
void *const sg_outputs[] = {text};

int sg_infer(void)
{
    used = 0;
    for (uint32_t i = 0; i < ROOM; i++) {
        text[i] = 0;
    }
    return example_main();
}
