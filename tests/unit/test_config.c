/* SPDX-License-Identifier: MIT */
/* The configuration: that the table covers every byte and every name of struct gyr_config, that
 * what it prints can be set again, and that each mistake of an operator is answered by a line that
 * names it. */
#include "engine/config.h"

#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_SIZE 16384

/* A configuration of a program whose header ended behind `spin_us`. */
#define OLD_SIZE offsetof(struct gyr_config, connections_max)

static int set(struct gyr_config *config, const char *name, const char *value)
{
    struct gyr_error error = {.text = "unset"};
    int err = gyr_config_set(config, name, value, &error);
    if (err != 0) {
        EXPECT(strstr(error.text, name) != NULL, error.text);
        EXPECT(strchr(error.text, '\n') == NULL, error.text);
    } else {
        EXPECT(strcmp(error.text, "unset") == 0, error.text);
    }
    return err;
}

static int check_after(const char *name, const char *value)
{
    struct gyr_config config = gyr_config_default();
    EXPECT_INT(set(&config, name, value), 0, name);
    struct gyr_error error = {.text = "unset"};
    int err = config_check(&config, &error);
    EXPECT((err == 0) == (strcmp(error.text, "unset") == 0), error.text);
    EXPECT(err == 0 || strstr(error.text, name) != NULL, error.text);
    return err;
}

void config_default_passes_its_own_check(void)
{
    struct gyr_config config = gyr_config_default();
    struct gyr_error error = {.text = ""};
    EXPECT_INT(config_check(&config, &error), 0, error.text);
    for (unsigned i = 0; config_field_at(i) != NULL; i++) {
        const struct config_field *field = config_field_at(i);
        if (field->kind == CONFIG_CPU) {
            EXPECT_INT(field->standard, GYR_CPU_BY_CORES, field->name); /* "auto" */
            continue;
        }
        EXPECT(field->min <= field->standard, field->name);
        EXPECT(field->standard <= field->max, field->name);
    }
}

/* The only bytes of the structure that no field covers are those that alignment asks for. */
void config_table_covers_every_byte(void)
{
    size_t end = sizeof(size_t);
    size_t alignment = sizeof(uint64_t);
    for (unsigned i = 0; config_field_at(i) != NULL; i++) {
        const struct config_field *field = config_field_at(i);
        bool text = field->kind == CONFIG_CORES || field->kind == CONFIG_TEXT;
        size_t width = text ? 1 : field->width;
        EXPECT_INT(field->offset, (end + width - 1) / width * width, field->name);
        end = (size_t)field->offset + field->width;
    }
    EXPECT_INT((end + alignment - 1) / alignment * alignment, sizeof(struct gyr_config), "the end");
}

/* A member that hides in the padding is found by its name: the header itself is read. */
void config_table_knows_every_name_of_the_header(void)
{
    FILE *file = fopen("include/gyr/gyr.h", "r");
    if (file == NULL) {
        test_skip("not run from the root of the sources");
        return;
    }
    char line[256];
    bool inside = false;
    unsigned count = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        char name[64];
        if (strcmp(line, "struct gyr_config {\n") == 0) {
            inside = true;
        } else if (inside && strcmp(line, "};\n") == 0) {
            break;
        } else if (inside && (sscanf(line, " uint32_t %63[a-z_];", name) == 1 ||
                              sscanf(line, " uint64_t %63[a-z_];", name) == 1 ||
                              sscanf(line, " char %63[a-z_][", name) == 1)) {
            const struct config_field *field = config_field_at(count);
            EXPECT(field != NULL && strcmp(field->name, name) == 0, name);
            count++;
        }
    }
    (void)fclose(file);
    EXPECT(count > 30, "members were found");
    EXPECT(config_field_at(count) == NULL, "the table ends with the structure");
}

void config_print_can_be_set_again(void)
{
    struct gyr_config config = gyr_config_default();
    EXPECT_INT(set(&config, "cores", "0-1,7"), 0, "cores");
    EXPECT_INT(set(&config, "balance", "hash"), 0, "balance");
    EXPECT_INT(set(&config, "message_size_max", "12345"), 0, "message_size_max");
    EXPECT_INT(set(&config, "body_size_max", "3g"), 0, "body_size_max");
    static char text[TEXT_SIZE];
    size_t size = gyr_config_print(&config, text, sizeof(text));
    EXPECT(size < sizeof(text), "the text fits");
    EXPECT_INT(size, strlen(text), "it says its size");
    struct gyr_config copy = gyr_config_default();
    unsigned count = 0;
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"), count++) {
        char *value = strstr(line, " = ");
        char *comment = strstr(line, "  # ");
        EXPECT(value != NULL && comment != NULL, line);
        if (value == NULL || comment == NULL) {
            return;
        }
        *value = '\0';
        *comment = '\0';
        EXPECT_INT(set(&copy, line, value + 3), 0, line);
    }
    EXPECT(config_field_at(count) == NULL, "a line per field");
    EXPECT(memcmp(&copy, &config, sizeof(copy)) == 0, "the same configuration");
}

void config_print_never_writes_past_its_room(void)
{
    struct gyr_config config = gyr_config_default();
    static char whole[TEXT_SIZE];
    size_t size = gyr_config_print(&config, whole, sizeof(whole));
    EXPECT_INT(gyr_config_print(&config, NULL, 0), size, "no room at all");
    static const size_t rooms[] = {1, 2, 50, 99, 100, 101, 1000};
    for (size_t i = 0; i < COUNT_OF(rooms); i++) {
        char *text = (char *)guard_copy(whole, rooms[i]);
        memset(text, 'x', rooms[i]);
        EXPECT_INT(gyr_config_print(&config, text, rooms[i]), size, "the size of all");
        EXPECT(memcmp(text, whole, rooms[i] - 1) == 0, "as much as fits");
        EXPECT_INT(text[rooms[i] - 1], '\0', "ended by a zero");
        guard_free((uint8_t *)text);
    }
}

void config_set_takes_numbers_with_suffixes(void)
{
    static const struct {
        const char *text;
        uint64_t value;
    } rows[] = {
        {"0", 0},
        {"007", 7},
        {"1k", 1024},
        {"1K", 1024},
        {"3m", 3 << 20},
        {"2G", UINT64_C(2) << 30},
        {"1125899906842624", UINT64_C(1) << 50},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_config config = gyr_config_default();
        EXPECT_INT(set(&config, "body_size_max", rows[i].text), 0, rows[i].text);
        EXPECT_INT(config.body_size_max, rows[i].value, rows[i].text);
    }
}

void config_set_rejects_what_is_no_number(void)
{
    static const char *const rows[] = {
        "",
        " ",
        "-1",
        "+1",
        " 1",
        "1 ",
        "0x10",
        "1e3",
        "1.5",
        "k",
        "1kk",
        "1b",
        "1 k",
        "m1",
        "1_000",
        "1k ",
        "one",
        "\n",
        "1\n",
        "1t",
        "18446744073709551616",
        "99999999999999999999999999k",
        "18446744073709551615g",
        "18446744073709551615",
        "1048577g",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_config config = gyr_config_default();
        EXPECT_INT(set(&config, "body_size_max", rows[i]), GYR_ERR_CONFIG, rows[i]);
        EXPECT_INT(config.body_size_max, 16 << 20, "a failing call has changed nothing");
    }
}

void config_set_rejects_unknown_names(void)
{
    static const char *const rows[] = {"", "size", "Pin", "pin ", "message_size", "cores,"};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_config config = gyr_config_default();
        EXPECT_INT(set(&config, rows[i], "1"), GYR_ERR_CONFIG, rows[i]);
    }
}

void config_set_takes_balance_by_name(void)
{
    struct gyr_config config = gyr_config_default();
    EXPECT_INT(config.balance, GYR_BALANCE_LEAST, "the default");
    EXPECT_INT(set(&config, "balance", "hash"), 0, "hash");
    EXPECT_INT(config.balance, GYR_BALANCE_HASH, "hash");
    EXPECT_INT(set(&config, "balance", "least"), 0, "least");
    EXPECT_INT(config.balance, GYR_BALANCE_LEAST, "least");
    EXPECT_INT(set(&config, "balance", "1"), GYR_ERR_CONFIG, "a number");
    EXPECT_INT(set(&config, "balance", "most"), GYR_ERR_CONFIG, "an unknown name");
}

static void try_value(const struct config_field *field, uint64_t value)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    bool good = value >= field->min && value <= field->max;
    struct gyr_config config = gyr_config_default();
    EXPECT_INT(set(&config, field->name, text), good ? 0 : GYR_ERR_CONFIG, field->name);
    if (!good) {
        memcpy((char *)&config + field->offset, &value, field->width);
        struct gyr_error error = {.text = ""};
        EXPECT_INT(config_check(&config, &error), GYR_ERR_CONFIG, field->name);
        EXPECT(strncmp(error.text, field->name, strlen(field->name)) == 0, error.text);
    }
}

/* Every field: its bounds are taken, one step beyond is refused by set and by check alike. */
void config_ranges_hold_in_set_and_check(void)
{
    for (unsigned i = 0; config_field_at(i) != NULL; i++) {
        const struct config_field *field = config_field_at(i);
        if (field->kind != CONFIG_NUMBER && field->kind != CONFIG_POWER) {
            continue;
        }
        try_value(field, field->min);
        try_value(field, field->max);
        try_value(field, field->max + 1);
        if (field->min > 0) {
            try_value(field, field->min - 1);
        }
    }
}

void config_check_wants_powers_of_two(void)
{
    struct gyr_config config = gyr_config_default();
    EXPECT_INT(set(&config, "submission_entries", "1000"), GYR_ERR_CONFIG, "1000");
    EXPECT_INT(set(&config, "completion_entries", "16383"), GYR_ERR_CONFIG, "16383");
    EXPECT_INT(set(&config, "recv_buffer_count", "3"), GYR_ERR_CONFIG, "3");
    EXPECT_INT(set(&config, "recv_buffer_count", "1"), 0, "1");
    config.recv_buffer_count = 6;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(config_check(&config, &error), GYR_ERR_CONFIG, "6");
    EXPECT(strstr(error.text, "recv_buffer_count = 6") != NULL, error.text);
}

void config_check_wants_fields_to_agree(void)
{
    EXPECT_INT(check_after("submission_entries", "4096"), 0, "a quarter of the default 16384");
    EXPECT_INT(check_after("submission_entries", "8192"), GYR_ERR_CONFIG, "half");
    EXPECT_INT(check_after("completion_entries", "2048"), GYR_ERR_CONFIG, "twice 1024");
    EXPECT_INT(check_after("target_size_max", "16383"), 0, "below head_size_max");
    EXPECT_INT(check_after("target_size_max", "16k"), GYR_ERR_CONFIG, "as head_size_max");
    EXPECT_INT(check_after("send_queue_low", "1m"), 0, "as send_queue_high");
    EXPECT_INT(check_after("send_queue_low", "1048577"), GYR_ERR_CONFIG, "above send_queue_high");
    EXPECT_INT(check_after("send_queue_high", "32m"), 0, "as send_queue_size_max");
    EXPECT_INT(check_after("send_queue_high", "33m"), GYR_ERR_CONFIG, "above it");
    EXPECT_INT(check_after("send_queue_size_max", "512k"), GYR_ERR_CONFIG, "below the high mark");
}

void config_of_an_older_header_is_completed(void)
{
    union {
        struct gyr_config config;
        char bytes[sizeof(struct gyr_config)];
    } old;
    memset(old.bytes, 0x55, sizeof(old.bytes));
    gyr_config_init(&old.config, OLD_SIZE);
    for (size_t i = OLD_SIZE; i < sizeof(old.bytes); i++) {
        EXPECT_INT(old.bytes[i], 0x55, "nothing behind its end is written");
    }
    EXPECT_INT(set(&old.config, "spin_us", "7"), 0, "a field it has");
    EXPECT_INT(set(&old.config, "connections_max", "7"), GYR_ERR_CONFIG, "a field it has not");
    EXPECT_INT(config_check(&old.config, NULL), 0, "garbage behind its end does not matter");
    struct gyr_config full;
    config_complete(&full, &old.config);
    EXPECT_INT(full.size, sizeof(full), "full");
    EXPECT_INT(full.spin_us, 7, "what it said");
    EXPECT_INT(full.connections_max, 65536, "what it could not say");
}

void config_of_a_newer_header_may_not_set_unknown_fields(void)
{
    union {
        struct gyr_config config;
        char bytes[sizeof(struct gyr_config) + 16];
    } newer;
    gyr_config_init(&newer.config, sizeof(newer));
    EXPECT_INT(config_check(&newer.config, NULL), 0, "unknown fields at rest");
    newer.bytes[sizeof(newer) - 1] = 1;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(config_check(&newer.config, &error), GYR_ERR_CONFIG, "an unknown field is set");
    EXPECT(strstr(error.text, GYR_VERSION) != NULL, error.text);
    newer.config.size = 0;
    EXPECT_INT(config_check(&newer.config, NULL), GYR_ERR_CONFIG, "never initialised");
}

void config_cores_wants_a_list(void)
{
    static const char *const bad[] = {",",     "0,", ",0", "0,,1", "-",   "0-",  "-0",   "1-0",
                                      "0-1-2", "a",  "0 ", " 0",   "0;1", "0x1", "0..1", "all"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct gyr_config config = gyr_config_default();
        EXPECT_INT(set(&config, "cores", bad[i]), GYR_ERR_CONFIG, bad[i]);
        (void)snprintf(config.cores, sizeof(config.cores), "%s", bad[i]);
        EXPECT_INT(config_check(&config, NULL), GYR_ERR_CONFIG, bad[i]);
    }
    struct gyr_config config = gyr_config_default();
    char text[sizeof(config.cores) + 1];
    memset(text, '1', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    EXPECT_INT(set(&config, "cores", text), GYR_ERR_CONFIG, "too long by its end");
    memset(config.cores, '1', sizeof(config.cores));
    EXPECT_INT(config_check(&config, NULL), GYR_ERR_CONFIG, "not ended");
}

/* The CPUs of the machine are what they are: the expectation is made of the affinity mask. */
void config_cores_are_the_allowed_ones(void)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
        test_skip("the affinity mask cannot be read");
        return;
    }
    struct gyr_config config = gyr_config_default();
    struct gyr_error error = {.text = ""};
    unsigned cpus[CPU_SETSIZE];
    unsigned count = 0;
    EXPECT_INT(config_cores(&config, cpus, CPU_SETSIZE, &count, &error), 0, error.text);
    EXPECT_INT(count, CPU_COUNT(&allowed), "all that are allowed");
    for (unsigned i = 0; i < count; i++) {
        EXPECT(CPU_ISSET(cpus[i], &allowed), "an allowed one");
        EXPECT(i == 0 || cpus[i - 1] < cpus[i], "in ascending order");
    }
    (void)snprintf(config.cores, sizeof(config.cores), "%u", cpus[count - 1]);
    unsigned last = 0;
    EXPECT_INT(config_cores(&config, &last, 1, &count, &error), 0, error.text);
    EXPECT_INT(count, 1, "one");
    EXPECT(CPU_ISSET(last, &allowed), "the one that was named");
    (void)snprintf(config.cores, sizeof(config.cores), "%u,%u", last, last);
    EXPECT_INT(config_cores(&config, cpus, 2, &count, &error), GYR_ERR_CONFIG, "named twice");
}

void config_cores_names_the_cpu_that_is_missing(void)
{
    struct gyr_config config = gyr_config_default();
    struct gyr_error error = {.text = ""};
    unsigned cpus[4];
    unsigned count = 77;
    EXPECT_INT(set(&config, "cores", "8000"), 0, "well formed");
    EXPECT_INT(config_cores(&config, cpus, 4, &count, &error), GYR_ERR_CONFIG, "no such CPU");
    EXPECT(strstr(error.text, "CPU 8000") != NULL, error.text);
    const char *allowed = strstr(error.text, "choose from ");
    EXPECT(allowed != NULL && isdigit((unsigned char)allowed[strlen("choose from ")]), error.text);
    EXPECT_INT(set(&config, "cores", "0-99999999999999999999"), 0, "well formed");
    EXPECT_INT(config_cores(&config, cpus, 4, &count, &error), GYR_ERR_CONFIG, "no such CPUs");
    EXPECT_INT(count, 77, "a failing call has changed nothing");
}

void config_cores_needs_room_for_all(void)
{
    struct gyr_config config = gyr_config_default();
    struct gyr_error error = {.text = ""};
    unsigned cpu;
    unsigned count;
    EXPECT_INT(config_cores(&config, &cpu, 0, &count, &error), GYR_ERR_CONFIG, "no room");
    EXPECT(strstr(error.text, "more than 0 CPUs") != NULL, error.text);
}
