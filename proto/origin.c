/* SPDX-License-Identifier: MIT */
/* Origins (RFC 6454 section 7) and hosts against lists. What is compared are parts, never texts: a
 * host is a name of letters, digits, "-" and "_" between dots, or an IPv6 literal; a value with
 * anything else, such as userinfo, a path or a second origin, has no parts and matches nothing. */
#include "proto/origin.h"

#include "proto/address.h"
#include "proto/http_byte.h"
#include "proto/text_list.h"

#define HOST_SIZE_MAX 255 /* RFC 1035 section 2.3.4 */
#define PORT_HTTP     80
#define PORT_HTTPS    443

/* uri-host [ ":" port ] (RFC 9110 section 4.2) as far as it can match. */
struct authority {
    struct span host; /* with the brackets of an IPv6 literal; without the "*" of a wildcard, but
                         with its dot */
    uint16_t port;    /* 0: none is named */
    bool wildcard;
    bool ipv6;
    struct address ip; /* if ipv6 */
};

struct origin {
    struct span scheme;
    struct authority authority;
};

static bool origin_parse(struct span text, bool wildcard, struct origin *origin);
static bool origin_is_own(const struct origin *origin, struct span host);
static bool origin_matches(const struct origin *origin, const struct origin *element);
static uint16_t scheme_port(struct span scheme);
static bool authority_parse(struct span text, bool wildcard, struct authority *authority);
static bool port_parse(struct span text, uint16_t *port);
static bool name_is_valid(struct span name);
static bool name_is_numeric(struct span name);
static bool host_matches(const struct authority *host, const struct authority *element);

bool origin_is_allowed(struct span origin, struct span host, struct span list)
{
    struct origin parsed;
    bool valid = origin_parse(origin, false, &parsed);
    if (valid && origin_is_own(&parsed, host)) {
        return true;
    }
    struct span element;
    while (text_list_next(&list, &element)) {
        struct origin allowed;
        if (span_equal(element, SPAN_LITERAL("*"))) {
            return true;
        }
        if (span_equal(element, SPAN_LITERAL("null"))) {
            if (span_equal(origin, SPAN_LITERAL("null"))) {
                return true;
            }
        } else if (valid && origin_parse(element, true, &allowed) &&
                   origin_matches(&parsed, &allowed)) {
            return true;
        }
    }
    return false;
}

bool host_is_served(struct span host, struct span list)
{
    struct authority parsed;
    bool valid = authority_parse(host, false, &parsed);
    bool empty = true;
    struct span element;
    while (text_list_next(&list, &element)) {
        struct authority served;
        empty = false;
        if (!valid) {
            return false;
        }
        /* Most elements of a long list are others at their first byte. */
        if (element.ptr[0] != '*' && ascii_lower(element.ptr[0]) != ascii_lower(host.ptr[0])) {
            continue;
        }
        if (authority_parse(element, true, &served) && host_matches(&parsed, &served) &&
            (served.port == 0 || parsed.port == served.port ||
             (parsed.port == 0 && (served.port == PORT_HTTP || served.port == PORT_HTTPS)))) {
            return true;
        }
    }
    return empty;
}

int origin_list_check(struct span list, struct span *bad)
{
    unsigned count = 0;
    bool any = false;
    struct span element;
    while (text_list_next(&list, &element)) {
        struct origin origin;
        bool star = span_equal(element, SPAN_LITERAL("*"));
        bool valid = star || span_equal(element, SPAN_LITERAL("null")) ||
                     origin_parse(element, true, &origin);
        if (!valid || any || (star && count > 0)) {
            *bad = any ? SPAN_LITERAL("*") : element;
            return GYR_ERR_ARGUMENT;
        }
        any = star;
        count++;
    }
    return 0;
}

int host_list_check(struct span list, struct span *bad)
{
    struct span element;
    while (text_list_next(&list, &element)) {
        struct authority authority;
        if (!authority_parse(element, true, &authority)) {
            *bad = element;
            return GYR_ERR_ARGUMENT;
        }
    }
    return 0;
}

/* ---- origins --------------------------------------------------------------------------------- */

/* scheme "://" host [ ":" port ] and nothing else (RFC 6454 section 7.1). */
static bool origin_parse(struct span text, bool wildcard, struct origin *origin)
{
    const uint8_t *colon = text.size > 0 ? memchr(text.ptr, ':', text.size) : NULL;
    if (colon == NULL) {
        return false;
    }
    origin->scheme = span_of(text.ptr, (size_t)(colon - text.ptr));
    struct span rest = span_of(colon, text.size - origin->scheme.size);
    for (size_t i = 0; i < origin->scheme.size; i++) {
        /* ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) (RFC 3986 section 3.1). */
        uint8_t byte = ascii_lower(text.ptr[i]);
        bool alpha = byte >= 'a' && byte <= 'z';
        bool other = (byte >= '0' && byte <= '9') || byte == '+' || byte == '-' || byte == '.';
        if (!alpha && (i == 0 || !other)) {
            return false;
        }
    }
    return origin->scheme.size > 0 && rest.size > 3 && memcmp(rest.ptr, "://", 3) == 0 &&
           authority_parse(span_of(rest.ptr + 3, rest.size - 3), wildcard, &origin->authority);
}

/* Is this the origin of the request's own host? */
static bool origin_is_own(const struct origin *origin, struct span host)
{
    struct authority own;
    uint16_t standard = scheme_port(origin->scheme);
    if (standard == 0 || !authority_parse(host, false, &own) ||
        !host_matches(&origin->authority, &own)) {
        return false;
    }
    uint16_t port = origin->authority.port == 0 ? standard : origin->authority.port;
    return port == (own.port == 0 ? standard : own.port);
}

static bool origin_matches(const struct origin *origin, const struct origin *element)
{
    uint16_t standard = scheme_port(origin->scheme);
    uint16_t port = origin->authority.port == 0 ? standard : origin->authority.port;
    uint16_t allowed = element->authority.port == 0 ? standard : element->authority.port;
    return span_equal_nocase(origin->scheme, element->scheme) && port == allowed &&
           host_matches(&origin->authority, &element->authority);
}

/* 80, 443, or 0 for a scheme that is not of the web. */
static uint16_t scheme_port(struct span scheme)
{
    if (span_equal_nocase(scheme, SPAN_LITERAL("https"))) {
        return PORT_HTTPS;
    }
    return span_equal_nocase(scheme, SPAN_LITERAL("http")) ? PORT_HTTP : 0;
}

/* ---- hosts ----------------------------------------------------------------------------------- */

/* host [ ":" port ], of which the host may begin with "*." if wildcard. */
static bool authority_parse(struct span text, bool wildcard, struct authority *authority)
{
    *authority = (struct authority){.port = 0};
    struct span host = text;
    if (text.size > 0 && text.ptr[0] == '[') {
        const uint8_t *close = memchr(text.ptr, ']', text.size);
        if (close == NULL) {
            return false;
        }
        host.size = (size_t)(close - text.ptr) + 1;
        struct span ip = span_of(text.ptr + 1, host.size - 2);
        if (memchr(ip.ptr, ':', ip.size) == NULL || address_parse(ip, &authority->ip) != 0) {
            return false;
        }
        authority->ipv6 = true;
    } else {
        const uint8_t *colon = text.size > 0 ? memchr(text.ptr, ':', text.size) : NULL;
        host.size = colon == NULL ? text.size : (size_t)(colon - text.ptr);
        struct span name = host;
        if (wildcard && host.size > 2 && host.ptr[0] == '*' && host.ptr[1] == '.') {
            authority->wildcard = true;
            name = span_of(host.ptr + 2, host.size - 2);
            host = span_of(host.ptr + 1, host.size - 1);
        }
        if (!name_is_valid(name) || (authority->wildcard && name_is_numeric(name))) {
            return false;
        }
    }
    authority->host = host;
    const uint8_t *end = host.ptr + host.size;
    struct span port = span_of(end, (size_t)(text.ptr + text.size - end));
    return port.size == 0 || (port.ptr[0] == ':' &&
                              port_parse(span_of(port.ptr + 1, port.size - 1), &authority->port));
}

/* 1 to 65535, without leading zeros. */
static bool port_parse(struct span text, uint16_t *port)
{
    uint32_t value = 0;
    if (text.size == 0 || text.size > 5 || text.ptr[0] == '0' ||
        !http_bytes_are(text.ptr, text.size, HTTP_BYTE_DIGIT)) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        value = value * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

/* Labels of letters, digits, "-" and "_" between dots; the last dot may be at the end. Names of
 * other bytes cannot be registered, and escapes have more than one spelling. */
static bool name_is_valid(struct span name)
{
    bool label = false; /* has begun */
    if (name.size > HOST_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.ptr[i];
        bool dot = byte == '.';
        if (dot ? !label : !HTTP_BYTE_ALNUM(byte) && byte != '-' && byte != '_') {
            return false;
        }
        label = !dot;
    }
    return name.size > 0;
}

/* Does the name end like an IPv4 address, in a label of digits? Such have no sub-domains. */
static bool name_is_numeric(struct span name)
{
    size_t start = name.size;
    while (start > 0 && http_byte_is(name.ptr[start - 1], HTTP_BYTE_DIGIT)) {
        start--;
    }
    return start < name.size && (start == 0 || name.ptr[start - 1] == '.');
}

/* The same host, or for a wildcard one that has more labels before its dot. */
static bool host_matches(const struct authority *host, const struct authority *element)
{
    if (host->ipv6 || element->ipv6) {
        return host->ipv6 && element->ipv6 &&
               memcmp(&host->ip, &element->ip, sizeof(host->ip)) == 0;
    }
    struct span end = host->host;
    if (element->wildcard) {
        if (end.size <= element->host.size) {
            return false;
        }
        end = span_of(end.ptr + end.size - element->host.size, element->host.size);
    }
    return span_equal_nocase(end, element->host);
}
