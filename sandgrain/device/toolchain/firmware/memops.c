/* Sandgrain firmware: the three memory functions that compilers call on their own, without a C library.
 *
 * Words go at a time when both ends are aligned alike. -fno-builtin keeps the loops from being turned into calls of
 * the functions that they define. */
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) sg_word;

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    if ((((uintptr_t)d ^ (uintptr_t)s) & 3u) == 0) {
        for (; n != 0 && ((uintptr_t)d & 3u) != 0; --n) {
            *d++ = *s++;
        }
        for (; n >= 16; n -= 16, d += 16, s += 16) {
            const sg_word a = ((const sg_word *)(const void *)s)[0], b = ((const sg_word *)(const void *)s)[1];
            const sg_word c = ((const sg_word *)(const void *)s)[2], e = ((const sg_word *)(const void *)s)[3];
            ((sg_word *)(void *)d)[0] = a;
            ((sg_word *)(void *)d)[1] = b;
            ((sg_word *)(void *)d)[2] = c;
            ((sg_word *)(void *)d)[3] = e;
        }
        for (; n >= 4; n -= 4, d += 4, s += 4) {
            *(sg_word *)(void *)d = *(const sg_word *)(const void *)s;
        }
    }
    for (; n != 0; --n) {
        *d++ = *s++;
    }
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    if ((uintptr_t)d <= (uintptr_t)s || (uintptr_t)d >= (uintptr_t)s + n) {
        const int same = (((uintptr_t)d ^ (uintptr_t)s) & 3u) == 0;
        for (; n != 0 && (!same || ((uintptr_t)d & 3u) != 0); --n) {
            *d++ = *s++;
        }
        for (; n >= 4; n -= 4, d += 4, s += 4) {
            *(sg_word *)(void *)d = *(const sg_word *)(const void *)s;
        }
        for (; n != 0; --n) {
            *d++ = *s++;
        }
    } else {
        while (n != 0) {
            --n;
            d[n] = s[n];
        }
    }
    return to;
}

void *memset(void *to, int value, size_t n)
{
    unsigned char *d = to;
    const uint32_t word = (uint32_t)(unsigned char)value * 0x01010101u;
    for (; n != 0 && ((uintptr_t)d & 3u) != 0; --n) {
        *d++ = (unsigned char)value;
    }
    for (; n >= 16; n -= 16, d += 16) {
        ((sg_word *)(void *)d)[0] = word;
        ((sg_word *)(void *)d)[1] = word;
        ((sg_word *)(void *)d)[2] = word;
        ((sg_word *)(void *)d)[3] = word;
    }
    for (; n >= 4; n -= 4, d += 4) {
        *(sg_word *)(void *)d = word;
    }
    for (; n != 0; --n) {
        *d++ = (unsigned char)value;
    }
    return to;
}
