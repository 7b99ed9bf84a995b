/* SPDX-License-Identifier: MIT */
/* The scripts of the kernel seam's contract about files: open_start, read_start, file_status. */
#include "tests/ring_stage.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <stdlib.h>

#define FILE_SIZE 100000

/* Make a file that holds the pattern. */
static void file_fill(struct stage *stage, int folder, const char *path, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    pattern_fill(bytes, 0, size);
    stage->world->file_make(stage->context, folder, path, bytes, size);
    free(bytes);
}

static int file_open(struct stage *stage, int folder, const char *path)
{
    stage->ops->open_start(stage->ring, folder, path, user_data_of(OP_OPEN, 0));
    const struct completion completion = stage_next(stage);
    CU_ASSERT(completion.user_data == user_data_of(OP_OPEN, 0) && !has_more(&completion));
    return completion.result;
}

static int file_read(struct stage *stage, int fd, void *bytes, size_t size, uint64_t offset)
{
    stage->ops->read_start(stage->ring, fd, bytes, size, offset, user_data_of(OP_READ, 0));
    const struct completion completion = stage_next(stage);
    CU_ASSERT(completion.user_data == user_data_of(OP_READ, 0) && !has_more(&completion));
    return completion.result;
}

/* The offset decides what is read, a read may cross the end, and behind it there is nothing. */
void ring_contract_reads_a_file_in_order_to_its_end(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    uint8_t bytes[PIECE_SIZE];
    int folder = world->folder_open(stage.context);
    file_fill(&stage, folder, "a file", FILE_SIZE);
    file_fill(&stage, folder, "empty", 0);
    int fd = file_open(&stage, folder, "a file");
    CU_ASSERT_FATAL(fd >= 0);
    uint64_t offset = 0;
    while (offset < FILE_SIZE) {
        int size = file_read(&stage, fd, bytes, sizeof(bytes), offset);
        CU_ASSERT_FATAL(size > 0 && (size_t)size <= sizeof(bytes));
        CU_ASSERT(pattern_holds(bytes, offset, (size_t)size));
        offset += (uint64_t)size;
    }
    CU_ASSERT(offset == FILE_SIZE);
    CU_ASSERT(file_read(&stage, fd, bytes, sizeof(bytes), offset) == 0);
    CU_ASSERT(file_read(&stage, fd, bytes, sizeof(bytes), offset + 1000) == 0);
    CU_ASSERT(file_read(&stage, fd, bytes, sizeof(bytes), FILE_SIZE - 3) == 3);
    CU_ASSERT(pattern_holds(bytes, FILE_SIZE - 3, 3));
    CU_ASSERT(file_read(&stage, fd, bytes, 1, 7) == 1 && pattern_holds(bytes, 7, 1));
    stage.ops->close(stage.ring, fd);

    fd = file_open(&stage, folder, "empty");
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(file_read(&stage, fd, bytes, sizeof(bytes), 0) == 0);
    stage.ops->close(stage.ring, fd);
    world->folder_close(stage.context, folder);
    stage_close(&stage, "open fd\n"
                        "read data\n"
                        "read end\n"
                        "read data\n"
                        "open fd\n"
                        "read end\n");
}

void ring_contract_opens_nothing_outside_of_the_folder(const struct ring_contract_world *world)
{
    static const char *const outside[] = {
        "../secret",
        "sub/../../secret",
        "/secret",
        "/etc/passwd",
        "/",
        "up/secret",
        "far/secret",
        "absolute/passwd",
        "secret_link",
        "..",
        "sub/../..",
        "chain",
        "../files/inside",
        "sub/back/secret",
    };
    static const char *const missing[] = {"none", "sub/none", "none/none", "", "dangling"};
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    int folder = world->folder_open(stage.context);
    file_fill(&stage, folder, "inside", 10);
    world->folder_make(stage.context, folder, "sub");
    world->link_make(stage.context, folder, "up", "..");
    world->link_make(stage.context, folder, "far", "sub/../..");
    world->link_make(stage.context, folder, "absolute", "/etc");
    world->link_make(stage.context, folder, "secret_link", "../secret");
    world->link_make(stage.context, folder, "chain", "secret_link");
    world->link_make(stage.context, folder, "sub/back", "../..");
    world->link_make(stage.context, folder, "dangling", "none");
    world->link_make(stage.context, folder, "loop", "loop");
    for (size_t i = 0; i < COUNT_OF(outside); i++) {
        CU_ASSERT(file_open(&stage, folder, outside[i]) == -EXDEV);
    }
    for (size_t i = 0; i < COUNT_OF(missing); i++) {
        CU_ASSERT(file_open(&stage, folder, missing[i]) == -ENOENT);
    }
    CU_ASSERT(file_open(&stage, folder, "inside/x") == -ENOTDIR);
    CU_ASSERT(file_open(&stage, folder, "inside/") == -ENOTDIR);
    CU_ASSERT(file_open(&stage, folder, "loop") == -ELOOP);
    char name[300];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = 0;
    CU_ASSERT(file_open(&stage, folder, name) == -ENAMETOOLONG);
    world->folder_close(stage.context, folder);
    stage_close(&stage, "open -EXDEV\n"
                        "open -ENOENT\n"
                        "open -ENOTDIR\n"
                        "open -ELOOP\n"
                        "open -ENAMETOOLONG\n");
}

void ring_contract_opens_through_links_that_stay_inside(const struct ring_contract_world *world)
{
    static const char *const paths[] = {"sub/file",        "link",         "again",    "up/file",
                                        "sub/../sub/file", "./sub/./file", "sub//file"};
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    uint8_t byte;
    int folder = world->folder_open(stage.context);
    world->folder_make(stage.context, folder, "sub");
    world->folder_make(stage.context, folder, "sub/deep");
    file_fill(&stage, folder, "sub/file", 10);
    world->link_make(stage.context, folder, "link", "sub/file");
    world->link_make(stage.context, folder, "again", "link");
    world->link_make(stage.context, folder, "up", "sub/deep/..");
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        int fd = file_open(&stage, folder, paths[i]);
        CU_ASSERT_FATAL(fd >= 0);
        CU_ASSERT(file_read(&stage, fd, &byte, 1, 9) == 1 && pattern_holds(&byte, 9, 1));
        stage.ops->close(stage.ring, fd);
    }
    world->folder_close(stage.context, folder);
    stage_close(&stage, "open fd\nread data\n"
                        "open fd\nread data\n"
                        "open fd\nread data\n"
                        "open fd\nread data\n"
                        "open fd\nread data\n"
                        "open fd\nread data\n"
                        "open fd\nread data\n");
}

/* Nobody writes to it: opening it to read would wait for ever. */
void ring_contract_open_of_a_fifo_does_not_wait(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct ring_file_status status;
    int folder = world->folder_open(stage.context);
    world->fifo_make(stage.context, folder, "fifo");
    int fd = file_open(&stage, folder, "fifo");
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(stage.ops->file_status(stage.ring, fd, &status) == 0);
    CU_ASSERT(!status.is_regular && !status.is_folder);
    stage.ops->close(stage.ring, fd);
    world->folder_close(stage.context, folder);
    stage_close(&stage, "open fd\n");
}

void ring_contract_file_status_tells_what_was_opened(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    struct ring_file_status status;
    int folder = world->folder_open(stage.context);
    file_fill(&stage, folder, "file", 12345);
    world->folder_make(stage.context, folder, "sub");
    int fd = file_open(&stage, folder, "file");
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(stage.ops->file_status(stage.ring, fd, &status) == 0);
    CU_ASSERT(status.is_regular && !status.is_folder && status.size == 12345);
    CU_ASSERT(status.modified_seconds >= 1000000000 && status.modified_ns < 1000000000);
    file_fill(&stage, folder, "file", 99); /* what is open changes with it */
    CU_ASSERT(stage.ops->file_status(stage.ring, fd, &status) == 0 && status.size == 99);
    stage.ops->close(stage.ring, fd);
    fd = file_open(&stage, folder, "sub");
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(stage.ops->file_status(stage.ring, fd, &status) == 0);
    CU_ASSERT(!status.is_regular && status.is_folder);
    stage.ops->close(stage.ring, fd);
    world->folder_close(stage.context, folder);
    stage_close(&stage, "open fd\n");
}

/* Whether an operation on a file is done before it is cancelled, nobody can say; that it completes
 * once, and with a descriptor or an error, is promised. */
void ring_contract_cancelled_file_operations_complete_once(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    uint8_t bytes[PIECE_SIZE];
    int folder = world->folder_open(stage.context);
    file_fill(&stage, folder, "file", FILE_SIZE);
    int fd = file_open(&stage, folder, "file");
    CU_ASSERT_FATAL(fd >= 0);
    stage.silent = true;
    for (uint32_t i = 1; i <= 20; i++) {
        stage.ops->open_start(stage.ring, folder, "file", user_data_of(OP_OPEN, i));
        stage.ops->cancel(stage.ring, user_data_of(OP_OPEN, i));
        struct completion completion = stage_next(&stage);
        CU_ASSERT(completion.user_data == user_data_of(OP_OPEN, i) && !has_more(&completion));
        CU_ASSERT(completion.result >= 0 || completion.result == -ECANCELED ||
                  completion.result == -EINTR);
        if (completion.result >= 0) {
            stage.ops->close(stage.ring, completion.result);
        }
        stage.ops->read_start(stage.ring, fd, bytes, sizeof(bytes), i, user_data_of(OP_READ, i));
        stage.ops->cancel(stage.ring, user_data_of(OP_READ, i));
        completion = stage_next(&stage);
        CU_ASSERT(completion.user_data == user_data_of(OP_READ, i) && !has_more(&completion));
        CU_ASSERT(completion.result > 0 || completion.result == -ECANCELED ||
                  completion.result == -EINTR);
        CU_ASSERT(completion.result <= 0 || pattern_holds(bytes, i, (size_t)completion.result));
        stage_expect_nothing(&stage);
    }
    stage.silent = false;
    CU_ASSERT(file_read(&stage, fd, bytes, 100, 0) == 100);
    stage.ops->close(stage.ring, fd);
    world->folder_close(stage.context, folder);
    stage_close(&stage, "open fd\n"
                        "read data\n");
}

/* Its memory is ours again when destroy has returned. */
void ring_contract_destroy_ends_reads_of_files(const struct ring_contract_world *world)
{
    struct stage stage;
    if (!stage_open(&stage, world, 16)) {
        return;
    }
    enum {
        READS = 8
    };
    uint8_t *bytes = malloc(READS * FILE_SIZE);
    uint8_t *kept = malloc(READS * FILE_SIZE);
    CU_ASSERT_FATAL(bytes != NULL && kept != NULL);
    int folder = world->folder_open(stage.context);
    file_fill(&stage, folder, "file", FILE_SIZE);
    int fd = file_open(&stage, folder, "file");
    CU_ASSERT_FATAL(fd >= 0);
    for (uint32_t i = 0; i < READS; i++) {
        stage.ops->read_start(stage.ring, fd, bytes + (size_t)i * FILE_SIZE, FILE_SIZE, 0,
                              user_data_of(OP_READ, i));
    }
    stage.ops->submit(stage.ring);
    stage.ops->destroy(stage.ring);
    memset(bytes, 0x55, READS * FILE_SIZE);
    memset(kept, 0x55, READS * FILE_SIZE);
    CU_ASSERT_FATAL(stage_ring_create(&stage, &stage.ring));
    stage.ops->accept_start(stage.ring, stage.listener, user_data_of(OP_ACCEPT, 1));
    uint8_t byte;
    CU_ASSERT(file_read(&stage, fd, &byte, 1, 5) == 1 && pattern_holds(&byte, 5, 1));
    CU_ASSERT(memcmp(bytes, kept, READS * FILE_SIZE) == 0);
    stage.ops->close(stage.ring, fd);
    world->folder_close(stage.context, folder);
    free(bytes);
    free(kept);
    stage_close(&stage, "open fd\n"
                        "read data\n");
}
