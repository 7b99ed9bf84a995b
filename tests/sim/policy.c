/* SPDX-License-Identifier: MIT */
/* What the oracle knows of policies. Every connection has an address whose port names its client,
 * so that whoever is seen, by a core, by the service or in the log, can be told. */
#include "tests/sim/policy.h"

#include "engine/config.h"
#include "engine/memory.h"
#include "engine/session.h"
#include "tests/sim/journal.h"
#include "tests/sim/world.h"

#include <math.h>

#define PORT_PEER      2000 /* and the client's number */
#define PORT_ANNOUNCED 3000
#define PORT_FORWARDED 4000

struct reload {
    struct mail mail;          /* first: the mailbox frees it */
    struct gyr_config *target; /* borrowed */
    struct gyr_config config;
};

static void header_write(struct client *client);
static void header_write_badly(struct client *client);
static bool address_same(const struct address *a, const struct address *b);
static const struct address *address_counted(const struct client *client,
                                             const struct transport *transport);

/* ---- rates ---- */

/* A rate of `per_second` with this burst is kept as long as `peak` is not above the burst: that is
 * the most that `count` has ever been ahead of the rate, counted from any earlier time on. `floor`
 * is what has certainly been counted by then. */
static void pace_update(struct pace *pace, uint64_t floor, uint64_t count, uint64_t now_ns,
                        uint64_t per_second)
{
    double due = (double)now_ns / 1e9 * (double)per_second;
    pace->low = MIN(pace->low, (double)floor - due);
    pace->peak = MAX(pace->peak, (double)count - due - pace->low);
}

static struct pace pace_begin(uint64_t now_ns, uint64_t per_second)
{
    return (struct pace){.low = -((double)now_ns / 1e9 * (double)per_second)};
}

/* ---- the world ---- */

void policy_init(struct world *world)
{
    uint8_t secret[16] = "any secret does";
    world->policy_dice = dice_make(world->plan.seed, 3);
    int err = address_table_create(secret, &world->addresses);
    ASSERT(err == 0);
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        world->configs[i] = world->plan.config;
        world->upgrades[i] =
            pace_begin(sim_now_ns(world->sim), world->plan.config.upgrade_rate_max);
    }
}

void policy_deinit(struct world *world)
{
    size_t count = address_table_size(world->addresses).address_count;
    if (count != 0) {
        world_fail(world, "%zu addresses are still counted", count);
    }
    address_table_destroy(world->addresses);
}

void policy_check(struct world *world)
{
    const struct gyr_config *config = &world->plan.config;
    unsigned total = 0;
    unsigned counts[CLIENTS_MAX + 1] = {0};
    const struct address *addresses[CLIENTS_MAX + 1] = {0};
    unsigned address_count = 0;
    if (world->plan.reload_steps != 0 ||
        (config->server_connections_max == 0 && config->address_connections_max == 0) ||
        strands_have_left(world)) {
        return;
    }
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        struct core *core = world->cores[i];
        for (uint32_t k = CORE_REFUSALS_MAX; !world->ended[i] && k < core->slots.used; k++) {
            const struct transport *transport = &core->transports[k];
            struct address peer = {0};
            if (transport->state == TRANSPORT_FREE) {
                continue;
            }
            total++;
            core->ring->ops->peer_address(core->ring, transport->fd, &peer);
            if (transport->state != TRANSPORT_OPEN || peer.family == ADDRESS_NONE) {
                continue;
            }
            const struct address *counted =
                address_counted(&world->clients[peer.port - PORT_PEER], transport);
            unsigned at = 0;
            while (counted != NULL && at < address_count && !address_same(addresses[at], counted)) {
                at++;
            }
            if (counted != NULL) {
                addresses[at] = counted;
                address_count = MAX(address_count, at + 1);
                counts[at]++;
            }
        }
    }
    if (config->server_connections_max != 0 && total > config->server_connections_max) {
        world_fail(world, "%u connections are served, %u may be", total,
                   config->server_connections_max);
    }
    for (unsigned i = 0; config->address_connections_max != 0 && i < address_count; i++) {
        if (counts[i] > config->address_connections_max) {
            world_fail(world, "%u connections of one address are served, %u may be", counts[i],
                       config->address_connections_max);
        }
    }
}

/* Of IPv6 the network counts. */
static bool address_same(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, 8) == 0;
}

/* For which address must this connection be counted by now? */
static const struct address *address_counted(const struct client *client,
                                             const struct transport *transport)
{
    if (!client->is_trusted) {
        bool announces = client->announced.family != ADDRESS_NONE;
        return !announces                            ? &client->address
               : transport->session != SESSION_PROXY ? &client->announced
                                                     : NULL;
    }
    return transport->session == SESSION_WS && client->ws_from.family != ADDRESS_NONE
               ? &client->ws_from
               : NULL;
}

uint64_t policy_upgrade_wait_ns(const struct world *world)
{
    const struct plan *plan = &world->plan;
    return plan->config.upgrade_rate_max != 0 || plan->reload_steps != 0 ? 1000000000 : 0;
}

/* ---- new configurations ---- */

static void reload_run(struct core *core, struct mail *mail)
{
    const struct reload *reload = (const struct reload *)(const void *)mail;
    if (core->state != CORE_ENDED) {
        config_reload(reload->target, &reload->config);
        core_config_changed(core);
    }
}

void policy_step(struct world *world)
{
    struct dice *dice = &world->policy_dice;
    if (world->plan.reload_steps == 0 || dice_below(dice, world->plan.reload_steps) != 0) {
        return;
    }
    struct gyr_config config = world->plan.config;
    plan_policies_draw(&config, dice);
    config.heartbeat_interval_ms = DICE_PICK(dice, 20, 500, 30000);
    config.heartbeat_timeout_ms = 600000; /* a slow reader comes to a Ping late */
    config.turn_completions_max = DICE_PICK(dice, 1, 7, 256);
    config.turn_sends_max = DICE_PICK(dice, 1, 9, 255);
    config.read_rounds_max = dice_between(dice, 1, 8);
    config.pause_size_max = dice_chance(dice, 200) ? 0 : dice_between(dice, 1, 4096);
    config.recv_scratch_threshold =
        dice_chance(dice, 250) ? 0 : dice_between(dice, 8, config.recv_buffer_size);
    config.spin_us = dice_chance(dice, 200) ? dice_between(dice, 1, 100) : 0;
    world_note(world, "a reload");
    for (unsigned i = 0; i < world->plan.core_count; i++) {
        struct reload *reload = memory_alloc(sizeof(*reload));
        ASSERT(reload != NULL);
        reload->mail.run = reload_run;
        reload->target = &world->configs[i];
        reload->config = config;
        if (mailbox_give(&world->cores[i]->mailbox, &reload->mail) != 0) {
            memory_free(reload);
        }
    }
}

/* ---- clients ---- */

static struct address address_draw(struct client *client, uint8_t network, uint16_t port)
{
    struct dice *dice = &client->policy_dice;
    uint8_t host = (uint8_t)dice_between(dice, 1, client->world->plan.address_count);
    uint16_t number = (uint16_t)(port + client->id);
    if (network != 9 && dice_chance(dice, 300)) {
        const uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, 0, network, 0, host,
                                0,    0,    0,    0,    0, 0,       0, (uint8_t)client->id};
        return address_ipv6(ip, number);
    }
    return address_ipv4((const uint8_t[]){10, network, 0, host}, number);
}

void policy_client_init(struct client *client)
{
    const struct plan *plan = &client->world->plan;
    const struct gyr_config *config = &plan->config;
    struct dice *dice = &client->policy_dice;
    *dice = dice_make(plan->seed, 5000 + client->id);
    client->announced = (struct address){0};
    if (plan->address_count == 0) {
        return;
    }
    client->proxied = dice_chance(dice, 500);
    client->address = address_draw(client, client->proxied ? 9 : 1, PORT_PEER);
    client->is_trusted = client->proxied && config->trusted_proxies[0] != '\0';
    client->says_header = client->is_trusted && config->proxy_protocol != 0;
    bool errs = !client->careful && plan->reload_steps == 0;
    client->says_bad_header = errs && dice_chance(dice, client->says_header ? 150 : 20);
    if (client->says_header && dice_chance(dice, 800)) {
        client->announced = address_draw(client, 2, PORT_ANNOUNCED);
        client->is_trusted = false;
    }
}

void policy_connected(struct client *client)
{
    struct world *world = client->world;
    const struct gyr_config *config = &world->plan.config;
    uint64_t now_ns = sim_now_ns(world->sim);
    client->sent_messages = pace_begin(now_ns, config->message_rate_max);
    client->heard_messages = client->sent_messages;
    client->sent_bytes = pace_begin(now_ns, config->byte_rate_max);
    client->heard_bytes = client->sent_bytes;
    if (world->plan.address_count == 0) {
        return;
    }
    char text[ADDRESS_TEXT_SIZE];
    address_format(&client->address, text);
    world_note(world, "client %u comes from %s", client->id, text);
    sim_client_name(world->sim, client->fd, &client->address);
    if (client->says_bad_header) {
        header_write_badly(client);
        client->fail_status = 400;
        client->sealed = true;
    } else if (client->says_header) {
        header_write(client);
    }
}

static const char SIGNATURE[12] = "\r\n\r\n\0\r\nQUIT\n";

static void header_put(struct client *client, unsigned command, unsigned family, const void *bytes,
                       size_t size)
{
    const uint8_t head[4] = {(uint8_t)command, (uint8_t)family, (uint8_t)(size >> 8),
                             (uint8_t)size};
    bytes_append(&client->out, SIGNATURE, sizeof(SIGNATURE));
    bytes_append(&client->out, head, sizeof(head));
    bytes_append(&client->out, bytes, size);
}

static void header_write(struct client *client)
{
    uint8_t bytes[36 + 3 + 200] = {0};
    struct dice *dice = &client->policy_dice;
    const struct address *address = &client->announced;
    bool ipv4 = address->family == ADDRESS_IPV4;
    size_t ip_size = ipv4 ? 4 : 16;
    if (address->family == ADDRESS_NONE) {
        header_put(client, dice_chance(dice, 500) ? 0x20 : 0x21, 0, bytes, dice_below(dice, 40));
        return;
    }
    memcpy(bytes, address->ip, ip_size);
    bytes[ip_size * 2] = (uint8_t)(address->port >> 8);
    bytes[ip_size * 2 + 1] = (uint8_t)address->port;
    size_t size = ip_size * 2 + 4;
    if (dice_chance(dice, 500)) {
        size_t value_size = dice_below(dice, 200);
        bytes[size] = 0x04; /* PP2_TYPE_NOOP */
        bytes[size + 2] = (uint8_t)value_size;
        size += 3 + value_size;
    }
    header_put(client, 0x21, ipv4 ? 0x11 : 0x21, bytes, size);
}

/* Not one that is expected. */
static void header_write_badly(struct client *client)
{
    const uint8_t zeros[12] = {0};
    if (!client->says_header) {
        header_put(client, 0x21, 0x11, zeros, sizeof(zeros));
        return;
    }
    switch (dice_below(&client->policy_dice, 6)) {
    case 0:
        bytes_printf(&client->out, "GET /never HTTP/1.1\r\nHost: sim\r\n\r\n");
        break;
    case 1:
        bytes_printf(&client->out, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
        break;
    case 2:
        header_put(client, 0x31, 0x11, zeros, sizeof(zeros)); /* version 3 */
        break;
    case 3:
        header_put(client, 0x21, 0x13, zeros, sizeof(zeros)); /* no such transport */
        break;
    case 4:
        header_put(client, 0x21, 0x11, zeros, 4); /* an address is larger */
        break;
    default:
        header_put(client, 0x21, 0x21, zeros, sizeof(zeros));
        break;
    }
}

void policy_fields(struct client *client, struct item *item)
{
    const struct plan *plan = &client->world->plan;
    struct dice *dice = &client->policy_dice;
    char text[ADDRESS_TEXT_SIZE];
    if (plan->address_count == 0) {
        return;
    }
    item->from = client->announced.family != ADDRESS_NONE ? client->announced : client->address;
    if (dice_chance(dice, 300)) {
        uint8_t agent[] = "User-Agent: ........\r\n"; /* of bytes that a log has to hide */
        for (unsigned i = 0; i < 8; i++) {
            agent[12 + i] =
                (uint8_t)(dice_chance(dice, 500) ? DICE_PICK(dice, '"', '\\', '\t', '=', ' ', '~')
                                                 : dice_between(dice, 0x80, 0xff));
        }
        agent[12] = 'a';
        agent[19] = 'z';
        bytes_append(&client->out, agent, sizeof(agent) - 1);
    }
    if (!dice_chance(dice, 400)) {
        return;
    }
    bool is_x = dice_chance(dice, 500);
    struct address from = address_draw(client, 3, PORT_FORWARDED);
    address_format(&from, text);
    if (!client->is_trusted && plan->reload_steps == 0 && dice_chance(dice, 300)) {
        (void)snprintf(text, sizeof(text), "\"'[[,,"); /* nobody looks at it */
    }
    bytes_printf(&client->out, is_x ? "X-Forwarded-For: %s%s\r\n" : "Forwarded: for=\"%s\"%s\r\n",
                 text,
                 !dice_chance(dice, 300) ? ""
                 : is_x                  ? ", 10.9.0.77"
                                         : ", for=10.9.0.77");
    if (client->is_trusted &&
        plan->config.forwarded == (is_x ? GYR_FORWARDED_X : GYR_FORWARDED_RFC_7239)) {
        item->from = from;
    }
}

bool policy_bad_request(struct client *client)
{
    static const char HANDSHAKE[] =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const struct plan *plan = &client->world->plan;
    uint32_t drawn = dice_below(&client->policy_dice, 10);
    if (plan->address_count == 0 || plan->reload_steps != 0) {
        return false;
    }
    if (drawn < 3 && client->is_trusted && plan->config.forwarded != GYR_FORWARDED_NONE) {
        bytes_printf(&client->out, "GET / HTTP/1.1\r\nHost: sim\r\n%s\r\n\r\n",
                     plan->config.forwarded == GYR_FORWARDED_X ? "X-Forwarded-For: 1.2.3"
                                                               : "Forwarded: for=1.2.3");
        client->fail_status = 400;
    } else if (drawn < 6 && plan->config.hosts[0] != '\0') {
        bytes_printf(&client->out, "GET / HTTP/1.1\r\nHost: not-sim\r\n\r\n");
        client->fail_status = 421;
    } else if (drawn < 8) {
        bytes_printf(&client->out,
                     "GET / HTTP/1.1\r\nHost: sim\r\nOrigin: http://sim.example\r\n%s\r\n",
                     HANDSHAKE);
        client->fail_status = 403;
    } else {
        return false;
    }
    client->sealed = true;
    return true;
}

void policy_sent(struct client *client)
{
    const struct gyr_config *config = &client->world->plan.config;
    uint64_t now_ns = sim_now_ns(client->world->sim);
    pace_update(&client->sent_messages, client->heard_count, client->frame_count, now_ns,
                config->message_rate_max);
    pace_update(&client->sent_bytes, client->heard_size, client->out_total, now_ns,
                config->byte_rate_max);
}

bool policy_may_refuse(struct client *client, unsigned status)
{
    const struct plan *plan = &client->world->plan;
    const struct gyr_config *config = &plan->config;
    bool limits = config->server_connections_max != 0 || config->address_connections_max != 0 ||
                  config->upgrade_rate_max != 0;
    bool right = (status == 503 && (limits || plan->reload_steps != 0)) ||
                 (status == 400 && client->proxied && plan->reload_steps != 0);
    client->excuses |= right ? EXCUSE_POLICY : 0U;
    return right;
}

bool policy_may_close(struct client *client, uint16_t close_code)
{
    const struct plan *plan = &client->world->plan;
    const struct gyr_config *config = &plan->config;
    bool closes = config->rate_action == GYR_RATE_CLOSE;
    bool messages = config->message_rate_max != 0 &&
                    client->sent_messages.peak > (double)config->message_burst_max - PACE_SLACK;
    bool bytes = config->byte_rate_max != 0 &&
                 client->sent_bytes.peak > (double)config->byte_burst_max - PACE_SLACK;
    bool right = close_code == 1008 && (plan->reload_steps != 0 || (closes && (messages || bytes)));
    client->excuses |= right ? EXCUSE_POLICY : 0U;
    return right;
}

/* ---- the service ---- */

void policy_request_heard(struct visit *visit, const struct item *item)
{
    struct world *world = visit->world;
    struct client *client = visit->client;
    const struct plan *plan = &world->plan;
    char text[ADDRESS_TEXT_SIZE];
    char expected[ADDRESS_TEXT_SIZE];
    if (plan->address_count == 0) {
        return;
    }
    gyr_client_address(visit->conn, text);
    address_format(&item->from, expected);
    bool is_lost = strcmp(text, "?") == 0; /* a reset was faster */
    if (plan->reload_steps == 0 && !is_lost && strcmp(text, expected) != 0) {
        world_fail(world, "client %u is %s to the service, and not %s", client->id, text, expected);
    }
    if (client->refused) {
        world_fail(world, "client %u was refused, and is heard", client->id);
    }
    if ((visit->flags & VISIT_F_HANDSHAKE) == 0) {
        return;
    }
    client->ws_from = is_lost ? (struct address){0} : item->from;
    struct pace *pace = &world->upgrades[visit->core_index];
    uint64_t count = world->upgrade_count[visit->core_index]++;
    pace_update(pace, count, count + 1, sim_now_ns(world->sim), plan->config.upgrade_rate_max);
    if (plan->config.upgrade_rate_max != 0 && plan->reload_steps == 0 &&
        pace->peak > plan->config.upgrade_rate_max + PACE_SLACK) {
        world_fail(world, "%f upgrades beyond the rate, %u may be", pace->peak,
                   plan->config.upgrade_rate_max);
    }
}

void policy_bytes_heard(struct visit *visit, size_t size, unsigned message_count)
{
    struct world *world = visit->world;
    struct client *client = visit->client;
    const struct gyr_config *config = &world->plan.config;
    /* By the clock that the engine went by: the core may have stood still since then. */
    uint64_t now_ns = world->cores[visit->core_index]->ring->now_ns;
    policy_sent(client); /* what is heard now was not until now */
    uint64_t count = client->heard_count + message_count;
    uint64_t bytes = client->heard_size + size;
    pace_update(&client->heard_messages, client->heard_count, count, now_ns,
                config->message_rate_max);
    pace_update(&client->heard_bytes, client->heard_size, bytes, now_ns, config->byte_rate_max);
    client->heard_count = count;
    client->heard_size = bytes;
    if (world->plan.reload_steps != 0) {
        return;
    }
    /* The one that is too many is handled before the wait; and one that was counted when it began
     * may have ended only now. */
    if (config->message_rate_max != 0 &&
        client->heard_messages.peak > config->message_burst_max + 2 + PACE_SLACK) {
        world_fail(world, "client %u is heard %f messages ahead of its rate, %u may be", client->id,
                   client->heard_messages.peak, config->message_burst_max);
    }
    /* The same holds of one read, which may be that of a whole message, and of a message that has
     * come slowly and is heard at once. What has come meanwhile was read ahead, and a receive that
     * is cancelled may fill all buffers yet. */
    double slack = 2.0 * (world->plan.message_max + (double)config->body_size_max) +
                   config->pause_size_max + 1 +
                   (double)config->recv_buffer_size * config->recv_buffer_count;
    if (config->byte_rate_max != 0 &&
        client->heard_bytes.peak > (double)config->byte_burst_max + slack) {
        world_fail(world, "client %u is heard %f bytes ahead of its rate, %llu may be", client->id,
                   client->heard_bytes.peak, (unsigned long long)config->byte_burst_max);
    }
}
