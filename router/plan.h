/* SPDX-License-Identifier: MIT */
/* What was declared, as it runs: routes with their chains of resources, handlers behind perfect
 * hashes, inputs resolved to slots, hooks in the order in which they run. Made once by app_freeze,
 * then immutable (R1) and shared by all cores, but for the pointers of services. */
#ifndef ROUTER_PLAN_H
#define ROUTER_PLAN_H

#include "base/base.h"
#include "gyr/gyr_app.h"
#include "router/json.h"
#include "router/perfect_hash.h"
#include "router/pool.h"
#include "router/route_table.h"
#include "router/tag.h"
#include "router/text_map.h"

#define PLAN_DEPTH_MAX     16 /* of a chain */
#define PLAN_NO_LEVEL      UINT8_MAX
#define PLAN_HOOK_DATA_MAX 16384 /* bytes of all hooks of a route */
#define PLAN_VISIT_MAX     ((uint32_t)1 << 20)

/* ---- handlers ---- */

struct plan_handler {
    gyr_any_fn function;
    const struct gyr_schema *schema; /* or NULL: raw */
    uint32_t value_size;             /* of the schema's structure */
    bool lenient;
    bool payload_optional;
    const char *name;
    const char *at;
};

/* ---- types of resources ---- */

/* A resource's type with its bases merged. */
struct plan_type {
    const struct gyr_resource *declared;
    struct gyr_resource merged; /* functions and settings: own or inherited; tables as declared */
    uint16_t binary_tag_size;
    bool has_json; /* there is a handler of a tag or by convention */
    struct json_form form;
    enum gyr_failure_policy failure_policy; /* not DEFAULT */

    struct perfect_hash *tags; /* owned; NULL: none. The index is that of `handlers` */
    struct plan_handler *handlers;
    struct perfect_hash *names; /* owned; by convention, without "on_"; NULL: none */
    struct plan_handler *named;
    struct plan_handler *binary; /* by number; binary_count of them, sorted by binary_numbers */
    uint16_t *binary_numbers;
    uint32_t binary_count;
};

/* ---- routes ---- */

enum plan_source {
    PLAN_FROM_GIFT,    /* level, index */
    PLAN_FROM_VALUE,   /* pointer: a value of the route */
    PLAN_FROM_SERVICE, /* index of the slot */
    PLAN_FROM_MAKER,   /* index of the maker */
    PLAN_FROM_PRESET,  /* pointer: of one that is optional, perhaps NULL */
    PLAN_FROM_NOTHING, /* nobody gave what it must have: the connection is refused */
};

/* Where an input comes from: its sources, from the one that counts most. What follows in `next` is
 * for a gift that was not given (NULL), and for PLAN_FROM_VALUE if the factory's product has values
 * of its own: those count instead, in front of what follows, and so they do if there is no
 * PLAN_FROM_VALUE. The last one is never a gift. */
struct plan_input {
    uint32_t offset; /* in the instance */
    enum plan_source source;
    uint32_t level;
    uint32_t index;
    const void *pointer;
    const struct plan_input *next; /* or NULL */
    const char *name;
    const char *type;
    const char *at;
};

/* One resource of a chain. */
struct plan_level {
    const struct plan_type *type;
    uint32_t instance_offset; /* in the visit; 0: it has none */
    uint32_t gifts_offset;    /* in the visit: a pointer for each gift */
    uint32_t gift_count;
    const struct gyr_gift *const *gifts;
    const struct plan_input *inputs;
    uint32_t input_count;
};

/* A hook of one event: round it, from the outside in. */
struct plan_hook {
    int (*before)(struct gyr_hook_call *call); /* or NULL */
    int (*after)(struct gyr_hook_call *call);  /* or NULL */
    void *user;
    const char *name;
    uint32_t data_offset; /* in the visit's hook data of this event */
    uint16_t data_size;
    uint8_t level; /* PLAN_NO_LEVEL: the application's */
};

struct plan_hooks {
    const struct plan_hook *hooks;
    uint16_t count;
    uint16_t global_count; /* the first ones are the application's */
    uint32_t data_offset;  /* in the visit */
    uint32_t data_size;
};

/* What a maker has made for a connection. */
struct plan_made {
    void *pointer;
    bool is_made;
};

/* What a request to a path with a method leads to. */
struct plan_method {
    gyr_any_fn function;             /* NULL: none. Of HEAD: that of GET unless it has a row */
    const struct gyr_schema *schema; /* or NULL: gets the request */
    uint32_t content_size_max;
    bool lenient;
    const char *name;
};

struct plan_route {
    const struct gyr_route *declared; /* the innermost row */
    struct template *template;        /* owned; the whole path. Of a product: borrowed */
    const char *full_name;            /* "router:route:child", or NULL */
    uint16_t methods;         /* bits 1 << enum gyr_method, and ROUTE_WEBSOCKET. HEAD is among
                                 them where GET is, unless another route of this path has it */
    uint16_t param_count;     /* of the template */
    uint32_t hidden_by;       /* the route that keeps requests from it; UINT32_MAX: none */
    const char **param_names; /* by index of the template's parameters, each ended by NUL */

    const struct plan_level *levels; /* the outermost first. Of a factory's route: those outside */
    uint8_t level_count;
    bool is_plain; /* the innermost is no resource, but `method` with a NULL `self`, or `files`;
                      levels, if there are any, are those it stands below */
    struct plan_method method[GYR_METHOD_OPTIONS + 1];
    const struct gyr_route *files; /* or NULL: its row */
    uint32_t files_slot;           /* of the service */
    struct plan_hooks connect;
    struct plan_hooks receive;
    struct plan_hooks disconnect;
    uint32_t visit_size;    /* bytes of a visit: struct visit and all that is laid out behind it */
    uint32_t params_offset; /* in the visit: a struct visit_param for each of the template's */
    uint32_t makers_offset; /* in the visit: a struct plan_made for each maker of the application,
                               by index; 0: this route wants none of them */

    /* A factory: the chain is this one with one of the products at its end. */
    const struct gyr_route *factory; /* or NULL */
    struct plan_route *products;     /* in the order of its row; not in the table */
    uint32_t product_count;
};

struct plan_service {
    const char *name;
    const char *type;
    _Atomic(const void *) pointer; /* written by gyr_app_service, read by cores: release, acquire */
};

struct plan {
    struct gyr_app *app; /* borrowed */
    struct route_table *table;
    struct plan_route *routes; /* owned; by index of the table's entries */
    size_t route_count;
    struct plan_type *types;
    size_t type_count;
    struct plan_service *services;
    size_t service_count;
    const struct gyr_maker *makers;
    size_t maker_count;
    struct json_form form;     /* of the application */
    uint32_t core_data_offset; /* of struct app_core in gyr_core_data */
    struct text_map names;     /* full_name to the index of a route */
    struct pool pool;          /* all that is not said to be owned otherwise */
};

/* Make a plan of all that an application has. Mistakes are written down, and the plan is made as
 * far as it goes, for gyr_app_print_routes. GYR_ERR_MEMORY. */
struct mistakes;
MUST_CHECK int plan_create(struct gyr_app *app, struct mistakes *mistakes, struct plan **plan);
void plan_destroy(struct plan *plan);

#endif
