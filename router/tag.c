/* SPDX-License-Identifier: MIT */
/* Finds the tag of a message without parsing it (RFC 8259 sections 4 and 7). Journey: hop 7.
 *
 * A message that begins with the tag is answered at once (scan_first). Otherwise the text is taken
 * in blocks of 64 bytes, each as masks with a bit for each byte: quotes, backslashes, brackets.
 * Sums and shifts of masks tell which bytes are within strings, how deep the block ends, and which
 * strings could be the name: those of its size that end with its last character, and those with a
 * backslash. Only at such strings, and where the object may end, a block is looked at bit by bit.
 *
 * What is one for all levels is written once, without vectors, and inlined into the loop of each
 * level; so they agree about any bytes, also those that are no JSON. A block is loaded where at
 * least one byte of it, or the byte before it, is text: never further than TAG_PADDING behind. */
#include "router/tag.h"

#include "router/tag_escape.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_SSE42  __attribute__((target("sse4.2,popcnt")))
#define TARGET_AVX2   __attribute__((target("avx2,bmi,bmi2,popcnt,pclmul")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,bmi,bmi2,popcnt,pclmul")))
#elif defined(__aarch64__)
#include <arm_neon.h>

#define TARGET_NEON
#endif

#define TARGET_PORTABLE

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define BLOCK_SIZE    64
#define EVEN_BITS     UINT64_C(0x5555555555555555)
#define CASE_BIT      0x20 /* makes '{' of '[', and '}' of ']', and these of nothing else */

static_assert(TAG_PADDING >= BLOCK_SIZE, "a block may begin where the text ends");

/* Which bytes of a block are what; the first byte is the lowest bit. */
struct block {
    uint64_t quote;
    uint64_t backslash;
    uint64_t open;  /* '{' and '[' */
    uint64_t close; /* '}' and ']' */
    uint64_t last;  /* the last byte of the name */
};

struct scan {
    const uint8_t *text;
    size_t size;
    size_t at; /* of the next block */
    struct span name;
    uint8_t name_last; /* of an empty name, the quote in front of it */
    uint64_t depth;    /* of brackets where the block begins; the object itself is 1 */
    uint64_t inside;   /* all bits if the block begins within a string */
    uint64_t begins;   /* opening quotes of the block before */
    uint64_t last;     /* `last` of the block before, its highest bit as the lowest */
    uint64_t escape;   /* 1 if the first byte of the block is escaped */
    uint64_t odd;      /* 1 if the string that goes on in the block has had a backslash */
    size_t string_at;  /* where it began */
    size_t value_at;   /* where the tag begins, if it is found */
};

/* On the way to the end of the tag. */
struct value {
    const uint8_t *text;
    size_t size;
    size_t from;
    size_t at; /* of the next block */
    uint64_t escape;
    bool is_escaped; /* there was a backslash in blocks before */
};

/* What a step says besides enum tag_status. */
enum {
    SCAN_MORE = TAG_MALFORMED + 1, /* to the next block */
    SCAN_VALUE,                    /* the tag has been found: to its end */
};

/* --- one for all levels -------------------------------------------------------------------- */

ALWAYS_INLINE uint64_t load_word(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

ALWAYS_INLINE uint32_t load_half(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* memcmp(3) without a call: names are short. */
ALWAYS_INLINE bool bytes_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8) {
            if (load_word(a + i) != load_word(b + i)) {
                return false;
            }
        }
        return load_word(a + size - 8) == load_word(b + size - 8);
    }
    if (size >= 4) {
        return load_half(a) == load_half(b) && load_half(a + size - 4) == load_half(b + size - 4);
    }
    for (size_t i = 0; i < size; i++) {
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

ALWAYS_INLINE uint64_t count_bits(uint64_t mask)
{
    return (uint64_t)__builtin_popcountll(mask);
}

/* Of a mask that has one: the position of its first bit, and of its last. */
ALWAYS_INLINE unsigned first_bit(uint64_t mask)
{
    return (unsigned)__builtin_ctzll(mask);
}

ALWAYS_INLINE unsigned last_bit(uint64_t mask)
{
    return 63 - (unsigned)__builtin_clzll(mask);
}

/* The bits below a position, which is less than 64. */
ALWAYS_INLINE uint64_t bits_below(unsigned position)
{
    return (UINT64_C(1) << position) - 1;
}

/* The bytes behind a run of backslashes of odd length: those are escaped. (So is every second one
 * of a run, but nobody asks about them.) Adding its first bit to a run carries into the bit behind
 * it; whether the run is of odd length is seen from the positions of both. */
ALWAYS_INLINE uint64_t bits_escaped(uint64_t backslash, uint64_t *escape)
{
    uint64_t first = *escape;
    backslash &= ~first;
    uint64_t starts = backslash & ~(backslash << 1);
    uint64_t from_even = backslash + (starts & EVEN_BITS);
    uint64_t from_odd;
    *escape = __builtin_add_overflow(backslash, starts & ~EVEN_BITS, &from_odd);
    return first | (~backslash & ((from_even & ~EVEN_BITS) | (from_odd & EVEN_BITS)));
}

ALWAYS_INLINE bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

ALWAYS_INLINE size_t space_skip(const uint8_t *text, size_t size, size_t at)
{
    while (at < size && is_space(text[at])) {
        at++;
    }
    return at;
}

/* Behind the name, which is a key of the object or a string among others. Returns SCAN_MORE if it
 * is no key. */
ALWAYS_INLINE int scan_key(struct scan *scan, size_t at)
{
    at = space_skip(scan->text, scan->size, at);
    if (at == scan->size || scan->text[at] != ':') {
        return SCAN_MORE;
    }
    at = space_skip(scan->text, scan->size, at + 1);
    if (at == scan->size) {
        return TAG_MALFORMED;
    }
    if (scan->text[at] != '"') {
        return TAG_NOT_STRING;
    }
    scan->value_at = at + 1;
    return SCAN_VALUE;
}

/* A text that begins with the tag, as most do: {"type":"x", or {"type": "x". Returns where the tag
 * begins, or 0. */
ALWAYS_INLINE size_t scan_first(struct span text, struct span name)
{
    size_t end = name.size + 2; /* of the name */
    /* The padding holds whatever it holds: each byte that counts has to be text. */
    if (text.size < end + 3 || text.ptr[0] != '{' || text.ptr[1] != '"' ||
        !bytes_equal(text.ptr + 2, name.ptr, name.size) || text.ptr[end] != '"' ||
        text.ptr[end + 1] != ':') {
        return 0;
    }
    size_t at = end + 2 + (text.ptr[end + 2] == ' ');
    return at < text.size && text.ptr[at] == '"' ? at + 1 : 0;
}

ALWAYS_INLINE int scan_begin(struct scan *scan, struct span text, struct span name)
{
    size_t at = space_skip(text.ptr, text.size, 0);
    scan->value_at = 0;
    if (at == text.size || text.ptr[at] != '{') {
        return TAG_NOT_OBJECT;
    }
    scan->text = text.ptr;
    scan->size = text.size;
    scan->at = at + 1;
    scan->name = name;
    scan->name_last = name.size == 0 ? '"' : name.ptr[name.size - 1];
    scan->depth = 1;
    scan->inside = 0;
    scan->begins = 0;
    scan->last = 0;
    scan->escape = 0;
    scan->odd = 0;
    scan->string_at = 0;
    return scan->at == text.size ? TAG_MALFORMED : SCAN_MORE;
}

/* The string that ends at this bit. */
ALWAYS_INLINE struct span scan_string(const struct scan *scan, uint64_t begins, unsigned end)
{
    begins &= bits_below(end);
    size_t from = begins == 0 ? scan->string_at : scan->at + last_bit(begins);
    return span_of(scan->text + from + 1, scan->at + end - from - 1);
}

/* Every escape is longer than what it stands for. */
ALWAYS_INLINE bool scan_string_is_name(struct span string, struct span name)
{
    if (string.size == name.size) {
        return bytes_equal(string.ptr, name.ptr, name.size);
    }
    return string.size > name.size && name.size > 0 &&
           (string.ptr[0] == '\\' || string.ptr[0] == name.ptr[0]) && tag_key_equals(string, name);
}

/* Where the object ends: the bit of its bracket, 64 if that is not in this block. */
ALWAYS_INLINE unsigned scan_end(uint64_t depth, uint64_t open, uint64_t close)
{
    if (count_bits(close) < depth) {
        return BLOCK_SIZE;
    }
    for (uint64_t closed = 1; close != 0; closed++, close &= close - 1) {
        unsigned at = first_bit(close);
        if (depth + count_bits(open & bits_below(at)) == closed) {
            return at;
        }
    }
    return BLOCK_SIZE;
}

/* Look at a block in which strings end that could be the name, or the object ends. */
ALWAYS_INLINE int scan_search(struct scan *scan, const struct block *block, uint64_t begins,
                              uint64_t keys)
{
    unsigned end = scan_end(scan->depth, block->open, block->close);
    for (; keys != 0; keys &= keys - 1) {
        unsigned at = first_bit(keys);
        uint64_t below = bits_below(at);
        if (at > end) {
            break;
        }
        if (scan->depth + count_bits(block->open & below) != count_bits(block->close & below) + 1) {
            continue;
        }
        uint8_t next = scan->text[scan->at + at + 1];
        if (next != ':' && !is_space(next)) {
            continue;
        }
        if (scan_string_is_name(scan_string(scan, begins, at), scan->name)) {
            int status = scan_key(scan, scan->at + at + 1);
            if (status != SCAN_MORE) {
                return status;
            }
        }
    }
    return end < BLOCK_SIZE ? TAG_ABSENT : SCAN_MORE;
}

/* The ends of strings that could be the name. */
ALWAYS_INLINE uint64_t scan_keys(struct scan *scan, const struct block *block, uint64_t begins,
                                 uint64_t inside)
{
    uint64_t ends = block->quote & ~inside;
    uint64_t keys = ends & (block->last << 1 | scan->last);
    size_t shift = scan->name.size + 1;
    if (LIKELY(shift < BLOCK_SIZE)) {
        keys &= begins << shift | scan->begins >> (BLOCK_SIZE - shift);
    }
    scan->last = block->last >> 63;
    if (UNLIKELY((block->backslash | scan->odd) != 0)) {
        /* A string is a run of bits here, from its opening quote on. Adding the bits of its
         * backslashes, any number of them, carries once, into the bit of its closing quote. */
        uint64_t sum;
        bool is_odd = __builtin_add_overflow(inside, block->backslash & inside, &sum);
        is_odd |= __builtin_add_overflow(sum, scan->odd, &sum);
        keys |= sum & ends;
        scan->odd = is_odd;
    }
    return keys;
}

/* Leave of the quotes those that begin or end a string. Nothing that lies behind the text may end
 * anything; all else that does has no effect then. */
ALWAYS_INLINE void scan_quotes(struct scan *scan, struct block *block)
{
    size_t rest = scan->size - scan->at;
    if (UNLIKELY(rest < BLOCK_SIZE)) {
        uint64_t valid = bits_below((unsigned)rest);
        block->quote &= valid;
        block->close &= valid;
    }
    if (UNLIKELY((block->backslash | scan->escape) != 0)) {
        block->quote &= ~bits_escaped(block->backslash, &scan->escape);
    }
}

/* One more block, of whose quotes `parity` is the parity. */
ALWAYS_INLINE int scan_block(struct scan *scan, struct block *block, uint64_t parity)
{
    size_t rest = scan->size - scan->at;
    if (scan->inside != 0 && (block->quote | block->backslash) == 0) {
        scan->begins = 0;
        scan->last = block->last >> 63;
        scan->at += BLOCK_SIZE;
        return rest <= BLOCK_SIZE ? TAG_MALFORMED : SCAN_MORE;
    }
    uint64_t inside = parity ^ scan->inside;
    uint64_t begins = block->quote & inside;
    uint64_t keys = scan_keys(scan, block, begins, inside);
    block->open &= ~inside;
    block->close &= ~inside;
    uint64_t closed = count_bits(block->close);
    if (keys != 0 || closed >= scan->depth) {
        int status = scan_search(scan, block, begins, keys);
        if (status != SCAN_MORE) {
            return status;
        }
    }
    scan->depth += count_bits(block->open) - closed;
    scan->inside = 0 - (inside >> 63);
    scan->begins = begins;
    if (begins != 0) {
        scan->string_at = scan->at + last_bit(begins);
    }
    scan->at += BLOCK_SIZE;
    return rest <= BLOCK_SIZE ? TAG_MALFORMED : SCAN_MORE;
}

/* On to the end of the tag. */
ALWAYS_INLINE int value_block(struct value *value, struct block *block, struct tag *tag)
{
    size_t rest = value->size - value->at;
    if (UNLIKELY((block->backslash | value->escape) != 0)) {
        block->quote &= ~bits_escaped(block->backslash, &value->escape);
    }
    if (UNLIKELY(block->quote == 0)) {
        value->is_escaped |= block->backslash != 0;
        value->at += BLOCK_SIZE;
        return rest <= BLOCK_SIZE ? TAG_MALFORMED : SCAN_VALUE;
    }
    unsigned end = first_bit(block->quote);
    if (UNLIKELY(end >= rest)) {
        return TAG_MALFORMED;
    }
    tag->raw = span_of(value->text + value->from, value->at + end - value->from);
    tag->is_escaped = value->is_escaped || (block->backslash & bits_below(end)) != 0;
    return TAG_FOUND;
}

/* --- the levels ---------------------------------------------------------------------------- */

/* What a level is, given its way to make a block and the parity of its quotes: two functions. */
#define TAG_SCAN(level, target)                                                                  \
    TARGET_##target static int level##_search(struct span text, struct span name,                \
                                              size_t *value_at)                                  \
    {                                                                                            \
        struct scan scan;                                                                        \
        int status = scan_begin(&scan, text, name);                                              \
        while (status == SCAN_MORE) {                                                            \
            struct block block;                                                                  \
            level##_block(&block, text.ptr + scan.at, scan.name_last);                           \
            scan_quotes(&scan, &block);                                                          \
            status = scan_block(&scan, &block, level##_parity(block.quote));                     \
        }                                                                                        \
        *value_at = scan.value_at;                                                               \
        return status;                                                                           \
    }                                                                                            \
                                                                                                 \
    TARGET_##target static int level##_scan(struct span text, struct span name, struct tag *tag) \
    {                                                                                            \
        int status = SCAN_VALUE;                                                                 \
        size_t at = scan_first(text, name);                                                      \
        if (UNLIKELY(at == 0)) {                                                                 \
            status = level##_search(text, name, &at);                                            \
        }                                                                                        \
        struct value value = {.text = text.ptr, .size = text.size, .from = at, .at = at};        \
        while (status == SCAN_VALUE) {                                                           \
            struct block block;                                                                  \
            level##_block(&block, text.ptr + value.at, 0);                                       \
            status = value_block(&value, &block, tag);                                           \
        }                                                                                        \
        return status;                                                                           \
    }

/* One bit for each byte of a word that is this one. Below the highest bit of each byte the sum
 * carries into it unless all of it was zero; the product brings the eight together. */
ALWAYS_INLINE uint64_t word_equals(uint64_t word, uint8_t byte)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t other = word ^ (UINT64_C(0x0101010101010101) * byte);
    uint64_t equal = ~(((other & low) + low) | other | low);
    return ((equal >> 7) * UINT64_C(0x0102040810204080)) >> 56;
}

ALWAYS_INLINE void portable_block(struct block *block, const uint8_t *bytes, uint8_t last)
{
    *block = (struct block){0};
    for (unsigned i = 0; i < BLOCK_SIZE; i += 8) {
        uint64_t word = load_word(bytes + i);
        uint64_t folded = word | (UINT64_C(0x0101010101010101) * CASE_BIT);
        block->quote |= word_equals(word, '"') << i;
        block->backslash |= word_equals(word, '\\') << i;
        block->open |= word_equals(folded, '{') << i;
        block->close |= word_equals(folded, '}') << i;
        block->last |= word_equals(word, last) << i;
    }
}

/* Each bit becomes the parity of itself and all bits below. */
ALWAYS_INLINE uint64_t portable_parity(uint64_t mask)
{
    mask ^= mask << 1;
    mask ^= mask << 2;
    mask ^= mask << 4;
    mask ^= mask << 8;
    mask ^= mask << 16;
    return mask ^ mask << 32;
}

TAG_SCAN(portable, PORTABLE)

#if defined(__x86_64__)

struct sse_bytes {
    __m128i a, b, c, d;
};

TARGET_SSE42 ALWAYS_INLINE uint64_t sse_bits(__m128i vector, __m128i wanted)
{
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(vector, wanted));
}

TARGET_SSE42 ALWAYS_INLINE uint64_t sse_equals(struct sse_bytes bytes, char byte)
{
    __m128i wanted = _mm_set1_epi8(byte);
    return sse_bits(bytes.a, wanted) | sse_bits(bytes.b, wanted) << 16 |
           sse_bits(bytes.c, wanted) << 32 | sse_bits(bytes.d, wanted) << 48;
}

TARGET_SSE42 ALWAYS_INLINE void sse_block(struct block *block, const uint8_t *bytes, uint8_t last)
{
    const __m128i *vectors = (const __m128i *)(const void *)bytes;
    __m128i case_bits = _mm_set1_epi8(CASE_BIT);
    struct sse_bytes all = {_mm_loadu_si128(vectors), _mm_loadu_si128(vectors + 1),
                            _mm_loadu_si128(vectors + 2), _mm_loadu_si128(vectors + 3)};
    struct sse_bytes folded = {_mm_or_si128(all.a, case_bits), _mm_or_si128(all.b, case_bits),
                               _mm_or_si128(all.c, case_bits), _mm_or_si128(all.d, case_bits)};
    block->quote = sse_equals(all, '"');
    block->backslash = sse_equals(all, '\\');
    block->open = sse_equals(folded, '{');
    block->close = sse_equals(folded, '}');
    block->last = sse_equals(all, (char)last);
}

TARGET_SSE42 ALWAYS_INLINE uint64_t sse_parity(uint64_t mask)
{
    return portable_parity(mask);
}

TAG_SCAN(sse, SSE42)

TARGET_AVX2 ALWAYS_INLINE uint64_t avx2_equals(__m256i low, __m256i high, char byte)
{
    __m256i wanted = _mm256_set1_epi8(byte);
    unsigned low_bits = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted));
    unsigned high_bits = (unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted));
    return (uint64_t)high_bits << 32 | low_bits;
}

TARGET_AVX2 ALWAYS_INLINE void avx2_block(struct block *block, const uint8_t *bytes, uint8_t last)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)bytes);
    __m256i high = _mm256_loadu_si256((const __m256i *)(const void *)(bytes + 32));
    __m256i case_bits = _mm256_set1_epi8(CASE_BIT);
    __m256i low_folded = _mm256_or_si256(low, case_bits);
    __m256i high_folded = _mm256_or_si256(high, case_bits);
    block->quote = avx2_equals(low, high, '"');
    block->backslash = avx2_equals(low, high, '\\');
    block->open = avx2_equals(low_folded, high_folded, '{');
    block->close = avx2_equals(low_folded, high_folded, '}');
    block->last = avx2_equals(low, high, (char)last);
}

/* The product without carries with all ones is the parity in its lower half. */
TARGET_AVX2 ALWAYS_INLINE uint64_t avx2_parity(uint64_t mask)
{
    __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)mask), _mm_set1_epi8((char)0xff), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

TAG_SCAN(avx2, AVX2)

TARGET_AVX512 ALWAYS_INLINE void avx512_block(struct block *block, const uint8_t *bytes,
                                              uint8_t last)
{
    __m512i vector = _mm512_loadu_si512(bytes);
    __m512i folded = _mm512_or_si512(vector, _mm512_set1_epi8(CASE_BIT));
    block->quote = _mm512_cmpeq_epi8_mask(vector, _mm512_set1_epi8('"'));
    block->backslash = _mm512_cmpeq_epi8_mask(vector, _mm512_set1_epi8('\\'));
    block->open = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('{'));
    block->close = _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8('}'));
    block->last = _mm512_cmpeq_epi8_mask(vector, _mm512_set1_epi8((char)last));
}

TARGET_AVX512 ALWAYS_INLINE uint64_t avx512_parity(uint64_t mask)
{
    return avx2_parity(mask);
}

TAG_SCAN(avx512, AVX512)

#elif defined(__aarch64__)

/* A bit for each byte of four vectors: weights within eight bytes, then sums of neighbours. */
ALWAYS_INLINE uint64_t neon_equals(const uint8x16_t vectors[4], uint8_t byte)
{
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t weight = vld1q_u8(weights);
    uint8x16_t wanted = vdupq_n_u8(byte);
    uint8x16_t a = vandq_u8(vceqq_u8(vectors[0], wanted), weight);
    uint8x16_t b = vandq_u8(vceqq_u8(vectors[1], wanted), weight);
    uint8x16_t c = vandq_u8(vceqq_u8(vectors[2], wanted), weight);
    uint8x16_t d = vandq_u8(vceqq_u8(vectors[3], wanted), weight);
    uint8x16_t sum = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sum, sum)), 0);
}

ALWAYS_INLINE void neon_block(struct block *block, const uint8_t *bytes, uint8_t last)
{
    uint8x16_t vectors[4];
    uint8x16_t folded[4];
    for (unsigned i = 0; i < 4; i++) {
        vectors[i] = vld1q_u8(bytes + 16 * i);
        folded[i] = vorrq_u8(vectors[i], vdupq_n_u8(CASE_BIT));
    }
    block->quote = neon_equals(vectors, '"');
    block->backslash = neon_equals(vectors, '\\');
    block->open = neon_equals(folded, '{');
    block->close = neon_equals(folded, '}');
    block->last = neon_equals(vectors, last);
}

ALWAYS_INLINE uint64_t neon_parity(uint64_t mask)
{
    return portable_parity(mask);
}

TAG_SCAN(neon, NEON)

#endif

tag_scan_fn tag_scan_at(enum simd_level level)
{
    static const tag_scan_fn scans[SIMD_LEVEL_COUNT] = {
        [SIMD_PORTABLE] = portable_scan,
#if defined(__x86_64__)
        [SIMD_SSE42] = sse_scan,
        [SIMD_AVX2] = avx2_scan,
        [SIMD_AVX512] = avx512_scan,
#elif defined(__aarch64__)
        [SIMD_NEON] = neon_scan,
#endif
    };
    ASSERT((unsigned)level < SIMD_LEVEL_COUNT);
    return scans[level];
}
