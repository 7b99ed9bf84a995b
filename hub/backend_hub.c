/* SPDX-License-Identifier: MIT */
/* What the hub offers its backend (struct gyr_backend_hub). */
#include "hub/attendance.h"
#include "hub/hub.h"
#include "hub/publish.h"
#include "hub/receipt.h"
#include "hub/recovery.h"

static struct hub_core *core_of(struct hub *hub, unsigned core)
{
    return core == GYR_BACKEND_NO_CORE ? NULL : hub->cores[core];
}

static int hub_deliver(void *state, unsigned core, const struct gyr_publication *publication)
{
    struct hub *hub = state;
    return publish_local(hub, core_of(hub, core), publication);
}

/* On any thread. */
static void hub_failed(void *state, void *request, int err)
{
    (void)state;
    publish_failed(NULL, request, err);
}

static int hub_history_done(void *state, unsigned core, void *request,
                            const struct gyr_backend_history *history)
{
    (void)core;
    return recovery_done(state, request, history);
}

static void hub_presence_done(void *state, unsigned core, void *request, int err,
                              const struct gyr_span *ids, size_t id_count)
{
    (void)core;
    attendance_done(state, request, err, ids, id_count);
}

static void hub_is_ready(void *state, unsigned core)
{
    hub_ready(state, core == GYR_BACKEND_NO_CORE ? 0 : core);
}

/* A call on its way to a core. */
struct letter {
    void (*fn)(unsigned core, void *arg);
    void *arg;
};

static void letter_open(struct gyr_core *core, void *arg)
{
    struct letter letter = *(struct letter *)arg;
    memory_free(arg);
    letter.fn(gyr_core_index(core), letter.arg);
}

static int hub_post(void *state, unsigned core, void (*fn)(unsigned core, void *arg), void *arg)
{
    struct hub *hub = state;
    struct letter *letter = memory_alloc(sizeof(*letter));
    if (letter == NULL) {
        return GYR_ERR_MEMORY;
    }
    *letter = (struct letter){fn, arg};
    int err = engine_core_post(hub_core_at(hub, core), letter_open, letter);
    if (err < 0) {
        memory_free(letter);
    }
    return err;
}

static void hub_due(void *state, unsigned core)
{
    engine_core_due(((struct hub *)state)->cores[core]->core);
}

static uint64_t hub_now_ms(void *state, unsigned core)
{
    return gyr_core_now_ms(((struct hub *)state)->cores[core]->core);
}

static void *hub_alloc(void *state, unsigned core, size_t size)
{
    return engine_core_alloc(((struct hub *)state)->cores[core]->core, size);
}

static void hub_free(void *state, unsigned core, void *pointer, size_t size)
{
    engine_core_free(((struct hub *)state)->cores[core]->core, pointer, size);
}

struct gyr_backend_hub hub_offer(struct hub *hub)
{
    return (struct gyr_backend_hub){
        .size = sizeof(struct gyr_backend_hub),
        .state = hub,
        .server = hub->server,
        .config = hub->config,
        .core_count = hub->core_count,
        .deliver = hub_deliver,
        .failed = hub_failed,
        .ready = hub_is_ready,
        .history_done = hub_history_done,
        .presence_done = hub_presence_done,
        .post = hub_post,
        .due = hub_due,
        .now_ms = hub_now_ms,
        .alloc = hub_alloc,
        .free = hub_free,
    };
}
