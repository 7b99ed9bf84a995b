/* SPDX-License-Identifier: MIT */
/* Lines for on_log. A value is written to a buffer of its own first, so that it is known whether
 * it fits and needs quotes before a byte of it stands in the line; the end that every line has is
 * kept free from the beginning. So a line is whole whenever it is asked for. */
#include "engine/log.h"

#include "proto/http_response.h"

#define END_TEXT   " cut=1"
#define END_JSON   ",\"cut\":1}"
#define FIELDS_MAX (LOG_LINE_SIZE - MAX(sizeof(END_TEXT), sizeof(END_JSON)))

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS     UINT64_C(1000000)
#define NUMBER_SIZE   20 /* of UINT64_MAX in digits, or INT64_MIN with its sign */

/* A value as it will stand in the line, without quotes. */
struct log_value {
    size_t size;
    bool quoted;
    bool cut;
    char text[LOG_VALUE_SIZE_MAX];
};

static void time_format(uint64_t wall_ns, char text[24]);
static void field_put(struct log_line *line, const char *name, const struct log_value *value);
static void line_put(struct log_line *line, const void *bytes, size_t size);
static void line_put_text(struct log_line *line, const char *text);
static void value_escape_text(struct log_value *value, struct span bytes);
static void value_escape_json(struct log_value *value, struct span bytes);
static size_t character_take(struct span bytes, uint32_t *character);
static size_t character_escape(uint32_t character, char text[12]);
static bool value_put(struct log_value *value, const char *text, size_t size);
static void digits_put(struct log_value *value, uint64_t number);
static void hex_put(char *text, uint32_t value, unsigned digits);

void log_begin(struct log_line *line, enum gyr_log_format format, enum gyr_log_level level,
               const char *event, uint64_t wall_ns)
{
    static const char *const levels[] = {
        [GYR_LOG_ERROR] = "error",
        [GYR_LOG_WARNING] = "warning",
        [GYR_LOG_INFO] = "info",
        [GYR_LOG_DEBUG] = "debug",
    };
    ASSERT(level != GYR_LOG_OFF);
    ASSERT(level < COUNT_OF(levels));
    line->size = 0;
    line->format = (uint8_t)format;
    line->level = (uint8_t)level;
    line->cut = false;
    line->full = false;
    bool json = format == GYR_LOG_JSON;
    char time[24];
    time_format(wall_ns, time);
    line_put_text(line, json ? "{\"time\":\"" : "");
    line_put(line, time, sizeof(time));
    line_put_text(line, json ? "\",\"level\":\"" : " ");
    line_put_text(line, levels[level]);
    line_put_text(line, json ? "\",\"event\":\"" : " ");
    line_put_text(line, event);
    line_put_text(line, json ? "\"" : "");
}

void log_text(struct log_line *line, const char *name, const char *value)
{
    log_span(line, name, span_of(value, strlen(value)));
}

void log_span(struct log_line *line, const char *name, struct span value)
{
    struct log_value escaped;
    escaped.size = 0;
    escaped.cut = false;
    if (line->format == GYR_LOG_JSON) {
        escaped.quoted = true;
        value_escape_json(&escaped, value);
    } else {
        escaped.quoted = value.size == 0;
        value_escape_text(&escaped, value);
    }
    field_put(line, name, &escaped);
}

void log_number(struct log_line *line, const char *name, uint64_t value)
{
    struct log_value number;
    number.size = 0;
    number.cut = false;
    number.quoted = false;
    digits_put(&number, value);
    field_put(line, name, &number);
}

void log_signed(struct log_line *line, const char *name, int64_t value)
{
    struct log_value number;
    number.size = 0;
    number.cut = false;
    number.quoted = false;
    if (value < 0) {
        number.text[number.size++] = '-';
    }
    digits_put(&number, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    field_put(line, name, &number);
}

void log_address(struct log_line *line, const char *name, const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    address_format(address, text);
    log_text(line, name, text);
}

struct gyr_span log_end(struct log_line *line)
{
    if (line->format == GYR_LOG_JSON) {
        line_put_text(line, line->cut ? END_JSON : "}");
    } else if (line->cut) {
        line_put_text(line, END_TEXT);
    }
    return (struct gyr_span){line->text, line->size};
}

bool log_gate_pass(struct log_gate *gate, uint64_t now_ns, uint32_t rate_max, uint64_t *dropped)
{
    /* The line that tells of others costs one itself, unless there is only one a second. */
    uint64_t lines = gate->dropped > 0 ? MIN(rate_max, 2U) : 1;
    if (rate_take(&gate->rate, now_ns, lines, rate_max, rate_max) > 0) {
        gate->dropped++;
        return false;
    }
    *dropped = gate->dropped;
    gate->dropped = 0;
    return true;
}

struct gyr_span log_dropped(struct log_line *line, enum gyr_log_format format, uint64_t count,
                            uint64_t wall_ns)
{
    log_begin(line, format, GYR_LOG_WARNING, "log.dropped", wall_ns);
    log_number(line, "count", count);
    return log_end(line);
}

/* "2026-11-23T10:00:00.123Z" (RFC 3339), of the parts of "Mon, 23 Nov 2026 10:00:00 GMT". The C
 * library's calendar takes a lock and may read files. */
static void time_format(uint64_t wall_ns, char text[24])
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint8_t date[HTTP_DATE_SIZE];
    http_date_format(wall_ns / NS_PER_SECOND, date);
    unsigned month = 0;
    while (month < 11 && memcmp(months + (size_t)month * 3, date + 8, 3) != 0) {
        month++;
    }
    month++;
    uint32_t ms = (uint32_t)(wall_ns % NS_PER_SECOND / NS_PER_MS);
    memcpy(text, "0000-00-00T00:00:00.000Z", 24);
    memcpy(text, date + 12, 4);
    text[5] = (char)('0' + month / 10);
    text[6] = (char)('0' + month % 10);
    memcpy(text + 8, date + 5, 2);
    memcpy(text + 11, date + 17, 8);
    text[20] = (char)('0' + ms / 100);
    text[21] = (char)('0' + ms / 10 % 10);
    text[22] = (char)('0' + ms % 10);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* A blank or comma, the name and the value, all or nothing. */
static void field_put(struct log_line *line, const char *name, const struct log_value *value)
{
    bool json = line->format == GYR_LOG_JSON;
    size_t room = FIELDS_MAX - line->size;
    size_t size = strlen(name) + value->size + (value->quoted ? 2 : 0) + (json ? 4 : 2);
    if (line->full || size > room) {
        line->full = true;
        line->cut = true;
        return;
    }
    line->cut |= value->cut;
    line_put_text(line, json ? ",\"" : " ");
    line_put_text(line, name);
    line_put_text(line, json ? "\":" : "=");
    line_put_text(line, value->quoted ? "\"" : "");
    line_put(line, value->text, value->size);
    line_put_text(line, value->quoted ? "\"" : "");
}

static void line_put(struct log_line *line, const void *bytes, size_t size)
{
    ASSERT(size <= sizeof(line->text) - line->size);
    memcpy(line->text + line->size, bytes, size);
    line->size = (uint16_t)(line->size + size);
}

static void line_put_text(struct log_line *line, const char *text)
{
    line_put(line, text, strlen(text));
}

/* ---- values ---------------------------------------------------------------------------------- */

static void value_escape_text(struct log_value *value, struct span bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.ptr[i];
        char text[4] = {(char)byte};
        size_t size = 1;
        if (byte < ' ' || byte > '~' || byte == '"' || byte == '\\') {
            memcpy(text, "\\x", 2);
            hex_put(text + 2, byte, 2);
            size = 4;
        }
        value->quoted |= size > 1 || byte == ' ' || byte == '=';
        if (!value_put(value, text, size)) {
            return;
        }
    }
}

static void value_escape_json(struct log_value *value, struct span bytes)
{
    while (bytes.size > 0) {
        uint32_t character;
        char text[12];
        size_t taken = character_take(bytes, &character);
        bytes = span_of(bytes.ptr + taken, bytes.size - taken);
        if (!value_put(value, text, character_escape(character, text))) {
            return;
        }
    }
}

/* The next character of UTF-8 (RFC 3629 section 4) and its size; U+FFFD and 1 for a byte that is
 * not part of one. */
static size_t character_take(struct span bytes, uint32_t *character)
{
    /* The least character that takes so many bytes: shorter ones are overlong. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t lead = bytes.ptr[0];
    size_t size = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t value = lead < 0x80 ? lead : lead & (0x7fU >> size);
    bool valid = size > 0 && lead < 0xf8 && size <= bytes.size;
    for (size_t i = 1; valid && i < size; i++) {
        valid = (bytes.ptr[i] & 0xc0) == 0x80;
        value = value << 6 | (bytes.ptr[i] & 0x3fU);
    }
    bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (!valid || surrogate || value < least[size] || value > 0x10ffff) {
        *character = 0xfffd;
        return 1;
    }
    *character = value;
    return size;
}

/* As in a string of JSON (RFC 8259 section 7); returns the size. */
static size_t character_escape(uint32_t character, char text[12])
{
    if (character >= ' ' && character <= '~') {
        bool escape = character == '"' || character == '\\';
        text[0] = '\\';
        text[escape] = (char)character;
        return escape ? 2 : 1;
    }
    memcpy(text, "\\u", 2);
    if (character < 0x10000) {
        hex_put(text + 2, character, 4);
        return 6;
    }
    hex_put(text + 2, 0xd800 + ((character - 0x10000) >> 10), 4);
    memcpy(text + 6, "\\u", 2);
    hex_put(text + 8, 0xdc00 + (character & 0x3ff), 4);
    return 12;
}

/* False: the value is as long as it may be. */
static bool value_put(struct log_value *value, const char *text, size_t size)
{
    if (size > sizeof(value->text) - value->size) {
        value->cut = true;
        return false;
    }
    memcpy(value->text + value->size, text, size);
    value->size += size;
    return true;
}

static void digits_put(struct log_value *value, uint64_t number)
{
    char digits[NUMBER_SIZE];
    size_t size = 0;
    do {
        digits[sizeof(digits) - ++size] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    (void)value_put(value, digits + sizeof(digits) - size, size);
}

static void hex_put(char *text, uint32_t value, unsigned digits)
{
    for (unsigned i = 0; i < digits; i++) {
        text[i] = "0123456789ABCDEF"[value >> (digits - 1 - i) * 4 & 15];
    }
}
