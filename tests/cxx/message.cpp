/* SPDX-License-Identifier: MIT */
/* gyr_message.h as a service sees it: `make check-cxx` compiles this as C and as C++, with gcc and
 * clang, without a warning, and runs it. A message of every kind goes out and comes back. */
#include <gyr/gyr_message.h>

#include <stdio.h>
#include <string.h>

enum colour {
    RED,
    GREEN
};

static const struct gyr_enum_name colours[] = {{"red", RED}, {"green", GREEN}, {0}};

struct point {
    int32_t x;
    int16_t y;
};
GYR_PART(point, GYR_MEMBER(point, x, GYR_RANGE(-100, 100)), GYR_MEMBER(point, y, GYR_OPTIONAL));

struct circle {
    double radius;
};
GYR_MESSAGE(circle, "circle", GYR_MEMBER(circle, radius, GYR_REAL_RANGE(0, 1e3)));

struct line {
    struct point end;
};
GYR_MESSAGE(line, "line", GYR_STRUCT(line, end, point));

struct nothing {
    char unused;
};
GYR_MESSAGE(nothing, "nothing");

struct all {
    bool flag;
    bool has_note;
    uint8_t byte;
    unsigned long long large;
    double real;
    struct gyr_span text;
    struct gyr_span bytes;
    struct gyr_span raw;
    struct gyr_span note;
    enum colour colour;
    struct point start;
    const int64_t *numbers;
    size_t number_count;
    const struct point *points;
    size_t point_count;
    struct gyr_variant shape;
    int32_t preset;
};

#ifdef __cplusplus
static const int32_t twenty = 20;
#define PRESET .optional = true, .preset = &twenty
#else
#define PRESET GYR_DEFAULT(int32_t, 20)
#endif

GYR_MESSAGE(all, "all", GYR_MEMBER(all, flag), GYR_MEMBER(all, byte), GYR_MEMBER(all, large),
            GYR_MEMBER(all, real), GYR_MEMBER_AS(all, text, "the text", GYR_SIZE(1, 10)),
            GYR_BYTES(all, bytes), GYR_RAW(all, raw), GYR_MEMBER(all, note, GYR_HAS(all, has_note)),
            GYR_ENUM(all, colour, colours), GYR_STRUCT(all, start, point),
            GYR_ARRAY(all, numbers, number_count, GYR_COUNT(1, 5)),
            GYR_ARRAY_OF(all, points, point_count, point),
            GYR_VARIANT(all, shape, GYR_CHOICES({&circle_schema}, {&line_schema})),
            GYR_MEMBER(all, preset, PRESET));

static int check(void)
{
    static const char text[] =
        "{\"flag\":true,\"byte\":255,\"large\":18446744073709551615,\"real\":0.5,\"the text\":"
        "\"hi\",\"bytes\":\"AAEC\",\"raw\":[1,{}],\"note\":\"n\",\"colour\":\"green\",\"start\":"
        "{\"x\":1,\"y\":2},\"numbers\":[1,2,3],\"points\":[{\"x\":3,\"y\":0},{\"x\":4,\"y\":0}],"
        "\"shape\":{\"type\":\"circle\",\"radius\":2},\"preset\":20}";
    struct gyr_decoder *decoder;
    struct gyr_error error;
    struct gyr_fault fault;
    struct all all;
    char back[512];
    size_t size;
    struct gyr_span span = {text, sizeof(text) - 1};
    if (gyr_schema_check(&all_schema, &error) != 0 ||
        gyr_schema_check(&nothing_schema, &error) != 0) {
        printf("%s\n", error.text);
        return 1;
    }
    if (gyr_decoder_create(65536, &decoder) != 0) {
        return 1;
    }
    int err = gyr_decode(decoder, &all_schema, span, false, &all, &fault);
    if (err != 0) {
        printf("%s: %s\n", fault.path, gyr_reason_text(fault.reason));
    } else {
        err = gyr_encode(&all_schema, &all, back, sizeof(back), &size);
    }
    if (err == 0 && (size != span.size || memcmp(back, text, size) != 0)) {
        printf("written: %.*s\n", (int)size, back);
        err = 1;
    }
    gyr_decoder_destroy(decoder);
    return err;
}

int main(void)
{
    return check() == 0 ? 0 : 1;
}
