/* SPDX-License-Identifier: MIT */
/* The table of the configuration, and what is right. fields drives everything: defaults, ranges,
 * setting by name, printing, layers, reloading, docs/configuration.md. relations holds what must be
 * true between two fields.
 *
 * What a peer can see is the same on all cores, for it cannot choose one: so limits of a connection
 * are the server's, and what a core does with its time and memory may be its own.
 *
 * struct gyr_config carries its own size: a program may have been compiled against an older header,
 * whose fields end earlier, or a newer one. So no field is touched that lies behind that size. */
#include "engine/config.h"

#include "engine/broadcast_ring.h"
#include "engine/error.h"
#include "engine/policy.h"
#include "proto/http_request.h"

#define KIB             UINT64_C(1024)
#define MIB             (1024 * KIB)
#define GIB             (1024 * MIB)
#define DAYS_24         UINT64_C(2073600000) /* in milliseconds; what a timer can run for */
#define FIELD_NAME_SIZE 40                   /* of a field, with its end */

/* Who may set a field, and when. */
#define SERVER 0             /* the server as a whole, before it starts */
#define CORE   CONFIG_F_CORE /* each core */
#define LIVE   CONFIG_F_LIVE /* while it runs */

#define FIELD(kind_, name_, flags_, min_, max_, standard_, unit_, cost_)                         \
    {                                                                                            \
        .name = #name_, .unit = (unit_), .cost = (cost_), .min = (min_), .max = (max_),          \
        .standard = (standard_), .offset = offsetof(struct gyr_config, name_),                   \
        .width = sizeof(((struct gyr_config *)NULL)->name_), .kind = (kind_), .flags = (flags_), \
    }
#define NUMBER(name, flags, min, max, standard, unit, cost) \
    FIELD(CONFIG_NUMBER, name, flags, min, max, standard, unit, cost)
#define POWER(name, flags, min, max, standard, unit, cost) \
    FIELD(CONFIG_POWER, name, flags, min, max, standard, unit, cost)
#define SWITCH(name, flags, standard, cost) NUMBER(name, flags, 0, 1, standard, "switch", cost)
#define TEXT(name, flags, unit, cost)       FIELD(CONFIG_TEXT, name, flags, 0, 0, 0, unit, cost)
#define CHOICE(name_, flags_, standard_, names_, cost_)                                  \
    {                                                                                    \
        .name = #name_, .unit = "by name", .cost = (cost_), .names = (names_), .min = 0, \
        .max = COUNT_OF(names_) - 1, .standard = (standard_),                            \
        .offset = offsetof(struct gyr_config, name_),                                    \
        .width = sizeof(((struct gyr_config *)NULL)->name_), .kind = CONFIG_CHOICE,      \
        .flags = (flags_),                                                               \
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
    FIELD(CONFIG_CORES, cores, SERVER, 0, 0, 0, "CPUs, a thread each",
          "a ring and recv_buffer_count buffers each"),
    NUMBER(pin, CORE, 0, 1, 0, "switch", "no way round a busy neighbour on that CPU"),
    CHOICE(balance, LIVE, GYR_BALANCE_LEAST, balance_names,
           "least: a wake-up for each connection that is handed over"),
    NUMBER(spin_us, CORE | LIVE, 0, 1000000, 0, "microseconds",
           "burns the CPU for so long before each sleep"),
    CHOICE(ring, SERVER, GYR_RING_AUTO, ring_names, "epoll: a system call for each read and write"),
    FIELD(CONFIG_CPU, cpu, CORE, 0, CONFIG_CPU_MAX - 1, GYR_CPU_BY_CORES,
          "CPU; auto: as cores says", "no way round a busy neighbour on that CPU"),

    NUMBER(turn_completions_max, CORE | LIVE, 1, 256, 256, "completions",
           "a longer wait for the last of them"),
    NUMBER(turn_sends_max, CORE | LIVE, 1, 255, 255, "batches",
           "a longer wait for the first of them"),
    NUMBER(read_rounds_max, CORE | LIVE, 1, 64, 4, "reads", "a longer wait for other connections"),

    NUMBER(connections_max, CORE, 1, 4194304, 65536, "connections", "address space"),
    NUMBER(core_heap_size_max, CORE, 64 * KIB, 16384 * GIB, 1 * GIB, "bytes",
           "what peers can take"),
    POWER(submission_entries, CORE, 16, 16384, 1024, "entries", "64 bytes each"),
    POWER(completion_entries, CORE, 1024, 65536, 16384, "entries", "16 bytes each"),
    NUMBER(recv_buffer_size, CORE, 4 * KIB, 1 * MIB, 64 * KIB, "bytes", "times recv_buffer_count"),
    POWER(recv_buffer_count, CORE, 1, 32768, 256, "buffers",
          "recv_buffer_size bytes each, once used"),
    NUMBER(recv_scratch_threshold, CORE | LIVE, 0, 1 * MIB, 8 * KIB, "bytes",
           "cache misses on large reads; 0: no scratch"),
    NUMBER(mailbox_count_max, CORE, 16, 16777216, 65536, "entries",
           "memory while a core lags behind"),

    NUMBER(rooms_max, SERVER, 1, 16777216, 1048576, "rooms", "address space"),
    NUMBER(conn_rooms_max, LIVE, 1, 16777216, 1024, "rooms", "memory for each that joins so many"),
    NUMBER(broadcast_lanes, SERVER, 1, BROADCAST_LANES_MAX, 4, "lanes",
           "no common order for rooms of different lanes"),
    POWER(broadcast_entries, SERVER, 2, 1048576, 4096, "messages",
          "memory, and older messages, while a core lags behind"),
    NUMBER(broadcast_size_max, SERVER, 64 * KIB, 16384 * GIB, 64 * MIB, "bytes",
           "memory while a core lags behind"),
    NUMBER(broadcast_copy_size, SERVER, 0, 1 * MIB, 4 * KIB, "bytes",
           "time for each copy; less: time for each sharing"),

    NUMBER(head_size_max, LIVE, 256, HTTP_HEAD_SIZE_MAX, 16 * KIB, "bytes",
           "memory for each head that comes slowly"),
    NUMBER(target_size_max, LIVE, 16, HTTP_HEAD_SIZE_MAX - 1, 8 * KIB, "bytes", "as head_size_max"),
    NUMBER(field_count_max, LIVE, 1, HTTP_FIELD_COUNT_MAX, 100, "fields", "time for each request"),
    NUMBER(body_size_max, LIVE, 0, MIB *GIB, 16 * MIB, "bytes",
           "memory only for requests that are collected"),
    NUMBER(message_size_max, LIVE, 1, 1 * GIB, 16 * MIB, "bytes",
           "memory for each message that comes in pieces"),
    NUMBER(send_queue_size_max, CORE | LIVE, 1 * KIB, 1 * GIB, 32 * MIB, "bytes",
           "memory for each slow reader"),
    NUMBER(send_queue_high, CORE | LIVE, 1, 1 * GIB, 1 * MIB, "bytes", "a later on_drain"),
    NUMBER(send_queue_low, CORE | LIVE, 0, 1 * GIB, 256 * KIB, "bytes",
           "an earlier on_drain, and more of them"),
    NUMBER(pause_size_max, CORE | LIVE, 0, 1 * GIB, 256 * KIB, "bytes",
           "memory for each paused connection"),

    NUMBER(server_connections_max, LIVE, 0, INT32_MAX, 0, "connections; 0: unlimited", "memory"),
    NUMBER(address_connections_max, LIVE, 0, INT32_MAX, 0, "connections; 0: unlimited",
           "a larger share for one address"),
    NUMBER(upgrade_rate_max, CORE | LIVE, 0, 1000000, 0, "WebSockets/s; 0: unlimited",
           "time for handshakes"),
    NUMBER(message_rate_max, LIVE, 0, 1000000, 0, "messages/s; 0: unlimited",
           "a larger share for one WebSocket"),
    NUMBER(message_burst_max, LIVE, 1, 1000000, 100, "messages", "a longer stretch at full speed"),
    NUMBER(byte_rate_max, LIVE, 0, 64 * GIB, 0, "bytes/s; 0: unlimited",
           "a larger share for one connection"),
    NUMBER(byte_burst_max, LIVE, 1 * KIB, 64 * GIB, 1 * MIB, "bytes",
           "a longer stretch at full speed"),
    CHOICE(rate_action, LIVE, GYR_RATE_CLOSE, rate_action_names,
           "pause: memory for what is read ahead"),
    NUMBER(body_rate_min, LIVE, 0, 1 * GIB, 128, "bytes/s; 0: none", "slow clients are cut off"),

    TEXT(origins, LIVE, "origins; *: any", "pages of these origins act for their visitors"),
    TEXT(hosts, LIVE, "hosts; empty: any", "requests to these names are answered"),
    TEXT(trusted_proxies, LIVE, "addresses and ranges", "these are believed who their clients are"),
    SWITCH(proxy_protocol, LIVE, 0, "nothing else is understood from trusted proxies"),
    CHOICE(forwarded, LIVE, GYR_FORWARDED_NONE, forwarded_names, "time for each request"),

    CHOICE(log_level, LIVE, GYR_LOG_INFO, log_level_names, "time for each line"),
    CHOICE(log_format, LIVE, GYR_LOG_TEXT, log_format_names, "nothing"),
    NUMBER(log_rate_max, LIVE, 1, 10000000, 100000, "lines/s and core", "time for each line"),
    SWITCH(access_log, LIVE, 0, "time for each request"),

    NUMBER(header_timeout_ms, LIVE, 1, DAYS_24, 10000, "ms",
           "slow clients hold a connection longer"),
    NUMBER(body_timeout_ms, LIVE, 1, DAYS_24, 30000, "ms", "slow clients hold a connection longer"),
    NUMBER(keep_alive_timeout_ms, LIVE, 1, DAYS_24, 60000, "ms", "more idle connections"),
    NUMBER(handshake_timeout_ms, LIVE, 1, DAYS_24, 30000, "ms",
           "more requests that wait for an answer"),
    NUMBER(heartbeat_interval_ms, LIVE, 0, DAYS_24, 30000, "ms; 0: never",
           "lost peers are found later"),
    NUMBER(heartbeat_timeout_ms, LIVE, 1, DAYS_24, 30000, "ms", "lost peers are found later"),
    NUMBER(idle_timeout_ms, LIVE, 0, DAYS_24, 0, "ms; 0: never", "more idle connections"),
    NUMBER(close_timeout_ms, LIVE, 1, DAYS_24, 5000, "ms",
           "peers that do not answer hold a connection"),
    NUMBER(send_timeout_ms, LIVE, 1, DAYS_24, 30000, "ms",
           "peers that do not read hold memory longer"),
    NUMBER(lifetime_max_ms, LIVE, 0, DAYS_24, 0, "ms; 0: unlimited", "connections move less often"),

    NUMBER(shutdown_window_ms, LIVE, 0, DAYS_24, 1000, "ms", "a slower stop"),
    NUMBER(shutdown_deadline_ms, LIVE, 0, DAYS_24, 10000, "ms", "a slower stop"),

    NUMBER(offload_threads, SERVER, 1, 1024, 4, "threads", "a stack each"),
    NUMBER(offload_count_max, SERVER, 1, 1048576, 1024, "calls", "a longer wait behind slow calls"),
    NUMBER(listen_backlog, SERVER, 1, 65535, 4096, "connections",
           "kernel memory; net.core.somaxconn caps it"),
};

static const struct config_relation relations[] = {
    {"submission_entries", "completion_entries", 4, 0, "is more than a quarter of"},
    {"target_size_max", "head_size_max", 1, 1, "is not less than"},
    {"send_queue_low", "send_queue_high", 1, 0, "is more than"},
    {"send_queue_high", "send_queue_size_max", 1, 0, "is more than"},
};

static int text_check(const struct config_field *field, const char *text, struct gyr_error *error);
static unsigned name_distance(const char *a, const char *b);

const struct config_field *config_field_at(unsigned index)
{
    return index < COUNT_OF(fields) ? &fields[index] : NULL;
}

const struct config_relation *config_relation_at(unsigned index)
{
    return index < COUNT_OF(relations) ? &relations[index] : NULL;
}

void gyr_config_init(struct gyr_config *config, size_t size)
{
    ASSERT(size >= sizeof(config->size));
    memset(config, 0, size);
    config->size = size;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (config_field_is_within(&fields[i], size) && !config_field_is_text(&fields[i])) {
            config_field_store(&fields[i], config, fields[i].standard);
        }
    }
}

void config_complete(struct gyr_config *full, const struct gyr_config *config)
{
    gyr_config_init(full, sizeof(*full));
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (config_field_is_within(&fields[i], config->size)) {
            config_field_copy(&fields[i], full, config);
        }
    }
}

void config_reload(struct gyr_config *config, const struct gyr_config *from)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if ((fields[i].flags & CONFIG_F_LIVE) != 0) {
            config_field_copy(&fields[i], config, from);
        }
    }
}

/* ---- what is right --------------------------------------------------------------------------- */

int config_check(const struct gyr_config *config, struct gyr_error *error)
{
    int err = config_size_check(config, error);
    if (err < 0) {
        return err;
    }
    struct gyr_config full;
    config_complete(&full, config);
    for (size_t i = 0; i < COUNT_OF(fields) && err == 0; i++) {
        err = config_field_check(&fields[i], &full, error);
    }
    for (size_t i = 0; i < COUNT_OF(relations) && err == 0; i++) {
        err = config_relation_check(&relations[i], &full, NULL, error);
    }
    return err;
}

int config_size_check(const struct gyr_config *config, struct gyr_error *error)
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
    return 0;
}

int config_field_check(const struct config_field *field, const struct gyr_config *config,
                       struct gyr_error *error)
{
    if (config_field_is_text(field)) {
        return text_check(field, (const char *)config + field->offset, error);
    }
    return config_number_check(field, config_field_load(field, config), error);
}

int config_number_check(const struct config_field *field, uint64_t value, struct gyr_error *error)
{
    if (field->kind == CONFIG_CPU && value == GYR_CPU_BY_CORES) {
        return 0;
    }
    char is[CONFIG_NUMBER_SIZE];
    char range[96];
    config_number_format(field, value, is);
    (void)config_field_range(field, range, sizeof(range));
    if (value < field->min || value > field->max) {
        return ERROR_SET(error, GYR_ERR_CONFIG, "%s = %s is outside %s (%s); %s it", field->name,
                         is, range, field->unit, value < field->min ? "raise" : "lower");
    }
    if (field->kind == CONFIG_POWER && (value & (value - 1)) != 0) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "%s = %s is not a power of two; choose one in %s (%s)", field->name, is,
                         range, field->unit);
    }
    return 0;
}

static int text_check(const struct config_field *field, const char *text, struct gyr_error *error)
{
    if (field->kind == CONFIG_CORES) {
        return config_cores_check(text, field->width, error);
    }
    if (strnlen(text, field->width) == field->width) {
        return ERROR_SET(error, GYR_ERR_CONFIG, "%s is longer than %u characters; shorten it",
                         field->name, field->width - 1U);
    }
    /* What begins a comment, or ends a line, could not be read again where it was printed. */
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f || *at == '#' || *at == ';') {
            return ERROR_SET(
                error, GYR_ERR_CONFIG,
                "%s = %.64s holds a control character, # or ;, which nothing in it can "
                "need; take it out",
                field->name, text);
        }
    }
    return policy_check_text(field->name, text, error);
}

int config_relation_check(const struct config_relation *relation, const struct gyr_config *config,
                          const char *const origins[2], struct gyr_error *error)
{
    const struct config_field *small = config_field_find(relation->small, sizeof(*config));
    const struct config_field *large = config_field_find(relation->large, sizeof(*config));
    ASSERT(small != NULL);
    ASSERT(large != NULL);
    uint64_t small_value = config_field_load(small, config);
    uint64_t large_value = config_field_load(large, config);
    if (small_value * relation->factor + relation->plus <= large_value) {
        return 0;
    }
    char small_text[CONFIG_NUMBER_SIZE];
    char large_text[CONFIG_NUMBER_SIZE];
    config_number_format(small, small_value, small_text);
    config_number_format(large, large_value, large_text);
    if (origins != NULL) {
        return ERROR_SET(error, GYR_ERR_CONFIG,
                         "%s = %s (%s) %s %s = %s (%s); lower the first or raise the second",
                         small->name, small_text, origins[0], relation->phrase, large->name,
                         large_text, origins[1]);
    }
    return ERROR_SET(error, GYR_ERR_CONFIG,
                     "%s = %s %s %s = %s; lower the first or raise the second", small->name,
                     small_text, relation->phrase, large->name, large_text);
}

/* ---- one field ------------------------------------------------------------------------------- */

const struct config_field *config_field_find(const char *name, size_t size)
{
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        if (strcmp(fields[i].name, name) == 0 && config_field_is_within(&fields[i], size)) {
            return &fields[i];
        }
    }
    return NULL;
}

const char *config_field_closest(const char *name)
{
    const char *closest = NULL;
    size_t size = strlen(name);
    if (size >= FIELD_NAME_SIZE) {
        return NULL;
    }
    unsigned best = (unsigned)(size / 3) + 1; /* as many mistakes as that are too many */
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        unsigned distance = name_distance(name, fields[i].name);
        if (distance < best) {
            best = distance;
            closest = fields[i].name;
        }
    }
    return closest;
}

/* How many letters have to be put in, taken out or changed: row by row of the table of all
 * beginnings of both. */
static unsigned name_distance(const char *a, const char *b)
{
    unsigned row[FIELD_NAME_SIZE];
    size_t size = strlen(b);
    ASSERT(size < FIELD_NAME_SIZE);
    for (unsigned k = 0; k <= size; k++) {
        row[k] = k;
    }
    for (unsigned i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = i + 1;
        for (unsigned k = 0; k < size; k++) {
            unsigned changed = diagonal + (a[i] != b[k]);
            diagonal = row[k + 1];
            row[k + 1] = MIN(changed, MIN(row[k], diagonal) + 1);
        }
    }
    return row[size];
}

unsigned config_field_index(const struct config_field *field)
{
    return (unsigned)(field - fields);
}

bool config_field_is_within(const struct config_field *field, size_t size)
{
    return (size_t)field->offset + field->width <= size;
}

bool config_field_is_text(const struct config_field *field)
{
    return field->kind == CONFIG_CORES || field->kind == CONFIG_TEXT;
}

bool config_field_equal(const struct config_field *field, const struct gyr_config *a,
                        const struct gyr_config *b)
{
    const char *at = (const char *)a + field->offset;
    const char *bt = (const char *)b + field->offset;
    return config_field_is_text(field) ? strncmp(at, bt, field->width) == 0
                                       : memcmp(at, bt, field->width) == 0;
}

void config_field_copy(const struct config_field *field, struct gyr_config *to,
                       const struct gyr_config *from)
{
    memcpy((char *)to + field->offset, (const char *)from + field->offset, field->width);
}

uint64_t config_field_load(const struct config_field *field, const struct gyr_config *config)
{
    uint64_t value = 0;
    ASSERT(field->width <= sizeof(value));
    memcpy(&value, (const char *)config + field->offset, field->width); /* little endian */
    return value;
}

void config_field_store(const struct config_field *field, struct gyr_config *config, uint64_t value)
{
    ASSERT(field->width <= sizeof(value));
    memcpy((char *)config + field->offset, &value, field->width);
}
