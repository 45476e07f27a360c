/* The vector operations that plan_eval.inc uses, for the ISA that isa/<name>.c selects: vectors of LRK_LANES doubles.
 * Each is one IEEE operation (or a move), so every ISA computes the same bits. */
#ifndef LRK_SIMD_H
#define LRK_SIMD_H

#include <stdint.h>
#include <string.h>

/* Whether a float64 number is within 2^digits units in its last place of half-way between two float32 numbers, 2^28: then, of
 * its last 29 digits, none is left under the mask when this is added. */
#define LRK_HALF_OFFSET(digits) ((INT64_C(1) << (digits)) - (INT64_C(1) << 28))
#define LRK_HALF_MASK(digits) ((INT64_C(1) << 29) - (INT64_C(2) << (digits)))

/* clang-format off */
#if defined(LRK_SIMD_AVX512)
#include <immintrin.h>
enum { LRK_LANES = 8 };
typedef __m512d vd;
static inline vd v_set(double a) { return _mm512_set1_pd(a); }
static inline vd v_iota(void) { return _mm512_setr_pd(0, 1, 2, 3, 4, 5, 6, 7); }
static inline vd v_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }
static inline vd v_add(vd a, vd b) { return _mm512_add_pd(a, b); }
static inline vd v_sub(vd a, vd b) { return _mm512_sub_pd(a, b); }
static inline vd v_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
static inline void v_store(void *p, vd a) { _mm512_storeu_pd(p, a); }
static inline void v_stream(void *p, vd a) { _mm512_stream_pd(p, a); }
static inline void v_store_f32(void *p, vd a) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(a)); }
static inline void v_stream_f32(void *p, vd a) { _mm256_stream_ps(p, _mm512_cvtpd_ps(a)); }
static inline void v_stream_two_f32(void *p, vd a, vd b)
{
    const __m512d low = _mm512_castpd256_pd512(_mm256_castps_pd(_mm512_cvtpd_ps(a)));
    _mm512_stream_pd(p, _mm512_insertf64x4(low, _mm256_castps_pd(_mm512_cvtpd_ps(b)), 1));
}
static inline vd v_load(const void *p) { return _mm512_loadu_pd(p); }
typedef __mmask8 vm;
static inline vm v_nowhere(void) { return 0; }
static inline int v_somewhere(vm m) { return m != 0; }
static inline vm v_or_near_half(vm m, vd a, int digits)
{
    const __m512i off = _mm512_add_epi64(_mm512_castpd_si512(a), _mm512_set1_epi64(LRK_HALF_OFFSET(digits)));
    return m | _mm512_testn_epi64_mask(off, _mm512_set1_epi64(LRK_HALF_MASK(digits)));
}
static inline vd v_gather(const double *p, const int64_t *index)
{
    return _mm512_i64gather_pd(_mm512_loadu_si512(index), p, 8);
}
#define LRK_STREAMS 1

#elif defined(LRK_SIMD_AVX2)
#include <immintrin.h>
enum { LRK_LANES = 4 };
typedef __m256d vd;
static inline vd v_set(double a) { return _mm256_set1_pd(a); }
static inline vd v_iota(void) { return _mm256_setr_pd(0, 1, 2, 3); }
static inline vd v_fma(vd a, vd b, vd c) { return _mm256_fmadd_pd(a, b, c); }
static inline vd v_add(vd a, vd b) { return _mm256_add_pd(a, b); }
static inline vd v_sub(vd a, vd b) { return _mm256_sub_pd(a, b); }
static inline vd v_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
static inline void v_store(void *p, vd a) { _mm256_storeu_pd(p, a); }
static inline void v_stream(void *p, vd a) { _mm256_stream_pd(p, a); }
static inline void v_store_f32(void *p, vd a) { _mm_storeu_ps(p, _mm256_cvtpd_ps(a)); }
static inline void v_stream_f32(void *p, vd a) { _mm_stream_ps(p, _mm256_cvtpd_ps(a)); }
static inline void v_stream_two_f32(void *p, vd a, vd b)
{
    _mm256_stream_ps(p, _mm256_set_m128(_mm256_cvtpd_ps(b), _mm256_cvtpd_ps(a)));
}
static inline vd v_load(const void *p) { return _mm256_loadu_pd(p); }
typedef __m256i vm;
static inline vm v_nowhere(void) { return _mm256_setzero_si256(); }
static inline int v_somewhere(vm m) { return !_mm256_testz_si256(m, m); }
static inline vm v_or_near_half(vm m, vd a, int digits)
{
    const __m256i off = _mm256_add_epi64(_mm256_castpd_si256(a), _mm256_set1_epi64x(LRK_HALF_OFFSET(digits)));
    const __m256i far = _mm256_and_si256(off, _mm256_set1_epi64x(LRK_HALF_MASK(digits)));
    return _mm256_or_si256(m, _mm256_cmpeq_epi64(far, _mm256_setzero_si256()));
}
static inline vd v_gather(const double *p, const int64_t *index)
{
    return _mm256_i64gather_pd(p, _mm256_loadu_si256((const __m256i *)(const void *)index), 8);
}
#define LRK_STREAMS 1

#elif defined(LRK_SIMD_NEON)
#include <arm_neon.h>
enum { LRK_LANES = 2 };
typedef float64x2_t vd;
static inline vd v_set(double a) { return vdupq_n_f64(a); }
static inline vd v_iota(void) { return vcombine_f64(vdup_n_f64(0.0), vdup_n_f64(1.0)); }
static inline vd v_fma(vd a, vd b, vd c) { return vfmaq_f64(c, a, b); }
static inline vd v_add(vd a, vd b) { return vaddq_f64(a, b); }
static inline vd v_sub(vd a, vd b) { return vsubq_f64(a, b); }
static inline vd v_mul(vd a, vd b) { return vmulq_f64(a, b); }
static inline void v_store(void *p, vd a) { vst1q_u8(p, vreinterpretq_u8_f64(a)); }
static inline void v_store_f32(void *p, vd a) { vst1_u8(p, vreinterpret_u8_f32(vcvt_f32_f64(a))); }
static inline vd v_load(const void *p) { return vreinterpretq_f64_u8(vld1q_u8(p)); }
typedef int64x2_t vm;
static inline vm v_nowhere(void) { return vdupq_n_s64(0); }
static inline int v_somewhere(vm m) { return (vgetq_lane_s64(m, 0) | vgetq_lane_s64(m, 1)) != 0; }
static inline vm v_or_near_half(vm m, vd a, int digits)
{
    const int64x2_t off = vaddq_s64(vreinterpretq_s64_f64(a), vdupq_n_s64(LRK_HALF_OFFSET(digits)));
    const int64x2_t far = vandq_s64(off, vdupq_n_s64(LRK_HALF_MASK(digits)));
    return vorrq_s64(m, vreinterpretq_s64_u64(vceqzq_s64(far)));
}
static inline vd v_gather(const double *p, const int64_t *index)
{
    return vcombine_f64(vld1_f64(p + index[0]), vld1_f64(p + index[1]));
}

#elif defined(LRK_SIMD_SCALAR)
enum { LRK_LANES = 1 };
typedef double vd;
static inline vd v_set(double a) { return a; }
static inline vd v_iota(void) { return 0.0; }
static inline vd v_fma(vd a, vd b, vd c) { return __builtin_fma(a, b, c); }
static inline vd v_add(vd a, vd b) { return a + b; }
static inline vd v_sub(vd a, vd b) { return a - b; }
static inline vd v_mul(vd a, vd b) { return a * b; }
static inline void v_store(void *p, vd a) { memcpy(p, &a, sizeof a); }
static inline void v_store_f32(void *p, vd a)
{
    float f = (float)a;
    memcpy(p, &f, sizeof f);
}
static inline vd v_load(const void *p)
{
    vd a;
    memcpy(&a, p, sizeof a);
    return a;
}
static inline vd v_gather(const double *p, const int64_t *index) { return p[index[0]]; }
typedef int vm;
static inline vm v_nowhere(void) { return 0; }
static inline int v_somewhere(vm m) { return m; }
static inline vm v_or_near_half(vm m, vd a, int digits)
{
    int64_t bits;
    memcpy(&bits, &a, sizeof bits);
    return m | (((bits + LRK_HALF_OFFSET(digits)) & LRK_HALF_MASK(digits)) == 0);
}

#else
#error "the file that includes this chooses the vectors: LRK_SIMD_<ISA>"
#endif

#ifndef LRK_STREAMS
#define LRK_STREAMS 0
static inline void v_stream(void *p, vd a) { v_store(p, a); }
static inline void v_stream_f32(void *p, vd a) { v_store_f32(p, a); }
static inline void v_stream_two_f32(void *p, vd a, vd b)
{
    v_store_f32(p, a);
    v_store_f32((char *)p + LRK_LANES * sizeof(float), b);
}
#endif

/* clang-format on */

/* The first k lanes, so that the remainder of an array runs the same arithmetic as its body. */
static inline void v_store_first(void *p, vd a, int64_t k)
{
    unsigned char lanes[sizeof(vd)];
    v_store(lanes, a);
    memcpy(p, lanes, (size_t)k * sizeof(double));
}

static inline void v_store_first_f32(void *p, vd a, int64_t k)
{
    unsigned char lanes[sizeof(vd) / 2 + 4];
    v_store_f32(lanes, a);
    memcpy(p, lanes, (size_t)k * sizeof(float));
}

#endif
