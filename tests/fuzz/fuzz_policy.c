/* SPDX-License-Identifier: MIT */
/* Fuzzes what judges peers by text: Forwarded and X-Forwarded-For, origins, hosts and the lists of
 * the configuration. The first byte says which; line feeds divide the rest into texts.
 *
 * X-Forwarded-For is compared with a walk from the right, and cutting a list into fields must
 * change nothing. Whoever a list without "*" allows has a plain name, and is allowed in every
 * spelling of its case. Addresses are compared with inet_pton. */
#include "proto/forwarded.h"
#include "proto/origin.h"
#include "proto/text_list.h"

#include <arpa/inet.h>
#include <stdlib.h>

#define INPUT_SIZE_MAX 2048
#define TEXTS_MAX      8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct texts {
    struct span text[TEXTS_MAX]; /* each at the end of an allocation */
    uint8_t *owned[TEXTS_MAX];
    unsigned count;
};

static void forwarded_fuzz(const struct texts *texts, enum forwarded_kind kind);
static void origin_fuzz(const struct texts *texts);
static void host_fuzz(const struct texts *texts);
static void ranges_fuzz(struct span list);

static void check(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void texts_divide(struct texts *texts, const uint8_t *data, size_t size)
{
    size_t at = 0;
    memset(texts, 0, sizeof(*texts));
    while (texts->count < TEXTS_MAX) {
        size_t end = at;
        while (end < size && (data[end] != '\n' || texts->count == TEXTS_MAX - 1)) {
            end++;
        }
        uint8_t *copy = malloc(end - at + 1);
        check(copy != NULL);
        memcpy(copy + 1, data + at, end - at);
        texts->owned[texts->count] = copy;
        texts->text[texts->count++] = span_of(copy + 1, end - at);
        if (end >= size) {
            break;
        }
        at = end + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > INPUT_SIZE_MAX) {
        return 0;
    }
    struct texts texts;
    texts_divide(&texts, data + 1, size - 1);
    switch (data[0] % 5) {
    case 0:
        forwarded_fuzz(&texts, FORWARDED_X);
        break;
    case 1:
        forwarded_fuzz(&texts, FORWARDED_RFC_7239);
        break;
    case 2:
        origin_fuzz(&texts);
        break;
    case 3:
        host_fuzz(&texts);
        break;
    default:
        ranges_fuzz(texts.text[0]);
        break;
    }
    for (unsigned i = 0; i < texts.count; i++) {
        free(texts.owned[i]);
    }
    return 0;
}

/* ---- forwarded ------------------------------------------------------------------------------- */

/* What a walk from the right finds in one list that has been accepted. */
static struct address walk(struct span list, const struct address_ranges *trusted)
{
    struct address client = {.family = ADDRESS_NONE};
    while (list.size > 0) {
        size_t start = list.size;
        while (start > 0 && list.ptr[start - 1] != ',') {
            start--;
        }
        struct span rest = span_of(list.ptr + start, list.size - start);
        struct span node;
        struct address address;
        list.size = start > 0 ? start - 1 : 0;
        if (!text_list_next(&rest, &node)) {
            continue;
        }
        if (node.ptr[0] == '_' || node.ptr[0] == 'u' || node.ptr[0] == 'U') {
            break;
        }
        for (size_t i = 1; i < node.size; i++) {
            if (node.ptr[i] == '_') {
                node.size = i - 1;
            }
        }
        check(address_parse_with_port(node, &address) == 0);
        client = address;
        if (!address_ranges_have(trusted, &address)) {
            break;
        }
    }
    return client;
}

/* The same fields, cut at each comma. */
static int take_in_parts(struct forwarded *forwarded, enum forwarded_kind kind, struct span value)
{
    int err = 0;
    while (err == 0) {
        const uint8_t *comma = value.size > 0 ? memchr(value.ptr, ',', value.size) : NULL;
        size_t size = comma == NULL ? value.size : (size_t)(comma - value.ptr);
        err = forwarded_take(forwarded, kind, span_of(value.ptr, size));
        if (comma == NULL) {
            break;
        }
        value = span_of(comma + 1, value.size - size - 1);
    }
    return err;
}

static void forwarded_fuzz(const struct texts *texts, enum forwarded_kind kind)
{
    struct address_ranges ranges;
    struct span bad;
    if (address_ranges_parse(texts->text[0], &ranges, &bad) != 0) {
        check(ranges.count == 0);
    }
    struct forwarded whole;
    struct forwarded parts;
    forwarded_init(&whole, &ranges);
    forwarded_init(&parts, &ranges);
    for (unsigned i = 1; i < texts->count; i++) {
        struct span value = texts->text[i];
        int err = forwarded_take(&whole, kind, value);
        check(err == 0 || err == GYR_ERR_HTTP_FORWARDED);
        bool quotes = value.size > 0 && memchr(value.ptr, '"', value.size) != NULL;
        if (kind == FORWARDED_RFC_7239 && quotes) {
            parts = whole;
        } else {
            check(take_in_parts(&parts, kind, value) == err);
        }
        if (err != 0) {
            return;
        }
        check(memcmp(&whole.client, &parts.client, sizeof(whole.client)) == 0 ||
              (whole.client.family == ADDRESS_NONE && parts.client.family == ADDRESS_NONE));
        if (kind == FORWARDED_X) {
            struct forwarded alone;
            forwarded_init(&alone, &ranges);
            check(forwarded_take(&alone, kind, value) == 0);
            struct address expected = walk(value, &ranges);
            check(alone.client.family == expected.family);
            check(expected.family == ADDRESS_NONE ||
                  memcmp(&alone.client, &expected, sizeof(expected)) == 0);
        }
    }
}

/* ---- origins and hosts ----------------------------------------------------------------------- */

static bool list_has(struct span list, struct span wanted)
{
    struct span element;
    while (text_list_next(&list, &element)) {
        if (span_equal(element, wanted)) {
            return true;
        }
    }
    return false;
}

static bool is_plain(struct span text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "+-._:/[]";
    for (size_t i = 0; i < text.size; i++) {
        if (memchr(plain, text.ptr[i], sizeof(plain) - 1) == NULL) {
            return false;
        }
    }
    return text.size > 0;
}

/* The text with its case turned, to be freed. */
static struct span turned(struct span text)
{
    uint8_t *copy = malloc(text.size + 1);
    check(copy != NULL);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t lower = ascii_lower(text.ptr[i]);
        bool letter = lower >= 'a' && lower <= 'z';
        copy[i] = letter ? text.ptr[i] ^ 0x20 : text.ptr[i];
    }
    return span_of(copy, text.size);
}

static void origin_fuzz(const struct texts *texts)
{
    struct span origin = texts->text[0];
    struct span host = texts->text[1];
    struct span list = texts->text[2];
    struct span bad = {NULL, 0};
    int err = origin_list_check(list, &bad);
    check(err == 0 || err == GYR_ERR_ARGUMENT);
    check((err == 0) == (bad.size == 0));
    bool allowed = origin_is_allowed(origin, host, list);
    bool any = list_has(list, SPAN_LITERAL("*"));
    check(!any || allowed);
    if (any) {
        return;
    }
    bool null = span_equal(origin, SPAN_LITERAL("null"));
    check(!null || allowed == list_has(list, SPAN_LITERAL("null")));
    check(!allowed || is_plain(origin));
    if (!null) {
        struct span other = turned(origin);
        struct span other_host = turned(host);
        bool now = origin_is_allowed(other, other_host, list);
        /* "NULL" becomes the one text that is compared with its case. */
        check(now == allowed || span_equal(other, SPAN_LITERAL("null")));
        free((void *)(uintptr_t)other.ptr);
        free((void *)(uintptr_t)other_host.ptr);
    }
    /* An origin that is alone in a list that passes its check is allowed by it. */
    bool exact = !null && origin.size > 0 && origin_list_check(origin, &bad) == 0 &&
                 memchr(origin.ptr, '*', origin.size) == NULL &&
                 memchr(origin.ptr, ' ', origin.size) == NULL &&
                 memchr(origin.ptr, '\t', origin.size) == NULL;
    check(!exact || origin_is_allowed(origin, host, origin));
    /* What the host alone allows stays so whatever list there is. */
    check(!origin_is_allowed(origin, host, span_of(NULL, 0)) || allowed);
}

static void host_fuzz(const struct texts *texts)
{
    struct span host = texts->text[0];
    struct span list = texts->text[1];
    struct span rest = list;
    struct span element;
    struct span bad = {NULL, 0};
    int err = host_list_check(list, &bad);
    check((err == 0) == (bad.size == 0));
    bool served = host_is_served(host, list);
    if (!text_list_next(&rest, &element)) {
        check(served);
        return;
    }
    check(!served || is_plain(host));
    struct span other = turned(host);
    check(host_is_served(other, list) == served);
    free((void *)(uintptr_t)other.ptr);
    rest = list;
    while (err == 0 && text_list_next(&rest, &element)) {
        /* Each element serves itself; a wildcard serves a sub-domain, but not what it stands
         * for. */
        bool wildcard = element.ptr[0] == '*';
        check(wildcard || host_is_served(element, list));
        struct span base = span_of(element.ptr + 2, wildcard ? element.size - 2 : 0);
        check(!wildcard || !host_is_served(base, element));
    }
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static void ranges_fuzz(struct span list)
{
    struct address_ranges ranges;
    struct span bad = {NULL, 0};
    int err = address_ranges_parse(list, &ranges, &bad);
    check(err == 0 || err == GYR_ERR_ARGUMENT || err == GYR_ERR_LIMIT);
    check(err == 0 ? bad.size == 0 : bad.size > 0 && ranges.count == 0);
    struct span element;
    while (text_list_next(&list, &element)) {
        char text[64];
        uint8_t ip[16];
        struct address address;
        if (element.size >= sizeof(text) || memchr(element.ptr, 0, element.size) != NULL) {
            continue;
        }
        memcpy(text, element.ptr, element.size);
        text[element.size] = '\0';
        bool ipv4 = inet_pton(AF_INET, text, ip) == 1;
        bool known = ipv4 || inet_pton(AF_INET6, text, ip) == 1;
        check((address_parse(element, &address) == 0) == known);
        if (known) {
            struct address expected = ipv4 ? address_ipv4(ip, 0) : address_ipv6(ip, 0);
            check(memcmp(&address, &expected, sizeof(address)) == 0);
            check(err != 0 || address_ranges_have(&ranges, &address));
            char formatted[ADDRESS_TEXT_SIZE];
            struct address again;
            address_format(&address, formatted);
            check(address_parse(span_of(formatted, strlen(formatted)), &again) == 0);
            check(memcmp(&address, &again, sizeof(address)) == 0);
        }
    }
}
