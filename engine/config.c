/* SPDX-License-Identifier: MIT */
/* The configuration. fields drives everything: defaults, ranges, setting by name, printing.
 * relations holds what must be true between two fields. The list of CPUs is the one field that is
 * no number.
 *
 * struct gyr_config carries its own size: a program may have been compiled against an older header,
 * whose fields end earlier, or a newer one. So no field is touched that lies behind that size. */
#include "engine/config.h"
#include "engine/error.h"
#include "engine/policy.h"
#include "proto/http_request.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#define KIB              UINT64_C(1024)
#define MIB              (1024 * KIB)
#define GIB              (1024 * MIB)
#define DAYS_24          UINT64_C(2073600000) /* in milliseconds; what a timer can run for */
#define CPU_MAX          8192     /* the largest NR_CPUS a kernel can be built with on x86-64 */
#define CPU_NUMBER_MAX   99999999 /* so that a list cannot overflow an unsigned */
#define NUMBER_TEXT_SIZE 24

#define FIELD(kind_, name_, min_, max_, standard_, unit_, cost_)                        \
    {                                                                                   \
        .name = #name_, .unit = (unit_), .cost = (cost_), .min = (min_), .max = (max_), \
        .standard = (standard_), .offset = offsetof(struct gyr_config, name_),          \
        .width = sizeof(((struct gyr_config *)NULL)->name_), .kind = (kind_),           \
    }
#define NUMBER(name, min, max, standard, unit, cost) \
    FIELD(CONFIG_NUMBER, name, min, max, standard, unit, cost)
#define POWER(name, min, max, standard, unit, cost) \
    FIELD(CONFIG_POWER, name, min, max, standard, unit, cost)
#define SWITCH(name, standard, cost) NUMBER(name, 0, 1, standard, "switch", cost)
#define TEXT(name, unit, cost)       FIELD(CONFIG_TEXT, name, 0, 0, 0, unit, cost)
#define CHOICE(name_, standard_, names_, cost_)                                          \
    {                                                                                    \
        .name = #name_, .unit = "by name", .cost = (cost_), .names = (names_), .min = 0, \
        .max = COUNT_OF(names_) - 1, .standard = (standard_),                            \
        .offset = offsetof(struct gyr_config, name_),                                    \
        .width = sizeof(((struct gyr_config *)NULL)->name_), .kind = CONFIG_CHOICE,      \
    }

static const char *const balance_names[] = {
    [GYR_BALANCE_HASH] = "hash",
    [GYR_BALANCE_LEAST] = "least",
};
static const char *const ring_names[] = {
    [GYR_RING_AUTO] = "auto",
    [GYR_RING_URING] = "uring",
    [GYR_RING_EPOLL] = "epoll",
};
static const char *const rate_action_names[] = {
    [GYR_RATE_CLOSE] = "close",
    [GYR_RATE_PAUSE] = "pause",
};
static const char *const forwarded_names[] = {
    [GYR_FORWARDED_NONE] = "none",
    [GYR_FORWARDED_RFC_7239] = "forwarded",
    [GYR_FORWARDED_X] = "x-forwarded-for",
};
static const char *const log_level_names[] = {
    [GYR_LOG_OFF] = "off",   [GYR_LOG_ERROR] = "error", [GYR_LOG_WARNING] = "warning",
    [GYR_LOG_INFO] = "info", [GYR_LOG_DEBUG] = "debug",
};
static const char *const log_format_names[] = {
    [GYR_LOG_TEXT] = "text",
    [GYR_LOG_JSON] = "json",
};

static const struct config_field fields[] = {
    FIELD(CONFIG_CORES, cores, 0, 0, 0, "CPUs, a thread each",
          "a ring and recv_buffer_count buffers each"),
    NUMBER(pin, 0, 1, 0, "switch", "no way round a busy neighbour on that CPU"),
    CHOICE(balance, GYR_BALANCE_LEAST, balance_names,
           "least: a wake-up for each connection that is handed over"),
    NUMBER(spin_us, 0, 1000000, 0, "microseconds", "burns the CPU for so long before each sleep"),
    CHOICE(ring, GYR_RING_AUTO, ring_names, "epoll: a system call for each read and write"),
    NUMBER(cpu, 0, GYR_CPU_BY_CORES, GYR_CPU_BY_CORES, "CPU; 65535: as cores says", "nothing"),

    NUMBER(turn_completions_max, 1, 256, 256, "completions", "a longer wait for the last of them"),
    NUMBER(turn_sends_max, 1, 255, 255, "batches", "a longer wait for the first of them"),
    NUMBER(read_rounds_max, 1, 64, 4, "reads", "a longer wait for other connections"),

    NUMBER(connections_max, 1, 4194304, 65536, "connections", "address space"),
    NUMBER(core_heap_size_max, 64 * KIB, 16384 * GIB, 1 * GIB, "bytes", "what peers can take"),
    POWER(submission_entries, 16, 16384, 1024, "entries", "64 bytes each"),
    POWER(completion_entries, 1024, 65536, 16384, "entries", "16 bytes each"),
    NUMBER(recv_buffer_size, 4 * KIB, 1 * MIB, 64 * KIB, "bytes", "times recv_buffer_count"),
    POWER(recv_buffer_count, 1, 32768, 256, "buffers", "recv_buffer_size bytes each, once used"),
    NUMBER(recv_scratch_threshold, 0, 1 * MIB, 8 * KIB, "bytes",
           "cache misses on large reads; 0: no scratch"),
    NUMBER(mailbox_count_max, 16, 16777216, 65536, "entries", "memory while a core lags behind"),

    NUMBER(head_size_max, 256, HTTP_HEAD_SIZE_MAX, 16 * KIB, "bytes",
           "memory for each head that comes slowly"),
    NUMBER(target_size_max, 16, HTTP_HEAD_SIZE_MAX - 1, 8 * KIB, "bytes", "as head_size_max"),
    NUMBER(field_count_max, 1, HTTP_FIELD_COUNT_MAX, 100, "fields", "time for each request"),
    NUMBER(body_size_max, 0, MIB *GIB, 16 * MIB, "bytes",
           "memory only for requests that are collected"),
    NUMBER(message_size_max, 1, 1 * GIB, 16 * MIB, "bytes",
           "memory for each message that comes in pieces"),
    NUMBER(send_queue_size_max, 1 * KIB, 1 * GIB, 32 * MIB, "bytes", "memory for each slow reader"),
    NUMBER(send_queue_high, 1, 1 * GIB, 1 * MIB, "bytes", "a later on_drain"),
    NUMBER(send_queue_low, 0, 1 * GIB, 256 * KIB, "bytes", "an earlier on_drain, and more of them"),
    NUMBER(pause_size_max, 0, 1 * GIB, 256 * KIB, "bytes", "memory for each paused connection"),

    NUMBER(server_connections_max, 0, INT32_MAX, 0, "connections; 0: unlimited", "memory"),
    NUMBER(address_connections_max, 0, INT32_MAX, 0, "connections; 0: unlimited",
           "a larger share for one address"),
    NUMBER(upgrade_rate_max, 0, 1000000, 0, "WebSockets/s; 0: unlimited", "time for handshakes"),
    NUMBER(message_rate_max, 0, 1000000, 0, "messages/s; 0: unlimited",
           "a larger share for one WebSocket"),
    NUMBER(message_burst_max, 1, 1000000, 100, "messages", "a longer stretch at full speed"),
    NUMBER(byte_rate_max, 0, 64 * GIB, 0, "bytes/s; 0: unlimited",
           "a larger share for one connection"),
    NUMBER(byte_burst_max, 1 * KIB, 64 * GIB, 1 * MIB, "bytes", "a longer stretch at full speed"),
    CHOICE(rate_action, GYR_RATE_CLOSE, rate_action_names, "pause: memory for what is read ahead"),
    NUMBER(body_rate_min, 0, 1 * GIB, 128, "bytes/s; 0: none", "slow clients are cut off"),

    TEXT(origins, "origins; *: any", "pages of these origins act for their visitors"),
    TEXT(hosts, "hosts; empty: any", "requests to these names are answered"),
    TEXT(trusted_proxies, "addresses and ranges", "these are believed who their clients are"),
    SWITCH(proxy_protocol, 0, "nothing else is understood from trusted proxies"),
    CHOICE(forwarded, GYR_FORWARDED_NONE, forwarded_names, "time for each request"),

    CHOICE(log_level, GYR_LOG_INFO, log_level_names, "time for each line"),
    CHOICE(log_format, GYR_LOG_TEXT, log_format_names, "nothing"),
    NUMBER(log_rate_max, 1, 10000000, 100000, "lines/s and core", "time for each line"),
    SWITCH(access_log, 0, "time for each request"),

    NUMBER(header_timeout_ms, 1, DAYS_24, 10000, "ms", "slow clients hold a connection longer"),
    NUMBER(body_timeout_ms, 1, DAYS_24, 30000, "ms", "slow clients hold a connection longer"),
    NUMBER(keep_alive_timeout_ms, 1, DAYS_24, 60000, "ms", "more idle connections"),
    NUMBER(handshake_timeout_ms, 1, DAYS_24, 30000, "ms", "more requests that wait for an answer"),
    NUMBER(heartbeat_interval_ms, 0, DAYS_24, 30000, "ms; 0: never", "lost peers are found later"),
    NUMBER(heartbeat_timeout_ms, 1, DAYS_24, 30000, "ms", "lost peers are found later"),
    NUMBER(idle_timeout_ms, 0, DAYS_24, 0, "ms; 0: never", "more idle connections"),
    NUMBER(close_timeout_ms, 1, DAYS_24, 5000, "ms", "peers that do not answer hold a connection"),
    NUMBER(send_timeout_ms, 1, DAYS_24, 30000, "ms", "peers that do not read hold memory longer"),
    NUMBER(lifetime_max_ms, 0, DAYS_24, 0, "ms; 0: unlimited", "connections move less often"),

    NUMBER(shutdown_window_ms, 0, DAYS_24, 1000, "ms", "a slower stop"),
    NUMBER(shutdown_deadline_ms, 0, DAYS_24, 10000, "ms", "a slower stop"),

    NUMBER(offload_threads, 1, 1024, 4, "threads", "a stack each"),
    NUMBER(offload_count_max, 1, 1048576, 1024, "calls", "a longer wait behind slow calls"),
    NUMBER(listen_backlog, 1, 65535, 4096, "connections",
           "kernel memory; net.core.somaxconn caps it"),
};

/* A field that, taken `factor` times and plus `plus`, must not exceed another. */
struct relation {
    const char *small;
    const char *large;
    uint64_t factor;
    uint64_t plus;
    const char *phrase;
};

static const struct relation relations[] = {
    {"submission_entries", "completion_entries", 4, 0, "is more than a quarter of"},
    {"target_size_max", "head_size_max", 1, 1, "is not less than"},
    {"send_queue_low", "send_queue_high", 1, 0, "is more than"},
    {"send_queue_high", "send_queue_size_max", 1, 0, "is more than"},
};

static bool field_is_within(const struct config_field *field, size_t size);
static bool field_is_text(const struct config_field *field);
static const struct config_field *field_find(const char *name, size_t size);
static uint64_t field_load(const struct config_field *field, const struct gyr_config *config);
static void field_store(const struct config_field *field, struct gyr_config *config,
                        uint64_t value);
static int field_check(const struct config_field *field, uint64_t value, struct gyr_error *error);
static int text_check(const struct config_field *field, const char *text, struct gyr_error *error);
static int relation_check(const struct relation *relation, const struct gyr_config *config,
                          struct gyr_error *error);
static int value_parse(const struct config_field *field, const char *text, uint64_t *value,
                       struct gyr_error *error);
static int choice_parse(const struct config_field *field, const char *text, uint64_t *value,
                        struct gyr_error *error);
static void value_format(const struct config_field *field, uint64_t value,
                         char text[NUMBER_TEXT_SIZE]);
static int field_format(const struct config_field *field, const struct gyr_config *config,
                        char *text, size_t size);
static int cores_check(const char *text, size_t size, struct gyr_error *error);
static int cores_range_parse(const char **text, unsigned *first, unsigned *last);
static const char *cpu_parse(const char *text, unsigned *cpu);

const struct config_field *config_field_at(unsigned index)
{
    return index < COUNT_OF(fields) ? &fields[index] : NULL;
}

void gyr_config_init(struct gyr_config *config, size_t size)
{
    ASSERT(size >= sizeof(config->size));
    memset(config, 0, size);
    config->size = size;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (field_is_within(&fields[i], size) && !field_is_text(&fields[i])) {
            field_store(&fields[i], config, fields[i].standard);
        }
    }
}

int gyr_config_set(struct gyr_config *config, const char *name, const char *value,
                   struct gyr_error *error)
{
    const struct config_field *field = field_find(name, config->size);
    if (field == NULL) {
        return ERROR_SET(error, GYR_ERR_CONFIG, "%.64s = %.64s: there is no setting of this name",
                         name, value);
    }
    if (field_is_text(field)) {
        int err = text_check(field, value, error);
        if (err == 0) {
            memcpy((char *)config + field->offset, value, strlen(value) + 1);
        }
        return err;
    }
    uint64_t number = 0;
    int err = value_parse(field, value, &number, error);
    if (err == 0) {
        err = field_check(field, number, error);
    }
    if (err == 0) {
        field_store(field, config, number);
    }
    return err;
}

size_t gyr_config_print(const struct gyr_config *config, char *text, size_t size)
{
    size_t used = 0;
    if (size > 0) {
        text[0] = '\0';
    }
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (field_is_within(&fields[i], config->size)) {
            size_t room = used < size ? size - used : 0;
            used += (size_t)field_format(&fields[i], config, room > 0 ? text + used : NULL, room);
        }
    }
    return used;
}

void config_complete(struct gyr_config *full, const struct gyr_config *config)
{
    gyr_config_init(full, sizeof(*full));
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (field_is_within(&fields[i], config->size)) {
            memcpy((char *)full + fields[i].offset, (const char *)config + fields[i].offset,
                   fields[i].width);
        }
    }
}

int config_check(const struct gyr_config *config, struct gyr_error *error)
{
    if (config->size < sizeof(config->size)) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "size = %zu: not a configuration; make it with gyr_config_default",
                         config->size);
    }
    for (size_t i = sizeof(*config); i < config->size; i++) {
        if (((const char *)config)[i] != 0) {
            return ERROR_SET(error, GYR_ERR_CONFIG,
                             "size = %zu: sets fields that libgyr " GYR_VERSION
                             " does not know; use the library that belongs to the header",
                             config->size);
        }
    }
    struct gyr_config full;
    config_complete(&full, config);
    int err = 0;
    for (size_t i = 0; i < COUNT_OF(fields) && err == 0; i++) {
        err = field_is_text(&fields[i])
                  ? text_check(&fields[i], (const char *)&full + fields[i].offset, error)
                  : field_check(&fields[i], field_load(&fields[i], &full), error);
    }
    for (size_t i = 0; i < COUNT_OF(relations) && err == 0; i++) {
        err = relation_check(&relations[i], &full, error);
    }
    return err;
}

/* ---- one field ------------------------------------------------------------------------------- */

static bool field_is_within(const struct config_field *field, size_t size)
{
    return (size_t)field->offset + field->width <= size;
}

static bool field_is_text(const struct config_field *field)
{
    return field->kind == CONFIG_CORES || field->kind == CONFIG_TEXT;
}

static const struct config_field *field_find(const char *name, size_t size)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (strcmp(fields[i].name, name) == 0 && field_is_within(&fields[i], size)) {
            return &fields[i];
        }
    }
    return NULL;
}

static uint64_t field_load(const struct config_field *field, const struct gyr_config *config)
{
    uint64_t value = 0;
    ASSERT(field->width <= sizeof(value));
    memcpy(&value, (const char *)config + field->offset, field->width); /* little endian */
    return value;
}

static void field_store(const struct config_field *field, struct gyr_config *config, uint64_t value)
{
    ASSERT(field->width <= sizeof(value));
    memcpy((char *)config + field->offset, &value, field->width);
}

static int field_check(const struct config_field *field, uint64_t value, struct gyr_error *error)
{
    char is[NUMBER_TEXT_SIZE];
    char min[NUMBER_TEXT_SIZE];
    char max[NUMBER_TEXT_SIZE];
    value_format(field, value, is);
    value_format(field, field->min, min);
    value_format(field, field->max, max);
    if (value < field->min || value > field->max) {
        return ERROR_SET(error, GYR_ERR_CONFIG, "%s = %s is outside %s to %s (%s); %s it",
                         field->name, is, min, max, field->unit,
                         value < field->min ? "raise" : "lower");
    }
    if (field->kind == CONFIG_POWER && (value & (value - 1)) != 0) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "%s = %s is not a power of two; choose one in %s to %s (%s)", field->name,
                         is, min, max, field->unit);
    }
    return 0;
}

static int text_check(const struct config_field *field, const char *text, struct gyr_error *error)
{
    if (field->kind == CONFIG_CORES) {
        return cores_check(text, field->width, error);
    }
    if (strnlen(text, field->width) == field->width) {
        return ERROR_SET(error, GYR_ERR_CONFIG, "%s is longer than %u characters; shorten it",
                         field->name, field->width - 1U);
    }
    return policy_check_text(field->name, text, error);
}

static int relation_check(const struct relation *relation, const struct gyr_config *config,
                          struct gyr_error *error)
{
    const struct config_field *small = field_find(relation->small, sizeof(*config));
    const struct config_field *large = field_find(relation->large, sizeof(*config));
    ASSERT(small != NULL);
    ASSERT(large != NULL);
    uint64_t small_value = field_load(small, config);
    uint64_t large_value = field_load(large, config);
    if (small_value * relation->factor + relation->plus <= large_value) {
        return 0;
    }
    char small_text[NUMBER_TEXT_SIZE];
    char large_text[NUMBER_TEXT_SIZE];
    value_format(small, small_value, small_text);
    value_format(large, large_value, large_text);
    return ERROR_SET(error, GYR_ERR_CONFIG,
                     "%s = %s %s %s = %s; lower the first or raise the second", small->name,
                     small_text, relation->phrase, large->name, large_text);
}

/* ---- text ------------------------------------------------------------------------------------ */

static int value_parse(const struct config_field *field, const char *text, uint64_t *value,
                       struct gyr_error *error)
{
    if (field->kind == CONFIG_CHOICE) {
        return choice_parse(field, text, value, error);
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
        overflow |= __builtin_mul_overflow(number, KIB << ((suffix - suffixes) * 10), &number);
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
    char known[96] = "";
    size_t used = 0;
    for (uint64_t i = 0; i <= field->max; i++) {
        if (strcmp(text, field->names[i]) == 0) {
            *value = i;
            return 0;
        }
        const char *separator = i == 0 ? "" : i == field->max ? " or " : ", ";
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", separator,
                                 field->names[i]);
        ASSERT(used < sizeof(known));
    }
    return ERROR_SET(error, GYR_ERR_CONFIG, "%s = %.64s is not known; use %s", field->name, text,
                     known);
}

/* The name of a choice; bytes with a suffix where that is exact; otherwise digits. */
static void value_format(const struct config_field *field, uint64_t value,
                         char text[NUMBER_TEXT_SIZE])
{
    static const char *const suffixes[] = {"", "k", "m", "g"};
    if (field->kind == CONFIG_CHOICE && value <= field->max) {
        (void)snprintf(text, NUMBER_TEXT_SIZE, "%s", field->names[value]);
        return;
    }
    unsigned power = 0;
    if (strncmp(field->unit, "bytes", 5) == 0 && value != 0) {
        while (power + 1 < COUNT_OF(suffixes) && value % 1024 == 0) {
            value /= 1024;
            power++;
        }
    }
    (void)snprintf(text, NUMBER_TEXT_SIZE, "%llu%s", (unsigned long long)value, suffixes[power]);
}

static int field_format(const struct config_field *field, const struct gyr_config *config,
                        char *text, size_t size)
{
    if (field->kind == CONFIG_TEXT) {
        return snprintf(text, size, "%s = %.*s  # %s; raising it: %s\n", field->name,
                        (int)field->width, (const char *)config + field->offset, field->unit,
                        field->cost);
    }
    if (field->kind == CONFIG_CORES) {
        return snprintf(text, size, "%s = %.*s  # %s, 0-3,6; empty: all allowed; raising it: %s\n",
                        field->name, (int)sizeof(config->cores), config->cores, field->unit,
                        field->cost);
    }
    char is[NUMBER_TEXT_SIZE];
    char min[NUMBER_TEXT_SIZE];
    char max[NUMBER_TEXT_SIZE];
    value_format(field, field_load(field, config), is);
    value_format(field, field->min, min);
    value_format(field, field->max, max);
    return snprintf(text, size, "%s = %s  # %s%s, %s to %s; raising it: %s\n", field->name, is,
                    field->unit, field->kind == CONFIG_POWER ? ", power of two" : "", min, max,
                    field->cost);
}

/* ---- cores ----------------------------------------------------------------------------------- */

struct cpu_mask {
    cpu_set_t words[CPU_MAX / CPU_SETSIZE];
};

static int cores_allowed(struct cpu_mask *mask, struct gyr_error *error);
static int cores_select(const char *text, const struct cpu_mask *allowed, struct cpu_mask *selected,
                        struct gyr_error *error);
static void mask_format(const struct cpu_mask *mask, char *text, size_t size);

static bool mask_has(const struct cpu_mask *mask, unsigned cpu)
{
    return CPU_ISSET_S(cpu, sizeof(*mask), mask->words);
}

int config_cores(const struct gyr_config *config, unsigned *cpus, unsigned max, unsigned *count,
                 struct gyr_error *error)
{
    struct gyr_config full;
    config_complete(&full, config);
    struct cpu_mask allowed = {0};
    struct cpu_mask selected = {0};
    int err = cores_check(full.cores, sizeof(full.cores), error);
    if (err == 0) {
        err = cores_allowed(&allowed, error);
    }
    if (err == 0) {
        err = cores_select(full.cores, &allowed, &selected, error);
    }
    if (err != 0) {
        return err;
    }
    unsigned found = 0;
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
        if (!mask_has(&selected, cpu)) {
            continue;
        }
        if (found == max) {
            return ERROR_SET(error, GYR_ERR_CONFIG,
                             "cores = \"%s\" means more than %u CPUs; name at most that many",
                             full.cores, max);
        }
        cpus[found++] = cpu;
    }
    ASSERT(found > 0);
    *count = found;
    return 0;
}

/* Is this "" or a list of CPUs and ranges that fits into `size` bytes with its end? */
static int cores_check(const char *text, size_t size, struct gyr_error *error)
{
    if (strnlen(text, size) == size) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "cores is longer than %zu characters; use ranges, as in 0-3,6", size - 1);
    }
    const char *at = text;
    while (*at != '\0') {
        unsigned first;
        unsigned last;
        if (cores_range_parse(&at, &first, &last) != 0) {
            return ERROR_SET(error, GYR_ERR_CONFIG,
                             "cores = \"%s\" is not a list of CPUs; write it as in 0-3,6", text);
        }
    }
    return 0;
}

/* Take "6" or "0-3", and the comma behind it if another one follows. */
static int cores_range_parse(const char **text, unsigned *first, unsigned *last)
{
    const char *at = cpu_parse(*text, first);
    *last = *first;
    if (at != NULL && *at == '-') {
        at = cpu_parse(at + 1, last);
    }
    if (at == NULL || *last < *first) {
        return GYR_ERR_CONFIG;
    }
    if (*at == ',' && at[1] != '\0') {
        at++;
    } else if (*at != '\0') {
        return GYR_ERR_CONFIG;
    }
    *text = at;
    return 0;
}

/* Take digits; returns what follows them, or NULL if there are none. */
static const char *cpu_parse(const char *text, unsigned *cpu)
{
    const char *at = text;
    *cpu = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        *cpu = MIN(*cpu * 10 + (unsigned)(*at - '0'), CPU_NUMBER_MAX);
    }
    return at > text ? at : NULL;
}

static int cores_allowed(struct cpu_mask *mask, struct gyr_error *error)
{
    if (sched_getaffinity(0, sizeof(*mask), mask->words) != 0) {
        int err = -errno;
        return ERROR_SET(error, err, "cores: the CPUs of this process cannot be read: %s",
                         strerrordesc_np(-err));
    }
    return 0;
}

static int cores_select(const char *text, const struct cpu_mask *allowed, struct cpu_mask *selected,
                        struct gyr_error *error)
{
    if (*text == '\0') {
        *selected = *allowed;
        return 0;
    }
    for (const char *at = text; *at != '\0';) {
        unsigned first;
        unsigned last;
        int err = cores_range_parse(&at, &first, &last);
        ASSERT(err == 0); /* cores_check has read it */
        for (unsigned cpu = first; cpu <= last; cpu++) {
            if (mask_has(selected, cpu)) {
                return ERROR_SET(error, GYR_ERR_CONFIG,
                                 "cores = \"%s\" names CPU %u twice; name it once", text, cpu);
            }
            if (!mask_has(allowed, cpu)) {
                char allowed_text[64];
                mask_format(allowed, allowed_text, sizeof(allowed_text));
                return ERROR_SET(error, GYR_ERR_CONFIG,
                                 "cores = \"%s\": CPU %u does not exist or is not allowed to this "
                                 "process; choose from %s",
                                 text, cpu, allowed_text);
            }
            CPU_SET_S(cpu, sizeof(*selected), selected->words);
        }
    }
    return 0;
}

/* "0-3,6", cut with "..." when it does not fit. */
static void mask_format(const struct cpu_mask *mask, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (unsigned cpu = 0; cpu < CPU_MAX; cpu++) {
        if (!mask_has(mask, cpu)) {
            continue;
        }
        unsigned first = cpu;
        while (cpu + 1 < CPU_MAX && mask_has(mask, cpu + 1)) {
            cpu++;
        }
        const char *comma = used > 0 ? "," : "";
        if (used + sizeof(",8191-8191,...") > size) {
            (void)snprintf(text + used, size - used, "%s...", comma);
            return;
        }
        int written = first == cpu
                          ? snprintf(text + used, size - used, "%s%u", comma, cpu)
                          : snprintf(text + used, size - used, "%s%u-%u", comma, first, cpu);
        used += (size_t)written;
    }
}
