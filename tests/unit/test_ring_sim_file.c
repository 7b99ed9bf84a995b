/* SPDX-License-Identifier: MIT */
/* Files of the simulator: that every fault really happens, and that a broken assertion catches what
 * an engine may do wrong with them. What it shares with kernels: tests/ring_contract_file.c. */
#include "engine/ring_sim.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALWAYS    1000
#define FILE_SIZE 100

enum {
    ID_OPEN = 1,
    ID_READ,
};

static const struct sim_faults CALM;

struct stage {
    struct sim *sim;
    struct ring *ring;
    int folder;
    int fd; /* of the file "a", which is open */
    uint8_t bytes[FILE_SIZE];
    struct completion got;
};

static const struct ring_ops *const ops = &ring_sim_ops;

/* The next completion, if it comes within some turns. */
static bool stage_wait(struct stage *stage, unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
        if (ops->wait(stage->ring, UINT64_MAX, &stage->got, 1) > 0) {
            return true;
        }
    }
    return false;
}

static void stage_open(struct stage *stage, const struct sim_faults *faults)
{
    static const uint8_t content[FILE_SIZE] = {1, 2, 3};
    *stage = (struct stage){.fd = -1};
    CU_ASSERT_EQUAL_FATAL(sim_create(7, &CALM, 4096, &stage->sim), 0);
    const struct ring_config config = {.submission_entries = 16,
                                       .completion_entries = 64,
                                       .buffer_size = 64,
                                       .buffer_count = 16,
                                       .context = stage->sim};
    char why[256];
    CU_ASSERT_EQUAL_FATAL(ops->create(&config, &stage->ring, why), 0);
    stage->folder = sim_folder_open(stage->sim, "");
    sim_file_write(stage->sim, "a", content, sizeof(content), 5);
    ops->open_start(stage->ring, stage->folder, "a", ID_OPEN);
    CU_ASSERT_TRUE_FATAL(stage_wait(stage, 1));
    stage->fd = stage->got.result;
    CU_ASSERT_FATAL(stage->fd >= 0);
    sim_set_faults(stage->sim, faults);
}

static void stage_close(struct stage *stage)
{
    ops->close(stage->ring, stage->fd);
    CU_ASSERT_EQUAL(sim_open_count(stage->sim), 0);
    ops->destroy(stage->ring);
    sim_destroy(stage->sim);
}

static void read_start(struct stage *stage)
{
    ops->read_start(stage->ring, stage->fd, stage->bytes, FILE_SIZE, 0, ID_READ);
}

void ring_sim_reads_files_short(void)
{
    struct stage stage;
    stage_open(&stage, &(struct sim_faults){.short_read = ALWAYS});
    for (int i = 0; i < 20; i++) {
        read_start(&stage);
        CU_ASSERT_TRUE_FATAL(stage_wait(&stage, 1));
        CU_ASSERT(stage.got.result > 0 && stage.got.result < FILE_SIZE);
        CU_ASSERT_EQUAL(stage.bytes[0], 1);
    }
    stage_close(&stage);
}

void ring_sim_lets_files_fail(void)
{
    struct stage stage;
    stage_open(&stage, &(struct sim_faults){.file_fail = ALWAYS});
    unsigned seen = 0;
    for (int i = 0; i < 50; i++) {
        read_start(&stage);
        CU_ASSERT_TRUE_FATAL(stage_wait(&stage, 1));
        CU_ASSERT(stage.got.result < 0);
        seen |= stage.got.result == -EIO ? 1U : stage.got.result == -EMFILE ? 2U : 0U;
        ops->open_start(stage.ring, stage.folder, "a", ID_OPEN);
        CU_ASSERT_TRUE_FATAL(stage_wait(&stage, 1));
        CU_ASSERT(stage.got.result < 0);
    }
    CU_ASSERT_EQUAL(seen, 3);
    stage_close(&stage);
}

/* Operations that take long can be cancelled, or come although they were. */
void ring_sim_cancels_operations_on_files(void)
{
    struct stage stage;
    unsigned cancelled = 0;
    unsigned arrived = 0;
    stage_open(&stage, &(struct sim_faults){.file_wait = 500, .reorder = 500});
    for (int i = 0; i < 100; i++) {
        ops->open_start(stage.ring, stage.folder, "a", ID_OPEN);
        ops->submit(stage.ring);
        ops->cancel(stage.ring, ID_OPEN);
        CU_ASSERT_TRUE_FATAL(stage_wait(&stage, 100));
        CU_ASSERT(stage.got.result >= 0 || stage.got.result == -ECANCELED);
        cancelled += stage.got.result == -ECANCELED;
        arrived += stage.got.result >= 0;
        if (stage.got.result >= 0) {
            ops->close(stage.ring, stage.got.result);
        }
    }
    CU_ASSERT(cancelled > 10 && arrived > 10);
    stage_close(&stage);
}

void ring_sim_waits_for_files(void)
{
    struct stage stage;
    stage_open(&stage, &(struct sim_faults){.file_wait = ALWAYS});
    read_start(&stage);
    CU_ASSERT_FALSE(stage_wait(&stage, 50));
    CU_ASSERT_TRUE(sim_ring_is_ready(stage.ring));
    sim_set_faults(stage.sim, &CALM);
    CU_ASSERT_TRUE(stage_wait(&stage, 2));
    CU_ASSERT_EQUAL(stage.got.result, FILE_SIZE);
    stage_close(&stage);
}

void ring_sim_refuses_files_and_counts_descriptors(void)
{
    struct stage stage;
    stage_open(&stage, &CALM);
    sim_file_write(stage.sim, "b", "b", 1, 0);
    sim_file_refuse(stage.sim, "b");
    ops->open_start(stage.ring, stage.folder, "b", ID_OPEN);
    CU_ASSERT_TRUE(stage_wait(&stage, 1) && stage.got.result == -EACCES);
    CU_ASSERT_EQUAL(sim_open_count(stage.sim), 1);
    ops->open_start(stage.ring, stage.folder, "a", ID_OPEN);
    CU_ASSERT_TRUE(stage_wait(&stage, 1) && stage.got.result >= 0);
    CU_ASSERT_EQUAL(sim_open_count(stage.sim), 2);
    ops->close(stage.ring, stage.got.result);
    stage_close(&stage);
}

/* ---- Mistakes of an engine ---- */

static void file_closed_while_it_is_read(struct stage *stage)
{
    read_start(stage);
    ops->close(stage->ring, stage->fd);
}

static void file_closed_twice(struct stage *stage)
{
    ops->close(stage->ring, stage->fd);
    ops->close(stage->ring, stage->fd);
}

static void file_read_after_close(struct stage *stage)
{
    ops->close(stage->ring, stage->fd);
    read_start(stage);
}

static void read_memory_is_used(struct stage *stage)
{
    read_start(stage);
    stage->bytes[FILE_SIZE - 1] = 0;
    (void)stage_wait(stage, 1);
}

static void path_changes(struct stage *stage)
{
    char path[] = "a";
    ops->open_start(stage->ring, stage->folder, path, ID_OPEN);
    path[0] = 'b';
    (void)stage_wait(stage, 1);
}

static void file_is_opened_in_a_file(struct stage *stage)
{
    ops->open_start(stage->ring, stage->fd, "a", ID_OPEN);
}

static void no_mistake(struct stage *stage)
{
    read_start(stage);
    (void)stage_wait(stage, 1);
    stage->bytes[FILE_SIZE - 1] = 0;
    ops->close(stage->ring, stage->fd);
}

static bool is_caught(void (*mistake)(struct stage *stage))
{
    (void)fflush(NULL);
    pid_t child = fork();
    CU_ASSERT_TRUE_FATAL(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {.rlim_cur = 0};
        struct stage stage;
        close(STDERR_FILENO);
        setrlimit(RLIMIT_CORE, &no_core);
        (void)signal(SIGABRT, SIG_DFL);
        stage_open(&stage, &CALM);
        mistake(&stage);
        _exit(0);
    }
    int status = 0;
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void ring_sim_catches_mistakes_with_files(void)
{
    static void (*const mistakes[])(struct stage * stage) = {
        file_closed_while_it_is_read, file_closed_twice, file_read_after_close,
        read_memory_is_used,          path_changes,      file_is_opened_in_a_file,
    };
    for (size_t i = 0; i < COUNT_OF(mistakes); i++) {
        CU_ASSERT_TRUE(is_caught(mistakes[i]));
    }
    CU_ASSERT_FALSE(is_caught(no_mistake));
}
