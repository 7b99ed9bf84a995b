/* SPDX-License-Identifier: MIT */
/* What can be said of a resource or a route by looking at its tables alone, bases included. */
#include "router/declare.h"

static uint16_t resource_bits(const struct gyr_resource *resource);
static uint16_t methods_bits(const struct gyr_http_handler *methods);
static bool takes_messages(const struct gyr_resource *resource);

bool resource_read(const struct gyr_resource *resource, struct gyr_resource *copy)
{
    *copy = (struct gyr_resource){0};
    if (resource->size < offsetof(struct gyr_resource, base) || resource->size > sizeof(*copy)) {
        return false;
    }
    memcpy(copy, resource, resource->size);
    return true;
}

uint16_t route_bits(const struct gyr_route *route)
{
    uint16_t bits = 0;
    if (route->files != NULL) {
        bits = 1U << GYR_METHOD_GET;
    } else if (route->methods != NULL) {
        bits = methods_bits(route->methods);
    } else if (route->resource != NULL) {
        bits = resource_bits(route->resource);
    }
    for (const struct gyr_mixin *product = route->products;
         route->factory != NULL && product != NULL && product->resource != NULL; product++) {
        bits |= resource_bits(product->resource);
    }
    return bits;
}

static uint16_t resource_bits(const struct gyr_resource *resource)
{
    uint16_t bits = 0;
    bool has_methods = false;
    bool has_messages = false;
    for (unsigned depth = 0; resource != NULL && depth < DECLARE_BASES_MAX; depth++) {
        struct gyr_resource own;
        if (!resource_read(resource, &own)) {
            break;
        }
        bits |= methods_bits(own.methods);
        has_methods = has_methods || own.methods != NULL;
        has_messages = has_messages || takes_messages(&own);
        resource = own.base;
    }
    return has_messages || !has_methods ? bits | ROUTE_WEBSOCKET : bits;
}

static bool takes_messages(const struct gyr_resource *resource)
{
    return resource->on_connect != NULL || resource->on_disconnect != NULL ||
           (resource->handlers != NULL && resource->handlers[0].kind != 0) ||
           resource->on_text != NULL || resource->on_binary != NULL ||
           resource->on_unhandled != NULL ||
           (resource->mixins != NULL && resource->mixins[0].resource != NULL);
}

static uint16_t methods_bits(const struct gyr_http_handler *methods)
{
    uint16_t bits = 0;
    for (; methods != NULL && methods->method != 0; methods++) {
        if (methods->method <= GYR_METHOD_OPTIONS) {
            bits |= (uint16_t)(1U << methods->method);
        }
    }
    return bits;
}

static const char *type_skip(const char *type)
{
    static const char *const words[] = {"const ", "struct ", "class ", "union ", "enum "};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        size_t size = strlen(words[i]);
        if (strncmp(type, words[i], size) == 0) {
            type += size;
        }
    }
    return type;
}

bool type_equals(const char *a, const char *b)
{
    return strcmp(type_skip(a), type_skip(b)) == 0;
}

struct span template_key(const struct template *template)
{
    struct span text = template_text(template);
    if (text.size > 0 && text.ptr[text.size - 1] == '/') {
        text.size--;
    }
    return text;
}

const char *method_name(enum gyr_method method)
{
    static const char *const names[] = {"",    "GET",   "HEAD",   "POST",
                                        "PUT", "PATCH", "DELETE", "OPTIONS"};
    return method <= GYR_METHOD_OPTIONS ? names[method] : "?";
}
