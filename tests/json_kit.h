/* SPDX-License-Identifier: MIT */
/* What the tests of JSON share: messages with members of every kind, and a reader that looks at
 * what bytes behind a message may change, which is nothing. */
#ifndef TESTS_JSON_KIT_H
#define TESTS_JSON_KIT_H

#include "router/arena.h"
#include "router/json.h"

enum kit_colour {
    KIT_RED,
    KIT_GREEN = 7,
    KIT_BLUE = -3
};
static const struct gyr_enum_name kit_colours[] = {
    {"red", KIT_RED}, {"green", KIT_GREEN}, {"blue", KIT_BLUE}, {0}};

struct kit_part {
    int32_t x;
    bool has_label;
    struct gyr_span label;
};

struct kit_circle {
    uint32_t radius;
};

struct kit_square {
    double side;
    struct kit_part corner;
};

/* All kinds. */
struct kit_all {
    bool flag;
    bool has_maybe;
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    double real;
    struct gyr_span text;
    struct gyr_span bytes;
    enum kit_colour colour;
    struct kit_part part;
    const int32_t *numbers;
    size_t number_count;
    const struct kit_part *parts;
    size_t part_count;
    const struct gyr_span *words;
    size_t word_count;
    struct gyr_span raw;
    struct gyr_variant shape;
    int32_t preset;
    int32_t maybe;
    struct gyr_span note;
};

GYR_PART(kit_part, GYR_MEMBER(kit_part, x, GYR_RANGE(-1000, 1000)),
         GYR_MEMBER(kit_part, label, GYR_HAS(kit_part, has_label)));
GYR_MESSAGE(kit_circle, "circle", GYR_MEMBER(kit_circle, radius));
GYR_MESSAGE(kit_square, "square", GYR_MEMBER(kit_square, side, GYR_REAL_RANGE(0, 1e6)),
            GYR_STRUCT(kit_square, corner, kit_part, GYR_OPTIONAL));
GYR_MESSAGE(kit_all, "all", GYR_MEMBER(kit_all, flag), GYR_MEMBER(kit_all, i8),
            GYR_MEMBER(kit_all, i16), GYR_MEMBER(kit_all, i32), GYR_MEMBER(kit_all, i64),
            GYR_MEMBER(kit_all, u8), GYR_MEMBER(kit_all, u16), GYR_MEMBER(kit_all, u32),
            GYR_MEMBER(kit_all, u64), GYR_MEMBER(kit_all, real),
            GYR_MEMBER(kit_all, text, GYR_SIZE(0, 1000)), GYR_BYTES(kit_all, bytes),
            GYR_ENUM(kit_all, colour, kit_colours), GYR_STRUCT(kit_all, part, kit_part),
            GYR_ARRAY(kit_all, numbers, number_count, GYR_COUNT(0, 100)),
            GYR_ARRAY_OF(kit_all, parts, part_count, kit_part),
            GYR_ARRAY(kit_all, words, word_count), GYR_RAW(kit_all, raw),
            GYR_VARIANT(kit_all, shape, GYR_CHOICES({&kit_circle_schema}, {&kit_square_schema})),
            GYR_MEMBER(kit_all, preset, GYR_DEFAULT(int32_t, 20)),
            GYR_MEMBER(kit_all, maybe, GYR_HAS(kit_all, has_maybe)),
            GYR_MEMBER(kit_all, note, GYR_OPTIONAL));

/* A message of kit_all with each member, and one with what has to be there. */
extern const char kit_all_text[];
extern const char kit_least_text[];

extern const struct json_form kit_flat;
extern const struct json_form kit_envelope;

/* A reader and its memory, and what it has read last. */
struct kit_reader {
    struct json_reader *reader;
    struct arena arena;
    struct json_message message;
    struct gyr_fault fault;
    uint8_t *copy;
};

void kit_reader_init(struct kit_reader *kit);
void kit_reader_deinit(struct kit_reader *kit);

/* json_read of a copy, flush against a page that cannot be read behind its padding. The padding is
 * filled with several bytes in turn, none of which may make a difference. */
int kit_read(struct kit_reader *kit, struct span text, const struct json_read *how, void *value);
/* The same of a text, with a plain object. */
int kit_read_plain(struct kit_reader *kit, const char *text, const struct gyr_schema *schema,
                   void *value);

static inline struct span kit_span(const char *text)
{
    return span_of(text, strlen(text));
}

#endif
