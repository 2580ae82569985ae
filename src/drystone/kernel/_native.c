/* The search for nonces: SHA-256 of SHA-256 over headers that differ in 32 bits.
 *
 *   bitcoin, 80 bytes: nonce at byte 76, little-endian; the hash is a little-endian integer.
 *   classic, 69 bytes: nonce at its end, big-endian; the hash is a big-endian integer.
 *
 * SHA-256 takes blocks of 64 bytes. A header's first block is the same for all nonces and is
 * hashed once. Two blocks are left for each nonce:
 *
 *   tail     the header's last 16 (or 5) bytes and padding: the nonce is in one word (or two)
 *   digest   the first hash's eight words and padding
 *
 * What follows from their constant words alone is computed once, into a struct plan. The second
 * hash is left as soon as the word is known that is the most significant of its integer. Nearly
 * always that word is too large; a candidate is hashed in full, plainly.
 *
 * One algorithm, many widths: the part from "#ifdef LANES" to its "#else" is compiled once for
 * each, by including this very file. V is then a vector of LANES 32-bit words, one for each of
 * LANES consecutive nonces.
 */

#ifdef LANES /* ============================================================== one of the widths */

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define FN(name) JOIN(name, WAY)
#define AI static INLINE TARGET

#ifndef ROR
#define ROR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
#endif
#ifndef XOR3
#define XOR3(a, b, c) ((a) ^ (b) ^ (c))
#endif
#ifndef CHOOSE
#define CHOOSE(e, f, g) ((g) ^ ((e) & ((f) ^ (g))))
#endif
#ifndef MAJORITY /* b ^ c was a ^ b one round before: compilers keep it */
#define MAJORITY(a, b, c) ((b) ^ (((a) ^ (b)) & ((b) ^ (c))))
#endif
#ifndef KEEP_ORDER
#define KEEP_ORDER(x) (void)0
#endif
#define SIGMA0(x) XOR3(ROR(x, 2), ROR(x, 13), ROR(x, 22))
#define SIGMA1(x) XOR3(ROR(x, 6), ROR(x, 11), ROR(x, 25))
#define sigma0(x) XOR3(ROR(x, 7), ROR(x, 18), (x) >> 3)
#define sigma1(x) XOR3(ROR(x, 17), ROR(x, 19), (x) >> 10)

#define SET(x) FN(set)(x)
AI V FN(set)(uint32_t x) { /* x in every lane */
#if LANES == 1
    return x;
#else
    return (V){0} + x;
#endif
}

AI V FN(reversed)(V x) { /* the bytes of each word */
    V swapped = ((x & SET(0x00ff00ff)) << 8) | ((x >> 8) & SET(0x00ff00ff));
    return (swapped << 16) | (swapped >> 16);
}

/* Word t of a block's schedule, t >= 16, but for what word t - 2 adds: that one has only just been
 * computed, and comes last. w is a ring: the words before it that vary. What constant words add is
 * in the plan. */
AI V FN(older)(const struct plan *plan, enum block block, const V w[16], int t) {
    V sum = adds_constant(block, t) ? SET(plan->sum[t]) : SET(0);
    if (varies(block, t - 16)) sum += w[(t - 16) & 15];
    if (varies(block, t - 15)) sum += sigma0(w[(t - 15) & 15]);
    if (varies(block, t - 7)) sum += w[(t - 7) & 15];
    return sum;
}

AI V FN(newest)(enum block block, const V w[16], int t, V sum) {
    return varies(block, t - 2) ? sum + sigma1(w[(t - 2) & 15]) : sum;
}

#ifndef SHA_ROUNDS /* -------------------------------------------------- everything in vectors */

AI V FN(word)(const struct plan *plan, enum block block, const V w[16], int t) {
    V sum = FN(older)(plan, block, w, t);
    KEEP_ORDER(sum);
    return FN(newest)(block, w, t, sum);
}

/* A round; kw: its constant and its word. The caller turns the letters, so that no value moves. */
#define ROUND(a, b, c, d, e, f, g, h, kw)                                                         \
    do {                                                                                          \
        V t = (h) + (kw) + CHOOSE(e, f, g) + SIGMA1(e);                                           \
        (d) += t;                                                                                 \
        (h) = t + MAJORITY(a, b, c) + SIGMA0(a);                                                  \
    } while (0)
/* A round whose new a is never asked for. */
#define ROUND_E(d, e, f, g, h, kw) ((d) += (h) + (kw) + CHOOSE(e, f, g) + SIGMA1(e))

#define EIGHT(KW, t)                                                                              \
    ROUND(a, b, c, d, e, f, g, h, KW(t));                                                         \
    ROUND(h, a, b, c, d, e, f, g, KW((t) + 1));                                                   \
    ROUND(g, h, a, b, c, d, e, f, KW((t) + 2));                                                   \
    ROUND(f, g, h, a, b, c, d, e, KW((t) + 3));                                                   \
    ROUND(e, f, g, h, a, b, c, d, KW((t) + 4));                                                   \
    ROUND(d, e, f, g, h, a, b, c, KW((t) + 5));                                                   \
    ROUND(c, d, e, f, g, h, a, b, KW((t) + 6));                                                   \
    ROUND(b, c, d, e, f, g, h, a, KW((t) + 7))

/* Round t's constant plus word. OWN: t < 16, a word of the block. NEW: t < 32, one made from those.
 * FAR: round i + t, where every word varies. */
#define OWN(t) (varies(block, t) ? w[t] + SET(plan->k[t]) : SET(plan->kw[t]))
#define NEW(t) ((w[(t) - 16] = FN(word)(plan, block, w, t)) + SET(plan->k[t]))
#define FAR(t) ((w[t] = FN(word)(plan, block, w, 48 + (t))) + SET(plan->k[i + (t)]))

/* Hash a block, of which w holds the varying words. Afterwards w[0] to w[7] are the hash; only
 * w[7], if that is all that is wanted. */
AI void FN(compress)(const struct plan *plan, enum block block, V w[16], int only_last) {
    const uint32_t *s = plan->state;
    V a = SET(s[0]), b = SET(s[1]), c = SET(s[2]), d = SET(s[3]);
    V e = SET(s[4]), f = SET(s[5]), g = SET(s[6]), h = SET(s[7]);
    int i = 32;
    /* In the first round with a varying word, all else is constant. */
    if (block == BITCOIN_TAIL) {
        V turned[] = {d, e, f, g, h, a, b, c}; /* three rounds further */
        a = turned[0], b = turned[1], c = turned[2], d = turned[3];
        e = turned[4], f = turned[5], g = turned[6], h = turned[7];
        a = SET(plan->new_e) + w[3], e = SET(plan->new_a) + w[3];
    } else {
        d = SET(plan->new_e) + w[0], h = SET(plan->new_a) + w[0];
        ROUND(h, a, b, c, d, e, f, g, OWN(1));
        ROUND(g, h, a, b, c, d, e, f, OWN(2));
        ROUND(f, g, h, a, b, c, d, e, OWN(3));
    }
    ROUND(e, f, g, h, a, b, c, d, OWN(4));
    ROUND(d, e, f, g, h, a, b, c, OWN(5));
    ROUND(c, d, e, f, g, h, a, b, OWN(6));
    ROUND(b, c, d, e, f, g, h, a, OWN(7));
    EIGHT(OWN, 8);
    EIGHT(NEW, 16);
    EIGHT(NEW, 24);
    for (; i < (only_last ? 48 : 64); i += 16) {
        EIGHT(FAR, 0);
        EIGHT(FAR, 8);
    }
    if (only_last) {
        EIGHT(FAR, 0);
        ROUND(a, b, c, d, e, f, g, h, FAR(8));
        ROUND_E(c, d, e, f, g, FAR(9));
        ROUND_E(b, c, d, e, f, FAR(10));
        ROUND_E(a, b, c, d, e, FAR(11));
        ROUND_E(h, a, b, c, d, FAR(12)); /* three rounds more would only move it to the end */
        w[7] = h + SET(plan->before[7]);
        return;
    }
    const uint32_t *before = plan->before;
    w[0] = a + SET(before[0]), w[1] = b + SET(before[1]), w[2] = c + SET(before[2]);
    w[3] = d + SET(before[3]), w[4] = e + SET(before[4]), w[5] = f + SET(before[5]);
    w[6] = g + SET(before[6]), w[7] = h + SET(before[7]);
}

/* The most significant word of each lane's hash as an integer. */
AI V FN(deciding)(const struct job *job, enum block tail, V counter) {
    V w[16];
    if (tail == BITCOIN_TAIL) {
        w[3] = FN(reversed)(counter);
    } else {
        w[0] = SET(job->tail[0]) | (counter >> 8);
        w[1] = SET(job->tail[1]) | (counter << 24);
    }
    FN(compress)(&job->of_tail, tail, w, 0);
    FN(compress)(&job->of_digest, DIGEST, w, tail == BITCOIN_TAIL);
    return tail == BITCOIN_TAIL ? FN(reversed)(w[7]) : w[0];
}

AI uint64_t FN(scan)(const struct job *job, enum block tail, uint64_t start, uint64_t end) {
    const V lanes = {LANE_NUMBERS};
    for (uint64_t at = start; at < end; at += LANES) {
        V word = FN(deciding)(job, tail, SET((uint32_t)at) + lanes);
        if (!ANY_AT_MOST(word, job->target[7])) continue;
        uint32_t words[LANES];
        memcpy(words, &word, sizeof words);
        uint64_t found = first_that_meets(job, words, LANES, at, end);
        if (found < end) return found;
    }
    return end;
}

static TARGET uint64_t FN(search)(const struct job *job, uint64_t start, uint64_t end) {
    return job->is_classic ? FN(scan)(job, CLASSIC_TAIL, start, end)
                           : FN(scan)(job, BITCOIN_TAIL, start, end);
}

#undef ROUND
#undef ROUND_E
#undef EIGHT
#undef OWN
#undef NEW
#undef FAR

#else /* SHA_ROUNDS ------------------------------- schedules in vectors, rounds by the SHA unit */

/* Where 512-bit instructions run as two halves, as on Zen 4, the vector units are what limits the
 * way above, and the unit of the SHA extensions stands idle. That one does two rounds of a hash in
 * one instruction; only its schedules are slow. So here the vectors compute schedules, eight
 * hashes at once, while the SHA unit does rounds, four hashes at once. A batch of eight nonces
 * goes through four stages, and three batches are under way at any time:
 *
 *                first half of a turn            second half
 *   vectors      tail's schedule, batch n + 1    digest's schedule, batch n
 *   SHA unit     digest's rounds, batch n - 1    tail's rounds, batch n + 1
 *
 * In the source, the instructions of both alternate: rounds of four hashes, then about a word of a
 * schedule. The processor runs them side by side, but looks only some sixty cycles ahead, so they
 * are mixed as evenly as may be. From vectors to the SHA unit they pass through memory: a key is
 * what two rounds of one hash take, 64 bits, two round constants plus words. docs/kernel.md says
 * what bounds this way. */

/* The SHA unit's first rounds: those before don't vary, but the last, where a varying word is added
 * to constants. The digest's rounds end with round 60: its e would be the last word of the hash
 * after three rounds more. */
enum { TAIL_FIRST = 4, DIGEST_FIRST = 1, PAIRS = 30, DIGEST_END = 61 };

/* Unpacking two vectors of words leaves the keys of eight hashes in this order:
 *
 *      keys[0]   0  1 | 4  5
 *      keys[1]   2  3 | 6  7
 */
struct belt {
    V tail_keys[PAIRS][2], digest_keys[PAIRS][2];
    uint32_t tail_word[LANES], digest_word[LANES]; /* of the last round before */
    __m128i tail_start[2], digest_start[2]; /* after it, but for its word: f, e, b, a; h, g, d, c */
    __m128i feba[4][2], hgdc[4][2]; /* after the tail's rounds, of hashes 0 and 4, 1 and 5, ... */
    __m128i last[LANES / 2]; /* after the digest's rounds: f, e of hashes 0 and 1, 2 and 3, ... */
};
typedef uint64_t __attribute__((may_alias)) key_type;

AI const key_type *FN(key)(const V keys[2], int hash) {
    return (const key_type *)&keys[hash >> 1 & 1] + (hash >> 2) * 2 + (hash & 1);
}

/* Round t's constant plus word. */
AI V FN(with_constant)(const struct plan *plan, enum block block, const V w[16], int t) {
    return varies(block, t) ? w[t & 15] + SET(plan->k[t]) : SET(plan->kw[t]);
}

/* The keys of rounds t - 1 and t, if those are a pair. */
AI void FN(put_keys)(const struct plan *plan, enum block block, const V w[16], V keys[PAIRS][2],
                     int t) {
    int since = t - 1 - (block == DIGEST ? DIGEST_FIRST : TAIL_FIRST);
    if (since < 0 || since % 2) return;
    __m256i even = (__m256i)FN(with_constant)(plan, block, w, t - 1);
    __m256i odd = (__m256i)FN(with_constant)(plan, block, w, t);
    keys[since / 2][0] = (V)_mm256_unpacklo_epi32(even, odd);
    keys[since / 2][1] = (V)_mm256_unpackhi_epi32(even, odd);
}

AI void FN(begin)(const struct plan *plan, enum block block, V w[16], int t) {
    w[t & 15] = FN(older)(plan, block, w, t);
    KEEP_ORDER(w[t & 15]);
}

/* A schedule, from its first word that varies, is computed in half steps: a word is finished, the
 * next is begun. What is begun waits in the ring, in its own place. */
AI void FN(half_step)(const struct plan *plan, enum block block, V w[16], V keys[PAIRS][2],
                      int first, int end, int step) {
    int t = first + step / 2;
    if (step % 2 == 0) {
        w[t & 15] = FN(newest)(block, w, t, w[t & 15]);
        FN(put_keys)(plan, block, w, keys, t);
    } else if (t + 1 < end) {
        FN(begin)(plan, block, w, t + 1);
    }
}

/* Four states under way: x and y of each take turns at being feba; before and after all rounds, x
 * is. The SHA instruction takes only the lower sixteen of the registers. gcc gives many of those to
 * vectors, and moves the states about, unless each state's register is named. */
#ifdef __clang__
#define STATE(name, number) __m128i name
#else
#define STATE(name, number) register __m128i name __asm__("xmm" #number)
#endif
#define STATES                                                                                    \
    STATE(x0, 1);                                                                                 \
    STATE(x1, 2);                                                                                 \
    STATE(x2, 3);                                                                                 \
    STATE(x3, 4);                                                                                 \
    STATE(y0, 5);                                                                                 \
    STATE(y1, 6);                                                                                 \
    STATE(y2, 7);                                                                                 \
    STATE(y3, 8)

/* The varying word is added to e and a, every other word of feba. */
#define START(n, word, start)                                                                     \
    (x##n = _mm_mask_add_epi32(start[0], 10, start[0], _mm_set1_epi32((int)(word)[n])),           \
     y##n = start[1])

/* Two rounds of each of the four. What was a, b, e, f becomes c, d, g, h, in its place; the result
 * is the new a, b, e, f. The nops are worth a tenth of the time: Zen 4 seems to share out work
 * among its vector pipes by the places of instructions that arrive together, and when every second
 * of a run wants the one pipe of the SHA unit, the rest crowds into too few. */
#define ROUNDS_OF(hgdc, feba, key)                                                                \
    __asm__("nop\n\tvmovq %2, %%xmm0\n\tsha256rnds2 %%xmm0, %1, %0"                               \
            : "+x"(hgdc)                                                                          \
            : "x"(feba), "m"(*(key))                                                              \
            : "xmm0")
#define ROUNDS(x, y, keys, hash)                                                                  \
    do {                                                                                          \
        ROUNDS_OF(y##0, x##0, FN(key)(keys, hash));                                               \
        ROUNDS_OF(y##1, x##1, FN(key)(keys, (hash) + 1));                                         \
        ROUNDS_OF(y##2, x##2, FN(key)(keys, (hash) + 2));                                         \
        ROUNDS_OF(y##3, x##3, FN(key)(keys, (hash) + 3));                                         \
    } while (0)

/* All pairs of rounds of hashes `hash` to `hash` + 3, and between them, as evenly as may be, half
 * of the half steps of a schedule for all eight: of words first..end-1. */
#define PASS(their_keys, hash, plan, block, keys, first, end)                                     \
    UNROLL for (int pair = 0; pair < PAIRS; pair++) {                                             \
        enum { STEPS = 2 * ((end) - (first)), PLACES = 2 * PAIRS };                               \
        int place = pair + ((hash) ? PAIRS : 0);                                                  \
        if (pair % 2 == 0)                                                                        \
            ROUNDS(x, y, their_keys[pair], hash);                                                 \
        else                                                                                      \
            ROUNDS(y, x, their_keys[pair], hash);                                                 \
        int step = place * STEPS / PLACES, until = (place + 1) * STEPS / PLACES; /* one or two */ \
        if (step < until) FN(half_step)(plan, block, w, keys, first, end, step);                  \
        if (step + 1 < until) FN(half_step)(plan, block, w, keys, first, end, step + 1);          \
    }

AI void FN(first_half)(const struct job *job, struct belt *belt, V counter) {
    V w[16];
    const struct plan *plan = &job->of_tail;
    w[3] = FN(reversed)(counter);
    memcpy(belt->tail_word, &w[3], sizeof w[3]);
    FN(begin)(plan, BITCOIN_TAIL, w, 18);
    UNROLL for (int hash = 0; hash < 8; hash += 4) {
        STATES;
        const uint32_t *word = belt->digest_word + hash;
        const __m128i *start = belt->digest_start;
        START(0, word, start), START(1, word, start), START(2, word, start), START(3, word, start);
        PASS(belt->digest_keys, hash, plan, BITCOIN_TAIL, belt->tail_keys, 18, 64);
        belt->last[hash / 2] = _mm_unpacklo_epi64(x0, x1);
        belt->last[hash / 2 + 1] = _mm_unpacklo_epi64(x2, x3);
    }
}

/* The digest's first words: the states turned from one hash after the other to one word after the
 * other, plus the state before the tail. */
AI void FN(take_digest)(const struct belt *belt, const uint32_t before[8], V w[16]) {
    static const unsigned char WORDS[2][4] = {{5, 4, 1, 0}, {7, 6, 3, 2}};
    UNROLL for (int i = 0; i < 2; i++) {
        const __m256i *s = (const __m256i *)(i == 0 ? belt->feba : belt->hgdc);
        __m256i low01 = _mm256_unpacklo_epi32(s[0], s[1]), top01 = _mm256_unpackhi_epi32(s[0], s[1]);
        __m256i low23 = _mm256_unpacklo_epi32(s[2], s[3]), top23 = _mm256_unpackhi_epi32(s[2], s[3]);
        V words[] = {
            (V)_mm256_unpacklo_epi64(low01, low23), (V)_mm256_unpackhi_epi64(low01, low23),
            (V)_mm256_unpacklo_epi64(top01, top23), (V)_mm256_unpackhi_epi64(top01, top23)};
        UNROLL for (int n = 0; n < 4; n++) w[WORDS[i][n]] = words[n] + SET(before[WORDS[i][n]]);
    }
}

AI void FN(second_half)(const struct job *job, struct belt *belt) {
    V w[16];
    const struct plan *plan = &job->of_digest;
    FN(take_digest)(belt, job->of_tail.before, w);
    memcpy(belt->digest_word, &w[0], sizeof w[0]);
    UNROLL for (int t = 2; t <= 8; t++) FN(put_keys)(plan, DIGEST, w, belt->digest_keys, t);
    FN(begin)(plan, DIGEST, w, 16);
    UNROLL for (int hash = 0; hash < 8; hash += 4) {
        STATES;
        const uint32_t *word = belt->tail_word + hash;
        const __m128i *start = belt->tail_start;
        START(0, word, start), START(1, word, start), START(2, word, start), START(3, word, start);
        PASS(belt->tail_keys, hash, plan, DIGEST, belt->digest_keys, 16, DIGEST_END);
        __m128i(*feba)[2] = belt->feba, (*hgdc)[2] = belt->hgdc;
        int side = hash / 4;
        feba[0][side] = x0, feba[1][side] = x1, feba[2][side] = x2, feba[3][side] = x3;
        hgdc[0][side] = y0, hgdc[1][side] = y1, hgdc[2][side] = y2, hgdc[3][side] = y3;
    }
}

/* The state after a block's first round with a varying word, but for that word. */
AI void FN(load_start)(const struct plan *plan, __m128i start[2]) {
    const uint32_t *s = plan->state;
    const uint32_t after[8] = {plan->new_a, s[0], s[1], s[2], plan->new_e, s[4], s[5], s[6]};
    ni_load(after, start);
}

AI void FN(start)(const struct job *job, struct belt *belt) {
    memset(belt, 0, sizeof *belt);
    UNROLL for (int t = 2; t < 18; t++) { /* keys that are the same for all nonces */
        if (!varies(BITCOIN_TAIL, t - 1) && !varies(BITCOIN_TAIL, t))
            FN(put_keys)(&job->of_tail, BITCOIN_TAIL, NULL, belt->tail_keys, t);
        if (!varies(DIGEST, t - 1) && !varies(DIGEST, t))
            FN(put_keys)(&job->of_digest, DIGEST, NULL, belt->digest_keys, t);
    }
    FN(load_start)(&job->of_tail, belt->tail_start);
    FN(load_start)(&job->of_digest, belt->digest_start);
}

static TARGET uint64_t FN(search)(const struct job *job, uint64_t start, uint64_t end) {
    const V lanes = {LANE_NUMBERS};
    struct belt belt __attribute__((aligned(4096))); /* the same place in a page, always */
    FN(start)(job, &belt);
    for (uint64_t at = start; at < end + 2 * LANES; at += LANES) {
        FN(first_half)(job, &belt, SET((uint32_t)at) + lanes);
        FN(second_half)(job, &belt);
        if (at >= start + 2 * LANES) { /* those that entered two turns ago */
            __m512i last = _mm512_srli_epi64(_mm512_loadu_si512(belt.last), 32); /* e */
            V word = (V)_mm512_cvtepi64_epi32(last);
            word = FN(reversed)(word + SET(job->of_digest.before[7]));
            if (ANY_AT_MOST(word, job->target[7])) {
                uint32_t words[LANES];
                memcpy(words, &word, sizeof words);
                uint64_t found = first_that_meets(job, words, LANES, at - 2 * LANES, end);
                if (found < end) return found;
            }
        }
    }
    return end;
}

#undef STATE
#undef STATES
#undef START
#undef ROUNDS_OF
#undef ROUNDS
#undef PASS
#undef SHA_ROUNDS
#endif /* SHA_ROUNDS */

#undef JOIN_
#undef JOIN
#undef FN
#undef AI
#undef ROR
#undef XOR3
#undef KEEP_ORDER
#undef CHOOSE
#undef MAJORITY
#undef SIGMA0
#undef SIGMA1
#undef sigma0
#undef sigma1
#undef SET
#undef V
#undef LANES
#undef LANE_NUMBERS
#undef ANY_AT_MOST
#undef WAY
#undef TARGET

#else /* not LANES: the file itself ============================================================ */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__) /* clang too */
#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 64")
#if defined(__x86_64__)
#define IS_X86
#include <cpuid.h>
#include <immintrin.h>
#endif
#else
#define INLINE inline
#define UNROLL
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
static const uint32_t EMPTY_DIGEST[16] = {[8] = 0x80000000, [15] = 256}; /* its padding alone */

/* The blocks that vary from nonce to nonce, and which of their words do; words from 16 on are the
 * schedule's. Most of the others are zero. */
enum block { BITCOIN_TAIL, CLASSIC_TAIL, DIGEST };

static INLINE int varies(enum block block, int t) {
    switch (block) {
    case BITCOIN_TAIL: return t == 3 || t >= 18;
    case CLASSIC_TAIL: return t < 2 || t >= 16;
    default: return t < 8 || t >= 16;
    }
}

static INLINE int is_zero(enum block block, int t) {
    return t < 15 && t > (block == BITCOIN_TAIL ? 4 : block == CLASSIC_TAIL ? 1 : 8);
}

static INLINE int is_constant(enum block block, int t) {
    return !varies(block, t) && !is_zero(block, t);
}

/* Whether word t >= 16 of the schedule has a part that is constant and not zero. */
static INLINE int adds_constant(enum block block, int t) {
    return is_constant(block, t - 16) || is_constant(block, t - 15) ||
           is_constant(block, t - 7) || is_constant(block, t - 2);
}

/* What is known of a block before its varying words are. */
struct plan {
    uint32_t before[8];    /* the state it is hashed into */
    uint32_t state[8];     /* after the rounds before the first that takes a varying word */
    uint32_t new_a, new_e; /* that round's, less the word */
    uint32_t kw[18];       /* round constant plus word, where that is constant */
    uint32_t sum[34];      /* the constant part of word t */
    uint32_t k[64];
};

struct job {
    int is_classic;
    uint32_t target[8]; /* least significant word first */
    uint32_t tail[16];  /* its varying bits are zero */
    struct plan of_tail, of_digest;
};

static uint32_t ror(uint32_t x, int n) { return x >> n | x << (32 - n); }
static uint32_t small0(uint32_t x) { return ror(x, 7) ^ ror(x, 18) ^ x >> 3; }
static uint32_t small1(uint32_t x) { return ror(x, 17) ^ ror(x, 19) ^ x >> 10; }
static uint32_t big0(uint32_t x) { return ror(x, 2) ^ ror(x, 13) ^ ror(x, 22); }
static uint32_t big1(uint32_t x) { return ror(x, 6) ^ ror(x, 11) ^ ror(x, 25); }

static uint32_t big_endian(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static uint32_t little_endian(const unsigned char *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}
static uint32_t reversed(uint32_t x) {
    return x >> 24 | (x >> 8 & 0xff00) | (x & 0xff00) << 8 | x << 24;
}

/* Rounds from..to-1, turning the state s; w[t] is round t's word. */
static void plain_rounds(uint32_t s[8], const uint32_t *w, int from, int to) {
    for (int t = from; t < to; t++) {
        uint32_t x = s[7] + big1(s[4]) + (s[6] ^ (s[4] & (s[5] ^ s[6]))) + K[t] + w[t];
        uint32_t y = big0(s[0]) + (s[1] ^ ((s[0] ^ s[1]) & (s[1] ^ s[2])));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += x;
        s[0] = x + y;
    }
}

static void plain_compress(const uint32_t before[8], const uint32_t block[16], uint32_t after[8]) {
    uint32_t w[64];
    memcpy(w, block, 16 * sizeof *w);
    for (int t = 16; t < 64; t++) w[t] = small1(w[t - 2]) + w[t - 7] + small0(w[t - 15]) + w[t - 16];
    uint32_t s[8];
    memcpy(s, before, sizeof s);
    plain_rounds(s, w, 0, 64);
    for (int i = 0; i < 8; i++) after[i] = before[i] + s[i];
}

/* own: the block's words, the varying ones zero or of any value. */
static void make_plan(struct plan *plan, enum block block, const uint32_t before[8],
                      const uint32_t own[16]) {
    const uint32_t zero[16] = {0};
    uint32_t w[34], s[8];
    memcpy(w, own, 16 * sizeof *w);
    for (int t = 16; t < 34; t++) {
        w[t] = 0;
        if (!varies(block, t - 16)) w[t] += w[t - 16];
        if (!varies(block, t - 15)) w[t] += small0(w[t - 15]);
        if (!varies(block, t - 7)) w[t] += w[t - 7];
        if (!varies(block, t - 2)) w[t] += small1(w[t - 2]);
        plan->sum[t] = w[t];
    }
    for (int t = 0; t < 18; t++) plan->kw[t] = K[t] + w[t];
    memcpy(plan->k, K, sizeof K);

    int first = block == BITCOIN_TAIL ? 3 : 0;
    memcpy(plan->before, before, sizeof plan->before);
    memcpy(s, before, sizeof s);
    plain_rounds(s, own, 0, first);
    memcpy(plan->state, s, sizeof s);
    plain_rounds(s, zero, first, first + 1);
    plan->new_a = s[0];
    plan->new_e = s[4];
}

/* header: 80 or 69 bytes. target: 32 bytes, little-endian. */
static void prepare(struct job *job, const unsigned char *header, size_t size,
                    const unsigned char *target) {
    unsigned char padded[128] = {0};
    uint32_t first[16], midstate[8];
    memcpy(padded, header, size - 4); /* the counter's bytes stay zero */
    padded[size] = 0x80;
    padded[126] = (unsigned char)(size * 8 >> 8);
    padded[127] = (unsigned char)(size * 8);
    for (int i = 0; i < 16; i++) first[i] = big_endian(padded + 4 * i);
    for (int i = 0; i < 16; i++) job->tail[i] = big_endian(padded + 64 + 4 * i);
    for (int i = 0; i < 8; i++) job->target[i] = little_endian(target + 4 * i);
    job->is_classic = size == 69;
    plain_compress(IV, first, midstate);
    make_plan(&job->of_tail, job->is_classic ? CLASSIC_TAIL : BITCOIN_TAIL, midstate, job->tail);
    make_plan(&job->of_digest, DIGEST, IV, EMPTY_DIGEST);
}

static void put_counter(const struct job *job, uint32_t counter, uint32_t tail[16]) {
    memcpy(tail, job->tail, 16 * sizeof *tail);
    if (job->is_classic) {
        tail[0] |= counter >> 8;
        tail[1] |= counter << 24;
    } else {
        tail[3] = reversed(counter);
    }
}

/* Whether the hash of a nonce, computed plainly and as an integer, is at most the target. */
static int meets(const struct job *job, uint32_t counter) {
    uint32_t tail[16], digest[16], hash[8];
    put_counter(job, counter, tail);
    memcpy(digest, EMPTY_DIGEST, sizeof digest);
    plain_compress(job->of_tail.before, tail, digest);
    plain_compress(IV, digest, hash);
    for (int i = 7; i >= 0; i--) {
        uint32_t word = job->is_classic ? hash[7 - i] : reversed(hash[i]);
        if (word != job->target[i]) return word < job->target[i];
    }
    return 1;
}

/* The lowest of some consecutive counters that meets the target, or end. words: the most
 * significant ones of their hashes. Counters from end on are not looked at. */
static uint64_t first_that_meets(const struct job *job, const uint32_t *words, int count,
                                 uint64_t at, uint64_t end) {
    for (int i = 0; i < count && at + (uint64_t)i < end; i++)
        if (words[i] <= job->target[7] && meets(job, (uint32_t)(at + (uint64_t)i)))
            return at + (uint64_t)i;
    return end;
}

/* Portable: four lanes, where the compiler turns them into what the processor has; else one. */
#define WAY portable
#define TARGET
#if defined(__GNUC__)
typedef uint32_t v4 __attribute__((vector_size(16)));
#define V v4
#define LANES 4
#define LANE_NUMBERS 0, 1, 2, 3
#define ANY_AT_MOST(x, most) \
    (((x)[0] <= (most)) | ((x)[1] <= (most)) | ((x)[2] <= (most)) | ((x)[3] <= (most)))
#else
#define V uint32_t
#define LANES 1
#define LANE_NUMBERS 0
#define ANY_AT_MOST(x, most) ((x) <= (most))
#endif
#include "_native.c"

#ifdef IS_X86

#define WAY avx2
#define TARGET __attribute__((target("avx2")))
typedef uint32_t v8 __attribute__((vector_size(32)));
static INLINE TARGET int any8(v8 x, uint32_t most) {
    __m256i limit = _mm256_set1_epi32((int)most);
    return _mm256_movemask_epi8(
        _mm256_cmpeq_epi32(_mm256_min_epu32((__m256i)x, limit), (__m256i)x));
}
#define V v8
#define LANES 8
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7
#define ANY_AT_MOST(x, most) any8(x, most)
#include "_native.c"

/* Rotations and functions of three operands in one instruction. */
#define WAY avx512_vectors
#define TARGET __attribute__((target("avx512f")))
typedef uint32_t v16 __attribute__((vector_size(64)));
#define V v16
#define LANES 16
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define ANY_AT_MOST(x, most) \
    _mm512_cmple_epu32_mask((__m512i)(x), _mm512_set1_epi32((int)(most)))
#define ROR(x, n) ((V)_mm512_ror_epi32((__m512i)(x), n))
#define TERNARY(a, b, c, f) \
    ((V)_mm512_ternarylogic_epi32((__m512i)(a), (__m512i)(b), (__m512i)(c), f))
#define XOR3(a, b, c) TERNARY(a, b, c, 0x96)
#define KEEP_ORDER(x) __asm__("" : "+v"(x))
#define CHOOSE(e, f, g) TERNARY(e, f, g, 0xca)
#define MAJORITY(a, b, c) TERNARY(a, b, c, 0xe8)
#include "_native.c"

/* The SHA extensions hold a state as f, e, b, a and h, g, d, c, lowest first. */
#define NI __attribute__((target("sha,sse4.1")))
static INLINE NI void ni_load(const uint32_t s[8], __m128i state[2]) {
    state[0] = _mm_setr_epi32((int)s[5], (int)s[4], (int)s[1], (int)s[0]);
    state[1] = _mm_setr_epi32((int)s[7], (int)s[6], (int)s[3], (int)s[2]);
}

#define WAY avx512_sha
#define SHA_ROUNDS
#define TARGET __attribute__((target("avx512f,avx512vl,sha,sse4.1")))
/* Two exclusive ors, though one ternary instruction could do it: that has three operands, as the
 * SHA instruction has, and Zen 4 never starts both in the same cycle. As assembler, since
 * compilers know better. */
static INLINE TARGET v8 xor8(v8 x, v8 y) {
    v8 z;
    __asm__("vpxord %2, %1, %0" : "=v"(z) : "v"(x), "v"(y));
    return z;
}
#define V v8
#define LANES 8
#define LANE_NUMBERS 0, 1, 2, 3, 4, 5, 6, 7
#define ANY_AT_MOST(x, most) \
    _mm256_cmple_epu32_mask((__m256i)(x), _mm256_set1_epi32((int)(most)))
#define ROR(x, n) ((V)_mm256_ror_epi32((__m256i)(x), n))
#define XOR3(a, b, c) xor8(xor8(a, b), c)
#define KEEP_ORDER(x) __asm__("" : "+v"(x))
#include "_native.c"

/* The SHA extensions alone: four hashes in turns, to fill the time that two rounds of one take. */
enum { HASHES = 4 };
struct ni_hash {
    __m128i feba, hgdc;
    __m128i w[4]; /* a ring of the schedule's last sixteen words */
};

static INLINE NI void ni_compress(struct ni_hash hashes[HASHES], const __m128i before[2]) {
    UNROLL for (int n = 0; n < HASHES; n++) hashes[n].feba = before[0], hashes[n].hgdc = before[1];
    UNROLL for (int i = 0; i < 16; i++) {
        UNROLL for (int n = 0; n < HASHES; n++) {
            struct ni_hash *hash = &hashes[n];
            __m128i *w = &hash->w[i & 3], last = hash->w[(i + 3) & 3];
            if (i >= 4) {
                __m128i sum = _mm_alignr_epi8(last, hash->w[(i + 2) & 3], 4);
                sum = _mm_add_epi32(sum, _mm_sha256msg1_epu32(*w, hash->w[(i + 1) & 3]));
                *w = _mm_sha256msg2_epu32(sum, last);
            }
            __m128i kw = _mm_add_epi32(*w, _mm_loadu_si128((const __m128i *)(K + 4 * i)));
            hash->hgdc = _mm_sha256rnds2_epu32(hash->hgdc, hash->feba, kw);
            kw = _mm_shuffle_epi32(kw, 0x0e);
            hash->feba = _mm_sha256rnds2_epu32(hash->feba, hash->hgdc, kw);
        }
    }
    UNROLL for (int n = 0; n < HASHES; n++) {
        hashes[n].feba = _mm_add_epi32(hashes[n].feba, before[0]);
        hashes[n].hgdc = _mm_add_epi32(hashes[n].hgdc, before[1]);
    }
}

static NI uint64_t search_shani(const struct job *job, uint64_t start, uint64_t end) {
    __m128i midstate[2], iv[2];
    ni_load(job->of_tail.before, midstate);
    ni_load(IV, iv);
    for (uint64_t at = start; at < end; at += HASHES) {
        struct ni_hash hashes[HASHES];
        uint32_t words[HASHES];
        UNROLL for (int n = 0; n < HASHES; n++) {
            /* In registers: a load over words just stored one by one would have to wait for them. */
            uint32_t counter = (uint32_t)at + (uint32_t)n;
            __m128i varying = job->is_classic
                                  ? _mm_setr_epi32((int)(counter >> 8), (int)(counter << 24), 0, 0)
                                  : _mm_setr_epi32(0, 0, 0, (int)reversed(counter));
            memcpy(hashes[n].w, job->tail, sizeof job->tail);
            hashes[n].w[0] = _mm_or_si128(hashes[n].w[0], varying);
        }
        ni_compress(hashes, midstate);
        UNROLL for (int n = 0; n < HASHES; n++) {
            __m128i ab_ef = _mm_shuffle_epi32(hashes[n].feba, 0x1b); /* a, b, e, f */
            __m128i cd_gh = _mm_shuffle_epi32(hashes[n].hgdc, 0x1b);
            hashes[n].w[0] = _mm_unpacklo_epi64(ab_ef, cd_gh);
            hashes[n].w[1] = _mm_unpackhi_epi64(ab_ef, cd_gh);
            memcpy(&hashes[n].w[2], EMPTY_DIGEST + 8, 32);
        }
        ni_compress(hashes, iv);
        UNROLL for (int n = 0; n < HASHES; n++)
            words[n] = job->is_classic ? (uint32_t)_mm_extract_epi32(hashes[n].feba, 3)
                                       : reversed((uint32_t)_mm_cvtsi128_si32(hashes[n].hgdc));
        uint64_t found = first_that_meets(job, words, HASHES, at, end);
        if (found < end) return found;
    }
    return end;
}

static int has_avx2(void) { return __builtin_cpu_supports("avx2"); }
static int has_avx512(void) { return __builtin_cpu_supports("avx512f"); }
static int has_shani(void) { /* compilers have only lately come to know this one by name */
    unsigned a, b, c, d;
    return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b >> 29 & 1);
}
static int has_avx512_and_sha(void) {
    return has_avx512() && __builtin_cpu_supports("avx512vl") && has_shani();
}

/* AMD's family 19h with AVX-512: 512-bit instructions run as two halves. */
static int is_zen4(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(0, &a, &b, &c, &d) || b != signature_AMD_ebx || c != signature_AMD_ecx ||
        d != signature_AMD_edx || !__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    return (a >> 8 & 0xf) + (a >> 20 & 0xff) == 0x19;
}

static uint64_t ticks(const struct job *job,
                      uint64_t (*search)(const struct job *, uint64_t, uint64_t)) {
    uint64_t before = __rdtsc();
    search(job, 0, 2048);
    return __rdtsc() - before;
}

/* Whether the SHA unit's rounds are the faster way: known of the processor that we have seen. On
 * others the two are timed by turns, and the best turn of each counts. Timing can't be all: while
 * another thread shares the core, the way that keeps more units busy loses more, and where
 * processors are virtual that can last as long as the turns do. */
static int sha_wins(void) {
    enum { TURNS = 25 };
    static const unsigned char header[80], target[32];
    struct job job;
    uint64_t sha = UINT64_MAX, vectors = UINT64_MAX;
    if (is_zen4()) return 1;
    prepare(&job, header, sizeof header, target);
    for (int i = 0; i < TURNS; i++) {
        uint64_t one = ticks(&job, search_avx512_sha), other = ticks(&job, search_avx512_vectors);
        if (one < sha) sha = one;
        if (other < vectors) vectors = other;
    }
    return sha < vectors;
}

/* The belt has the bitcoin layout only. */
static uint64_t search_avx512_belt(const struct job *job, uint64_t start, uint64_t end) {
    return (job->is_classic ? search_avx512_vectors : search_avx512_sha)(job, start, end);
}

/* Which way is faster depends on how wide the processor really is. It is found out once. */
static uint64_t search_avx512(const struct job *job, uint64_t start, uint64_t end) {
    enum { UNKNOWN, VECTORS, SHA };
    static int choice = UNKNOWN;
    int chosen = __atomic_load_n(&choice, __ATOMIC_RELAXED);
    if (chosen == UNKNOWN) { /* two threads may both find out, and agree or not: no harm */
        chosen = has_avx512_and_sha() && sha_wins() ? SHA : VECTORS;
        __atomic_store_n(&choice, chosen, __ATOMIC_RELAXED);
    }
    return (chosen == SHA ? search_avx512_belt : search_avx512_vectors)(job, start, end);
}
#endif /* IS_X86 */

static int always(void) { return 1; }

/* The variants, fastest first. A name with a dash is one way of the variant before it. */
static const struct variant {
    const char *name;
    int (*is_usable)(void);
    uint64_t (*search)(const struct job *, uint64_t start, uint64_t end);
} VARIANTS[] = {
#ifdef IS_X86
    {"avx512", has_avx512, search_avx512},
    {"avx512-sha", has_avx512_and_sha, search_avx512_belt},
    {"avx512-vectors", has_avx512, search_avx512_vectors},
    {"shani", has_shani, search_shani},
    {"avx2", has_avx2, search_avx2},
#endif
    {"portable", always, search_portable},
};
enum { VARIANT_COUNT = sizeof VARIANTS / sizeof *VARIANTS };

/* Nonces between looks at the cancel flag: some milliseconds of the slowest variant. */
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

/* A queue of checks. Threads that serve it need the interpreter's lock neither between two checks
 * nor between two batches, so whoever runs Python meanwhile never holds them up. */

enum { AT_ONCE = 8 }; /* checks that a thread takes: less than half a millisecond */

struct batch {
    struct batch *next; /* in the queue, until all of it is taken */
    struct queue *queue;
    size_t count, taken, done;
    int all_valid, is_dropped; /* dropped: nobody will ask any more */
    struct check checks[];
};

struct queue {
    pthread_mutex_t lock; /* guards all of this, and its batches */
    pthread_cond_t is_more, is_done;
    struct library library;
    struct batch *first, **end;
    size_t users; /* its capsule, and its batches */
    int is_closed, is_gone; /* gone: without a capsule, so nobody serves it */
};

static const char QUEUE[] = "drystone.queue", BATCH[] = "drystone.batch";

/* With the lock, which it gives back: one user less. */
static void leave_queue(struct queue *queue) {
    size_t left = --queue->users;
    pthread_mutex_unlock(&queue->lock);
    if (left) return;
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->is_more);
    pthread_cond_destroy(&queue->is_done);
    free(queue);
}

/* With the lock: take a batch out, if it is in. */
static void unlink_batch(struct queue *queue, struct batch *batch) {
    struct batch **at = &queue->first;
    while (*at != NULL && *at != batch) at = &(*at)->next;
    if (*at == NULL) return;
    *at = batch->next;
    if (*at == NULL) queue->end = at;
}

/* With the lock, on a queue that isn't empty: check some of its first batch. Gives the lock back
 * meanwhile. */
static void check_some(struct queue *queue) {
    struct batch *batch = queue->first;
    size_t start = batch->taken;
    size_t stop = batch->count - start > AT_ONCE ? start + AT_ONCE : batch->count;
    int valid = batch->all_valid;
    batch->taken = stop;
    if (stop == batch->count) unlink_batch(queue, batch);
    pthread_mutex_unlock(&queue->lock);
    for (size_t n = start; valid && n < stop; n++)
        valid = is_valid(&queue->library, &batch->checks[n]);
    pthread_mutex_lock(&queue->lock);
    batch->done += stop - start;
    if (!valid) batch->all_valid = 0;
    if (batch->done < batch->count) return;
    pthread_cond_broadcast(&queue->is_done);
    if (batch->is_dropped) { /* the queue has its capsule, or nobody would be here */
        free(batch);
        queue->users--;
    }
}

static void forget_batch(PyObject *capsule) {
    struct batch *batch = PyCapsule_GetPointer(capsule, BATCH);
    struct queue *queue = batch->queue;
    pthread_mutex_lock(&queue->lock);
    if (batch->done < batch->count && !queue->is_gone) {
        batch->is_dropped = 1;
        pthread_mutex_unlock(&queue->lock);
        return;
    }
    unlink_batch(queue, batch);
    free(batch);
    leave_queue(queue);
}

static void forget_queue(PyObject *capsule) {
    struct queue *queue = PyCapsule_GetPointer(capsule, QUEUE);
    pthread_mutex_lock(&queue->lock);
    queue->is_gone = 1;
    for (struct batch *batch = queue->first, *next; batch != NULL; batch = next) {
        next = batch->next;
        if (!batch->is_dropped) continue;
        unlink_batch(queue, batch);
        free(batch);
        queue->users--;
    }
    leave_queue(queue);
}

PyDoc_STRVAR(queue_doc, "queue(library) -> queue\n\nAn empty one. library: as of verify.");
static PyObject *new_queue(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer library = {0};
    if (!PyArg_ParseTuple(args, "y*", &library)) return NULL;
    PyObject *capsule = NULL;
    struct queue *queue = NULL;
    if (library.len != sizeof(struct library)) {
        PyErr_SetString(PyExc_ValueError, "queue: arguments out of range");
    } else if ((queue = calloc(1, sizeof *queue)) == NULL) {
        PyErr_NoMemory();
    } else {
        memcpy(&queue->library, library.buf, sizeof queue->library);
        pthread_mutex_init(&queue->lock, NULL);
        pthread_cond_init(&queue->is_more, NULL);
        pthread_cond_init(&queue->is_done, NULL);
        queue->end = &queue->first;
        queue->users = 1;
        capsule = PyCapsule_New(queue, QUEUE, forget_queue);
        if (capsule == NULL) free(queue);
    }
    PyBuffer_Release(&library);
    return capsule;
}

PyDoc_STRVAR(put_doc, "put(queue, checks) -> batch\n\nTo be asked about with wait.");
static PyObject *put(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *into, *capsule = NULL;
    Py_buffer checks = {0};
    if (!PyArg_ParseTuple(args, "Oy*", &into, &checks)) return NULL;
    struct queue *queue = PyCapsule_GetPointer(into, QUEUE);
    struct batch *batch = NULL;
    if (queue == NULL) {
    } else if (checks.len % (Py_ssize_t)sizeof(struct check)) {
        PyErr_SetString(PyExc_ValueError, "put: arguments out of range");
    } else if ((batch = calloc(1, sizeof *batch + (size_t)checks.len)) == NULL) {
        PyErr_NoMemory();
    } else if ((capsule = PyCapsule_New(batch, BATCH, forget_batch)) == NULL) {
        free(batch);
    } else {
        batch->queue = queue;
        batch->count = (size_t)checks.len / sizeof(struct check);
        batch->all_valid = 1;
        memcpy(batch->checks, checks.buf, (size_t)checks.len);
        pthread_mutex_lock(&queue->lock);
        queue->users++;
        if (batch->count) {
            *queue->end = batch;
            queue->end = &batch->next;
            pthread_cond_broadcast(&queue->is_more);
        }
        pthread_mutex_unlock(&queue->lock);
    }
    PyBuffer_Release(&checks);
    return capsule;
}

PyDoc_STRVAR(wait_doc, "wait(batch) -> bool\n\nWhether all are valid. Whoever waits checks, too.");
static PyObject *wait_for(PyObject *self, PyObject *capsule) {
    (void)self;
    struct batch *batch = PyCapsule_GetPointer(capsule, BATCH);
    if (batch == NULL) return NULL;
    struct queue *queue = batch->queue;
    int all_valid;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&queue->lock);
    while (batch->done < batch->count) {
        if (queue->first != NULL)
            check_some(queue);
        else
            pthread_cond_wait(&queue->is_done, &queue->lock);
    }
    all_valid = batch->all_valid;
    pthread_mutex_unlock(&queue->lock);
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(all_valid);
}

PyDoc_STRVAR(serve_doc, "serve(queue)\n\nCheck what comes, until it is closed.");
static PyObject *serve(PyObject *self, PyObject *capsule) {
    (void)self;
    struct queue *queue = PyCapsule_GetPointer(capsule, QUEUE);
    if (queue == NULL) return NULL;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&queue->lock);
    while (!queue->is_closed) {
        if (queue->first != NULL)
            check_some(queue);
        else
            pthread_cond_wait(&queue->is_more, &queue->lock);
    }
    pthread_mutex_unlock(&queue->lock);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyDoc_STRVAR(close_doc, "close(queue, is_closed)\n\nSend away who serves it, or let them come.");
static PyObject *set_closed(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *capsule;
    int is_closed;
    if (!PyArg_ParseTuple(args, "Op", &capsule, &is_closed)) return NULL;
    struct queue *queue = PyCapsule_GetPointer(capsule, QUEUE);
    if (queue == NULL) return NULL;
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = is_closed;
    pthread_cond_broadcast(&queue->is_more);
    pthread_mutex_unlock(&queue->lock);
    Py_RETURN_NONE;
}

/* ChaCha20 (RFC 8439) of many keys, all with a nonce of zeros and counters from zero: what MuHash
 * makes numbers of. */

#define QUARTER(a, b, c, d)                                                                       \
    do {                                                                                          \
        (a) += (b), (d) = ror((d) ^ (a), 16);                                                     \
        (c) += (d), (b) = ror((b) ^ (c), 20);                                                     \
        (a) += (b), (d) = ror((d) ^ (a), 24);                                                     \
        (c) += (d), (b) = ror((b) ^ (c), 25);                                                     \
    } while (0)

static void chacha20_block(const uint32_t state[16], unsigned char out[64]) {
    uint32_t x[16];
    memcpy(x, state, sizeof x);
    for (int i = 0; i < 10; i++) {
        QUARTER(x[0], x[4], x[8], x[12]);
        QUARTER(x[1], x[5], x[9], x[13]);
        QUARTER(x[2], x[6], x[10], x[14]);
        QUARTER(x[3], x[7], x[11], x[15]);
        QUARTER(x[0], x[5], x[10], x[15]);
        QUARTER(x[1], x[6], x[11], x[12]);
        QUARTER(x[2], x[7], x[8], x[13]);
        QUARTER(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; i++) {
        uint32_t word = x[i] + state[i];
        for (int n = 0; n < 4; n++) *out++ = (unsigned char)(word >> 8 * n);
    }
}

#undef QUARTER

PyDoc_STRVAR(keystreams_doc,
             "keystreams(keys, blocks) -> bytes\n\n"
             "Of each key of 32 bytes, so many blocks of 64, one key after the other.");
static PyObject *keystreams(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer keys = {0};
    unsigned long long blocks;
    if (!PyArg_ParseTuple(args, "y*K", &keys, &blocks)) return NULL;
    PyObject *result = NULL;
    unsigned long long count = (unsigned long long)keys.len / 32;
    if (keys.len % 32 || blocks > 1ULL << 32) {
        PyErr_SetString(PyExc_ValueError, "keystreams: arguments out of range");
    } else if (count && blocks > (unsigned long long)PY_SSIZE_T_MAX / 64 / count) {
        PyErr_NoMemory();
    } else {
        result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(64 * count * blocks));
    }
    if (result != NULL) {
        unsigned char *out = (unsigned char *)PyBytes_AsString(result);
        const unsigned char *key = keys.buf;
        uint32_t state[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
        Py_BEGIN_ALLOW_THREADS
        for (; count > 0; count--, key += 32) {
            for (int i = 0; i < 8; i++) state[4 + i] = little_endian(key + 4 * i);
            for (unsigned long long n = 0; n < blocks; n++, out += 64) {
                state[12] = (uint32_t)n;
                chacha20_block(state, out);
            }
        }
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&keys);
    return result;
}

static PyMethodDef methods[] = {{"close", set_closed, METH_VARARGS, close_doc},
                                {"keystreams", keystreams, METH_VARARGS, keystreams_doc},
                                {"put", put, METH_VARARGS, put_doc},
                                {"queue", new_queue, METH_VARARGS, queue_doc},
                                {"search", search, METH_VARARGS, search_doc},
                                {"serve", serve, METH_O, serve_doc},
                                {"variants", variants, METH_NOARGS, variants_doc},
                                {"verify", verify, METH_VARARGS, verify_doc},
                                {"wait", wait_for, METH_O, wait_doc},
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
