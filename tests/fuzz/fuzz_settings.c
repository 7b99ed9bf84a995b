/* SPDX-License-Identifier: MIT */
/* An INI file of settings. Whatever it holds, it is taken or refused with one printable line that
 * names the file; what was refused has changed nothing; what was taken prints as a file that says
 * the same. */
#include "engine/config.h"
#include "engine/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT_SIZE_MAX 8192
#define PATH_SIZE      64
#define CORES_COMPARED 16 /* of CONFIG_CORES_MAX, for speed */

/* A file of these bytes that has a path. */
static int file_make(const void *bytes, size_t size, char path[PATH_SIZE])
{
    int fd = memfd_create("settings", MFD_CLOEXEC);
    ASSERT(fd >= 0);
    ASSERT(write(fd, bytes, size) == (ssize_t)size);
    (void)snprintf(path, PATH_SIZE, "/proc/self/fd/%d", fd);
    return fd;
}

static bool same(const struct gyr_settings *a, const struct gyr_settings *b)
{
    bool equal = true;
    for (uint32_t core = 0; core < CORES_COMPARED; core++) {
        struct gyr_config of_a;
        struct gyr_config of_b;
        settings_of_core(a, core, &of_a);
        settings_of_core(b, core, &of_b);
        const struct config_field *field;
        if (memcmp(&of_a, &of_b, sizeof(of_a)) == 0) {
            continue;
        }
        for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) { /* texts end earlier */
            equal = equal && config_field_equal(field, &of_a, &of_b);
        }
    }
    return equal;
}

static struct gyr_settings *settings_make(void)
{
    struct gyr_settings *settings = NULL;
    ASSERT(gyr_settings_create(NULL, &settings, NULL) == 0);
    return settings;
}

static void refused(const struct gyr_settings *settings, const char *path,
                    const struct gyr_error *error)
{
    struct gyr_settings *untouched = settings_make();
    ASSERT(strncmp(error->text, path, strlen(path)) == 0);
    for (const char *at = error->text; *at != '\0'; at++) {
        ASSERT((unsigned char)*at >= ' ' && *at != 0x7f);
    }
    ASSERT(same(settings, untouched));
    gyr_settings_destroy(untouched);
}

static void taken(const struct gyr_settings *settings)
{
    size_t size = gyr_settings_print(settings, NULL, 0);
    char *text = malloc(size + 1);
    char path[PATH_SIZE];
    ASSERT(text != NULL);
    ASSERT(gyr_settings_print(settings, text, size + 1) == size);
    int fd = file_make(text, size, path);
    struct gyr_settings *again = settings_make();
    ASSERT(gyr_settings_read(again, path, NULL) == 0);
    ASSERT(same(settings, again));
    gyr_settings_destroy(again);
    (void)close(fd);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_SIZE_MAX) {
        return -1;
    }
    char path[PATH_SIZE];
    int fd = file_make(data, size, path);
    struct gyr_settings *settings = settings_make();
    struct gyr_error error = {.text = ""};
    int err = gyr_settings_read(settings, path, &error);
    if (err < 0) {
        refused(settings, path, &error);
    } else {
        taken(settings);
        (void)gyr_settings_check(settings, &error);
    }
    gyr_settings_destroy(settings);
    (void)close(fd);
    return 0;
}
