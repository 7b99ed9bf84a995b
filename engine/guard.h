/* SPDX-License-Identifier: MIT */
/* Who may come, and how much of it may come: the policies of the configuration as one core applies
 * them, and what is kept of a connection only where one of them asks for it. */
#ifndef ENGINE_GUARD_H
#define ENGINE_GUARD_H

#include "base/base.h"
#include "engine/address_table.h"
#include "engine/rate.h"
#include "gyr/gyr.h"
#include "proto/http_request.h"

struct access;
struct core;
struct transport;

/* What the configuration asks for: core.guard_flags. */
enum guard_flags {
    GUARD_F_ADDRESS = 1 << 0,  /* the client's address is taken at the accept */
    GUARD_F_COUNT = 1 << 1,    /* address_connections_max */
    GUARD_F_TOTAL = 1 << 2,    /* server_connections_max */
    GUARD_F_HEADER = 1 << 3,   /* proxy_protocol */
    GUARD_F_MESSAGES = 1 << 4, /* message_rate_max */
    GUARD_F_BYTES = 1 << 5,    /* byte_rate_max */
    GUARD_F_ACCESS = 1 << 6,   /* access_log */
    GUARD_F_FORWARDED = 1 << 7,
    GUARD_F_HOSTS = 1 << 8,
};
/* Whether there is anything to be done at an accept, or at each request. */
#define GUARD_F_ACCEPT  (GUARD_F_ADDRESS | GUARD_F_TOTAL)
#define GUARD_F_REQUEST (GUARD_F_FORWARDED | GUARD_F_HOSTS | GUARD_F_ACCESS)

enum visitor_flags {
    VISITOR_F_TRUSTED = 1 << 0, /* the peer is one of trusted_proxies */
    VISITOR_F_COUNTED = 1 << 1, /* address_table_leave is owed for `counted` */
};

/* What is kept of one connection, beside its transport. Zero while nothing asks for it. */
struct visitor {
    struct address peer;    /* the socket's other end, or whom its PROXY header names */
    struct address client;  /* the same, or whom a trusted proxy names for the current request */
    struct address counted; /* with VISITOR_F_COUNTED */
    uint32_t flags;         /* enum visitor_flags */
    uint64_t rate_end_ns;   /* nothing is read before, with TRANSPORT_F_RATE */
    struct rate messages;
    struct rate bytes;
    struct access *access; /* owned; the request or WebSocket that will be logged */
};

struct guard {
    struct visitor *visitors;        /* owned; one for each slot of a transport */
    struct address_table *addresses; /* borrowed; of all cores; NULL without a server */
    struct address_ranges proxies;
    struct rate upgrades;
    const char *limit; /* behind the GYR_ERR_LIMIT that is being told: the setting; or NULL */
};

MUST_CHECK int guard_init(struct core *core, struct address_table *addresses);
void guard_deinit(struct core *core);

/* The configuration is new: take over what it says. */
void guard_configure(struct core *core);

/* A connection was accepted: may it stay? 0, GYR_ERR_LIMIT, GYR_ERR_MEMORY, or -ENOTCONN: it was
 * reset before, so nobody can say whose it was, and what it has sent would still be read. With 0
 * `visitor` is what guard_begin wants, or guard_forget if the connection is not taken after all.
 * Only with GUARD_F_ACCEPT. */
MUST_CHECK int guard_admit(struct core *core, int fd, struct visitor *visitor);
void guard_forget(struct core *core, struct visitor *visitor);
void guard_begin(struct transport *transport, const struct visitor *visitor);
/* The connection has ended. */
void guard_end(struct transport *transport);

/* Must it begin with a PROXY header? */
bool guard_wants_header(const struct transport *transport);
/* It has named this client, or none. Errors as guard_admit. */
MUST_CHECK int guard_header(struct transport *transport, const struct address *source);

/* May this request be handled? 0, GYR_ERR_HTTP_MISDIRECTED, GYR_ERR_HTTP_FORWARDED. Only with
 * GUARD_F_REQUEST. */
MUST_CHECK int guard_request(struct transport *transport, const struct http_request *head,
                             const uint8_t *bytes);
/* May it become a WebSocket? 0, GYR_ERR_HTTP_ORIGIN, GYR_ERR_LIMIT. */
MUST_CHECK int guard_handshake(struct transport *transport, const struct http_request *head,
                               const uint8_t *bytes);
/* It has ended, and did not become one: what was known of its client does not hold for the next
 * request. Only if core.visitors_used. */
void guard_request_end(struct transport *transport);

/* Bytes have come from the peer: at what time may the next be handled? Returns false if that is
 * now. Only with GUARD_F_BYTES; and the same of a frame, with GUARD_F_MESSAGES. */
bool guard_bytes_exceed(struct transport *transport, size_t size);
bool guard_message_exceeds(struct transport *transport);

struct visitor *guard_visitor(const struct transport *transport);

/* Who is behind this connection, whatever the policies. */
void guard_client(const struct transport *transport, struct address *client);

#endif
