/* SPDX-License-Identifier: MIT */
/* What is wrong with a schema is said before it is used, with its place and the mend. */
#include "tests/json_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <math.h>
#include <stdio.h>

struct thing {
    int32_t n;
    int8_t small;
    uint8_t byte;
    bool flag;
    double real;
    struct gyr_span text;
    enum kit_colour colour;
    struct kit_part part;
    const int32_t *numbers;
    size_t count;
    struct gyr_variant shape;
};

/* A copy of a sound member, with something else in it. */
#define WITH(...) ((struct gyr_member){__VA_ARGS__})
#define N(...)    GYR_MEMBER(thing, n, __VA_ARGS__)

static const int32_t five = 5;
static const struct gyr_span not_utf8 = {"\xff", 1};
static const enum kit_colour odd = (enum kit_colour)5;
static const double infinite = INFINITY;
static const struct gyr_enum_name no_names[] = {{0}};
static const struct gyr_enum_name twice[] = {{"a", 1}, {"b", 2}, {"a", 3}, {0}};
static const struct gyr_enum_name quotes[] = {{"a\"", 1}, {0}};
static const struct gyr_enum_name large[] = {{"a", INT64_C(1) << 32}, {0}};
static const struct gyr_choice no_choices[] = {{0}};
static const struct gyr_choice untagged[] = {{&kit_part_schema}, {0}};
static const struct gyr_choice same_tags[] = {{&kit_circle_schema}, {&kit_circle_schema}, {0}};
static const struct gyr_choice circles[] = {{&kit_circle_schema}, {0}};

struct mistake {
    struct gyr_member member;
    const char *text; /* behind "here: " */
};

static const struct mistake mistakes[] = {
    {{.name = "", .key = "\"\":", .kind = GYR_KIND_BOOL, .size = 1},
     "member 1 of thing has a name of 0 bytes; give it one of 1 to 255"},
    {GYR_MEMBER_AS(thing, n, "a\"b"),
     "the name of member 1 of thing cannot be written as it is: a\"b; leave out quotes, "
     "backslashes and control characters, and use UTF-8"},
    {GYR_MEMBER_AS(thing, n, "a\\b"),
     "the name of member 1 of thing cannot be written as it is: a\\b; leave out quotes, "
     "backslashes and control characters, and use UTF-8"},
    {GYR_MEMBER_AS(thing, n, "a\nb"),
     "the name of member 1 of thing cannot be written as it is: a?b; leave out quotes, "
     "backslashes and control characters, and use UTF-8"},
    {{.name = "n", .key = "\"m\":", .name_size = 1, .kind = GYR_KIND_BOOL, .size = 1},
     "thing.n: name, size and key do not belong together; declare it with GYR_MEMBER or one of "
     "its like"},
    {{.name = "n", .key = "\"n\":", .name_size = 2, .kind = GYR_KIND_BOOL, .size = 1},
     "thing.n: name, size and key do not belong together; declare it with GYR_MEMBER or one of "
     "its like"},
    {{.name = "n", .key = "\"n\":", .name_size = 1, .kind = 99, .size = 1},
     "thing.n: there is no kind 99; use an enum gyr_kind"},
    {{.name = "n", .key = "\"n\":", .name_size = 1, .kind = 0, .size = 1},
     "thing.n: there is no kind 0; use an enum gyr_kind"},
    {{.name = "n", .key = "\"n\":", .name_size = 1, .kind = GYR_KIND_BOOL, .size = 4},
     "thing.n: 4 bytes do not fit its kind; let a macro of gyr_message.h say both"},
    {{.name = "n", .key = "\"n\":", .name_size = 1, .kind = GYR_KIND_INT, .width = 3, .size = 3},
     "thing.n: 3 bytes do not fit its kind; let a macro of gyr_message.h say both"},
    {{.name = "n",
      .key = "\"n\":",
      .name_size = 1,
      .kind = GYR_KIND_BOOL,
      .size = 1,
      .offset = sizeof(struct thing)},
     "thing.n: it goes past the end of struct thing, which has 96 bytes; name members of this "
     "structure"},
    {{.name = "n", .key = "\"n\":", .name_size = 1, .kind = GYR_KIND_STRUCT, .size = 4},
     "thing.n: a structure needs a schema; use GYR_STRUCT or GYR_ARRAY_OF"},
    {N(.schema = &kit_part_schema),
     "thing.n: a schema is for structures, and this is none; use GYR_STRUCT or GYR_ARRAY_OF"},
    {N(.names = kit_colours), "thing.n: names are for enums, and this is none; use GYR_ENUM"},
    {N(.choices = circles), "thing.n: choices are for variants, and this is none; use GYR_VARIANT"},
    {N(GYR_SIZE(1, 2)), "thing.n: GYR_SIZE is for strings, bytes and raw values; take it away"},
    {N(GYR_COUNT(1, 2)), "thing.n: GYR_COUNT is for arrays; take it away"},
    {N(.tag_name = "kind"), "thing.n: tag_name is for variants; take it away"},
    {N(.preset = &five), "thing.n: it has a default without being optional; add .optional = true"},
    {N(.presence = 1 + offsetof(struct thing, flag)),
     "thing.n: it says whether it is there without being optional; add .optional = true"},
    {N(.optional = true, .presence = 1000),
     "thing.n: it goes past the end of struct thing, which has 96 bytes; name members of this "
     "structure"},
    {N(GYR_RANGE(2, 1)), "thing.n: GYR_RANGE(2, 1) holds nothing; swap them"},
    {N(GYR_RANGE(1, -1)), "thing.n: GYR_RANGE(1, -1) holds nothing; swap them"},
    {GYR_MEMBER(thing, byte, GYR_RANGE(2, 1)),
     "thing.byte: GYR_RANGE(2, 1) holds nothing; swap them"},
    {GYR_MEMBER(thing, byte, GYR_RANGE(-1, 1)),
     "thing.byte: GYR_RANGE goes beyond 0 to 255, which is all that 1 bytes hold; make it "
     "narrower"},
    {GYR_MEMBER(thing, byte, GYR_RANGE(0, 256)),
     "thing.byte: GYR_RANGE goes beyond 0 to 255, which is all that 1 bytes hold; make it "
     "narrower"},
    {GYR_MEMBER(thing, small, GYR_RANGE(-129, 0)),
     "thing.small: GYR_RANGE goes beyond -128 to 127, which is all that 1 bytes hold; make it "
     "narrower"},
    {GYR_MEMBER(thing, small, GYR_RANGE(0, 128)),
     "thing.small: GYR_RANGE goes beyond -128 to 127, which is all that 1 bytes hold; make it "
     "narrower"},
    {N(GYR_REAL_RANGE(0, 1)), "thing.n: GYR_REAL_RANGE is for doubles; use GYR_RANGE"},
    {GYR_MEMBER(thing, text, GYR_REAL_RANGE(0, 1)),
     "thing.text: GYR_REAL_RANGE is for doubles; use none"},
    {GYR_MEMBER(thing, real, GYR_RANGE(0, 1)),
     "thing.real: GYR_RANGE is for integers; use GYR_REAL_RANGE"},
    {GYR_MEMBER(thing, text, GYR_RANGE(0, 1)), "thing.text: GYR_RANGE is for integers; use none"},
    {GYR_MEMBER(thing, real, GYR_REAL_RANGE(1, 0)),
     "thing.real: GYR_REAL_RANGE(1, 0) holds nothing; swap them"},
    {GYR_MEMBER(thing, real, GYR_REAL_RANGE(NAN, 0)),
     "thing.real: GYR_REAL_RANGE(nan, 0) holds nothing; swap them"},
    {GYR_MEMBER(thing, text, GYR_SIZE(3, 2)),
     "thing.text: GYR_SIZE(3, 2) holds nothing; swap them"},
    {N(.optional = true, .preset = &five, GYR_RANGE(0, 4)),
     "thing.n: its default is not what it may be itself; change it, or the range, size or names"},
    {GYR_MEMBER(thing, text, .optional = true, .preset = &not_utf8),
     "thing.text: its default is not what it may be itself; change it, or the range, size or "
     "names"},
    {GYR_MEMBER(thing, real, .optional = true, .preset = &infinite),
     "thing.real: its default is not what it may be itself; change it, or the range, size or "
     "names"},
    {GYR_ENUM(thing, colour, kit_colours, .optional = true, .preset = &odd),
     "thing.colour: its default is not what it may be itself; change it, or the range, size or "
     "names"},
    {GYR_RAW(thing, text, .optional = true, .preset = &not_utf8),
     "thing.text: its default is not what it may be itself; change it, or the range, size or "
     "names"},
    {GYR_ENUM(thing, colour, NULL),
     "thing.colour: an enum needs at least one name; give GYR_ENUM a table of struct "
     "gyr_enum_name"},
    {GYR_ENUM(thing, colour, no_names),
     "thing.colour: an enum needs at least one name; give GYR_ENUM a table of struct "
     "gyr_enum_name"},
    {GYR_ENUM(thing, colour, twice), "thing.colour: the name 'a' stands twice; rename one"},
    {GYR_ENUM(thing, colour, quotes),
     "thing.colour: the name 'a\"' cannot be written as it is; leave out quotes, backslashes and "
     "control characters, and use UTF-8"},
    {GYR_ENUM(thing, colour, large), "thing.colour: 'a' is 4294967296, which 4 bytes do not hold"},
    {GYR_ARRAY(thing, numbers, count, GYR_COUNT(3, 2)),
     "thing.numbers: GYR_COUNT(3, 2) holds nothing; swap them, or give a maximum"},
    {GYR_ARRAY(thing, numbers, count, GYR_COUNT(70000, 0)),
     "thing.numbers: GYR_COUNT(70000, 65536) holds nothing; swap them, or give a maximum"},
    {GYR_ARRAY(thing, numbers, count, .optional = true, .preset = &five),
     "thing.numbers: an array has no default; leave it optional"},
    {GYR_ARRAY(thing, numbers, count, GYR_SIZE(1, 2)),
     "thing.numbers: GYR_SIZE is for strings, bytes and raw values; take it away"},
    {{.name = "n",
      .key = "\"n\":",
      .name_size = 1,
      .kind = GYR_KIND_ARRAY,
      .item_kind = GYR_KIND_ARRAY,
      .size = 8},
     "thing.n: items cannot be arrays or variants; put each into a part of its own"},
    {{.name = "n",
      .key = "\"n\":",
      .name_size = 1,
      .kind = GYR_KIND_ARRAY,
      .item_kind = GYR_KIND_VARIANT,
      .size = 8},
     "thing.n: items cannot be arrays or variants; put each into a part of its own"},
    {{.name = "n",
      .key = "\"n\":",
      .name_size = 1,
      .kind = GYR_KIND_ARRAY,
      .item_kind = GYR_KIND_BOOL,
      .size = 4},
     "thing.n: 4 bytes are no pointer to items; use GYR_ARRAY"},
    {{.name = "n",
      .key = "\"n\":",
      .name_size = 1,
      .kind = GYR_KIND_ARRAY,
      .item_kind = GYR_KIND_BOOL,
      .size = 8,
      .item_size = 2},
     "thing.n: 2 bytes do not fit its kind; let a macro of gyr_message.h say both"},
    {GYR_VARIANT(thing, shape, NULL),
     "thing.shape: a variant needs at least one choice; give GYR_VARIANT a list by GYR_CHOICES"},
    {GYR_VARIANT(thing, shape, no_choices),
     "thing.shape: a variant needs at least one choice; give GYR_VARIANT a list by GYR_CHOICES"},
    {GYR_VARIANT(thing, shape, untagged),
     "thing.shape: the choice kit_part has no tag to tell it by; declare it with GYR_MESSAGE"},
    {GYR_VARIANT(thing, shape, same_tags),
     "thing.shape: the choices kit_circle and kit_circle have the same tag 'circle'; give one "
     "another"},
    {GYR_VARIANT(thing, shape, circles, .tag_name = "radius"),
     "thing.shape: the choice kit_circle has a member 'radius', which here is the tag; rename "
     "it, or set tag_name"},
    {GYR_VARIANT(thing, shape, circles, .tag_name = ""),
     "thing.shape: the tag_name '' cannot be written as it is; leave out quotes, backslashes and "
     "control characters, and use UTF-8"},
};

static struct gyr_schema thing_of(const struct gyr_member *members)
{
    return (struct gyr_schema){.name = "thing",
                               .tag = "thing",
                               .quoted = "\"thing\"",
                               .at = "here",
                               .struct_size = sizeof(struct thing),
                               .struct_align = __alignof__(struct thing),
                               .members = members};
}

static void expect_fault(const struct gyr_schema *schema, const char *text)
{
    char expected[400];
    struct gyr_error error = {""};
    (void)snprintf(expected, sizeof(expected), "here: %s", text);
    EXPECT_INT(gyr_schema_check(schema, &error), GYR_ERR_CONFIG, text);
    EXPECT_SPAN(kit_span(error.text), expected, text);
}

void gyr_schema_check_names_each_mistake_of_a_member(void)
{
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        struct gyr_member members[2] = {mistakes[i].member};
        struct gyr_schema schema = thing_of(members);
        expect_fault(&schema, mistakes[i].text);
        CU_ASSERT_EQUAL(gyr_schema_check(&schema, NULL), GYR_ERR_CONFIG);
    }
}

void gyr_schema_check_names_each_mistake_of_a_schema(void)
{
    const struct gyr_member twins[] = {N(), GYR_MEMBER(thing, flag), N(), {0}};
    const struct gyr_member sound[] = {N(), {0}};
    struct gyr_schema schema = thing_of(twins);
    expect_fault(&schema, "thing.n: the name stands twice (members 1 and 3); rename one");
    schema = thing_of(NULL);
    expect_fault(&schema, "the schema thing lacks its members; declare it with GYR_MESSAGE or "
                          "GYR_PART");
    schema = thing_of(sound);
    schema.name = NULL;
    expect_fault(&schema, "the schema ? lacks its name; declare it with GYR_MESSAGE or GYR_PART");
    schema = thing_of(sound);
    schema.struct_align = 32;
    expect_fault(&schema, "thing is aligned to 32 bytes; at most 16 can be had");
    schema.struct_align = 0;
    expect_fault(&schema, "thing is aligned to 0 bytes; at most 16 can be had");
    schema = thing_of(sound);
    schema.tag = "";
    expect_fault(&schema, "thing has the tag '', of 0 bytes; give it one of 1 to 255, and leave "
                          "out quotes, backslashes and control characters");
    schema.tag = "a\"b";
    expect_fault(&schema, "thing has the tag 'a\"b', of 3 bytes; give it one of 1 to 255, and "
                          "leave out quotes, backslashes and control characters");
    schema.tag = "a";
    expect_fault(&schema,
                 "thing has the tag 'a', but \"thing\" in quotes; declare it with GYR_MESSAGE");

    struct gyr_member many[GYR_MEMBERS_MAX + 2];
    char names[COUNT_OF(many)][8];
    char keys[COUNT_OF(many)][8];
    memset(many, 0, sizeof(many));
    for (size_t i = 0; i < COUNT_OF(many) - 1; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "m%02zu", i);
        (void)snprintf(keys[i], sizeof(keys[i]), "\"m%02zu\":", i);
        many[i] = (struct gyr_member)N();
        many[i].name = names[i];
        many[i].key = keys[i];
        many[i].name_size = 3;
    }
    schema = thing_of(many);
    expect_fault(&schema, "thing has more than 64 members (GYR_MEMBERS_MAX); put some into a part "
                          "of its own (GYR_STRUCT)");
    many[GYR_MEMBERS_MAX].name = NULL;
    CU_ASSERT_EQUAL(gyr_schema_check(&schema, NULL), 0);
    /* All of 64 can be read, in order and not. */
    struct kit_reader kit;
    struct thing thing;
    char text[1024] = "{\"m63\":1";
    kit_reader_init(&kit);
    for (size_t i = 0; i < GYR_MEMBERS_MAX; i++) {
        (void)snprintf(text + strlen(text), 16, ",\"m%02zu\":%zu", i, i);
    }
    (void)snprintf(text + strlen(text), 2, "}");
    CU_ASSERT_EQUAL(kit_read_plain(&kit, text, &schema, &thing), 0);
    CU_ASSERT_EQUAL(thing.n, 63);
    text[strlen(text) - 10] = '\0';
    (void)snprintf(text + strlen(text), 2, "}");
    CU_ASSERT_EQUAL(kit_read_plain(&kit, text, &schema, &thing), 0);
    CU_ASSERT_EQUAL(kit_read_plain(&kit, "{\"m63\":1}", &schema, &thing), GYR_ERR_MESSAGE);
    CU_ASSERT_STRING_EQUAL(kit.fault.path, "m00");
    kit_reader_deinit(&kit);
}

struct node {
    const struct node *children;
    size_t count;
};
GYR_PART(node, GYR_ARRAY_OF(node, children, count, node));

void gyr_schema_check_limits_what_is_in_each_other(void)
{
    struct gyr_error error;
    CU_ASSERT_EQUAL(gyr_schema_check(&node_schema, &error), GYR_ERR_CONFIG);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "test_json_schema.c:"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(error.text, ": node is part of itself; take it as raw JSON (GYR_RAW), and decode "
                           "that with gyr_decode"));
    /* A chain of structures, each with the next one in it. */
    for (unsigned depth = 1; depth < 40; depth++) {
        struct gyr_member members[40][2];
        struct gyr_schema schemas[40];
        memset(members, 0, sizeof(members));
        for (unsigned i = 0; i < depth; i++) {
            schemas[i] = thing_of(members[i]);
            members[i][0] = (struct gyr_member){.name = "n",
                                                .key = "\"n\":",
                                                .name_size = 1,
                                                .kind = GYR_KIND_STRUCT,
                                                .size = sizeof(struct thing),
                                                .schema = &schemas[i + 1]};
        }
        members[depth - 1][0] = (struct gyr_member)N();
        if (depth < GYR_DEPTH_MAX) {
            EXPECT_INT(gyr_schema_check(&schemas[0], &error), 0, "not too deep");
        } else {
            expect_fault(&schemas[0], "thing stands deeper than 31 brackets (GYR_DEPTH_MAX, and "
                                      "one for an envelope); make the structure flatter");
        }
    }
    /* What is wrong with a part, or with a choice, is found, too. */
    const struct gyr_member bad[] = {N(GYR_RANGE(2, 1)), {0}};
    struct gyr_schema part = thing_of(bad);
    const struct gyr_choice choices[] = {{&kit_circle_schema}, {&part}, {0}};
    const struct gyr_member members[] = {GYR_VARIANT(thing, shape, choices), {0}};
    struct gyr_schema schema = thing_of(members);
    expect_fault(&schema, "thing.n: GYR_RANGE(2, 1) holds nothing; swap them");
}

void gyr_schema_check_takes_every_kind(void)
{
    struct gyr_error error = {""};
    EXPECT_INT(gyr_schema_check(&kit_all_schema, &error), 0, error.text);
    EXPECT_INT(gyr_schema_check(&kit_square_schema, &error), 0, error.text);
    EXPECT_INT(gyr_schema_check(&kit_part_schema, &error), 0, error.text);
}

void gyr_decoder_decodes_copies_and_encodes(void)
{
    struct gyr_decoder *decoder;
    struct gyr_fault fault;
    struct kit_all all;
    char text[1024];
    char again[1024];
    size_t used;
    CU_ASSERT_EQUAL_FATAL(gyr_decoder_create(1 << 16, &decoder), 0);
    (void)snprintf(text, sizeof(text), "%s", kit_all_text);
    struct gyr_span span = {text, strlen(text)};
    CU_ASSERT_EQUAL_FATAL(gyr_decode(decoder, &kit_all_schema, span, false, &all, &fault), 0);
    /* It is a copy that the views are of. */
    memset(text, 'x', sizeof(text));
    CU_ASSERT_EQUAL(gyr_encode(&kit_all_schema, &all, text, sizeof(text), &used), 0);
    span.size = used;
    CU_ASSERT_EQUAL(gyr_decode(decoder, &kit_all_schema, span, false, &all, &fault), 0);
    size_t second;
    CU_ASSERT_EQUAL(gyr_encode(&kit_all_schema, &all, again, sizeof(again), &second), 0);
    CU_ASSERT(second == used && memcmp(text, again, used) == 0);
    CU_ASSERT_EQUAL(gyr_encode(&kit_all_schema, &all, again, used - 1, &second), GYR_ERR_LIMIT);
    CU_ASSERT_EQUAL(second, used);

    struct kit_part part;
    struct gyr_span typed = GYR_LITERAL("{\"type\":[1],\"x\":\"5\",\"y\":{}}");
    CU_ASSERT_EQUAL(gyr_decode(decoder, &kit_part_schema, typed, true, &part, &fault), 0);
    CU_ASSERT_EQUAL(part.x, 5);
    CU_ASSERT_EQUAL(gyr_decode(decoder, &kit_part_schema, typed, false, &part, &fault),
                    GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(fault.reason, GYR_REASON_TYPE);
    CU_ASSERT_STRING_EQUAL(fault.path, "x");
    struct gyr_span empty = {NULL, 0};
    CU_ASSERT_EQUAL(gyr_decode(decoder, &kit_part_schema, empty, false, &part, &fault),
                    GYR_ERR_MESSAGE);
    CU_ASSERT_EQUAL(fault.reason, GYR_REASON_MALFORMED);
    gyr_decoder_destroy(decoder);
    gyr_decoder_destroy(NULL);

    CU_ASSERT_EQUAL_FATAL(gyr_decoder_create(500, &decoder), 0);
    CU_ASSERT_EQUAL(gyr_decode(decoder, &kit_all_schema, span, false, &all, &fault),
                    GYR_ERR_MEMORY);
    CU_ASSERT_EQUAL(fault.reason, GYR_REASON_MEMORY);
    gyr_decoder_destroy(decoder);
}

void gyr_reason_has_a_code_and_a_text_for_each(void)
{
    for (int i = 0; i <= GYR_REASON_REFUSED; i++) {
        enum gyr_reason reason = (enum gyr_reason)i;
        CU_ASSERT(strlen(gyr_reason_code(reason)) > 1 && strlen(gyr_reason_text(reason)) > 5);
        for (int j = 0; j < i; j++) {
            CU_ASSERT(strcmp(gyr_reason_code(reason), gyr_reason_code((enum gyr_reason)j)) != 0);
        }
    }
    CU_ASSERT_STRING_EQUAL(gyr_reason_code(GYR_REASON_UNKNOWN_MEMBER), "unknown_member");
    CU_ASSERT_STRING_EQUAL(gyr_reason_code((enum gyr_reason)999), "unknown");
    CU_ASSERT_STRING_EQUAL(gyr_reason_code((enum gyr_reason) - 1), "unknown");
    CU_ASSERT_STRING_EQUAL(gyr_reason_text((enum gyr_reason)999), "unknown reason");
}
