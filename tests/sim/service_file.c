/* SPDX-License-Identifier: MIT */
/* The service's answers with files: a small tree in which everything that can be asked for has its
 * answer foreseen, to the byte. */
#include "engine/files.h"
#include "tests/sim/service.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>

#define FOLDER       "public"
#define PART_FIRST   10 /* of every range that is asked for */
#define PART_LAST    5000
#define CODED_SIZE   1000 /* of the one file that has a variant */
#define CODED_INDEX  3
#define LINK_INDEX   4
#define LINKED_INDEX 2

static const struct {
    const char *path;
    size_t size;
    unsigned status; /* if it is not there to be read */
} FILES[SIM_FILE_COUNT] = {
    {"empty.txt", 0, 0},       {"one.txt", 1, 0},       {"sub/some.txt", 300, 0},
    {"coded.css", 4000, 0},    {"link.txt", 300, 0},    {"none.txt", 0, 404},
    {".hidden", 0, 404},       {"outside.txt", 0, 404}, {"fifo", 0, 404},
    {"refused.txt", 0, 403},   {"sub", 0, 301},         {"large.bin", 20000, 0},
    {"larger.bin", 150000, 0},
};

/* Byte `at` of a file; the file of a link is that of what it names. */
static uint8_t byte_of(unsigned index, size_t at)
{
    index = index == LINK_INDEX ? LINKED_INDEX : index;
    return (uint8_t)(index * 29 + at * 7 + (at >> 8) * 3 + (at >> 16));
}

static uint8_t *bytes_of(unsigned index, size_t first, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    ASSERT(bytes != NULL);
    for (size_t i = 0; i < size; i++) {
        bytes[i] = byte_of(index, first + i);
    }
    return bytes;
}

static void file_make(struct world *world, const char *path, unsigned index, size_t size)
{
    char text[64];
    uint8_t *bytes = bytes_of(index, 0, size);
    (void)snprintf(text, sizeof(text), FOLDER "/%s", path);
    sim_file_write(world->sim, text, bytes, size, 1000000000);
    free(bytes);
}

void service_files_init(struct world *world)
{
    static const struct gyr_files_options options = {
        .size = sizeof(options), .index = "index.txt", .precompressed = true};
    struct sim *sim = world->sim;
    sim_file_folder(sim, FOLDER);
    sim_file_folder(sim, FOLDER "/sub");
    for (unsigned i = 0; i < SIM_FILE_COUNT; i++) {
        if (FILES[i].status == 0 || FILES[i].status == 403) {
            file_make(world, FILES[i].path, i, FILES[i].size);
        }
    }
    file_make(world, "coded.css.gz", SIM_FILE_COUNT, CODED_SIZE);
    sim_file_write(sim, FOLDER "/.hidden", "secret", 6, 0);
    sim_file_write(sim, "secret.txt", "secret", 6, 0);
    sim_file_link(sim, FOLDER "/link.txt", "sub/some.txt");
    sim_file_link(sim, FOLDER "/outside.txt", "../secret.txt");
    sim_file_fifo(sim, FOLDER "/fifo");
    sim_file_refuse(sim, FOLDER "/refused.txt");
    int err = files_create(sim_folder_open(sim, FOLDER), &options, &world->files, NULL);
    ASSERT(err == 0);
}

/* What the client must get: status, and content in `bytes` (owned). */
static unsigned answer_foresee(unsigned index, enum when when, bool head, uint8_t **bytes,
                               size_t *size)
{
    const char *text = NULL;
    unsigned status = FILES[index].status != 0 ? FILES[index].status : 200;
    bool coded = when == WHEN_FIRST && index == CODED_INDEX;
    size_t first = 0;
    *size = coded ? CODED_SIZE : FILES[index].size;
    if (status == 404) {
        text = "there is nothing here\n";
    } else if (status == 403) {
        text = "this file may not be read\n";
    } else if (status == 200 && when == WHEN_LAST && !head) {
        status = *size > PART_FIRST ? 206 : 416;
        text = status == 416 ? "the file has no such range\n" : NULL;
        first = PART_FIRST;
        *size = MIN(*size, (size_t)PART_LAST + 1) - MIN(*size, (size_t)PART_FIRST);
    }
    if (text == NULL) {
        *bytes = bytes_of(coded ? SIM_FILE_COUNT : index, first, *size);
        return status;
    }
    *size = strlen(text);
    *bytes = (uint8_t *)strdup(text);
    ASSERT(*bytes != NULL);
    return status;
}

const char *service_file_fields(enum when when)
{
    static const char *const FIELDS[] = {[WHEN_HEAD] = "",
                                         [WHEN_LAST] = "Range: bytes=10-5000\r\n",
                                         [WHEN_FIRST] = "Accept-Encoding: gzip\r\n"};
    return FIELDS[when];
}

int visit_file_answer(struct visit *visit, const struct gyr_request *request)
{
    struct world *world = visit->world;
    unsigned index = (unsigned)visit->answer_size;
    ASSERT(index < SIM_FILE_COUNT);
    struct gyr_span path = {FILES[index].path, strlen(FILES[index].path)};
    world->is_call = true;
    int err = gyr_respond_file(visit->conn, request, world->files, path);
    world->is_call = false;
    world_note(world, "    gyr_respond_file %s: %d", FILES[index].path, err);
    if (err != 0) {
        if (err != GYR_ERR_MEMORY) {
            world_fail(world, "gyr_respond_file returned %d", err);
        }
        return err;
    }
    visit->flags |= VISIT_F_ANSWERED;
    uint8_t *bytes;
    size_t size;
    bool head = (visit->client->said.head->flags & ITEM_F_HEAD) != 0;
    struct gyr_response response = {.size = sizeof(response)};
    response.status_code = answer_foresee(index, visit->when, head, &bytes, &size);
    response.content = (struct gyr_span){(const char *)bytes, size};
    visit_answer_owe(visit, &response);
    visit->client->owed.tail->flags |= ITEM_F_FILE;
    free(bytes);
    if (gyr_respond_part(visit->conn, path) != GYR_ERR_STATE ||
        gyr_respond_end(visit->conn) != GYR_ERR_STATE ||
        gyr_respond_file(visit->conn, request, world->files, path) != GYR_ERR_STATE) {
        world_fail(world, "a request is answered with a file, and otherwise");
    }
    return 0;
}
