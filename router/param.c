/* SPDX-License-Identifier: MIT */
/* Parameters of the path and of the query. */
#include "proto/http_byte.h"
#include "router/visit_parts.h"

#define PARAMS_MAX TEMPLATE_PARAMS_MAX

static struct visit_param *param_find(const struct visit *visit, const char *name);
static int digits_parse(struct gyr_span text, uint64_t *value);
static bool key_is(struct gyr_span key, const char *name);
static int query_decode(struct gyr_span raw, char *text, size_t size, size_t *used);

struct gyr_span gyr_param(const struct gyr_conn *conn, const char *name)
{
    const struct visit_param *param = param_find(visit_of(conn), name);
    return param != NULL ? param->value : (struct gyr_span){0};
}

/* Names are unique: of several the template has kept the innermost (template_join). */
static struct visit_param *param_find(const struct visit *visit, const char *name)
{
    for (size_t i = 0; i < visit->param_count; i++) {
        if (strcmp(visit->params[i].name, name) == 0) {
            return &visit->params[i];
        }
    }
    return NULL;
}

int gyr_param_int(const struct gyr_conn *conn, const char *name, int64_t *value)
{
    struct gyr_span text = gyr_param(conn, name);
    if (text.ptr == NULL) {
        return GYR_ERR_NOT_FOUND;
    }
    bool negative = text.size != 0 && text.ptr[0] == '-';
    struct gyr_span digits = {text.ptr + negative, text.size - negative};
    uint64_t magnitude;
    int err = digits_parse(digits, &magnitude);
    if (err < 0 || magnitude > (uint64_t)INT64_MAX + negative) {
        return GYR_ERR_ARGUMENT;
    }
    *value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return 0;
}

int gyr_param_uint(const struct gyr_conn *conn, const char *name, uint64_t *value)
{
    struct gyr_span text = gyr_param(conn, name);
    return text.ptr == NULL ? GYR_ERR_NOT_FOUND : digits_parse(text, value);
}

/* As {name:uint}: no sign, no zeros in front. */
static int digits_parse(struct gyr_span text, uint64_t *value)
{
    uint64_t sum = 0;
    if (text.size == 0 || (text.size > 1 && text.ptr[0] == '0')) {
        return GYR_ERR_ARGUMENT;
    }
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(sum, 10U, &sum) ||
            __builtin_add_overflow(sum, digit, &sum)) {
            return GYR_ERR_ARGUMENT;
        }
    }
    *value = sum;
    return 0;
}

int gyr_set_param(struct gyr_conn *conn, const char *name, struct gyr_span value)
{
    struct visit *visit = visit_of(conn);
    if (visit->stage != VISIT_BEFORE_GLOBAL && visit->stage != VISIT_BEFORE) {
        return GYR_ERR_STATE;
    }
    struct visit_param *param = param_find(visit, name);
    if (param == NULL && visit->param_count == PARAMS_MAX) {
        return GYR_ERR_LIMIT;
    }
    /* A parameter without bytes is there: its pointer is not NULL. */
    char *copy = gyr_conn_alloc(conn, value.size + 1);
    if (copy == NULL) {
        return GYR_ERR_MEMORY;
    }
    if (value.size != 0) {
        memcpy(copy, value.ptr, value.size);
    }
    if (param == NULL) {
        /* The first that is added takes room for all. */
        struct visit_param *grown = visit->params;
        if ((visit->flags & VISIT_F_PARAMS_MOVED) == 0) {
            grown = gyr_conn_alloc(conn, PARAMS_MAX * sizeof(*grown));
            if (grown == NULL) {
                return GYR_ERR_MEMORY;
            }
            memcpy(grown, visit->params, visit->param_count * sizeof(*grown));
            visit->params = grown;
            visit->flags |= VISIT_F_PARAMS_MOVED;
        }
        param = &grown[visit->param_count++];
    }
    *param = (struct visit_param){.name = name, .value = {copy, value.size}};
    return 0;
}

/* ---- the query ---- */

int gyr_query_param(const struct gyr_request *request, const char *name, char *text, size_t size,
                    size_t *used)
{
    struct gyr_span query = gyr_request_query(request);
    const char *at = query.ptr;
    const char *end = query.ptr + query.size;
    while (at < end) {
        const char *next = memchr(at, '&', (size_t)(end - at));
        const char *pair_end = next != NULL ? next : end;
        const char *equals = memchr(at, '=', (size_t)(pair_end - at));
        struct gyr_span key = {at, (size_t)((equals != NULL ? equals : pair_end) - at)};
        if (key_is(key, name)) {
            struct gyr_span value = {pair_end, 0};
            if (equals != NULL) {
                value = (struct gyr_span){equals + 1, (size_t)(pair_end - equals - 1)};
            }
            return query_decode(value, text, size, used);
        }
        at = pair_end + 1;
    }
    return GYR_ERR_NOT_FOUND;
}

static int hex_value(char byte)
{
    uint8_t lower = ascii_lower((uint8_t)byte);
    if (!http_byte_is(lower, HTTP_BYTE_HEX)) {
        return -1;
    }
    return lower <= '9' ? lower - '0' : lower - 'a' + 10;
}

/* The next byte as forms write it (URL Standard, section 5.1), or -1 for a malformed escape. */
static int byte_next(const char **at, const char *end)
{
    char byte = *(*at)++;
    if (byte == '+') {
        return ' ';
    }
    if (byte != '%') {
        return (unsigned char)byte;
    }
    if (end - *at < 2) {
        return -1;
    }
    int high = hex_value((*at)[0]);
    int low = hex_value((*at)[1]);
    *at += 2;
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static bool key_is(struct gyr_span key, const char *name)
{
    const char *at = key.ptr;
    const char *end = key.ptr + key.size;
    while (at < end && *name != '\0') {
        if (byte_next(&at, end) != (unsigned char)*name++) {
            return false;
        }
    }
    return at == end && *name == '\0';
}

static int query_decode(struct gyr_span raw, char *text, size_t size, size_t *used)
{
    const char *at = raw.ptr;
    const char *end = raw.ptr + raw.size;
    size_t count = 0;
    while (at < end) {
        int byte = byte_next(&at, end);
        if (byte < 0) {
            return GYR_ERR_ARGUMENT;
        }
        if (count < size) {
            text[count] = (char)byte;
        }
        count++;
    }
    if (count > size) {
        return GYR_ERR_LIMIT;
    }
    *used = count;
    return 0;
}
