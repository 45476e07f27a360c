/* What a harness says: its input in words, and what is wrong. */
#ifndef LRK_FUZZ_REPORT_H
#define LRK_FUZZ_REPORT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether inputs are printed: LRK_FUZZ_PRINT=1. */
static inline bool fuzz_prints(void)
{
    const char *const wish = getenv("LRK_FUZZ_PRINT");
    return wish != NULL && strcmp(wish, "1") == 0;
}

/* A line about the input, where `on`. */
__attribute__((format(printf, 2, 3))) static inline void fuzz_say(bool on, const char *format, ...)
{
    if (!on)
        return;
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

/* Says what is wrong, and ends the process. */
__attribute__((format(printf, 1, 2), noreturn)) static inline void fuzz_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "FAULT: ");
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\n");
    abort();
}

#define FUZZ_CHECK(holds, ...) \
    do { \
        if (!(holds)) \
            fuzz_fail(__VA_ARGS__); \
    } while (0)

/* Memory that is there, exactly as long as asked for, full of numbers that nothing gives: what is not written is seen. */
static inline void *fuzz_room(size_t bytes)
{
    void *const memory = malloc(bytes);
    if (memory == NULL && bytes > 0)
        fuzz_fail("no memory for %zu bytes", bytes);
    if (bytes > 0)
        memset(memory, 0xA5, bytes);
    return memory;
}

#endif
