/* SPDX-License-Identifier: MIT */
/* Origins and hosts: what is allowed, and the tricks by which others try to look like it. */
#include "proto/origin.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>

struct row {
    const char *origin;
    const char *host;
    const char *list;
};

struct host_row {
    const char *host;
    const char *list;
};

static bool allowed(const struct row *row)
{
    uint8_t *origin = guard_copy(row->origin, strlen(row->origin));
    uint8_t *host = guard_copy(row->host, strlen(row->host));
    uint8_t *list = guard_copy(row->list, strlen(row->list));
    bool result =
        origin_is_allowed(span_of(origin, strlen(row->origin)), span_of(host, strlen(row->host)),
                          span_of(list, strlen(row->list)));
    guard_free(origin);
    guard_free(host);
    guard_free(list);
    return result;
}

static bool served(const struct host_row *row)
{
    uint8_t *host = guard_copy(row->host, strlen(row->host));
    uint8_t *list = guard_copy(row->list, strlen(row->list));
    bool result =
        host_is_served(span_of(host, strlen(row->host)), span_of(list, strlen(row->list)));
    guard_free(host);
    guard_free(list);
    return result;
}

static void expect_origins(const struct row *rows, size_t count, bool expected)
{
    for (size_t i = 0; i < count; i++) {
        char why[256];
        (void)snprintf(why, sizeof(why), "%s at %s, list \"%s\"", rows[i].origin, rows[i].host,
                       rows[i].list);
        EXPECT(allowed(&rows[i]) == expected, why);
    }
}

static void expect_hosts(const struct host_row *rows, size_t count, bool expected)
{
    for (size_t i = 0; i < count; i++) {
        char why[256];
        (void)snprintf(why, sizeof(why), "%s, list \"%s\"", rows[i].host, rows[i].list);
        EXPECT(served(&rows[i]) == expected, why);
    }
}

void origin_of_the_own_host_is_allowed(void)
{
    static const struct row rows[] = {
        {"https://a.example", "a.example", ""},
        {"http://a.example", "a.example", ""},
        {"https://a.example", "a.example:443", ""},
        {"http://a.example", "a.example:80", ""},
        {"https://a.example:443", "a.example", ""},
        {"http://a.example:80", "a.example", ""},
        {"http://a.example:8080", "a.example:8080", ""},
        {"https://a.example:80", "a.example:80", ""},
        {"https://A.Example", "a.eXAMPLE", ""},
        {"HTTPS://a.example", "a.example", ""},
        {"http://a_b-c.example", "a_b-c.example", ""},
        {"http://localhost:9001", "localhost:9001", ""},
        {"http://192.0.2.1:8080", "192.0.2.1:8080", ""},
        {"http://[::1]:8080", "[::1]:8080", ""},
        {"http://[2001:DB8::1]", "[2001:db8:0:0::1]", ""},
        {"http://xn--bcher-kva.example", "xn--bcher-kva.example", ""},
        {"http://a.example.", "a.example.", ""},
        {"https://a.example", "a.example", "https://b.example"},
    };
    expect_origins(rows, COUNT_OF(rows), true);
}

/* Hosts that look like a.example, and values that have no host. */
static const struct row other_hosts[] = {
    {"https://b.example", "a.example", ""},
    {"https://a.example.evil.example", "a.example", ""},
    {"https://evil-a.example", "a.example", ""},
    {"https://evila.example", "a.example", ""},
    {"https://evil.a.example", "a.example", ""},
    {"https://a.example", "evil.a.example", ""},
    {"https://a.exampl", "a.example", ""},
    {"https://a.example.", "a.example", ""},
    {"https://a.example", "a.example.", ""},
    {"https://a.example:8443", "a.example", ""},
    {"https://a.example", "a.example:8443", ""},
    {"https://a.example", "a.example:80", ""},
    {"http://a.example", "a.example:443", ""},
    {"http://a.example:8080", "a.example:8081", ""},
    {"https://a.example@evil.example", "a.example", ""},
    {"https://evil.example@a.example", "a.example", ""},
    {"https://user:pass@a.example", "a.example", ""},
    {"https://a.example/", "a.example", ""},
    {"https://a.example/evil", "a.example", ""},
    {"https://evil.example/a.example", "a.example", ""},
    {"https://a.example?", "a.example", ""},
    {"https://a.example#", "a.example", ""},
    {"https://a.example\\.evil.example", "a.example", ""},
    {"https://evil.example https://a.example", "a.example", ""},
    {"https://a.example https://evil.example", "a.example", ""},
    {"https://a.example,https://a.example", "a.example", ""},
    {"https://a.example:", "a.example", ""},
    {"https://a.example:0443", "a.example", ""},
    {"https://a.example:0", "a.example:0", ""},
    {"https://a.example:65979", "a.example", ""}, /* 443 + 65536 */
    {"https://a.example:99999", "a.example:99999", ""},
    {"https://a.example:443:443", "a.example", ""},
    {"https://a..example", "a..example", ""},
    {"https://.a.example", ".a.example", ""},
    {"https://.", ".", ""},
    {"https://b\xc3\xbc"
     "cher.example",
     "b\xc3\xbc"
     "cher.example",
     ""},
    {"https://b\xc3\xbc"
     "cher.example",
     "xn--bcher-kva.example", ""},
    {"https://%61.example", "a.example", ""},
    {"https://a.example%00", "a.example", ""},
    {"https://*", "*", ""},
    {"https://*.example", "*.example", ""},
    {"https://[::1]", "[::2]", ""},
    {"https://[::1", "[::1", ""},
    {"https://[::1]x", "[::1]x", ""},
    {"https://[::1]8080", "[::1]8080", ""},
    {"https://::1", "::1", ""},
    {"https://[fe80::1%25eth0]", "[fe80::1%25eth0]", ""},
    {"https://[192.0.2.1]", "[192.0.2.1]", ""},
    {"https://[::ffff:1.2.3.4]", "[102:304::]", ""},
    {"https://[::ffff:1.2.3.4]", "1.2.3.4", ""},
    {"https://[]", "[]", ""},
    {"ftp://a.example", "a.example", ""},
    {"ws://a.example", "a.example", ""},
    {"chrome-extension://a.example", "a.example", ""},
    {"javascript://a.example", "a.example", ""},
    {"https:/a.example", "a.example", ""},
    {"https:a.example", "a.example", ""},
    {"https:///a.example", "a.example", ""},
    {"//a.example", "a.example", ""},
    {"://a.example", "a.example", ""},
    {"a.example", "a.example", ""},
    {"a.example:443", "a.example", ""},
    {"https://", "a.example", ""},
    {"https://", "", ""},
    {"https", "", ""},
    {"", "", ""},
    {"", "a.example", ""},
    {"null", "null", ""},
    {"null", "a.example", ""},
    {"https://null", "a.example", "null"},
    {"https://a.example", "", ""},
    {" https://a.example", "a.example", ""},
    {"https://a.example\t", "a.example", ""},
};

void origin_of_another_host_is_refused(void)
{
    expect_origins(other_hosts, COUNT_OF(other_hosts), false);
}

void origin_in_the_list_is_allowed(void)
{
    static const struct row rows[] = {
        {"https://b.example", "a.example", "https://b.example"},
        {"https://b.example:443", "a.example", "https://b.example"},
        {"https://b.example", "a.example", "https://b.example:443"},
        {"https://b.example", "a.example", "http://c.example \t https://b.example null "},
        {"https://B.EXAMPLE", "a.example", "https://b.example"},
        {"https://b.example", "a.example", "HTTPS://B.example"},
        {"https://b.example:8443", "a.example", "https://b.example:8443"},
        {"https://x.b.example", "a.example", "https://*.b.example"},
        {"https://y.x.b.example", "a.example", "https://*.b.example"},
        {"https://x.b.example:8443", "a.example", "https://*.b.example:8443"},
        {"https://X.B.example", "a.example", "https://*.b.example"},
        {"https://x.localhost", "a.example", "https://*.localhost"},
        {"http://[::1]", "a.example", "http://[0::1]"},
        {"http://192.0.2.1", "a.example", "http://192.0.2.1"},
        {"null", "a.example", "null"},
        {"null", "a.example", "https://b.example null"},
        {"null", "a.example", "*"},
        {"https://evil.example", "a.example", "*"},
        {"file://", "a.example", "*"},
        {"", "a.example", "*"},
        {"chrome-extension://abcdef", "a.example", "chrome-extension://abcdef"},
        {"app+1.x-y://localhost", "a.example", "app+1.x-y://localhost"},
        {"https://b.example", "", "https://b.example"},
        {"https://b.example", "b\xc3\xbc", "https://b.example"},
    };
    expect_origins(rows, COUNT_OF(rows), true);
}

void origin_not_in_the_list_is_refused(void)
{
    static const struct row rows[] = {
        {"http://b.example", "a.example", "https://b.example"},
        {"https://b.example:8443", "a.example", "https://b.example"},
        {"https://b.example", "a.example", "https://b.example:8443"},
        {"https://b.example:80", "a.example", "https://b.example"},
        {"https://b.example", "a.example", "https://b.example.evil.example"},
        {"https://b.example.evil.example", "a.example", "https://b.example"},
        {"https://evil-b.example", "a.example", "https://b.example"},
        {"https://x.b.example", "a.example", "https://b.example"},
        {"https://b.example", "a.example", "https://*.b.example"},
        {"https://.b.example", "a.example", "https://*.b.example"},
        {"https://x..b.example", "a.example", "https://*.b.example"},
        {"https://evil-b.example", "a.example", "https://*.b.example"},
        {"https://x.evilb.example", "a.example", "https://*.b.example"},
        {"https://x.b.example.evil.example", "a.example", "https://*.b.example"},
        {"https://x.b.example.", "a.example", "https://*.b.example"},
        {"https://x.b.example:8443", "a.example", "https://*.b.example"},
        {"https://x.b.example", "a.example", "https://*.b.example:8443"},
        {"http://x.b.example", "a.example", "https://*.b.example"},
        {"https://*.b.example", "a.example", "https://*.b.example"},
        {"https://evil.example/.b.example", "a.example", "https://*.b.example"},
        {"https://evil.example?.b.example", "a.example", "https://*.b.example"},
        {"https://evil.example\\.b.example", "a.example", "https://*.b.example"},
        {"https://evil.example:80.b.example", "a.example", "https://*.b.example"},
        {"https://u@x.b.example", "a.example", "https://*.b.example"},
        {"https://[::1].b.example", "a.example", "https://*.b.example"},
        {"https://192.0.2.1", "a.example", "https://*.0.2.1"},
        {"NULL", "a.example", "null"},
        {"null ", "a.example", "null"},
        {"null null", "a.example", "null"},
        {"", "a.example", "null"},
        {"*", "a.example", "https://b.example"},
        {"https://b.example https://c.example", "a.example", "https://b.example https://c.example"},
        {"chrome-extension://abcdef:443", "a.example", "chrome-extension://abcdef"},
        {"file://", "a.example", "file://"},
    };
    expect_origins(rows, COUNT_OF(rows), false);
}

void host_in_the_list_is_served(void)
{
    static const struct host_row rows[] = {
        {"a.example", ""},
        {"", ""},
        {"b\xc3\xbc", " "},
        {"a.example", "a.example"},
        {"A.example:8080", "a.EXAMPLE"},
        {"a.example", "b.example a.example"},
        {"a.example:8443", "a.example:8443"},
        {"a.example", "a.example:443"},
        {"a.example", "a.example:80"},
        {"x.b.example", "*.b.example"},
        {"y.x.b.example:1", "*.b.example"},
        {"x.b.example:8443", "*.b.example:8443"},
        {"192.0.2.1:80", "192.0.2.1"},
        {"[::1]:8080", "[0:0::1]"},
    };
    expect_hosts(rows, COUNT_OF(rows), true);
}

void host_not_in_the_list_is_not_served(void)
{
    static const struct host_row rows[] = {
        {"", "a.example"},
        {"b.example", "a.example"},
        {"a.example.", "a.example"},
        {"a.example:8080", "a.example:8443"},
        {"a.example", "a.example:8443"},
        {"a.example.evil.example", "a.example"},
        {"evil-a.example", "a.example"},
        {"x.a.example", "a.example"},
        {"b.example", "*.b.example"},
        {".b.example", "*.b.example"},
        {"evil-b.example", "*.b.example"},
        {"x.b.example:80", "*.b.example:8443"},
        {"%61.example", "a.example"},
        {"a.example:", "a.example"},
        {"a.example:0", "a.example"},
        {"a.example:65536", "a.example"},
        {"u@a.example", "a.example"},
        {"a.example,b.example", "a.example"},
        {"*.b.example", "*.b.example"},
        {"[::1", "[::1]"},
        {"::1", "[::1]"},
        {"[::2]", "[::1]"},
        {"192.0.2.1", "*.2.1"},
        {"[102:304::]", "[::ffff:1.2.3.4]"},
    };
    expect_hosts(rows, COUNT_OF(rows), false);
}

static struct span text_of(const char *text)
{
    return span_of(text, strlen(text));
}

void origin_list_check_names_the_element_that_is_wrong(void)
{
    static const struct {
        const char *list;
        const char *bad; /* NULL: none */
    } rows[] = {
        {"", NULL},
        {" \t", NULL},
        {"*", NULL},
        {" * ", NULL},
        {"null", NULL},
        {"https://a.example null  http://[::1]:8080\tapp://x", NULL},
        {"https://*.b.example https://*.c.example:8443", NULL},
        {"* null", "*"},
        {"null *", "*"},
        {"* *", "*"},
        {"https://a.example b.example", "b.example"},
        {"https://a.example/", "https://a.example/"},
        {"https://a.example,https://b.example", "https://a.example,https://b.example"},
        {"https://a.example:0", "https://a.example:0"},
        {"https://a.example:", "https://a.example:"},
        {"https://a.*.example", "https://a.*.example"},
        {"https://*", "https://*"},
        {"https://*.", "https://*."},
        {"https://*a.example", "https://*a.example"},
        {"https://*.*.example", "https://*.*.example"},
        {"*://a.example", "*://a.example"},
        {"https://*.2.1", "https://*.2.1"},
        {"https://b\xc3\xbc.example", "https://b\xc3\xbc.example"},
        {"NULL", "NULL"},
        {"file://", "file://"},
        {"https://u@a.example", "https://u@a.example"},
        {"https://a.example\n", "https://a.example\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span bad = {NULL, 0};
        EXPECT_INT(origin_list_check(text_of(rows[i].list), &bad),
                   rows[i].bad == NULL ? 0 : GYR_ERR_ARGUMENT, rows[i].list);
        EXPECT_SPAN(bad, rows[i].bad == NULL ? "" : rows[i].bad, rows[i].list);
    }
}

void host_list_check_names_the_element_that_is_wrong(void)
{
    static const struct {
        const char *list;
        const char *bad; /* NULL: none */
    } rows[] = {
        {"", NULL},
        {"a.example *.b.example:8443 192.0.2.1 [::1]:80\tlocalhost a.example.", NULL},
        {"*", "*"},
        {"a.example *", "*"},
        {"https://a.example", "https://a.example"},
        {"a.example b.example/", "b.example/"},
        {"a.example,b.example", "a.example,b.example"},
        {"::1", "::1"},
        {"[::1", "[::1"},
        {"[::1]/128", "[::1]/128"},
        {"a..example", "a..example"},
        {".a.example", ".a.example"},
        {"a.example:70000", "a.example:70000"},
        {"a.example:*", "a.example:*"},
        {"*.", "*."},
        {"*.0.2.1", "*.0.2.1"},
        {"b\xc3\xbc.example", "b\xc3\xbc.example"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span bad = {NULL, 0};
        EXPECT_INT(host_list_check(text_of(rows[i].list), &bad),
                   rows[i].bad == NULL ? 0 : GYR_ERR_ARGUMENT, rows[i].list);
        EXPECT_SPAN(bad, rows[i].bad == NULL ? "" : rows[i].bad, rows[i].list);
    }
}

void host_name_has_a_largest_size(void)
{
    char text[300];
    memset(text, 'a', sizeof(text));
    EXPECT(host_is_served(span_of(text, 255), span_of(text, 255)), "255 bytes");
    EXPECT(!host_is_served(span_of(text, 256), span_of(text, 256)), "256 bytes");
}
