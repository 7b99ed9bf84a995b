/* SPDX-License-Identifier: MIT */
/* What every client does: connect, send in pieces, receive in pieces, pause, end; and the
 * verdict over the end. */
#include "tests/sim/client.h"

#include "tests/sim/app.h"
#include "tests/sim/policy.h"
#include "tests/sim/world.h"

#include <errno.h>

static void connect_try(struct client *client);
static bool output_step(struct client *client);
static bool input_step(struct client *client);
static void script_end(struct client *client);

void client_init(struct client *client, struct world *world, unsigned id)
{
    const struct plan *plan = &world->plan;
    struct dice dice = dice_make(plan->seed, 100 + id);
    *client = (struct client){.world = world, .id = id, .fd = -1};
    client->wake_ns = sim_now_ns(world->sim) + dice_below(&dice, 20) * 500000ULL;
    client->wake_ns = plan->seed % 4 == 0 ? 0 : client->wake_ns; /* all at once */
    client->careful = dice_chance(&dice, 400);
    client->upgrade = dice_chance(&dice, 700);
    client->requests_left = dice_chance(&dice, 500) ? dice_below(&dice, 8) : 0;
    if (!client->upgrade) {
        client->requests_left += dice_between(&dice, 1, 6);
    }
    client->old = !client->upgrade && dice_chance(&dice, 200);
    client->messages_left = dice_chance(&dice, 200) ? 0 : dice_between(&dice, 1, 150);
    client->ending = ENDING_CLOSE;
    if (!client->careful && dice_chance(&dice, 500)) {
        client->ending = (enum ending)dice_below(&dice, ENDING_DROP + 1);
    }
    client->mute_after = dice_below(&dice, dice_chance(&dice, 500) ? 300 : 8000);
    client->piece_max = DICE_PICK(&dice, 1, 5, 60, 1000, 200000, 200000);
    client->read_max = DICE_PICK(&dice, 3, 100, 2000, 200000, 200000);
    client->batch = DICE_PICK(&dice, 1, 200, 3000, 20000);
    client->pause = dice_chance(&dice, 400) ? dice_below(&dice, 300) : 0;
    client->pause_ms = dice_between(&dice, 1, 30);
    if (dice_chance(&dice, 200)) {
        client->stall_ns = client->wake_ns + dice_below(&dice, 800) * 1000000ULL;
    }
    bool slow = client->piece_max < 60 || client->read_max < 100 || client->pause > 50;
    client->budget = dice_below(&dice, slow ? 6000 : 150000) + 100;
    if (!slow && plan->message_max > 65536 && dice_chance(&dice, 300)) {
        client->budget += 300000;
    }
    client->dice = dice;
    policy_client_init(client);
}

void client_init_probe(struct client *client, struct world *world, unsigned id)
{
    client_init(client, world, id);
    client->careful = true;
    if (world->plan.config.core_heap_size_max < PLAN_HEAP_ENOUGH) {
        client->excuses = EXCUSE_MEMORY;
    }
    const struct gyr_config *config = &world->plan.config;
    bool slow = config->message_rate_max != 0 || config->byte_rate_max != 0 ||
                world->plan.reload_steps != 0 || world->plan.is_app;
    if (slow) {
        client->excuses |= world->plan.excuses & EXCUSE_TIME; /* it may be kept beyond its life */
    }
    client->ending = ENDING_CLOSE;
    client->upgrade = true;
    client->requests_left = 1;
    client->messages_left = 3;
    client->budget = 300;
    policy_client_init(client);
    client->piece_max = 200000;
    client->read_max = 200000;
    client->pause = 0;
    client->stall_ns = 0;
}

void client_deinit(struct client *client)
{
    if (client->fd >= 0) {
        sim_client_close(client->world->sim, client->fd);
    }
    bytes_free(&client->out);
    bytes_free(&client->held);
    bytes_free(&client->in);
    item_clear(&client->said);
    item_clear(&client->owed);
    item_clear(&client->pings);
}

bool client_step(struct client *client)
{
    struct world *world = client->world;
    if (client->state == CLIENT_ENDED || sim_now_ns(world->sim) < client->wake_ns) {
        return false;
    }
    if (client->state == CLIENT_WAITING) {
        connect_try(client);
        return true;
    }
    if (dice_chance(&client->dice, client->pause)) {
        client->wake_ns =
            sim_now_ns(world->sim) + dice_between(&client->dice, 1, client->pause_ms) * 1000000ULL;
        return true;
    }
    bool input_first = dice_chance(&client->dice, 500);
    bool busy = input_first && input_step(client);
    if (client->state == CLIENT_RUNNING) {
        busy |= output_step(client);
    }
    if (client->state == CLIENT_RUNNING && !input_first) {
        busy |= input_step(client);
    }
    return busy;
}

static void connect_try(struct client *client)
{
    struct world *world = client->world;
    if (world->is_stopping) {
        client->state = CLIENT_ENDED;
        return;
    }
    int listener = world->listeners[dice_below(&client->dice, world->plan.listener_count)];
    client->fd = sim_connect(world->sim, listener);
    if (client->fd < 0) {
        client->fd = -1; /* the backlog is full */
        client->wake_ns = sim_now_ns(world->sim) + 10000000;
        return;
    }
    world_note(world, "client %u connects: fd %d", client->id, client->fd);
    client->state = CLIENT_RUNNING;
    policy_connected(client);
}

static bool output_step(struct client *client)
{
    struct world *world = client->world;
    while (!client->script_done && !client->gate &&
           client->out.size - client->out_sent < client->batch) {
        if (world->app != NULL) {
            app_client_generate(client);
        } else if (client->out_ws) {
            client_ws_generate(client);
        } else {
            client_http_generate(client);
        }
    }
    size_t rest = client->out.size - client->out_sent;
    bool breaks = client->ending == ENDING_MUTE || client->ending == ENDING_RESET ||
                  client->ending == ENDING_DROP;
    if (breaks) {
        rest = MIN(rest, client->mute_after - MIN(client->out_total, client->mute_after));
    }
    if (client->out_ended) {
        return false;
    }
    if (rest == 0) {
        bool polite = client->ending == ENDING_CLOSE || client->ending == ENDING_BAD;
        if (polite || (!client->script_done && !breaks)) {
            return false; /* it may still have to answer; or it stands behind the gate */
        }
        script_end(client);
        return true;
    }
    size_t size = dice_piece(&client->dice, client->piece_max, rest);
    int64_t sent =
        sim_client_send(world->sim, client->fd, client->out.ptr + client->out_sent, size);
    if (sent == -EAGAIN) {
        return false;
    }
    if (sent < 0) {
        client_end(client, "lost while sending", true);
        return true;
    }
    client->out_sent += (size_t)sent;
    client->out_total += (size_t)sent;
    policy_sent(client);
    if (client->out_sent == client->out.size) {
        client->out_sent = 0;
        client->out.size = 0;
    }
    return true;
}

/* All is said, and the client ends in one of the rude ways. */
static void script_end(struct client *client)
{
    struct sim *sim = client->world->sim;
    client->script_done = true;
    client->out_ended = true;
    switch (client->ending) {
    case ENDING_CLOSE:
    case ENDING_BAD:
        break;
    case ENDING_FIN:
        /* A WebSocket that ends without a Close takes what is queued with it. */
        client->excuses |= client->out_ws && !client->close_sent ? EXCUSE_SELF : 0U;
        sim_client_shutdown(sim, client->fd);
        break;
    case ENDING_MUTE:
        client->excuses |= EXCUSE_SELF;
        client->close_sent = true; /* will not be answered */
        if (dice_chance(&client->dice, 400)) {
            client->stall_ns = sim_now_ns(sim) + 600000000000; /* and deaf */
        }
        break;
    case ENDING_RESET:
        client->excuses |= EXCUSE_SELF;
        sim_client_reset(sim, client->fd);
        client_end(client, "resets", true);
        break;
    case ENDING_DROP:
        client->excuses |= EXCUSE_SELF;
        client_end(client, "drops", true);
        break;
    }
}

static bool input_step(struct client *client)
{
    struct world *world = client->world;
    if (sim_now_ns(world->sim) < client->stall_ns) {
        return false;
    }
    uint8_t bytes[65536];
    size_t size = dice_piece(&client->dice, client->read_max, sizeof(bytes));
    int64_t got = sim_client_recv(world->sim, client->fd, bytes, size);
    if (got == -EAGAIN) {
        return false;
    }
    if (got <= 0) {
        client_end(client, got == 0 ? "end of stream" : "reset", got < 0);
        return true;
    }
    bytes_append(&client->in, bytes, (size_t)got);
    while (!world->failed &&
           (client->in_ws ? client_ws_parse(client) : client_http_parse(client))) {
    }
    return true;
}

unsigned client_excuses(const struct client *client)
{
    const struct world *world = client->world;
    unsigned excuses = client->excuses | (world->is_stopping ? EXCUSE_STOP : 0U);
    return client->id == world->plan.client_count ? excuses : excuses | world->plan.excuses;
}

void client_end(struct client *client, const char *how, bool was_reset)
{
    struct world *world = client->world;
    unsigned excuses = client_excuses(client);
    world_note(world, "client %u ends: %s, excuses 0x%x", client->id, how, excuses);
    client->state = CLIENT_ENDED;
    sim_client_close(world->sim, client->fd);
    client->fd = -1;
    bool is_known = client->in_ws || client->echo_count != 0;
    /* A core's clock shows whole milliseconds. */
    uint64_t deadline_ns =
        world->stop_ns + world->plan.config.shutdown_deadline_ms * 1000000ULL - 1000000;
    if (excuses == EXCUSE_STOP && was_reset && is_known && sim_now_ns(world->sim) < deadline_ns) {
        world_fail(world, "client %u was reset by a stop before its deadline (%s)", client->id,
                   how);
    }
    if (excuses != 0) {
        return;
    }
    const char *what = NULL;
    if (was_reset) {
        what = "was reset without a cause";
    } else if (client->owed.head != NULL) {
        what = "has not got all that the service sent";
    } else if (client->in.size != 0) {
        what = "got the beginning of something";
    } else if (client->fail_status != 0) {
        what = "got no answer to its bad request";
    } else if (client->in_ws && !client->got_close) {
        what = "got no Close frame";
    } else if (!client->in_ws && !client->got_final && client->ending != ENDING_FIN) {
        what = "was closed without a word";
    } else if (client->said.head != NULL && (client->said.head->flags & ITEM_F_BAD) == 0 &&
               !client->service_closed) {
        what = "was not heard to the end";
    } else if (client->in_ws && client->pings.head != NULL && !client->service_closed &&
               client->fail_code == 0) {
        what = "got no Pong for its last Ping";
    } else if (client->in_ws && client->fail_code == 0 &&
               client->heard_code != client->close_code) {
        what = "closed with a code that on_close did not see";
    }
    if (what != NULL) {
        world_fail(world, "client %u %s (%s)", client->id, what, how);
    }
}
