/* SPDX-License-Identifier: MIT */
/* The mailbox: order, bounds, the end, and waking, alone and with many writers. */
#include "engine/mailbox.h"

#include "engine/core.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <sched.h>

#define WRITERS 4
#define LETTERS 5000

/* What came, by writer: `arg` points to a writer's record, `handle` counts. */
struct writer {
    pthread_t thread;
    struct mailbox *mailbox;
    uint64_t next; /* expected by the reader */
    uint64_t sent; /* written by the writer */
    bool disorder;
};

static void receive(struct core *core, struct mail *mail)
{
    (void)core;
    struct writer *writer = mail->arg;
    writer->disorder = writer->disorder || mail->handle != writer->next;
    writer->next++;
}

void mailbox_keeps_order_and_refuses_when_full(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.mailbox_count_max = 16;
    kit_start(&kit);
    struct mailbox *mailbox = &kit.core->mailbox;
    struct writer writer = {0};
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 16; i++) {
            struct mail mail = {.run = receive, .arg = &writer, .handle = writer.sent++};
            EXPECT_INT(mailbox_put(mailbox, &mail, NULL), 0, "taken");
        }
        struct mail mail = {.run = receive, .arg = &writer};
        EXPECT_INT(mailbox_put(mailbox, &mail, NULL), GYR_ERR_BACKPRESSURE, "full");
        EXPECT_INT(mailbox_run(mailbox, kit.core), 16, "all that was taken");
        EXPECT_INT(mailbox_run(mailbox, kit.core), 0, "once");
    }
    EXPECT(writer.next == 48 && !writer.disorder, "in order");
    kit_end(&kit);
}

void mailbox_takes_what_it_is_given_although_it_is_full(void)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.mailbox_count_max = 16;
    kit_start(&kit);
    struct mailbox *mailbox = &kit.core->mailbox;
    struct writer writer = {0};
    for (unsigned i = 0; i < 16; i++) {
        struct mail mail = {.run = receive, .arg = &writer, .handle = writer.sent++};
        EXPECT_INT(mailbox_put(mailbox, &mail, NULL), 0, "taken");
    }
    struct mail *gift = memory_alloc(sizeof(*gift));
    CU_ASSERT_FATAL(gift != NULL);
    *gift = (struct mail){.run = receive, .arg = &writer, .handle = writer.sent++};
    EXPECT_INT(mailbox_give(mailbox, gift), 0, "taken");
    EXPECT_INT(mailbox_run(mailbox, kit.core), 17, "with the rest");
    EXPECT(writer.next == 17 && !writer.disorder, "in order");
    mailbox_close(mailbox, kit.core);
    gift = memory_alloc(sizeof(*gift));
    CU_ASSERT_FATAL(gift != NULL);
    EXPECT_INT(mailbox_give(mailbox, gift), GYR_ERR_CLOSED, "not after the end");
    memory_free(gift);
    EXPECT_INT(mailbox->count, 0, "nothing is counted any more");
    *mailbox = (struct mailbox){.ring = kit.core->ring, .count_max = 16}; /* for kit_end */
    kit_end(&kit);
}

static void post_again(struct core *core, struct mail *mail)
{
    struct mail next = {.run = receive, .arg = mail->arg};
    EXPECT_INT(mailbox_put(&core->mailbox, &next, core->ring), 0, "from within");
}

void mailbox_takes_mail_from_mail(void)
{
    struct kit kit;
    kit_begin(&kit);
    struct writer writer = {0};
    struct mail mail = {.run = post_again, .arg = &writer};
    EXPECT_INT(mailbox_put(&kit.core->mailbox, &mail, NULL), 0, "taken");
    kit_run(&kit);
    EXPECT_INT(writer.next, 1, "the core does not sleep over it");
    kit_end(&kit);
}

void mailbox_runs_what_it_took_when_it_closes_and_takes_no_more(void)
{
    struct kit kit;
    kit_init(&kit);
    kit_start(&kit);
    struct mailbox *mailbox = &kit.core->mailbox;
    struct writer writer = {0};
    for (unsigned i = 0; i < 5; i++) {
        struct mail mail = {.run = receive, .arg = &writer, .handle = i};
        EXPECT_INT(mailbox_put(mailbox, &mail, NULL), 0, "taken");
    }
    mailbox_close(mailbox, kit.core);
    EXPECT(writer.next == 5 && !writer.disorder, "whatever was accepted runs");
    struct mail mail = {.run = receive, .arg = &writer};
    EXPECT_INT(mailbox_put(mailbox, &mail, NULL), GYR_ERR_CLOSED, "closed");
    EXPECT_INT(mailbox_put(mailbox, &mail, NULL), GYR_ERR_CLOSED, "for ever");
    *mailbox = (struct mailbox){.ring = kit.core->ring, .count_max = 16}; /* for kit_end */
    kit_end(&kit);
}

void mailbox_wakes_only_a_sleeper(void)
{
    struct kit kit;
    kit_init(&kit);
    kit_start(&kit);
    struct mailbox *mailbox = &kit.core->mailbox;
    struct writer writer = {0};
    struct mail mail = {.run = receive, .arg = &writer};
    mailbox_awake(mailbox);
    EXPECT(mailbox_sleep(mailbox), "nothing is there");
    EXPECT_INT(mailbox_put(mailbox, &mail, NULL), 0, "taken");
    EXPECT(!mailbox->sleeping, "woken");
    EXPECT(!mailbox_sleep(mailbox), "there is mail: no sleep");
    EXPECT(!mailbox->sleeping, "and none is announced");
    EXPECT_INT(mailbox_run(mailbox, kit.core), 1, "read");
    kit_end(&kit);
}

static void *write_letters(void *arg)
{
    struct writer *writer = arg;
    while (writer->sent < LETTERS) {
        struct mail mail = {.run = receive, .arg = writer, .handle = writer->sent};
        int err = mailbox_put(writer->mailbox, &mail, NULL);
        if (err == 0) {
            writer->sent++;
        } else if (err == GYR_ERR_CLOSED) {
            break;
        } else {
            sched_yield();
        }
    }
    return NULL;
}

/* The kit's ring notes a wake in a plain flag, so the reader here never sleeps. */
static void write_and_read(bool close)
{
    struct kit kit;
    kit_init(&kit);
    kit.config.mailbox_count_max = 64;
    kit_start(&kit);
    struct mailbox *mailbox = &kit.core->mailbox;
    mailbox_awake(mailbox);
    struct writer writers[WRITERS];
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.mailbox = mailbox};
        CU_ASSERT_FATAL(pthread_create(&writers[i].thread, NULL, write_letters, &writers[i]) == 0);
    }
    unsigned count = 0;
    while (count < WRITERS * LETTERS / (close ? 2 : 1)) {
        count += mailbox_run(mailbox, kit.core);
        sched_yield();
    }
    if (close) {
        mailbox_close(mailbox, kit.core);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        (void)pthread_join(writers[i].thread, NULL);
        EXPECT_INT(writers[i].next, writers[i].sent, "what was accepted, and nothing else, ran");
        EXPECT(!writers[i].disorder, "in the order of its thread");
        EXPECT(close || writers[i].sent == LETTERS, "all of it");
    }
    EXPECT_INT(mailbox->count, 0, "and nothing is counted any more");
    *mailbox = (struct mailbox){.ring = kit.core->ring, .count_max = 64};
    kit_end(&kit);
}

void mailbox_keeps_the_order_of_each_of_many_threads(void)
{
    write_and_read(false);
}

void mailbox_loses_nothing_when_it_closes_under_load(void)
{
    write_and_read(true);
}
