/* SPDX-License-Identifier: MIT */
/* How a chain comes to be: inputs and where they come from, gifts, makers, factories. */
#include "router/visit.h"
#include "tests/parser_kit.h"
#include "tests/visit_kit.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <stdio.h>

static char texts[8][8] = {"value", "service", "preset", "gift", "other", "chosen", "new", "made"};
enum text {
    VALUE,
    SERVICE,
    PRESET,
    GIFT,
    OTHER,
    CHOSEN,
    NEW,
    MADE
};

struct word; /* any type: only its name counts */

/* ---- where inputs come from ---- */

struct wants {
    struct word *word;
    struct word *spare;
};

static const char *text_of(const struct word *word)
{
    return word != NULL ? (const char *)word : "none";
}

static int wants_create(struct gyr_conn *conn, void *self)
{
    const struct wants *wants = self;
    visit_trace(conn, "%s,%s", text_of(wants->word), text_of(wants->spare));
    return 0;
}

static int gives_word(struct gyr_conn *conn, void *self)
{
    struct gyr_span how = gyr_param(conn, "how");
    (void)self;
    EXPECT_INT(gyr_give_state(conn, NULL, NULL), 0, "in give");
    switch (how.ptr[0]) {
    case 'g':
        return gyr_give(conn, "word", texts[GIFT]);
    case 't':
        EXPECT_INT(gyr_give(conn, "word", texts[OTHER]), 0, "of two the last counts");
        return gyr_give(conn, "word", texts[GIFT]);
    case 'n':
        return gyr_give(conn, "word", NULL);
    case 'b':
        (void)gyr_give(conn, "wrod", texts[GIFT]); /* and it goes on all the same */
        return 0;
    case 'r':
        return gyr_give(conn, "wrod", texts[GIFT]);
    default:
        return 0;
    }
}

static int no_give(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    EXPECT_INT(gyr_give(conn, "word", texts[GIFT]), GYR_ERR_STATE, "in give only");
    EXPECT_INT(gyr_give_state(conn, NULL, NULL), GYR_ERR_STATE, "in give only");
    return 0;
}

#define WANTS                                          \
    GYR_RESOURCE(wants),                               \
        .create = wants_create, .on_connect = no_give, \
        .inputs = GYR_INPUTS(                          \
            GYR_INPUT(wants, word, struct word),       \
            GYR_INPUT(wants, spare, struct word, .optional = true, .preset = texts[PRESET]))

static const struct gyr_resource wants = {WANTS};
static const struct gyr_resource parent = {
    GYR_RESOURCE_PLAIN("parent"),
    .give = gives_word,
    .gifts = GYR_GIFTS(GYR_GIFT("word", struct word)),
    .children =
        GYR_ROUTES(GYR_ROUTE("plain", &wants),
                   GYR_ROUTE("valued", &wants,
                             .values = GYR_VALUES(GYR_VALUE("word", struct word,
                                                            (struct word *)(void *)texts[VALUE])))),
};
static const struct gyr_route input_routes[] = {
    GYR_ROUTE("/p/{how}", &parent),
    GYR_ROUTE("/plain", &wants),
    GYR_ROUTE("/valued", &wants,
              .values =
                  GYR_VALUES(GYR_VALUE("word", struct word, (struct word *)(void *)texts[VALUE]),
                             GYR_VALUE("spare", struct word, NULL))),
    {0},
};

static void begin(struct visit_kit *visit_kit, const struct gyr_route *routes,
                  const struct gyr_value *service)
{
    struct gyr_error error;
    visit_kit_init(visit_kit);
    visit_kit->told = true;
    visit_kit_app(visit_kit);
    EXPECT_INT(gyr_app_service(visit_kit->app, service, &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(visit_kit->app, "", routes), 0, "routes");
    visit_kit_start(visit_kit);
}

static void open_is(struct visit_kit *visit_kit, const char *path, unsigned status_code,
                    const char *trace)
{
    visit_kit_upgrade(visit_kit, path, "");
    EXPECT_INT(visit_kit_status(visit_kit), status_code, path);
    EXPECT_TRACE(visit_kit, trace, path);
    kit_reset(&visit_kit->kit);
    EXPECT_INT(visit_kit_heap(visit_kit), 0, path);
}

void visit_make_takes_inputs_from_what_counts_most(void)
{
    struct gyr_value service =
        GYR_VALUE("word", struct word, (struct word *)(void *)texts[SERVICE]);
    struct visit_kit visit_kit;
    struct gyr_error error;
    begin(&visit_kit, input_routes, &service);
    open_is(&visit_kit, "/plain", 101, "service,preset");
    open_is(&visit_kit, "/valued", 101, "value,none");
    open_is(&visit_kit, "/p/g/plain", 101, "gift,preset");
    open_is(&visit_kit, "/p/g/valued", 101, "gift,preset");
    open_is(&visit_kit, "/p/t/valued", 101, "gift,preset");
    open_is(&visit_kit, "/p/0/plain", 101, "service,preset");
    open_is(&visit_kit, "/p/n/plain", 101, "service,preset");
    open_is(&visit_kit, "/p/0/valued", 101, "value,preset");
    service.pointer = texts[NEW];
    EXPECT_INT(gyr_app_service(visit_kit.app, &service, &error), 0, error.text);
    open_is(&visit_kit, "/plain", 101, "new,preset");
    visit_kit_end(&visit_kit);
}

void visit_make_refuses_a_gift_that_was_not_declared(void)
{
    struct gyr_value service =
        GYR_VALUE("word", struct word, (struct word *)(void *)texts[SERVICE]);
    struct visit_kit visit_kit;
    begin(&visit_kit, input_routes, &service);
    open_is(&visit_kit, "/p/b/plain", 500, "!give:parent.wrod-5005");
    EXPECT(kit_line_has(&visit_kit.kit, "what=give resource=parent name=wrod"), "named");
    open_is(&visit_kit, "/p/r/plain", 500, "!give:parent.wrod-5005");
    open_is(&visit_kit, "/p/g/plain", 101, "gift,preset");
    visit_kit_end(&visit_kit);
}

static int gives_nothing(struct gyr_conn *conn, void *self)
{
    (void)conn;
    (void)self;
    return 0;
}

static const struct gyr_resource promises = {
    GYR_RESOURCE_PLAIN("promises"),
    .give = gives_nothing,
    .gifts = GYR_GIFTS(GYR_GIFT("word", struct word)),
    .children = GYR_ROUTES(GYR_ROUTE("plain", &wants)),
};
static const struct gyr_route promise_routes[] = {GYR_ROUTE("/p", &promises), {0}};

void visit_make_refuses_who_lacks_what_it_must_have(void)
{
    struct visit_kit visit_kit;
    visit_kit_init(&visit_kit);
    visit_kit.told = true;
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", promise_routes), 0, "routes");
    visit_kit_start(&visit_kit);
    open_is(&visit_kit, "/p/plain", 500, "!input:wants.word-5005");
    visit_kit_end(&visit_kit);
}

/* ---- what is there meanwhile ---- */

static int outer_looks(struct gyr_conn *conn, void *self)
{
    EXPECT(gyr_self(conn, 1) == self, "itself, while it is made");
    EXPECT(gyr_self(conn, 0) == NULL, "but what lies within is not there yet");
    EXPECT(gyr_self(conn, 2) == NULL, "and outside is nothing");
    visit_trace(conn, "outer");
    return 0;
}

static int outer_gives(struct gyr_conn *conn, void *self)
{
    return outer_looks(conn, self);
}

static int outer_guards(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)request;
    return outer_looks(conn, self);
}

static int inner_looks(struct gyr_conn *conn, void *self)
{
    EXPECT(gyr_self(conn, 0) == self && self != NULL, "itself");
    EXPECT(gyr_self(conn, 1) != NULL && gyr_self(conn, 1) != self, "and its parent");
    visit_trace(conn, "inner");
    return 0;
}

static const struct gyr_resource looks_inner = {GYR_RESOURCE(wants), .create = inner_looks};
static const struct gyr_resource looks_outer = {
    GYR_RESOURCE(wants),
    .create = outer_looks,
    .guard = outer_guards,
    .give = outer_gives,
    .children = GYR_ROUTES(GYR_ROUTE("in", &looks_inner)),
};
static const struct gyr_route look_routes[] = {GYR_ROUTE("/out", &looks_outer), {0}};

void visit_make_shows_an_instance_from_its_create_on(void)
{
    struct visit_kit visit_kit;
    visit_kit_begin(&visit_kit, look_routes);
    open_is(&visit_kit, "/out/in", 101, "outer outer outer inner");
    visit_kit_end(&visit_kit);
}

/* ---- makers ---- */

static int maker_make(struct gyr_conn *conn, void *user, void **pointer)
{
    struct gyr_span query = gyr_param(conn, "how");
    visit_trace(conn, "make:%s", (const char *)user);
    if (query.size != 0 && query.ptr[0] == 'f') {
        return -EIO;
    }
    if (query.size != 0 && query.ptr[0] == 'r') {
        return gyr_refuse(conn, 429, GYR_SPAN("too many"));
    }
    *pointer = query.size != 0 && query.ptr[0] == 'n' ? NULL : texts[MADE];
    return 0;
}

static void maker_drop(struct gyr_conn *conn, void *user, void *pointer)
{
    visit_trace(conn, "drop:%s:%s", (const char *)user, text_of(pointer));
}

static void made_destroy(struct gyr_conn *conn, void *self)
{
    (void)self;
    visit_trace(conn, "destroy");
}

static const struct gyr_resource made = {WANTS, .destroy = made_destroy};
static const struct gyr_resource made_twice = {WANTS, .destroy = made_destroy,
                                               .children = GYR_ROUTES(GYR_ROUTE("in", &made))};
static const struct gyr_resource made_of_none = {GYR_RESOURCE_PLAIN("none")};
static const struct gyr_route made_routes[] = {
    GYR_ROUTE("/m/{how}", &made_twice), GYR_ROUTE("/none", &made_of_none), {0}};

void visit_make_makes_once_for_a_connection_that_wants_it(void)
{
    static char first[] = "first";
    static char second[] = "second";
    static const struct gyr_maker makers[] = {
        GYR_MAKER("spare", struct word, maker_make, maker_drop, first),
        GYR_MAKER("word", struct word, maker_make, maker_drop, second),
    };
    struct visit_kit visit_kit;
    struct gyr_error error;
    visit_kit_init(&visit_kit);
    visit_kit.told = true;
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_maker(visit_kit.app, &makers[0], &error), 0, error.text);
    EXPECT_INT(gyr_app_maker(visit_kit.app, &makers[1], &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", made_routes), 0, "routes");
    visit_kit_start(&visit_kit);
    visit_kit_upgrade(&visit_kit, "/m/0/in", "");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit,
                 "make:second make:first made,made made,made destroy destroy drop:second:made "
                 "drop:first:made",
                 "once for both resources, dropped behind them");
    visit_kit_upgrade(&visit_kit, "/m/n", "");
    kit_reset(&visit_kit.kit);
    EXPECT_TRACE(&visit_kit,
                 "make:second make:first none,none destroy drop:second:none drop:first:none",
                 "NULL is made, too");
    open_is(&visit_kit, "/m/f", 500, "make:second !make:wants.word-5");
    open_is(&visit_kit, "/m/r", 429, "make:second");
    open_is(&visit_kit, "/none", 101, "");
    visit_kit_end(&visit_kit);
}

/* ---- factories ---- */

static int product_get(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)request;
    EXPECT(self == gyr_self(conn, 0) && self != NULL, "its instance");
    visit_trace(conn, "get");
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("ok"));
}

struct memo {
    uint32_t seen;
};

static int memo_before(struct gyr_hook_call *call)
{
    struct memo *memo = call->data;
    EXPECT_INT(memo->seen, 0, "zero before the event");
    memo->seen = 0xfeed;
    return 0;
}

static int memo_after(struct gyr_hook_call *call)
{
    const struct memo *memo = call->data;
    EXPECT_INT(memo->seen, 0xfeed, "it is there still");
    return 0;
}

#define MEMO                                                                     \
    GYR_HOOK("memo", .before_connect = memo_before, .after_connect = memo_after, \
             .data_size = sizeof(struct memo))

struct large {
    char fill[3000];
    struct word *word;
};

static int large_create(struct gyr_conn *conn, void *self)
{
    const struct large *large = self;
    for (size_t i = 0; i < sizeof(large->fill); i++) {
        EXPECT(large->fill[i] == 0, "zeroed, whatever lay there");
    }
    visit_trace(conn, "large:%s", text_of(large->word));
    return 0;
}

static const struct gyr_resource product = {WANTS, .hooks = GYR_HOOKS(MEMO),
                                            .methods = GYR_METHODS(GYR_GET(product_get))};
static const struct gyr_resource product_large = {
    GYR_RESOURCE(large), .create = large_create, .hooks = GYR_HOOKS(MEMO), .on_connect = no_give,
    .inputs = GYR_INPUTS(GYR_INPUT(large, word, struct word))};
/* Only requests. */
static const struct gyr_resource product_plain = {GYR_RESOURCE(wants),
                                                  .methods = GYR_METHODS(GYR_GET(product_get))};
static const struct gyr_resource foreign = {GYR_RESOURCE_PLAIN("foreign")};

static const struct gyr_value chosen_values[] = {
    GYR_VALUE("word", struct word, (struct word *)(void *)texts[CHOSEN]), {0}};
static const struct gyr_value spare_values[] = {
    GYR_VALUE("spare", struct word, (struct word *)(void *)texts[NEW]), {0}};
static const struct gyr_value unknown_values[] = {
    GYR_VALUE("wrod", struct word, (struct word *)(void *)texts[CHOSEN]), {0}};
static const struct gyr_value mistyped_values[] = {GYR_VALUE("word", struct large, NULL), {0}};

static int choose(struct gyr_conn *conn, void *user, const struct gyr_request *request,
                  struct gyr_product *out)
{
    EXPECT(user == texts[OTHER] && request != NULL, "what its row says");
    EXPECT(gyr_conn_resource(conn) == NULL, "nobody yet");
    struct gyr_span how = gyr_param(conn, "how");
    visit_trace(conn, "choose");
    out->resource = how.ptr[0] == 'l'   ? &product_large
                    : how.ptr[0] == 'g' ? &product_plain
                                        : &product;
    switch (how.ptr[how.size - 1]) {
    case 'v':
        out->values = chosen_values;
        return 0;
    case 's':
        out->values = spare_values;
        return 0;
    case 'u':
        out->values = unknown_values;
        return 0;
    case 'm':
        out->values = mistyped_values;
        return 0;
    case 'x':
        out->resource = &foreign;
        return 0;
    case '0':
        out->resource = NULL;
        return 0;
    case 'f':
        return -EIO;
    case 'r':
        return gyr_refuse(conn, 401, GYR_SPAN("no"));
    default:
        return 0;
    }
}

static const struct gyr_resource above = {
    GYR_RESOURCE_PLAIN("above"),
    .hooks = GYR_HOOKS(MEMO),
    .children = GYR_ROUTES(
        GYR_ROUTE_MADE("{how}", choose, texts[OTHER], GYR_MIXINS({&product}, {&product_large}))),
};
static const struct gyr_resource above_wants = {
    WANTS, .children = GYR_ROUTES(GYR_ROUTE_MADE("{how}", choose, texts[OTHER],
                                                 GYR_MIXINS({&product}, {&product_large})))};
static const struct gyr_route factory_routes[] = {
    GYR_ROUTE_MADE("/f/{how}", choose, texts[OTHER],
                   GYR_MIXINS({&product}, {&product_large}, {&product_plain})),
    GYR_ROUTE_MADE(
        "/fv/{how}", choose, texts[OTHER], GYR_MIXINS({&product}, {&product_large}),
        .values = GYR_VALUES(GYR_VALUE("word", struct word, (struct word *)(void *)texts[VALUE]))),
    GYR_ROUTE("/above", &above),
    GYR_ROUTE("/wants", &above_wants),
    {0},
};

void visit_make_lets_a_factory_choose(void)
{
    static const struct gyr_hook global[] = {MEMO, {0}};
    const struct gyr_value service =
        GYR_VALUE("word", struct word, (struct word *)(void *)texts[SERVICE]);
    struct visit_kit visit_kit;
    struct gyr_error error;
    visit_kit_init(&visit_kit);
    visit_kit.told = true;
    visit_kit_app(&visit_kit);
    EXPECT_INT(gyr_app_service(visit_kit.app, &service, &error), 0, error.text);
    EXPECT_INT(gyr_app_hooks(visit_kit.app, NULL, global, &error), 0, error.text);
    EXPECT_INT(gyr_app_routes(visit_kit.app, "", factory_routes), 0, "routes");
    visit_kit_start(&visit_kit);
    open_is(&visit_kit, "/f/p", 101, "choose service,preset");
    open_is(&visit_kit, "/f/pv", 101, "choose chosen,preset");
    open_is(&visit_kit, "/f/l", 101, "choose large:service");
    open_is(&visit_kit, "/f/lv", 101, "choose large:chosen");
    open_is(&visit_kit, "/fv/p", 101, "choose value,preset");
    open_is(&visit_kit, "/fv/pv", 101, "choose chosen,preset");
    open_is(&visit_kit, "/fv/ps", 101, "choose service,new");
    open_is(&visit_kit, "/above/p", 101, "choose service,preset");
    open_is(&visit_kit, "/above/lv", 101, "choose large:chosen");
    open_is(&visit_kit, "/wants/pv", 101, "choose service,preset chosen,preset");
    open_is(&visit_kit, "/f/pu", 500, "choose !factory:.-5005");
    open_is(&visit_kit, "/f/pm", 500, "choose !factory:.-5005");
    open_is(&visit_kit, "/f/px", 500, "choose !factory:.-5005");
    open_is(&visit_kit, "/f/p0", 500, "choose !factory:.-5005");
    open_is(&visit_kit, "/above/pf", 500, "choose !factory:.-5");
    open_is(&visit_kit, "/f/pr", 401, "choose");
    visit_kit_get(&visit_kit, "GET", "/f/p");
    EXPECT_INT(visit_kit_status(&visit_kit), 200, "its handler");
    EXPECT_TRACE(&visit_kit, "choose service,preset get", "its handler");
    visit_kit_get(&visit_kit, "GET", "/f/l");
    EXPECT_INT(visit_kit_status(&visit_kit), 426, "this product has none");
    EXPECT_TRACE(&visit_kit, "choose", "this product has none");
    kit_forget(&visit_kit.kit);
    visit_kit_upgrade(&visit_kit, "/f/g", "");
    EXPECT_INT(visit_kit_status(&visit_kit), 200, "a handshake with who takes none is its GET");
    EXPECT_TRACE(&visit_kit, "choose get", "a handshake with who takes none is its GET");
    visit_kit_end(&visit_kit);
}
