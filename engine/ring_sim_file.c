/* SPDX-License-Identifier: MIT */
/* The files of a simulated world: one tree, given by the test, in which every file is known by its
 * path. Opening follows openat2(2) with RESOLVE_BENEATH: ".." above the folder, an absolute path
 * and a symbolic link out of it are -EXDEV. */
#include "engine/ring_sim_net.h"

#include <errno.h>
#include <stdlib.h>

#define PATH_SIZE     4096 /* with its NUL, as of a kernel */
#define NAME_SIZE_MAX 255
#define LINKS_MAX     40

enum sim_file_kind {
    FILE_REGULAR,
    FILE_FOLDER,
    FILE_LINK,
    FILE_FIFO,
};

struct sim_file {
    struct sim_file *next;
    enum sim_file_kind kind;
    bool refused;
    char *path;     /* owned; from the root */
    char *target;   /* owned; of a link */
    uint8_t *bytes; /* owned */
    size_t size;
    int64_t modified_seconds;
};

/* A path on its way through the tree. */
struct walk {
    char at[PATH_SIZE];   /* the file that was reached, from the root */
    char rest[PATH_SIZE]; /* what is still to go */
    size_t floor;         /* size of `at` for the folder that must not be left */
    unsigned links;
};

static struct sim_file *file_find(const struct sim *sim, const char *path)
{
    for (struct sim_file *file = sim->files; file != NULL; file = file->next) {
        if (strcmp(file->path, path) == 0) {
            return file;
        }
    }
    return NULL;
}

static struct sim_file *file_make(struct sim *sim, const char *path, enum sim_file_kind kind)
{
    struct sim_file *file = file_find(sim, path);
    if (file == NULL) {
        file = sim_alloc(1, sizeof(*file));
        file->path = strdup(path);
        ASSERT(file->path != NULL && strlen(path) < PATH_SIZE);
        file->next = sim->files;
        sim->files = file;
    }
    free(file->bytes);
    free(file->target);
    file->bytes = NULL;
    file->target = NULL;
    file->size = 0;
    file->kind = kind;
    return file;
}

void sim_file_write(struct sim *sim, const char *path, const void *bytes, size_t size,
                    int64_t modified_seconds)
{
    struct sim_file *file = file_make(sim, path, FILE_REGULAR);
    file->bytes = sim_alloc(size + 1, 1);
    if (size != 0) {
        memcpy(file->bytes, bytes, size);
    }
    file->size = size;
    file->modified_seconds = modified_seconds;
}

void sim_file_folder(struct sim *sim, const char *path)
{
    (void)file_make(sim, path, FILE_FOLDER);
}

void sim_file_link(struct sim *sim, const char *path, const char *target)
{
    struct sim_file *file = file_make(sim, path, FILE_LINK);
    file->target = strdup(target);
    ASSERT(file->target != NULL);
}

void sim_file_fifo(struct sim *sim, const char *path)
{
    (void)file_make(sim, path, FILE_FIFO);
}

void sim_file_refuse(struct sim *sim, const char *path)
{
    struct sim_file *file = file_find(sim, path);
    ASSERT(file != NULL);
    file->refused = true;
}

int sim_folder_open(struct sim *sim, const char *path)
{
    struct sim_file *file = file_find(sim, path);
    if (file == NULL && path[0] == 0) {
        file = file_make(sim, path, FILE_FOLDER);
    }
    ASSERT(file != NULL && file->kind == FILE_FOLDER);
    return sim_socket_of_file(sim, SIM_FOLDER, file);
}

void sim_files_free(struct sim *sim)
{
    while (sim->files != NULL) {
        struct sim_file *file = sim->files;
        sim->files = file->next;
        free(file->path);
        free(file->target);
        free(file->bytes);
        free(file);
    }
}

/* ---- Walking ---- */

/* Append to a text of PATH_SIZE bytes. */
static int text_append(char *text, const char *more)
{
    size_t size = strlen(text);
    size_t more_size = strlen(more);
    if (size + more_size >= PATH_SIZE) {
        return -ENAMETOOLONG;
    }
    memcpy(text + size, more, more_size + 1);
    return 0;
}

/* Take the first name off the rest; an empty one at its end. */
static int name_take(struct walk *walk, char name[NAME_SIZE_MAX + 1])
{
    size_t skipped = strspn(walk->rest, "/");
    size_t size = strcspn(walk->rest + skipped, "/");
    if (size > NAME_SIZE_MAX) {
        return -ENAMETOOLONG;
    }
    memcpy(name, walk->rest + skipped, size);
    name[size] = 0;
    memmove(walk->rest, walk->rest + skipped + size, strlen(walk->rest + skipped + size) + 1);
    return 0;
}

static int walk_up(struct walk *walk)
{
    if (strlen(walk->at) == walk->floor) {
        return -EXDEV;
    }
    char *slash = strrchr(walk->at, '/');
    *(slash != NULL ? slash : walk->at) = 0;
    return 0;
}

static int walk_link(struct walk *walk, const char *target)
{
    char rest[PATH_SIZE] = "";
    if (++walk->links > LINKS_MAX) {
        return -ELOOP;
    }
    if (target[0] == '/') {
        return -EXDEV;
    }
    /* The rest is empty or begins with a slash. */
    int err = text_append(rest, target);
    if (err == 0) {
        err = text_append(rest, walk->rest);
    }
    memcpy(walk->rest, rest, sizeof(rest));
    return err;
}

/* Go one name further. */
static int walk_step(const struct sim *sim, struct walk *walk, const char *name)
{
    size_t size = strlen(walk->at);
    if (strcmp(name, "..") == 0) {
        return walk_up(walk);
    }
    if (name[0] == 0 || strcmp(name, ".") == 0) {
        return 0;
    }
    int err = size != 0 ? text_append(walk->at, "/") : 0;
    if (err == 0) {
        err = text_append(walk->at, name);
    }
    if (err < 0) {
        return err;
    }
    const struct sim_file *file = file_find(sim, walk->at);
    if (file == NULL) {
        return -ENOENT;
    }
    if (file->kind == FILE_LINK) {
        walk->at[size] = 0;
        return walk_link(walk, file->target);
    }
    return file->kind != FILE_FOLDER && walk->rest[0] != 0 ? -ENOTDIR : 0;
}

static int walk_all(struct sim *sim, struct walk *walk)
{
    char name[NAME_SIZE_MAX + 1];
    while (walk->rest[0] != 0) {
        int err = name_take(walk, name);
        if (err == 0) {
            err = walk_step(sim, walk, name);
        }
        if (err < 0) {
            return err;
        }
    }
    struct sim_file *file = file_find(sim, walk->at);
    ASSERT(file != NULL);
    return file->refused ? -EACCES : sim_socket_of_file(sim, SIM_FILE, file);
}

int sim_file_open(struct sim *sim, const struct sim_socket *folder, const char *path)
{
    if (strlen(path) >= PATH_SIZE) {
        return -ENAMETOOLONG;
    }
    if (path[0] == 0 || path[0] == '/') {
        return path[0] == 0 ? -ENOENT : -EXDEV;
    }
    struct walk *walk = sim_alloc(1, sizeof(*walk));
    walk->floor = strlen(folder->file->path);
    int result = text_append(walk->at, folder->file->path);
    if (result == 0) {
        result = text_append(walk->rest, path);
    }
    if (result == 0) {
        result = walk_all(sim, walk);
    }
    free(walk);
    return result;
}

int64_t sim_file_read(const struct sim_socket *socket, void *bytes, size_t size, uint64_t offset)
{
    const struct sim_file *file = socket->file;
    if (file->kind == FILE_FOLDER) {
        return -EISDIR;
    }
    if (offset >= file->size) {
        return 0;
    }
    size_t taken = MIN(size, file->size - (size_t)offset);
    memcpy(bytes, file->bytes + offset, taken);
    return (int64_t)taken;
}

void sim_file_status(const struct sim_socket *socket, struct ring_file_status *status)
{
    const struct sim_file *file = socket->file;
    *status = (struct ring_file_status){
        .size = file->size,
        .modified_seconds = file->modified_seconds,
        .is_regular = file->kind == FILE_REGULAR,
        .is_folder = file->kind == FILE_FOLDER,
    };
}
