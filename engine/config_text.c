/* SPDX-License-Identifier: MIT */
/* The configuration as text: setting by name, and printing what can be set again. */
#include "engine/config.h"
#include "engine/error.h"

#include <stdio.h>

static int value_parse(const struct config_field *field, const char *text, uint64_t *value,
                       struct gyr_error *error);
static int choice_parse(const struct config_field *field, const char *text, uint64_t *value,
                        struct gyr_error *error);

int gyr_config_set(struct gyr_config *config, const char *name, const char *value,
                   struct gyr_error *error)
{
    const struct config_field *field = config_field_find(name, config->size);
    if (field != NULL) {
        return config_field_set(field, config, value, error);
    }
    return config_unknown(name, value, error);
}

int config_unknown(const char *name, const char *value, struct gyr_error *error)
{
    const char *closest = config_field_closest(name);
    return ERROR_SET(error, GYR_ERR_CONFIG, "%.64s = %.64s: there is no setting of this name%s%s%s",
                     name, value, closest != NULL ? "; did you mean " : "",
                     closest != NULL ? closest : "", closest != NULL ? "?" : "");
}

int config_field_set(const struct config_field *field, struct gyr_config *config, const char *text,
                     struct gyr_error *error)
{
    if (config_field_is_text(field)) {
        struct gyr_config changed;
        memset(&changed, 0, sizeof(changed));
        size_t size = strlen(text) + 1;
        memcpy((char *)&changed + field->offset, text, MIN(size, (size_t)field->width));
        int err = config_field_check(field, &changed, error);
        if (err == 0) {
            memcpy((char *)config + field->offset, text, size);
        }
        return err;
    }
    uint64_t number = 0;
    int err = value_parse(field, text, &number, error);
    if (err == 0) {
        err = config_number_check(field, number, error);
    }
    if (err == 0) {
        config_field_store(field, config, number);
    }
    return err;
}

size_t gyr_config_print(const struct gyr_config *config, char *text, size_t size)
{
    size_t used = 0;
    const struct config_field *field;
    if (size > 0) {
        text[0] = '\0';
    }
    for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) {
        if (config_field_is_within(field, config->size)) {
            size_t room = used < size ? size - used : 0;
            used += config_field_format(field, config, "raising it: ", field->cost,
                                        room > 0 ? text + used : NULL, room);
        }
    }
    return used;
}

static int value_parse(const struct config_field *field, const char *text, uint64_t *value,
                       struct gyr_error *error)
{
    if (field->kind == CONFIG_CHOICE) {
        return choice_parse(field, text, value, error);
    }
    if (field->kind == CONFIG_CPU && strcmp(text, "auto") == 0) {
        *value = GYR_CPU_BY_CORES;
        return 0;
    }
    static const char suffixes[] = "kmg";
    const char *at = text;
    uint64_t number = 0;
    bool overflow = false;
    for (; *at >= '0' && *at <= '9'; at++) {
        overflow |= __builtin_mul_overflow(number, 10U, &number);
        overflow |= __builtin_add_overflow(number, (unsigned)(*at - '0'), &number);
    }
    const char *suffix = at > text && *at != '\0' ? strchr(suffixes, *at | 0x20) : NULL;
    if (suffix != NULL) {
        overflow |=
            __builtin_mul_overflow(number, UINT64_C(1024) << ((suffix - suffixes) * 10), &number);
        at++;
    }
    if (at == text || *at != '\0') {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "%s = %.64s is not a number; write digits, with k, m or g behind them for "
                         "powers of 1024",
                         field->name, text);
    }
    if (overflow) {
        return ERROR_SET(error, GYR_ERR_CONFIG, "%s = %.64s is far too large; lower it",
                         field->name, text);
    }
    *value = number;
    return 0;
}

static int choice_parse(const struct config_field *field, const char *text, uint64_t *value,
                        struct gyr_error *error)
{
    for (uint64_t i = 0; i <= field->max; i++) {
        if (strcmp(text, field->names[i]) == 0) {
            *value = i;
            return 0;
        }
    }
    char known[96];
    (void)config_field_range(field, known, sizeof(known));
    return ERROR_SET(error, GYR_ERR_CONFIG, "%s = %.64s is not known; use %s", field->name, text,
                     known);
}

void config_number_format(const struct config_field *field, uint64_t value,
                          char text[CONFIG_NUMBER_SIZE])
{
    static const char *const suffixes[] = {"", "k", "m", "g"};
    if (field->kind == CONFIG_CHOICE && value <= field->max) {
        (void)snprintf(text, CONFIG_NUMBER_SIZE, "%s", field->names[value]);
        return;
    }
    if (field->kind == CONFIG_CPU && value == GYR_CPU_BY_CORES) {
        (void)snprintf(text, CONFIG_NUMBER_SIZE, "auto");
        return;
    }
    unsigned power = 0;
    if (strncmp(field->unit, "bytes", 5) == 0 && value != 0) {
        while (power + 1 < COUNT_OF(suffixes) && value % 1024 == 0) {
            value /= 1024;
            power++;
        }
    }
    (void)snprintf(text, CONFIG_NUMBER_SIZE, "%llu%s", (unsigned long long)value, suffixes[power]);
}

size_t config_field_range(const struct config_field *field, char *text, size_t size)
{
    if (field->kind == CONFIG_CHOICE) {
        size_t used = 0;
        for (uint64_t i = 0; i <= field->max; i++) {
            const char *separator = i == 0 ? "" : i == field->max ? " or " : ", ";
            used +=
                (size_t)snprintf(used < size ? text + used : NULL, used < size ? size - used : 0,
                                 "%s%s", separator, field->names[i]);
        }
        return used;
    }
    if (field->kind == CONFIG_CORES) {
        return (size_t)snprintf(text, size, "0-3,6; empty: all allowed");
    }
    if (field->kind == CONFIG_TEXT) {
        return (size_t)snprintf(text, size, "up to %u characters", field->width - 1U);
    }
    char min[CONFIG_NUMBER_SIZE];
    char max[CONFIG_NUMBER_SIZE];
    config_number_format(field, field->min, min);
    config_number_format(field, field->max, max);
    return (size_t)snprintf(text, size, "%s to %s", min, max);
}

size_t config_field_value(const struct config_field *field, const struct gyr_config *config,
                          char *text, size_t size)
{
    if (config_field_is_text(field)) {
        return (size_t)snprintf(text, size, "%.*s", (int)field->width,
                                (const char *)config + field->offset);
    }
    char is[CONFIG_NUMBER_SIZE];
    config_number_format(field, config_field_load(field, config), is);
    return (size_t)snprintf(text, size, "%s", is);
}

size_t config_field_format(const struct config_field *field, const struct gyr_config *config,
                           const char *label, const char *note, char *text, size_t size)
{
    char value[sizeof(config->origins)];
    char range[96];
    (void)config_field_value(field, config, value, sizeof(value));
    (void)config_field_range(field, range, sizeof(range));
    return (size_t)snprintf(text, size, "%s = %s  # %s%s, %s; %s%s\n", field->name, value,
                            field->unit, field->kind == CONFIG_POWER ? ", power of two" : "", range,
                            label, note);
}
