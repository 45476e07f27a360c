/* The limits of the machine: the bare memory traffic of each job, with as many threads as the job uses.
 *
 * Each function splits its range into blocks that threads take from one counter, so that a delayed thread does not determine
 * the time. Sizes are 64-bit. The arithmetic is only there so that reads and writes are not optimized away.
 *
 * The file is an extension module, so that it is built with the package, but the module is empty: limits.py calls the functions
 * through ctypes. The loops are in limit_blocks.inc, which is compiled for each width of vectors; the widest is chosen here.
 */
#include <Python.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Found by name, also where the default is to hide them. */
#define EXPORT __attribute__((visibility("default")))

enum { BLOCK = 1 << 16, MAX_THREADS = 256, LINE = 64, MAX_WRITTEN = 6 }; /* block: elements */

typedef struct job job;
typedef void block_function(job *j, int64_t begin, int64_t end);
struct job {
    block_function *block;
    int64_t n, first; /* blocks begin at first + k BLOCK; elements before `first` belong to block 0 */
    uint64_t pattern;
    void *out[MAX_WRITTEN];
    const void *in;
    _Atomic uint32_t seen; /* uses the values read, so that reading is not optimized away */
    _Atomic int64_t next;
};

static void *work(void *argument)
{
    job *j = argument;
    for (;;) {
        const int64_t k = atomic_fetch_add(&j->next, 1);
        const int64_t begin = k == 0 ? 0 : j->first + k * BLOCK;
        int64_t end = j->first + (k + 1) * BLOCK;
        if (begin >= j->n)
            return NULL;
        j->block(j, begin, end < j->n ? end : j->n);
    }
}

static void run(job *j, int threads)
{
    pthread_t others[MAX_THREADS];
    int started = 0;
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    while (started < threads - 1 && pthread_create(&others[started], NULL, work, j) == 0)
        started++;
    work(j);
    while (started > 0)
        pthread_join(others[--started], NULL);
}

/* Elements of `size` bytes before the first line that begins in the array. */
static int64_t to_line(const void *array, int64_t size)
{
    return (int64_t)((LINE - (uintptr_t)array % LINE) % LINE) / size;
}

/* ---- the loops, once per width of vectors */

#define NAME(name) name##_plain
#define TARGET
#include "limit_blocks.inc"
#undef NAME
#undef TARGET
#if defined(__x86_64__)
#if defined(__clang__)
#define AVX512_TARGET __attribute__((target("avx512f")))
#else /* GCC would use half the width */
#define AVX512_TARGET __attribute__((target("avx512f,prefer-vector-width=512")))
#endif
#define NAME(name) name##_avx2
#define TARGET __attribute__((target("avx2")))
#include "limit_blocks.inc"
#undef NAME
#undef TARGET
#define NAME(name) name##_avx512
#define TARGET AVX512_TARGET
#include "limit_blocks.inc"
#undef NAME
#undef TARGET

enum { PLAIN, AVX2, AVX512 };

static int widest(void)
{
    return __builtin_cpu_supports("avx512f") ? AVX512 : __builtin_cpu_supports("avx2") ? AVX2 : PLAIN;
}

#define CHOOSE(name) (widest() == AVX512 ? name##_avx512 : widest() == AVX2 ? name##_avx2 : name##_plain)
#else
#define CHOOSE(name) (name##_plain)
#endif

/* ---- fill: 8-byte words, so float32 is filled with pairs */

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void stream_block_avx512(job *j, int64_t begin, int64_t end)
{
    uint64_t *out = j->out[0];
    const __m512i v = _mm512_set1_epi64((long long)j->pattern);
    int64_t i = begin;
    for (; i < end && (uintptr_t)(out + i) % 64 != 0; i++)
        out[i] = j->pattern;
    for (; i + 8 <= end; i += 8)
        _mm512_stream_si512((__m512i *)(void *)(out + i), v);
    for (; i < end; i++)
        out[i] = j->pattern;
    _mm_sfence();
}

__attribute__((target("avx2"))) static void stream_block_avx2(job *j, int64_t begin, int64_t end)
{
    uint64_t *out = j->out[0];
    const __m256i v = _mm256_set1_epi64x((long long)j->pattern);
    int64_t i = begin;
    for (; i < end && (uintptr_t)(out + i) % 32 != 0; i++)
        out[i] = j->pattern;
    for (; i + 4 <= end; i += 4)
        _mm256_stream_si256((__m256i *)(void *)(out + i), v);
    for (; i < end; i++)
        out[i] = j->pattern;
    _mm_sfence();
}
#endif

/* Name of the stores that limit_fill_streaming uses: "avx512", "avx2", or "plain" if there are no streaming stores. */
EXPORT const char *limit_streaming_stores(void)
{
#if defined(__x86_64__)
    static const char *const names[] = {"plain", "avx2", "avx512"};
    return names[widest()];
#else
    return "plain";
#endif
}

EXPORT void limit_fill(uint64_t *out, int64_t n, uint64_t pattern, int threads)
{
    job j = {.block = CHOOSE(fill), .n = n, .first = to_line(out, 8), .pattern = pattern, .out = {out}};
    run(&j, threads);
}

EXPORT void limit_fill_streaming(uint64_t *out, int64_t n, uint64_t pattern, int threads)
{
    job j = {.block = fill_plain, .n = n, .first = to_line(out, 8), .pattern = pattern, .out = {out}};
#if defined(__x86_64__)
    if (widest() == AVX512)
        j.block = stream_block_avx512;
    else if (widest() == AVX2)
        j.block = stream_block_avx2;
#endif
    run(&j, threads);
}

/* ---- copy */

static void copy_block(job *j, int64_t begin, int64_t end)
{
    memcpy((uint64_t *)j->out[0] + begin, (const uint64_t *)j->in + begin, (size_t)(end - begin) * 8);
}

EXPORT void limit_copy(uint64_t *out, const uint64_t *in, int64_t n, int threads)
{
    job j = {.block = copy_block, .n = n, .first = to_line(out, 8), .out = {out}, .in = in};
    run(&j, threads);
}

/* ---- the streams of one step of a rule: reads the gradient, reads and writes `written` arrays in place (1 to MAX_WRITTEN). */

EXPORT void limit_step_streams(uint32_t *const *arrays, int written, const uint32_t *grad, int64_t n, int threads)
{
    block_function *const blocks[] = {CHOOSE(step1), CHOOSE(step2), CHOOSE(step3), CHOOSE(step4), CHOOSE(step5), CHOOSE(step6)};
    job j = {.block = blocks[written - 1], .n = n, .first = to_line(arrays[0], 4), .in = grad};
    for (int i = 0; i < written; i++)
        j.out[i] = arrays[i];
    run(&j, threads);
}

/* ---- the streams of clip-by-norm, SGD with momentum, average and zeroed gradients: reads grad; then reads param, grad, buffer
   and average, writes all in place. */

EXPORT void limit_pipeline_streams(uint32_t *param, uint32_t *grad, uint32_t *buffer, uint32_t *average, int64_t n, int threads)
{
    job norm = {.block = CHOOSE(read), .n = n, .first = to_line(grad, 4), .in = grad};
    run(&norm, threads);
    job j = {.block = CHOOSE(pipeline), .n = n, .first = to_line(param, 4), .out = {param, grad, buffer, average}};
    run(&j, threads);
}

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_limits", .m_size = 0};

PyMODINIT_FUNC PyInit__limits(void)
{
    return PyModule_Create(&module);
}
