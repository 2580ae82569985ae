/* The search for nonces: SHA-256 of SHA-256 over many headers that differ in 32 bits.
 *
 * One algorithm, many widths. The part between "#ifdef LANES" and its "#else" is compiled once
 * for each width, by including this very file; V is then a vector of LANES 32-bit words (or one
 * word), and the hashes of LANES consecutive nonces are computed at once, one in each lane.
 *
 * Two layouts of header:
 *
 *   bitcoin, 80 bytes: nonce at byte 76, little-endian; the hash is a little-endian integer.
 *   classic, 69 bytes: nonce at its end, big-endian; the hash is a big-endian integer.
 *
 * Both leave one varying block after a first one that is the same for all nonces. What follows
 * from the constant words is computed once for each search (struct job).
 */

#ifdef LANES

#define CAT_(a, b) a##_##b
#define CAT(a, b) CAT_(a, b)
#define FN(name) CAT(name, VARIANT)
#ifdef TARGET
#define ATTR __attribute__((target(TARGET)))
#else
#define ATTR
#endif
#define AI static inline ATTR INLINE

#ifndef ROR
#define ROR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#endif
#ifndef XOR3
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#endif
#ifndef CHOOSE
#define CHOOSE(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#endif
#ifndef MAJORITY
#define MAJORITY(a, b, c) (((a) & (b)) | ((c) & ((a) | (b))))
#endif

#define SIGMA0(x) XOR3(ROR(x, 2), ROR(x, 13), ROR(x, 22))
#define SIGMA1(x) XOR3(ROR(x, 6), ROR(x, 11), ROR(x, 25))
#define sigma0(x) XOR3(ROR(x, 7), ROR(x, 18), (x) >> 3)
#define sigma1(x) XOR3(ROR(x, 17), ROR(x, 19), (x) >> 10)
#define SET(x) FN(set)(x)

/* One round. The letters are turned by the caller, so that no value moves. */
#define ROUND(a, b, c, d, e, f, g, h, kw)                                                         \
    do {                                                                                          \
        V t = (h) + (kw) + CHOOSE(e, f, g) + SIGMA1(e);                                           \
        (d) += t;                                                                                 \
        (h) = t + MAJORITY(a, b, c) + SIGMA0(a);                                                  \
    } while (0)
/* Four rounds before a word of the result: its new a is never asked for. */
#define ROUND_E(d, e, f, g, h, kw) ((d) += (h) + (kw) + CHOOSE(e, f, g) + SIGMA1(e))

#define EIGHT(R, i)                                                                               \
    ROUND(a, b, c, d, e, f, g, h, R(i));                                                          \
    ROUND(h, a, b, c, d, e, f, g, R(i + 1));                                                      \
    ROUND(g, h, a, b, c, d, e, f, R(i + 2));                                                      \
    ROUND(f, g, h, a, b, c, d, e, R(i + 3));                                                      \
    ROUND(e, f, g, h, a, b, c, d, R(i + 4));                                                      \
    ROUND(d, e, f, g, h, a, b, c, R(i + 5));                                                      \
    ROUND(c, d, e, f, g, h, a, b, R(i + 6));                                                      \
    ROUND(b, c, d, e, f, g, h, a, R(i + 7))

AI V FN(set)(uint32_t x) {
#if LANES == 1
    return x;
#else
    return (V){0} + x;
#endif
}

/* The next word of the schedule in a ring of sixteen, and its round constant added. */
#define NEXT(w, i)                                                                                \
    ((w)[(i) & 15] += sigma0((w)[((i) + 1) & 15]) + (w)[((i) + 9) & 15] +                         \
                      sigma1((w)[((i) + 14) & 15]))

AI V FN(reverse)(V x) { /* bytes of each word */
    V half = ((x & SET(0x00ff00ff)) << 8) | ((x >> 8) & SET(0x00ff00ff));
    return (half << 16) | (half >> 16);
}

#define KW_RING(i) (w[(i) & 15] + SET(K[i]))
#define KW_NEXT(i) (NEXT(w, i) + SET(K[i]))

/* A whole compression: state in, state out; w is used up. */
AI void FN(compress)(const V in[8], V w[16], V out[8]) {
    V a = in[0], b = in[1], c = in[2], d = in[3], e = in[4], f = in[5], g = in[6], h = in[7];
    EIGHT(KW_RING, 0);
    EIGHT(KW_RING, 8);
    for (int i = 16; i < 64; i += 16) {
        EIGHT(KW_NEXT, i);
        EIGHT(KW_NEXT, i + 8);
    }
    out[0] = in[0] + a, out[1] = in[1] + b, out[2] = in[2] + c, out[3] = in[3] + d;
    out[4] = in[4] + e, out[5] = in[5] + f, out[6] = in[6] + g, out[7] = in[7] + h;
}

/* The classic layout: the deciding word is the hash's first. */
AI V FN(classic)(const struct job *job, V counter) {
    V state[8], w[16], digest[8];
    for (int i = 0; i < 8; i++) state[i] = SET(job->midstate[i]);
    w[0] = SET(job->block[0] & 0xff000000) | (counter >> 8);
    w[1] = SET(job->block[1] & 0x00ffffff) | (counter << 24);
    for (int i = 2; i < 16; i++) w[i] = SET(job->block[i]);
    FN(compress)(state, w, digest);
    for (int i = 0; i < 8; i++) w[i] = digest[i], state[i] = SET(IV[i]);
    for (int i = 8; i < 16; i++) w[i] = SET(PADDED_DIGEST[i - 8]);
    FN(compress)(state, w, digest);
    return digest[0];
}

#define KW_CONST(i) SET(job->kw[i])
#define KW_PADDED(i) SET(job->padded_kw[i])

/* The bitcoin layout: the deciding word is the hash's last, its bytes reversed. */
AI V FN(bitcoin)(const struct job *job, V counter) {
    V w[16];
    /* First hash. Rounds 0 to 2 and words 16 and 17 don't depend on the nonce. */
    const uint32_t *s = job->after3;
    V f = SET(s[0]), g = SET(s[1]), h = SET(s[2]), a = SET(s[3]);
    V b = SET(s[4]), c = SET(s[5]), d = SET(s[6]), e = SET(s[7]);
    V nonce = FN(reverse)(counter);
    ROUND(f, g, h, a, b, c, d, e, nonce + SET(K[3]));
    ROUND(e, f, g, h, a, b, c, d, KW_CONST(4));
    ROUND(d, e, f, g, h, a, b, c, KW_CONST(5));
    ROUND(c, d, e, f, g, h, a, b, KW_CONST(6));
    ROUND(b, c, d, e, f, g, h, a, KW_CONST(7));
    EIGHT(KW_CONST, 8);
    const uint32_t *m = job->sum;
    w[0] = SET(m[16]);
    w[1] = SET(m[17]);
    w[2] = SET(m[18]) + sigma0(nonce);
    w[3] = SET(m[19]) + nonce;
    w[4] = SET(m[20]) + sigma1(w[2]);
    w[5] = SET(m[21]) + sigma1(w[3]);
    w[6] = SET(m[22]) + sigma1(w[4]);
    w[7] = SET(m[23]) + sigma1(w[5]);
    EIGHT(KW_RING, 16);
    w[8] = SET(m[24]) + sigma1(w[6]);
    w[9] = w[2] + sigma1(w[7]);
    w[10] = w[3] + sigma1(w[8]);
    w[11] = w[4] + sigma1(w[9]);
    w[12] = w[5] + sigma1(w[10]);
    w[13] = w[6] + sigma1(w[11]);
    w[14] = SET(m[30]) + w[7] + sigma1(w[12]);
    w[15] = SET(m[31]) + w[8] + sigma1(w[13]);
    EIGHT(KW_RING, 24);
    for (int i = 32; i < 64; i += 16) {
        EIGHT(KW_NEXT, i);
        EIGHT(KW_NEXT, i + 8);
    }
    w[0] = a + SET(job->midstate[0]), w[1] = b + SET(job->midstate[1]);
    w[2] = c + SET(job->midstate[2]), w[3] = d + SET(job->midstate[3]);
    w[4] = e + SET(job->midstate[4]), w[5] = f + SET(job->midstate[5]);
    w[6] = g + SET(job->midstate[6]), w[7] = h + SET(job->midstate[7]);

    /* Second hash. Its first round starts from constants, its words 8 to 15 are constant. */
    a = SET(IV[0]), b = SET(IV[1]), c = SET(IV[2]), d = SET(job->first_d) + w[0];
    e = SET(IV[4]), f = SET(IV[5]), g = SET(IV[6]), h = SET(job->first_h) + w[0];
    ROUND(h, a, b, c, d, e, f, g, KW_RING(1));
    ROUND(g, h, a, b, c, d, e, f, KW_RING(2));
    ROUND(f, g, h, a, b, c, d, e, KW_RING(3));
    ROUND(e, f, g, h, a, b, c, d, KW_RING(4));
    ROUND(d, e, f, g, h, a, b, c, KW_RING(5));
    ROUND(c, d, e, f, g, h, a, b, KW_RING(6));
    ROUND(b, c, d, e, f, g, h, a, KW_RING(7));
    EIGHT(KW_PADDED, 8);
    w[0] += sigma0(w[1]);
    w[1] += sigma0(w[2]) + SET(job->sigma1_length);
    w[2] += sigma0(w[3]) + sigma1(w[0]);
    w[3] += sigma0(w[4]) + sigma1(w[1]);
    w[4] += sigma0(w[5]) + sigma1(w[2]);
    w[5] += sigma0(w[6]) + sigma1(w[3]);
    w[6] += sigma0(w[7]) + sigma1(w[4]) + SET(256);
    w[7] += SET(job->sigma0_first_pad) + sigma1(w[5]) + w[0];
    EIGHT(KW_RING, 16);
    w[8] = SET(0x80000000) + w[1] + sigma1(w[6]);
    w[9] = w[2] + sigma1(w[7]);
    w[10] = w[3] + sigma1(w[8]);
    w[11] = w[4] + sigma1(w[9]);
    w[12] = w[5] + sigma1(w[10]);
    w[13] = w[6] + sigma1(w[11]);
    w[14] = SET(job->sigma0_length) + w[7] + sigma1(w[12]);
    w[15] = SET(256) + sigma0(w[0]) + w[8] + sigma1(w[13]);
    EIGHT(KW_RING, 24);
    EIGHT(KW_NEXT, 32);
    EIGHT(KW_NEXT, 40);
    EIGHT(KW_NEXT, 48);
    ROUND(a, b, c, d, e, f, g, h, KW_NEXT(56));
    ROUND_E(c, d, e, f, g, KW_NEXT(57));
    ROUND_E(b, c, d, e, f, KW_NEXT(58));
    ROUND_E(a, b, c, d, e, KW_NEXT(59));
    ROUND_E(h, a, b, c, d, KW_NEXT(60));
    return FN(reverse)(h + SET(IV[7]));
}

/* The lowest counter in start..end-1 that meets the target, or end. Lanes past the end are
 * computed and not looked at. */
AI uint64_t FN(scan)(const struct job *job, uint64_t start, uint64_t end, int is_classic) {
    V lanes = {LANE_NUMBERS};
    for (uint64_t at = start; at < end; at += LANES) {
        V counter = SET((uint32_t)at) + lanes;
        V deciding = is_classic ? FN(classic)(job, counter) : FN(bitcoin)(job, counter);
        if (!ANY_AT_MOST(deciding, job->target[7])) continue;
        uint32_t words[LANES];
        memcpy(words, &deciding, sizeof words);
        for (int lane = 0; lane < LANES && at + lane < end; lane++)
            if (words[lane] <= job->target[7] && meets(job, (uint32_t)(at + lane)))
                return at + lane;
    }
    return end;
}

static ATTR uint64_t FN(search)(const struct job *job, uint64_t start, uint64_t end) {
    return job->is_classic ? FN(scan)(job, start, end, 1) : FN(scan)(job, start, end, 0);
}

#undef V
#undef LANES
#undef VARIANT
#undef TARGET
#undef LANE_NUMBERS
#undef ANY_AT_MOST
#undef CAT_
#undef CAT
#undef FN
#undef ATTR
#undef AI
#undef ROR
#undef XOR3
#undef CHOOSE
#undef MAJORITY
#undef SIGMA0
#undef SIGMA1
#undef sigma0
#undef sigma1
#undef SET
#undef ROUND
#undef ROUND_E
#undef EIGHT
#undef NEXT
#undef KW_RING
#undef KW_NEXT
#undef KW_CONST
#undef KW_PADDED

#else /* not LANES: the file itself */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
#define INLINE inline __attribute__((always_inline))
#define HAS_VECTORS 1
#if defined(__x86_64__)
#define HAS_X86 1
#include <cpuid.h>
#include <immintrin.h>
#endif
#else
#define INLINE
#endif

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
static const uint32_t IV[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
/* What a digest of 32 bytes is padded with to a block: words 8 to 15. */
static const uint32_t PADDED_DIGEST[8] = {0x80000000, 0, 0, 0, 0, 0, 0, 256};

/* All of a search that does not depend on the nonce. */
struct job {
    int is_classic;
    uint32_t target[8];   /* least significant word first, as the hash's integer is compared */
    uint32_t midstate[8]; /* after the first block */
    uint32_t block[16];   /* the second block, its varying bits zero */
    /* The bitcoin layout alone: */
    uint32_t after3[8];      /* the state after three rounds */
    uint32_t kw[16];         /* round constant plus word, for the words that are constant */
    uint32_t sum[32];        /* of each schedule word from 16, what is constant in it */
    uint32_t padded_kw[16];  /* the same as kw, for the second hash */
    uint32_t first_d, first_h; /* the second hash's first round, less its word */
    uint32_t sigma0_first_pad, sigma0_length, sigma1_length;
};

static uint32_t ror(uint32_t x, int n) { return x >> n | x << (32 - n); }
static uint32_t small0(uint32_t x) { return ror(x, 7) ^ ror(x, 18) ^ x >> 3; }
static uint32_t small1(uint32_t x) { return ror(x, 17) ^ ror(x, 19) ^ x >> 10; }
static uint32_t big0(uint32_t x) { return ror(x, 2) ^ ror(x, 13) ^ ror(x, 22); }
static uint32_t big1(uint32_t x) { return ror(x, 6) ^ ror(x, 11) ^ ror(x, 25); }
static uint32_t reversed(uint32_t x) {
    return x >> 24 | (x >> 8 & 0xff00) | (x & 0xff00) << 8 | x << 24;
}

/* Rounds 0 to count-1, plainly; s is turned in place. w must hold as many words. */
static void plain_rounds(uint32_t s[8], const uint32_t *w, int count) {
    for (int i = 0; i < count; i++) {
        uint32_t t = s[7] + big1(s[4]) + (s[6] ^ (s[4] & (s[5] ^ s[6]))) + K[i] + w[i];
        uint32_t u = big0(s[0]) + ((s[0] & s[1]) | (s[2] & (s[0] | s[1])));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t;
        s[0] = t + u;
    }
}

static void plain_compress(const uint32_t in[8], const uint32_t block[16], uint32_t out[8]) {
    uint32_t w[64], s[8];
    memcpy(w, block, 16 * sizeof *w);
    for (int i = 16; i < 64; i++) w[i] = small1(w[i - 2]) + w[i - 7] + small0(w[i - 15]) + w[i - 16];
    memcpy(s, in, sizeof s);
    plain_rounds(s, w, 64);
    for (int i = 0; i < 8; i++) out[i] = in[i] + s[i];
}

static void put_counter(const struct job *job, uint32_t counter, uint32_t block[16]) {
    memcpy(block, job->block, 16 * sizeof *block);
    if (job->is_classic) {
        block[0] |= counter >> 8;
        block[1] |= counter << 24;
    } else {
        block[3] = reversed(counter);
    }
}

/* Whether the hash as an integer is at most the target; w: the hash's eight words. */
static int words_meet(const struct job *job, const uint32_t w[8]) {
    for (int i = 7; i >= 0; i--) {
        uint32_t word = job->is_classic ? w[7 - i] : reversed(w[i]);
        if (word != job->target[i]) return word < job->target[i];
    }
    return 1;
}

/* The whole hash of one nonce: for candidates that a wide search has singled out. */
static int meets(const struct job *job, uint32_t counter) {
    uint32_t block[16], digest[16];
    put_counter(job, counter, block);
    plain_compress(job->midstate, block, digest);
    memcpy(digest + 8, PADDED_DIGEST, sizeof PADDED_DIGEST);
    uint32_t hash[8];
    plain_compress(IV, digest, hash);
    return words_meet(job, hash);
}

static uint32_t big_endian(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* header: 80 or 69 bytes. target: 32 bytes, little-endian. */
static void prepare(struct job *job, const unsigned char *header, size_t size,
                    const unsigned char *target) {
    unsigned char padded[128] = {0};
    uint32_t first[16];
    memset(job, 0, sizeof *job);
    job->is_classic = size == 69;
    memcpy(padded, header, size - 4); /* the counter's bytes stay zero */
    padded[size] = 0x80;
    padded[126] = (unsigned char)(size * 8 >> 8);
    padded[127] = (unsigned char)(size * 8);
    for (int i = 0; i < 16; i++) first[i] = big_endian(padded + 4 * i);
    for (int i = 0; i < 16; i++) job->block[i] = big_endian(padded + 64 + 4 * i);
    for (int i = 0; i < 8; i++) job->target[i] = reversed(big_endian(target + 4 * i));
    plain_compress(IV, first, job->midstate);

    const uint32_t *w = job->block;
    uint32_t *m = job->sum;
    memcpy(job->after3, job->midstate, sizeof job->after3);
    plain_rounds(job->after3, w, 3);
    for (int i = 0; i < 16; i++) job->kw[i] = K[i] + w[i];
    for (int i = 16; i < 32; i++) { /* what is left of the sum when the varying words are zero */
        m[i] = small0(w[i - 15]) + w[i - 16];
        if (i == 18) m[i] = w[2];
        if (i == 31) m[i] = w[15];
        if (i < 23) m[i] += w[i - 7];
    }
    m[16] += small1(w[14]);
    m[17] += small1(w[15]);
    m[18] += small1(m[16]);
    m[19] = small1(m[17]) + w[12] + small0(w[4]);
    m[23] += m[16];
    m[24] += m[17];
    m[31] += small0(m[16]);

    for (int i = 8; i < 16; i++) job->padded_kw[i] = K[i] + PADDED_DIGEST[i - 8];
    uint32_t t = IV[7] + big1(IV[4]) + (IV[6] ^ (IV[4] & (IV[5] ^ IV[6]))) + K[0];
    job->first_d = IV[3] + t;
    job->first_h = t + big0(IV[0]) + ((IV[0] & IV[1]) | (IV[2] & (IV[0] | IV[1])));
    job->sigma0_first_pad = small0(PADDED_DIGEST[0]);
    job->sigma0_length = small0(PADDED_DIGEST[7]);
    job->sigma1_length = small1(PADDED_DIGEST[7]);
}

/* Portable: four lanes that any compiler with vectors turns into its machine's, or one. */
#ifdef HAS_VECTORS
typedef uint32_t v4 __attribute__((vector_size(16)));
static inline INLINE int any4(v4 x, uint32_t most) {
    return (x[0] <= most) | (x[1] <= most) | (x[2] <= most) | (x[3] <= most);
}
#define V v4
#define LANES 4
#define LANE_NUMBERS 0, 1, 2, 3
#define ANY_AT_MOST(x, most) any4(x, most)
#else
#define V uint32_t
#define LANES 1
#define LANE_NUMBERS 0
#define ANY_AT_MOST(x, most) ((x) <= (most))
#endif
#define VARIANT portable
#include "_native.c"

#ifdef HAS_X86
typedef uint32_t v8 __attribute__((vector_size(32)));
static inline __attribute__((always_inline, target("avx2"))) int any8(v8 x, uint32_t most) {
    __m256i limit = _mm256_set1_epi32((int)most);
    __m256i is_less = _mm256_cmpeq_epi32(_mm256_min_epu32((__m256i)x, limit), (__m256i)x);
    return _mm256_movemask_epi8(is_less);
}
#define V v8
#define LANES 8
#define VARIANT avx2
#define TARGET "avx2"
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7
#define ANY_AT_MOST(x, most) any8(x, most)
#include "_native.c"

typedef uint32_t v16 __attribute__((vector_size(64)));
#define V v16
#define LANES 16
#define VARIANT avx512
#define TARGET "avx512f"
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define ANY_AT_MOST(x, most) \
    _mm512_cmple_epu32_mask((__m512i)(x), _mm512_set1_epi32((int)(most)))
#define ROR(x, n) ((V)_mm512_ror_epi32((__m512i)(x), n))
#define TERNARY(a, b, c, f) \
    ((V)_mm512_ternarylogic_epi32((__m512i)(a), (__m512i)(b), (__m512i)(c), f))
#define XOR3(a, b, c) TERNARY(a, b, c, 0x96)
#define CHOOSE(e, f, g) TERNARY(e, f, g, 0xca)
#define MAJORITY(a, b, c) TERNARY(a, b, c, 0xe8)
#include "_native.c"

/* SHA extensions: the processor does two rounds at a time, and two independent hashes are
 * interleaved to hide how long each pair of rounds takes. State is held as ABEF and CDGH. */
#define NI __attribute__((target("sha,sse4.1")))
#define NI_INLINE static inline INLINE NI
struct ni_state {
    __m128i abef, cdgh;
};

NI_INLINE struct ni_state ni_load(const uint32_t s[8]) {
    return (struct ni_state){_mm_set_epi32((int)s[0], (int)s[1], (int)s[4], (int)s[5]),
                             _mm_set_epi32((int)s[2], (int)s[3], (int)s[6], (int)s[7])};
}

/* Four rounds of both hashes; i: the first. */
NI_INLINE void ni_four(struct ni_state s[2], __m128i w[2][4], int i) {
    __m128i k = _mm_loadu_si128((const __m128i *)(K + i));
    for (int n = 0; n < 2; n++) {
        __m128i kw = _mm_add_epi32(w[n][i / 4 & 3], k);
        s[n].cdgh = _mm_sha256rnds2_epu32(s[n].cdgh, s[n].abef, kw);
        s[n].abef = _mm_sha256rnds2_epu32(s[n].abef, s[n].cdgh, _mm_shuffle_epi32(kw, 0x0e));
    }
}

/* The next four words of both schedules, in place of the oldest. */
NI_INLINE void ni_schedule(__m128i w[2][4], int i) {
    for (int n = 0; n < 2; n++) {
        __m128i *w0 = &w[n][i / 4 & 3], w1 = w[n][(i / 4 + 1) & 3];
        __m128i w2 = w[n][(i / 4 + 2) & 3], w3 = w[n][(i / 4 + 3) & 3];
        __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(*w0, w1), _mm_alignr_epi8(w3, w2, 4));
        *w0 = _mm_sha256msg2_epu32(sum, w3);
    }
}

NI_INLINE void ni_compress(struct ni_state s[2], __m128i w[2][4]) {
    struct ni_state before[2] = {s[0], s[1]};
#pragma GCC unroll 16
    for (int i = 0; i < 64; i += 4) {
        if (i >= 16) ni_schedule(w, i);
        ni_four(s, w, i);
    }
    for (int n = 0; n < 2; n++) {
        s[n].abef = _mm_add_epi32(s[n].abef, before[n].abef);
        s[n].cdgh = _mm_add_epi32(s[n].cdgh, before[n].cdgh);
    }
}

NI static uint64_t search_shani(const struct job *job, uint64_t start, uint64_t end) {
    const struct ni_state midstate = ni_load(job->midstate), iv = ni_load(IV);
    const __m128i pad0 = _mm_set_epi32(0, 0, 0, (int)PADDED_DIGEST[0]);
    const __m128i pad1 = _mm_set_epi32((int)PADDED_DIGEST[7], 0, 0, 0);
    for (uint64_t at = start; at < end; at += 2) {
        struct ni_state s[2] = {midstate, midstate};
        __m128i w[2][4];
        for (int n = 0; n < 2; n++) {
            uint32_t counter = (uint32_t)at + (uint32_t)n;
            for (int i = 0; i < 4; i++)
                w[n][i] = _mm_loadu_si128((const __m128i *)(job->block + 4 * i));
            if (job->is_classic) {
                __m128i varying = _mm_set_epi32(0, 0, (int)(counter << 24), (int)(counter >> 8));
                w[n][0] = _mm_or_si128(w[n][0], varying);
            } else {
                w[n][0] = _mm_insert_epi32(w[n][0], (int)reversed(counter), 3);
            }
        }
        ni_compress(s, w);
        for (int n = 0; n < 2; n++) { /* ABEF and CDGH to words in order */
            w[n][0] = _mm_unpacklo_epi64(_mm_shuffle_epi32(s[n].abef, 0x0b), _mm_shuffle_epi32(s[n].cdgh, 0x0b));
            w[n][1] = _mm_unpacklo_epi64(_mm_shuffle_epi32(s[n].abef, 0x01), _mm_shuffle_epi32(s[n].cdgh, 0x01));
            w[n][2] = pad0, w[n][3] = pad1;
            s[n] = iv;
        }
        ni_compress(s, w);
        for (int n = 0; n < 2 && at + (uint64_t)n < end; n++) {
            uint32_t word = job->is_classic ? (uint32_t)_mm_extract_epi32(s[n].abef, 3)
                                            : reversed((uint32_t)_mm_cvtsi128_si32(s[n].cdgh));
            if (word <= job->target[7] && meets(job, (uint32_t)at + (uint32_t)n))
                return at + (uint64_t)n;
        }
    }
    return end;
}
#endif

/* The variants, fastest first. */
static int always(void) { return 1; }
#ifdef HAS_X86
static int has_avx512(void) { return __builtin_cpu_supports("avx512f"); }
static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }
static int has_shani(void) { /* compilers only lately know this one by name */
    unsigned a, b, c, d;
    return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b >> 29 & 1);
}
#endif

static const struct variant {
    const char *name;
    int (*is_usable)(void);
    uint64_t (*search)(const struct job *, uint64_t start, uint64_t end);
} VARIANTS[] = {
#ifdef HAS_X86
    {"avx512", has_avx512, search_avx512},
    {"shani", has_shani, search_shani},
    {"avx2", has_avx2, search_avx2},
#endif
    {"portable", always, search_portable},
};
enum { VARIANT_COUNT = sizeof VARIANTS / sizeof *VARIANTS };

/* Between looks at the cancel flag: a few milliseconds of the slowest variant. */
enum { SLICE = 1 << 13 };

PyDoc_STRVAR(variants_doc, "variants() -> tuple of the names usable on this machine");
static PyObject *variants(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    PyObject *names = PyList_New(0);
    if (names == NULL) return NULL;
    for (int i = 0; i < VARIANT_COUNT; i++) {
        if (!VARIANTS[i].is_usable()) continue;
        PyObject *name = PyUnicode_FromString(VARIANTS[i].name);
        if (name == NULL || PyList_Append(names, name) < 0) {
            Py_XDECREF(name);
            Py_DECREF(names);
            return NULL;
        }
        Py_DECREF(name);
    }
    PyObject *result = PyList_AsTuple(names);
    Py_DECREF(names);
    return result;
}

PyDoc_STRVAR(search_doc,
             "search(variant, header, target, start, count, flag) -> int\n\n"
             "The lowest counter that meets the target, or -1. target: 32 bytes, little-endian.\n"
             "flag: one writable byte; when it is not zero, the search ends with -1.");
static PyObject *search(PyObject *self, PyObject *args) {
    (void)self;
    const char *name;
    Py_buffer header = {0}, target = {0}, flag = {0};
    unsigned long long start, count;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "sy*y*KKw*", &name, &header, &target, &start, &count, &flag))
        return NULL;
    const struct variant *chosen = NULL;
    for (int i = 0; i < VARIANT_COUNT; i++)
        if (strcmp(VARIANTS[i].name, name) == 0 && VARIANTS[i].is_usable()) chosen = &VARIANTS[i];
    if (chosen == NULL) {
        PyErr_Format(PyExc_ValueError, "no variant %s on this machine", name);
    } else if ((header.len != 80 && header.len != 69) || target.len != 32 || flag.len != 1 ||
               start > 1ULL << 32 || count > (1ULL << 32) - start) {
        PyErr_SetString(PyExc_ValueError, "search: arguments out of range");
    } else {
        struct job job;
        const volatile unsigned char *cancelled = flag.buf;
        uint64_t at = start, end = start + count, found = end;
        Py_BEGIN_ALLOW_THREADS
        prepare(&job, header.buf, (size_t)header.len, target.buf);
        while (at < end && !*cancelled) {
            uint64_t stop = end - at > SLICE ? at + SLICE : end;
            uint64_t got = chosen->search(&job, at, stop);
            if (got < stop) {
                found = got;
                break;
            }
            at = stop;
        }
        Py_END_ALLOW_THREADS
        result = found < end ? PyLong_FromUnsignedLongLong(found) : PyLong_FromLong(-1);
    }
    PyBuffer_Release(&header);
    PyBuffer_Release(&target);
    PyBuffer_Release(&flag);
    return result;
}

/* Signatures in batches. This module has no curve of its own: the caller hands over the addresses
 * of libsecp256k1's functions, and one loop calls them without the interpreter's lock. */

typedef struct { unsigned char bytes[64]; } secp_key, secp_signature; /* as secp256k1.h has them */
typedef int parse_key_fn(const void *, secp_key *, const unsigned char *, size_t);
typedef int parse_x_only_fn(const void *, secp_key *, const unsigned char *);
typedef int parse_compact_fn(const void *, secp_signature *, const unsigned char *);
typedef int normalize_fn(const void *, secp_signature *, const secp_signature *);
typedef int ecdsa_verify_fn(const void *, const secp_signature *, const unsigned char *,
                            const secp_key *);
typedef int schnorr_verify_fn(const void *, const unsigned char *, const unsigned char *, size_t,
                              const secp_key *);

struct library {
    const void *context;
    parse_key_fn *parse_key;
    parse_x_only_fn *parse_x_only;
    parse_compact_fn *parse_compact;
    normalize_fn *normalize;
    ecdsa_verify_fn *ecdsa_verify;
    schnorr_verify_fn *schnorr_verify;
};
enum { LIBRARY_POINTERS = sizeof(struct library) / sizeof(void *) };

/* One check: 0 for Schnorr, else the length of the ECDSA key (33 or 65); key; digest; signature. */
struct check {
    unsigned char key_size, key[65], digest[32], signature[64];
};

static int is_valid(const struct library *lib, const struct check *check) {
    secp_key key;
    secp_signature signature;
    if (check->key_size == 0)
        return lib->parse_x_only(lib->context, &key, check->key) &&
               lib->schnorr_verify(lib->context, check->signature, check->digest, 32, &key);
    if (!lib->parse_key(lib->context, &key, check->key, check->key_size)) return 0;
    if (!lib->parse_compact(lib->context, &signature, check->signature)) return 0;
    lib->normalize(lib->context, &signature, &signature); /* a high s is valid, too */
    return lib->ecdsa_verify(lib->context, &signature, check->digest, &key);
}

PyDoc_STRVAR(verify_doc,
             "verify(library, checks, flag) -> bool\n\n"
             "Whether all checks are valid; ends at the first that is not, or when flag is set.\n"
             "library: seven addresses as native pointers. checks: 162 bytes each.");
static PyObject *verify(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer library = {0}, checks = {0}, flag = {0};
    if (!PyArg_ParseTuple(args, "y*y*w*", &library, &checks, &flag)) return NULL;
    PyObject *result = NULL;
    if (library.len != sizeof(struct library) || checks.len % (Py_ssize_t)sizeof(struct check) ||
        flag.len != 1) {
        PyErr_SetString(PyExc_ValueError, "verify: arguments out of range");
    } else {
        struct library lib;
        const volatile unsigned char *cancelled = flag.buf;
        const struct check *check = checks.buf;
        const struct check *end = check + checks.len / (Py_ssize_t)sizeof *check;
        int all_valid = 1;
        memcpy(&lib, library.buf, sizeof lib);
        Py_BEGIN_ALLOW_THREADS
        while (all_valid && check < end && !*cancelled) all_valid = is_valid(&lib, check++);
        all_valid = all_valid && check == end;
        Py_END_ALLOW_THREADS
        result = PyBool_FromLong(all_valid);
    }
    PyBuffer_Release(&library);
    PyBuffer_Release(&checks);
    PyBuffer_Release(&flag);
    return result;
}

static PyMethodDef methods[] = {{"search", search, METH_VARARGS, search_doc},
                                {"variants", variants, METH_NOARGS, variants_doc},
                                {"verify", verify, METH_VARARGS, verify_doc},
                                {NULL, NULL, 0, NULL}};

static PyModuleDef_Slot slots[] = {
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT,
                                    .m_name = "drystone.kernel._native",
                                    .m_doc = "The search for nonces, in C.",
                                    .m_size = 0,
                                    .m_methods = methods,
                                    .m_slots = slots};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&module); }
#endif
