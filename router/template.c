/* SPDX-License-Identifier: MIT */
/* Templates as they are made: parsed from a text, and joined with the template they stand below.
 * Both gather pieces in a draft, which is packed into one allocation at the end. RFC 3986 section
 * 3.3 says what a segment is. */
#include "router/template.h"

#include "engine/engine.h"
#include "proto/http_byte.h"
#include "router/template_piece.h"

#include <stdarg.h>
#include <stdio.h>

#define QUOTE_MAX 100 /* bytes of a template that a line of error shows */

/* A template that grows. */
struct draft {
    struct piece pieces[TEMPLATE_PIECES_MAX];
    struct param params[TEMPLATE_PARAMS_MAX];
    uint8_t segment_ends[TEMPLATE_SEGMENTS_MAX];
    uint8_t text[TEMPLATE_SIZE_MAX];
    uint8_t literals[TEMPLATE_SIZE_MAX];
    size_t text_size;
    size_t literals_size;
    size_t segment_count;
    size_t piece_count;
    size_t param_count;
    bool has_slash;
};

struct parser {
    struct span given; /* for errors */
    struct gyr_error *error;
    struct draft *draft;
    size_t at;    /* in the draft's text */
    size_t added; /* 1: the slash in front was not given */
};

static int text_take(struct parser *parser, bool is_part);
static int segment_parse(struct parser *parser, size_t end);
static int segment_check(struct parser *parser, size_t begin, size_t end);
static int param_parse(struct parser *parser, size_t end);
static int literal_parse(struct parser *parser, size_t end);
static int draft_append(struct draft *draft, const struct template *inner);
static int draft_pack(const struct draft *draft, struct template **template);

int template_parse(struct span text, bool is_part, struct template **template,
                   struct gyr_error *error)
{
    struct draft draft;
    struct parser parser = {.given = text, .error = error, .draft = &draft};
    int err = text_take(&parser, is_part);
    if (err != 0) {
        return err;
    }
    size_t text_end = draft.text_size - draft.has_slash;
    size_t end = draft.text_size == 1 ? text_end : 0; /* the root has no segment */
    while (err == 0 && end != text_end) {
        parser.at = end + 1;
        const uint8_t *slash = memchr(draft.text + parser.at, '/', text_end - parser.at);
        end = slash != NULL ? (size_t)(slash - draft.text) : text_end;
        err = segment_parse(&parser, end);
    }
    return err != 0 ? err : draft_pack(&draft, template);
}

/* ---- errors ---------------------------------------------------------------------------------- */

static const char *quote_more(size_t size)
{
    return size > QUOTE_MAX ? "..." : "";
}

/* Refuse `size` bytes of the draft's text at `at`. */
static int refuse(const struct parser *parser, size_t at, size_t size, const char *why)
{
    struct span given = parser->given;
    const struct draft *draft = parser->draft;
    return ERROR_SET(parser->error, GYR_ERR_ARGUMENT,
                     "template \"%.*s%s\", column %zu, \"%.*s%s\": %s",
                     (int)MIN(given.size, QUOTE_MAX), (const char *)given.ptr,
                     quote_more(given.size), at + 1 - parser->added, (int)MIN(size, QUOTE_MAX / 2),
                     (const char *)draft->text + at, size > QUOTE_MAX / 2 ? "..." : "", why);
}

/* Refuse all of it. */
static int refuse_whole(struct span given, struct gyr_error *error, const char *why)
{
    return ERROR_SET(error, GYR_ERR_ARGUMENT, "template \"%.*s%s\": %s",
                     (int)MIN(given.size, QUOTE_MAX), (const char *)given.ptr,
                     quote_more(given.size), why);
}

/* ---- parsing --------------------------------------------------------------------------------- */

#define TEXT_OF(number)   TEXT_OF_1(number)
#define TEXT_OF_1(number) #number

/* Copy the text, with a slash in front. */
static int text_take(struct parser *parser, bool is_part)
{
    struct span given = parser->given;
    struct draft *draft = parser->draft;
    draft->literals_size = 0;
    draft->segment_count = 0;
    draft->piece_count = 0;
    draft->param_count = 0;
    parser->added = given.size == 0 || given.ptr[0] != '/';
    if (parser->added != 0 && !is_part) {
        return refuse_whole(given, parser->error, "put a slash in front; \"/\" is the root");
    }
    if (given.size + parser->added > TEMPLATE_SIZE_MAX) {
        return refuse_whole(given, parser->error,
                            "too long; " TEXT_OF(TEMPLATE_SIZE_MAX) " bytes are the most");
    }
    draft->text[0] = '/';
    if (given.size != 0) {
        memcpy(draft->text + parser->added, given.ptr, given.size);
    }
    draft->text_size = given.size + parser->added;
    draft->has_slash = draft->text_size > 1 && draft->text[draft->text_size - 1] == '/';
    return 0;
}

static int segment_parse(struct parser *parser, size_t end)
{
    struct draft *draft = parser->draft;
    size_t begin = parser->at;
    if (begin == end) {
        return refuse(parser, begin - 1, 2,
                      "an empty segment is matched by nothing; leave one slash out");
    }
    if (draft->segment_count == TEMPLATE_SEGMENTS_MAX) {
        return refuse(parser, begin, end - begin,
                      "one segment too many; " TEXT_OF(TEMPLATE_SEGMENTS_MAX) " are the most");
    }
    int err = 0;
    do {
        const uint8_t *at = draft->text + parser->at;
        bool is_param = at[0] == '{' && !(parser->at + 1 < end && at[1] == '{');
        err = is_param ? param_parse(parser, end) : literal_parse(parser, end);
    } while (err == 0 && parser->at < end);
    if (err == 0) {
        err = segment_check(parser, begin, end);
    }
    draft->segment_ends[draft->segment_count++] = (uint8_t)draft->piece_count;
    return err;
}

/* Rules about what stands beside what. */
static int segment_check(struct parser *parser, size_t begin, size_t end)
{
    struct draft *draft = parser->draft;
    size_t first = draft->segment_count == 0 ? 0 : draft->segment_ends[draft->segment_count - 1];
    size_t count = draft->piece_count - first;
    const struct piece *pieces = draft->pieces + first;
    struct span literal = span_of(draft->literals + pieces[0].offset, pieces[0].size);
    bool is_path = false;
    if (count == 1 && pieces[0].is_literal &&
        (span_equal(literal, SPAN_LITERAL(".")) || span_equal(literal, SPAN_LITERAL("..")))) {
        return refuse(parser, begin, end - begin,
                      "no request has this segment, since clients resolve it (RFC 3986 section "
                      "5.2.4); leave it out");
    }
    for (size_t i = 0; i < count; i++) {
        is_path = is_path || (!pieces[i].is_literal && pieces[i].type == PARAM_PATH);
        if (i == 0 || pieces[i - 1].is_literal) {
            continue;
        }
        bool is_number = pieces[i - 1].type == PARAM_INT || pieces[i - 1].type == PARAM_UINT;
        if (!pieces[i].is_literal) {
            return refuse(parser, begin, end - begin,
                          "nothing says where the first of two parameters ends; put a literal "
                          "between them");
        }
        if (is_number && http_byte_is(draft->literals[pieces[i].offset], HTTP_BYTE_DIGIT)) {
            return refuse(parser, begin, end - begin,
                          "nothing says where the number ends; begin the literal behind it with "
                          "something else than a digit");
        }
    }
    bool is_last = end == draft->text_size - draft->has_slash;
    if (is_path && (count != 1 || !is_last)) {
        return refuse(parser, begin, end - begin,
                      "a path is a last segment by itself; move it to the end");
    }
    return 0;
}

/* Is this letter, digit or underscore allowed in a name? */
static bool name_has(uint8_t byte, bool is_first)
{
    uint8_t lower = ascii_lower(byte);
    return (lower >= 'a' && lower <= 'z') || byte == '_' ||
           (!is_first && http_byte_is(byte, HTTP_BYTE_DIGIT));
}

static bool name_is_valid(struct span name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (!name_has(name.ptr[i], i == 0)) {
            return false;
        }
    }
    return name.size != 0;
}

static bool type_parse(struct span text, uint8_t *type)
{
    static const struct {
        struct span name;
        enum param_type type;
    } types[] = {
        {SPAN_STATIC("int"), PARAM_INT},
        {SPAN_STATIC("uint"), PARAM_UINT},
        {SPAN_STATIC("uuid"), PARAM_UUID},
        {SPAN_STATIC("path"), PARAM_PATH},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (span_equal(text, types[i].name)) {
            *type = (uint8_t)types[i].type;
            return true;
        }
    }
    return false;
}

static struct span param_name(const uint8_t *text, const struct param *param)
{
    return span_of(text + param->name_offset, param->name_size);
}

/* "{name}" or "{name:type}". */
static int param_parse(struct parser *parser, size_t end)
{
    struct draft *draft = parser->draft;
    size_t begin = parser->at;
    const uint8_t *open = draft->text + begin;
    const uint8_t *close = memchr(open, '}', end - begin);
    if (close == NULL) {
        return refuse(parser, begin, end - begin,
                      "the brace is not closed; put \"}\" behind the name, or write \"{{\" for a "
                      "brace");
    }
    size_t size = (size_t)(close - open) + 1;
    const uint8_t *colon = memchr(open, ':', size);
    struct span name = span_of(open + 1, (size_t)((colon != NULL ? colon : close) - open) - 1);
    struct param param = {
        .name_offset = (uint16_t)(begin + 1), .name_size = (uint16_t)name.size, .type = PARAM_TEXT};
    if (name.size == 0) {
        return refuse(parser, begin, size, "a parameter has a name, as {room}");
    }
    if (!name_is_valid(name)) {
        return refuse(parser, begin, size,
                      "a name is made of letters, digits and \"_\", and does not begin with a "
                      "digit");
    }
    if (colon != NULL &&
        !type_parse(span_of(colon + 1, (size_t)(close - colon) - 1), &param.type)) {
        return refuse(parser, begin, size,
                      "unknown type; there are int, uint, uuid and path, and text without a colon");
    }
    for (size_t i = 0; i < draft->param_count; i++) {
        if (span_equal(name, param_name(draft->text, &draft->params[i]))) {
            return refuse(parser, begin, size, "this name comes twice; rename one of them");
        }
    }
    if (draft->param_count == TEMPLATE_PARAMS_MAX) {
        return refuse(parser, begin, size,
                      "one parameter too many; " TEXT_OF(TEMPLATE_PARAMS_MAX) " are the most");
    }
    draft->pieces[draft->piece_count++] =
        (struct piece){.type = param.type, .param = (uint8_t)draft->param_count};
    draft->params[draft->param_count++] = param;
    parser->at = begin + size;
    return 0;
}

/* Why this byte cannot stand in a literal, or NULL. `size`: how much to show. */
static const char *literal_fault(struct span rest, size_t *size)
{
    uint8_t byte = rest.ptr[0];
    *size = 1;
    if (byte < ' ' || byte == 0x7f) {
        return "a control character; leave it out";
    }
    if (byte == '?') {
        return "the query is no part of a path; leave it out, handlers read it from the request";
    }
    if (byte == '}' && (rest.size < 2 || rest.ptr[1] != '}')) {
        return "this brace closes nothing; leave it out, or write \"}}\" for a brace";
    }
    if (byte == '%' && rest.size >= 3 && http_byte_is(rest.ptr[1], HTTP_BYTE_HEX) &&
        http_byte_is(rest.ptr[2], HTTP_BYTE_HEX)) {
        *size = 3;
        return "literals are compared with what a request says after decoding; write the character "
               "itself";
    }
    return NULL;
}

/* Up to the next parameter. */
static int literal_parse(struct parser *parser, size_t end)
{
    struct draft *draft = parser->draft;
    size_t offset = draft->literals_size;
    size_t at = parser->at;
    while (at < end) {
        const uint8_t *bytes = draft->text + at;
        bool is_pair = at + 1 < end && bytes[1] == bytes[0];
        if (bytes[0] == '{' && !is_pair) {
            break;
        }
        size_t size;
        const char *fault = literal_fault(span_of(bytes, end - at), &size);
        if (fault != NULL) {
            return refuse(parser, at, size, fault);
        }
        draft->literals[draft->literals_size++] = bytes[0];
        at += bytes[0] == '{' || bytes[0] == '}' ? 2 : 1;
    }
    draft->pieces[draft->piece_count++] =
        (struct piece){.offset = (uint16_t)offset,
                       .size = (uint16_t)(draft->literals_size - offset),
                       .is_literal = true};
    parser->at = at;
    return 0;
}

/* ---- joining --------------------------------------------------------------------------------- */

int template_join(const struct template *outer, const struct template *inner,
                  struct template **joined, struct gyr_error *error)
{
    struct draft draft;
    draft.text_size = 0;
    draft.literals_size = 0;
    draft.segment_count = 0;
    draft.piece_count = 0;
    draft.param_count = 0;
    draft.has_slash = false;
    int err = draft_append(&draft, outer);
    if (err == 0 && inner->segment_count != 0) {
        if (outer->has_path) {
            return refuse_whole(template_text(outer), error,
                                "nothing can stand below the rest of a path; use another type than "
                                "path");
        }
        err = draft_append(&draft, inner);
    }
    if (err != 0) {
        char why[160];
        (void)snprintf(
            why, sizeof(why),
            "with \"%.*s%s\" below it is too much; " TEXT_OF(TEMPLATE_SIZE_MAX) " bytes, " TEXT_OF(
                TEMPLATE_SEGMENTS_MAX) " segments and " TEXT_OF(TEMPLATE_PARAMS_MAX) " parameters "
                                                                                     "are the most",
            (int)MIN(inner->text_size, QUOTE_MAX / 2), (const char *)inner->text,
            inner->text_size > QUOTE_MAX / 2 ? "..." : "");
        return refuse_whole(template_text(outer), error, why);
    }
    return draft_pack(&draft, joined);
}

/* Take the names that an inner template has, too, away from a draft. `places` says where the
 * draft's parameters are then; those of the inner one follow. Returns how many are left. */
static size_t draft_hide(const struct draft *draft, const struct template *inner,
                         uint8_t places[TEMPLATE_PARAMS_MAX], bool hidden[TEMPLATE_PARAMS_MAX])
{
    size_t left = 0;
    for (size_t i = 0; i < draft->param_count; i++) {
        struct span name = param_name(draft->text, &draft->params[i]);
        hidden[i] = false;
        for (size_t k = 0; k < inner->param_count; k++) {
            if (span_equal(name, param_name(inner->text, &inner->params[k]))) {
                hidden[i] = true;
                places[i] = (uint8_t)k; /* among the inner ones */
            }
        }
        if (!hidden[i]) {
            places[i] = (uint8_t)left++;
        }
    }
    for (size_t i = 0; i < draft->param_count; i++) {
        places[i] = (uint8_t)(places[i] + (hidden[i] ? left : 0));
    }
    return left;
}

/* GYR_ERR_LIMIT past a maximum. */
static int draft_append(struct draft *draft, const struct template *inner)
{
    size_t text_size = draft->text_size - draft->has_slash;
    uint8_t places[TEMPLATE_PARAMS_MAX];
    bool hidden[TEMPLATE_PARAMS_MAX];
    /* The root's only slash is that of the first segment behind it. */
    text_size = draft->segment_count == 0 ? 0 : text_size;
    size_t left = draft_hide(draft, inner, places, hidden);
    if (text_size + inner->text_size > TEMPLATE_SIZE_MAX ||
        draft->segment_count + inner->segment_count > TEMPLATE_SEGMENTS_MAX ||
        draft->piece_count + inner->piece_count > TEMPLATE_PIECES_MAX ||
        left + inner->param_count > TEMPLATE_PARAMS_MAX) {
        return GYR_ERR_LIMIT;
    }
    for (size_t i = 0; i < draft->piece_count; i++) {
        struct piece *piece = &draft->pieces[i];
        if (!piece->is_literal) {
            piece->is_hidden = piece->is_hidden || hidden[piece->param];
            piece->param = places[piece->param];
        }
    }
    for (size_t i = 0; i < draft->param_count; i++) {
        if (!hidden[i]) {
            draft->params[places[i]] = draft->params[i];
        }
    }
    for (size_t i = 0; i < inner->param_count; i++) {
        draft->params[left + i] = inner->params[i];
        draft->params[left + i].name_offset = (uint16_t)(inner->params[i].name_offset + text_size);
    }
    draft->param_count = left + inner->param_count;
    for (size_t i = 0; i < inner->segment_count; i++) {
        draft->segment_ends[draft->segment_count++] =
            (uint8_t)(draft->piece_count + inner->segment_ends[i]);
    }
    for (size_t i = 0; i < inner->piece_count; i++) {
        struct piece piece = inner->pieces[i];
        piece.offset = (uint16_t)(piece.offset + draft->literals_size);
        piece.param = (uint8_t)(piece.param + left);
        draft->pieces[draft->piece_count++] = piece;
    }
    memcpy(draft->text + text_size, inner->text, inner->text_size);
    memcpy(draft->literals + draft->literals_size, inner->literals, inner->literals_size);
    draft->text_size = text_size + inner->text_size;
    draft->literals_size += inner->literals_size;
    draft->has_slash = inner->has_slash;
    return 0;
}

/* ---- packing --------------------------------------------------------------------------------- */

static const void *pack(uint8_t **at, const void *bytes, size_t size)
{
    uint8_t *copy = *at;
    if (size != 0) {
        memcpy(copy, bytes, size);
    }
    *at = copy + size;
    return copy;
}

/* Is each segment one piece, and each parameter one of the template's? */
static bool draft_is_plain(const struct draft *draft)
{
    for (size_t i = 0; i < draft->piece_count; i++) {
        const struct piece *piece = &draft->pieces[i];
        if (!piece->is_literal &&
            (piece->is_hidden || (piece->type != PARAM_TEXT && piece->type != PARAM_PATH))) {
            return false;
        }
    }
    return draft->piece_count == draft->segment_count;
}

static int draft_pack(const struct draft *draft, struct template **template)
{
    size_t pieces_size = draft->piece_count * sizeof(struct piece);
    size_t params_size = draft->param_count * sizeof(struct param);
    struct template *made =
        memory_take(sizeof(*made) + pieces_size + params_size + draft->segment_count +
                    draft->text_size + draft->literals_size);
    if (made == NULL) {
        return GYR_ERR_MEMORY;
    }
    /* What wants alignment first. */
    static_assert(_Alignof(struct piece) == 2 && _Alignof(struct param) == 2, "packed in a row");
    uint8_t *at = (uint8_t *)(made + 1);
    const struct piece *last = draft->pieces + draft->piece_count - 1;
    *made = (struct template){
        .text_size = (uint16_t)draft->text_size,
        .literals_size = (uint16_t)draft->literals_size,
        .segment_count = (uint8_t)draft->segment_count,
        .piece_count = (uint8_t)draft->piece_count,
        .param_count = (uint8_t)draft->param_count,
        .has_slash = draft->has_slash,
        .has_path = draft->piece_count != 0 && !last->is_literal && last->type == PARAM_PATH,
        .is_plain = draft_is_plain(draft),
    };
    made->pieces = pack(&at, draft->pieces, pieces_size);
    made->params = pack(&at, draft->params, params_size);
    made->segment_ends = pack(&at, draft->segment_ends, draft->segment_count);
    made->text = pack(&at, draft->text, draft->text_size);
    made->literals = pack(&at, draft->literals, draft->literals_size);
    *template = made;
    return 0;
}

void template_destroy(struct template *template)
{
    memory_free(template);
}

/* ---- asking ---------------------------------------------------------------------------------- */

struct span template_text(const struct template *template)
{
    return span_of(template->text, template->text_size);
}

bool template_is_root(const struct template *template)
{
    return template->segment_count == 0;
}

size_t template_param_count(const struct template *template)
{
    return template->param_count;
}

struct template_param template_param(const struct template *template, size_t index)
{
    ASSERT(index < template->param_count);
    const struct param *param = &template->params[index];
    return (struct template_param){
        .name = param_name(template->text, param),
        .type = (enum param_type)param->type,
    };
}

bool template_equals(const struct template *a, const struct template *b)
{
    return span_equal(span_of(a->text, a->text_size - (size_t)a->has_slash),
                      span_of(b->text, b->text_size - (size_t)b->has_slash));
}

size_t template_segment_count(const struct template *template)
{
    return template->segment_count;
}

bool template_has_path(const struct template *template)
{
    return template->has_path;
}

bool template_is_plain(const struct template *template)
{
    return template->is_plain;
}

bool template_segment_literal(const struct template *template, size_t index, struct span *literal)
{
    const struct piece *piece = &template->pieces[segment_begin(template, index)];
    /* Two literals never stand side by side. */
    *literal = span_of(template->literals + piece->offset, piece->size);
    return piece->is_literal && template->segment_ends[index] - segment_begin(template, index) == 1;
}
