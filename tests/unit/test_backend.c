/* SPDX-License-Identifier: MIT */
/* A backend of a service's own: it sees exactly what the hub has to tell it, and one that lacks
 * something is refused by name when the server is made. */
#include "hub/backend.h"

#include "tests/crowd_kit.h"
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define LOG_MAX 4096

/* A backend that writes down what it is told, and hands on what is published. Any thread. */
struct witness {
    pthread_mutex_t lock;
    const struct gyr_backend_hub *hub;
    char log[LOG_MAX]; /* " subscribe:a publish:a" */
    void *history_request;
};

static void note(struct witness *witness, const char *what, struct gyr_span detail)
{
    (void)pthread_mutex_lock(&witness->lock);
    size_t size = strlen(witness->log);
    (void)snprintf(witness->log + size, LOG_MAX - size, " %s%s%.*s", what,
                   detail.size > 0 ? ":" : "", (int)detail.size, detail.ptr);
    (void)pthread_mutex_unlock(&witness->lock);
}

/* What it has been told since the last call. */
static bool saw(struct witness *witness, const char *expected)
{
    (void)pthread_mutex_lock(&witness->lock);
    bool is = strcmp(witness->log, expected) == 0;
    if (!is) {
        (void)fprintf(stderr, "saw     %s\nexpected%s\n", witness->log, expected);
    }
    witness->log[0] = '\0';
    (void)pthread_mutex_unlock(&witness->lock);
    return is;
}

static int witness_create(const struct gyr_backend_hub *hub, void *user, void **state,
                          struct gyr_error *error)
{
    struct witness *witness = user;
    (void)error;
    EXPECT_INT(hub->size, sizeof(*hub), "its size");
    EXPECT_INT(hub->core_count, CROWD_CORES, "cores");
    EXPECT(hub->server != NULL && hub->config != NULL, "whose it is");
    witness->hub = hub;
    *state = witness;
    note(witness, "create", GYR_SPAN(""));
    return 0;
}

static void witness_destroy(void *state)
{
    note(state, "destroy", GYR_SPAN(""));
}

static int witness_core_start(void *state, unsigned core)
{
    EXPECT(core < CROWD_CORES, "a core");
    note(state, "core_start", GYR_SPAN(""));
    return 0;
}

static void witness_core_stop(void *state, unsigned core)
{
    EXPECT(core < CROWD_CORES, "a core");
    note(state, "core_stop", GYR_SPAN(""));
}

static uint64_t witness_work(void *state, unsigned core)
{
    (void)state;
    EXPECT(core < CROWD_CORES, "a core");
    return 0;
}

static int witness_publish(void *state, unsigned core, const struct gyr_publication *publication)
{
    struct witness *witness = state;
    note(witness, core == GYR_BACKEND_NO_CORE ? "publish_from_outside" : "publish",
         publication->room_count > 0 ? publication->rooms[0] : GYR_SPAN("*"));
    return witness->hub->deliver(witness->hub->state, core, publication);
}

static int witness_subscribe(void *state, unsigned core, struct gyr_span room,
                             const struct gyr_room_rule *rule)
{
    EXPECT(core < CROWD_CORES && (rule == NULL || rule->history_count == 3), "its rule");
    note(state, "subscribe", room);
    return room.size == 7 ? GYR_ERR_LIMIT : 0; /* "refused" */
}

static void witness_unsubscribe(void *state, unsigned core, struct gyr_span room)
{
    EXPECT(core < CROWD_CORES, "a core");
    note(state, "unsubscribe", room);
}

static int witness_history(void *state, unsigned core, const struct gyr_backend_question *question,
                           void *request)
{
    struct witness *witness = state;
    EXPECT(core < CROWD_CORES && question->rule->history_count == 3, "its rule");
    EXPECT(question->epoch == 7 && question->offset == 5, "since when");
    note(witness, "history", question->room);
    const struct gyr_backend_history answer = {
        .size = sizeof(answer), .err = GYR_ERR_NOT_FOUND, .epoch = 7, .offset = 9};
    return witness->hub->history_done(witness->hub->state, core, request, &answer);
}

static int witness_presence_add(void *state, unsigned core, struct gyr_span room,
                                struct gyr_span id)
{
    (void)room;
    EXPECT(core < CROWD_CORES, "a core");
    note(state, "presence_add", id);
    return 0;
}

static void witness_presence_remove(void *state, unsigned core, struct gyr_span room,
                                    struct gyr_span id)
{
    (void)room;
    EXPECT(core < CROWD_CORES, "a core");
    note(state, "presence_remove", id);
}

static int witness_presence(void *state, unsigned core, struct gyr_span room, void *request)
{
    const struct witness *witness = state;
    const struct gyr_span ids[] = {GYR_SPAN("of another process")};
    note(state, "presence", room);
    witness->hub->presence_done(witness->hub->state, core, request, 0, ids, 1);
    return 0;
}

static struct gyr_backend witness_table(struct witness *witness)
{
    return (struct gyr_backend){
        .size = sizeof(struct gyr_backend),
        .name = "witness",
        .capabilities = GYR_BACKEND_HISTORY | GYR_BACKEND_PRESENCE,
        .user = witness,
        .create = witness_create,
        .destroy = witness_destroy,
        .core_start = witness_core_start,
        .core_stop = witness_core_stop,
        .work = witness_work,
        .publish = witness_publish,
        .subscribe = witness_subscribe,
        .unsubscribe = witness_unsubscribe,
        .history = witness_history,
        .presence_add = witness_presence_add,
        .presence_remove = witness_presence_remove,
        .presence = witness_presence,
    };
}

static const struct gyr_room_rule rules[] = {
    {.size = sizeof(struct gyr_room_rule),
     .pattern = GYR_LITERAL("kept"),
     .history_count = 3,
     .presence = true},
};

static int publish_from_outside(struct crowd *crowd, const char *room, const char *text)
{
    struct gyr_span name = {room, strlen(room)};
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &name;
    publish.room_count = 1;
    publish.payload = (struct gyr_span){text, strlen(text)};
    return gyr_server_publish(crowd->server, &publish);
}

static void publish_inside(struct gyr_core *core, void *arg)
{
    EXPECT_INT(gyr_publish(core, GYR_SPAN("a"), GYR_TEXT, (struct gyr_span){arg, strlen(arg)}), 0,
               "published");
}

static void join(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    EXPECT_INT(gyr_join(conn, GYR_SPAN("a")), 0, "again");
    EXPECT_INT(gyr_join(conn, GYR_SPAN("refused")), GYR_ERR_LIMIT, "what the backend says");
    EXPECT(!gyr_is_member(conn, GYR_SPAN("refused")), "it is no member");
}

static void come_back(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    EXPECT_INT(gyr_join_since(conn, GYR_SPAN("kept"), 7, 5), 0, "back");
    EXPECT_INT(gyr_conn_set_id(conn, GYR_SPAN("ada")), 0, "its id");
}

static void leave(struct gyr_conn *conn, void *arg)
{
    (void)arg;
    gyr_leave(conn, GYR_SPAN("a"));
    gyr_leave(conn, GYR_SPAN("never"));
}

static void on_recovered(struct gyr_conn *conn, struct gyr_span room,
                         const struct gyr_recovery *recovery)
{
    EXPECT_SPAN(span_of(room.ptr, room.size), "kept", "its room");
    EXPECT(!recovery->recovered && recovery->err == GYR_ERR_NOT_FOUND && recovery->offset == 9,
           "what the backend says");
    EXPECT_INT(gyr_send(conn, GYR_TEXT, GYR_SPAN("recovered")), 0, "told");
}

struct present {
    sem_t semaphore;
    bool is_right;
};

static void present(struct gyr_core *core, void *arg, struct gyr_presence *presence)
{
    struct present *answer = arg;
    (void)core;
    struct gyr_span id = gyr_presence_count(presence) == 1 ? gyr_presence_at(presence, 0)
                                                           : (struct gyr_span){NULL, 0};
    answer->is_right = id.size == 18 && memcmp(id.ptr, "of another process", 18) == 0;
    gyr_presence_free(presence);
    (void)sem_post(&answer->semaphore);
}

static void calls(struct crowd *crowd, struct witness *witness)
{
    struct crowd_client first;
    struct crowd_client second;
    EXPECT(saw(witness, " create core_start core_start"), "each core");
    crowd_connect_on(crowd, &first, 0, "", "");
    crowd_connect_on(crowd, &second, 1, "", "");
    EXPECT(saw(witness, ""), "connections are not its affair");
    EXPECT(crowd_run(crowd, first.handle, join, NULL), "run");
    EXPECT(saw(witness, " subscribe:a subscribe:refused"), "the first of all cores");
    EXPECT(crowd_run(crowd, second.handle, join, NULL), "run");
    EXPECT(saw(witness, " subscribe:refused"), "the second is none");
    char text[] = "inside";
    crowd_run_core(crowd, 0, publish_inside, text);
    EXPECT(crowd_reads(&first, "inside") && crowd_reads(&second, "inside"), "both get it");
    EXPECT_INT(publish_from_outside(crowd, "a", "outside"), 0, "published");
    EXPECT(crowd_reads(&first, "outside") && crowd_reads(&second, "outside"), "both get it");
    EXPECT_INT(publish_from_outside(crowd, "nobody", "x"), 0, "published");
    EXPECT(saw(witness, " publish:a publish_from_outside:a publish_from_outside:nobody"),
           "every message, once");
    EXPECT(crowd_run(crowd, first.handle, leave, NULL), "run");
    EXPECT(saw(witness, ""), "not the last one");
    EXPECT(crowd_run(crowd, second.handle, come_back, NULL), "run");
    EXPECT(crowd_reads(&second, "recovered"), "answered");
    EXPECT(saw(witness, " subscribe:kept history:kept presence_add:ada"), "in this order");
    struct present answer = {.is_right = false};
    (void)sem_init(&answer.semaphore, 0, 0);
    EXPECT_INT(gyr_presence(crowd->server, GYR_SPAN("kept"), 1, present, &answer), 0, "asked");
    kit_wait(&answer.semaphore);
    EXPECT(answer.is_right, "what the backend says");
    EXPECT(saw(witness, " presence:kept"), "asked");
    (void)sem_destroy(&answer.semaphore);
    EXPECT(crowd_run(crowd, second.handle, leave, NULL), "run");
    EXPECT(saw(witness, " unsubscribe:a"), "the last of all cores");
    crowd_leave(&second);
    crowd_until_ended(crowd, second.handle);
    EXPECT(saw(witness, " presence_remove:ada unsubscribe:kept"), "its end is its last leave");
    crowd_leave(&first);
    crowd_until_ended(crowd, first.handle);
    EXPECT(saw(witness, ""), "nothing to tell");
}

void scenario_105_a_custom_backend_sees_exactly_what_happens(void)
{
    static struct witness witness;
    struct crowd crowd;
    if (!crowd_init(&crowd)) {
        return;
    }
    memset(&witness, 0, sizeof(witness));
    (void)pthread_mutex_init(&witness.lock, NULL);
    struct gyr_backend table = witness_table(&witness);
    crowd.service.backend = &table;
    crowd.service.room_rules = rules;
    crowd.service.room_rule_count = COUNT_OF(rules);
    crowd.service.on_recovered = on_recovered;
    crowd_start(&crowd);
    calls(&crowd, &witness);
    crowd_end(&crowd);
    EXPECT(saw(&witness, " core_stop core_stop destroy"), "its end");
    (void)pthread_mutex_destroy(&witness.lock);
}

/* Take one function out of a table. */
#define FUNCTIONS(X)   \
    X(create)          \
    X(destroy)         \
    X(core_start)      \
    X(core_stop)       \
    X(work)            \
    X(publish)         \
    X(subscribe)       \
    X(unsubscribe)     \
    X(history)         \
    X(presence_add)    \
    X(presence_remove) \
    X(presence)

static int server_create(const struct gyr_backend *table, struct gyr_error *error)
{
    struct gyr_config config = kit_server_config(CROWD_CORES);
    struct gyr_service service = {.size = sizeof(service), .backend = table};
    struct gyr_server *server = NULL;
    int err = gyr_server_create(&config, &service, &server, error);
    if (err == 0) {
        gyr_server_destroy(server);
    }
    return err;
}

static void expect_named(const struct gyr_backend *table, const char *name)
{
    struct gyr_error error = {""};
    char quoted[32];
    (void)snprintf(quoted, sizeof(quoted), "`%s`", name);
    EXPECT_INT(server_create(table, &error), GYR_ERR_CONFIG, name);
    EXPECT(strstr(error.text, quoted) != NULL && strstr(error.text, "witness") != NULL, name);
}

void scenario_105_a_backend_that_lacks_a_function_is_refused_by_name(void)
{
    static struct witness witness;
    struct gyr_error error = {""};
    if (!kit_server_possible(CROWD_CORES)) {
        return;
    }
    memset(&witness, 0, sizeof(witness));
    (void)pthread_mutex_init(&witness.lock, NULL);
#define EXPECT_NAMED(function)                              \
    {                                                       \
        struct gyr_backend table = witness_table(&witness); \
        table.function = NULL;                              \
        expect_named(&table, #function);                    \
    }
    FUNCTIONS(EXPECT_NAMED)
#undef EXPECT_NAMED
    EXPECT(saw(&witness, ""), "none of them was called");
    struct gyr_backend table = witness_table(&witness);
    EXPECT_INT(server_create(&table, &error), 0, "with all of them");
    EXPECT(saw(&witness, " create destroy"), "it is made");
    table.capabilities = 0;
    table.history = NULL;
    table.presence_add = NULL;
    table.presence_remove = NULL;
    table.presence = NULL;
    EXPECT_INT(server_create(&table, &error), 0, "without what it does not declare");
    (void)pthread_mutex_destroy(&witness.lock);
}

static int fail_create(const struct gyr_backend_hub *hub, void *user, void **state,
                       struct gyr_error *error)
{
    (void)hub;
    (void)user;
    (void)state;
    (void)snprintf(error->text, sizeof(error->text), "nobody answers");
    return GYR_ERR_TIMEOUT;
}

void backend_check_rejects_what_it_does_not_know(void)
{
    static struct witness witness;
    static const struct {
        const char *why;
        size_t size;
        const char *name;
        uint32_t capabilities;
    } rows[] = {
        {"no size", 0, "x", 0},
        {"another size", sizeof(struct gyr_backend) - 8, "x", 0},
        {"a larger size", sizeof(struct gyr_backend) + 8, "x", 0},
        {"no name", sizeof(struct gyr_backend), NULL, 0},
        {"an empty name", sizeof(struct gyr_backend), "", 0},
        {"an unknown capability", sizeof(struct gyr_backend), "x", 0x8},
        {"another", sizeof(struct gyr_backend), "x", 0x80000000U},
    };
    struct gyr_backend table = witness_table(&witness);
    struct gyr_error error = {""};
    EXPECT_INT(backend_check(&table, &error), 0, "as it should be");
    EXPECT_INT(backend_check(&backend_local, &error), 0, "the one in the process");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        table = witness_table(&witness);
        table.size = rows[i].size;
        table.name = rows[i].name;
        table.capabilities = rows[i].capabilities;
        error.text[0] = '\0';
        EXPECT_INT(backend_check(&table, &error), GYR_ERR_CONFIG, rows[i].why);
        EXPECT(error.text[0] != '\0', rows[i].why);
    }
    table = witness_table(&witness);
    table.create = fail_create;
    if (kit_server_possible(CROWD_CORES)) {
        EXPECT_INT(server_create(&table, &error), GYR_ERR_TIMEOUT, "its own error");
        EXPECT(strcmp(error.text, "nobody answers") == 0, "and its own line");
    }
}
