/* SPDX-License-Identifier: MIT */
/* Is a schema sound? Asked once, at the start: reading and writing believe what it says. Each
 * structure is looked at where it stands, with all that is in it; those in each other are a stack,
 * so that one within itself is found. Presets are tried last, by writing them. */
#include "base/simdjson_shim.h"
#include "engine/engine.h"
#include "router/json.h"

#define NAME_SIZE_MAX   255
#define ALIGN_MAX       16                  /* of arena_alloc */
#define DEPTH_MAX       (GYR_DEPTH_MAX - 1) /* an envelope is round it */
#define LOOKS_MAX       65536
#define TAG_NAME        "type"
#define INTEGER_ADVICE  "use GYR_MEMBER, which knows its type"
#define MEND_CHARACTERS "leave out quotes, backslashes and control characters, and use UTF-8"

/* A structure that is being looked at, for a member of the one before. */
struct place {
    const struct gyr_schema *schema;
    const struct gyr_member *member; /* the next one */
    const struct gyr_choice *choice; /* the next one of the last member; NULL: none */
    unsigned depth;                  /* brackets that are open inside it */
};

struct check {
    struct gyr_error *error;
    struct place places[DEPTH_MAX];
    unsigned count;
    unsigned looks;
};

/* "file:line: structure.member" for ERROR_SET. */
#define AT_FORMAT               "%s: %s.%s: "
#define AT_OF(schema, member)   (schema)->at, (schema)->name, (member)->name
#define FAULT(check, s, m, ...) FAULT_(check, s, m, __VA_ARGS__, "")
#define FAULT_(check, s, m, format, ...) \
    (error_write((check)->error, AT_FORMAT format "%s", AT_OF(s, m), __VA_ARGS__), GYR_ERR_CONFIG)

static int places_check(struct check *check);
static int place_enter(struct check *check, const struct gyr_schema *schema, unsigned depth);
static int schema_check(struct check *check, const struct gyr_schema *schema);
static int schema_names_check(struct check *check, const struct gyr_schema *schema);
static bool text_is_plain(const char *text, size_t size);
static int member_name_check(struct check *check, const struct gyr_schema *schema, size_t index);
static int member_check(struct check *check, const struct gyr_schema *schema,
                        const struct gyr_member *member);
static int kind_check(struct check *check, const struct gyr_schema *schema,
                      const struct gyr_member *member, unsigned kind, size_t size);
static size_t kind_size(const struct gyr_member *member, unsigned kind);
static int rules_check(struct check *check, const struct gyr_schema *schema,
                       const struct gyr_member *member, unsigned kind);
static int range_check(struct check *check, const struct gyr_schema *schema,
                       const struct gyr_member *member, unsigned kind);
static int enum_check(struct check *check, const struct gyr_schema *schema,
                      const struct gyr_member *member);
static int variant_check(struct check *check, const struct gyr_schema *schema,
                         const struct gyr_member *member);
static int choice_check(struct check *check, const struct gyr_schema *schema,
                        const struct gyr_member *member, const struct gyr_choice *choice);
static int preset_check(struct check *check, const struct gyr_schema *schema,
                        const struct gyr_member *member);

int gyr_schema_check(const struct gyr_schema *schema, struct gyr_error *error)
{
    struct check check = {.error = error};
    int err = place_enter(&check, schema, 0);
    return err != 0 ? err : places_check(&check);
}

static int places_check(struct check *check)
{
    while (check->count > 0) {
        struct place *place = &check->places[check->count - 1];
        const struct gyr_schema *part = NULL;
        unsigned depth = place->depth;
        if (place->choice != NULL && place->choice->schema != NULL) {
            part = place->choice++->schema;
        } else if (place->member->name == NULL) {
            check->count--;
        } else {
            const struct gyr_member *member = place->member++;
            part = member->schema;
            place->choice = member->choices;
            depth += member->kind == GYR_KIND_ARRAY;
        }
        int err = part == NULL ? 0 : place_enter(check, part, depth);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* Look at a structure, and then into it. */
static int place_enter(struct check *check, const struct gyr_schema *schema, unsigned depth)
{
    const char *at = schema->at == NULL ? "?" : schema->at;
    const char *name = schema->name == NULL ? "?" : schema->name;
    for (unsigned i = 0; i < check->count; i++) {
        if (check->places[i].schema == schema) {
            return ERROR_SET(check->error, GYR_ERR_CONFIG,
                             "%s: %s is part of itself; take it as raw JSON (GYR_RAW), and decode "
                             "that with gyr_decode",
                             at, name);
        }
    }
    if (depth >= DEPTH_MAX) {
        return ERROR_SET(check->error, GYR_ERR_CONFIG,
                         "%s: %s stands deeper than %d brackets (GYR_DEPTH_MAX, and one for an "
                         "envelope); make the structure flatter",
                         at, name, DEPTH_MAX);
    }
    if (++check->looks > LOOKS_MAX) {
        return ERROR_SET(check->error, GYR_ERR_CONFIG,
                         "%s: %s is one of more than %d structures within each other; make them "
                         "fewer",
                         at, name, LOOKS_MAX);
    }
    int err = schema_check(check, schema);
    if (err == 0) {
        check->places[check->count++] =
            (struct place){.schema = schema, .member = schema->members, .depth = depth + 1};
    }
    return err;
}

static int schema_check(struct check *check, const struct gyr_schema *schema)
{
    int err = schema_names_check(check, schema);
    size_t count = 0;
    if (err != 0) {
        return err;
    }
    for (; schema->members[count].name != NULL; count++) {
        if (count == GYR_MEMBERS_MAX) {
            return ERROR_SET(check->error, GYR_ERR_CONFIG,
                             "%s: %s has more than %d members (GYR_MEMBERS_MAX); put some into a "
                             "part of its own (GYR_STRUCT)",
                             schema->at, schema->name, GYR_MEMBERS_MAX);
        }
        err = member_name_check(check, schema, count);
        if (err != 0) {
            return err;
        }
        err = member_check(check, schema, &schema->members[count]);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int schema_names_check(struct check *check, const struct gyr_schema *schema)
{
    if (schema->name == NULL || schema->at == NULL || schema->members == NULL) {
        return ERROR_SET(check->error, GYR_ERR_CONFIG,
                         "%s: the schema %s lacks its %s; declare it with GYR_MESSAGE or GYR_PART",
                         schema->at == NULL ? "?" : schema->at,
                         schema->name == NULL ? "?" : schema->name,
                         schema->name == NULL ? "name"
                         : schema->at == NULL ? "place"
                                              : "members");
    }
    unsigned align = schema->struct_align;
    if (align == 0 || align > ALIGN_MAX || (align & (align - 1)) != 0) {
        return ERROR_SET(check->error, GYR_ERR_CONFIG,
                         "%s: %s is aligned to %u bytes; at most %d can be had", schema->at,
                         schema->name, align, ALIGN_MAX);
    }
    if (schema->tag == NULL) {
        return 0;
    }
    size_t size = strlen(schema->tag);
    if (size == 0 || size > NAME_SIZE_MAX || !text_is_plain(schema->tag, size)) {
        return ERROR_SET(check->error, GYR_ERR_CONFIG,
                         "%s: %s has the tag '%s', of %zu bytes; give it one of 1 to %d, and "
                         "leave out quotes, backslashes and control characters",
                         schema->at, schema->name, schema->tag, size, NAME_SIZE_MAX);
    }
    const char *quoted = schema->quoted == NULL ? "" : schema->quoted;
    if (strlen(quoted) != size + 2 || quoted[0] != '"' || quoted[size + 1] != '"' ||
        memcmp(quoted + 1, schema->tag, size) != 0) {
        return ERROR_SET(check->error, GYR_ERR_CONFIG,
                         "%s: %s has the tag '%s', but %s in quotes; declare it with GYR_MESSAGE",
                         schema->at, schema->name, schema->tag, quoted);
    }
    return 0;
}

/* May it stand in quotes as it is? */
static bool text_is_plain(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == '"' || text[i] == '\\') {
            return false;
        }
    }
    return simdjson_shim_utf8_is_valid((const uint8_t *)text, size);
}

static int member_name_check(struct check *check, const struct gyr_schema *schema, size_t index)
{
    const struct gyr_member *member = &schema->members[index];
    size_t size = strlen(member->name);
    if (size == 0 || size > NAME_SIZE_MAX) {
        return ERROR_SET(check->error, GYR_ERR_CONFIG,
                         "%s: member %zu of %s has a name of %zu bytes; give it one of 1 to %d",
                         schema->at, index + 1, schema->name, size, NAME_SIZE_MAX);
    }
    if (!text_is_plain(member->name, size)) {
        return ERROR_SET(check->error, GYR_ERR_CONFIG,
                         "%s: the name of member %zu of %s cannot be written as it is: %s; "
                         "leave out quotes, backslashes and control characters, and use UTF-8",
                         schema->at, index + 1, schema->name, member->name);
    }
    const char *key = member->key == NULL ? "" : member->key;
    if (member->name_size != size || strlen(key) != size + 3 || key[0] != '"' ||
        memcmp(key + 1, member->name, size) != 0 || memcmp(key + 1 + size, "\":", 2) != 0) {
        return FAULT(check, schema, member,
                     "name, size and key do not belong together; "
                     "declare it with GYR_MEMBER or one of its like");
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(schema->members[i].name, member->name) == 0) {
            return FAULT(check, schema, member,
                         "the name stands twice (members %zu and %zu); rename one", i + 1,
                         index + 1);
        }
    }
    return 0;
}

static int member_check(struct check *check, const struct gyr_schema *schema,
                        const struct gyr_member *member)
{
    uint64_t size = schema->struct_size;
    bool is_array = member->kind == GYR_KIND_ARRAY;
    unsigned kind = is_array ? member->item_kind : member->kind;
    if ((uint64_t)member->offset + member->size > size ||
        (is_array && (uint64_t)member->count_offset + sizeof(size_t) > size) ||
        (uint64_t)member->presence > size) {
        return FAULT(check, schema, member,
                     "it goes past the end of struct %s, which has %u bytes; name members of "
                     "this structure",
                     schema->name, schema->struct_size);
    }
    if (is_array && (kind == GYR_KIND_ARRAY || kind == GYR_KIND_VARIANT)) {
        return FAULT(check, schema, member,
                     "items cannot be arrays or variants; put each into a part of its own");
    }
    if (is_array && member->size != sizeof(void *)) {
        return FAULT(check, schema, member, "%u bytes are no pointer to items; use GYR_ARRAY",
                     member->size);
    }
    int err = kind_check(check, schema, member, kind, is_array ? member->item_size : member->size);
    return err != 0 ? err : rules_check(check, schema, member, kind);
}

/* What the kind itself needs; `size` is that of the member, or of an item. */
static int kind_check(struct check *check, const struct gyr_schema *schema,
                      const struct gyr_member *member, unsigned kind, size_t size)
{
    if (kind < GYR_KIND_BOOL || kind > GYR_KIND_VARIANT) {
        return FAULT(check, schema, member, "there is no kind %u; use an enum gyr_kind", kind);
    }
    if (kind == GYR_KIND_STRUCT && member->schema == NULL) {
        return FAULT(check, schema, member,
                     "a structure needs a schema; use GYR_STRUCT or "
                     "GYR_ARRAY_OF");
    }
    if (kind != GYR_KIND_STRUCT && member->schema != NULL) {
        return FAULT(check, schema, member,
                     "a schema is for structures, and this is none; "
                     "use GYR_STRUCT or GYR_ARRAY_OF");
    }
    if (size != kind_size(member, kind)) {
        return FAULT(check, schema, member,
                     "%zu bytes do not fit its kind; let a macro of gyr_message.h say both", size);
    }
    if (kind == GYR_KIND_ENUM) {
        return enum_check(check, schema, member);
    }
    if (kind == GYR_KIND_VARIANT) {
        return variant_check(check, schema, member);
    }
    if (member->names != NULL || member->choices != NULL) {
        return FAULT(check, schema, member, "%s, and this is none; use %s",
                     member->names != NULL ? "names are for enums" : "choices are for variants",
                     member->names != NULL ? "GYR_ENUM" : "GYR_VARIANT");
    }
    return 0;
}

/* Bytes in a structure; 0 if that cannot be. */
static size_t kind_size(const struct gyr_member *member, unsigned kind)
{
    size_t width = member->width;
    switch (kind) {
    case GYR_KIND_BOOL:
        return sizeof(bool);
    case GYR_KIND_DOUBLE:
        return sizeof(double);
    case GYR_KIND_STRUCT:
        return member->schema->struct_size;
    case GYR_KIND_VARIANT:
        return sizeof(struct gyr_variant);
    case GYR_KIND_INT:
    case GYR_KIND_UINT:
    case GYR_KIND_ENUM:
        return width == 1 || width == 2 || width == 4 || width == 8 ? width : 0;
    default:
        return sizeof(struct gyr_span);
    }
}

/* The options: those of other kinds would be ignored, and so are mistakes. */
static int rules_check(struct check *check, const struct gyr_schema *schema,
                       const struct gyr_member *member, unsigned kind)
{
    bool is_array = member->kind == GYR_KIND_ARRAY;
    bool has_size = kind == GYR_KIND_STRING || kind == GYR_KIND_BYTES || kind == GYR_KIND_RAW;
    uint32_t count_max = member->count_max == 0 ? GYR_COUNT_MAX_DEFAULT : member->count_max;
    if ((member->size_min != 0 || member->size_max != 0) && !has_size) {
        return FAULT(check, schema, member,
                     "GYR_SIZE is for strings, bytes and raw values; take it away");
    }
    if (member->size_max != 0 && member->size_min > member->size_max) {
        return FAULT(check, schema, member, "GYR_SIZE(%u, %u) holds nothing; swap them",
                     member->size_min, member->size_max);
    }
    if ((member->count_min != 0 || member->count_max != 0) && !is_array) {
        return FAULT(check, schema, member, "GYR_COUNT is for arrays; take it away");
    }
    if (member->count_min > count_max) {
        return FAULT(check, schema, member,
                     "GYR_COUNT(%u, %u) holds nothing; swap them, or give "
                     "a maximum",
                     member->count_min, count_max);
    }
    if (member->tag_name != NULL && kind != GYR_KIND_VARIANT) {
        return FAULT(check, schema, member, "tag_name is for variants; take it away");
    }
    if (!member->optional && (member->preset != NULL || member->presence != 0)) {
        return FAULT(check, schema, member, "%s without being optional; add .optional = true",
                     member->preset != NULL ? "it has a default" : "it says whether it is there");
    }
    int err = range_check(check, schema, member, kind);
    if (err != 0 || member->preset == NULL) {
        return err;
    }
    if (is_array) {
        return FAULT(check, schema, member, "an array has no default; leave it optional");
    }
    return kind == GYR_KIND_STRUCT || kind == GYR_KIND_VARIANT
               ? 0
               : preset_check(check, schema, member);
}

static int range_check(struct check *check, const struct gyr_schema *schema,
                       const struct gyr_member *member, unsigned kind)
{
    bool is_int = kind == GYR_KIND_INT;
    if (member->ranged && !is_int && kind != GYR_KIND_UINT) {
        return FAULT(check, schema, member, "GYR_RANGE is for integers; use %s",
                     kind == GYR_KIND_DOUBLE ? "GYR_REAL_RANGE" : "none");
    }
    if (member->real_ranged && kind != GYR_KIND_DOUBLE) {
        return FAULT(check, schema, member, "GYR_REAL_RANGE is for doubles; use %s",
                     is_int || kind == GYR_KIND_UINT ? "GYR_RANGE" : "none");
    }
    if (member->real_ranged && !(member->real_min <= member->real_max)) {
        return FAULT(check, schema, member, "GYR_REAL_RANGE(%g, %g) holds nothing; swap them",
                     member->real_min, member->real_max);
    }
    if (!member->ranged) {
        return 0;
    }
    unsigned spare = 64 - (unsigned)member->width * 8;
    int64_t lowest = is_int ? INT64_MIN >> spare : 0;
    uint64_t highest = is_int ? (uint64_t)(INT64_MAX >> spare) : UINT64_MAX >> spare;
    if (is_int && (member->min > (int64_t)member->max)) {
        return FAULT(check, schema, member, "GYR_RANGE(%lld, %lld) holds nothing; swap them",
                     (long long)member->min, (long long)member->max);
    }
    if (!is_int && member->min >= 0 && (uint64_t)member->min > member->max) {
        return FAULT(check, schema, member, "GYR_RANGE(%lld, %llu) holds nothing; swap them",
                     (long long)member->min, (unsigned long long)member->max);
    }
    if (member->min < lowest ||
        (is_int ? (int64_t)member->max > (int64_t)highest : member->max > highest)) {
        return FAULT(check, schema, member,
                     "GYR_RANGE goes beyond %lld to %llu, which is all that "
                     "%u bytes hold; make it narrower",
                     (long long)lowest, (unsigned long long)highest, member->width);
    }
    return 0;
}

static int enum_check(struct check *check, const struct gyr_schema *schema,
                      const struct gyr_member *member)
{
    if (member->names == NULL || member->names->name == NULL) {
        return FAULT(check, schema, member,
                     "an enum needs at least one name; give GYR_ENUM a "
                     "table of struct gyr_enum_name");
    }
    unsigned spare = 64 - (unsigned)member->width * 8;
    for (const struct gyr_enum_name *row = member->names; row->name != NULL; row++) {
        if (row - member->names == LOOKS_MAX) {
            return FAULT(check, schema, member, "more than %d names; end the table with {0}",
                         LOOKS_MAX);
        }
        if (!text_is_plain(row->name, strlen(row->name))) {
            return FAULT(check, schema, member,
                         "the name '%s' cannot be written as it is; leave "
                         "out quotes, backslashes and control characters, "
                         "and use UTF-8",
                         row->name);
        }
        if (row->value < INT64_MIN >> spare ||
            (row->value >= 0 && (uint64_t)row->value > UINT64_MAX >> spare)) {
            return FAULT(check, schema, member, "'%s' is %lld, which %u bytes do not hold",
                         row->name, (long long)row->value, member->width);
        }
        for (const struct gyr_enum_name *other = member->names; other < row; other++) {
            if (strcmp(other->name, row->name) == 0) {
                return FAULT(check, schema, member, "the name '%s' stands twice; rename one",
                             row->name);
            }
        }
    }
    return 0;
}

static int variant_check(struct check *check, const struct gyr_schema *schema,
                         const struct gyr_member *member)
{
    const char *tag_name = member->tag_name == NULL ? TAG_NAME : member->tag_name;
    if (member->choices == NULL || member->choices->schema == NULL) {
        return FAULT(check, schema, member,
                     "a variant needs at least one choice; give "
                     "GYR_VARIANT a list by GYR_CHOICES");
    }
    if (*tag_name == '\0' || !text_is_plain(tag_name, strlen(tag_name))) {
        return FAULT(check, schema, member,
                     "the tag_name '%s' cannot be written as it is; leave "
                     "out quotes, backslashes and control characters, and "
                     "use UTF-8",
                     tag_name);
    }
    for (const struct gyr_choice *choice = member->choices; choice->schema != NULL; choice++) {
        int err = choice_check(check, schema, member, choice);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int choice_check(struct check *check, const struct gyr_schema *schema,
                        const struct gyr_member *member, const struct gyr_choice *choice)
{
    const struct gyr_schema *part = choice->schema;
    const char *tag_name = member->tag_name == NULL ? TAG_NAME : member->tag_name;
    const char *name = part->name == NULL ? "?" : part->name;
    if (part->tag == NULL) {
        return FAULT(check, schema, member,
                     "the choice %s has no tag to tell it by; declare it with GYR_MESSAGE", name);
    }
    for (const struct gyr_choice *other = member->choices; other < choice; other++) {
        if (strcmp(other->schema->tag, part->tag) == 0) {
            return FAULT(check, schema, member,
                         "the choices %s and %s have the same tag '%s'; give one another",
                         other->schema->name, name, part->tag);
        }
    }
    const struct gyr_member *row = part->members;
    while (row != NULL && row->name != NULL && strcmp(row->name, tag_name) != 0) {
        row++;
    }
    if (row != NULL && row->name != NULL) {
        return FAULT(check, schema, member,
                     "the choice %s has a member '%s', which here is the tag; rename it, or set "
                     "tag_name",
                     name, tag_name);
    }
    return 0;
}

/* Does the preset keep the member's own rules? As the one member of a message it can be written. */
static int preset_check(struct check *check, const struct gyr_schema *schema,
                        const struct gyr_member *member)
{
    struct gyr_member alone[2] = {*member};
    struct gyr_schema part = *schema;
    struct json_write how = {.form = NULL};
    size_t size;
    alone[0].offset = 0;
    alone[0].optional = false;
    part.members = alone;
    if (json_write(&how, &part, member->preset, NULL, 0, &size) == GYR_ERR_ARGUMENT) {
        return FAULT(check, schema, member,
                     "its default is not what it may be itself; change it, or the range, size or "
                     "names");
    }
    return 0;
}
