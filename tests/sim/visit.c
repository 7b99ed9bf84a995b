/* SPDX-License-Identifier: MIT */
/* Exchanges as the service keeps them: entering and leaving upcalls with all checks, and jobs,
 * which do something later, by a timer or as another thread would. */
#include "tests/sim/service.h"

#include "engine/mailbox.h"
#include "tests/sim/ledger.h"
#include "tests/sim/world.h"

#include <stdlib.h>

struct job {
    struct job *next;
    struct visit *visit; /* borrowed */
    enum job_what what;
    enum later later;
    uint64_t due_ns; /* of another thread's */
    bool is_sent;
    bool is_done;
    struct gyr_timer timer;
};

static int job_run(struct job *job, struct gyr_conn *conn);
static bool job_send(struct job *job);

static const char *const LATER_NAMES[] = {"timer", "conn timer", "complete", "post", "mail"};
static const char *const WHAT_NAMES[] = {"finish", "resume", "send", "stream"};

struct visit *visit_of(struct gyr_conn *conn)
{
    struct visit *visit = *(struct visit **)gyr_conn_data(conn);
    ASSERT(visit != NULL && visit->conn == conn);
    return visit;
}

struct visit *visit_enter(struct gyr_conn *conn, const char *upcall, size_t size)
{
    struct visit *visit = visit_of(conn);
    struct world *world = visit->world;
    world_note(world, "core%u %s of client %u, %zu", visit->core_index, upcall, visit->client->id,
               size);
    if (world->is_upcall || world->is_call) {
        world_fail(world, "%s of client %u within another upcall or a call", upcall,
                   visit->client->id);
    }
    if (visit->state == VISIT_ENDED) {
        world_fail(world, "%s of client %u after its end", upcall, visit->client->id);
    }
    world->is_upcall = true;
    return visit;
}

int visit_leave(struct visit *visit, int result)
{
    visit->world->is_upcall = false;
    if (result == GYR_PENDING) {
        visit->flags |= VISIT_F_PENDING;
    } else if (result == GYR_QUEUE_HIGH) {
        visit->flags |= VISIT_F_HIGH;
    }
    if (result != 0) {
        world_note(visit->world, "    returns %d", result);
    }
    return result;
}

void visit_doom(struct visit *visit, enum doom doom)
{
    if (visit->doom / 2 != (unsigned)doom || doom == DOOM_NONE) {
        return;
    }
    visit->client->excuses |= EXCUSE_SERVICE;
    if ((visit->doom & 1) != 0) {
        world_note(visit->world, "    gyr_abort");
        gyr_abort(visit->conn);
    } else {
        visit_close_with(visit, 3001);
    }
}

void visit_close_with(struct visit *visit, uint16_t close_code)
{
    static const struct gyr_span REASON = GYR_LITERAL("the service says so");
    int err = gyr_close(visit->conn, close_code, REASON);
    world_note(visit->world, "    gyr_close %u: %d", close_code, err);
    if (err == 0 && (visit->flags & VISIT_F_HANDSHAKE) != 0 && visit->client->is_upgraded) {
        struct item *item = item_push(&visit->client->owed, ITEM_CLOSE, REASON.ptr, REASON.size);
        item->code = close_code;
        visit->client->service_closed = true;
        visit->flags |= VISIT_F_CLOSED;
    } else if (err == 0) {
        visit->flags |= VISIT_F_HTTP_CLOSED;
    } else if (err != GYR_ERR_CLOSED) {
        world_fail(visit->world, "gyr_close returned %d", err);
    }
}

void visit_ended(struct visit *visit)
{
    struct gyr_core *core = gyr_conn_core(visit->conn);
    for (struct job *job = visit->world->jobs; job != NULL; job = job->next) {
        /* Half of them, so that timers run out for those that have gone, too. */
        if (job->visit == visit && job->later == LATER_TIMER && dice_chance(&visit->dice, 500)) {
            gyr_timer_stop(core, &job->timer);
        }
    }
    visit->state = VISIT_ENDED;
    ledger_visit_ended(visit);
    visit->conn = NULL;
    if (visit->conn_job != NULL) {
        visit->conn_job->is_done = true;
    }
    bytes_free(&visit->held);
    bytes_free(&visit->pieces);
}

/* ---- jobs ---- */

static void job_on_core_timer(struct gyr_core *core, void *arg)
{
    struct job *job = arg;
    (void)job_run(job, gyr_core_find(core, job->visit->handle));
}

void job_start(struct visit *visit, enum job_what what, enum later later)
{
    struct world *world = visit->world;
    struct gyr_core *core = gyr_conn_core(visit->conn);
    uint32_t delay_ms = dice_between(&visit->dice, 1, 60);
    struct job *job = calloc(1, sizeof(*job));
    ASSERT(job != NULL);
    if (later == LATER_CONN_TIMER && visit->conn_job != NULL) {
        later = LATER_TIMER;
    }
    *job = (struct job){.next = world->jobs, .visit = visit, .what = what, .later = later};
    world->jobs = job;
    job->due_ns = sim_now_ns(world->sim) + delay_ms * 500000ULL;
    world_note(world, "    later: %s by %s", WHAT_NAMES[what], LATER_NAMES[later]);
    if (later == LATER_TIMER) {
        job->is_sent = true;
        gyr_timer_start(core, &job->timer, delay_ms, job_on_core_timer, job);
    } else if (later == LATER_CONN_TIMER) {
        job->is_sent = true;
        visit->conn_job = job;
        gyr_conn_timer(visit->conn, delay_ms);
    }
}

/* Do it, on the exchange's core. Returns what ends a GYR_PENDING. */
static int job_run(struct job *job, struct gyr_conn *conn)
{
    struct visit *visit = job->visit;
    struct world *world = visit->world;
    world_note(world, "core%u job %s by %s of client %u%s", visit->core_index,
               WHAT_NAMES[job->what], LATER_NAMES[job->later], visit->client->id,
               conn == NULL ? ", which has gone" : "");
    if (job->is_done) {
        world_fail(world, "a job has run twice");
    }
    job->is_done = true;
    if ((conn != NULL) != (visit->state != VISIT_ENDED) || (conn != NULL && conn != visit->conn)) {
        world_fail(world, "the handle of client %u names %s", visit->client->id,
                   conn == NULL ? "nothing" : "what has ended");
    }
    if (conn == NULL || world->failed) {
        return 0;
    }
    if (job->what == JOB_RESUME) {
        visit->flags &= ~(unsigned)VISIT_F_PAUSED;
        gyr_resume(conn);
        return 0;
    }
    if (job->what == JOB_SEND) {
        visit_room_act(visit);
        (void)visit_send(visit, GYR_TEXT, GYR_SPAN("unasked"), GYR_FIRST | GYR_LAST);
        return 0;
    }
    if (job->what == JOB_STREAM) {
        (void)visit_stream_run(visit);
        return 0;
    }
    if (visit->state == VISIT_REQUEST && (visit->flags & VISIT_F_ANSWERED) != 0) {
        return 0; /* the end of the response has ended what was pending */
    }
    int result =
        visit->state == VISIT_REQUEST ? visit_request_finish(visit) : visit_held_send(visit);
    if (result != GYR_PENDING) {
        visit->flags &= ~(unsigned)VISIT_F_PENDING;
    }
    if (result == GYR_QUEUE_HIGH) {
        visit->flags |= VISIT_F_HIGH;
    }
    if (job->later != LATER_COMPLETE) {
        int err = gyr_finish(conn, result);
        if (err != 0) {
            world_fail(world, "gyr_finish of client %u returned %d", visit->client->id, err);
        }
    }
    return result;
}

void job_on_timer(struct gyr_conn *conn)
{
    struct visit *visit = visit_enter(conn, "on_timer", 0);
    struct job *job = visit->conn_job;
    if (job == NULL) {
        world_fail(visit->world, "on_timer of client %u without a timer", visit->client->id);
    } else {
        visit->conn_job = NULL;
        (void)job_run(job, conn);
        visit_doom(visit, DOOM_TIMER);
    }
    visit_leave(visit, 0);
}

void job_on_mail(struct gyr_conn *conn, void *mail)
{
    struct job *job = mail;
    if (conn == NULL) {
        (void)job_run(job, NULL);
        return;
    }
    struct visit *visit = visit_enter(conn, "on_mail", 0);
    (void)job_run(job, conn);
    visit_doom(visit, DOOM_MAIL);
    visit_leave(visit, 0);
}

/* ---- what gyr_post, gyr_complete and gyr_mail put into a mailbox ---- */

static void mail_run(struct core *core, struct mail *mail)
{
    struct job *job = mail->arg;
    struct gyr_conn *conn =
        gyr_core_find((struct gyr_core *)core, (struct gyr_handle){mail->handle});
    if (job->later == LATER_MAIL) {
        core->service->on_mail(conn, job);
        return;
    }
    int result = job_run(job, conn);
    if (job->later == LATER_COMPLETE && conn != NULL && job->what == JOB_FINISH) {
        (void)gyr_finish(conn, result);
    }
}

static bool job_send(struct job *job)
{
    struct world *world = job->visit->world;
    struct core *core = world->cores[job->visit->core_index];
    struct mail mail = {.run = mail_run, .arg = job, .handle = job->visit->handle.id};
    int err = mailbox_put(&core->mailbox, &mail, NULL);
    if (err == GYR_ERR_BACKPRESSURE) {
        job->due_ns = sim_now_ns(world->sim) + 1000000;
        return true;
    }
    if (err == GYR_ERR_CLOSED && !world->ended[job->visit->core_index]) {
        world_fail(world, "a mailbox is closed and its core has not ended");
    }
    job->is_sent = true;
    job->is_done = err != 0;
    return true;
}

bool jobs_step(struct world *world)
{
    for (struct job *job = world->jobs; job != NULL; job = job->next) {
        if (!job->is_sent && sim_now_ns(world->sim) >= job->due_ns) {
            return job_send(job);
        }
    }
    return false;
}

uint64_t jobs_next_ns(const struct world *world)
{
    uint64_t next_ns = UINT64_MAX;
    for (const struct job *job = world->jobs; job != NULL; job = job->next) {
        if (!job->is_sent) {
            next_ns = MIN(next_ns, job->due_ns);
        }
    }
    return next_ns;
}

void jobs_free(struct world *world)
{
    while (world->jobs != NULL) {
        struct job *job = world->jobs;
        world->jobs = job->next;
        free(job);
    }
}
