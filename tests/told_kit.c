/* SPDX-License-Identifier: MIT */
#include "tests/told_kit.h"

struct gyr_app *told_app(void)
{
    struct gyr_app *app = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_app_create(NULL, &app, &error), 0, error.text);
    ASSERT(app != NULL);
    return app;
}

void expect_told(struct gyr_app *app, const char *lines, const char *why)
{
    char text[4096];
    char cut[20];
    size_t size = gyr_app_check(app, text, sizeof(text));
    EXPECT_SPAN(span_of(text, strlen(text)), lines, why);
    EXPECT_INT(size, strlen(lines), why);
    EXPECT_INT(gyr_app_check(app, cut, sizeof(cut)), size, why);
    EXPECT(strncmp(cut, lines, sizeof(cut) - 1) == 0, why);
    EXPECT_INT(gyr_app_check(app, NULL, 0), size, why);
    gyr_app_destroy(app);
}

void expect_routes_told(const struct gyr_route *table, const char *lines, const char *why)
{
    struct gyr_app *app = told_app();
    EXPECT_INT(gyr_app_routes(app, "/", table), 0, why);
    expect_told(app, lines, why);
}

void expect_resource_told(const struct gyr_resource *resource, const char *lines, const char *why)
{
    const struct gyr_route table[] = {{.path = "/x", .at = "routes.c:1", .resource = resource},
                                      {0}};
    expect_routes_told(table, lines, why);
}
