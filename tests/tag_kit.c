/* SPDX-License-Identifier: MIT */
/* Compares all levels of the scan for tags with each other and with simdjson, and makes documents
 * that are worth it: members of the name at every depth, keys that are nearly the name or are
 * escaped, brackets and quotes within strings, runs of backslashes, white space that moves all of
 * it over the edges of blocks. */
#include "tests/tag_kit.h"

#include "tests/json_reference.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define DEPTH_MAX 12

struct tag_kit {
    struct json_reference *reference; /* owned */
    uint8_t *map;                     /* owned; ends with a page that faults */
    uint8_t *end;                     /* of what can be read */
    size_t map_size;
    tag_scan_fn scans[SIMD_LEVEL_COUNT]; /* of this machine; the portable one is the first */
    size_t scan_count;
    struct tag_kit_counts counts;
    /* The document being made. */
    uint8_t text[TAG_KIT_SIZE_MAX];
    size_t size;
    uint64_t *random;
    struct span name;
};

struct tag_kit *tag_kit_create(void)
{
    struct tag_kit *kit = calloc(1, sizeof(*kit));
    size_t page = (size_t)getpagesize();
    size_t size = (TAG_KIT_SIZE_MAX + TAG_PADDING + page - 1) / page * page;
    if (kit == NULL) {
        abort();
    }
    kit->map_size = size + page;
    kit->map =
        mmap(NULL, kit->map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (kit->map == MAP_FAILED || mprotect(kit->map + size, page, PROT_NONE) != 0) {
        abort();
    }
    kit->end = kit->map + size;
    kit->reference = json_reference_create(TAG_KIT_SIZE_MAX);
    enum simd_level best = simd_detect();
    for (enum simd_level level = SIMD_PORTABLE; level <= best; level++) {
        tag_scan_fn scan = tag_scan_at(level);
        if (scan != NULL) {
            kit->scans[kit->scan_count] = scan;
            kit->scan_count++;
        }
    }
    return kit;
}

void tag_kit_destroy(struct tag_kit *kit)
{
    json_reference_destroy(kit->reference);
    munmap(kit->map, kit->map_size);
    free(kit);
}

const struct tag_kit_counts *tag_kit_counts(const struct tag_kit *kit)
{
    return &kit->counts;
}

/* --- the check ----------------------------------------------------------------------------- */

/* The tag that was found against what simdjson has found. */
static const char *found_check(struct span text, const struct tag *tag,
                               const struct json_reference_member *member)
{
    size_t at = (size_t)(tag->raw.ptr - text.ptr);
    if (at != member->raw_at) {
        return "another member than simdjson's";
    }
    if (at + tag->raw.size >= text.size || text.ptr[at + tag->raw.size] != '"') {
        return "the tag does not end at a quote";
    }
    bool is_escaped = memchr(tag->raw.ptr, '\\', tag->raw.size) != NULL;
    if (is_escaped != tag->is_escaped) {
        return "is_escaped is wrong";
    }
    uint8_t bytes[TAG_SIZE_MAX];
    size_t size = 0;
    int err = tag_unescape(tag->raw, bytes, &size);
    if (member->string_size > TAG_SIZE_MAX) {
        return err == GYR_ERR_LIMIT ? NULL : "a tag that is too long has been unescaped";
    }
    if (err != 0 || size != member->string_size ||
        (size > 0 && memcmp(bytes, member->string, size) != 0)) {
        return "unescaped differently";
    }
    if (!is_escaped && size != tag->raw.size) {
        return "a tag without backslashes has another size";
    }
    return NULL;
}

static const char *reference_check(struct tag_kit *kit, struct span text, struct span name,
                                   int status, const struct tag *tag)
{
    static const enum json_reference_status expected[] = {
        [TAG_FOUND] = JSON_REFERENCE_FOUND,           [TAG_ABSENT] = JSON_REFERENCE_ABSENT,
        [TAG_NOT_OBJECT] = JSON_REFERENCE_NOT_OBJECT, [TAG_NOT_STRING] = JSON_REFERENCE_NOT_STRING,
        [TAG_MALFORMED] = JSON_REFERENCE_ERROR,
    };
    /* A byte order mark is refused here, and skipped by newer versions of simdjson. */
    bool has_mark = text.size >= 3 && memcmp(text.ptr, "\xef\xbb\xbf", 3) == 0;
    if (has_mark || !json_reference_is_valid(kit->reference, text.ptr, text.size)) {
        kit->counts.malformed++;
        return NULL;
    }
    struct json_reference_member member;
    const char *name_text = (const char *)name.ptr;
    enum json_reference_status found =
        json_reference_find(kit->reference, text.ptr, text.size, name_text, name.size, &member);
    if (found == JSON_REFERENCE_ERROR) {
        return "simdjson contradicts itself";
    }
    if (found != expected[status]) {
        return "another status than simdjson's";
    }
    kit->counts.valid++;
    kit->counts.absent += status == TAG_ABSENT;
    kit->counts.refused += status == TAG_NOT_OBJECT || status == TAG_NOT_STRING;
    if (status != TAG_FOUND) {
        return NULL;
    }
    kit->counts.found++;
    kit->counts.escaped += !member.is_key_plain || tag->is_escaped;
    const char *why = found_check(text, tag, &member);
    if (why == NULL && member.is_key_plain &&
        json_reference_lookup(kit->reference, text.ptr, text.size, name_text, name.size) !=
            (ptrdiff_t)member.string_size) {
        return "doc[name] is another member";
    }
    return why;
}

static void padding_fill(uint8_t *bytes, const char *pattern)
{
    size_t size = strlen(pattern);
    for (size_t i = 0; i < TAG_PADDING; i += size) {
        memcpy(bytes + i, pattern, MIN(size, TAG_PADDING - i));
    }
}

const char *tag_kit_check(struct tag_kit *kit, struct span text, struct span name)
{
    /* Each would go on with what the text has begun; of as many sizes as it takes. */
    static const char *const paddings[] = {"\":\"a\"}", "\\", "}", ":\"a\"", "\"", "{\"t\":\"\""};
    uint8_t *copy = kit->end - TAG_PADDING - text.size;
    ASSERT(text.size <= TAG_KIT_SIZE_MAX);
    if (text.size > 0) {
        memcpy(copy, text.ptr, text.size);
    }
    text.ptr = copy;
    struct tag first = {0};
    int status = TAG_MALFORMED;
    for (size_t i = 0; i < kit->scan_count; i++) {
        struct tag tag = {0};
        padding_fill(copy + text.size, paddings[(i + text.size) % COUNT_OF(paddings)]);
        int next = kit->scans[i](text, name, &tag);
        if (i == 0) {
            status = next;
            first = tag;
        }
        if (next != status || tag.raw.ptr != first.raw.ptr || tag.raw.size != first.raw.size ||
            tag.is_escaped != first.is_escaped) {
            return "two levels do not agree";
        }
    }
    return reference_check(kit, text, name, status, &first);
}

/* --- documents ----------------------------------------------------------------------------- */

struct span tag_kit_name(unsigned index)
{
    static const char *const names[] = {
        "type",
        "t",
        "",
        "op",
        "kind/of",
        "\xc3\xa9t\xf0\x9f\x98\x80",
        "a-name-of-fifteen",
        "the-longest-name-whose-size-a-shift-can-still-tell-from-another",
        "a-name-that-is-longer-than-one-block-of-the-scan-and-so-is-only-told-by-its-last-byte",
    };
    /* The first one is what services use. */
    index %= 2 * COUNT_OF(names);
    const char *name = names[index < COUNT_OF(names) ? index : 0];
    return span_of(name, strlen(name));
}

/* xorshift64: fast, and the same everywhere. */
static uint64_t random_next(struct tag_kit *kit)
{
    uint64_t state = *kit->random;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    *kit->random = state;
    return state >> 8;
}

static bool one_in(struct tag_kit *kit, unsigned count)
{
    return random_next(kit) % count == 0;
}

/* What no longer fits is left out: then the document is not valid, which is also worth a try. */
static void put(struct tag_kit *kit, const void *bytes, size_t size)
{
    size = MIN(size, TAG_KIT_SIZE_MAX - kit->size);
    memcpy(kit->text + kit->size, bytes, size);
    kit->size += size;
}

static void put_text(struct tag_kit *kit, const char *text)
{
    put(kit, text, strlen(text));
}

static void put_byte(struct tag_kit *kit, char byte)
{
    put(kit, &byte, 1);
}

static void put_space(struct tag_kit *kit)
{
    uint64_t random = random_next(kit);
    if ((random & 7) != 0) {
        return;
    }
    size_t size = (random & 0x78) != 0 ? random >> 7 & 3 : random >> 7 & 127;
    for (size_t i = 0; i < size; i++) {
        put_byte(kit, " \t\n\r"[random >> (16 + (i & 15)) & 3]);
    }
}

static void put_escape(struct tag_kit *kit, unsigned unit)
{
    const char *digits = one_in(kit, 2) ? "0123456789abcdef" : "0123456789ABCDEF";
    char text[6] = {'\\', 'u'};
    for (unsigned i = 0; i < 4; i++) {
        text[2 + i] = digits[unit >> (12 - 4 * i) & 15];
    }
    put(kit, text, sizeof(text));
}

/* One or more characters of a string that mislead, and none. */
static void put_chars(struct tag_kit *kit)
{
    static const char *const parts[] = {
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\\\"",
        "\\\\",
        "\\\\\\\"",
        "\\\\\\\\",
        "\\n",
        "\\/",
        "\\u0022",
        "\\u005C",
        "\\u0000",
        "\\b\\f",
        "\\r\\t",
        " ",
        "type",
        "\\\"type\\\"",
        "\\\":\\\"",
        "\xc3\xa9",
        "\xe2\x82\xac",
        "\xf0\x9f\x98\x80",
        "\\ud83d\\ude00",
        "\\uDBFF\\uDFFF",
        "x",
        "e",
        "t",
        "123",
        "plain characters of some length, ",
    };
    uint64_t random = random_next(kit);
    put_text(kit, parts[random % COUNT_OF(parts)]);
    if ((random >> 32 & 255) == 0) {
        put_escape(kit, (unsigned)(random >> 40) & 0xffff); /* also halves of pairs */
    }
}

static void put_string(struct tag_kit *kit)
{
    uint64_t random = random_next(kit);
    size_t count = (random & 63) == 0 ? random >> 8 & 63 : random >> 8 & 3;
    put_byte(kit, '"');
    for (size_t i = 0; i < count; i++) {
        put_chars(kit);
    }
    put_byte(kit, '"');
}

/* The name with some of its ASCII characters escaped, and now and then one too many. */
static void put_name(struct tag_kit *kit, unsigned one_of)
{
    put_byte(kit, '"');
    for (size_t i = 0; i < kit->name.size; i++) {
        uint8_t byte = kit->name.ptr[i];
        if (byte == '/' && one_in(kit, one_of)) {
            put_text(kit, "\\/");
        } else if (byte < 0x80 && one_in(kit, one_of)) {
            put_escape(kit, byte);
        } else {
            put(kit, &byte, 1);
        }
    }
    if (one_in(kit, 16)) {
        put_chars(kit);
    }
    put_byte(kit, '"');
}

static void put_key(struct tag_kit *kit)
{
    static const char *const others[] = {"\"id\"",       "\"title\"",    "\"typ\"", "\"types\"",
                                         "\"eype\"",     "\"Type\"",     "\"x\"",   "\"\"",
                                         "\"type\\\\\"", "\"a\\\"type\""};
    uint64_t random = random_next(kit);
    if (random % 8 == 0) {
        put_name(kit, UINT32_MAX);
    } else if (random % 8 == 1) {
        put_name(kit, 3);
    } else if (random % 8 == 2) {
        put_string(kit);
    } else {
        put_text(kit, others[(random >> 8) % COUNT_OF(others)]);
    }
    put_space(kit);
    put_byte(kit, ':');
    put_space(kit);
}

static void put_scalar(struct tag_kit *kit)
{
    static const char *const scalars[] = {"0",    "-17",   "3.25e-7", "1234567890123",
                                          "true", "false", "null",    "\"type\""};
    uint64_t random = random_next(kit);
    if (random % 4 == 0) {
        put_text(kit, scalars[(random >> 8) % COUNT_OF(scalars)]);
    } else if (random % 4 == 1) {
        put_name(kit, UINT32_MAX);
    } else {
        put_string(kit);
    }
}

/* A document by the grammar, by a stack of the brackets that are open. */
static void put_document(struct tag_kit *kit)
{
    struct {
        char close;
        uint8_t left; /* members or items that are still to come */
        bool has_one;
    } stack[DEPTH_MAX] = {
        {.close = '}', .left = (uint8_t)(random_next(kit) % (one_in(kit, 8) ? 40 : 8))}};
    size_t depth = 1;
    put_byte(kit, '{');
    while (depth > 0) {
        put_space(kit);
        if (stack[depth - 1].left == 0) {
            depth--;
            put_byte(kit, stack[depth].close);
            continue;
        }
        stack[depth - 1].left--;
        if (stack[depth - 1].has_one) {
            put_byte(kit, ',');
            put_space(kit);
        }
        stack[depth - 1].has_one = true;
        if (stack[depth - 1].close == '}') {
            put_key(kit);
        }
        uint64_t random = random_next(kit);
        if (random % 4 != 0 || depth == DEPTH_MAX) {
            put_scalar(kit);
            continue;
        }
        bool is_object = (random >> 8 & 1) != 0;
        stack[depth].close = is_object ? '}' : ']';
        stack[depth].left = (uint8_t)((random >> 16) % 4);
        stack[depth].has_one = false;
        depth++;
        put_byte(kit, is_object ? '{' : '[');
    }
    put_space(kit);
}

/* Change, drop, insert or repeat bytes, or cut the document off. */
static void document_mutate(struct tag_kit *kit)
{
    static const char bytes[] = "{}[]\"\":,\\\\ tu0\x1f\x80\xff";
    uint64_t random = random_next(kit);
    size_t at = (random >> 4) % (kit->size + 1);
    size_t rest = kit->size - at;
    size_t count = MIN(rest, (size_t)(random >> 40 & 7));
    char byte = bytes[(random >> 32) % (sizeof(bytes) - 1)];
    switch (random & 7) {
    case 0:
        kit->size = at;
        break;
    case 1:
        memmove(kit->text + at, kit->text + at + count, rest - count);
        kit->size -= count;
        break;
    case 2:
        if (kit->size + count <= TAG_KIT_SIZE_MAX) {
            memmove(kit->text + at + count, kit->text + at, rest);
            kit->size += count;
        }
        break;
    case 3:
    case 4:
        if (kit->size < TAG_KIT_SIZE_MAX) {
            memmove(kit->text + at + 1, kit->text + at, rest);
            kit->text[at] = (uint8_t)byte;
            kit->size++;
        }
        break;
    default:
        if (rest > 0) {
            kit->text[at] = (uint8_t)byte;
        }
        break;
    }
}

struct span tag_kit_generate(struct tag_kit *kit, uint64_t *random, struct span *name)
{
    kit->random = random;
    kit->size = 0;
    kit->name = tag_kit_name((unsigned)random_next(kit));
    *name = kit->name;
    put_space(kit);
    if (one_in(kit, 32)) {
        put_scalar(kit);
    } else {
        put_document(kit);
    }
    uint64_t mutations = random_next(kit) & 7;
    for (uint64_t i = 5; i <= mutations; i++) {
        document_mutate(kit);
    }
    return span_of(kit->text, kit->size);
}
