/* SPDX-License-Identifier: MIT */
/* Files of the ring made of memory. */
#include "tests/engine_kit_file.h"

#include "tests/engine_kit_ring.h"

#include <errno.h>
#include <stdlib.h>

#define UNTOUCHED 0xdd

static struct kit_file *file_at(struct kit_files *files, const char *path)
{
    struct kit_file *file = kit_file_find(files, path);
    if (file != NULL) {
        return file;
    }
    if (files->count == KIT_FILES_MAX || strlen(path) >= sizeof(file->path)) {
        kit_broken("too many files, or a path too long, for this kit");
    }
    file = &files->files[files->count++];
    *file = (struct kit_file){.modified_seconds = KIT_FILE_MODIFIED, .err = -ENOENT};
    strcpy(file->path, path);
    return file;
}

struct kit_file *kit_file_find(struct kit_files *files, const char *path)
{
    for (unsigned i = 0; i < files->count; i++) {
        if (strcmp(files->files[i].path, path) == 0) {
            return &files->files[i];
        }
    }
    return NULL;
}

void kit_file(struct kit *kit, const char *path, const void *bytes, size_t size)
{
    struct kit_file *file = file_at(&kit->ring->files, path);
    file->is_regular = true;
    file->bytes = bytes;
    file->size = size;
    file->err = 0;
}

void kit_file_folder(struct kit *kit, const char *path)
{
    struct kit_file *file = file_at(&kit->ring->files, path);
    file->is_folder = true;
    file->err = 0;
}

void kit_file_special(struct kit *kit, const char *path)
{
    file_at(&kit->ring->files, path)->err = 0;
}

void kit_file_time(struct kit *kit, const char *path, int64_t seconds, uint32_t ns)
{
    struct kit_file *file = file_at(&kit->ring->files, path);
    file->modified_seconds = seconds;
    file->modified_ns = ns;
}

void kit_file_refuse(struct kit *kit, const char *path, int err)
{
    file_at(&kit->ring->files, path)->err = err;
}

void kit_file_fail(struct kit *kit, int err)
{
    kit->ring->files.fail = err;
}

void kit_file_read_max(struct kit *kit, size_t size)
{
    kit->ring->files.read_max = size;
}

void kit_file_hold(struct kit *kit, bool hold)
{
    kit->ring->files.hold = hold;
}

void kit_file_step(struct kit *kit)
{
    kit->ring->files.steps = 1;
    kit_run(kit);
}

void kit_file_obey(struct kit *kit, bool obey)
{
    kit->ring->files.obey = obey;
}

unsigned kit_file_ops(struct kit *kit)
{
    return kit->ring->files.op_count;
}

unsigned kit_file_opens(struct kit *kit)
{
    return kit->ring->files.opens;
}

unsigned kit_file_reads(struct kit *kit)
{
    return kit->ring->files.reads;
}

unsigned kit_file_cancels(struct kit *kit)
{
    return kit->ring->files.cancels;
}

unsigned kit_file_count(struct kit *kit)
{
    unsigned count = 0;
    for (unsigned i = 0; i < kit->ring->files.fd_count; i++) {
        count += kit->ring->files.fds[i] != NULL;
    }
    return count;
}

/* ---- The ring's side ---- */

static struct kit_file_op *op_add(struct kit_files *files, uint64_t user_data)
{
    for (unsigned i = 0; i < files->op_count; i++) {
        if (files->ops[i].user_data == user_data) {
            kit_broken("two operations on files with one user_data");
        }
    }
    if (files->op_count == KIT_FILES_MAX) {
        kit_broken("too many operations on files for this kit");
    }
    struct kit_file_op *op = &files->ops[files->op_count++];
    *op = (struct kit_file_op){.user_data = user_data};
    return op;
}

static struct kit_file **fd_place(struct kit_files *files, int fd)
{
    unsigned index = (unsigned)(fd - FD_FILE_FIRST);
    if (index >= files->fd_count || files->fds[index] == NULL) {
        kit_broken("a call on the descriptor of a file that is not open");
    }
    return &files->fds[index];
}

void kit_files_open_start(struct kit_files *files, const char *path, uint64_t user_data)
{
    op_add(files, user_data)->path = path;
    files->opens++;
}

void kit_files_read_start(struct kit_files *files, int fd, void *bytes, size_t size,
                          uint64_t offset, uint64_t user_data)
{
    (void)fd_place(files, fd);
    struct kit_file_op *op = op_add(files, user_data);
    op->fd = fd;
    op->bytes = bytes;
    op->size = size;
    op->offset = offset;
    memset(bytes, UNTOUCHED, size);
    files->reads++;
}

void kit_files_cancel(struct kit_files *files, uint64_t user_data)
{
    for (unsigned i = 0; i < files->op_count; i++) {
        if (files->ops[i].user_data == user_data) {
            files->ops[i].cancelled = true;
            files->cancels++;
        }
    }
}

static int64_t open_result(struct kit_files *files, const char *path)
{
    struct kit_file *file = kit_file_find(files, path);
    if (file == NULL || file->err != 0) {
        return file == NULL ? -ENOENT : file->err;
    }
    if (files->fd_count == COUNT_OF(files->fds)) {
        kit_broken("too many files were opened for this kit");
    }
    files->fds[files->fd_count] = file;
    return FD_FILE_FIRST + (int)files->fd_count++;
}

static int64_t read_result(struct kit_files *files, const struct kit_file_op *op)
{
    const struct kit_file *file = *fd_place(files, op->fd);
    if (op->offset >= file->size) {
        return 0;
    }
    size_t size = MIN(op->size, file->size - (size_t)op->offset);
    if (files->read_max != 0) {
        size = MIN(size, files->read_max);
    }
    memcpy(op->bytes, file->bytes + op->offset, size);
    return (int64_t)size;
}

bool kit_files_complete(struct kit_files *files, uint64_t *user_data, int64_t *result)
{
    if (files->op_count == 0 || (files->hold && files->steps == 0)) {
        return false;
    }
    files->steps = 0;
    struct kit_file_op op = files->ops[0];
    files->op_count--;
    memmove(files->ops, files->ops + 1, files->op_count * sizeof(op));
    for (size_t i = 0; i < op.size; i++) {
        if (op.bytes[i] != UNTOUCHED) {
            kit_broken("memory of a read was touched before it had completed (F1)");
        }
    }
    *user_data = op.user_data;
    if (op.cancelled && files->obey) {
        *result = -ECANCELED;
    } else if (files->fail != 0) {
        *result = files->fail;
        files->fail = 0;
    } else {
        *result = op.path != NULL ? open_result(files, op.path) : read_result(files, &op);
    }
    return true;
}

void kit_files_status(struct kit_files *files, int fd, struct ring_file_status *status)
{
    const struct kit_file *file = *fd_place(files, fd);
    *status = (struct ring_file_status){
        .size = file->size,
        .modified_seconds = file->modified_seconds,
        .modified_ns = file->modified_ns,
        .is_regular = file->is_regular,
        .is_folder = file->is_folder,
    };
}

void kit_files_close(struct kit_files *files, int fd)
{
    struct kit_file **place = fd_place(files, fd);
    for (unsigned i = 0; i < files->op_count; i++) {
        if (files->ops[i].path == NULL && files->ops[i].fd == fd) {
            kit_broken("a file was closed while it is read (C1)");
        }
    }
    *place = NULL;
}

void kit_files_end(const struct kit_files *files)
{
    if (files->op_count != 0) {
        kit_broken("the ring was destroyed with an operation on a file in flight");
    }
    for (unsigned i = 0; i < files->fd_count; i++) {
        if (files->fds[i] != NULL) {
            kit_broken("a file was not closed");
        }
    }
}
