/* SPDX-License-Identifier: MIT */
/* What is known while a plan is made: shared by the files plan*.c and check.c. */
#ifndef ROUTER_PLAN_MAKE_H
#define ROUTER_PLAN_MAKE_H

#include "router/declare.h"
#include "router/plan.h"

#define PLAN_NO_TYPE UINT32_MAX

/* A row of a type's handlers, its own or inherited. */
struct made_handler {
    const struct gyr_handler *row; /* whose function it is */
    enum gyr_handler_kind kind;    /* not OVERRIDE: that of what is overridden */
    struct span key;               /* tag, or name behind "on_" */
    uint16_t number;               /* GYR_HANDLER_BINARY */
    bool lenient;
    bool payload_optional;
};

struct made_handlers {
    struct made_handler *rows; /* in the pool */
    size_t count;
};

struct made_child {
    const struct gyr_route *row;
    struct template *template; /* owned; NULL: a mistake */
};

enum made_state {
    MADE_NOT_YET,
    MADE_BEGUN, /* its bases are being made */
    MADE_DONE,
};

/* A type, its bases merged: what only the making of a plan needs of it. Arrays are in the pool. */
struct made_type {
    const struct gyr_resource *declared;
    struct gyr_resource own;
    bool is_readable; /* `own` is there: the size is one */
    enum made_state state;
    uint32_t base; /* PLAN_NO_TYPE: none */
    struct made_handlers handlers;
    struct plan_method methods[GYR_METHOD_OPTIONS + 1];
    const struct gyr_input **inputs;
    size_t input_count;
    const struct gyr_gift **gifts;
    size_t gift_count;
    struct made_child *children; /* its own first */
    size_t child_count;
    size_t own_child_count;
    bool is_used; /* on a route */
};

/* A resource of the chain that is being walked. */
struct made_level {
    const struct gyr_route *row;
    uint32_t type;
    size_t next_child;
    const struct template *template; /* of the whole path so far */
    const char *full_name;           /* or NULL */
    const struct plan_input *inputs;
};

struct plan_making {
    struct gyr_app *app;
    struct plan *plan;
    struct mistakes *mistakes;
    struct pool *pool; /* that of the plan */

    struct text_map type_map; /* addresses of resources to types */
    struct made_type *types;  /* owned */
    size_t type_count;
    size_t type_capacity;

    size_t route_capacity;
    struct text_map gifts; /* addresses of rows of gifts that somebody below takes */
    bool is_full;          /* DECLARE_ROUTES_MAX */
    struct made_level levels[PLAN_DEPTH_MAX];
    unsigned depth;
    const struct gyr_router *router;
    const struct gyr_route *top; /* the router's row */
};

/* ---- plan_type.c ---- */

/* Find all types that routes lead to, and merge each with its bases. */
MUST_CHECK int plan_types_make(struct plan_making *making);
uint32_t plan_type_of(const struct plan_making *making, const struct gyr_resource *resource);
/* Rows of methods in front of those that are there. */
void plan_methods_take(struct plan_method *methods, const struct gyr_http_handler *rows);
void plan_types_unmake(struct plan_making *making);

/* ---- plan_handler.c ---- */

MUST_CHECK int plan_handlers_make(struct plan_making *making, struct made_type *type,
                                  struct plan_type *out);

/* ---- plan_route.c ---- */

MUST_CHECK int plan_routes_make(struct plan_making *making);

/* ---- plan_chain.c ---- */

/* Inputs of the innermost level of making->levels. */
MUST_CHECK int plan_inputs_make(struct plan_making *making, bool is_product);
/* Has it an input of this name? */
bool plan_type_wants(const struct made_type *type, const char *name);
/* Levels, hooks and layout of a route whose chain is making->levels; its template is there. */
MUST_CHECK int plan_chain_make(struct plan_making *making, struct plan_route *route);

/* ---- check.c ---- */

/* What is wrong with a type by itself; `merged` is what has become of it. */
void check_type(struct plan_making *making, const struct made_type *type,
                const struct plan_type *merged);
/* What is wrong with the types of routes, now that all routes are known. */
void check_used(struct plan_making *making);
/* Rows of methods, of a resource or of a route by itself; `where` is that. */
void check_methods(struct mistakes *mistakes, const struct gyr_http_handler *methods,
                   const char *where);

/* ---- check_message.c ---- */

/* What is wrong with the handlers of a type, and how its messages are written. */
void check_handlers(struct plan_making *making, const struct made_type *type,
                    const struct plan_type *merged);
/* Has each message that is listed a handler, and the other way round? */
void check_listed(struct plan_making *making, const struct made_type *type,
                  const struct plan_type *merged);
/* Of a type, or of the application: `what` with its own names. */
void check_form(struct mistakes *mistakes, const char *at, const char *what,
                const struct json_form *form);
void check_schema(struct mistakes *mistakes, const struct gyr_schema *schema);

#endif
