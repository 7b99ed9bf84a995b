/* SPDX-License-Identifier: MIT */
/* Folders of files: opened once, before the server starts, and closed after it has ended. What is
 * served of them is the matter of engine/session_file.c. */
#include "engine/files.h"

#include "engine/error.h"
#include "engine/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int options_take(const struct gyr_files_options *options, struct gyr_files *files,
                        struct gyr_error *error);
static int text_keep(const char *text, char **kept, size_t *size);
static bool value_is_valid(const char *text);

int gyr_files_open(const char *folder, const struct gyr_files_options *options,
                   struct gyr_files **files, struct gyr_error *error)
{
    /* O_PATH: the folder itself need not be readable, only what is served of it. */
    int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        int err = -errno;
        return ERROR_SET(error, err, "files: folder \"%s\": %s", folder, gyr_strerror(err));
    }
    int err = files_create(fd, options, files, error);
    if (err < 0) {
        (void)close(fd);
    }
    return err;
}

void gyr_files_close(struct gyr_files *files)
{
    if (files != NULL) {
        (void)close(files->folder_fd);
        files_destroy(files);
    }
}

int files_create(int folder_fd, const struct gyr_files_options *options, struct gyr_files **files,
                 struct gyr_error *error)
{
    struct gyr_files_options full = {0};
    if (options != NULL) {
        if (options->size == 0) {
            return ERROR_SET(error, GYR_ERR_ARGUMENT,
                             "files: options.size is 0; set it to sizeof(options)");
        }
        memcpy(&full, options, MIN(options->size, sizeof(full)));
    }
    struct gyr_files *made = memory_alloc(sizeof(*made));
    if (made == NULL) {
        return ERROR_SET(error, GYR_ERR_MEMORY, "files: no memory");
    }
    *made = (struct gyr_files){.folder_fd = folder_fd, .precompressed = full.precompressed};
    int err = options_take(&full, made, error);
    if (err < 0) {
        files_destroy(made);
        return err;
    }
    *files = made;
    return 0;
}

void files_destroy(struct gyr_files *files)
{
    memory_free(files->index);
    memory_free(files->cache_control);
    memory_free(files);
}

static int options_take(const struct gyr_files_options *options, struct gyr_files *files,
                        struct gyr_error *error)
{
    const char *index = options->index != NULL ? options->index : "index.html";
    const char *cache_control = options->cache_control;
    if (index[0] == '.' || strchr(index, '/') != NULL) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "files: index \"%s\" is no name of a file in a folder: no slash, and no "
                         "dot at its begin",
                         index);
    }
    if (cache_control != NULL && !value_is_valid(cache_control)) {
        return ERROR_SET(error, GYR_ERR_ARGUMENT,
                         "files: cache_control holds a control character, which no field may");
    }
    int err = text_keep(index, &files->index, &files->index_size);
    if (err == 0 && cache_control != NULL) {
        err = text_keep(cache_control, &files->cache_control, &files->cache_control_size);
    }
    return err == 0 ? 0 : ERROR_SET(error, err, "files: no memory");
}

static int text_keep(const char *text, char **kept, size_t *size)
{
    *size = strlen(text);
    *kept = memory_alloc(*size + 1);
    if (*kept == NULL) {
        return GYR_ERR_MEMORY;
    }
    memcpy(*kept, text, *size + 1);
    return 0;
}

/* RFC 9110 section 5.5. */
static bool value_is_valid(const char *text)
{
    for (const char *at = text; *at != 0; at++) {
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f) {
            return false;
        }
    }
    return true;
}
