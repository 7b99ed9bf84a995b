/* SPDX-License-Identifier: MIT */
/* Templates as they are used: does a segment of a path fit, does one template take all that another
 * does, and which path has these values (RFC 3986 sections 2.1 and 3.3).
 *
 * A segment is matched as it was sent, and each byte decoded where it is looked at. Where a literal
 * or a typed parameter begins says where it ends: so a segment is a row of texts, and behind each a
 * chain of literals and typed parameters, of which only the beginning is open. From the right, the
 * last place at which a chain fits is found once, whatever stands left of it; in the end each text
 * goes as far as its chain's last place. No place is tried twice for the same chain. */
#include "router/template.h"

#include "proto/http_byte.h"
#include "router/template_piece.h"

#define NOWHERE   SIZE_MAX
#define UUID_SIZE 36

/* Pieces of one segment. */
struct pattern {
    const struct piece *pieces;
    const uint8_t *literals;
    size_t count;
};

static struct pattern pattern_of(const struct template *template, size_t index);
static size_t chain_walk(const struct pattern *pattern, size_t *at_piece, struct span raw,
                         size_t at, struct span *values);
static size_t chain_place(const struct pattern *pattern, size_t piece, struct span raw, size_t end);

/* ---- bytes as they were sent ----------------------------------------------------------------- */

static uint8_t hex_value(uint8_t digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : ascii_lower(digit) - 'a' + 10);
}

/* The byte at `at`, and where the next one is. */
static inline uint8_t byte_next(struct span raw, size_t *at)
{
    uint8_t byte = raw.ptr[*at];
    if (byte == '%') {
        ASSERT(raw.size - *at >= 3);
        byte = (uint8_t)(hex_value(raw.ptr[*at + 1]) << 4 | hex_value(raw.ptr[*at + 2]));
        *at += 2;
    }
    *at += 1;
    return byte;
}

/* Where the byte in front of `at` begins. A "%" is always the first of three. */
static inline size_t byte_before(struct span raw, size_t at)
{
    return at >= 3 && raw.ptr[at - 3] == '%' ? at - 3 : at - 1;
}

static size_t literal_end(struct span literal, struct span raw, size_t at)
{
    for (size_t i = 0; i < literal.size; i++) {
        if (at == raw.size || byte_next(raw, &at) != literal.ptr[i]) {
            return NOWHERE;
        }
    }
    return at;
}

/* ---- types ----------------------------------------------------------------------------------- */

/* All digits there are, if they are a number of this type. */
static size_t number_end(struct span raw, size_t at, bool is_signed)
{
    size_t next = at;
    bool is_negative = is_signed && at < raw.size && byte_next(raw, &next) == '-';
    uint64_t max = !is_signed ? UINT64_MAX : (uint64_t)INT64_MAX + is_negative;
    uint64_t value = 0;
    size_t digit_count = 0;
    at = is_negative ? next : at;
    while (at < raw.size) {
        next = at;
        uint8_t byte = byte_next(raw, &next);
        if (!http_byte_is(byte, HTTP_BYTE_DIGIT)) {
            break;
        }
        uint64_t digit = (uint64_t)byte - '0';
        bool is_leading_zero = digit_count != 0 && value == 0;
        if (is_leading_zero || value > (max - digit) / 10) {
            return NOWHERE;
        }
        value = value * 10 + digit;
        digit_count++;
        at = next;
    }
    return digit_count == 0 || (is_negative && value == 0) ? NOWHERE : at;
}

/* RFC 9562 section 4. */
static size_t uuid_end(struct span raw, size_t at)
{
    for (size_t i = 0; i < UUID_SIZE; i++) {
        if (at == raw.size) {
            return NOWHERE;
        }
        uint8_t byte = byte_next(raw, &at);
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash ? byte != '-' : !http_byte_is(byte, HTTP_BYTE_HEX)) {
            return NOWHERE;
        }
    }
    return at;
}

/* Where a typed parameter that begins at `at` ends. */
static size_t typed_end(enum param_type type, struct span raw, size_t at)
{
    switch (type) {
    case PARAM_INT:
        return number_end(raw, at, true);
    case PARAM_UINT:
        return number_end(raw, at, false);
    case PARAM_UUID:
        return uuid_end(raw, at);
    case PARAM_TEXT:
    case PARAM_PATH:
        break;
    }
    return raw.size;
}

/* ---- segments -------------------------------------------------------------------------------- */

static bool is_text(const struct piece *piece)
{
    return !piece->is_literal && (piece->type == PARAM_TEXT || piece->type == PARAM_PATH);
}

static void value_take(const struct piece *piece, struct span *values, struct span value)
{
    if (values != NULL && !piece->is_hidden) {
        values[piece->param] = value;
    }
}

static bool pattern_match(const struct pattern *pattern, struct span raw, struct span *values)
{
    /* For each text, by its piece: where it ends. */
    size_t ends[TEMPLATE_PIECES_MAX];
    size_t end = NOWHERE; /* of the text behind; NOWHERE: there is none */
    for (size_t i = pattern->count; i-- > 0;) {
        if (is_text(&pattern->pieces[i])) {
            end = chain_place(pattern, i + 1, raw, end);
            if (end == NOWHERE) {
                return false;
            }
        }
        ends[i] = end;
    }
    size_t piece = 0;
    size_t at = chain_walk(pattern, &piece, raw, 0, values);
    while (at != NOWHERE && piece < pattern->count) {
        if (at >= ends[piece]) {
            return false;
        }
        value_take(&pattern->pieces[piece], values, span_of(raw.ptr + at, ends[piece] - at));
        at = ends[piece];
        piece++;
        at = chain_walk(pattern, &piece, raw, at, values);
    }
    return at == raw.size;
}

/* The last place at which the chain behind a text fits, so that the text behind the chain, which
 * ends at `end`, has one byte or more; without such a text the chain ends the segment. */
static size_t chain_place(const struct pattern *pattern, size_t piece, struct span raw, size_t end)
{
    if (piece == pattern->count) {
        return raw.size;
    }
    size_t at = end == NOWHERE ? raw.size : end;
    while (at > 0) {
        at = byte_before(raw, at);
        size_t at_piece = piece;
        size_t behind = chain_walk(pattern, &at_piece, raw, at, NULL);
        if (behind != NOWHERE && (end == NOWHERE ? behind == raw.size : behind < end)) {
            return at;
        }
    }
    return NOWHERE;
}

/* Walk from a piece to the next text, or to the end of the pieces. */
static size_t chain_walk(const struct pattern *pattern, size_t *at_piece, struct span raw,
                         size_t at, struct span *values)
{
    while (at != NOWHERE && *at_piece < pattern->count) {
        const struct piece *piece = &pattern->pieces[*at_piece];
        if (is_text(piece)) {
            break;
        }
        if (piece->is_literal) {
            struct span literal = span_of(pattern->literals + piece->offset, piece->size);
            at = literal_end(literal, raw, at);
        } else {
            size_t begin = at;
            at = typed_end((enum param_type)piece->type, raw, at);
            if (at != NOWHERE) {
                value_take(piece, values, span_of(raw.ptr + begin, at - begin));
            }
        }
        ++*at_piece;
    }
    return at;
}

static struct pattern pattern_of(const struct template *template, size_t index)
{
    size_t begin = segment_begin(template, index);
    return (struct pattern){.pieces = template->pieces + begin,
                            .literals = template->literals,
                            .count = template->segment_ends[index] - begin};
}

bool template_segment_match(const struct template *template, size_t index, struct span raw,
                            struct span *values)
{
    ASSERT(index < template->segment_count);
    struct pattern pattern = pattern_of(template, index);
    return raw.size != 0 && pattern_match(&pattern, raw, values);
}

/* ---- covering -------------------------------------------------------------------------------- */

/* Where a path is written; what is too much is counted only. */
struct sink {
    uint8_t *bytes;
    size_t capacity;
    size_t size;
    size_t dots; /* of a segment that has nothing else; NOWHERE: it has */
};

static void sink_put(struct sink *sink, uint8_t byte)
{
    if (sink->size < sink->capacity) {
        sink->bytes[sink->size] = byte;
    }
    sink->size++;
}

/* A byte of a segment. What is no pchar is encoded (RFC 3986 section 3.3). */
static void sink_put_encoded(struct sink *sink, uint8_t byte)
{
    static const char digits[] = "0123456789ABCDEF";
    bool is_plain =
        http_byte_is(byte, HTTP_BYTE_TARGET) && byte != '/' && byte != '[' && byte != ']';
    if (is_plain) {
        sink_put(sink, byte);
    } else {
        sink_put(sink, '%');
        sink_put(sink, (uint8_t)digits[byte >> 4]);
        sink_put(sink, (uint8_t)digits[byte & 15]);
    }
    sink->dots = byte == '.' && sink->dots != NOWHERE ? sink->dots + 1 : NOWHERE;
}

static void sink_put_span(struct sink *sink, struct span span)
{
    for (size_t i = 0; i < span.size; i++) {
        sink_put_encoded(sink, span.ptr[i]);
    }
}

static struct span piece_literal(const struct pattern *pattern, const struct piece *piece)
{
    return span_of(pattern->literals + piece->offset, piece->size);
}

static bool piece_covers(const struct pattern *a, const struct pattern *b, size_t index)
{
    const struct piece *of_a = &a->pieces[index];
    const struct piece *of_b = &b->pieces[index];
    if (of_a->is_literal || of_b->is_literal) {
        return of_a->is_literal && of_b->is_literal &&
               span_equal(piece_literal(a, of_a), piece_literal(b, of_b));
    }
    return of_a->type == of_b->type || (of_a->type == PARAM_TEXT && of_b->type != PARAM_PATH);
}

static bool pattern_covers(const struct pattern *a, const struct pattern *b)
{
    bool is_path = !b->pieces[0].is_literal && b->pieces[0].type == PARAM_PATH;
    if (a->count == 1 && is_text(a->pieces)) {
        return a->pieces[0].type == PARAM_PATH || !is_path;
    }
    if (b->count == 1 && b->pieces[0].is_literal) {
        uint8_t bytes[TEMPLATE_SIZE_MAX * 3];
        struct sink sink = {.bytes = bytes, .capacity = sizeof(bytes)};
        sink_put_span(&sink, piece_literal(b, b->pieces));
        return pattern_match(a, span_of(bytes, sink.size), NULL);
    }
    bool covers = a->count == b->count;
    for (size_t i = 0; covers && i < a->count; i++) {
        covers = piece_covers(a, b, i);
    }
    return covers;
}

bool template_covers(const struct template *a, const struct template *b)
{
    bool covers =
        a->has_path ? a->segment_count <= b->segment_count : a->segment_count == b->segment_count;
    for (size_t i = 0; covers && i < a->segment_count; i++) {
        struct pattern of_a = pattern_of(a, i);
        struct pattern of_b = pattern_of(b, i);
        covers = pattern_covers(&of_a, &of_b);
    }
    return covers;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool dots_resolve(const struct sink *sink)
{
    return sink->dots == 1 || sink->dots == 2;
}

/* The rest of a path: its slashes remain. False if it does not fit. */
static bool path_write(struct sink *sink, struct span value)
{
    bool is_sound = true;
    size_t begin = 0;
    for (size_t i = 0; is_sound && i <= value.size; i++) {
        if (i < value.size && value.ptr[i] != '/') {
            sink_put_encoded(sink, value.ptr[i]);
            continue;
        }
        is_sound = i != begin && !dots_resolve(sink);
        begin = i + 1;
        if (i < value.size) {
            sink_put(sink, '/');
            sink->dots = 0;
        }
    }
    return is_sound;
}

static bool value_write(struct sink *sink, enum param_type type, struct span value)
{
    if (value.size == 0 || memchr(value.ptr, 0, value.size) != NULL) {
        return false;
    }
    if (type == PARAM_PATH) {
        return path_write(sink, value);
    }
    /* Values are not encoded, and nothing but a text has a "%". */
    if (type != PARAM_TEXT &&
        (memchr(value.ptr, '%', value.size) != NULL || typed_end(type, value, 0) != value.size)) {
        return false;
    }
    sink_put_span(sink, value);
    return true;
}

/* Is what was written divided into these values again? */
static bool pattern_divides(const struct pattern *pattern, struct span written,
                            const struct span *values, size_t *bad)
{
    struct span found[TEMPLATE_PARAMS_MAX];
    bool matches = pattern_match(pattern, written, found);
    ASSERT(matches);
    for (size_t i = 0; i < pattern->count; i++) {
        const struct piece *piece = &pattern->pieces[i];
        if (!piece->is_literal && !piece->is_hidden &&
            literal_end(values[piece->param], found[piece->param], 0) != found[piece->param].size) {
            *bad = piece->param;
            return false;
        }
    }
    return true;
}

static bool pattern_write(struct sink *sink, const struct pattern *pattern,
                          const struct span *values, size_t *bad)
{
    size_t begin = sink->size;
    sink->dots = 0;
    for (size_t i = 0; i < pattern->count; i++) {
        const struct piece *piece = &pattern->pieces[i];
        if (piece->is_literal) {
            sink_put_span(sink, piece_literal(pattern, piece));
            continue;
        }
        *bad = piece->param;
        if (!value_write(sink, (enum param_type)piece->type, values[piece->param])) {
            return false;
        }
    }
    if (dots_resolve(sink)) {
        return false;
    }
    /* What does not fit is not there to be compared; it has to be written again anyway. */
    return pattern->count == 1 || sink->size > sink->capacity ||
           pattern_divides(pattern, span_of(sink->bytes + begin, sink->size - begin), values, bad);
}

int template_write(const struct template *template, const struct span *values,
                   char *text, /* NOLINT(readability-non-const-parameter): the sink writes to it */
                   size_t capacity, size_t *size, size_t *bad)
{
    struct sink sink = {.bytes = (uint8_t *)text, .capacity = capacity};
    for (size_t i = 0; i < template->segment_count; i++) {
        struct pattern pattern = pattern_of(template, i);
        sink_put(&sink, '/');
        if (!pattern_write(&sink, &pattern, values, bad)) {
            return GYR_ERR_ARGUMENT;
        }
    }
    if (template->segment_count == 0 || template->has_slash) {
        sink_put(&sink, '/');
    }
    *size = sink.size;
    return sink.size <= capacity ? 0 : GYR_ERR_LIMIT;
}
