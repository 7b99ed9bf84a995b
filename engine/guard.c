/* SPDX-License-Identifier: MIT */
/* The policies of a public server at the places where they are applied: at the accept, behind a
 * PROXY header, at each request, at a handshake, and at each read. Where the configuration asks for
 * none of them, no visitor is ever touched, and an idle connection pays nothing.
 *
 * Connections of one address are counted where that address is known: at the accept, unless the
 * peer is a trusted proxy; behind its PROXY header; or, as connections of a proxy are shared by its
 * clients, at the upgrade, from which on one is its client's alone. */
#include "engine/guard.h"

#include "engine/core.h"
#include "engine/session.h"
#include "proto/forwarded.h"
#include "proto/origin.h"

static size_t visitors_size(const struct core *core);
static bool total_is_reached(const struct core *core);
static int count(struct core *core, struct visitor *visitor);
static bool exceeds(struct transport *transport, uint64_t wait_ns);

static struct span list_of(const char *text)
{
    return span_of(text, strlen(text));
}

int guard_init(struct core *core, struct address_table *addresses)
{
    struct guard *guard = &core->guard;
    guard->visitors = memory_map(visitors_size(core));
    if (guard->visitors == NULL) {
        return GYR_ERR_MEMORY;
    }
    guard->addresses = addresses;
    guard_configure(core);
    return 0;
}

void guard_deinit(struct core *core)
{
    memory_unmap(core->guard.visitors, visitors_size(core));
}

static size_t visitors_size(const struct core *core)
{
    return core->slots.end * sizeof(struct visitor);
}

void guard_configure(struct core *core)
{
    const struct gyr_config *config = core->config;
    struct guard *guard = &core->guard;
    struct span bad;
    int err = address_ranges_parse(list_of(config->trusted_proxies), &guard->proxies, &bad);
    ASSERT(err == 0); /* policy_check_text has read it */
    bool proxies = guard->proxies.count != 0;
    unsigned flags = 0;
    flags |= config->server_connections_max != 0 ? GUARD_F_TOTAL : 0;
    flags |= config->address_connections_max != 0 ? GUARD_F_COUNT | GUARD_F_ADDRESS : 0;
    flags |= config->proxy_protocol != 0 && proxies ? GUARD_F_HEADER : 0;
    flags |= config->forwarded != GYR_FORWARDED_NONE && proxies ? GUARD_F_FORWARDED : 0;
    flags |= proxies ? GUARD_F_ADDRESS : 0;
    flags |= config->message_rate_max != 0 ? GUARD_F_MESSAGES : 0;
    flags |= config->byte_rate_max != 0 ? GUARD_F_BYTES : 0;
    flags |= config->hosts[0] != '\0' ? GUARD_F_HOSTS : 0;
    if (config->access_log != 0 && config->log_level >= GYR_LOG_INFO &&
        core->service->on_log != NULL) {
        flags |= GUARD_F_ACCESS | GUARD_F_ADDRESS;
    }
    core->guard_flags = flags;
    /* What a bucket holds means something for one rate only, and so does how long it is waited for:
     * all begin full. */
    guard->upgrades = (struct rate){0};
    for (uint32_t i = 0; core->visitors_used && i < core->slots.used; i++) {
        guard->visitors[i].messages = (struct rate){0};
        guard->visitors[i].bytes = (struct rate){0};
        guard->visitors[i].rate_end_ns = 0;
    }
}

struct visitor *guard_visitor(const struct transport *transport)
{
    struct guard *guard = &transport->core->guard;
    transport->core->visitors_used = true;
    return &guard->visitors[transport->index];
}

/* ---- accept ---- */

int guard_admit(struct core *core, int fd, struct visitor *visitor)
{
    *visitor = (struct visitor){0};
    if ((core->guard_flags & GUARD_F_TOTAL) != 0 && total_is_reached(core)) {
        return GYR_ERR_LIMIT;
    }
    if ((core->guard_flags & GUARD_F_ADDRESS) == 0) {
        return 0;
    }
    core->ring->ops->peer_address(core->ring, fd, &visitor->peer);
    visitor->client = visitor->peer;
    if (address_ranges_have(&core->guard.proxies, &visitor->peer)) {
        visitor->flags |= VISITOR_F_TRUSTED;
        return 0;
    }
    return count(core, visitor);
}

/* Whoever comes counts itself before it looks, so that two that come at once cannot both find the
 * last place: it may only happen that neither does. */
static bool total_is_reached(const struct core *core)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < core->peer_count; i++) {
        total += atomic_load_explicit(&core->peers[i]->load, memory_order_seq_cst);
    }
    return total > core->config->server_connections_max;
}

static int count(struct core *core, struct visitor *visitor)
{
    struct guard *guard = &core->guard;
    if ((core->guard_flags & GUARD_F_COUNT) == 0 || guard->addresses == NULL ||
        (visitor->flags & VISITOR_F_COUNTED) != 0) {
        return 0;
    }
    int err = address_table_enter(guard->addresses, &visitor->client,
                                  core->config->address_connections_max);
    if (err == 0) {
        visitor->flags |= VISITOR_F_COUNTED;
        visitor->counted = visitor->client;
    }
    return err;
}

void guard_forget(struct core *core, struct visitor *visitor)
{
    if ((visitor->flags & VISITOR_F_COUNTED) != 0) {
        address_table_leave(core->guard.addresses, &visitor->counted);
    }
    *visitor = (struct visitor){0};
}

void guard_begin(struct transport *transport, const struct visitor *visitor)
{
    *guard_visitor(transport) = *visitor;
}

void guard_end(struct transport *transport)
{
    struct guard *guard = &transport->core->guard;
    if (transport->core->visitors_used) {
        struct visitor *visitor = &guard->visitors[transport->index];
        ASSERT(visitor->access == NULL);
        guard_forget(transport->core, visitor);
    }
}

/* ---- PROXY header ---- */

bool guard_wants_header(const struct transport *transport)
{
    return (transport->core->guard_flags & GUARD_F_HEADER) != 0 &&
           (guard_visitor(transport)->flags & VISITOR_F_TRUSTED) != 0;
}

int guard_header(struct transport *transport, const struct address *source)
{
    struct visitor *visitor = guard_visitor(transport);
    if (source->family == ADDRESS_NONE) {
        return 0;
    }
    visitor->peer = *source;
    visitor->client = *source;
    if (!address_ranges_have(&transport->core->guard.proxies, source)) {
        visitor->flags &= ~(uint32_t)VISITOR_F_TRUSTED;
        return count(transport->core, visitor);
    }
    return 0;
}

/* ---- requests ---- */

int guard_request(struct transport *transport, const struct http_request *head,
                  const uint8_t *bytes)
{
    struct core *core = transport->core;
    const struct gyr_config *config = core->config;
    if ((core->guard_flags & GUARD_F_HOSTS) != 0 &&
        !host_is_served(http_slice_span(head->host, bytes), list_of(config->hosts))) {
        STATS_ADD(&core->stats, forbidden, 1);
        return GYR_ERR_HTTP_MISDIRECTED;
    }
    if ((core->guard_flags & GUARD_F_FORWARDED) == 0) {
        return 0;
    }
    struct visitor *visitor = guard_visitor(transport);
    if ((visitor->flags & VISITOR_F_TRUSTED) == 0) {
        return 0;
    }
    enum forwarded_kind kind =
        config->forwarded == GYR_FORWARDED_X ? FORWARDED_X : FORWARDED_RFC_7239;
    int err =
        forwarded_client(head, bytes, kind, &core->guard.proxies, &visitor->peer, &visitor->client);
    if (err < 0) {
        STATS_ADD(&core->stats, forbidden, 1);
    }
    return err;
}

int guard_handshake(struct transport *transport, const struct http_request *head,
                    const uint8_t *bytes)
{
    struct core *core = transport->core;
    const struct gyr_config *config = core->config;
    int index = http_request_find(head, bytes, SPAN_LITERAL("Origin"), 0);
    if (index >= 0) {
        struct span origin = http_slice_span(head->fields[index].value, bytes);
        bool more =
            http_request_find(head, bytes, SPAN_LITERAL("Origin"), (unsigned)index + 1) >= 0;
        if (more || !origin_is_allowed(origin, http_slice_span(head->host, bytes),
                                       list_of(config->origins))) {
            STATS_ADD(&core->stats, forbidden, 1);
            return GYR_ERR_HTTP_ORIGIN;
        }
    }
    if (config->upgrade_rate_max != 0 &&
        rate_take(&core->guard.upgrades, core->ring->now_ns, 1, config->upgrade_rate_max,
                  config->upgrade_rate_max) != 0) {
        STATS_ADD(&core->stats, limited, 1);
        return GYR_ERR_LIMIT;
    }
    if ((core->guard_flags & GUARD_F_COUNT) == 0) {
        return 0;
    }
    int err = count(core, guard_visitor(transport));
    if (err < 0) {
        STATS_ADD(&core->stats, limited, 1);
    }
    return err;
}

/* ---- rates ---- */

bool guard_bytes_exceed(struct transport *transport, size_t size)
{
    const struct core *core = transport->core;
    const struct gyr_config *config = core->config;
    return exceeds(transport, rate_charge(&guard_visitor(transport)->bytes, core->ring->now_ns,
                                          size, config->byte_rate_max, config->byte_burst_max));
}

bool guard_message_exceeds(struct transport *transport)
{
    const struct core *core = transport->core;
    const struct gyr_config *config = core->config;
    return exceeds(transport, rate_charge(&guard_visitor(transport)->messages, core->ring->now_ns,
                                          1, config->message_rate_max, config->message_burst_max));
}

static bool exceeds(struct transport *transport, uint64_t wait_ns)
{
    if (wait_ns == 0) {
        return false;
    }
    struct visitor *visitor = guard_visitor(transport);
    visitor->rate_end_ns = MAX(visitor->rate_end_ns, transport->core->ring->now_ns + wait_ns);
    return true;
}

/* ---- addresses ---- */

void guard_client(const struct transport *transport, struct address *client)
{
    const struct core *core = transport->core;
    if ((core->guard_flags & GUARD_F_ADDRESS) != 0) {
        *client = guard_visitor(transport)->client;
        if (client->family != ADDRESS_NONE) {
            return;
        }
    }
    core->ring->ops->peer_address(core->ring, transport->fd, client);
}
