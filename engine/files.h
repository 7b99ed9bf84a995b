/* SPDX-License-Identifier: MIT */
/* A folder whose files are served, as gyr_files_open makes it; nothing of it changes before
 * gyr_files_close, so that all cores may read it. */
#ifndef ENGINE_FILES_H
#define ENGINE_FILES_H

#include "base/base.h"
#include "gyr/gyr.h"

struct gyr_files {
    int folder_fd;
    bool precompressed;
    char *index; /* owned; "": none */
    size_t index_size;
    char *cache_control; /* owned; NULL: none */
    size_t cache_control_size;
};

/* The same for a folder that is open already: the caller keeps the descriptor. Errors as
 * gyr_files_open. */
MUST_CHECK int files_create(int folder_fd, const struct gyr_files_options *options,
                            struct gyr_files **files, struct gyr_error *error);
void files_destroy(struct gyr_files *files);

/* ---- files_type.c ---- */

/* The Content-Type of a file by the extension of its name; "application/octet-stream" if that is
 * not known. Lives for ever. */
struct span files_type_of(struct span path);

#endif
