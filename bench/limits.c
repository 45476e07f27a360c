/* The limits of the machine: the bare memory traffic of each job, with as many threads as the job uses.
 *
 * Each function splits its range into blocks that threads take from one counter, so that a delayed thread does not determine
 * the time. Sizes are 64-bit. The arithmetic is only there so that reads and writes are not optimized away.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { BLOCK = 1 << 16, MAX_THREADS = 256, LINE = 64 }; /* block: elements */

typedef struct job job;
struct job {
    void (*block)(job *j, int64_t begin, int64_t end);
    int64_t n, first; /* blocks begin at first + k BLOCK; elements before `first` belong to block 0 */
    uint64_t pattern;
    void *out0, *out1, *out2, *out3;
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

/* ---- fill: 8-byte words, so float32 is filled with pairs */

static void fill_block(job *j, int64_t begin, int64_t end)
{
    uint64_t *out = j->out0;
    const uint64_t pattern = j->pattern;
    for (int64_t i = begin; i < end; i++)
        out[i] = pattern;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void stream_block_avx512(job *j, int64_t begin, int64_t end)
{
    uint64_t *out = j->out0;
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
    uint64_t *out = j->out0;
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
const char *limit_streaming_stores(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return "avx512";
    if (__builtin_cpu_supports("avx2"))
        return "avx2";
#endif
    return "plain";
}

void limit_fill(uint64_t *out, int64_t n, uint64_t pattern, int threads)
{
    job j = {.block = fill_block, .n = n, .first = to_line(out, 8), .pattern = pattern, .out0 = out};
    run(&j, threads);
}

void limit_fill_streaming(uint64_t *out, int64_t n, uint64_t pattern, int threads)
{
    job j = {.block = fill_block, .n = n, .first = to_line(out, 8), .pattern = pattern, .out0 = out};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        j.block = stream_block_avx512;
    else if (__builtin_cpu_supports("avx2"))
        j.block = stream_block_avx2;
#endif
    run(&j, threads);
}

/* ---- copy */

static void copy_block(job *j, int64_t begin, int64_t end)
{
    memcpy((uint64_t *)j->out0 + begin, (const uint64_t *)j->in + begin, (size_t)(end - begin) * 8);
}

void limit_copy(uint64_t *out, const uint64_t *in, int64_t n, int threads)
{
    job j = {.block = copy_block, .n = n, .first = to_line(out, 8), .out0 = out, .in = in};
    run(&j, threads);
}

/* ---- the streams of one SGD step with momentum: reads param, grad, buffer; writes param and buffer in place.
   Integer xor: as many bytes, no rounding, and a second call undoes the first on `buffer`. */

static void sgd_block(job *j, int64_t begin, int64_t end)
{
    uint32_t *restrict param = j->out0, *restrict buffer = j->out1;
    const uint32_t *restrict grad = j->in;
    for (int64_t i = begin; i < end; i++) {
        buffer[i] ^= grad[i];
        param[i] ^= buffer[i];
    }
}

void limit_sgd_streams(uint32_t *param, const uint32_t *grad, uint32_t *buffer, int64_t n, int threads)
{
    job j = {.block = sgd_block, .n = n, .first = to_line(param, 4), .out0 = param, .out1 = buffer, .in = grad};
    run(&j, threads);
}

/* ---- the streams of one AdamW step: reads param, grad and two averages; writes all but grad in place. */

static void adam_block(job *j, int64_t begin, int64_t end)
{
    uint32_t *restrict param = j->out0, *restrict mean = j->out1, *restrict square = j->out2;
    const uint32_t *restrict grad = j->in;
    for (int64_t i = begin; i < end; i++) {
        mean[i] ^= grad[i];
        square[i] ^= grad[i];
        param[i] ^= mean[i] ^ square[i];
    }
}

void limit_adam_streams(uint32_t *param, const uint32_t *grad, uint32_t *mean, uint32_t *square, int64_t n, int threads)
{
    job j = {.block = adam_block, .n = n, .first = to_line(param, 4), .out0 = param, .out1 = mean, .out2 = square, .in = grad};
    run(&j, threads);
}

/* ---- the streams of clip-by-norm, SGD with momentum, average and zeroed gradients: reads grad; then reads param, grad, buffer
   and average, writes all in place. */

static void read_block(job *j, int64_t begin, int64_t end)
{
    const uint32_t *in = j->in;
    uint32_t seen = 0;
    for (int64_t i = begin; i < end; i++)
        seen ^= in[i];
    atomic_fetch_xor(&j->seen, seen);
}

static void pipeline_block(job *j, int64_t begin, int64_t end)
{
    uint32_t *restrict param = j->out0, *restrict grad = j->out1, *restrict buffer = j->out2, *restrict average = j->out3;
    for (int64_t i = begin; i < end; i++) {
        buffer[i] ^= grad[i];
        param[i] ^= buffer[i];
        average[i] ^= param[i];
        grad[i] = ~grad[i];
    }
}

void limit_pipeline_streams(uint32_t *param, uint32_t *grad, uint32_t *buffer, uint32_t *average, int64_t n, int threads)
{
    job norm = {.block = read_block, .n = n, .first = to_line(grad, 4), .in = grad};
    run(&norm, threads);
    job j = {.block = pipeline_block, .n = n, .first = to_line(param, 4)};
    j.out0 = param, j.out1 = grad, j.out2 = buffer, j.out3 = average;
    run(&j, threads);
}
