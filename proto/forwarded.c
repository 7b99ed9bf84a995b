/* SPDX-License-Identifier: MIT */
/* The client of a request by the word of its proxies, as RFC 7239 section 4 and, for
 * X-Forwarded-For, common use have it. Lists are read once, from left to right, by the grammar; the
 * walk from the right that they stand for is made by keeping the last address that ends it:
 *
 *   not trusted    ends the walk: the client, unless something right of it does too
 *   trusted        the client if nothing stands left of it, or what does is hidden
 *   hidden         ends the walk: the client is what stands right of it
 */
#include "proto/forwarded.h"

#include "proto/http_byte.h"

/* Of a node after its quotes are taken off. An address with a port takes 53; the rest is for
 * names that proxies make up. */
#define NODE_SIZE_MAX   256
#define PORT_DIGITS_MAX 5

/* Parameters that RFC 7239 section 5 defines; each may stand in an element once (section 4). */
enum {
    SEEN_FOR = 1 << 0,
    SEEN_BY = 1 << 1,
    SEEN_HOST = 1 << 2,
    SEEN_PROTO = 1 << 3,
};

/* The value of a parameter: between quotes, or a token. */
struct value {
    size_t size;
    uint8_t bytes[NODE_SIZE_MAX];
};

static int take_x(struct forwarded *forwarded, struct span rest);
static int take_rfc_7239(struct forwarded *forwarded, struct span rest);
static int element_take(struct forwarded *forwarded, struct span *rest);
static int pair_take(struct span *rest, unsigned *seen, struct value *node);
static int value_take(struct span *rest, struct value *value);
static int quoted_take(struct span *rest, struct value *value);
static unsigned parameter_of(struct span name);
static int node_take(struct forwarded *forwarded, enum forwarded_kind kind, struct span node);
static bool hidden_is_valid(struct span node);
static bool obfuscated_is_valid(struct span text);
static bool ipv6_is_bare(struct span node);
static bool hidden_port_drop(struct span *node);
static struct span token_take(struct span *rest);
static void skip(struct span *rest, size_t size);
static void skip_blanks(struct span *rest);
static bool is_blank(uint8_t byte);

void forwarded_init(struct forwarded *forwarded, const struct address_ranges *trusted)
{
    *forwarded = (struct forwarded){.trusted = trusted, .client = {.family = ADDRESS_NONE}};
}

int forwarded_client(const struct http_request *request, const uint8_t *bytes,
                     enum forwarded_kind kind, const struct address_ranges *trusted,
                     const struct address *peer, struct address *client)
{
    static const struct span names[] = {
        [FORWARDED_RFC_7239] = SPAN_STATIC("Forwarded"),
        [FORWARDED_X] = SPAN_STATIC("X-Forwarded-For"),
    };
    struct forwarded forwarded;
    forwarded_init(&forwarded, trusted);
    if (address_ranges_have(trusted, peer)) {
        int at = http_request_find(request, bytes, names[kind], 0);
        while (at >= 0) {
            struct span value = http_slice_span(request->fields[at].value, bytes);
            int err = forwarded_take(&forwarded, kind, value);
            if (err != 0) {
                return err;
            }
            at = http_request_find(request, bytes, names[kind], (unsigned)at + 1);
        }
    }
    *client = forwarded.client.family == ADDRESS_NONE ? *peer : forwarded.client;
    return 0;
}

int forwarded_take(struct forwarded *forwarded, enum forwarded_kind kind, struct span value)
{
    return kind == FORWARDED_X ? take_x(forwarded, value) : take_rfc_7239(forwarded, value);
}

/* ---- X-Forwarded-For ------------------------------------------------------------------------- */

/* Nodes between commas, and blanks around them. */
static int take_x(struct forwarded *forwarded, struct span rest)
{
    int err = 0;
    while (rest.size > 0 && err == 0) {
        const uint8_t *comma = memchr(rest.ptr, ',', rest.size);
        struct span node = rest;
        if (comma != NULL) {
            node.size = (size_t)(comma - rest.ptr);
        }
        skip(&rest, MIN(node.size + 1, rest.size));
        skip_blanks(&node);
        while (node.size > 0 && is_blank(node.ptr[node.size - 1])) {
            node.size--;
        }
        if (node.size > 0) {
            err = node_take(forwarded, FORWARDED_X, node);
        }
    }
    return err;
}

/* ---- Forwarded ------------------------------------------------------------------------------- */

/* 1#forwarded-element, with the empty elements that a list may have (RFC 9110 section 5.6.1.2). */
static int take_rfc_7239(struct forwarded *forwarded, struct span rest)
{
    for (;;) {
        skip_blanks(&rest);
        int err = 0;
        if (rest.size > 0 && rest.ptr[0] != ',') {
            err = element_take(forwarded, &rest);
        }
        if (err != 0 || rest.size == 0) {
            return err;
        }
        skip(&rest, 1);
    }
}

/* [ forwarded-pair ] *( ";" [ forwarded-pair ] ), up to its comma or the end. Blanks around the
 * semicolon are not in the grammar, but some write them, and nothing else can be meant. */
static int element_take(struct forwarded *forwarded, struct span *rest)
{
    unsigned seen = 0;
    struct value node;
    node.size = 0;
    for (;;) {
        skip_blanks(rest);
        if (rest->size > 0 && rest->ptr[0] != ';' && rest->ptr[0] != ',') {
            int err = pair_take(rest, &seen, &node);
            if (err != 0) {
                return err;
            }
            skip_blanks(rest);
        }
        if (rest->size == 0 || rest->ptr[0] == ',') {
            break;
        }
        if (rest->ptr[0] != ';') {
            return GYR_ERR_HTTP_FORWARDED;
        }
        skip(rest, 1);
    }
    if ((seen & SEEN_FOR) == 0) {
        forwarded->client.family = ADDRESS_NONE; /* a hop of which nothing is said */
        return 0;
    }
    return node_take(forwarded, FORWARDED_RFC_7239, span_of(node.bytes, node.size));
}

/* token "=" value; the value of "for" is kept in `node`. */
static int pair_take(struct span *rest, unsigned *seen, struct value *node)
{
    struct span name = token_take(rest);
    if (name.size == 0 || rest->size == 0 || rest->ptr[0] != '=') {
        return GYR_ERR_HTTP_FORWARDED;
    }
    skip(rest, 1);
    unsigned parameter = parameter_of(name);
    if ((*seen & parameter) != 0) {
        return GYR_ERR_HTTP_FORWARDED;
    }
    *seen |= parameter;
    return value_take(rest, parameter == SEEN_FOR ? node : NULL);
}

/* token / quoted-string; NULL: only checked. A node must fit its room, others may be longer. */
static int value_take(struct span *rest, struct value *value)
{
    if (rest->size > 0 && rest->ptr[0] == '"') {
        return quoted_take(rest, value);
    }
    struct span token = token_take(rest);
    if (token.size == 0 || (value != NULL && token.size > sizeof(value->bytes))) {
        return GYR_ERR_HTTP_FORWARDED;
    }
    if (value != NULL) {
        memcpy(value->bytes, token.ptr, token.size);
        value->size = token.size;
    }
    return 0;
}

/* DQUOTE *( qdtext / quoted-pair ) DQUOTE (RFC 9110 section 5.6.4). */
static int quoted_take(struct span *rest, struct value *value)
{
    size_t at = 1;
    while (at < rest->size && rest->ptr[at] != '"') {
        bool escaped = rest->ptr[at] == '\\';
        at += escaped;
        if (at == rest->size ||
            !http_byte_is(rest->ptr[at], escaped ? HTTP_BYTE_VALUE : HTTP_BYTE_QUOTED)) {
            return GYR_ERR_HTTP_FORWARDED;
        }
        if (value != NULL) {
            if (value->size == sizeof(value->bytes)) {
                return GYR_ERR_HTTP_FORWARDED;
            }
            value->bytes[value->size++] = rest->ptr[at];
        }
        at++;
    }
    if (at >= rest->size) {
        return GYR_ERR_HTTP_FORWARDED;
    }
    skip(rest, at + 1);
    return 0;
}

/* "for", "by", "host", "proto", in any case; 0 for what extends them. */
static unsigned parameter_of(struct span name)
{
    static const struct {
        struct span name;
        unsigned bit;
    } parameters[] = {
        {SPAN_STATIC("for"), SEEN_FOR},
        {SPAN_STATIC("by"), SEEN_BY},
        {SPAN_STATIC("host"), SEEN_HOST},
        {SPAN_STATIC("proto"), SEEN_PROTO},
    };
    for (size_t i = 0; i < COUNT_OF(parameters); i++) {
        if (span_equal_nocase(name, parameters[i].name)) {
            return parameters[i].bit;
        }
    }
    return 0;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* node = nodename [ ":" node-port ] (RFC 7239 section 6). In X-Forwarded-For IPv6 stands without
 * brackets, too. */
static int node_take(struct forwarded *forwarded, enum forwarded_kind kind, struct span node)
{
    if (node.size > 0 && (node.ptr[0] == '_' || ascii_lower(node.ptr[0]) == 'u')) {
        if (!hidden_is_valid(node)) {
            return GYR_ERR_HTTP_FORWARDED;
        }
        forwarded->client.family = ADDRESS_NONE;
        return 0;
    }
    if (kind == FORWARDED_RFC_7239 && ipv6_is_bare(node)) {
        return GYR_ERR_HTTP_FORWARDED;
    }
    struct address address;
    if (!hidden_port_drop(&node) || address_parse_with_port(node, &address) != 0) {
        return GYR_ERR_HTTP_FORWARDED;
    }
    if (forwarded->client.family == ADDRESS_NONE ||
        !address_ranges_have(forwarded->trusted, &address)) {
        forwarded->client = address;
    }
    return 0;
}

/* "unknown" / obfnode, and perhaps a port of either kind, of which the digits are not read. */
static bool hidden_is_valid(struct span node)
{
    const uint8_t *colon = memchr(node.ptr, ':', node.size);
    struct span name = colon == NULL ? node : span_of(node.ptr, (size_t)(colon - node.ptr));
    if (!span_equal_nocase(name, SPAN_LITERAL("unknown")) && !obfuscated_is_valid(name)) {
        return false;
    }
    if (colon == NULL) {
        return true;
    }
    struct span port = span_of(colon + 1, node.size - name.size - 1);
    bool digits = port.size > 0 && port.size <= PORT_DIGITS_MAX &&
                  http_bytes_are(port.ptr, port.size, HTTP_BYTE_DIGIT);
    return digits || obfuscated_is_valid(port);
}

/* "_" 1*( ALPHA / DIGIT / "." / "_" / "-" ) (RFC 7239 section 6.3). */
static bool obfuscated_is_valid(struct span text)
{
    if (text.size < 2 || text.ptr[0] != '_') {
        return false;
    }
    for (size_t i = 1; i < text.size; i++) {
        uint8_t byte = ascii_lower(text.ptr[i]);
        bool alnum = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
        if (!alnum && byte != '.' && byte != '_' && byte != '-') {
            return false;
        }
    }
    return true;
}

/* More than one colon, and no bracket before them. */
static bool ipv6_is_bare(struct span node)
{
    unsigned colons = 0;
    for (size_t i = 0; i < node.size && colons < 2; i++) {
        colons += node.ptr[i] == ':';
    }
    return colons == 2 && node.ptr[0] != '[';
}

/* Cut a port like ":_name" off an address, which has no other then. False: it is malformed. */
static bool hidden_port_drop(struct span *node)
{
    const uint8_t *mark = node->size > 0 ? memchr(node->ptr, '_', node->size) : NULL;
    if (mark == NULL) {
        return true;
    }
    size_t host_size = (size_t)(mark - node->ptr);
    if (host_size < 2 || mark[-1] != ':' ||
        !obfuscated_is_valid(span_of(mark, node->size - host_size))) {
        return false;
    }
    node->size = host_size - 1;
    return node->ptr[node->size - 1] == ']' || memchr(node->ptr, ':', node->size) == NULL;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static struct span token_take(struct span *rest)
{
    size_t size = 0;
    while (size < rest->size && http_byte_is(rest->ptr[size], HTTP_BYTE_TOKEN)) {
        size++;
    }
    struct span token = span_of(rest->ptr, size);
    skip(rest, size);
    return token;
}

static void skip(struct span *rest, size_t size)
{
    *rest = span_of(rest->ptr + size, rest->size - size);
}

static void skip_blanks(struct span *rest)
{
    while (rest->size > 0 && is_blank(rest->ptr[0])) {
        skip(rest, 1);
    }
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}
