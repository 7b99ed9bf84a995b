/* SPDX-License-Identifier: MIT */
/* Messages: structures of C that come and go as JSON (RFC 8259). A schema says which members a
 * structure has; the same schema decodes and encodes.
 *
 *     struct say {
 *         struct gyr_span room;
 *         struct gyr_span text;
 *         int32_t priority;
 *     };
 *     GYR_MESSAGE(say, "say",
 *                 GYR_MEMBER(say, room),
 *                 GYR_MEMBER(say, text, GYR_SIZE(1, 4096)),
 *                 GYR_MEMBER(say, priority, GYR_OPTIONAL, GYR_RANGE(0, 9)));
 *
 * declares `say_schema`, of the message with the tag "say". What kind a member is, its type in C
 * decides: bool; an integer of any width; double; struct gyr_span, a string. Other kinds have a
 * macro of their own. Options follow in the order of struct gyr_member (C++ insists on that).
 *
 * Schemas are constants: they may be used on any thread. */
#ifndef GYR_MESSAGE_H
#define GYR_MESSAGE_H

#include "gyr/gyr.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rows of a table that ends with a row of zeros, for initialisers of static objects. */
#ifdef __cplusplus
#define GYR_ROWS(type, ...) GYR_ROWS_NUMBERED_(type, __COUNTER__, __VA_ARGS__)
/* Rows within rows have names of their own: with -Wshadow nothing is said of them. */
#define GYR_ROWS_NUMBERED_(type, number, ...) GYR_ROWS_NAMED_(type, number, __VA_ARGS__)
#define GYR_ROWS_NAMED_(type, number, ...)                                         \
    ([] {                                                                          \
        static const struct type rows_##number[] = {__VA_ARGS__ __VA_OPT__(, ){}}; \
        return static_cast<const struct type *>(rows_##number);                    \
    }())
#else
#define GYR_ROWS(type, ...) ((const struct type[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#endif

/* In C++ what an initialiser does not name is zero by these words, so that no compiler warns of
 * it; in C it is without them. */
#ifdef __cplusplus
#define GYR_ZERO_ \
    {             \
    }
#else
#define GYR_ZERO_
#endif

/* ---- kinds ----------------------------------------------------------------------------------- */

enum gyr_kind {
    GYR_KIND_BOOL = 1,
    GYR_KIND_INT,     /* int8_t to int64_t */
    GYR_KIND_UINT,    /* uint8_t to uint64_t */
    GYR_KIND_DOUBLE,  /* finite; an integer in JSON will do */
    GYR_KIND_STRING,  /* struct gyr_span: unescaped, valid UTF-8, perhaps with NULs */
    GYR_KIND_BYTES,   /* struct gyr_span: a string of base64 (RFC 4648 section 4) in JSON */
    GYR_KIND_ENUM,    /* an enum, or an integer: one of several names in JSON */
    GYR_KIND_STRUCT,  /* a structure within the structure: an object in JSON */
    GYR_KIND_ARRAY,   /* a pointer to items, and a size_t with their number */
    GYR_KIND_RAW,     /* struct gyr_span: any value of JSON, as it is written, checked; null too */
    GYR_KIND_VARIANT, /* struct gyr_variant: an object that says by its tag what it is */
};

/* A value that is one of several messages. */
struct gyr_variant {
    const struct gyr_schema *schema; /* that of the choice; NULL: none (optional) */
    const void *value;               /* a structure of that schema */
};

/* A name of GYR_KIND_ENUM. */
struct gyr_enum_name {
    const char *name GYR_ZERO_;
    int64_t value GYR_ZERO_;
};

/* One of the messages that a variant may be. */
struct gyr_choice {
    const struct gyr_schema *schema GYR_ZERO_;
};

struct gyr_member {
    const char *name GYR_ZERO_; /* in JSON; without quotes, backslashes and control characters */
    const char *key GYR_ZERO_;  /* `"name":` */
    uint16_t name_size GYR_ZERO_;
    uint8_t kind GYR_ZERO_;       /* enum gyr_kind */
    uint8_t width GYR_ZERO_;      /* bytes of an integer or enum; of the items' if it is an array */
    uint8_t item_kind GYR_ZERO_;  /* of GYR_KIND_ARRAY; no array, no variant */
    uint32_t offset GYR_ZERO_;    /* in the structure */
    uint32_t size GYR_ZERO_;      /* bytes of the member */
    uint32_t item_size GYR_ZERO_; /* of GYR_KIND_ARRAY: bytes of an item */
    uint32_t count_offset GYR_ZERO_;             /* of GYR_KIND_ARRAY: where its size_t is */
    const struct gyr_schema *schema GYR_ZERO_;   /* of GYR_KIND_STRUCT, and of arrays of it */
    const struct gyr_enum_name *names GYR_ZERO_; /* of GYR_KIND_ENUM; ends with a NULL name */
    const struct gyr_choice *choices GYR_ZERO_;  /* of GYR_KIND_VARIANT; ends with a NULL schema */

    /* What may be said of it. */
    bool optional GYR_ZERO_;      /* it may be missing or null: GYR_OPTIONAL */
    const void *preset GYR_ZERO_; /* ... and then becomes a copy of this; NULL: zero */
    uint32_t presence GYR_ZERO_;  /* 1 + offset of a bool that says whether it was there; 0: none */
    bool ranged GYR_ZERO_;        /* min and max hold: GYR_RANGE */
    int64_t min GYR_ZERO_;        /* of an integer, or of the items of an array of them */
    uint64_t max GYR_ZERO_;       /* ... of a GYR_KIND_INT as int64_t */
    bool real_ranged GYR_ZERO_;   /* real_min and real_max hold: GYR_REAL_RANGE */
    double real_min GYR_ZERO_;    /* of a double */
    double real_max GYR_ZERO_;
    uint32_t size_min GYR_ZERO_;    /* bytes of a string or raw text, of bytes decoded; of items */
    uint32_t size_max GYR_ZERO_;    /* 0: as many as the message has */
    uint32_t count_min GYR_ZERO_;   /* items of an array */
    uint32_t count_max GYR_ZERO_;   /* 0: GYR_COUNT_MAX_DEFAULT */
    const char *tag_name GYR_ZERO_; /* what says which choice a variant is; NULL: "type" */
};

#define GYR_COUNT_MAX_DEFAULT 65536
#define GYR_MEMBERS_MAX       64 /* of a structure */
#define GYR_DEPTH_MAX         32 /* of structures in each other; of raw values as well */

struct gyr_schema {
    const char *name;   /* of the structure */
    const char *tag;    /* NULL: it is no message, only a part of others */
    const char *quoted; /* the tag in quotes; without quotes, backslashes, control characters */
    const char *at;     /* GYR_AT */
    uint32_t struct_size;
    uint32_t struct_align;
    const struct gyr_member *members; /* ends with a NULL name */
};

/* A message, with its tag; declares `TYPE_schema`. `TYPE` is the name of a structure. */
#define GYR_MESSAGE(type, tag_text, ...)                                     \
    __attribute__((unused)) static const struct gyr_schema type##_schema = { \
        #type,                                                               \
        tag_text,                                                            \
        "\"" tag_text "\"",                                                  \
        GYR_AT,                                                              \
        (uint32_t)sizeof(struct type),                                       \
        (uint32_t) __alignof__(struct type),                                 \
        GYR_ROWS(gyr_member, __VA_ARGS__)}
/* A structure that is part of others; declares `TYPE_schema`. */
#define GYR_PART(type, ...)                                                  \
    __attribute__((unused)) static const struct gyr_schema type##_schema = { \
        #type,                                                               \
        NULL,                                                                \
        NULL,                                                                \
        GYR_AT,                                                              \
        (uint32_t)sizeof(struct type),                                       \
        (uint32_t) __alignof__(struct type),                                 \
        GYR_ROWS(gyr_member, __VA_ARGS__)}

/* ---- members --------------------------------------------------------------------------------- */

/* Each takes the structure, the member and options; with _AS the name in JSON, which otherwise is
 * that of the member. */

/* bool, an integer, double, struct gyr_span for a string. */
#define GYR_MEMBER(type, member, ...) GYR_MEMBER_AS(type, member, #member, __VA_ARGS__)
#define GYR_MEMBER_AS(type, member, name_text, ...)                           \
    {                                                                         \
        GYR_MEMBER_HEAD_(name_text, GYR_KIND_OF_(((struct type *)0)->member), \
                         sizeof(((struct type *)0)->member)),                 \
            .offset = (uint32_t)offsetof(struct type, member),                \
            .size = (uint32_t)sizeof(((struct type *)0)->member), __VA_ARGS__ \
    }

/* struct gyr_span: base64 in JSON. */
#define GYR_BYTES(type, member, ...) GYR_BYTES_AS(type, member, #member, __VA_ARGS__)
#define GYR_BYTES_AS(type, member, name_text, ...) \
    GYR_SPAN_MEMBER_(type, member, name_text, GYR_KIND_BYTES, __VA_ARGS__)

/* struct gyr_span: the text of any value. Of an optional one that is missing `ptr` is NULL. */
#define GYR_RAW(type, member, ...) GYR_RAW_AS(type, member, #member, __VA_ARGS__)
#define GYR_RAW_AS(type, member, name_text, ...) \
    GYR_SPAN_MEMBER_(type, member, name_text, GYR_KIND_RAW, __VA_ARGS__)

/* An enum or an integer; `list` is a table: static const struct gyr_enum_name list[] = {{"red",
 * RED}, {"blue", BLUE}, {0}}; */
#define GYR_ENUM(type, member, list, ...) GYR_ENUM_AS(type, member, #member, list, __VA_ARGS__)
#define GYR_ENUM_AS(type, member, name_text, list, ...)                                        \
    {                                                                                          \
        GYR_MEMBER_HEAD_(name_text, GYR_KIND_ENUM, sizeof(((struct type *)0)->member)),        \
            .offset = (uint32_t)offsetof(struct type, member),                                 \
            .size = (uint32_t)sizeof(((struct type *)0)->member), .names = (list), __VA_ARGS__ \
    }

/* A structure of its own schema, `struct PART`. */
#define GYR_STRUCT(type, member, part, ...) GYR_STRUCT_AS(type, member, #member, part, __VA_ARGS__)
#define GYR_STRUCT_AS(type, member, name_text, part, ...)                           \
    {                                                                               \
        GYR_MEMBER_HEAD_(name_text, GYR_KIND_STRUCT, 0),                            \
            .offset = (uint32_t)offsetof(struct type, member),                      \
            .size = (uint32_t)(GYR_SAME_(struct part, ((struct type *)0)->member) + \
                               sizeof(struct part)),                                \
            .schema = &part##_schema, __VA_ARGS__                                   \
    }

/* A pointer to const items of a kind that GYR_MEMBER takes, and a size_t with their number. */
#define GYR_ARRAY(type, member, count_member, ...) \
    GYR_ARRAY_AS(type, member, count_member, #member, __VA_ARGS__)
#define GYR_ARRAY_AS(type, member, count_member, name_text, ...)                             \
    {                                                                                        \
        GYR_MEMBER_HEAD_(name_text, GYR_KIND_ARRAY, sizeof(*((struct type *)0)->member)),    \
            .item_kind = GYR_KIND_OF_(*((struct type *)0)->member),                          \
            .offset = (uint32_t)offsetof(struct type, member),                               \
            .size = (uint32_t)sizeof(const void *),                                          \
            .item_size = (uint32_t)sizeof(*((struct type *)0)->member),                      \
            .count_offset = (uint32_t)(GYR_SAME_(size_t, ((struct type *)0)->count_member) + \
                                       offsetof(struct type, count_member)),                 \
            __VA_ARGS__                                                                      \
    }

/* A pointer to const `struct PART`, and a size_t with their number. */
#define GYR_ARRAY_OF(type, member, count_member, part, ...) \
    GYR_ARRAY_OF_AS(type, member, count_member, #member, part, __VA_ARGS__)
#define GYR_ARRAY_OF_AS(type, member, count_member, name_text, part, ...)                    \
    {                                                                                        \
        GYR_MEMBER_HEAD_(name_text, GYR_KIND_ARRAY, 0),                                      \
            .item_kind = GYR_KIND_STRUCT, .offset = (uint32_t)offsetof(struct type, member), \
            .size = (uint32_t)sizeof(const void *),                                          \
            .item_size = (uint32_t)(GYR_SAME_(struct part, *((struct type *)0)->member) +    \
                                    sizeof(struct part)),                                    \
            .count_offset = (uint32_t)(GYR_SAME_(size_t, ((struct type *)0)->count_member) + \
                                       offsetof(struct type, count_member)),                 \
            .schema = &part##_schema, __VA_ARGS__                                            \
    }

/* struct gyr_variant; the choices are messages: GYR_VARIANT(drawing, shape, GYR_CHOICES({
 * &circle_schema}, {&square_schema})). */
#define GYR_VARIANT(type, member, list, ...) \
    GYR_VARIANT_AS(type, member, #member, list, __VA_ARGS__)
#define GYR_VARIANT_AS(type, member, name_text, list, ...)                                 \
    {                                                                                      \
        GYR_MEMBER_HEAD_(name_text, GYR_KIND_VARIANT, 0),                                  \
            .offset = (uint32_t)offsetof(struct type, member),                             \
            .size = (uint32_t)(GYR_SAME_(struct gyr_variant, ((struct type *)0)->member) + \
                               sizeof(struct gyr_variant)),                                \
            .choices = list, __VA_ARGS__                                                   \
    }
#define GYR_CHOICES(...) GYR_ROWS(gyr_choice, __VA_ARGS__)

/* Options, in this order. */
#define GYR_OPTIONAL .optional = true
/* Optional, with a value: GYR_DEFAULT(int32_t, 20). In C++ give the address of a constant:
 * .optional = true, .preset = &twenty. */
#define GYR_DEFAULT(type, ...)                \
    .optional = true, .preset = &(const type) \
    {                                         \
        __VA_ARGS__                           \
    }
/* Optional; the bool `member` says whether it was there. */
#define GYR_HAS(type, member)                                                                  \
    .optional = true, .presence = 1 + (uint32_t)(GYR_SAME_(bool, ((struct type *)0)->member) + \
                                                 offsetof(struct type, member))
#define GYR_RANGE(low, high)      .ranged = true, .min = (low), .max = (uint64_t)(high)
#define GYR_REAL_RANGE(low, high) .real_ranged = true, .real_min = (low), .real_max = (high)
#define GYR_SIZE(low, high)       .size_min = (low), .size_max = (high)
#define GYR_COUNT(low, high)      .count_min = (low), .count_max = (high)

/* ---- what can be wrong ----------------------------------------------------------------------- */

/* X(name, code, text) */
#define GYR_REASONS(X)                                                       \
    X(MALFORMED, "malformed", "this is not JSON (RFC 8259)")                 \
    X(NOT_OBJECT, "not_object", "the message is not an object")              \
    X(NO_TAG, "no_tag", "the message does not say its type")                 \
    X(TAG_TYPE, "tag_type", "the type is not a string")                      \
    X(TAG_TWICE, "tag_twice", "the message says two different types")        \
    X(UNKNOWN_TAG, "unknown_tag", "there is no message of this type")        \
    X(MISSING, "missing", "it is missing")                                   \
    X(UNKNOWN_MEMBER, "unknown_member", "there is no member of this name")   \
    X(TYPE, "type", "it is of another type")                                 \
    X(RANGE, "range", "the number is out of its range")                      \
    X(SIZE, "size", "it is too short or too long")                           \
    X(COUNT, "count", "there are too few or too many")                       \
    X(NAME, "name", "it is none of the names")                               \
    X(BASE64, "base64", "this is not base64 (RFC 4648 section 4)")           \
    X(DEPTH, "depth", "it is nested too deep")                               \
    X(UTF8, "utf8", "this is not UTF-8")                                     \
    X(MEMORY, "memory", "the server has no memory for it")                   \
    X(OPCODE, "opcode", "binary messages are not taken here")                \
    X(ID, "id", "the id is neither a string of up to 64 bytes nor a number") \
    X(NOT_ASKED, "not_asked", "nobody waits for this answer")                \
    X(FAILED, "failed", "the server could not do it")                        \
    X(TIMEOUT, "timeout", "no answer came in time")                          \
    X(REFUSED, "refused", "it is not allowed")

#define GYR_REASON_ENUM(name, code, text) GYR_REASON_##name,
enum gyr_reason {
    GYR_REASON_NONE,
    GYR_REASONS(GYR_REASON_ENUM)
};
#undef GYR_REASON_ENUM

#define GYR_FAULT_PATH_SIZE 128

/* What is wrong with a message, and where. */
struct gyr_fault {
    enum gyr_reason reason;
    char path[GYR_FAULT_PATH_SIZE]; /* "items[3].title", "" for all of it; cut with "..." */
};

/* "missing_member"-like, for machines, and a text for people; live for ever. */
GYR_API const char *gyr_reason_code(enum gyr_reason reason);
GYR_API const char *gyr_reason_text(enum gyr_reason reason);

/* ---- outside of handlers --------------------------------------------------------------------- */

/* Decodes JSON on any one thread at a time. */
struct gyr_decoder;

/* It takes up to `size_max` bytes of memory for what it decodes: the text, and what that becomes
 * beyond the structure itself. GYR_ERR_MEMORY. */
GYR_API GYR_MUST_CHECK int gyr_decoder_create(size_t size_max, struct gyr_decoder **decoder);
GYR_API void gyr_decoder_destroy(struct gyr_decoder *decoder);

/* Decode an object into a structure of this schema.
 *
 *   text     any bytes; copied
 *   lenient  members that the schema does not know are skipped, and a number or a bool may stand
 *            in quotes
 *   value    out; strings and items in it live until the decoder is used again
 *   fault    out, if it fails
 *
 * The tag is not asked for; a member of its name (`type`) is skipped if the schema has none.
 * GYR_ERR_MESSAGE with `fault`; GYR_ERR_MEMORY, with it too. */
GYR_API GYR_MUST_CHECK int gyr_decode(struct gyr_decoder *decoder, const struct gyr_schema *schema,
                                      struct gyr_span text, bool lenient, void *value,
                                      struct gyr_fault *fault);

/* Encode a structure as an object, without its tag.
 *
 *   text  out, up to `size` bytes; no NUL follows
 *   used  out: bytes that all of it needs
 *
 * An optional member is left out if its `presence` says so; or if it has none, and is a string,
 * bytes or an array whose pointer is NULL (and no preset), a raw text of NULL, or a variant
 * without a schema.
 *
 * Returns 0 if all of it is in `text`; GYR_ERR_LIMIT if it does not fit; GYR_ERR_ARGUMENT for what
 * the schema would refuse to read: a string that is not UTF-8, a number that JSON does not have,
 * one out of its range, a size or a count out of its own, an enum without a name, a raw text not
 * JSON, a variant that is none of its choices, more than GYR_DEPTH_MAX brackets in each other. Any
 * thread; allocates nothing. */
GYR_API GYR_MUST_CHECK int gyr_encode(const struct gyr_schema *schema, const void *value,
                                      char *text, size_t size, size_t *used);

/* Is the schema itself sound? GYR_ERR_CONFIG with a line that names the place and the mend. Start
 * asks this of every schema that a handler has. */
GYR_API GYR_MUST_CHECK int gyr_schema_check(const struct gyr_schema *schema,
                                            struct gyr_error *error);

/* ---- of the macros above --------------------------------------------------------------------- */

#define GYR_MEMBER_HEAD_(name_text, kind_, width_)                               \
    .name = (name_text),                                                         \
    .key = "\"" name_text "\":", .name_size = (uint16_t)(sizeof(name_text) - 1), \
    .kind = (uint8_t)(kind_), .width = (uint8_t)(width_)

#define GYR_SPAN_MEMBER_(type, member_, name_text, kind_, ...)                           \
    {                                                                                    \
        GYR_MEMBER_HEAD_(name_text, kind_, 0),                                           \
            .offset = (uint32_t)offsetof(struct type, member_),                          \
            .size = (uint32_t)(GYR_SAME_(struct gyr_span, ((struct type *)0)->member_) + \
                               sizeof(struct gyr_span)),                                 \
            __VA_ARGS__                                                                  \
    }

#ifdef __cplusplus
}
template <typename type> struct gyr_kind_of_;
#define GYR_KIND_(type, kind)               \
    template <> struct gyr_kind_of_<type> { \
        static constexpr int value = kind;  \
    }
GYR_KIND_(bool, GYR_KIND_BOOL);
GYR_KIND_(signed char, GYR_KIND_INT);
GYR_KIND_(short, GYR_KIND_INT);
GYR_KIND_(int, GYR_KIND_INT);
GYR_KIND_(long, GYR_KIND_INT);
GYR_KIND_(long long, GYR_KIND_INT);
GYR_KIND_(unsigned char, GYR_KIND_UINT);
GYR_KIND_(unsigned short, GYR_KIND_UINT);
GYR_KIND_(unsigned, GYR_KIND_UINT);
GYR_KIND_(unsigned long, GYR_KIND_UINT);
GYR_KIND_(unsigned long long, GYR_KIND_UINT);
GYR_KIND_(double, GYR_KIND_DOUBLE);
GYR_KIND_(gyr_span, GYR_KIND_STRING);
#undef GYR_KIND_
template <typename type> struct gyr_plain_ {
    typedef type plain;
};
template <typename type> struct gyr_plain_<type &> {
    typedef type plain;
};
template <typename type> struct gyr_plain_<const type &> {
    typedef type plain;
};
template <typename a, typename b> struct gyr_same_;
template <typename a> struct gyr_same_<a, a> {
    static constexpr size_t zero = 0;
};
#define GYR_PLAIN_(expression)      typename gyr_plain_<decltype((expression))>::plain
#define GYR_KIND_OF_(expression)    (gyr_kind_of_<GYR_PLAIN_(expression)>::value)
#define GYR_SAME_(type, expression) (gyr_same_<type, GYR_PLAIN_(expression)>::zero)
#else
#define GYR_KIND_OF_(expression)                 \
    _Generic((expression), bool                  \
             : GYR_KIND_BOOL, signed char        \
             : GYR_KIND_INT, short               \
             : GYR_KIND_INT, int                 \
             : GYR_KIND_INT, long                \
             : GYR_KIND_INT, long long           \
             : GYR_KIND_INT, unsigned char       \
             : GYR_KIND_UINT, unsigned short     \
             : GYR_KIND_UINT, unsigned           \
             : GYR_KIND_UINT, unsigned long      \
             : GYR_KIND_UINT, unsigned long long \
             : GYR_KIND_UINT, double             \
             : GYR_KIND_DOUBLE, struct gyr_span  \
             : GYR_KIND_STRING)
/* Zero; does not compile if the expression is of another type. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a type */
#define GYR_SAME_(type, expression) _Generic((expression), type : (size_t)0)
#endif

#endif
