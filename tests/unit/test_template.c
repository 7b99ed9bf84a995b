/* SPDX-License-Identifier: MIT */
/* Templates: what is accepted, the exact line for what is not, joining, covering, and paths that
 * are written and found again. */
#include "router/template.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

static struct span text_of(const char *text)
{
    return span_of(text, strlen(text));
}

static struct template *parse(const char *text)
{
    struct template *template = NULL;
    struct gyr_error error = {.text = ""};
    int err = template_parse(text_of(text), true, &template, &error);
    EXPECT_INT(err, 0, text);
    EXPECT_SPAN(text_of(error.text), "", text);
    ASSERT(template != NULL);
    return template;
}

/* ---- parsing --------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *error;
} refused[] = {
    {"", "template \"\": put a slash in front; \"/\" is the root"},
    {"rooms", "template \"rooms\": put a slash in front; \"/\" is the root"},
    {"{x}/", "template \"{x}/\": put a slash in front; \"/\" is the root"},
    {"//", "template \"//\", column 1, \"//\": an empty segment is matched by nothing; leave one "
           "slash out"},
    {"//a", "template \"//a\", column 1, \"//\": an empty segment is matched by nothing; leave "
            "one slash out"},
    {"/a//b", "template \"/a//b\", column 3, \"//\": an empty segment is matched by nothing; "
              "leave one slash out"},
    {"/a//", "template \"/a//\", column 3, \"//\": an empty segment is matched by nothing; leave "
             "one slash out"},
    {"/rooms/{}", "template \"/rooms/{}\", column 8, \"{}\": a parameter has a name, as {room}"},
    {"/{:int}", "template \"/{:int}\", column 2, \"{:int}\": a parameter has a name, as {room}"},
    {"/{1x}", "template \"/{1x}\", column 2, \"{1x}\": a name is made of letters, digits and "
              "\"_\", and does not begin with a digit"},
    {"/{a b}", "template \"/{a b}\", column 2, \"{a b}\": a name is made of letters, digits and "
               "\"_\", and does not begin with a digit"},
    {"/{a-b}", "template \"/{a-b}\", column 2, \"{a-b}\": a name is made of letters, digits and "
               "\"_\", and does not begin with a digit"},
    {"/{ x}", "template \"/{ x}\", column 2, \"{ x}\": a name is made of letters, digits and "
              "\"_\", and does not begin with a digit"},
    {"/{\xC3\xA9}", "template \"/{\xC3\xA9}\", column 2, \"{\xC3\xA9}\": a name is made of "
                    "letters, digits and \"_\", and does not begin with a digit"},
    {"/{a{b}", "template \"/{a{b}\", column 2, \"{a{b}\": a name is made of letters, digits and "
               "\"_\", and does not begin with a digit"},
    {"/{x}/{x}", "template \"/{x}/{x}\", column 6, \"{x}\": this name comes twice; rename one of "
                 "them"},
    {"/{x}-{x:int}", "template \"/{x}-{x:int}\", column 6, \"{x:int}\": this name comes twice; "
                     "rename one of them"},
    {"/{x", "template \"/{x\", column 2, \"{x\": the brace is not closed; put \"}\" behind the "
            "name, or write \"{{\" for a brace"},
    {"/a{", "template \"/a{\", column 3, \"{\": the brace is not closed; put \"}\" behind the "
            "name, or write \"{{\" for a brace"},
    {"/{x/y}", "template \"/{x/y}\", column 2, \"{x\": the brace is not closed; put \"}\" behind "
               "the name, or write \"{{\" for a brace"},
    {"/x}", "template \"/x}\", column 3, \"}\": this brace closes nothing; leave it out, or write "
            "\"}}\" for a brace"},
    {"/{x}}", "template \"/{x}}\", column 5, \"}\": this brace closes nothing; leave it out, or "
              "write \"}}\" for a brace"},
    {"/}/}", "template \"/}/}\", column 2, \"}\": this brace closes nothing; leave it out, or "
             "write \"}}\" for a brace"},
    {"/{x:float}", "template \"/{x:float}\", column 2, \"{x:float}\": unknown type; there are "
                   "int, uint, uuid and path, and text without a colon"},
    {"/{x:}", "template \"/{x:}\", column 2, \"{x:}\": unknown type; there are int, uint, uuid "
              "and path, and text without a colon"},
    {"/{x:Int}", "template \"/{x:Int}\", column 2, \"{x:Int}\": unknown type; there are int, "
                 "uint, uuid and path, and text without a colon"},
    {"/{x:int:int}", "template \"/{x:int:int}\", column 2, \"{x:int:int}\": unknown type; there "
                     "are int, uint, uuid and path, and text without a colon"},
    {"/{x:path}/b", "template \"/{x:path}/b\", column 2, \"{x:path}\": a path is a last segment "
                    "by itself; move it to the end"},
    {"/a{x:path}", "template \"/a{x:path}\", column 2, \"a{x:path}\": a path is a last segment by "
                   "itself; move it to the end"},
    {"/{x:path}b", "template \"/{x:path}b\", column 2, \"{x:path}b\": a path is a last segment by "
                   "itself; move it to the end"},
    {"/{x}{y}", "template \"/{x}{y}\", column 2, \"{x}{y}\": nothing says where the first of two "
                "parameters ends; put a literal between them"},
    {"/a/{n:int}{x}/b", "template \"/a/{n:int}{x}/b\", column 4, \"{n:int}{x}\": nothing says "
                        "where the first of two parameters ends; put a literal between them"},
    {"/{n:int}0", "template \"/{n:int}0\", column 2, \"{n:int}0\": nothing says where the number "
                  "ends; begin the literal behind it with something else than a digit"},
    {"/{n:uint}9{x}", "template \"/{n:uint}9{x}\", column 2, \"{n:uint}9{x}\": nothing says where "
                      "the number ends; begin the literal behind it with something else than a "
                      "digit"},
    {"/.", "template \"/.\", column 2, \".\": no request has this segment, since clients resolve "
           "it (RFC 3986 section 5.2.4); leave it out"},
    {"/a/../b", "template \"/a/../b\", column 4, \"..\": no request has this segment, since "
                "clients resolve it (RFC 3986 section 5.2.4); leave it out"},
    {"/a\tb", "template \"/a?b\", column 3, \"?\": a control character; leave it out"},
    {"/\x7f", "template \"/?\", column 2, \"?\": a control character; leave it out"},
    {"/a?b", "template \"/a?b\", column 3, \"?\": the query is no part of a path; leave it out, "
             "handlers read it from the request"},
    {"/a%20b", "template \"/a%20b\", column 3, \"%20\": literals are compared with what a request "
               "says after decoding; write the character itself"},
    {"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}",
     "template \"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}\", "
     "column "
     "66, \"{q}\": one parameter too many; 16 are the most"},
    {"/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3/4/5/6/7",
     "template \"/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/1/2/3/4/5/6/7\", column "
     "66, \"7\": one segment too many; 32 are the most"},
};

void template_parse_names_what_is_wrong_and_the_mend(void)
{
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct template *template = NULL;
        struct gyr_error error = {.text = ""};
        uint8_t *copy = guard_copy(refused[i].text, strlen(refused[i].text));
        struct span text = span_of(copy, strlen(refused[i].text));
        EXPECT_INT(template_parse(text, false, &template, &error), GYR_ERR_ARGUMENT,
                   refused[i].text);
        EXPECT_SPAN(text_of(error.text), refused[i].error, refused[i].text);
        EXPECT(template == NULL, refused[i].text);
        EXPECT_INT(template_parse(text, false, &template, NULL), GYR_ERR_ARGUMENT,
                   "without a line");
        guard_free(copy);
    }
}

void template_parse_refuses_what_is_too_long_or_has_a_nul(void)
{
    char text[TEMPLATE_SIZE_MAX + 1];
    struct template *template = NULL;
    struct gyr_error error = {.text = ""};
    memset(text, 'a', sizeof(text));
    text[0] = '/';
    EXPECT_INT(template_parse(span_of(text, TEMPLATE_SIZE_MAX), false, &template, &error), 0,
               "the longest");
    EXPECT_INT(template_text(template).size, TEMPLATE_SIZE_MAX, "all of it");
    template_destroy(template);
    EXPECT_INT(template_parse(span_of(text, TEMPLATE_SIZE_MAX + 1), false, &template, &error),
               GYR_ERR_ARGUMENT, "one byte more");
    EXPECT(strstr(error.text, "aaa...\": too long; 1024 bytes are the most") != NULL, error.text);
    EXPECT_INT(template_parse(span_of(text + 1, TEMPLATE_SIZE_MAX), true, &template, &error),
               GYR_ERR_ARGUMENT, "with the slash one byte more");
    EXPECT_INT(template_parse(span_of("/a\0b", 4), false, &template, &error), GYR_ERR_ARGUMENT,
               "a NUL");
    EXPECT(strstr(error.text, "a control character; leave it out") != NULL, error.text);
}

void template_parse_takes_templates_apart(void)
{
    static const struct {
        const char *text;
        size_t segment_count;
        const char *params; /* "name:type," for each */
        bool has_path;
        bool is_plain;
    } rows[] = {
        {"/", 0, "", false, true},
        {"/a", 1, "", false, true},
        {"/a/", 1, "", false, true},
        {"/a.b", 1, "", false, true},
        {"/a b/caf\xC3\xA9/\xFF", 3, "", false, true},
        {"/a%/%2/%zz/#", 4, "", false, true},
        {"/.../..a/.a", 3, "", false, true},
        {"/{{x}}", 1, "", false, true},
        {"/rooms/{room}", 2, "room:0,", false, true},
        {"/{_a1}/{B:int}/{c:uint}/{d:uuid}/{e:path}/", 5, "_a1:0,B:1,c:2,d:3,e:4,", true, false},
        {"/{a}/{e:path}", 2, "a:0,e:4,", true, true},
        {"/{x}-{y}", 1, "x:0,y:0,", false, false},
        {"/{{{x}}}", 1, "x:0,", false, false},
        {"/v{n:int}.{m:int}", 1, "n:1,m:1,", false, false},
        {"/{n:uuid}0", 1, "n:3,", false, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char params[128] = "";
        struct template *template = NULL;
        EXPECT_INT(template_parse(text_of(rows[i].text), false, &template, NULL), 0, rows[i].text);
        ASSERT(template != NULL);
        EXPECT_SPAN(template_text(template), rows[i].text, rows[i].text);
        EXPECT_INT(template_segment_count(template), rows[i].segment_count, rows[i].text);
        EXPECT_INT(template_is_root(template), rows[i].segment_count == 0, rows[i].text);
        EXPECT_INT(template_has_path(template), rows[i].has_path, rows[i].text);
        EXPECT_INT(template_is_plain(template), rows[i].is_plain, rows[i].text);
        for (size_t k = 0; k < template_param_count(template); k++) {
            struct template_param param = template_param(template, k);
            size_t at = strlen(params);
            (void)snprintf(params + at, sizeof(params) - at, "%.*s:%u,", (int)param.name.size,
                           (const char *)param.name.ptr, param.type);
        }
        EXPECT_SPAN(text_of(params), rows[i].params, rows[i].text);
        template_destroy(template);
    }
}

void template_parse_puts_a_slash_before_a_part(void)
{
    static const char *const rows[][2] = {
        {"", "/"}, {"/", "/"}, {"a", "/a"}, {"/a", "/a"}, {"a/{b}/", "/a/{b}/"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct template *template = parse(rows[i][0]);
        EXPECT_SPAN(template_text(template), rows[i][1], rows[i][0]);
        template_destroy(template);
    }
    struct template *template = NULL;
    struct gyr_error error;
    EXPECT_INT(template_parse(SPAN_LITERAL("a/{}"), true, &template, &error), GYR_ERR_ARGUMENT, "");
    EXPECT_SPAN(text_of(error.text),
                "template \"a/{}\", column 3, \"{}\": a parameter has a name, as {room}",
                "columns are those of what was given");
}

/* ---- joining and comparing ------------------------------------------------------------------- */

void template_join_puts_one_below_the_other(void)
{
    static const struct {
        const char *outer;
        const char *inner;
        const char *joined;
        const char *params;
        const char *path; /* for the values a, b, c */
    } rows[] = {
        {"/", "/", "/", "", "/"},
        {"/", "/x/", "/x/", "", "/x/"},
        {"/api", "/", "/api", "", "/api"},
        {"/api/", "", "/api/", "", "/api/"},
        {"/api/", "rooms", "/api/rooms", "", "/api/rooms"},
        {"/api", "{x}-{y}/", "/api/{x}-{y}/", "x,y,", "/api/a-b/"},
        {"/parent/{pid}", "child/{cid}", "/parent/{pid}/child/{cid}", "pid,cid,",
         "/parent/a/child/b"},
        {"/{id}/{x}", "{id}", "/{id}/{x}/{id}", "x,id,", "/b/a/b"},
        {"/{id}{{/{x}", "{y}/{id}", "/{id}{{/{x}/{y}/{id}", "x,y,id,", "/c%7B/a/b/c"},
        {"/{t}", "files/{f:path}", "/{t}/files/{f:path}", "t,f,", "/a/files/b"},
    };
    static const struct span values[] = {SPAN_STATIC("a"), SPAN_STATIC("b"), SPAN_STATIC("c")};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct template *outer = parse(rows[i].outer);
        struct template *inner = parse(rows[i].inner);
        struct template *joined = NULL;
        char params[64] = "";
        char path[64];
        size_t size = 0;
        size_t bad;
        EXPECT_INT(template_join(outer, inner, &joined, NULL), 0, rows[i].joined);
        ASSERT(joined != NULL);
        template_destroy(outer);
        template_destroy(inner);
        EXPECT_SPAN(template_text(joined), rows[i].joined, rows[i].joined);
        for (size_t k = 0; k < template_param_count(joined); k++) {
            struct span name = template_param(joined, k).name;
            size_t at = strlen(params);
            (void)snprintf(params + at, sizeof(params) - at, "%.*s,", (int)name.size,
                           (const char *)name.ptr);
        }
        EXPECT_SPAN(text_of(params), rows[i].params, rows[i].joined);
        EXPECT_INT(template_write(joined, values, path, sizeof(path), &size, &bad), 0,
                   rows[i].joined);
        EXPECT_SPAN(span_of(path, size), rows[i].path, rows[i].joined);
        template_destroy(joined);
    }
}

void template_join_hides_a_name_at_any_depth(void)
{
    struct template *joined = parse("/{a:int}/{b}");
    for (unsigned i = 0; i < 3; i++) {
        struct template *inner = parse("{a}/{c}");
        struct template *next = NULL;
        EXPECT_INT(template_join(joined, inner, &next, NULL), 0, "");
        ASSERT(next != NULL);
        template_destroy(joined);
        template_destroy(inner);
        joined = next;
    }
    EXPECT_SPAN(template_text(joined), "/{a:int}/{b}/{a}/{c}/{a}/{c}/{a}/{c}", "");
    EXPECT_INT(template_param_count(joined), 3, "");
    EXPECT_SPAN(template_param(joined, 0).name, "b", "");
    EXPECT_SPAN(template_param(joined, 1).name, "a", "");
    EXPECT_SPAN(template_param(joined, 2).name, "c", "");
    EXPECT(!template_is_plain(joined), "what is hidden is no value");
    struct span values[TEMPLATE_PARAMS_MAX];
    values[1] = span_of(NULL, 0);
    EXPECT(template_segment_match(joined, 0, SPAN_LITERAL("7"), values), "a hidden int is matched");
    EXPECT(!template_segment_match(joined, 0, SPAN_LITERAL("x"), values), "and keeps its type");
    EXPECT(values[1].ptr == NULL, "it gives no value");
    static const struct span texts[] = {SPAN_STATIC("b"), SPAN_STATIC("x"), SPAN_STATIC("c")};
    char path[64];
    size_t size;
    size_t bad = 9;
    EXPECT_INT(template_write(joined, texts, path, sizeof(path), &size, &bad), GYR_ERR_ARGUMENT,
               "the inner one's value does not fit the outer one's type");
    EXPECT_INT(bad, 1, "");
    template_destroy(joined);
}

void template_join_refuses_what_is_too_much(void)
{
    char text[TEMPLATE_SIZE_MAX / 2 + 1];
    struct gyr_error error;
    struct template *joined = NULL;
    memset(text, 'a', sizeof(text));
    struct template *path = parse("/{x:path}");
    struct template *a = parse("/a");
    struct template *root = parse("/");
    EXPECT_INT(template_join(path, a, &joined, &error), GYR_ERR_ARGUMENT, "");
    EXPECT_SPAN(text_of(error.text),
                "template \"/{x:path}\": nothing can stand below the rest of a path; use another "
                "type than path",
                "");
    EXPECT_INT(template_join(path, root, &joined, &error), 0, "the root adds nothing");
    template_destroy(joined);
    template_destroy(path);
    template_destroy(root);
    struct template *half = NULL;
    EXPECT_INT(template_parse(span_of(text, sizeof(text)), true, &half, &error), 0, "");
    EXPECT_INT(template_join(half, half, &joined, &error), GYR_ERR_ARGUMENT, "too long");
    template_destroy(half);
    struct template *params = parse("/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}");
    struct template *others = parse("/{p}/{q}/{r}/{s}/{t}/{u}/{v}/{w}");
    EXPECT_INT(template_join(params, others, &joined, &error), GYR_ERR_ARGUMENT, "params");
    EXPECT_SPAN(
        text_of(error.text),
        "template \"/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}\": with "
        "\"/{p}/{q}/{r}/{s}/{t}/{u}/{v}/{w}\" below it is too much; 1024 bytes, 32 segments "
        "and 16 parameters are the most",
        "");
    EXPECT_INT(template_join(params, params, &joined, &error), 0, "names of its own are no more");
    EXPECT_INT(template_param_count(joined), 9, "");
    template_destroy(joined);
    template_destroy(params);
    template_destroy(others);
    struct template *deep =
        parse("/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a");
    EXPECT_INT(template_join(deep, a, &joined, &error), GYR_ERR_ARGUMENT, "segments");
    template_destroy(deep);
    template_destroy(a);
}

void template_equals_but_for_a_trailing_slash(void)
{
    static const struct {
        const char *a;
        const char *b;
        bool equal;
    } rows[] = {
        {"/", "/", true},
        {"/a", "/a/", true},
        {"/a/{x}", "/a/{x}/", true},
        {"/a/{x}", "/a/{y}", false},
        {"/a", "/A", false},
        {"/", "/a", false},
        {"/a/b", "/a", false},
        {"/{x}", "/{x:int}", false},
        {"/a", "/ab", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct template *a = parse(rows[i].a);
        struct template *b = parse(rows[i].b);
        EXPECT_INT(template_equals(a, b), rows[i].equal, rows[i].a);
        EXPECT_INT(template_equals(b, a), rows[i].equal, rows[i].a);
        template_destroy(a);
        template_destroy(b);
    }
}

void template_covers_what_it_takes_all_of(void)
{
    static const struct {
        const char *a;
        const char *b;
        bool covers;
    } rows[] = {
        {"/", "/", true},
        {"/a", "/a/", true},
        {"/a/{x}", "/a/{y}", true},
        {"/a/{x}", "/a/b", true},
        {"/a/{x}", "/a/{y:int}", true},
        {"/a/{x}", "/a/{y}-{z}", true},
        {"/a/{x}", "/a/v{z}", true},
        {"/{n:int}", "/42", true},
        {"/{n:int}", "/-42", true},
        {"/{n:uint}", "/42", true},
        {"/{n:int}", "/{m:int}", true},
        {"/{x}-{y}", "/a-b", true},
        {"/{x}-{y}", "/{n:int}-{m:uuid}", true},
        {"/v{x}", "/v1", true},
        {"/100%{x}", "/100%1", true},
        {"/v{x}", "/v{y}", true},
        {"/{x:path}", "/a", true},
        {"/{x:path}", "/a/b/c", true},
        {"/{x:path}", "/{y}/{z:path}", true},
        {"/a/{x:path}", "/a/{y:path}", true},
        {"/a/{x}/{p:path}", "/a/b/c/d", true},
        {"/{a}/{b}", "/{b}/{a}", true},
        {"/", "/a", false},
        {"/a", "/", false},
        {"/a", "/A", false},
        {"/a/b", "/a/{x}", false},
        {"/{x}", "/{y:path}", false},
        {"/{x}", "/a/b", false},
        {"/{n:int}", "/x", false},
        {"/{n:int}", "/007", false},
        {"/{n:uint}", "/-42", false},
        {"/{n:int}", "/{m:uint}", false},
        {"/{n:uint}", "/{m:int}", false},
        {"/{n:int}", "/{x}", false},
        {"/{x:path}", "/", false},
        {"/a/{x:path}", "/a", false},
        {"/a/{x:path}", "/{y:path}", false},
        {"/a/{x:path}", "/b/{y:path}", false},
        {"/v{x}", "/v", false},
        {"/v{x}", "/{x}", false},
        {"/v{x}", "/w{x}", false},
        {"/{x}-{y}", "/{x}_{y}", false},
        {"/{x}-{n:int}", "/{x}-{y}", false},
        {"/{x}-{y}", "/-b", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct template *a = parse(rows[i].a);
        struct template *b = parse(rows[i].b);
        EXPECT_INT(template_covers(a, b), rows[i].covers, rows[i].a);
        template_destroy(a);
        template_destroy(b);
    }
}

/* ---- matching -------------------------------------------------------------------------------- */

/* Values as "a|b", or NULL for no match. */
static void expect_segment(const char *text, const char *raw, const char *expected)
{
    struct template *template = parse(text);
    struct span values[TEMPLATE_PARAMS_MAX];
    uint8_t *copy = guard_copy(raw, strlen(raw));
    char found[256] = "";
    bool matches = template_segment_match(template, 0, span_of(copy, strlen(raw)), values);
    EXPECT_INT(matches, expected != NULL, raw);
    for (size_t i = 0; matches && i < template_param_count(template); i++) {
        size_t at = strlen(found);
        (void)snprintf(found + at, sizeof(found) - at, "%s%.*s", i == 0 ? "" : "|",
                       (int)values[i].size, (const char *)values[i].ptr);
    }
    if (matches && expected != NULL) {
        EXPECT_SPAN(text_of(found), expected, raw);
    }
    guard_free(copy);
    template_destroy(template);
}

void template_segment_match_lets_the_leftmost_take_most(void)
{
    static const char *const rows[][3] = {
        {"/{x}", "a", "a"},
        {"/{x}", "a%2Fb", "a%2Fb"},
        {"/{x}", "", NULL},
        {"/{x}-{y}", "a-b", "a|b"},
        {"/{x}-{y}", "a-b-c", "a-b|c"},
        {"/{x}-{y}", "a--b", "a-|b"},
        {"/{x}-{y}", "---", "-|-"},
        {"/{x}-{y}", "a%2Db", "a|b"},
        {"/{x}-{y}", "%61%2D%2d%62", "%61%2D|%62"},
        {"/{x}D{y}", "a%2Db", NULL},
        {"/{x}2{y}", "a%2Db", NULL},
        {"/{x}D{y}", "a%2DDb", "a%2D|b"},
        {"/{x}-{y}", "--", NULL},
        {"/{x}-{y}", "-b", NULL},
        {"/{x}-{y}", "a-", NULL},
        {"/{x}-{y}", "ab", NULL},
        {"/{x}-{y}", "-", NULL},
        {"/{x}ab{y}", "aabab", "a|ab"},
        {"/{x}ab{y}", "abab", NULL},
        {"/{x}ab{y}", "aababa", "aab|a"},
        {"/{x}aa{y}", "aaaa", "a|a"},
        {"/{x}aa{y}", "aaaaa", "aa|a"},
        {"/pre{x}post", "preApost", "A"},
        {"/pre{x}post", "prepostpost", "post"},
        {"/pre{x}post", "prepost", NULL},
        {"/pre{x}post", "preApos", NULL},
        {"/pre{x}post", "repApost", NULL},
        {"/{a}-{b}-{c}", "1-2-3-4", "1-2|3|4"},
        {"/{a}-{b}_{c}", "1-2_3-4_5", "1-2_3|4|5"},
        {"/{a}-{b}_{c}", "1-2_3-4", "1|2|3-4"},
        {"/{a}.{b:int}", "x.1.2", "x.1|2"},
        {"/{a}-{b:int}", "x--2", "x-|2"},
        {"/{a}-{b:int}", "--2", "-|2"},
        {"/{a}-{b:int}", "x-2-y", NULL},
        {"/{a}-{b:int}-{c}", "x-y-1-2-z", "x-y-1|2|z"},
        {"/{a}-{b:int}-{c}", "x-y-1-z", "x-y|1|z"},
        {"/{a}-{b:int}-{c}", "x-1y-z", NULL},
        {"/{n:int}x{m:int}", "1x2", "1|2"},
        {"/{n:int}x{m:int}", "1x-2", "1|-2"},
        {"/{n:int}-{m:int}", "-1--2", "-1|-2"},
        {"/{n:int}-{m:int}", "1x2", NULL},
        {"/{n:int}-{x}", "1-2-3", "1|2-3"},
        {"/{n:int}%%{x}", "1%25%25%25", "1|%25"},
        {"/{x}{{{y}", "a%7Bb", "a|b"},
        {"/{x}}}{y}", "a%7db", "a|b"},
        {"/{u:uuid}0{x}", "01234567-89ab-cdef-0123-456789abcdef0x",
         "01234567-89ab-cdef-0123-456789abcdef|x"},
        {"/{x}\xC3\xA9{y}", "a%C3%A9b", "a|b"},
        {"/{x}\xC3\xA9{y}",
         "a\xC3\xA9"
         "b",
         "a|b"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_segment(rows[i][0], rows[i][1], rows[i][2]);
    }
}

void template_segment_match_knows_what_a_type_takes(void)
{
    static const char *const rows[][3] = {
        {"/{n:int}", "0", "0"},
        {"/{n:int}", "42", "42"},
        {"/{n:int}", "-42", "-42"},
        {"/{n:int}", "%34%32", "%34%32"},
        {"/{n:int}", "%2D1", "%2D1"},
        {"/{n:int}", "9223372036854775807", "9223372036854775807"},
        {"/{n:int}", "-9223372036854775808", "-9223372036854775808"},
        {"/{n:int}", "9223372036854775808", NULL},
        {"/{n:int}", "-9223372036854775809", NULL},
        {"/{n:int}", "99999999999999999999999999999999", NULL},
        {"/{n:int}", "18446744073709551617", NULL},
        {"/{n:int}", "-0", NULL},
        {"/{n:int}", "00", NULL},
        {"/{n:int}", "042", NULL},
        {"/{n:int}", "-", NULL},
        {"/{n:int}", "--1", NULL},
        {"/{n:int}", "+1", NULL},
        {"/{n:int}", " 1", NULL},
        {"/{n:int}", "1 ", NULL},
        {"/{n:int}", "1.0", NULL},
        {"/{n:int}", "1e3", NULL},
        {"/{n:int}", "0x1", NULL},
        {"/{n:int}", "x", NULL},
        {"/{n:int}", "1%20", NULL},
        {"/{n:int}", "1-", NULL},
        {"/{n:int}", "\xD9\xA1", NULL},
        {"/{n:uint}", "0", "0"},
        {"/{n:uint}", "18446744073709551615", "18446744073709551615"},
        {"/{n:uint}", "18446744073709551616", NULL},
        {"/{n:uint}", "-1", NULL},
        {"/{n:uint}", "00", NULL},
        {"/{n:uint}", "", NULL},
        {"/{u:uuid}", "01234567-89ab-cdef-0123-456789ABCDEF",
         "01234567-89ab-cdef-0123-456789ABCDEF"},
        {"/{u:uuid}", "01234567-89ab-cdef-0123-456789ABCDE", NULL},
        {"/{u:uuid}", "01234567-89ab-cdef-0123-456789ABCDEF0", NULL},
        {"/{u:uuid}", "0123456789ab-cdef-0123-456789ABCDEF01", NULL},
        {"/{u:uuid}", "01234567-89ab-cdef-0123_456789ABCDEF", NULL},
        {"/{u:uuid}", "g1234567-89ab-cdef-0123-456789ABCDEF", NULL},
        {"/{u:uuid}", "{01234567-89ab-cdef-0123-456789ABCDEF}", NULL},
        {"/{u:uuid}", "----------------------------------", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_segment(rows[i][0], rows[i][1], rows[i][2]);
    }
}

/* A matcher that tries every division would not end while somebody waits. */
void template_segment_match_ends_for_whatever_is_sent(void)
{
    size_t size = 8192;
    struct template *template =
        parse("/{a}-{b}-{c}-{d}-{e}-{f}-{g}-{h}-{i}-{j}-{k}-{l}-{m}-{n}-{o}+");
    struct template *numbers = parse("/{a}1{b}1{c:int}-{d}1{e}-{f:int}-1");
    struct span values[TEMPLATE_PARAMS_MAX];
    char *raw = malloc(size);
    ASSERT(raw != NULL);
    memset(raw, '-', size);
    EXPECT(!template_segment_match(template, 0, span_of(raw, size), values), "dashes");
    raw[size - 1] = '+';
    EXPECT(template_segment_match(template, 0, span_of(raw, size), values), "with an end");
    EXPECT_INT(values[0].size, size - 1 - 28, "the first takes most");
    EXPECT_INT(values[14].size, 1, "the others what is left");
    memset(raw, '1', size);
    EXPECT(!template_segment_match(numbers, 0, span_of(raw, size), values), "digits");
    free(raw);
    template_destroy(template);
    template_destroy(numbers);
}

/* ---- writing --------------------------------------------------------------------------------- */

#define VALUE_COUNT 2

/* In all sizes of the text that is written to. */
static void expect_written(const char *text, const struct span values[VALUE_COUNT],
                           const char *expected, size_t expected_bad)
{
    struct template *template = parse(text);
    size_t needed = expected != NULL ? strlen(expected) : 256;
    for (size_t capacity = 0; capacity <= needed; capacity++) {
        char zeros[256] = {0};
        uint8_t *out = guard_copy(zeros, capacity);
        size_t size = 0;
        size_t bad = 99;
        int err = template_write(template, values, (char *)out, capacity, &size, &bad);
        if (expected == NULL) {
            bool is_short = err == GYR_ERR_LIMIT && size > capacity;
            EXPECT(is_short || (err == GYR_ERR_ARGUMENT && bad == expected_bad), text);
            EXPECT(!is_short || capacity < needed, text);
        } else {
            EXPECT_INT(err, capacity < needed ? GYR_ERR_LIMIT : 0, text);
            EXPECT_INT(size, needed, text);
        }
        if (expected != NULL && err == 0) {
            EXPECT_SPAN(span_of(out, size), expected, text);
        }
        guard_free(out);
    }
    template_destroy(template);
}

void template_write_encodes_values(void)
{
    static const struct {
        const char *text;
        struct span values[VALUE_COUNT];
        const char *path;
    } rows[] = {
        {"/", {{0}}, "/"},
        {"/a/", {{0}}, "/a/"},
        {"/a b/{{c}}/\xC3\xA9/100%/#", {{0}}, "/a%20b/%7Bc%7D/%C3%A9/100%25/%23"},
        {"/rooms/{x}", {SPAN_STATIC("42")}, "/rooms/42"},
        {"/rooms/{x}/", {SPAN_STATIC("a b")}, "/rooms/a%20b/"},
        {"/{x}", {SPAN_STATIC("a/b")}, "/a%2Fb"},
        {"/{x}", {SPAN_STATIC("../a")}, "/..%2Fa"},
        {"/{x}", {SPAN_STATIC("/")}, "/%2F"},
        {"/{x}", {SPAN_STATIC("50%")}, "/50%25"},
        {"/{x}", {SPAN_STATIC("%41")}, "/%2541"},
        {"/{x}", {SPAN_STATIC("\xC3\xBC\xFF\x01")}, "/%C3%BC%FF%01"},
        {"/{x}", {SPAN_STATIC("a?b#c[d]")}, "/a%3Fb%23c%5Bd%5D"},
        {"/{x}", {SPAN_STATIC("-._~!$&'()*+,;=:@")}, "/-._~!$&'()*+,;=:@"},
        {"/{x}", {SPAN_STATIC("\"<>\\^`{|}")}, "/%22%3C%3E%5C%5E%60%7B%7C%7D"},
        {"/{x}", {SPAN_STATIC("...")}, "/..."},
        {"/{x}-{y}", {SPAN_STATIC("a-b"), SPAN_STATIC("c")}, "/a-b-c"},
        {"/{x}-{y}", {SPAN_STATIC("/"), SPAN_STATIC("%")}, "/%2F-%25"},
        {"/.{x}", {SPAN_STATIC("a")}, "/.a"},
        {"/{n:int}/{m:uint}",
         {SPAN_STATIC("-9223372036854775808"), SPAN_STATIC("18446744073709551615")},
         "/-9223372036854775808/18446744073709551615"},
        {"/{u:uuid}",
         {SPAN_STATIC("01234567-89ab-cdef-0123-456789ABCDEF")},
         "/01234567-89ab-cdef-0123-456789ABCDEF"},
        {"/f/{p:path}", {SPAN_STATIC("a/b c/d.txt")}, "/f/a/b%20c/d.txt"},
        {"/f/{p:path}/", {SPAN_STATIC("a")}, "/f/a/"},
        {"/f/{p:path}", {SPAN_STATIC(".a/..b")}, "/f/.a/..b"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_written(rows[i].text, rows[i].values, rows[i].path, 0);
    }
}

void template_write_refuses_what_would_not_come_back(void)
{
    static const struct {
        const char *text;
        struct span values[VALUE_COUNT];
        size_t bad;
    } rows[] = {
        {"/{x}", {SPAN_STATIC("")}, 0},
        {"/{x}", {{NULL, 0}}, 0},
        {"/{x}/{y}", {SPAN_STATIC("a"), SPAN_STATIC("")}, 1},
        {"/{x}", {SPAN_STATIC("a\0b")}, 0},
        {"/{x}", {SPAN_STATIC(".")}, 0},
        {"/{x}", {SPAN_STATIC("..")}, 0},
        {"/a/{x}/b", {SPAN_STATIC("..")}, 0},
        {"/.{x}", {SPAN_STATIC(".")}, 0},
        {"/{n:int}", {SPAN_STATIC("x")}, 0},
        {"/{n:int}", {SPAN_STATIC("1 ")}, 0},
        {"/{n:int}", {SPAN_STATIC("%31")}, 0},
        {"/{n:int}", {SPAN_STATIC("%")}, 0},
        {"/{n:int}", {SPAN_STATIC("9223372036854775808")}, 0},
        {"/{n:uint}", {SPAN_STATIC("-1")}, 0},
        {"/{u:uuid}", {SPAN_STATIC("01234567")}, 0},
        {"/{p:path}", {SPAN_STATIC("/a")}, 0},
        {"/{p:path}", {SPAN_STATIC("a/")}, 0},
        {"/{p:path}", {SPAN_STATIC("a//b")}, 0},
        {"/{p:path}", {SPAN_STATIC("/")}, 0},
        {"/{p:path}", {SPAN_STATIC("../../etc/passwd")}, 0},
        {"/{p:path}", {SPAN_STATIC("a/./b")}, 0},
        {"/{p:path}", {SPAN_STATIC("a/..")}, 0},
        {"/{x}-{y}", {SPAN_STATIC("a"), SPAN_STATIC("b-c")}, 0},
        {"/{x}/{y}.{{", {SPAN_STATIC("a"), SPAN_STATIC("")}, 1},
        {"/{x}-{n:int}", {SPAN_STATIC("a"), SPAN_STATIC("-1")}, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        expect_written(rows[i].text, rows[i].values, NULL, rows[i].bad);
    }
}
