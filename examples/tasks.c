/* SPDX-License-Identifier: MIT */
/* gyr-tasks: lists of tasks that several people keep together. A room for each project, typed
 * messages, a hook that asks who comes, a service that holds the tasks, a worker that tells how far
 * each project is, and HTTP beside it, by the same schemas.
 *
 *     /                             the page
 *     /projects/{project}?user=ada  a WebSocket: {"type":"add","title":"Tea"},
 *                                   {"type":"done","task":1}; GET: all tasks; POST
 *                                   {"title":"Tea"}: one more
 *
 * `gyr-tasks --routes` shows the table. What it keeps is in tasks_store.c; the command line,
 * settings and signals of the program are in common_program.c. */
#include "examples/common_program.h"
#include "examples/tasks_store.h"

#include <gyr/gyr_app.h>
#include <gyr/gyr_worker.h>

#define TELL_INTERVAL_MS 1000

/* examples/tasks.html and examples/gyr.js, put into this program by the Makefile. */
extern const char tasks_html[], gyr_js[];
extern const size_t tasks_html_size, gyr_js_size;

/* ---- messages -------------------------------------------------------------------------------- */

struct add {
    struct gyr_span title;
};
GYR_MESSAGE(add, "add", GYR_MEMBER(add, title, GYR_SIZE(1, TITLE_SIZE_MAX)));

struct done {
    uint32_t task; /* its id; the member `id` of a message makes it a request */
};
GYR_MESSAGE(done, "done", GYR_MEMBER(done, task));

GYR_MESSAGE(task, "task", GYR_MEMBER(task, id), GYR_MEMBER(task, title), GYR_MEMBER(task, by),
            GYR_MEMBER(task, done));

struct tasks {
    const struct task *tasks;
    size_t count;
};
GYR_MESSAGE(tasks, "tasks", GYR_ARRAY_OF(tasks, tasks, count, task));

struct progress {
    uint32_t open;
    uint32_t done;
};
GYR_MESSAGE(progress, "progress", GYR_MEMBER(progress, open), GYR_MEMBER(progress, done));

/* ---- who comes: a hook round every request --------------------------------------------------- */

static int ask_who(struct gyr_hook_call *call)
{
    char user[NAME_SIZE_MAX];
    size_t size = 0;
    if (gyr_param(call->conn, "project").ptr == NULL) {
        return 0; /* the page is for everybody */
    }
    if (gyr_query_param(call->request, "user", user, sizeof(user), &size) != 0 || size == 0) {
        return gyr_refuse(call->conn, 401, GYR_SPAN("say who you are: ?user=NAME\n"));
    }
    return gyr_set_param(call->conn, "user", (struct gyr_span){user, size});
}

static const struct gyr_hook hooks[] = {GYR_HOOK("who", .before_connect = ask_who), {0}};

/* ---- a project, as a WebSocket and over HTTP ------------------------------------------------- */

struct desk {
    struct store *store; /* the service */
    struct gyr_span project;
    struct gyr_span user;
};

static int desk_create(struct gyr_conn *conn, void *self)
{
    struct desk *desk = self;
    desk->project = gyr_param(conn, "project");
    desk->user = gyr_param(conn, "user");
    return desk->project.size <= NAME_SIZE_MAX
               ? 0
               : gyr_refuse(conn, 404, GYR_SPAN("names of projects have up to 32 bytes\n"));
}

static int desk_connect(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct desk *desk = self;
    struct task copy[TASKS_MAX];
    const struct tasks list = {copy, store_list(desk->store, desk->project, copy)};
    (void)request;
    int err = gyr_join(conn, desk->project);
    return err < 0 ? err : gyr_send_msg(conn, &tasks_schema, &list);
}

/* The room hears it; and if it was a request, as those of gyr.js are, who has asked is answered. */
static int tell_all(struct gyr_conn *conn, const struct desk *desk, const struct task *task)
{
    int err = gyr_publish_msg(conn, desk->project, &task_schema, task);
    return err < 0 || gyr_message_id(conn).size == 0 ? err : gyr_answer(conn, &task_schema, task);
}

static int desk_add(struct gyr_conn *conn, void *self, const struct add *add)
{
    struct desk *desk = self;
    struct task task;
    if (store_add(desk->store, desk->project, add->title, desk->user, &task) != 0) {
        return gyr_answer_error(conn, "full", "this project has no room for another task", NULL);
    }
    return tell_all(conn, desk, &task);
}

static int desk_done(struct gyr_conn *conn, void *self, const struct done *done)
{
    struct desk *desk = self;
    struct task task;
    if (store_done(desk->store, desk->project, done->task, &task) != 0) {
        return gyr_answer_error(conn, "unknown", "there is no such task", "task");
    }
    return tell_all(conn, desk, &task);
}

static int desk_list(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    struct desk *desk = self;
    struct task copy[TASKS_MAX];
    const struct tasks list = {copy, store_list(desk->store, desk->project, copy)};
    (void)request;
    return gyr_respond_msg(conn, 200, &tasks_schema, &list);
}

static int desk_post(struct gyr_conn *conn, void *self, const struct add *add)
{
    struct desk *desk = self;
    struct task task;
    if (store_add(desk->store, desk->project, add->title, desk->user, &task) != 0) {
        return gyr_respond_error(conn, 507, "full", "no room for another task", "");
    }
    int err = gyr_publish_msg(conn, desk->project, &task_schema, &task);
    return err < 0 ? err : gyr_respond_msg(conn, 201, &task_schema, &task);
}

static const struct gyr_resource desk = {
    GYR_RESOURCE(desk),
    .create = desk_create,
    .on_connect = desk_connect,
    .handlers = GYR_HANDLERS(GYR_ON(add, desk_add), GYR_ON(done, desk_done)),
    .methods = GYR_METHODS(GYR_GET(desk_list), GYR_POST_MSG(add, desk_post)),
    .inputs = GYR_INPUTS(GYR_INPUT(desk, store, struct store)),
};

/* ---- the worker: how far is each project? ---------------------------------------------------- */

static int publish_progress(void *arg, const struct project *project, uint32_t open, uint32_t done)
{
    const struct gyr_span room = {project->name, project->name_size};
    struct gyr_publish publish = gyr_publish_default();
    publish.rooms = &room;
    publish.room_count = 1;
    return gyr_server_publish_msg(arg, &publish, &progress_schema,
                                  &(struct progress){.open = open, .done = done});
}

static int tell_progress(struct gyr_worker_run *run, struct gyr_core *core, void *context)
{
    (void)core;
    store_each_changed(context, publish_progress, gyr_worker_server(run));
    return 0;
}

static const struct gyr_worker workers[] = {
    GYR_WORKER_TIMER("progress", tell_progress, TELL_INTERVAL_MS), {0}};

/* ---- the program ----------------------------------------------------------------------------- */

static int page(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self, (void)request;
    return gyr_respond_text(conn, 200, "text/html; charset=utf-8",
                            (struct gyr_span){tasks_html, tasks_html_size});
}

static int script(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self, (void)request;
    return gyr_respond_text(conn, 200, "text/javascript; charset=utf-8",
                            (struct gyr_span){gyr_js, gyr_js_size});
}

static const struct gyr_route routes[] = {
    GYR_ROUTE_HTTP("/", GYR_METHODS(GYR_GET(page)), .name = "page"),
    GYR_ROUTE_HTTP("/gyr.js", GYR_METHODS(GYR_GET(script))),
    GYR_ROUTE("/projects/{project}", &desk, .name = "project"),
    {0},
};

static struct store store = STORE_EMPTY;

int main(int argc, char **argv)
{
    struct options options = {.config = NULL, .has_routes = true};
    const struct gyr_service service = {.size = sizeof(service), .on_log = program_log};
    const struct gyr_app_options application = {.size = sizeof(application), .service = &service};
    const struct gyr_value shared = GYR_VALUE("store", struct store, &store);
    struct gyr_error error;
    struct gyr_app *app;
    struct gyr_server *server;
    sigset_t signals;
    program_options(&options, argc, argv);
    program_check(gyr_app_create(&application, &app, &error), &error);
    program_check(gyr_app_service(app, &shared, &error), &error);
    program_check(gyr_app_hooks(app, NULL, hooks, &error), &error);
    program_check(gyr_app_routes(app, "/", routes), NULL);
    program_app(&options, app);
    struct gyr_settings *settings = program_settings_of(&options);
    program_signals(&options, &signals);
    program_check(gyr_app_server(app, settings, &server, &error), &error);
    gyr_settings_destroy(settings);
    program_check(gyr_server_workers(server, workers, &store, &error), &error);
    program_listen(&options, server);
    program_check(gyr_server_start(server, &error), &error);
    program_wait(&options, server, &signals);
    program_stop(server, &signals);
    gyr_app_destroy(app);
    return 0;
}
