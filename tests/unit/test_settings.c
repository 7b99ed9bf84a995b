/* SPDX-License-Identifier: MIT */
/* Settings in layers: which of them wins, that each value keeps the name of where it came from,
 * that what is printed can be read again, and that each mistake is answered by a line that names
 * the place, the value and what is wrong with it. */
#include "engine/settings.h"

#include "engine/config.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"
#include "tests/run_tests.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TEXT_SIZE 65536

/* ---- helpers ---- */

static struct gyr_settings *begin(const struct gyr_config *config)
{
    struct gyr_settings *settings = NULL;
    struct gyr_error error = {.text = ""};
    EXPECT_INT(gyr_settings_create(config, &settings, &error), 0, error.text);
    CU_ASSERT_FATAL(settings != NULL);
    return settings;
}

/* Read a file with this text; it is called `path` afterwards. */
static int read_text(struct gyr_settings *settings, const char *text, size_t size, char path[32],
                     struct gyr_error *error)
{
    strcpy(path, "/tmp/gyr-ini-XXXXXX");
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_FATAL(write(fd, text, size) == (ssize_t)size);
    (void)close(fd);
    int err = gyr_settings_read(settings, path, error);
    (void)unlink(path);
    return err;
}

static void read_good(struct gyr_settings *settings, const char *text)
{
    char path[32];
    struct gyr_error error = {.text = ""};
    EXPECT_INT(read_text(settings, text, strlen(text), path, &error), 0, error.text);
}

static int set(struct gyr_settings *settings, const char *name, const char *value,
               struct gyr_error *error)
{
    error->text[0] = '\0';
    return gyr_settings_set(settings, name, value, "--set", error);
}

static void set_good(struct gyr_settings *settings, const char *name, const char *value)
{
    struct gyr_error error;
    EXPECT_INT(set(settings, name, value, &error), 0, error.text);
}

static int read_environment(struct gyr_settings *settings, const char *const *variables,
                            struct gyr_error *error)
{
    char **own = environ;
    char *copies[8] = {NULL};
    for (unsigned i = 0; variables != NULL && variables[i] != NULL; i++) {
        CU_ASSERT_FATAL(i + 1 < COUNT_OF(copies));
        copies[i] = strdup(variables[i]);
    }
    environ = variables != NULL ? copies : NULL;
    int err = gyr_settings_environment(settings, error);
    environ = own;
    for (unsigned i = 0; i < COUNT_OF(copies); i++) {
        free(copies[i]);
    }
    return err;
}

static void expect_line(const struct gyr_settings *settings, const char *line)
{
    static char text[TEXT_SIZE];
    char wanted[256];
    (void)snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    text[0] = '\n';
    size_t size = gyr_settings_print(settings, text + 1, sizeof(text) - 1);
    EXPECT(size < sizeof(text) - 1, "the text fits");
    EXPECT(strstr(text, wanted) != NULL, line);
}

static void expect_error(const struct gyr_error *error, const char *const words[4])
{
    EXPECT(strchr(error->text, '\n') == NULL, error->text);
    for (unsigned i = 0; i < 4 && words[i] != NULL; i++) {
        if (strstr(error->text, words[i]) == NULL) {
            printf("    no \"%s\" in \"%s\"\n", words[i], error->text);
            EXPECT(false, words[i]);
        }
    }
}

static struct gyr_config of_core(const struct gyr_settings *settings, uint32_t core)
{
    struct gyr_config config;
    settings_of_core(settings, core, &config);
    return config;
}

/* ---- layers ---- */

void settings_of_a_later_layer_win(void)
{
    const char *const variables[] = {"PATH=/bin", "GYR_SPIN_US=30", "GYR_HOSTS=a b", NULL};
    struct gyr_config program = gyr_config_default();
    program.spin_us = 1;
    program.message_size_max = 1000;
    struct gyr_error error = {.text = ""};
    struct gyr_settings *settings = begin(&program);
    EXPECT_INT(gyr_settings_config(settings)->spin_us, 1, "the structure");
    expect_line(settings, "spin_us = 1  # microseconds, 0 to 1000000; program");
    read_good(settings, "spin_us = 20\nbody_size_max = 5k\n");
    EXPECT_INT(gyr_settings_config(settings)->spin_us, 20, "the file");
    EXPECT_INT(read_environment(settings, variables, &error), 0, error.text);
    EXPECT_INT(gyr_settings_config(settings)->spin_us, 30, "the environment");
    expect_line(settings, "spin_us = 30  # microseconds, 0 to 1000000; GYR_SPIN_US");
    set_good(settings, "spin_us", "40");
    set_good(settings, "spin_us", "41");
    EXPECT_INT(gyr_settings_config(settings)->spin_us, 41, "the command line, the last of it");
    expect_line(settings, "spin_us = 41  # microseconds, 0 to 1000000; --set");
    EXPECT_INT(gyr_settings_config(settings)->message_size_max, 1000, "nobody else set it");
    EXPECT_INT(gyr_settings_config(settings)->body_size_max, 5120, "of the file");
    expect_line(settings, "hosts = a b  # hosts; empty: any, up to 1023 characters; GYR_HOSTS");
    expect_line(settings, "pin = 0  # switch, 0 to 1; default");
    EXPECT_INT(gyr_settings_check(settings, &error), 0, error.text);
    gyr_settings_destroy(settings);
}

void settings_of_one_core_win_on_that_core(void)
{
    const char *const variables[] = {"GYR_CORE_1_READ_ROUNDS_MAX=7", "GYR_CORE_HEAP_SIZE_MAX=1m",
                                     NULL};
    struct gyr_error error = {.text = ""};
    struct gyr_settings *settings = begin(NULL);
    read_good(settings, "[core 1]\nspin_us = 50\npin=1\n\n[core 1023]\nspin_us=60\n"
                        "[core 1]\nsend_queue_low = 5\n");
    EXPECT_INT(read_environment(settings, variables, &error), 0, error.text);
    set_good(settings, "core 1.pin", "0");
    set_good(settings, "spin_us", "9");
    EXPECT_INT(gyr_settings_config(settings)->spin_us, 9, "all");
    EXPECT_INT(of_core(settings, 0).spin_us, 9, "core 0 is like all");
    struct gyr_config core = of_core(settings, 1);
    EXPECT_INT(core.spin_us, 50, "although all were set later");
    EXPECT_INT(core.pin, 0, "a later layer");
    EXPECT_INT(core.send_queue_low, 5, "a section may go on");
    EXPECT_INT(core.read_rounds_max, 7, "the environment");
    EXPECT_INT(core.core_heap_size_max, 1 << 20, "GYR_CORE_ is no core without a number");
    EXPECT_INT(of_core(settings, 1023).spin_us, 60, "the last there can be");
    expect_line(settings, "[core 1]");
    expect_line(settings, "read_rounds_max = 7  # reads, 1 to 64; GYR_CORE_1_READ_ROUNDS_MAX");
    gyr_settings_destroy(settings);
}

void settings_print_names_the_line_of_a_file(void)
{
    struct gyr_settings *settings = begin(NULL);
    char path[32];
    struct gyr_error error;
    static const char text[] = "\xef\xbb\xbf; a comment\r\n"
                               "\r\n"
                               "  spin_us = 5 # five\r\n"
                               "\t# another\n"
                               "cores=;none\n"
                               "\t[core 0] ; this one\n"
                               "   spin_us=6\n"
                               "pin : 1";
    EXPECT_INT(read_text(settings, text, sizeof(text) - 1, path, &error), 0, error.text);
    EXPECT_INT(gyr_settings_config(settings)->spin_us, 5, "all");
    EXPECT_INT(of_core(settings, 0).spin_us, 6, "indented");
    EXPECT_INT(of_core(settings, 0).pin, 1, "the last line needs no end");
    char line[128];
    (void)snprintf(line, sizeof(line), "spin_us = 5  # microseconds, 0 to 1000000; %s:3", path);
    expect_line(settings, line);
    (void)snprintf(line, sizeof(line), "spin_us = 6  # microseconds, 0 to 1000000; %s:7", path);
    expect_line(settings, line);
    gyr_settings_destroy(settings);
}

void settings_print_can_be_read_again(void)
{
    static char text[TEXT_SIZE];
    static char again[TEXT_SIZE];
    struct gyr_settings *settings = begin(NULL);
    set_good(settings, "origins", "https://a.example https://*.b.example:8443 null");
    set_good(settings, "cores", "0-1");
    set_good(settings, "core 1.cpu", "3");
    set_good(settings, "core 1.core_heap_size_max", "3m");
    set_good(settings, "core 7.spin_us", "3");
    set_good(settings, "log_level", "debug");
    size_t size = gyr_settings_print(settings, text, sizeof(text));
    EXPECT_INT(size, strlen(text), "it says its size");
    EXPECT_INT(gyr_settings_print(settings, NULL, 0), size, "without room too");
    struct gyr_settings *copy = begin(NULL);
    read_good(copy, text);
    for (unsigned core = 0; core < 9; core++) {
        struct gyr_config a = of_core(settings, core);
        struct gyr_config b = of_core(copy, core);
        EXPECT(memcmp(&a, &b, sizeof(a)) == 0, "the same configuration");
    }
    static const size_t rooms[] = {1, 2, 50, 100, 1000, 3000};
    for (size_t i = 0; i < COUNT_OF(rooms); i++) {
        memset(again, 'x', sizeof(again));
        EXPECT_INT(gyr_settings_print(settings, again, rooms[i]), size, "the size of all");
        EXPECT(memcmp(again, text, rooms[i] - 1) == 0, "as much as fits");
        EXPECT(again[rooms[i] - 1] == '\0' && again[rooms[i]] == 'x', "and no more");
    }
    gyr_settings_destroy(settings);
    gyr_settings_destroy(copy);
}

/* inih has room for lines of 199 bytes; where a line is cut must not show. */
void settings_file_takes_long_lines(void)
{
    for (unsigned shift = 1; shift < 340; shift++) {
        char value[1024];
        char text[1200];
        size_t size = 0;
        for (; size < shift; size++) {
            value[size] = size == 0 || (shift - size) % 2 == 1 ? 'a' : ' ';
        }
        while (size + 20 < 1000) {
            size += (size_t)snprintf(value + size, sizeof(value) - size, " b%zu:443 [::1]", size);
        }
        (void)snprintf(text, sizeof(text), "hosts=%s#comment\nspin_us=3", value);
        struct gyr_settings *settings = begin(NULL);
        read_good(settings, text);
        EXPECT(strcmp(gyr_settings_config(settings)->hosts, value) == 0, value);
        EXPECT_INT(gyr_settings_config(settings)->spin_us, 3, "the next line");
        gyr_settings_destroy(settings);
    }
    struct gyr_settings *settings = begin(NULL);
    char text[1024];
    (void)snprintf(text, sizeof(text), "hosts = a%*sb", 600, "");
    read_good(settings, text);
    EXPECT(strcmp(gyr_settings_config(settings)->hosts, "a b") == 0, "blanks past a whole piece");
    gyr_settings_destroy(settings);
}

/* ---- mistakes ---- */

static char long_line[4096];
static char long_value[2000];

void settings_file_mistakes_are_named_with_their_line(void)
{
    static const struct {
        const char *text;
        const char *words[4]; /* the first is the line */
    } rows[] = {
        {"spin_us", {":1: ", "spin_us", "name = value"}},
        {"pin=0\n\n= 5", {":3: ", "no setting"}},
        {"pin=0\n5\npin=7", {":2: ", "5", "name = value"}},
        {"spn_us = 5", {":1: ", "spn_us = 5", "did you mean spin_us?"}},
        {"# a\nmesage_size_max = 5", {":2: ", "mesage_size_max", "did you mean message_size_max?"}},
        {"SPIN_US = 5", {":1: ", "SPIN_US = 5", "no setting of this name"}},
        {"frobnicate = 5", {":1: ", "frobnicate = 5", "no setting of this name"}},
        {"size = 5", {":1: ", "size = 5", "no setting of this name"}},
        {"pin = 7", {":1: ", "pin = 7", "0 to 1", "lower it"}},
        {"pin =", {":1: ", "pin =", "not a number"}},
        {"pin = 1 0", {":1: ", "pin = 1 0", "not a number"}},
        {"pin = \"1\"", {":1: ", "not a number"}},
        {"body_size_max = 99999999999999999999", {":1: ", "body_size_max", "far too large"}},
        {"recv_buffer_count = 3", {":1: ", "recv_buffer_count = 3", "power of two"}},
        {"balance = most", {":1: ", "balance = most", "hash or least"}},
        {"cores = 1-", {":1: ", "cores", "0-3,6"}},
        {"hosts = a\001b", {":1: ", "hosts", "control character"}},
        {"pin = 0\nspin_us = 1\npin = 1", {":3: ", "pin = 1", ":1 has set it already"}},
        {"[core 1]\nspin_us=1\n[core 2]\nspin_us=1\n[core 1]\nspin_us=1",
         {":6: ", "core 1: ", "spin_us = 1", ":2 has set it already"}},
        {"[core 1]\nlisten_backlog=5", {":2: ", "core 1: ", "listen_backlog = 5", "all cores"}},
        {"[core 0]\nmessage_size_max=5", {":2: ", "core 0: ", "message_size_max", "all cores"}},
        {"[core 0]\nfrobnicate=5", {":2: ", "core 0: ", "frobnicate", "no setting"}},
        {"cpu = 1", {":1: ", "cpu = 1", "[core 0]"}},
        {"[core 0]\ncpu = 8192", {":2: ", "core 0: ", "cpu = 8192", "0 to 8191"}},
        {"[core 0]\ncpu = any", {":2: ", "core 0: ", "cpu = any", "not a number"}},
        {"[cores]", {":1: ", "[cores]", "no such section", "[core 1]"}},
        {"[core]", {":1: ", "[core]", "no such section"}},
        {"[core -1]", {":1: ", "[core -1]", "no such section"}},
        {"[core 1", {":1: ", "[core 1", "no such section"}},
        {"[core 1] pin=0", {":1: ", "[core 1] pin=0", "no such section"}},
        {"[core 1024]", {":1: ", "[core 1024]", "no such section"}},
        {"[core 99999999999999999999]", {":1: ", "no such section"}},
        {"[CORE 1]", {":1: ", "[CORE 1]", "no such section"}},
        {"[]", {":1: ", "[]", "no such section"}},
        {long_line, {":2: ", "lines below 2048"}},
        {long_value, {":2: ", "hosts", "longer than 1023"}},
    };
    memset(long_line, 'a', sizeof(long_line) - 1);
    memcpy(long_line, "pin=0\nhosts=", 12);
    memset(long_value, 'a', 12 + 1024);
    memcpy(long_value, "pin=0\nhosts=", 12);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *text = rows[i].text;
        struct gyr_settings *settings = begin(NULL);
        struct gyr_error error = {.text = ""};
        char path[32];
        int err = read_text(settings, text, strlen(text), path, &error);
        EXPECT_INT(err, GYR_ERR_CONFIG, text);
        EXPECT(strncmp(error.text, path, strlen(path)) == 0, error.text);
        expect_error(&error, rows[i].words);
        gyr_settings_destroy(settings);
    }
}

void settings_file_that_is_no_text_is_refused(void)
{
    struct gyr_settings *settings = begin(NULL);
    struct gyr_error error;
    char path[32];
    EXPECT_INT(read_text(settings, "pin=0\npin\0=1", 12, path, &error), GYR_ERR_CONFIG, "a zero");
    EXPECT(strstr(error.text, ":2: ") != NULL, error.text);
    EXPECT_INT(read_text(settings, "", 0, path, &error), 0, "an empty file is none");
    EXPECT_INT(gyr_settings_read(settings, "/nowhere/at/all", &error), -ENOENT, "no file");
    EXPECT(strstr(error.text, "/nowhere/at/all") != NULL, error.text);
    EXPECT_INT(gyr_settings_read(settings, "/tmp", &error), -EIO, "a folder");
    EXPECT(strstr(error.text, "/tmp") != NULL, error.text);
    EXPECT_INT(gyr_settings_read(settings, "/nowhere/at/all", NULL), -ENOENT, "nobody asks why");
    gyr_settings_destroy(settings);
}

void settings_layer_that_fails_has_changed_nothing(void)
{
    const char *const variables[] = {"GYR_SPIN_US=8", "GYR_CORE_2_SPIN_US=8", "GYR_PIN=9", NULL};
    struct gyr_settings *settings = begin(NULL);
    struct gyr_error error;
    char path[32];
    static const char text[] = "spin_us = 7\n[core 1]\nspin_us=7\npin=9\n";
    EXPECT_INT(read_text(settings, text, sizeof(text) - 1, path, &error), GYR_ERR_CONFIG, "pin=9");
    EXPECT_INT(read_environment(settings, variables, &error), GYR_ERR_CONFIG, "GYR_PIN=9");
    EXPECT_INT(set(settings, "spin_us", "many", &error), GYR_ERR_CONFIG, "many");
    for (unsigned core = 0; core < 3; core++) {
        EXPECT_INT(of_core(settings, core).spin_us, 0, "as before");
    }
    expect_line(settings, "spin_us = 0  # microseconds, 0 to 1000000; default");
    static char printed[TEXT_SIZE];
    gyr_settings_print(settings, printed, sizeof(printed));
    EXPECT(strstr(printed, "[core") == NULL, "nor a section");
    gyr_settings_destroy(settings);
}

void settings_environment_knows_its_names_and_no_others(void)
{
    static const struct {
        const char *variable;
        const char *words[4];
    } rows[] = {
        {"GYR_BIN=/bin", {"GYR_BIN", "/bin", "no setting of this name", "unset it"}},
        {"GYR_SPN_US=1", {"GYR_SPN_US = 1", "spin_us"}},
        {"GYR_spin_us=1", {"GYR_spin_us = 1", "no setting of this name"}},
        {"GYR_=1", {"GYR_ = 1", "no setting of this name"}},
        {"GYR_CORE_1=1", {"GYR_CORE_1 = 1", "no core", "GYR_CORE_1_SPIN_US"}},
        {"GYR_CORE_1SPIN_US=1", {"GYR_CORE_1SPIN_US", "no core"}},
        {"GYR_CORE_1024_SPIN_US=1", {"GYR_CORE_1024_SPIN_US", "no core", "1023"}},
        {"GYR_CORE_X_SPIN_US=1", {"GYR_CORE_X_SPIN_US", "no setting of this name"}},
        {"GYR_CORE_1_RING=epoll", {"GYR_CORE_1_RING: ", "core 1: ", "ring = epoll", "all cores"}},
        {"GYR_CORE_1_SPIN_US=-1", {"GYR_CORE_1_SPIN_US: ", "core 1: ", "spin_us = -1"}},
        {"GYR_PIN=2", {"GYR_PIN: ", "pin = 2", "0 to 1"}},
        {"GYR_PIN", {"GYR_PIN: ", "not a number"}},
        {"GYR_THIS_IS_A_NAME_THAT_IS_MUCH_LONGER_THAN_THE_NAME_OF_ANY_SETTING_CAN_EVER_BE=1",
         {"GYR_THIS_IS", "no setting of this name"}},
    };
    struct gyr_settings *settings = begin(NULL);
    struct gyr_error error;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *const variables[] = {"HOME=/", rows[i].variable, NULL};
        int err = read_environment(settings, variables, &error);
        EXPECT_INT(err, GYR_ERR_CONFIG, rows[i].variable);
        expect_error(&error, rows[i].words);
    }
    const char *const twice[] = {"GYR_PIN=0", "GYR_PIN=1", NULL};
    EXPECT_INT(read_environment(settings, twice, &error), GYR_ERR_CONFIG, "which of the two?");
    const char *const none[] = {"GYRPIN=7", "XGYR_PIN=7", "gyr_pin=7", NULL};
    EXPECT_INT(read_environment(settings, none, &error), 0, "not ours");
    EXPECT_INT(read_environment(settings, NULL, &error), 0, "no environment at all");
    gyr_settings_destroy(settings);
}

void settings_set_names_what_it_cannot_take(void)
{
    static const struct {
        const char *name;
        const char *words[4];
    } rows[] = {
        {"core 1", {"--set", "core 1 = 5", "core 1.spin_us"}},
        {"core 1 spin_us", {"--set", "core 1 spin_us", "core 1.spin_us"}},
        {"core .spin_us", {"--set", "core .spin_us", "core 1.spin_us"}},
        {"core 1024.spin_us", {"--set", "core 1024.spin_us", "1023"}},
        {"core 4294967296.spin_us", {"--set", "core 4294967296.spin_us", "1023"}},
        {"core 1.", {"--set: ", "core 1: ", "no setting of this name"}},
        {"core 1.spin", {"--set: ", "core 1: ", "spin = 5", "no setting of this name"}},
        {"core 1.offload_threads", {"--set: ", "core 1: ", "offload_threads = 5", "all cores"}},
        {"core 1.pin", {"--set: ", "core 1: ", "pin = 5", "0 to 1"}},
        {"cpu", {"--set: ", "cpu = 5", "one core"}},
        {"", {"--set: ", "no setting of this name"}},
    };
    struct gyr_settings *settings = begin(NULL);
    struct gyr_error error;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(set(settings, rows[i].name, "5", &error), GYR_ERR_CONFIG, rows[i].name);
        expect_error(&error, rows[i].words);
    }
    EXPECT_INT(set(settings, "cpu", "auto", &error), 0, "what it is anyway");
    gyr_settings_destroy(settings);
}

void settings_check_names_both_origins_of_a_relation(void)
{
    struct gyr_settings *settings = begin(NULL);
    struct gyr_error error;
    set_good(settings, "send_queue_low", "2m");
    EXPECT_INT(gyr_settings_check(settings, &error), GYR_ERR_CONFIG, "above the high mark");
    expect_error(&error, (const char *const[4]){"send_queue_low = 2m (--set)",
                                                "send_queue_high = 1m (default)"});
    set_good(settings, "send_queue_high", "3m");
    EXPECT_INT(gyr_settings_check(settings, &error), 0, error.text);
    read_good(settings, "[core 0]\nsend_queue_high=1m");
    EXPECT_INT(gyr_settings_check(settings, &error), GYR_ERR_CONFIG, "on that core");
    expect_error(&error, (const char *const[4]){"core 0: ", "send_queue_low = 2m (--set)",
                                                "send_queue_high = 1m (/tmp/gyr-ini-", ":2)"});
    gyr_settings_destroy(settings);
}

void settings_check_names_a_section_without_a_core(void)
{
    struct gyr_config config = kit_server_config(1);
    struct gyr_settings *settings = begin(&config);
    struct gyr_error error;
    read_good(settings, "[core 0]\npin=0\n[core 1]\n\n");
    EXPECT_INT(gyr_settings_check(settings, &error), 0, "an empty section is none");
    char path[32];
    static const char text[] = "\n[core 9]\nspin_us=5\n";
    EXPECT_INT(read_text(settings, text, sizeof(text) - 1, path, &error), 0, error.text);
    EXPECT_INT(gyr_settings_check(settings, &error), GYR_ERR_CONFIG, "there is no core 9");
    expect_error(&error, (const char *const[4]){path, ":3: core 9: spin_us = 5",
                                                "cores 0 to 0 only", "cores"});
    struct gyr_service service = {.size = sizeof(service)};
    struct gyr_server *server = NULL;
    EXPECT_INT(gyr_server_create_with(settings, &service, &server, &error), GYR_ERR_CONFIG,
               "nor for a server");
    EXPECT(strstr(error.text, ":3: core 9: ") != NULL, error.text);
    gyr_settings_destroy(settings);
}

void settings_check_wants_a_cpu_for_each_core(void)
{
    struct gyr_config config = kit_server_config(2);
    struct gyr_error error;
    unsigned cpus[CONFIG_CORES_MAX];
    unsigned count;
    struct gyr_settings *settings = begin(&config);
    set_good(settings, "core 0.cpu", "8191");
    EXPECT_INT(gyr_settings_check(settings, &error), GYR_ERR_CONFIG, "no machine has it");
    expect_error(&error, (const char *const[4]){"--set: core 0: cpu = 8191", "not allowed"});
    set_good(settings, "core 0.cpu", "auto");
    EXPECT_INT(settings_cpus(settings, cpus, CONFIG_CORES_MAX, &count, &error), 0, error.text);
    if (count < 2) {
        test_skip("not enough CPUs");
        gyr_settings_destroy(settings);
        return;
    }
    char cpu[16];
    (void)snprintf(cpu, sizeof(cpu), "%u", cpus[1]);
    set_good(settings, "core 0.cpu", cpu);
    EXPECT_INT(gyr_settings_check(settings, &error), GYR_ERR_CONFIG, "it is that of core 1");
    expect_error(&error, (const char *const[4]){"--set: core 0: cpu = ", "core 1 too"});
    (void)snprintf(cpu, sizeof(cpu), "%u", cpus[0]);
    set_good(settings, "core 1.cpu", cpu);
    unsigned swapped[CONFIG_CORES_MAX];
    EXPECT_INT(settings_cpus(settings, swapped, CONFIG_CORES_MAX, &count, &error), 0, error.text);
    EXPECT(swapped[0] == cpus[1] && swapped[1] == cpus[0], "each has the other's");
    set_good(settings, "cores", "8000");
    EXPECT_INT(gyr_settings_check(settings, &error), GYR_ERR_CONFIG, "no machine has it");
    expect_error(&error, (const char *const[4]){"--set: cores", "8000"});
    gyr_settings_destroy(settings);
}

void settings_create_checks_the_structure(void)
{
    struct gyr_config config = gyr_config_default();
    struct gyr_settings *settings = NULL;
    struct gyr_error error;
    config.pin = 2;
    EXPECT_INT(gyr_settings_create(&config, &settings, &error), GYR_ERR_CONFIG, "out of range");
    EXPECT(strncmp(error.text, "pin = 2", 7) == 0, error.text);
    config = gyr_config_default();
    config.cpu = 0;
    EXPECT_INT(gyr_settings_create(&config, &settings, &error), GYR_ERR_CONFIG, "of one core");
    EXPECT(strncmp(error.text, "cpu = 0", 7) == 0, error.text);
    config.size = 0;
    EXPECT_INT(gyr_settings_create(&config, &settings, &error), GYR_ERR_CONFIG, "not made");
    config = gyr_config_default();
    memset(config.hosts, 'a', sizeof(config.hosts));
    EXPECT_INT(gyr_settings_create(&config, &settings, &error), GYR_ERR_CONFIG, "without end");
    config = gyr_config_default();
    strcpy(config.hosts, "a # b");
    EXPECT_INT(gyr_settings_create(&config, &settings, &error), GYR_ERR_CONFIG, "a comment");
    EXPECT(settings == NULL, "nothing is left");
    gyr_config_init(&config, offsetof(struct gyr_config, ring));
    config.spin_us = 5;
    settings = begin(&config);
    EXPECT_INT(gyr_settings_config(settings)->size, sizeof(config), "an older header");
    EXPECT_INT(gyr_settings_config(settings)->spin_us, 5, "is completed");
    EXPECT_INT(gyr_settings_config(settings)->read_rounds_max, 4, "by the defaults");
    gyr_settings_destroy(settings);
    gyr_settings_destroy(NULL);
}

/* The example of the page is one. */
void settings_file_of_the_documentation_is_usable(void)
{
    static char page[TEXT_SIZE];
    FILE *file = fopen("docs/configuration.md", "r");
    if (file == NULL) {
        test_skip("not run from the root of the sources");
        return;
    }
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    (void)fclose(file);
    char *begin_text = strstr(page, "\n```ini\n");
    char *end_text = begin_text != NULL ? strstr(begin_text, "```\n\n") : NULL;
    CU_ASSERT_FATAL(end_text != NULL);
    *end_text = '\0';
    struct gyr_settings *settings = begin(NULL);
    struct gyr_error error = {.text = ""};
    read_good(settings, begin_text + strlen("\n```ini\n"));
    EXPECT_INT(settings_check(settings, 2, &error), 0, error.text);
    EXPECT_INT(of_core(settings, 0).spin_us, 0, "not this core");
    EXPECT_INT(of_core(settings, 1).spin_us, 50, "this core alone");
    EXPECT(strcmp(gyr_settings_config(settings)->origins,
                  "https://chat.example https://*.chat.example") == 0,
           "a list");
    gyr_settings_destroy(settings);
}
