/* SPDX-License-Identifier: MIT */
/* What can be declared wrongly, and the very lines that tell of it. `#line` gives each case a file
 * of its own, so that the places in the lines stay what they are; the last line of this file's own
 * functions is a matter of no test. */
#include "gyr/gyr_app.h"

#include "tests/told_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

/* ---- what the cases are made of -------------------------------------------------------------- */

struct say {
    struct gyr_span text;
};
struct bye {
    struct gyr_span text;
};
struct part {
    struct gyr_span text;
};
struct failure {
    struct gyr_span text;
};
#line 1 "messages.c"
GYR_MESSAGE(say, "say", GYR_MEMBER(say, text));
GYR_MESSAGE(bye, "bye", GYR_MEMBER(bye, text));
GYR_PART(part, GYR_MEMBER(part, text));
GYR_MESSAGE(failure, "error", GYR_MEMBER(failure, text));
#line 50 "tests/unit/test_app_check.c"

static int say_take(struct gyr_conn *conn, void *self, const struct say *say)
{
    (void)conn, (void)self, (void)say;
    return 0;
}

static int on_say(struct gyr_conn *conn, void *self, const struct say *say)
{
    return say_take(conn, self, say);
}

static int chat_on_say(struct gyr_conn *conn, void *self, const struct say *say)
{
    return say_take(conn, self, say);
}

static int on_Say(struct gyr_conn *conn, void *self, const struct say *say)
{
    return say_take(conn, self, say);
}

static int bye_take(struct gyr_conn *conn, void *self, const struct bye *bye)
{
    (void)conn, (void)self, (void)bye;
    return 0;
}

static int part_take(struct gyr_conn *conn, void *self, const struct part *part)
{
    (void)conn, (void)self, (void)part;
    return 0;
}

static int failure_take(struct gyr_conn *conn, void *self, const struct failure *failure)
{
    (void)conn, (void)self, (void)failure;
    return 0;
}

struct twice {
    struct gyr_span text;
};

static int twice_take(struct gyr_conn *conn, void *self, const struct twice *twice)
{
    (void)conn, (void)self, (void)twice;
    return 0;
}

static int raw_take(struct gyr_conn *conn, void *self, struct gyr_span payload)
{
    (void)conn, (void)self, (void)payload;
    return 0;
}

/* ---- handlers -------------------------------------------------------------------------------- */

#line 1 "twice.c"
static const struct gyr_resource tag_twice = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON(say, say_take), GYR_ON_RAW("say", raw_take)),
};
static const struct gyr_resource schema_twice = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON(say, say_take), GYR_ON(say, on_say)),
};
static const struct gyr_resource name_twice = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON_NAMED(say, on_say), GYR_ON_NAMED(say, chat_on_say)),
};
static const struct gyr_resource number_twice = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON_BINARY(7, raw_take), GYR_ON_BINARY(7, raw_take)),
    .binary_tag_size = 1,
};
#line 200 "tests/unit/test_app_check.c"

void app_check_tells_handlers_that_are_there_twice(void)
{
    expect_resource_told(
        &tag_twice,
        "twice.c:3: the resource \"chat\" has two handlers of the tag \"say\", the "
        "first at twice.c:3; remove one\n",
        "a tag");
    expect_resource_told(
        &schema_twice,
        "twice.c:7: the resource \"chat\" has two handlers of struct say, the first at "
        "twice.c:7; remove one\n",
        "a structure");
    expect_resource_told(&name_twice,
                         "twice.c:11: the resource \"chat\" has two handlers by convention for "
                         "\"on_say\", the first at twice.c:11; rename one\n",
                         "a name");
    expect_resource_told(
        &number_twice,
        "twice.c:15: the resource \"chat\" has two handlers of the number 7, the first "
        "at twice.c:15; remove one\n",
        "a number");
}

#line 1 "names.c"
static const struct gyr_resource name_other = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON_NAMED(say, say_take)),
};
static const struct gyr_resource name_large = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON_NAMED(say, on_Say)),
};
static const struct gyr_resource tag_none = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON(part, part_take)),
};
static const struct gyr_resource tag_error = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON(failure, failure_take)),
};
static const struct gyr_resource handler_nothing = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS({.kind = GYR_HANDLER_TAG, .tag = "x", .name = "x", .at = "x.c:1"}),
};
#line 240 "tests/unit/test_app_check.c"

void app_check_tells_handlers_without_a_tag_of_their_own(void)
{
    expect_resource_told(&name_other,
                         "names.c:3: the handler \"say_take\" is by convention, but is not called "
                         "on_... or something_on_...; rename it, or use GYR_ON\n",
                         "no name of the convention");
    expect_resource_told(&name_large,
                         "names.c:7: the handler \"on_Say\" is by convention, but no tag becomes "
                         "\"Say\"; write it small\n",
                         "a name that no tag becomes");
    expect_resource_told(
        &tag_none,
        "names.c:11: the handler \"part_take\" is of struct part, which has no tag; "
        "declare it with GYR_MESSAGE, or use GYR_ON_NAMED\n",
        "a part");
    expect_resource_told(
        &tag_error,
        "names.c:15: the handler \"failure_take\" is of the tag \"error\", which is "
        "that of errors; choose another\n",
        "a tag of ours");
    expect_resource_told(&handler_nothing,
                         "x.c:1: a handler of the resource \"chat\" has no function; give it one\n",
                         "no function");
}

#line 1 "base.c"
static const struct gyr_resource base = {
    GYR_RESOURCE_PLAIN("base"),
    .handlers = GYR_HANDLERS(GYR_ON(say, say_take), GYR_ON_RAW("raw", raw_take)),
};
static const struct gyr_resource override_nothing = {
    GYR_RESOURCE_PLAIN("derived"),
    .base = &base,
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(say, on_nothing, on_say)),
};
static const struct gyr_resource override_other = {
    GYR_RESOURCE_PLAIN("derived"),
    .base = &base,
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(bye, say_take, bye_take)),
};
static const struct gyr_resource override_raw = {
    GYR_RESOURCE_PLAIN("derived"),
    .base = &base,
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(bye, raw_take, bye_take)),
};
static const struct gyr_resource override_no_base = {
    GYR_RESOURCE_PLAIN("derived"),
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(say, say_take, on_say)),
};
#line 300 "tests/unit/test_app_check.c"

void app_check_tells_overrides_of_nothing_and_of_other_messages(void)
{
    expect_resource_told(
        &override_nothing,
        "base.c:8: the handler \"on_say\" overrides \"on_nothing\", but no base of the "
        "resource \"derived\" has such a handler; name one of theirs, or use GYR_ON\n",
        "nothing");
    expect_resource_told(
        &override_other,
        "base.c:13: the handler \"bye_take\" of struct bye overrides \"say_take\" of "
        "struct say; take the same message\n",
        "another message");
    expect_resource_told(
        &override_raw,
        "base.c:18: the handler \"bye_take\" of struct bye overrides \"raw_take\" of "
        "raw text; take the same message\n",
        "no message");
    expect_resource_told(
        &override_no_base,
        "base.c:22: the handler \"on_say\" overrides \"say_take\", but no base of the "
        "resource \"derived\" has such a handler; name one of theirs, or use GYR_ON\n",
        "no base");
}

#line 1 "listed.c"
static const struct gyr_resource listed = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON(say, say_take)),
    .messages = GYR_MESSAGES({&bye_schema}, {&part_schema}),
};
static const struct gyr_resource listed_well = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON_NAMED(say, on_say), GYR_ON(bye, bye_take)),
    .messages = GYR_MESSAGES({&bye_schema}, {&say_schema}),
};
static const struct gyr_resource listed_by_base = {
    GYR_RESOURCE_PLAIN("derived"),
    .base = &listed_well,
    .handlers = GYR_HANDLERS(GYR_ON_RAW("more", raw_take)),
};
#line 340 "tests/unit/test_app_check.c"

void app_check_tells_messages_without_handlers_and_the_other_way_round(void)
{
    expect_resource_told(
        &listed,
        "listed.c:2: the message \"bye\" (struct bye) of the resource \"chat\" has no "
        "handler; add one, or take it out of its messages\n"
        "messages.c:3: struct part is among the messages of the resource \"chat\", but "
        "has no tag; declare it with GYR_MESSAGE\n"
        "listed.c:3: the handler \"say_take\" is of \"say\", which is not among the "
        "messages of the resource \"chat\"; add it there, or remove the handler\n",
        "both");
    expect_resource_told(&listed_well, "", "all are there, by convention too");
    expect_resource_told(
        &listed_by_base,
        "listed.c:14: the handler \"raw_take\" is of \"more\", which is not among the "
        "messages of the resource \"derived\"; add it there, or remove the handler\n",
        "the base says which there are");
}

#line 1 "schema.c"
GYR_MESSAGE(twice, "twice", GYR_MEMBER(twice, text), GYR_MEMBER(twice, text));
static const struct gyr_resource schema_bad = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON(twice, twice_take)),
    .messages = GYR_MESSAGES({&twice_schema}),
    .methods = GYR_METHODS(GYR_POST_MSG(twice, twice_take)),
};
#line 400 "tests/unit/test_app_check.c"

void app_check_tells_schemas_that_are_not_sound(void)
{
    expect_resource_told(
        &schema_bad,
        "schema.c:1: twice.text: the name stands twice (members 1 and 2); rename one\n",
        "73: once, wherever it is used");
}

struct clash {
    struct gyr_span type;
    struct gyr_span kind;
    struct gyr_span re;
    int64_t id;
};

static int clash_take(struct gyr_conn *conn, void *self, const struct clash *clash)
{
    (void)conn, (void)self, (void)clash;
    return 0;
}

static int on_clash(struct gyr_conn *conn, void *self, const struct clash *clash)
{
    return clash_take(conn, self, clash);
}

#line 1 "clash.c"
GYR_MESSAGE(clash, "clash", GYR_MEMBER(clash, type), GYR_MEMBER(clash, kind), GYR_MEMBER(clash, re),
            GYR_MEMBER(clash, id));
static const struct gyr_resource clash_flat = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON(clash, clash_take), GYR_ON_RAW("raw", raw_take)),
};
static const struct gyr_resource clash_renamed = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON_NAMED(clash, on_clash)),
    .tag_name = "kind",
};
static const struct gyr_resource clash_envelope = {
    GYR_RESOURCE_PLAIN("chat"),
    .handlers = GYR_HANDLERS(GYR_ON(clash, clash_take)),
    .methods = GYR_METHODS(GYR_POST_MSG(clash, clash_take)),
    .form = GYR_FORM_ENVELOPE,
};
static const struct gyr_resource clash_derived = {
    GYR_RESOURCE_PLAIN("flat"),
    .base = &clash_envelope,
    .handlers = GYR_HANDLERS(GYR_OVERRIDE(clash, clash_take, on_clash)),
    .form = GYR_FORM_FLAT,
};
#line 500 "tests/unit/test_app_check.c"

#define CLASH(member, what)                                                    \
    "clash.c:1: struct clash has the member \"" member "\", but that is " what \
    " in the flat form, in which it comes to a handler; rename it, or use the envelope form\n"

void app_check_tells_members_that_have_another_meaning_in_the_flat_form(void)
{
    expect_resource_told(&clash_flat,
                         CLASH("type", "the tag") CLASH("re", "whose answer a message is"),
                         "but not \"id\", which is the message's own then");
    expect_resource_told(&clash_renamed,
                         CLASH("kind", "the tag") CLASH("re", "whose answer a message is"),
                         "the tag is called so");
    expect_resource_told(&clash_envelope, "", "a payload has whatever names it likes");
    expect_resource_told(&clash_derived,
                         CLASH("type", "the tag") CLASH("re", "whose answer a message is"),
                         "a base's handler, in another form");
}

#line 1 "binary.c"
static const struct gyr_resource binary_no_size = {
    GYR_RESOURCE_PLAIN("feed"),
    .handlers = GYR_HANDLERS(GYR_ON_BINARY(1, raw_take)),
};
static const struct gyr_resource binary_large = {
    GYR_RESOURCE_PLAIN("feed"),
    .handlers = GYR_HANDLERS(GYR_ON_BINARY(256, raw_take), GYR_ON_BINARY(255, raw_take)),
    .binary_tag_size = 1,
};
static const struct gyr_resource binary_size = {
    GYR_RESOURCE_PLAIN("feed"),
    .handlers = GYR_HANDLERS(GYR_ON_BINARY(256, raw_take)),
    .binary_tag_size = 3,
};
static const struct gyr_resource binary_nothing = {
    GYR_RESOURCE_PLAIN("feed"),
    .binary_tag_size = 2,
};
static const struct gyr_resource binary_both = {
    GYR_RESOURCE_PLAIN("feed"),
    .handlers = GYR_HANDLERS(GYR_ON_BINARY(1, raw_take)),
    .on_binary = raw_take,
    .binary_tag_size = 2,
};
static const struct gyr_resource text_both = {
    GYR_RESOURCE_PLAIN("feed"),
    .handlers = GYR_HANDLERS(GYR_ON(say, say_take)),
    .on_text = raw_take,
    .on_binary = raw_take,
};
#line 400 "tests/unit/test_app_check.c"

void app_check_tells_numbers_of_binary_messages_that_cannot_come(void)
{
    expect_resource_told(
        &binary_no_size,
        "binary.c:3: the handler \"raw_take\" is of the number 1, but the resource "
        "\"feed\" has no binary_tag_size; set it to 1 or 2\n",
        "no size");
    expect_resource_told(
        &binary_large,
        "binary.c:7: the handler \"raw_take\" is of the number 256, which is no single "
        "byte; set binary_tag_size of the resource \"feed\" to 2\n",
        "too large a number");
    expect_resource_told(
        &binary_size,
        "binary.c:11: the resource \"feed\" has binary_tag_size = 3; it is 1 or 2, or "
        "0 for none\n",
        "no such size");
    expect_resource_told(
        &binary_nothing,
        "binary.c:16: the resource \"feed\" has binary_tag_size = 2, but no handler of "
        "a number; add GYR_ON_BINARY, or leave it out\n",
        "no numbers");
    expect_resource_told(&binary_both,
                         "binary.c:20: the resource \"feed\" has on_binary, which takes all binary "
                         "messages, and handlers of numbers; remove one of them\n",
                         "on_binary too");
    expect_resource_told(
        &text_both,
        "binary.c:26: the resource \"feed\" has on_text, which takes all text, and "
        "takes binary messages in another way: no message comes to its handlers of "
        "tags; remove one of them\n",
        "nothing is left for tags");
}
