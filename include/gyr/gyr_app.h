/* SPDX-License-Identifier: MIT */
/* The application model: routes lead to resources, a resource lives as long as its connection, and
 * messages find their handlers by their tag. A service is declared in tables of constants; all that
 * is wrong with them is told before the first connection (gyr_app_check).
 *
 *     struct chat { struct gyr_span room; };
 *
 *     static int chat_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
 *     {
 *         struct chat *chat = self;
 *         chat->room = gyr_param(conn, "room");
 *         return gyr_join(conn, chat->room);
 *     }
 *
 *     static int chat_say(struct gyr_conn *conn, void *self, const struct say *say)
 *     {
 *         struct chat *chat = self;
 *         return GYR_PUBLISH(conn, chat->room, said, .text = say->text);
 *     }
 *
 *     static const struct gyr_resource chat = {
 *         GYR_RESOURCE(chat),
 *         .on_connect = chat_connect,
 *         .handlers = GYR_HANDLERS(GYR_ON(say, chat_say)),
 *     };
 *     static const struct gyr_route routes[] = {GYR_ROUTE("/rooms/{room}", &chat), {0}};
 *
 * This page reads as such a service is written: messages, hooks, resources, routes, the
 * application; and then what its functions may call.
 *
 * Tables end with a row of zeros, and live as long as the application: what GYR_HANDLERS and its
 * kin make belongs outside of functions, for within one C ends it with the function. In C++ they
 * want C++20, and g++ -Wextra wants -Wno-missing-field-initializers.
 *
 * Functions are called on the thread of their connection's core, one at a time for each connection.
 * Unless their text says otherwise they return 0, a negative error, or GYR_PENDING: the result
 * comes later, by gyr_finish on this thread or gyr_complete from any, and until then this
 * connection's next message waits. */
#ifndef GYR_APP_H
#define GYR_APP_H

#include "gyr/gyr.h"
#include "gyr/gyr_message.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gyr_app;
struct gyr_router;
struct gyr_resource;
struct gyr_route;

/* ---- 1. Handlers of messages ----------------------------------------------------------------- */

/* Any function; what it really takes, the macro that made the row has checked. */
typedef void (*gyr_any_fn)(void);

enum gyr_handler_kind {
    GYR_HANDLER_TAG = 1,  /* of a tag */
    GYR_HANDLER_NAMED,    /* of each tag that becomes this name: sendMessage, on_send_message */
    GYR_HANDLER_OVERRIDE, /* instead of a handler of the base, and with its tag */
    GYR_HANDLER_BINARY,   /* of a number that a binary message begins with */
};

/* A row of a resource's handlers; made by the macros below. */
struct gyr_handler {
    const char *name; /* of the function */
    const char *at;
    enum gyr_handler_kind kind;
    const char *tag;                 /* GYR_HANDLER_TAG; GYR_HANDLER_OVERRIDE: whose instead */
    const struct gyr_schema *schema; /* NULL: the handler gets its payload as it is written */
    gyr_any_fn function;
    uint16_t number; /* GYR_HANDLER_BINARY */
    /* What may be said of it. */
    bool lenient;          /* unknown members are dropped; numbers and bools may be in quotes */
    bool payload_optional; /* in an envelope it may be missing or null: the handler gets NULL */
};

/* int function(struct gyr_conn *conn, void *self, const struct MESSAGE *message). Runs when a
 * message with the tag of MESSAGE has come, whole and sound. The message lives until the function
 * returns, after GYR_PENDING too: gyr_keep copies what is needed longer. */
#define GYR_ON(message, function_, ...)                                                       \
    {                                                                                         \
        .name = #function_, .at = GYR_AT, .kind = GYR_HANDLER_TAG, .tag = NULL,               \
        .schema = &message##_schema, .function = GYR_TYPED_(message, function_), .number = 0, \
        __VA_ARGS__                                                                           \
    }
/* int function(struct gyr_conn *conn, void *self, struct gyr_span payload): without a schema.
 * `payload` is JSON that is known to be sound: in an envelope what stands there, ptr NULL if
 * nothing does; else the whole object. */
#define GYR_ON_RAW(tag_text, function_, ...)                                          \
    {                                                                                 \
        .name = #function_, .at = GYR_AT, .kind = GYR_HANDLER_TAG, .tag = tag_text,   \
        .schema = NULL, .function = GYR_UNTYPED_(function_), .number = 0, __VA_ARGS__ \
    }
/* By convention: the function is called on_NAME, or something_on_NAME, and gets each message whose
 * tag becomes NAME: every run of other characters than letters and digits of ASCII is one `_`, a
 * `_` comes between a run of capitals and a word that begins with one, and between a small letter
 * or a digit and a capital, and all is written small. A handler of the very tag goes before it.
 * Always strict. */
#define GYR_ON_NAMED(message, function_)                                                     \
    {                                                                                        \
        .name = #function_, .at = GYR_AT, .kind = GYR_HANDLER_NAMED, .tag = NULL,            \
        .schema = &message##_schema, .function = GYR_TYPED_(message, function_), .number = 0 \
    }
#define GYR_ON_NAMED_RAW(function_)                                                               \
    {                                                                                             \
        .name = #function_, .at = GYR_AT, .kind = GYR_HANDLER_NAMED, .tag = NULL, .schema = NULL, \
        .function = GYR_UNTYPED_(function_), .number = 0                                          \
    }
/* Instead of the base's handler `base_function`, with its tag and strictness. */
#define GYR_OVERRIDE(message, base_function, function_)                                        \
    {                                                                                          \
        .name = #function_, .at = GYR_AT, .kind = GYR_HANDLER_OVERRIDE, .tag = #base_function, \
        .schema = &message##_schema, .function = GYR_TYPED_(message, function_), .number = 0   \
    }
/* The same signature as GYR_ON_RAW: a binary message that begins with this number (gyr_resource,
 * binary_tag_size); `payload` is what follows it. */
#define GYR_ON_BINARY(number_, function_)                                                          \
    {                                                                                              \
        .name = #function_, .at = GYR_AT, .kind = GYR_HANDLER_BINARY, .tag = NULL, .schema = NULL, \
        .function = GYR_UNTYPED_(function_), .number = (number_)                                   \
    }
#define GYR_HANDLERS(...) GYR_ROWS(gyr_handler, __VA_ARGS__)

/* A message that no handler got. */
struct gyr_unhandled {
    enum gyr_opcode opcode;
    struct gyr_span message; /* the very bytes that came */
    struct gyr_span tag;     /* unescaped; size 0: it has none, or it was not found */
    struct gyr_span id;      /* as it is written; size 0: it is no request, or was not found */
    const struct gyr_fault *fault;
};

/* ---- 2. Handlers of HTTP requests ------------------------------------------------------------ */

enum gyr_method {
    GYR_METHOD_GET = 1, /* HEAD too, unless it has a row of its own */
    GYR_METHOD_HEAD,
    GYR_METHOD_POST,
    GYR_METHOD_PUT,
    GYR_METHOD_PATCH,
    GYR_METHOD_DELETE,
    GYR_METHOD_OPTIONS, /* answered with Allow, unless it has a row */
};

/* A row of what a resource, or a route without one, does with requests. */
struct gyr_http_handler {
    const char *name;
    const char *at;
    enum gyr_method method;
    const struct gyr_schema *schema; /* of the request's content; NULL: it is not decoded */
    gyr_any_fn function;
    /* What may be said of it. */
    bool lenient;
    uint32_t content_size_max; /* of decoded content; 0: message_size_max */
};

/* int function(struct gyr_conn *conn, void *self, const struct gyr_request *request). It answers as
 * on_request of struct gyr_service does. The request lives until the function returns. */
#define GYR_HTTP(method_, function_, ...)                                    \
    {                                                                        \
        .name = #function_, .at = GYR_AT, .method = method_, .schema = NULL, \
        .function = GYR_REQUESTED_(function_), __VA_ARGS__                   \
    }
/* int function(struct gyr_conn *conn, void *self, const struct MESSAGE *content): content in JSON,
 * decoded. What does not fit is answered with 400 and an error in JSON, what is no JSON by its
 * Content-Type, or has none, with 415. */
#define GYR_HTTP_MSG(method_, message, function_, ...)                                    \
    {                                                                                     \
        .name = #function_, .at = GYR_AT, .method = method_, .schema = &message##_schema, \
        .function = GYR_TYPED_(message, function_), __VA_ARGS__                           \
    }
#define GYR_GET(function_, ...)    GYR_HTTP(GYR_METHOD_GET, function_, __VA_ARGS__)
#define GYR_POST(function_, ...)   GYR_HTTP(GYR_METHOD_POST, function_, __VA_ARGS__)
#define GYR_PUT(function_, ...)    GYR_HTTP(GYR_METHOD_PUT, function_, __VA_ARGS__)
#define GYR_DELETE(function_, ...) GYR_HTTP(GYR_METHOD_DELETE, function_, __VA_ARGS__)
#define GYR_POST_MSG(message, function, ...) \
    GYR_HTTP_MSG(GYR_METHOD_POST, message, function, __VA_ARGS__)
#define GYR_PUT_MSG(message, function, ...) \
    GYR_HTTP_MSG(GYR_METHOD_PUT, message, function, __VA_ARGS__)
#define GYR_PATCH_MSG(message, function, ...) \
    GYR_HTTP_MSG(GYR_METHOD_PATCH, message, function, __VA_ARGS__)
#define GYR_METHODS(...) GYR_ROWS(gyr_http_handler, __VA_ARGS__)

/* ---- 3. Hooks -------------------------------------------------------------------------------- */

/* Layers of hooks lie round each event like the skins of an onion: the application's, then those of
 * the resources from the outermost to the innermost, of a type its base's first. `before` runs
 * inwards, `after` outwards, in one layer in the reverse order. Connect is round the on_connect of
 * a handshake, or round the handler of an HTTP request; receive round the handler of a message. */
enum gyr_hook_event {
    GYR_BEFORE_CONNECT = 1,
    GYR_AFTER_CONNECT,
    GYR_BEFORE_RECEIVE,
    GYR_AFTER_RECEIVE,
    GYR_BEFORE_DISCONNECT, /* of an accepted WebSocket, once, before on_disconnect */
};

struct gyr_hook_call {
    enum gyr_hook_event event;
    struct gyr_conn *conn;
    void *user; /* of the hook */
    void *data; /* data_size bytes, zeroed before the event; the same from before to after */
    const struct gyr_resource *resource; /* of the layer; NULL: the application's */
    void *self;                          /* its instance; NULL: the application's */
    const struct gyr_request *request;   /* connect */
    bool is_handshake;                   /* connect: of a WebSocket */
    enum gyr_opcode opcode;              /* receive */
    struct gyr_span message; /* receive: as it came, but after GYR_PENDING, when it is gone. before:
                                may be replaced (gyr_keep) */
    uint16_t close_code;     /* disconnect */
    /* after: 0; or why it has failed, the same for all. A refusal is GYR_ERR_REFUSED. */
    int err;
};

/* `before` functions: 0, GYR_PENDING, GYR_SKIP, or an error: then what lies within does not run,
 * nor this hook's `after`, but those of the layers outside do. Global before_connect runs before
 * any resource is made: the place to ask who comes. `after` functions: 0, GYR_PENDING, or an error,
 * which becomes that of the event if it had none; all of them run in any case, but not if the
 * connection has ended meanwhile. before_disconnect: the result has no effect. */
struct gyr_hook {
    const char *name; /* NULL ends a table */
    const char *at;
    int (*before_connect)(struct gyr_hook_call *call);
    int (*after_connect)(struct gyr_hook_call *call);
    int (*before_receive)(struct gyr_hook_call *call);
    int (*after_receive)(struct gyr_hook_call *call);
    int (*before_disconnect)(struct gyr_hook_call *call);
    void *user;
    uint32_t data_size; /* up to 1024 */
};
#define GYR_HOOK(name_text, ...)                     \
    {                                                \
        .name = name_text, .at = GYR_AT, __VA_ARGS__ \
    }
#define GYR_HOOKS(...) GYR_ROWS(gyr_hook, __VA_ARGS__)

/* Returned by before_receive: the message is dealt with; no handler runs. Returned by
 * before_connect: the hook has answered the request by itself. */
#define GYR_SKIP 4

/* ---- 4. Services and other inputs ------------------------------------------------------------ */

/* A pointer with a name and a type. */
struct gyr_value {
    const char *name;
    const char *type; /* "struct store" */
    const char *at;
    const void *pointer; /* what resources get; may be NULL */
};
#define GYR_VALUE(name_text, type_, pointer_)              \
    {                                                      \
        .name = (name_text), .type = #type_, .at = GYR_AT, \
        .pointer = GYR_POINTER_(type_, pointer_)           \
    }
#define GYR_VALUES(...) GYR_ROWS(gyr_value, __VA_ARGS__)

/* Made for each connection that wants it, once, and dropped at its end, behind the resources. */
struct gyr_maker {
    const char *name;
    const char *type;
    const char *at;
    int (*make)(struct gyr_conn *conn, void *user, void **pointer); /* no GYR_PENDING */
    void (*drop)(struct gyr_conn *conn, void *user, void *pointer); /* or NULL */
    void *user;
};
#define GYR_MAKER(name_text, type_, make_, drop_, user_)                                     \
    {                                                                                        \
        .name = (name_text), .type = #type_, .at = GYR_AT, .make = (make_), .drop = (drop_), \
        .user = (user_)                                                                      \
    }

/* What a resource wants: a pointer member of its instance that is filled in before `create`. It
 * comes from what a parent gives (gyr_give), else from the values of its route, else from the
 * service of that name, else it is the preset. Names and types must agree; without any source the
 * server does not start. */
struct gyr_input {
    const char *name;
    const char *type;
    const char *at;
    uint32_t offset; /* in the instance */
    /* What may be said of it. */
    bool optional;
    const void *preset;
};
/* GYR_INPUT(chat, store, struct store): of struct chat the member `struct store *store`. */
#define GYR_INPUT(self, member, type_, ...)                                      \
    {                                                                            \
        .name = #member, .type = #type_, .at = GYR_AT,                           \
        .offset = (uint32_t)(GYR_POINTS_TO_(type_, ((struct self *)0)->member) + \
                             offsetof(struct self, member)),                     \
        __VA_ARGS__                                                              \
    }
#define GYR_INPUTS(...) GYR_ROWS(gyr_input, __VA_ARGS__)

/* What a resource gives to those below it: gyr_give says what it is. */
struct gyr_gift {
    const char *name;
    const char *type;
    const char *at;
};
#define GYR_GIFT(name_text, type_)                        \
    {                                                     \
        .name = (name_text), .type = #type_, .at = GYR_AT \
    }
#define GYR_GIFTS(...) GYR_ROWS(gyr_gift, __VA_ARGS__)

/* ---- 5. Resources ---------------------------------------------------------------------------- */

/* What stands round the members of a message. */
enum gyr_form {
    GYR_FORM_DEFAULT,  /* of a resource: that of its base, or of the application, which is flat */
    GYR_FORM_FLAT,     /* {"type":"say","text":"hi"} */
    GYR_FORM_ENVELOPE, /* {"type":"say","payload":{"text":"hi"}} */
};

/* When a handler, an after hook or on_unhandled fails. It is logged in any case. */
enum gyr_failure_policy {
    GYR_FAILURE_DEFAULT, /* that of the base, or of the application, which closes */
    GYR_FAILURE_CLOSE,   /* the WebSocket is closed with the error's code, or 1011 */
    GYR_FAILURE_KEEP,    /* the connection goes on */
};

struct gyr_message_ref {
    const struct gyr_schema *schema;
};
#define GYR_MESSAGES(...) GYR_ROWS(gyr_message_ref, __VA_ARGS__)

struct gyr_mixin {
    const struct gyr_resource *resource;
};
#define GYR_MIXINS(...) GYR_ROWS(gyr_mixin, __VA_ARGS__)

/* A type of resource. A function that is NULL is the base's; tables add to the base's: a handler of
 * the same tag, a method or a child of the same path replaces it. */
struct gyr_resource {
    size_t size; /* of this structure; by GYR_RESOURCE */
    const char *name;
    const char *at;
    uint32_t instance_size;
    uint32_t instance_align;

    const struct gyr_resource *base; /* its instance is the first member of this one's */
    const struct gyr_mixin *mixins;  /* whose handlers it has, too, behind those of the base */

    /* A connection. The chain is made from the outermost to the innermost: for each its inputs are
     * set, then `create`, `guard` and, if another lies within, `give`. Then hooks, then on_connect
     * of the innermost, then hooks. */
    int (*create)(struct gyr_conn *conn, void *self);   /* `self` is zeroed but for its inputs */
    void (*destroy)(struct gyr_conn *conn, void *self); /* if create was called and has not failed,
                                                           the innermost first */
    int (*guard)(struct gyr_conn *conn, void *self, const struct gyr_request *request);
    int (*give)(struct gyr_conn *conn, void *self); /* gyr_give, gyr_give_state */
    /* 0 accepts the WebSocket. An error refuses it with the error's status code, or 500; gyr_refuse
     * says which. What is sent here comes behind the 101. */
    int (*on_connect)(struct gyr_conn *conn, void *self, const struct gyr_request *request);
    void (*on_disconnect)(struct gyr_conn *conn, void *self, uint16_t close_code,
                          struct gyr_span reason); /* once for each WebSocket that was accepted */

    /* Messages, of the innermost resource. */
    const struct gyr_handler *handlers;
    const struct gyr_message_ref *messages; /* all that there are: one without a handler, and a
                                               handler without one, is an error. NULL: not said */
    int (*on_unhandled)(struct gyr_conn *conn, void *self, const struct gyr_unhandled *unhandled);
    /* Instead of handlers: messages of this kind, as they come. */
    int (*on_text)(struct gyr_conn *conn, void *self, struct gyr_span message);
    int (*on_binary)(struct gyr_conn *conn, void *self, struct gyr_span message);
    uint32_t binary_tag_size; /* 1 or 2: binary messages begin with a number, in network byte order
                                 (GYR_ON_BINARY); 0: they are JSON as text is */
    enum gyr_form form;
    const char *tag_name;     /* NULL: the base's, "type" */
    const char *payload_name; /* NULL: the base's, "payload" */
    enum gyr_failure_policy failure_policy;

    /* HTTP requests. */
    const struct gyr_http_handler *methods;
    int (*on_body)(struct gyr_conn *conn, void *self, struct gyr_span piece, bool last);

    /* As those of struct gyr_service. Mail for a connection that has gone is brought to nobody. */
    void (*on_drain)(struct gyr_conn *conn, void *self);
    void (*on_timer)(struct gyr_conn *conn, void *self);
    void (*on_mail)(struct gyr_conn *conn, void *self, void *mail);
    void (*on_recovered)(struct gyr_conn *conn, void *self, struct gyr_span room,
                         const struct gyr_recovery *recovery);

    /* What it has, gives and knows. */
    const struct gyr_input *inputs;
    const struct gyr_gift *gifts;
    const struct gyr_hook *hooks;
    const struct gyr_route *children; /* below its own path */
    const char *const *subprotocols;  /* from the best to the worst; ends with NULL. The first that
                                         is offered is chosen, unless gyr_subprotocol does */
};

/* Of `struct TYPE`. */
#define GYR_RESOURCE(type)                                            \
    .size = sizeof(struct gyr_resource), .name = #type, .at = GYR_AT, \
    .instance_size = (uint32_t)sizeof(struct type),                   \
    .instance_align = (uint32_t) __alignof__(struct type)
/* Without a structure: `self` is NULL. */
#define GYR_RESOURCE_PLAIN(name_text) \
    .size = sizeof(struct gyr_resource), .name = (name_text), .at = GYR_AT

/* ---- 6. Routes ------------------------------------------------------------------------------- */

/* What a factory has chosen. It is called behind the application's before_connect hooks, before any
 * resource of the chain is made. */
struct gyr_product {
    const struct gyr_resource *resource; /* one of the route's `products` */
    const struct gyr_value *values;      /* instead of the route's; or NULL */
};

/* Where a path leads: a row of a router's table, or of a resource's children.
 *
 *   path  "/rooms/{room}/items/{item:int}". {name} is one segment or a part of one, {name:int},
 *         {name:uint} and {name:uuid} only such, {name:path} all that is left. One slash at the end
 *         of a request's path has no meaning. Below a resource the leading slash may be left out.
 *
 * Of several routes that fit, the first counts: in the order of mounting, of the table, of the
 * children. Methods of several routes with one path add up. */
struct gyr_route {
    const char *path;
    const char *at;
    const struct gyr_resource *resource; /* either this; */
    int (*factory)(
        struct gyr_conn *conn, void *user, const struct gyr_request *request,
        struct gyr_product *product);       /* or this: who gets a connection; no GYR_PENDING */
    const struct gyr_http_handler *methods; /* or this: only requests, `self` is NULL; */
    const char *files; /* or this: a service of type struct gyr_files; the path ends with a {path}
                          parameter, or is that of one file */
    void *user;        /* of the factory */
    const struct gyr_mixin *products; /* all that the factory may choose */
    /* What may be said of it. */
    const char *name;               /* for gyr_url_for; unique in its table */
    const struct gyr_value *values; /* for the resource's inputs */
    const char *file;               /* of `files`: always this one, as "/index.html" */
};
#define GYR_ROUTE(path_text, resource_, ...)                                                 \
    {                                                                                        \
        .path = path_text, .at = GYR_AT, .resource = resource_, .factory = NULL, __VA_ARGS__ \
    }
#define GYR_ROUTE_MADE(path_text, factory_, user_, products_, ...)                             \
    {                                                                                          \
        .path = path_text, .at = GYR_AT, .resource = NULL, .factory = factory_, .user = user_, \
        .products = products_, __VA_ARGS__                                                     \
    }
#define GYR_ROUTE_HTTP(path_text, methods_, ...)                                                 \
    {                                                                                            \
        .path = path_text, .at = GYR_AT, .resource = NULL, .factory = NULL, .methods = methods_, \
        __VA_ARGS__                                                                              \
    }
#define GYR_ROUTE_FILES(path_text, service_name, ...)                                              \
    {                                                                                              \
        .path = path_text, .at = GYR_AT, .resource = NULL, .factory = NULL, .files = service_name, \
        __VA_ARGS__                                                                                \
    }
#define GYR_ROUTES(...) GYR_ROWS(gyr_route, __VA_ARGS__)

/* A router: routes that are mounted together. GYR_ERR_MEMORY. `name` lives as long; NULL: none, and
 * names of its routes stand for themselves. */
GYR_API GYR_MUST_CHECK int gyr_router_create(const char *name, struct gyr_router **router);
/* Only one that was not mounted; an application destroys those it has. */
GYR_API void gyr_router_destroy(struct gyr_router *router);
/* Add one route, which is copied; before or after mounting, before the application is frozen.
 * GYR_ERR_ARGUMENT for a bad template, no or several targets; GYR_ERR_EXISTS for a path and method,
 * or a name, that the router has; GYR_ERR_STATE; GYR_ERR_MEMORY; each with a line in `error`, and
 * nothing has changed. */
GYR_API GYR_MUST_CHECK int gyr_router_add(struct gyr_router *router, const struct gyr_route *route,
                                          struct gyr_error *error);
/* Add a table. What is wrong with a row is kept for gyr_app_check, which tells all of it at once.
 * GYR_ERR_STATE, GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_router_add_all(struct gyr_router *router,
                                              const struct gyr_route *table);

/* A value for a parameter. */
struct gyr_url_value {
    const char *name; /* NULL ends a table */
    struct gyr_span value;
};
/* The path of a route, below its router's prefix. `name` is that of the route, or "route:child:..."
 * for one that is nested.
 *
 *   text  out: percent-encoded, with a NUL; *size_needed counts that
 *
 * GYR_ERR_NOT_FOUND for a name, GYR_ERR_ARGUMENT for a parameter that is missing or does not fit,
 * each with a line in `error`; GYR_ERR_LIMIT if it does not fit `size`. What no parameter wants is
 * ignored. */
GYR_API GYR_MUST_CHECK int gyr_router_url_for(const struct gyr_router *router, const char *name,
                                              const struct gyr_url_value *values, char *text,
                                              size_t size, size_t *size_needed,
                                              struct gyr_error *error);

/* ---- 7. The application ---------------------------------------------------------------------- */

/* What has failed: a create, guard, hook, handler ... returned an error, or a message could not be
 * read for want of memory. Refusals are none. */
struct gyr_failure {
    size_t size;
    int err;
    const char *what; /* the function: "create", "guard", "give", "factory", "make" (of a maker),
                             "on_connect", "handler", "on_unhandled", "on_text", "on_binary",
                             "on_body", "answer" (of gyr_ask), "before_connect" and the like of
                             hooks. Or what could not be had: "input", "message", "gyr_upgrade" */
    const char *resource; /* the type's name; NULL: none */
    const char *name;     /* of the handler, hook, maker, input or unknown gift; NULL: none */
};

/* All fields may be zero. */
struct gyr_app_options {
    size_t size; /* sizeof(struct gyr_app_options) */
    /* Of the server: core_data_size, user, room rules, backend, on_core_start, on_core_stop,
     * on_log, on_trouble, on_room, on_publish_ready. Copied. Its functions for connections, and
     * conn_data_size, must be zero: resources are instead. NULL: all zero. */
    const struct gyr_service *service;
    enum gyr_form form;
    const char *tag_name;     /* NULL: "type" */
    const char *payload_name; /* NULL: "payload" */
    enum gyr_failure_policy failure_policy;
    uint32_t depth_max;        /* resources in a chain; 0: 8; up to 16 */
    uint32_t decoded_size_max; /* bytes that one message may become, per core; 0: 4 times
                                   message_size_max, and 64 KB */
    uint32_t asks_max;         /* questions to a client that wait for an answer; 0: 16 */
    bool allow_unreachable;    /* a route that no path reaches, because one before it takes all that
                                  it would, is no mistake: only gyr_app_print_routes tells */
    void (*on_failure)(struct gyr_conn *conn,
                       const struct gyr_failure *failure); /* beside the log */
};

/* NULL: no options. GYR_ERR_ARGUMENT with a line in `error`; GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_app_create(const struct gyr_app_options *options,
                                          struct gyr_app **app, struct gyr_error *error);
/* No server may have it any more. */
GYR_API void gyr_app_destroy(struct gyr_app *app);

/* Mount a router under a prefix, which may have parameters: "/api", "/t/{tenant}"; "" and "/" are
 * the root. The application owns it then. Once for each router: GYR_ERR_STATE; GYR_ERR_ARGUMENT for
 * a bad prefix; GYR_ERR_EXISTS for the name of a router that is mounted; GYR_ERR_MEMORY; with a
 * line in `error`, and nothing has changed. */
GYR_API GYR_MUST_CHECK int gyr_app_mount(struct gyr_app *app, const char *prefix,
                                         struct gyr_router *router, struct gyr_error *error);
/* A router without a name with this table, mounted. GYR_ERR_MEMORY, GYR_ERR_STATE; all else is kept
 * for gyr_app_check. */
GYR_API GYR_MUST_CHECK int gyr_app_routes(struct gyr_app *app, const char *prefix,
                                          const struct gyr_route *table);

/* A service for all who ask for its name and type. Also while the server runs, on any thread, if it
 * was there before: connections that are made from now on get the new pointer, and the old one must
 * live as long as those before. GYR_ERR_ARGUMENT, GYR_ERR_NOT_FOUND for a new name while the server
 * runs, GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_app_service(struct gyr_app *app, const struct gyr_value *service,
                                           struct gyr_error *error);
/* A maker instead of a service. GYR_ERR_ARGUMENT for one without `make`, and for a name and type
 * that are there; GYR_ERR_STATE once it is frozen; GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_app_maker(struct gyr_app *app, const struct gyr_maker *maker,
                                         struct gyr_error *error);
/* Any thread: the service of this name and type ("struct store"). GYR_ERR_NOT_FOUND with a line
 * that names it. */
GYR_API GYR_MUST_CHECK int gyr_app_find(const struct gyr_app *app, const char *name,
                                        const char *type, const void **pointer,
                                        struct gyr_error *error);

/* A hook of the application, or (resource is not NULL) of a type and those that have it as base.
 * `hooks` is a table, which must live as long as the application. GYR_ERR_ARGUMENT for one without
 * a function; GYR_ERR_STATE once it is frozen; GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_app_hooks(struct gyr_app *app, const struct gyr_resource *resource,
                                         const struct gyr_hook *hooks, struct gyr_error *error);
/* The same for one function. GYR_ERR_ARGUMENT for an event that does not exist, or no function. */
GYR_API GYR_MUST_CHECK int gyr_app_hook(struct gyr_app *app, const struct gyr_resource *resource,
                                        enum gyr_hook_event event,
                                        int (*function)(struct gyr_hook_call *call), void *user,
                                        struct gyr_error *error);

/* Check all that was declared, and freeze it: nothing can be added after. Writes a line for each
 * mistake, "place: what is wrong; what to do"; returns the size that all of it needs, like
 * snprintf: 0 if there is none. */
GYR_API size_t gyr_app_check(struct gyr_app *app, char *text, size_t size);
/* The table of routes, their shapes, and entries that cannot be reached; like snprintf. */
GYR_API size_t gyr_app_print_routes(struct gyr_app *app, char *text, size_t size);
/* The whole path of a route, "router:route:child" or, of a router without a name, "route:child".
 * Otherwise as gyr_router_url_for; any thread once it is frozen. */
GYR_API GYR_MUST_CHECK int gyr_app_url_for(const struct gyr_app *app, const char *name,
                                           const struct gyr_url_value *values, char *text,
                                           size_t size, size_t *size_needed,
                                           struct gyr_error *error);

/* Make a server of it: check and freeze first. GYR_ERR_CONFIG if something was declared wrongly:
 * `error` has the first mistake and how many there are, on_log gets them all. Otherwise as
 * gyr_server_create_with. Several servers may have one application. */
GYR_API GYR_MUST_CHECK int gyr_app_server(struct gyr_app *app, const struct gyr_settings *settings,
                                          struct gyr_server **server, struct gyr_error *error);

/* The way of old: a route of the root. Its path is not empty, begins with a slash and has no white
 * space. Tells on_log once. Errors as gyr_router_add. */
GYR_API __attribute__((deprecated("use gyr_router_add or gyr_app_routes"))) GYR_MUST_CHECK int
gyr_app_add_websocket_route(struct gyr_app *app, const char *path,
                            const struct gyr_resource *resource, const struct gyr_value *values,
                            struct gyr_error *error);
/* The way of old: make *app if it is NULL, and leave it as it is otherwise. */
GYR_API __attribute__((deprecated("use gyr_app_create"))) GYR_MUST_CHECK int
gyr_app_install(struct gyr_app **app, struct gyr_error *error);

/* ---- 8. Within functions: the connection ----------------------------------------------------- */

/* A parameter of the path, decoded; of several with a name the innermost; ptr NULL if there is
 * none. Lives as long as the connection. */
GYR_API struct gyr_span gyr_param(const struct gyr_conn *conn, const char *name);
/* Of {name:int} and {name:uint}; of others too if they look like one. GYR_ERR_NOT_FOUND,
 * GYR_ERR_ARGUMENT. */
GYR_API GYR_MUST_CHECK int gyr_param_int(const struct gyr_conn *conn, const char *name,
                                         int64_t *value);
GYR_API GYR_MUST_CHECK int gyr_param_uint(const struct gyr_conn *conn, const char *name,
                                          uint64_t *value);
/* In before_connect: add or replace one; copied. GYR_ERR_STATE elsewhere, GYR_ERR_MEMORY,
 * GYR_ERR_LIMIT past 16 in all. `name` must live as long as the connection. */
GYR_API GYR_MUST_CHECK int gyr_set_param(struct gyr_conn *conn, const char *name,
                                         struct gyr_span value);
/* A parameter of the query, "a=1&b=x%20y": decoded ('+' is a space) into `text`, without a NUL.
 * GYR_ERR_NOT_FOUND; GYR_ERR_LIMIT if it does not fit `size`; GYR_ERR_ARGUMENT for a malformed
 * percent-encoding. */
GYR_API GYR_MUST_CHECK int gyr_query_param(const struct gyr_request *request, const char *name,
                                           char *text, size_t size, size_t *used);

/* The instance of the innermost resource, or of the one so many levels above; NULL if there is
 * none. */
GYR_API void *gyr_self(const struct gyr_conn *conn, unsigned levels_above);
GYR_API const struct gyr_resource *gyr_conn_resource(const struct gyr_conn *conn);
GYR_API struct gyr_app *gyr_conn_app(const struct gyr_conn *conn);

/* Zeroed memory that lives as long as the connection; NULL past the core's budget. */
GYR_API void *gyr_conn_alloc(struct gyr_conn *conn, size_t size);
/* A copy that lives until this message, or this request's connect, is done with, GYR_PENDING
 * included; 64 bytes behind it are readable. NULL without memory. */
GYR_API void *gyr_keep(struct gyr_conn *conn, const void *bytes, size_t size);

/* Within a function that returns GYR_PENDING then: call fn(arg) on this thread if the connection
 * ends before it is finished: nobody waits for the result any more. gyr_finish and gyr_complete
 * then find that it has gone. Once gyr_finish has taken a result it is not called any more. */
GYR_API void gyr_on_cancel(struct gyr_conn *conn, void (*fn)(void *arg), void *arg);

/* Refuse a request: `return gyr_refuse(conn, 401, GYR_SPAN("who are you?"))`: status code 400 to
 * 599 with this text. Returns GYR_ERR_REFUSED, which by itself means 403. From before_connect,
 * create, guard, give, on_connect, HTTP handlers. */
GYR_API int gyr_refuse(struct gyr_conn *conn, unsigned status_code, struct gyr_span text);
/* The same, but of a handshake: accept it, and close at once: what a browser's script can see.
 * Neither on_connect nor on_disconnect runs. */
GYR_API int gyr_refuse_close(struct gyr_conn *conn, uint16_t close_code, struct gyr_span reason);

/* Before the handshake is accepted: choose one that the client offers. GYR_ERR_NOT_FOUND if it does
 * not, and then no field says any; GYR_ERR_STATE; GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_subprotocol(struct gyr_conn *conn, const char *subprotocol);

/* In `give`: what those below get by this name, which is one of the type's gifts. GYR_ERR_NOT_FOUND
 * if it is not, and then the connection is refused with a line in the log that names it;
 * GYR_ERR_STATE. */
GYR_API int gyr_give(struct gyr_conn *conn, const char *name, const void *pointer);

/* ---- 9. State -------------------------------------------------------------------------------- */

/* Texts by name that belong to a connection. All resources of a chain share one, unless one of them
 * gives another to those below. It is made when it is first written to. */
struct gyr_state_ops {
    size_t size; /* sizeof(struct gyr_state_ops) */
    /* A view that lives until the next call; GYR_ERR_NOT_FOUND. */
    int (*get)(void *store, struct gyr_span key, struct gyr_span *value);
    int (*set)(void *store, struct gyr_span key, struct gyr_span value);
    int (*remove)(void *store, struct gyr_span key); /* GYR_ERR_NOT_FOUND */
    /* Call each(arg, key, value) for all, until one returns another value than 0, and return it. */
    int (*each)(void *store, int (*each)(void *arg, struct gyr_span key, struct gyr_span value),
                void *arg);
    void (*destroy)(void *store); /* at the end of the last connection's resource that has it; may
                                     be NULL: it is somebody else's */
};

/* `self` is the instance whose state is meant; NULL: the innermost's. Keys up to 255 bytes. The
 * default store copies; all its connection's states have 64 KB. GYR_ERR_MEMORY, GYR_ERR_LIMIT,
 * GYR_ERR_NOT_FOUND, what the store says. */
GYR_API GYR_MUST_CHECK int gyr_state_get(struct gyr_conn *conn, const void *self,
                                         struct gyr_span key, struct gyr_span *value);
GYR_API GYR_MUST_CHECK int gyr_state_set(struct gyr_conn *conn, const void *self,
                                         struct gyr_span key, struct gyr_span value);
GYR_API GYR_MUST_CHECK int gyr_state_remove(struct gyr_conn *conn, const void *self,
                                            struct gyr_span key);
GYR_API GYR_MUST_CHECK int
gyr_state_each(struct gyr_conn *conn, const void *self,
               int (*each)(void *arg, struct gyr_span key, struct gyr_span value), void *arg);
/* From now on this is the state of the resource and of all that share it. `ops` must live as long
 * as the connection. GYR_ERR_ARGUMENT if a function but `destroy` is missing. */
GYR_API GYR_MUST_CHECK int gyr_state_assign(struct gyr_conn *conn, const void *self,
                                            const struct gyr_state_ops *ops, void *store);
/* In `give`: those below have this one instead; ops NULL: an empty one of their own. */
GYR_API GYR_MUST_CHECK int gyr_give_state(struct gyr_conn *conn, const struct gyr_state_ops *ops,
                                          void *store);

/* ---- 10. Sending ----------------------------------------------------------------------------- */

/* Encode a message as its schema and the resource's form say, and send it as text. Results as those
 * of gyr_send, and GYR_ERR_ARGUMENT as gyr_encode. The macros take the members instead: GYR_SEND(
 * conn, said, .text = text). */
GYR_API GYR_MUST_CHECK int gyr_send_msg(struct gyr_conn *conn, const struct gyr_schema *schema,
                                        const void *value);
/* As gyr_publish, in the form of the connection's resource. */
GYR_API GYR_MUST_CHECK int gyr_publish_msg(struct gyr_conn *conn, struct gyr_span room,
                                           const struct gyr_schema *schema, const void *value);
GYR_API GYR_MUST_CHECK int gyr_publish_others_msg(struct gyr_conn *conn, struct gyr_span room,
                                                  const struct gyr_schema *schema,
                                                  const void *value);
/* Any thread, any publish: its payload is the message, in the application's form. As
 * gyr_server_publish. */
GYR_API GYR_MUST_CHECK int gyr_server_publish_msg(struct gyr_server *server,
                                                  const struct gyr_publish *publish,
                                                  const struct gyr_schema *schema,
                                                  const void *value);
/* Answer an HTTP request with an object in JSON. As gyr_respond_text. */
GYR_API GYR_MUST_CHECK int gyr_respond_msg(struct gyr_conn *conn, unsigned status_code,
                                           const struct gyr_schema *schema, const void *value);
/* ... and with an error: {"code":"missing","reason":"...","path":"title"}. */
GYR_API GYR_MUST_CHECK int gyr_respond_error(struct gyr_conn *conn, unsigned status_code,
                                             const char *code, const char *reason,
                                             const char *path);

#ifdef __cplusplus
#define GYR_VALUE_OF_(message, ...) \
    (gyr_address_<struct message>(gyr_type_<struct message>::type{__VA_ARGS__}))
#else
#define GYR_VALUE_OF_(message, ...) (&(const struct message){__VA_ARGS__})
#endif
#define GYR_SEND(conn, message, ...) \
    gyr_send_msg(conn, &message##_schema, GYR_VALUE_OF_(message, __VA_ARGS__))
#define GYR_PUBLISH(conn, room, message, ...) \
    gyr_publish_msg(conn, room, &message##_schema, GYR_VALUE_OF_(message, __VA_ARGS__))
#define GYR_PUBLISH_OTHERS(conn, room, message, ...) \
    gyr_publish_others_msg(conn, room, &message##_schema, GYR_VALUE_OF_(message, __VA_ARGS__))
#define GYR_RESPOND(conn, status_code, message, ...) \
    gyr_respond_msg(conn, status_code, &message##_schema, GYR_VALUE_OF_(message, __VA_ARGS__))

/* ---- 11. Request and reply ------------------------------------------------------------------- */

/* A message with an `id` asks for an answer: a message with this id as `re`. In the flat form a
 * member `id` of the message's own schema is none of that: the message is no request then. While it
 * is handled, GYR_PENDING included: its id as it is written, size 0 if it has none. Lives until
 * then. */
GYR_API struct gyr_span gyr_message_id(const struct gyr_conn *conn);
/* Answer what is being handled, once. GYR_ERR_STATE if it has no id, or was answered; otherwise as
 * gyr_send_msg. */
GYR_API GYR_MUST_CHECK int gyr_answer(struct gyr_conn *conn, const struct gyr_schema *schema,
                                      const void *value);
/* ... with an error: {"type":"error","re":ID,"code":...,"reason":...,"path":...}; path may be NULL.
 * Unlike gyr_answer this returns 0 for a message without an id, and nothing is sent: who does not
 * ask is not told. A request whose handler fails without an answer gets one with "failed"; one that
 * nobody handles gets one with what is wrong with it, unless on_unhandled is there, which may do so
 * itself. */
GYR_API GYR_MUST_CHECK int gyr_answer_error(struct gyr_conn *conn, const char *code,
                                            const char *reason, const char *path);
/* Answer later, by an id that was copied from gyr_message_id: that it was not answered yet, the
 * caller knows. GYR_ERR_ARGUMENT for what is no id; otherwise as gyr_send_msg. */
GYR_API GYR_MUST_CHECK int gyr_answer_to(struct gyr_conn *conn, struct gyr_span id,
                                         const struct gyr_schema *schema, const void *value);
GYR_API GYR_MUST_CHECK int gyr_answer_error_to(struct gyr_conn *conn, struct gyr_span id,
                                               const char *code, const char *reason,
                                               const char *path);
#define GYR_ANSWER(conn, message, ...) \
    gyr_answer(conn, &message##_schema, GYR_VALUE_OF_(message, __VA_ARGS__))

/* Ask the client: send a message with an id, and call fn(conn, self, answer, fault, arg) once: with
 * the decoded answer; or with NULL and why there is none: GYR_REASON_TIMEOUT after timeout_ms (1 ms
 * to 24 days); what does not fit the schema; GYR_REASON_REFUSED if the client has sent an error;
 * GYR_REASON_FAILED when the connection ends. `self` is the innermost resource: GYR_ERR_STATE until
 * its create has ended, and where on_text takes what would be the answer. GYR_ERR_LIMIT past
 * asks_max; GYR_ERR_ARGUMENT for a time limit out of its range; otherwise as gyr_send_msg, and then
 * it is not called. GYR_ASK checks the types: int fn(struct gyr_conn *, void *, const struct ANSWER
 * *, const struct gyr_fault *, void *). No GYR_PENDING. */
GYR_API GYR_MUST_CHECK int gyr_ask(struct gyr_conn *conn, const struct gyr_schema *schema,
                                   const void *value, const struct gyr_schema *answer_schema,
                                   uint32_t timeout_ms, gyr_any_fn fn, void *arg);
#define GYR_ASK(conn, question, value, answer, timeout_ms, fn, arg)                           \
    gyr_ask(conn, &question##_schema, GYR_IS_(question, value), &answer##_schema, timeout_ms, \
            GYR_ANSWERED_(answer, fn), arg)

/* Decode within a handler, or any other function of a connection, what came raw; the value lives
 * until that function returns. Errors as gyr_decode. */
GYR_API GYR_MUST_CHECK int gyr_conn_decode(struct gyr_conn *conn, const struct gyr_schema *schema,
                                           struct gyr_span text, bool lenient, void *value,
                                           struct gyr_fault *fault);

/* ---- of the macros above --------------------------------------------------------------------- */

#ifdef __cplusplus
}
template <typename message>
inline gyr_any_fn gyr_typed_(int (*fn)(gyr_conn *, void *, const message *))
{
    return reinterpret_cast<gyr_any_fn>(fn);
}
inline gyr_any_fn gyr_untyped_(int (*fn)(gyr_conn *, void *, gyr_span))
{
    return reinterpret_cast<gyr_any_fn>(fn);
}
inline gyr_any_fn gyr_requested_(int (*fn)(gyr_conn *, void *, const gyr_request *))
{
    return reinterpret_cast<gyr_any_fn>(fn);
}
template <typename answer>
inline gyr_any_fn gyr_answered_(int (*fn)(gyr_conn *, void *, const answer *, const gyr_fault *,
                                          void *))
{
    return reinterpret_cast<gyr_any_fn>(fn);
}
template <typename message> struct gyr_type_ {
    typedef message type;
};
template <typename message> inline const message *gyr_address_(const message &value)
{
    return &value;
}
template <typename type> inline const void *gyr_pointer_(const type *pointer)
{
    return pointer;
}
template <typename type> constexpr size_t gyr_points_to_(const type *)
{
    return 0;
}
#define GYR_TYPED_(message, fn)       (gyr_typed_<struct message>(fn))
#define GYR_UNTYPED_(fn)              (gyr_untyped_(fn))
#define GYR_REQUESTED_(fn)            (gyr_requested_(fn))
#define GYR_ANSWERED_(answer, fn)     (gyr_answered_<struct answer>(fn))
#define GYR_IS_(message, value)       (gyr_pointer_<struct message>(value))
#define GYR_POINTER_(type, pointer)   (gyr_pointer_<type>(pointer))
#define GYR_POINTS_TO_(type, pointer) (gyr_points_to_<type>(decltype(pointer){}))
#else
/* style: a handler is called through a type that differs from its own in what its last argument
 * points to, which no ABI of Linux can tell. */
#define GYR_TYPED_(message, fn) \
    ((gyr_any_fn) _Generic((fn), int (*)(struct gyr_conn *, void *, const struct message *) : (fn)))
#define GYR_UNTYPED_(fn) \
    ((gyr_any_fn) _Generic((fn), int (*)(struct gyr_conn *, void *, struct gyr_span) : (fn)))
#define GYR_REQUESTED_(fn)                                                                      \
    ((gyr_any_fn) _Generic((fn), int (*)(struct gyr_conn *, void *, const struct gyr_request *) \
                           : (fn)))
#define GYR_ANSWERED_(answer, fn)                                                          \
    ((gyr_any_fn) _Generic((fn), int (*)(struct gyr_conn *, void *, const struct answer *, \
                                         const struct gyr_fault *, void *)                 \
                           : (fn)))
#define GYR_IS_(message, value) \
    _Generic((value), struct message * : (value), const struct message * : (value))
/* NOLINTBEGIN(bugprone-macro-parentheses): a type takes none */
#define GYR_POINTER_(type, pointer) \
    _Generic((pointer), type * : (pointer), const type * : (pointer), void * : (pointer))
#define GYR_POINTS_TO_(type, pointer) \
    _Generic((pointer), type * : (size_t)0, const type * : (size_t)0)
/* NOLINTEND(bugprone-macro-parentheses) */
#endif

#endif
