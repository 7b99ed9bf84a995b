/* SPDX-License-Identifier: MIT */
/* Fuzzes templates and the route table. The input is lines: templates up to an empty line, each
 * behind a byte whose lowest two bits are its methods; then paths. A template that begins with "+"
 * is joined below the one before it.
 *
 * What the table finds is compared with a naive matcher; what was reported as unreachable is never
 * found; a path that was found is written again from its values, and leads to the same. Lines are
 * values, too: whatever template_write takes comes back. */
#include "tests/route_naive.h"

#include <stdlib.h>

#define INPUT_SIZE_MAX 512 /* the naive matcher takes the third power of it */
#define ROUTES_MAX     16
#define TEXT_SIZE      (4 * INPUT_SIZE_MAX + TEMPLATE_SIZE_MAX * 3)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct routes {
    struct route_entry entries[ROUTES_MAX];
    struct template *templates[ROUTES_MAX];
    bool hides[ROUTES_MAX]; /* it has a parameter that is none of its own any more */
    bool reported[ROUTES_MAX];
    size_t count;
    struct route_table *table;
};

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}

static struct span line_take(struct span *rest)
{
    const uint8_t *end = rest->size > 0 ? memchr(rest->ptr, '\n', rest->size) : NULL;
    size_t size = end == NULL ? rest->size : (size_t)(end - rest->ptr);
    struct span line = span_of(rest->ptr, size);
    size_t taken = end == NULL ? size : size + 1;
    *rest = span_of(rest->ptr + taken, rest->size - taken);
    return line;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void route_add(struct routes *routes, struct span line)
{
    struct template *template = NULL;
    struct gyr_error error = {.text = ""};
    uint16_t methods = line.ptr[0] & 3;
    bool is_joined = line.size > 1 && line.ptr[1] == '+' && routes->count > 0;
    struct span text = span_of(line.ptr + 1 + is_joined, line.size - 1 - is_joined);
    int err = template_parse(text, is_joined, &template, &error);
    check((err == 0) == (error.text[0] == '\0'));
    if (err != 0) {
        check(err == GYR_ERR_ARGUMENT && strncmp(error.text, "template \"", 10) == 0);
        return;
    }
    bool hides = false;
    if (is_joined) {
        const struct template *outer = routes->templates[routes->count - 1];
        struct template *joined = NULL;
        size_t param_count = template_param_count(outer) + template_param_count(template);
        err = template_join(outer, template, &joined, &error);
        template_destroy(template);
        if (err != 0) {
            check(err == GYR_ERR_ARGUMENT && error.text[0] != '\0');
            return;
        }
        template = joined;
        hides = routes->hides[routes->count - 1] || param_count != template_param_count(joined);
    }
    check(template_covers(template, template));
    routes->hides[routes->count] = hides;
    routes->templates[routes->count] = template;
    routes->entries[routes->count++] =
        (struct route_entry){.template = template, .methods = methods};
}

static void on_unreachable(void *context, size_t index, size_t by)
{
    struct routes *routes = context;
    check(by < index && index < routes->count);
    check((routes->entries[index].methods & ~routes->entries[by].methods) == 0);
    check(template_covers(routes->templates[by], routes->templates[index]));
    routes->reported[index] = true;
}

/* ---- paths ----------------------------------------------------------------------------------- */

/* What these values are written as has them again. */
static bool write_and_find(const struct template *template, const struct span *values, bool hides)
{
    static struct naive_match again;
    uint8_t text[TEXT_SIZE];
    size_t size = 0;
    size_t bad = TEMPLATE_PARAMS_MAX;
    const struct route_entry entry = {.template = template, .methods = 1};
    int err = template_write(template, values, (char *)text, sizeof(text), &size, &bad);
    check(err == 0 ? size <= sizeof(text) : err == GYR_ERR_ARGUMENT);
    if (err != 0) {
        check(bad < template_param_count(template));
        return false;
    }
    size_t needed = 0;
    check(template_write(template, values, NULL, 0, &needed, &bad) == GYR_ERR_LIMIT);
    check(needed == size);
    if (size > NAIVE_PATH_MAX / 4) {
        return true;
    }
    check(naive_find(&entry, 1, span_of(text, size), 1, &again) == ROUTE_FOUND);
    for (size_t i = 0; i < again.value_count && !hides; i++) {
        check(span_equal(values[i], span_of(again.values[i].bytes, again.values[i].size)));
    }
    return true;
}

static void found_check(const struct routes *routes, const struct route_match *match,
                        const struct naive_match *naive, struct span path)
{
    struct span values[TEMPLATE_PARAMS_MAX];
    check(match->index == naive->index && match->methods == naive->methods);
    check(match->value_count == naive->value_count && !routes->reported[match->index]);
    const struct template *template = routes->templates[match->index];
    check(match->value_count == template_param_count(template));
    for (size_t i = 0; i < match->value_count; i++) {
        uint8_t bytes[INPUT_SIZE_MAX];
        const struct naive_value *value = &naive->values[i];
        values[i] = span_of(value->bytes, value->size);
        check(match->values[i].raw.size <= sizeof(bytes));
        size_t size = route_value_decode(match->values[i], bytes);
        check(span_equal(values[i], span_of(bytes, size)));
    }
    if (!routes->hides[match->index]) {
        check(write_and_find(template, values, false) ==
              naive_can_be_written(path, template, naive));
    }
}

static void path_check(const struct routes *routes, struct span line)
{
    static struct naive_match naive;
    /* At the end of an allocation, so that what reads behind it is seen. */
    uint8_t *copy = malloc(line.size + 1);
    check(copy != NULL);
    memcpy(copy + 1, line.ptr, line.size);
    struct span path = span_of(copy + 1, line.size);
    for (uint16_t method = 1; method <= 2; method++) {
        struct route_match match;
        enum route_status status = route_find(routes->table, path, method, &match);
        check(status == naive_find(routes->entries, routes->count, path, method, &naive));
        if (status == ROUTE_FOUND) {
            found_check(routes, &match, &naive, path);
        }
        check(status != ROUTE_NOT_ALLOWED || match.methods == naive.methods);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct routes routes;
    struct span lines[TEMPLATE_PARAMS_MAX];
    struct span rest = span_of(data, size);
    size_t line_count = 0;
    if (size > INPUT_SIZE_MAX) {
        return -1;
    }
    memset(&routes, 0, sizeof(routes));
    for (struct span line = line_take(&rest); line.size > 0; line = line_take(&rest)) {
        if (routes.count < ROUTES_MAX) {
            route_add(&routes, line);
        }
    }
    check(route_table_create(routes.entries, routes.count, on_unreachable, &routes,
                             &routes.table) == 0);
    while (rest.size > 0) {
        struct span line = line_take(&rest);
        path_check(&routes, line);
        if (line_count < COUNT_OF(lines)) {
            lines[line_count++] = line;
        }
    }
    for (size_t i = 0; i < routes.count && line_count > 0; i++) {
        struct span values[TEMPLATE_PARAMS_MAX];
        for (size_t k = 0; k < COUNT_OF(values); k++) {
            values[k] = lines[(i + k) % line_count];
        }
        if (template_param_count(routes.templates[i]) > 0) {
            (void)write_and_find(routes.templates[i], values, routes.hides[i]);
        }
    }
    char printed[256];
    check(route_table_print(routes.table, printed, sizeof(printed)) > 0);
    route_table_destroy(routes.table);
    for (size_t i = 0; i < routes.count; i++) {
        template_destroy(routes.templates[i]);
    }
    return 0;
}
