/* SPDX-License-Identifier: MIT */
/* The route table: what is found, in which order, with which values; and that it finds what a naive
 * matcher finds, in tables and for paths of all kinds. */
#include "router/route_table.h"

#include "tests/parser_kit.h"
#include "tests/route_naive.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define KIT_GET       1
#define KIT_POST      2
#define KIT_DELETE    4
#define KIT_ROUTES    16
#define LARGE_COUNT   100000U
#define LARGE_SHAPES  16U
#define RANDOM_TABLES 400
#define RANDOM_PATHS  100

/* Templates and their table. */
struct kit {
    struct route_entry *entries;
    size_t count;
    struct route_table *table;
    char reports[256]; /* "2 by 0," for each that is unreachable */
    bool reported[KIT_ROUTES];
};

static void kit_add(struct kit *kit, const char *text, uint16_t methods)
{
    struct template *template = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(template_parse(span_of(text, strlen(text)), false, &template, &error), 0,
               error.text);
    ASSERT(template != NULL);
    kit->entries[kit->count++] = (struct route_entry){.template = template, .methods = methods};
}

static void kit_init(struct kit *kit, size_t capacity)
{
    memset(kit, 0, sizeof(*kit));
    kit->entries = calloc(capacity, sizeof(*kit->entries));
    ASSERT(kit->entries != NULL);
}

static void kit_report(void *context, size_t index, size_t by)
{
    struct kit *kit = context;
    size_t at = strlen(kit->reports);
    EXPECT(by < index, "by one before");
    if (index < KIT_ROUTES) {
        kit->reported[index] = true;
    }
    (void)snprintf(kit->reports + at, sizeof(kit->reports) - at, "%zu by %zu,", index, by);
}

static void kit_make(struct kit *kit)
{
    EXPECT_INT(route_table_create(kit->entries, kit->count, kit_report, kit, &kit->table), 0, "");
    ASSERT(kit->table != NULL);
}

static void kit_deinit(struct kit *kit)
{
    route_table_destroy(kit->table);
    for (size_t i = 0; i < kit->count; i++) {
        template_destroy((struct template *)(uintptr_t)kit->entries[i].template);
    }
    free(kit->entries);
}

/* What a path leads to: "1 a|b" with the values decoded, or "404", "405 3", "400". */
static void kit_find(const struct kit *kit, struct span path, uint16_t method, char text[512])
{
    struct route_match match;
    uint8_t *copy = guard_copy(path.ptr, path.size);
    enum route_status status = route_find(kit->table, span_of(copy, path.size), method, &match);
    switch (status) {
    case ROUTE_NOT_FOUND:
        (void)snprintf(text, 512, "404");
        break;
    case ROUTE_BAD_PATH:
        (void)snprintf(text, 512, "400");
        break;
    case ROUTE_NOT_ALLOWED:
        (void)snprintf(text, 512, "405 %u", match.methods);
        break;
    case ROUTE_FOUND:
        (void)snprintf(text, 512, "%u", match.index);
        for (size_t i = 0; i < match.value_count; i++) {
            uint8_t bytes[256];
            size_t size = route_value_decode(match.values[i], bytes);
            size_t at = strlen(text);
            (void)snprintf(text + at, 512 - at, "%c%.*s", i == 0 ? ' ' : '|', (int)size,
                           (const char *)bytes);
        }
        break;
    }
    guard_free(copy);
}

static void expect_found(const struct kit *kit, const char *path, const char *expected)
{
    char text[512];
    kit_find(kit, span_of(path, strlen(path)), KIT_GET, text);
    EXPECT_SPAN(span_of(text, strlen(text)), expected, path);
}

struct row {
    const char *path;
    const char *expected;
};

static void expect_rows(const char *const *templates, const struct row *rows, size_t count)
{
    struct kit kit;
    kit_init(&kit, KIT_ROUTES);
    for (; *templates != NULL; templates++) {
        kit_add(&kit, *templates, KIT_GET);
    }
    kit_make(&kit);
    for (size_t i = 0; i < count; i++) {
        expect_found(&kit, rows[i].path, rows[i].expected);
    }
    kit_deinit(&kit);
}

void route_table_finds_templates_of_all_kinds(void)
{
    static const char *const templates[] = {"/",
                                            "/a/{x}/",
                                            "/b/{x}",
                                            "/rooms/{room}",
                                            "/a.b",
                                            "/n/{id:int}",
                                            "/u/{id:uuid}/x",
                                            "/m/{x}-{y}/{z}",
                                            "/files/{path:path}",
                                            "/caf\xC3\xA9 1/{x}",
                                            "/{a}/in/{b}/{c}",
                                            NULL};
    static const struct row rows[] = {
        {"/", "0"},
        {"/a/1", "1 1"},
        {"/a/1/", "1 1"},
        {"/b/1", "2 1"},
        {"/b/1/", "2 1"},
        {"/rooms/42", "3 42"},
        {"/rooms/a%2Fb", "3 a/b"},
        {"/rooms/a%2fb/", "3 a/b"},
        {"/rooms/%20%25%C3%A9", "3  %\xC3\xA9"},
        {"/%72ooms/42", "3 42"},
        {"/rooms/..", "3 .."},
        {"/rooms/.", "3 ."},
        {"/rooms/\xFF", "3 \xFF"},
        {"/a.b", "4"},
        {"/a%2Eb/", "4"},
        {"/n/42", "5 42"},
        {"/n/-9223372036854775808", "5 -9223372036854775808"},
        {"/u/01234567-89ab-cdef-0123-456789abcdef/x", "6 01234567-89ab-cdef-0123-456789abcdef"},
        {"/m/a-b-c/d", "7 a-b|c|d"},
        {"/m/a%2Db/d", "7 a|b|d"},
        {"/files/a", "8 a"},
        {"/files/a/b//c", "404"},
        {"/files/a/b/c.txt", "8 a/b/c.txt"},
        {"/files/a/b/", "8 a/b"},
        {"/files/a%2F/b%20", "8 a//b "},
        {"/caf%C3%A9%201/x", "9 x"},
        {"/caf\xC3\xA9 1/x", "9 x"},
        {"/1/in/2/3", "10 1|2|3"},
        {"/in/in/in/in/", "10 in|in|in"},
    };
    expect_rows(templates, rows, COUNT_OF(rows));
}

void route_table_refuses_what_does_not_fit(void)
{
    static const char *const templates[] = {"/rooms/{room}", "/a.b", "/n/{id:int}", "/m/{x}-{y}",
                                            "/f/{p:path}",   "/a/b", "/{x}/b/{y}",  NULL};
    static const struct row rows[] = {
        {"", "404"},
        {"*", "404"},
        {"/", "404"},
        {"//", "404"},
        {"///", "404"},
        {"rooms/42", "404"},
        {"/rooms", "404"},
        {"/rooms/", "404"},
        {"/rooms42", "404"},
        {"/rooms//", "404"},
        {"/rooms//42", "404"},
        {"//rooms/42", "404"},
        {"/rooms/42//", "404"},
        {"/rooms/42/1", "404"},
        {"/Rooms/42", "404"},
        {"/room/42", "404"},
        {"/roomss/42", "404"},
        {"/./rooms/42", "404"},
        {"/x/../rooms/42", "404"},
        {"/rooms%2F42", "404"},
        {"/rooms%2Fb/42", "404"},
        {"/axb", "404"},
        {"/a%2Fb", "404"},
        {"/a.b%20", "404"},
        {"/n/x", "404"},
        {"/n/9223372036854775808", "404"},
        {"/n/042", "404"},
        {"/m/ab", "404"},
        {"/m/-b", "404"},
        {"/f", "404"},
        {"/f/", "404"},
        {"/f//a", "404"},
        {"/a/c/b", "404"},
        {"/x/c/y", "404"},
        {"/rooms/%", "400"},
        {"/rooms/%4", "400"},
        {"/rooms/%zz", "400"},
        {"/rooms/%4/", "400"},
        {"/rooms/%00", "400"},
        {"/rooms/a%00b", "400"},
        {"/%zz", "400"},
        {"//%zz", "400"},
        {"/nowhere/%", "400"},
        {"/f/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g/h/%zz", "400"},
        {"/f/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z/a/b/c/d/e/f/g/h//i", "404"},
    };
    expect_rows(templates, rows, COUNT_OF(rows));
    struct kit kit;
    char text[512];
    kit_init(&kit, 1);
    kit_add(&kit, "/{x}", KIT_GET);
    kit_make(&kit);
    kit_find(&kit, span_of("/a\0b", 4), KIT_GET, text);
    EXPECT_SPAN(span_of(text, strlen(text)), "400", "a NUL as it is");
    kit_deinit(&kit);
}

void route_table_gives_the_first_that_fits(void)
{
    static const char *const parameter_first[] = {"/over/{id}", "/over/static", NULL};
    static const struct row parameter_rows[] = {{"/over/static", "0 static"}, {"/over/x", "0 x"}};
    expect_rows(parameter_first, parameter_rows, COUNT_OF(parameter_rows));
    static const char *const static_first[] = {"/over/static", "/over/{id}", NULL};
    static const struct row static_rows[] = {{"/over/static", "0"}, {"/over/x", "1 x"}};
    expect_rows(static_first, static_rows, COUNT_OF(static_rows));
    static const char *const typed[] = {"/{n:uint}",    "/{n:int}", "/{u:uuid}", "/{x}-{y}",
                                        "/{rest:path}", "/{text}",  NULL};
    static const struct row typed_rows[] = {
        {"/1", "0 1"},
        {"/-1", "1 -1"},
        {"/01234567-89ab-cdef-0123-456789abcdef", "2 01234567-89ab-cdef-0123-456789abcdef"},
        {"/a-b", "3 a|b"},
        {"/-9223372036854775809", "4 -9223372036854775809"},
        {"/a", "4 a"},
        {"/a/b", "4 a/b"},
    };
    expect_rows(typed, typed_rows, COUNT_OF(typed_rows));
    static const char *const nested[] = {"/p/{id}", "/p/{id}/{sub}", "/p/special/deep",
                                         "/p/{x:path}", NULL};
    static const struct row nested_rows[] = {{"/p/special/deep", "1 special|deep"},
                                             {"/p/special", "0 special"},
                                             {"/p/a/b/c", "3 a/b/c"}};
    expect_rows(nested, nested_rows, COUNT_OF(nested_rows));
    static const char *const depths[] = {"/p/{x:path}", "/p/a/{y:path}", "/p/a/b", NULL};
    static const struct row depth_rows[] = {{"/p/a/b", "0 a/b"}, {"/p/a", "0 a"}};
    expect_rows(depths, depth_rows, COUNT_OF(depth_rows));
}

void route_table_goes_on_where_a_method_is_not_taken(void)
{
    struct kit kit;
    char text[512];
    static const struct {
        const char *path;
        uint16_t method;
        const char *expected;
    } rows[] = {
        {"/a/b", KIT_GET, "0 b"},      {"/a/b", KIT_POST, "1 b"},
        {"/a/b", KIT_DELETE, "2"},     {"/a/c", KIT_DELETE, "4 a/c"},
        {"/n/1", KIT_GET, "3 1"},      {"/n/1", KIT_POST, "405 5"},
        {"/n/x", KIT_GET, "405 4"},    {"/a", KIT_GET, "405 4"},
        {"/", KIT_GET, "404"},         {"/a/b", ROUTE_WEBSOCKET, "405 7"},
        {"/ws", ROUTE_WEBSOCKET, "5"}, {"/ws", KIT_POST, "405 32772"},
        {"/ws", KIT_DELETE, "4 ws"},   {"/a/b", 0, "405 7"},
    };
    kit_init(&kit, KIT_ROUTES);
    kit_add(&kit, "/a/{x}", KIT_GET);
    kit_add(&kit, "/a/{y}", KIT_POST);
    kit_add(&kit, "/a/b", KIT_GET | KIT_POST | KIT_DELETE);
    kit_add(&kit, "/n/{n:int}", KIT_GET);
    kit_add(&kit, "/{p:path}", KIT_DELETE);
    kit_add(&kit, "/ws", ROUTE_WEBSOCKET);
    kit_make(&kit);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        kit_find(&kit, span_of(rows[i].path, strlen(rows[i].path)), rows[i].method, text);
        EXPECT_SPAN(span_of(text, strlen(text)), rows[i].expected, rows[i].path);
    }
    EXPECT_SPAN(span_of(kit.reports, strlen(kit.reports)), "", "each takes something");
    kit_deinit(&kit);
}

void route_table_without_routes_finds_nothing(void)
{
    struct kit kit;
    char text[512];
    kit_init(&kit, 1);
    kit_make(&kit);
    expect_found(&kit, "/", "404");
    expect_found(&kit, "/a/b", "404");
    expect_found(&kit, "/%", "400");
    size_t size = route_table_print(kit.table, text, sizeof(text));
    EXPECT_SPAN(span_of(text, size),
                "routes: 0, matched byte by byte: 0, shapes: 0, probed for one path: 0 at most\n",
                "");
    kit_deinit(&kit);
    route_table_destroy(NULL);
}

/* Literals that do not fit into their node, segments past those of a template, literals that are
 * encoded and longer than a template. */
void route_table_takes_long_paths(void)
{
    char literal[901];
    char text[1024];
    char path[8192];
    struct kit kit;
    memset(literal, 'x', 900);
    literal[900] = 0;
    kit_init(&kit, KIT_ROUTES);
    (void)snprintf(text, sizeof(text), "/%s/{a}/b", literal);
    kit_add(&kit, text, KIT_GET);
    kit_add(&kit,
            "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/"
            "30/31/{x:path}",
            KIT_GET);
    kit_add(&kit, "/0123456789/0123456789/0123456789/012345", KIT_GET);
    kit_add(&kit, "/0123456789/0123456789/0123456789/0123456", KIT_GET);
    kit_add(&kit, "/0123456789/0123456789/0123456789/01234567", KIT_GET);
    kit_make(&kit);
    (void)snprintf(path, sizeof(path), "/%s/1/b", literal);
    expect_found(&kit, path, "0 1");
    (void)snprintf(path, sizeof(path), "/%sx/1/b", literal);
    expect_found(&kit, path, "404");
    literal[899] = 0;
    (void)snprintf(path, sizeof(path), "/%s%%78/1/b", literal);
    expect_found(&kit, path, "0 1");
    (void)snprintf(path, sizeof(path), "/%s%%78%s/1/b", literal, literal);
    expect_found(&kit, path, "404");
    static const char *const segments =
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31";
    expect_found(&kit, segments, "404");
    (void)snprintf(path, sizeof(path), "%s/a", segments);
    expect_found(&kit, path, "1 a");
    (void)snprintf(path, sizeof(path), "%s/a/b/c/", segments);
    expect_found(&kit, path, "1 a/b/c");
    expect_found(&kit, "/0123456789/0123456789/0123456789/012345", "2");
    expect_found(&kit, "/0123456789/0123456789/0123456789/0123456", "3");
    expect_found(&kit, "/0123456789/0123456789/0123456789/01234567", "4");
    expect_found(&kit, "/0123456789/0123456789/0123456789/01234568", "404");
    expect_found(&kit, "/0123456789/0123456789/0123456780/01234567", "404");
    kit_deinit(&kit);
}

/* More shapes than are probed at a time, each with two segments of which a path has all. */
void route_table_probes_all_shapes(void)
{
    struct kit kit;
    char text[512];
    kit_init(&kit, 256);
    for (unsigned mask = 0; mask < 256; mask++) {
        text[0] = 0;
        for (unsigned i = 0; i < 8; i++) {
            size_t at = strlen(text);
            bool is_literal = (mask >> i & 1) != 0;
            (void)snprintf(text + at, sizeof(text) - at, is_literal ? "/l%u" : "/{p%u}", i);
        }
        /* The methods tell a shape; so each is found through one of its own. */
        kit_add(&kit, text, (uint16_t)(mask == 255 ? 1 : 2 << mask % 14));
    }
    kit_make(&kit);
    EXPECT_SPAN(span_of(kit.reports, 16), "14 by 0,15 by 1,", "shapes are compared");
    expect_found(&kit, "/l0/l1/l2/l3/l4/l5/l6/l7", "255");
    expect_found(&kit, "/l0/l1/l2/l3/l4/l5/l6/x", "405 32766");
    kit_find(&kit, SPAN_LITERAL("/l0/l1/x/x/x/x/x/x"), 2 << 3, text);
    EXPECT_SPAN(span_of(text, strlen(text)), "3 x|x|x|x|x|x", "the only one that has the method");
    kit_deinit(&kit);
}

/* A segment is a literal of its own, or a parameter. */
static void own_template(unsigned segment_count, unsigned mask, bool is_path, char text[128])
{
    text[0] = 0;
    for (unsigned i = 0; i < segment_count; i++) {
        size_t at = strlen(text);
        if ((mask >> i & 1) != 0) {
            (void)snprintf(text + at, 128 - at, "/s%u-%u", segment_count, mask);
        } else {
            (void)snprintf(text + at, 128 - at, is_path ? "/x%u" : "/{p%u}", i);
        }
    }
}

/* Shapes each of whose literals are known for one shape alone, whichever bits of the filter they
 * have: those of five and of six segments go round the end of its words. */
void route_table_tells_shapes_apart_by_their_literals(void)
{
    static const unsigned counts[] = {1, 2, 5, 6};
    struct kit kit;
    char text[128];
    char found[512];
    char expected[32];
    unsigned index = 0;
    kit_init(&kit, 256);
    for (unsigned i = 0; i < COUNT_OF(counts); i++) {
        unsigned segment_count = counts[i];
        for (unsigned mask = 1U << segment_count; mask-- > 0;) {
            own_template(segment_count, mask, false, text);
            kit_add(&kit, text, KIT_GET);
        }
    }
    kit_add(&kit, "/f/{p:path}", KIT_GET);
    kit_add(&kit, "/x0/x1/x2/f/{p:path}", KIT_GET);
    kit_make(&kit);
    for (unsigned i = 0; i < COUNT_OF(counts); i++) {
        unsigned segment_count = counts[i];
        for (unsigned mask = 1U << segment_count; mask-- > 0; index++) {
            own_template(segment_count, mask, true, text);
            kit_find(&kit, span_of(text, strlen(text)), KIT_GET, found);
            int size = snprintf(expected, sizeof(expected), "%u", index);
            EXPECT_INT(strcspn(found, " "), size, text);
            EXPECT(strncmp(found, expected, (size_t)size) == 0, text);
        }
    }
    expect_found(&kit, "/f/1/2/3/4/5/6", "102 1/2/3/4/5/6");
    expect_found(&kit, "/x0/x1/x2/f/4/5/6", "103 4/5/6");
    kit_deinit(&kit);
}

void route_table_reports_what_no_path_reaches(void)
{
    static const struct {
        const char *templates[4];
        uint16_t methods[4];
        const char *reports;
    } rows[] = {
        {{"/a/{x}", "/a/{y}"}, {1, 1}, "1 by 0,"},
        {{"/a/{x}", "/a/{x}/"}, {1, 1}, "1 by 0,"},
        {{"/a/{x}", "/a/{y}", "/a/{z}"}, {1, 1, 1}, "1 by 0,2 by 0,"},
        {{"/a/{x}", "/a/b"}, {1, 1}, "1 by 0,"},
        {{"/a/{x}", "/a/{n:int}"}, {3, 2}, "1 by 0,"},
        {{"/a/{x}", "/a/{y}-{z}"}, {1, 1}, "1 by 0,"},
        {{"/a/{n:int}", "/a/42"}, {1, 1}, "1 by 0,"},
        {{"/{x}-{y}", "/a-b"}, {1, 1}, "1 by 0,"},
        {{"/{x}-{y}", "/{a}-{b:int}"}, {1, 1}, "1 by 0,"},
        {{"/{p:path}", "/a/b/c", "/{x}", "/a/{q:path}"}, {1, 1, 1, 1}, "1 by 0,2 by 0,3 by 0,"},
        {{"/", "/"}, {1, 1}, "1 by 0,"},
        {{"/{x}/b", "/a/{y}", "/a/b"}, {1, 1, 1}, "2 by 0,"},
        {{"/a", "/{x}", "/{p:path}", "/b"}, {1, 2, 1, 1}, "3 by 2,"},
        {{"/a/b", "/a/{x}"}, {1, 1}, ""},
        {{"/a/{x}", "/a/{y}"}, {1, 2}, ""},
        {{"/a/{x}", "/a/{y}"}, {1, 3}, ""},
        {{"/a/{x}", "/A/{y}"}, {1, 1}, ""},
        {{"/{x}", "/"}, {1, 1}, ""},
        {{"/{p:path}", "/"}, {1, 1}, ""},
        {{"/a/{p:path}", "/a"}, {1, 1}, ""},
        {{"/{n:int}", "/{m:uint}", "/{x}"}, {1, 1, 1}, ""},
        {{"/{x}/b", "/a/{y}"}, {1, 1}, ""},
        {{"/{x}", "/{p:path}"}, {1, 1}, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct kit kit;
        kit_init(&kit, KIT_ROUTES);
        for (size_t k = 0; k < 4 && rows[i].templates[k] != NULL; k++) {
            kit_add(&kit, rows[i].templates[k], rows[i].methods[k]);
        }
        kit_make(&kit);
        EXPECT_SPAN(span_of(kit.reports, strlen(kit.reports)), rows[i].reports,
                    rows[i].templates[1]);
        struct route_table *silent = NULL;
        EXPECT_INT(route_table_create(kit.entries, kit.count, NULL, NULL, &silent), 0, "");
        route_table_destroy(silent);
        kit_deinit(&kit);
    }
}

void route_table_prints_its_shapes(void)
{
    static const char expected[] =
        "routes: 7, matched byte by byte: 1, shapes: 5, probed for one path: 4 at most\n"
        "/: /\n"
        "/{}/{}: /{x}/{n:int}\n"
        "/*/{}: /b/{x}, /a/{x}/\n"
        "/*/*: /a/b, /c/d\n"
        "/*/{path}: /a/{p:path}\n";
    static const char *const templates[] = {"/b/{x}", "/a/b",        "/a/{x}/", "/{x}/{n:int}",
                                            "/",      "/a/{p:path}", "/c/d"};
    struct kit kit;
    kit_init(&kit, KIT_ROUTES);
    for (size_t i = 0; i < COUNT_OF(templates); i++) {
        kit_add(&kit, templates[i], KIT_GET);
    }
    kit_make(&kit);
    for (size_t capacity = 0; capacity <= sizeof(expected); capacity++) {
        uint8_t zeros[sizeof(expected)] = {0};
        uint8_t *text = guard_copy(zeros, capacity);
        EXPECT_INT(route_table_print(kit.table, (char *)text, capacity), sizeof(expected) - 1,
                   "whatever fits");
        if (capacity > 0) {
            EXPECT_INT(strlen((char *)text), capacity - 1, "what fits, and a NUL");
            EXPECT(memcmp(text, expected, capacity - 1) == 0, "what fits");
        }
        guard_free(text);
    }
    kit_deinit(&kit);
}

/* ---- many ------------------------------------------------------------------------------------ */

/* Four segments and two parameters, or five and two: 16 shapes. */
static void large_template(uint32_t index, bool is_path, char text[128])
{
    static const uint8_t params[LARGE_SHAPES] = {0x03, 0x05, 0x06, 0x09, 0x0a, 0x0c, 0x03, 0x05,
                                                 0x06, 0x09, 0x0a, 0x0c, 0x11, 0x12, 0x14, 0x18};
    uint32_t shape = index % LARGE_SHAPES;
    uint32_t segments = shape < 6 ? 4 : 5;
    text[0] = 0;
    for (uint32_t i = 0; i < segments; i++) {
        size_t at = strlen(text);
        if ((params[shape] >> i & 1) == 0) {
            (void)snprintf(text + at, 128 - at, "/s%u-%u", i, index / LARGE_SHAPES);
        } else if (is_path) {
            (void)snprintf(text + at, 128 - at, "/value%u", i);
        } else {
            (void)snprintf(text + at, 128 - at, "/{p%u}", i);
        }
    }
}

void route_table_finds_each_of_a_hundred_thousand(void)
{
    struct kit kit;
    char text[128];
    size_t wrong = 0;
    kit_init(&kit, LARGE_COUNT);
    for (uint32_t i = 0; i < LARGE_COUNT; i++) {
        large_template(i, false, text);
        kit_add(&kit, text, KIT_GET);
    }
    kit_make(&kit);
    EXPECT_SPAN(span_of(kit.reports, strlen(kit.reports)), "", "all can be reached");
    for (uint32_t i = 0; i < LARGE_COUNT; i++) {
        struct route_match match;
        large_template(i, true, text);
        wrong +=
            route_find(kit.table, span_of(text, strlen(text)), KIT_GET, &match) != ROUTE_FOUND ||
            match.index != i || match.value_count != 2;
        text[strlen(text) - 1] ^= 1;
        bool is_value = (i % LARGE_SHAPES == 5 || i % LARGE_SHAPES >= 12 || i % LARGE_SHAPES == 3 ||
                         i % LARGE_SHAPES == 4);
        wrong +=
            !is_value &&
            route_find(kit.table, span_of(text, strlen(text)), KIT_GET, &match) == ROUTE_FOUND &&
            match.index == i;
    }
    EXPECT_INT(wrong, 0, "all are found, and what differs is not");
    kit_deinit(&kit);
}

/* Templates that all have the same literals, which are none: looking for one that covers another
 * must not compare each with each. */
void route_table_lives_with_many_routes_of_one_key(void)
{
    struct kit kit;
    char text[128];
    kit_init(&kit, 20000);
    for (unsigned i = 0; i < 20000; i++) {
        (void)snprintf(text, sizeof(text), "/{x}-%u-{y}", i);
        kit_add(&kit, text, KIT_GET);
    }
    kit_make(&kit);
    EXPECT_SPAN(span_of(kit.reports, strlen(kit.reports)), "", "all can be reached");
    expect_found(&kit, "/a-0-b", "0 a|b");
    expect_found(&kit, "/a-19999-b", "19999 a|b");
    expect_found(&kit, "/a-20000-b", "404");
    expect_found(&kit, "/a-300-200-b", "200 a-300|b");
    kit_deinit(&kit);
}

/* ---- against the naive matcher --------------------------------------------------------------- */

static uint32_t number_next(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(*state >> 33) % below;
}

static void text_pick(uint64_t *state, char *text, const char *const *parts, uint32_t count)
{
    (void)strcat(text, parts[number_next(state, count)]);
}

static void random_template(uint64_t *state, char *text)
{
    static const char *const segments[] = {"a",         "b",         "ab",
                                           "{x#}",      "{x#}",      "{n#:int}",
                                           "{u#:uint}", "a{x#}",     "{x#}-b",
                                           "1",         "{x#}-{y#}", "{n#:int}-{y#}",
                                           "a%",        "{{",        "{x#}a{y#:uint}b{z#}"};
    uint32_t count = number_next(state, 5);
    text[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        char *begin = text + strlen(text);
        (void)strcat(text, "/");
        text_pick(state, text, segments, COUNT_OF(segments));
        for (char *at = begin; *at != 0; at++) {
            *at = *at == '#' ? (char)('0' + i) : *at; /* names differ */
        }
    }
    if (number_next(state, 6) == 0) {
        (void)strcat(text, "/{p:path}");
    } else if (count == 0 || number_next(state, 4) == 0) {
        (void)strcat(text, "/");
    }
}

static void random_path(uint64_t *state, char *text)
{
    static const char *const parts[] = {"a", "b", "1", "-", "-b", "a%25", "%61", "%7B", "12", "0"};
    static const char *const rare[] = {"%2F", "%zz", "%00", "/", "%", "{", "."};
    uint32_t count = number_next(state, 6);
    text[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        (void)strcat(text, "/");
        uint32_t part_count = 1 + number_next(state, 3);
        for (uint32_t k = 0; k < part_count; k++) {
            text_pick(state, text, parts, COUNT_OF(parts));
        }
        if (number_next(state, 12) == 0) {
            text_pick(state, text, rare, COUNT_OF(rare));
        }
    }
    if (count == 0 || number_next(state, 4) == 0) {
        (void)strcat(text, "/");
    }
}

static bool values_equal(const struct route_match *match, const struct naive_match *naive)
{
    bool equal = match->value_count == naive->value_count && match->index == naive->index &&
                 match->methods == naive->methods;
    for (size_t i = 0; equal && i < match->value_count; i++) {
        uint8_t bytes[NAIVE_PATH_MAX];
        size_t size = route_value_decode(match->values[i], bytes);
        const struct naive_value *value = &naive->values[i];
        equal = size == value->size && memcmp(bytes, value->bytes, size) == 0;
    }
    return equal;
}

/* What was found can be written, and the path that is written leads to the same. */
static void expect_inverse(const struct template *template, struct span path,
                           const struct naive_match *naive)
{
    static struct naive_match again;
    struct span values[TEMPLATE_PARAMS_MAX];
    char text[512];
    size_t size;
    size_t bad;
    const struct route_entry entry = {.template = template, .methods = 1};
    for (size_t i = 0; i < naive->value_count; i++) {
        values[i] = span_of(naive->values[i].bytes, naive->values[i].size);
    }
    int err = template_write(template, values, text, sizeof(text), &size, &bad);
    if (!naive_can_be_written(path, template, naive)) {
        EXPECT_INT(err, GYR_ERR_ARGUMENT, "what clients would resolve");
        return;
    }
    EXPECT_INT(err, 0, "what was found can be written");
    EXPECT_INT(naive_find(&entry, 1, span_of(text, size), 1, &again), ROUTE_FOUND, "found again");
    for (size_t i = 0; i < naive->value_count; i++) {
        EXPECT(span_equal(values[i], span_of(again.values[i].bytes, again.values[i].size)),
               "with these values");
    }
}

void route_table_finds_what_a_naive_matcher_finds(void)
{
    static struct naive_match naive;
    uint64_t state = 1;
    size_t found = 0;
    for (unsigned table = 0; table < RANDOM_TABLES; table++) {
        struct kit kit;
        kit_init(&kit, KIT_ROUTES);
        for (uint32_t count = number_next(&state, KIT_ROUTES); kit.count < count;) {
            char text[256];
            random_template(&state, text);
            kit_add(&kit, text, (uint16_t)(1 + number_next(&state, 3)));
        }
        kit_make(&kit);
        for (unsigned i = 0; i < RANDOM_PATHS; i++) {
            struct route_match match;
            char text[256];
            random_path(&state, text);
            struct span path = span_of(text, strlen(text));
            uint16_t method = (uint16_t)(1 + number_next(&state, 2));
            uint8_t *copy = guard_copy(text, path.size);
            enum route_status status =
                route_find(kit.table, span_of(copy, path.size), method, &match);
            EXPECT_INT(status, naive_find(kit.entries, kit.count, path, method, &naive), text);
            if (status == ROUTE_FOUND) {
                found++;
                EXPECT(values_equal(&match, &naive), text);
                EXPECT(!kit.reported[match.index], "what is reached was not reported");
                expect_inverse(kit.entries[match.index].template, path, &naive);
            } else if (status == ROUTE_NOT_ALLOWED) {
                EXPECT_INT(match.methods, naive.methods, text);
            }
            guard_free(copy);
        }
        kit_deinit(&kit);
    }
    EXPECT(found > RANDOM_TABLES * RANDOM_PATHS / 10, "the paths lead somewhere");
}
