/* SPDX-License-Identifier: MIT */
/* Services and makers: registered by name and type, found, replaced while the application is
 * frozen; and what is refused. */
#include "router/plan.h"
#include "tests/plan_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>

struct store {
    int number;
};
static struct store stores[2];

static int make(struct gyr_conn *conn, void *user, void **pointer)
{
    (void)conn, (void)user;
    *pointer = NULL;
    return 0;
}

static const void *found(const struct gyr_app *app, const char *name, const char *type)
{
    const void *pointer = &stores;
    int err = gyr_app_find(app, name, type, &pointer, NULL);
    return err == 0 ? pointer : NULL;
}

void service_is_found_by_name_and_type(void)
{
    struct gyr_app *app = told_app();
    struct gyr_error error = {.text = ""};
    const struct gyr_value a = GYR_VALUE("a", struct store, &stores[0]);
    const struct gyr_value b = GYR_VALUE("a", struct other, NULL);
    EXPECT_INT(gyr_app_service(app, &a, &error), 0, error.text);
    EXPECT_INT(gyr_app_service(app, &b, &error), 0, "the same name with another type");
    for (unsigned i = 0; i < 2; i++) {
        const void *pointer = NULL;
        EXPECT(found(app, "a", "struct store") == &stores[0], "there");
        EXPECT(found(app, "a", "store") == &stores[0], "as C++ calls it");
        EXPECT_INT(gyr_app_find(app, "b", "struct store", &pointer, &error), GYR_ERR_NOT_FOUND,
                   "another name");
        EXPECT_SPAN(span_of(error.text, strlen(error.text)),
                    "there is no service \"b\" (struct store); register it with gyr_app_service",
                    "93: it is named");
        EXPECT_INT(gyr_app_find(app, "a", "struct stor", &pointer, &error), GYR_ERR_NOT_FOUND,
                   "another type");
        EXPECT_INT(gyr_app_check(app, NULL, 0), 0, "frozen");
    }
    gyr_app_destroy(app);
}

void service_is_replaced_before_and_after_it_is_frozen(void)
{
    struct gyr_app *app = told_app();
    struct gyr_error error = {.text = ""};
    const struct gyr_value first = GYR_VALUE("a", struct store, &stores[0]);
    const struct gyr_value second = GYR_VALUE("a", struct store, &stores[1]);
    const struct gyr_value other = GYR_VALUE("b", struct store, &stores[1]);
    EXPECT_INT(gyr_app_service(app, &first, &error), 0, error.text);
    EXPECT_INT(gyr_app_service(app, &second, &error), 0, error.text);
    EXPECT_INT(gyr_app_check(app, NULL, 0), 0, "frozen");
    EXPECT_INT(app_plan(app)->service_count, 1, "one slot");
    EXPECT(found(app, "a", "struct store") == &stores[1], "the second");
    EXPECT_INT(gyr_app_service(app, &first, &error), 0, error.text);
    EXPECT(found(app, "a", "struct store") == &stores[0], "95: the first again");
    EXPECT_INT(gyr_app_service(app, &other, &error), GYR_ERR_NOT_FOUND, "a new one");
    EXPECT_SPAN(span_of(error.text, strlen(error.text)),
                "the service \"b\" (struct store) is new, and the application is frozen; a service "
                "can only be replaced then",
                "it is named");
    gyr_app_destroy(app);
}

#define REPLACEMENTS 20000

static void *replace(void *arg)
{
    struct gyr_app *app = arg;
    for (unsigned i = 0; i < REPLACEMENTS; i++) {
        const struct gyr_value value = GYR_VALUE("a", struct store, &stores[i % 2]);
        EXPECT_INT(gyr_app_service(app, &value, NULL), 0, "replaced");
    }
    return NULL;
}

void service_is_replaced_by_any_thread_while_others_look(void)
{
    struct gyr_app *app = told_app();
    struct gyr_error error = {.text = ""};
    const struct gyr_value value = GYR_VALUE("a", struct store, &stores[0]);
    pthread_t thread;
    EXPECT_INT(gyr_app_service(app, &value, &error), 0, error.text);
    EXPECT_INT(gyr_app_check(app, NULL, 0), 0, "frozen");
    ASSERT(pthread_create(&thread, NULL, replace, app) == 0);
    unsigned strange = 0;
    for (unsigned i = 0; i < REPLACEMENTS; i++) {
        const void *pointer = found(app, "a", "struct store");
        strange += pointer != &stores[0] && pointer != &stores[1];
    }
    EXPECT_INT(pthread_join(thread, NULL), 0, "ended");
    EXPECT_INT(strange, 0, "one or the other");
    gyr_app_destroy(app);
}

void service_and_maker_refuse_what_has_no_name_type_or_function(void)
{
    static const struct gyr_value values[] = {
        {.type = "struct store"},
        {.name = "", .type = "struct store"},
        {.name = "a"},
        {.name = "a", .type = ""},
    };
    static const struct gyr_maker makers[] = {
        {.type = "struct store", .make = make},
        {.name = "m", .make = make},
        {.name = "m", .type = "struct store"},
    };
    struct gyr_app *app = told_app();
    struct gyr_error error;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        EXPECT_INT(gyr_app_service(app, &values[i], &error), GYR_ERR_ARGUMENT, "a service");
    }
    EXPECT_SPAN(span_of(error.text, strlen(error.text)),
                "a service has the name \"a\" and the type \"\"; give it both", "it is named");
    for (size_t i = 0; i < COUNT_OF(makers); i++) {
        EXPECT_INT(gyr_app_maker(app, &makers[i], &error), GYR_ERR_ARGUMENT, "a maker");
    }
    EXPECT_SPAN(span_of(error.text, strlen(error.text)),
                "the maker \"m\" has no function `make`; give it one", "it is named");
    gyr_app_destroy(app);
}

void service_and_maker_do_not_share_a_name(void)
{
    struct gyr_app *app = told_app();
    struct gyr_error error = {.text = ""};
    const struct gyr_value service = GYR_VALUE("s", struct store, &stores[0]);
    const struct gyr_value made = GYR_VALUE("m", struct store, &stores[0]);
    const struct gyr_maker maker = GYR_MAKER("m", struct store, make, NULL, NULL);
    const struct gyr_maker of_service = GYR_MAKER("s", struct store, make, NULL, NULL);
    EXPECT_INT(gyr_app_service(app, &service, &error), 0, error.text);
    EXPECT_INT(gyr_app_maker(app, &maker, &error), 0, error.text);
    EXPECT_INT(gyr_app_maker(app, &maker, &error), GYR_ERR_ARGUMENT, "twice");
    EXPECT_INT(gyr_app_maker(app, &of_service, &error), GYR_ERR_ARGUMENT, "a service");
    EXPECT_INT(gyr_app_service(app, &made, &error), GYR_ERR_ARGUMENT, "a maker");
    EXPECT_INT(gyr_app_check(app, NULL, 0), 0, "frozen");
    EXPECT_INT(app_plan(app)->maker_count, 1, "one");
    EXPECT_INT(gyr_app_maker(app, &maker, &error), GYR_ERR_STATE, "no more");
    gyr_app_destroy(app);
}
