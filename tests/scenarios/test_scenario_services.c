/* SPDX-License-Identifier: MIT */
/* Scenarios 91 to 95: services, and where the inputs of a resource come from. */
#include "tests/scenario_kit.h"

#include <errno.h>

struct tool {
    const char *name;
};
static const struct tool hammer = {"hammer"};
static const struct tool saw = {"saw"};
static const struct tool drill = {"drill"};
static const struct tool file = {"file"};

struct bench {
    const struct tool *tool;
};

static void tool_note(struct gyr_conn *conn, const char *who, const void *self)
{
    const struct bench *bench = self;
    note(conn, "%s:%s", who, bench->tool != NULL ? bench->tool->name : "none");
}
static int outer_create(struct gyr_conn *conn, void *self)
{
    tool_note(conn, "outer", self);
    return 0;
}
static int inner_create(struct gyr_conn *conn, void *self)
{
    tool_note(conn, "inner", self);
    return 0;
}
static int inner_text(struct gyr_conn *conn, void *self, struct gyr_span message)
{
    tool_note(conn, "later", self);
    return gyr_send(conn, GYR_TEXT, message);
}

static const struct gyr_value hammer_service = GYR_VALUE("tool", struct tool, &hammer);
static const struct gyr_value saw_service = GYR_VALUE("tool", struct tool, &saw);

static const struct gyr_resource inner = {
    GYR_RESOURCE(bench), .create = inner_create, .on_text = inner_text,
    .inputs = GYR_INPUTS(GYR_INPUT(bench, tool, struct tool))};
static const struct gyr_route inners[] = {
    GYR_ROUTE("inner", &inner),
    GYR_ROUTE("own", &inner, .values = GYR_VALUES(GYR_VALUE("tool", struct tool, &drill))),
    {0}};
static const struct gyr_resource outer = {GYR_RESOURCE(bench), .create = outer_create,
                                          .inputs = GYR_INPUTS(GYR_INPUT(bench, tool, struct tool)),
                                          .children = inners};
static const struct gyr_route outers[] = {GYR_ROUTE("/outer", &outer), {0}};

void scenario_091_parents_and_children_have_the_service_they_declare(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", outers);
        EXPECT_INT(gyr_app_service(at.app, &hammer_service, &at.error), 0, at.error.text);
        SERVE(&at);
        VISIT(&at, "/outer/inner");
        VISIT(&at, "/outer");
        ENDED(&at, "outer:hammer inner:hammer outer:hammer");
    }
}

static int file_give(struct gyr_conn *conn, void *self)
{
    (void)self;
    return gyr_give(conn, "tool", &file);
}
static const struct gyr_resource preset = {
    GYR_RESOURCE(bench), .create = inner_create,
    .inputs = GYR_INPUTS(GYR_INPUT(bench, tool, struct tool, .optional = true, .preset = &saw))};
static const struct gyr_route presets[] = {
    GYR_ROUTE("/preset", &preset),
    GYR_ROUTE("/value", &preset, .values = GYR_VALUES(GYR_VALUE("tool", struct tool, &drill))),
    {0}};
static const struct gyr_resource giver = {GYR_RESOURCE_PLAIN("giver"), .give = file_give,
                                          .gifts = GYR_GIFTS(GYR_GIFT("tool", struct tool)),
                                          .children = presets};
static const struct gyr_route sources[] = {
    GYR_ROUTE("/give", &giver),
    GYR_ROUTE("/preset", &preset),
    GYR_ROUTE("/value", &preset, .values = GYR_VALUES(GYR_VALUE("tool", struct tool, &drill))),
    {0}};

void scenario_092_a_gift_a_value_a_service_a_preset_in_this_order(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", sources);
        EXPECT_INT(gyr_app_service(at.app, &hammer_service, &at.error), 0, at.error.text);
        SERVE(&at);
        VISIT(&at, "/value");
        VISIT(&at, "/preset");
        VISIT(&at, "/give/value");
        VISIT(&at, "/give/preset");
        ENDED(&at, "inner:drill inner:hammer inner:file inner:file");
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", sources);
        SERVE(&at);
        VISIT(&at, "/preset");
        ENDED(&at, "inner:saw");
    }
}

void scenario_093_a_name_that_nobody_has_is_an_error_that_says_it(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        const void *pointer = NULL;
        EXPECT_INT(gyr_app_service(scenario_app(&at), &hammer_service, &at.error), 0, "there");
        EXPECT_INT(gyr_app_find(at.app, "tool", "struct tool", &pointer, &at.error), 0,
                   at.error.text);
        EXPECT(pointer == &hammer, "what was registered");
        EXPECT_INT(gyr_app_find(at.app, "tools", "struct tool", &pointer, &at.error),
                   GYR_ERR_NOT_FOUND, "a name");
        ERROR(&at, "there is no service \"tools\" (struct tool); register it with gyr_app_service");
        EXPECT_INT(gyr_app_find(at.app, "tool", "struct store", &pointer, &at.error),
                   GYR_ERR_NOT_FOUND, "a type");
        ERROR(&at, "there is no service \"tool\" (struct store); register it with gyr_app_service");
    }
    SCENARIO_EACH_RING(&at)
    {
        struct gyr_settings *settings = NULL;
        ROUTES(&at, "", outers);
        MISTAKES(&at, "@: the resource \"bench\" wants the service \"tool\" (struct tool), which "
                      "nobody has registered; call gyr_app_service before gyr_app_server\n@: the "
                      "resource \"bench\" wants the service \"tool\" (struct tool), which nobody "
                      "has registered; call gyr_app_service before gyr_app_server");
        EXPECT_INT(gyr_settings_create(&at.config, &settings, &at.error), 0, at.error.text);
        EXPECT_INT(gyr_app_server(at.app, settings, &at.server, &at.error), GYR_ERR_CONFIG,
                   "it does not start");
        EXPECT(strstr(at.error.text, "\"tool\"") != NULL, at.error.text);
        EXPECT(strstr(at.error.text, "struct tool") != NULL, at.error.text);
        gyr_settings_destroy(settings);
        at.server = NULL;
    }
}

/* ---- makers ---- */

static int tool_make(struct gyr_conn *conn, void *user, void **pointer)
{
    const int *result = user;
    note(conn, "make");
    *pointer = gyr_conn_alloc(conn, sizeof(struct tool));
    if (*pointer == NULL) {
        return GYR_ERR_MEMORY;
    }
    *(struct tool *)*pointer = (struct tool){"made"};
    return *result;
}
static void tool_drop(struct gyr_conn *conn, void *user, void *pointer)
{
    (void)user;
    note(conn, "drop:%s", ((const struct tool *)pointer)->name);
}
static void outer_destroy(struct gyr_conn *conn, void *self)
{
    tool_note(conn, "destroy", self);
}
static const struct gyr_resource made_outer = {
    GYR_RESOURCE(bench), .create = outer_create, .destroy = outer_destroy,
    .inputs = GYR_INPUTS(GYR_INPUT(bench, tool, struct tool)), .children = inners};
static const struct gyr_route made_outers[] = {GYR_ROUTE("/made", &made_outer), {0}};

void scenario_094_a_maker_that_fails_refuses_and_is_reported(void)
{
    static int good = 0;
    static int bad = -EIO;
    static const struct gyr_maker good_maker =
        GYR_MAKER("tool", struct tool, tool_make, tool_drop, &good);
    static const struct gyr_maker bad_maker =
        GYR_MAKER("tool", struct tool, tool_make, tool_drop, &bad);
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", made_outers);
        EXPECT_INT(gyr_app_maker(at.app, &bad_maker, &at.error), 0, at.error.text);
        SERVE(&at);
        REFUSED(&at, "/made/inner", 500);
        NOTED(&at, "make failed:make:tool:-5");
        EXPECT_INT(scenario_logged(&at, "what=make"), 1, "one line");
        ENDED(&at, "");
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", made_outers);
        EXPECT_INT(gyr_app_maker(at.app, &good_maker, &at.error), 0, at.error.text);
        SERVE(&at);
        VISIT(&at, "/made/inner");
        ENDED(&at, "make outer:made inner:made destroy:made drop:made");
    }
}

void scenario_095_a_service_registered_anew_reaches_new_connections_only(void)
{
    static const struct gyr_value other = GYR_VALUE("other", struct tool, &saw);
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", outers);
        EXPECT_INT(gyr_app_service(at.app, &hammer_service, &at.error), 0, at.error.text);
        SERVE(&at);
        struct scenario_client *before = OPEN(&at, "/outer/inner");
        NOTED(&at, "outer:hammer inner:hammer");
        EXPECT_INT(gyr_app_service(at.app, &saw_service, &at.error), 0, at.error.text);
        VISIT(&at, "/outer/inner");
        NOTED(&at, "outer:saw inner:saw");
        scenario_say(before, "x");
        HEARS(before, "x");
        NOTED(&at, "later:hammer");
        /* Names and types were resolved once, at the start: nothing new can be asked for now. */
        EXPECT_INT(gyr_app_service(at.app, &other, &at.error), GYR_ERR_NOT_FOUND, "a new name");
        ERROR(&at, "the service \"other\" (struct tool) is new, and the application is frozen; a "
                   "service can only be replaced then");
        for (unsigned i = 0; i < 4; i++) {
            VISIT(&at, "/outer");
        }
        LEAVE(before);
        ENDED(&at, "outer:saw outer:saw outer:saw outer:saw");
    }
}
