/* SPDX-License-Identifier: MIT */
/* Accept-Encoding (RFC 9110 section 12.5.3): weights, wildcards, what is excluded, and what is
 * malformed. */
#include "proto/http_accept.h"
#include "proto/http_list.h"
#include "tests/http_kit.h"

struct row {
    const char *fields; /* lines; NULL: `value` as the one field */
    const char *value;
    const char *expected; /* b, g, i in order of preference */
};

static void expect_rows(const struct row *rows, size_t count)
{
    static const char LETTERS[] = {'i', 'g', 'b'};
    static struct http_request request;
    for (size_t i = 0; i < count; i++) {
        char text[512] = "GET / HTTP/1.1\r\nHost: a\r\n";
        if (rows[i].fields != NULL) {
            strcat(text, rows[i].fields);
        } else {
            strcat(text, "Accept-Encoding: ");
            strcat(text, rows[i].value);
            strcat(text, "\r\n");
        }
        strcat(text, "\r\n");
        const char *why = rows[i].fields != NULL ? rows[i].fields : rows[i].value;
        EXPECT_INT(http_kit_parse(&request, text, strlen(text)), 0, why);
        enum http_coding codings[HTTP_CODING_COUNT];
        unsigned coding_count = http_accept_codings(&request, (const uint8_t *)text, codings);
        char found[HTTP_CODING_COUNT];
        ASSERT(coding_count <= HTTP_CODING_COUNT);
        for (unsigned at = 0; at < coding_count; at++) {
            found[at] = LETTERS[codings[at]];
        }
        EXPECT_SPAN(span_of(found, coding_count), rows[i].expected, why);
    }
}

void http_accept_orders_codings_by_weight(void)
{
    static const struct row rows[] = {
        {"", NULL, "i"},
        {NULL, "", "i"},
        {NULL, "gzip", "gi"},
        {NULL, "br", "bi"},
        {NULL, "gzip, br", "bgi"},
        {NULL, "gzip, deflate, br, zstd", "bgi"},
        {NULL, "GZIP, Br", "bgi"},
        {NULL, "x-gzip", "gi"},
        {NULL, "gzip;q=1.0, br;q=0.5", "gbi"},
        {NULL, "gzip;q=0.5,br;q=0.501", "bgi"},
        {NULL, "gzip ; q=0.9 , br ;q=0.8", "gbi"},
        {NULL, "gzip;Q=0.9, br;q=1", "bgi"},
        {NULL, "*", "bgi"},
        {NULL, "*;q=0.1", "bgi"},
        {NULL, "gzip, *;q=0.5", "gbi"},
        {NULL, "*;q=0.5, gzip;q=0.6", "gbi"},
        {NULL, "br;q=0, *", "gi"},
        {"Accept-Encoding: gzip\r\nAccept-Encoding: br\r\n", NULL, "bgi"},
        {"accept-encoding: gzip\r\nX: br\r\n", NULL, "gi"},
        {NULL, ",, gzip ,", "gi"},
    };
    expect_rows(rows, COUNT_OF(rows));
}

void http_accept_leaves_out_what_is_excluded(void)
{
    static const struct row rows[] = {
        {NULL, "gzip;q=0", "i"},
        {NULL, "gzip;q=0.0, br;q=0.000", "i"},
        {NULL, "*;q=0", "i"},
        {NULL, "*;q=0, gzip", "gi"},
        {NULL, "identity", "i"},
        {NULL, "identity, gzip;q=0.5", "i"},
        {NULL, "identity;q=0.5, gzip;q=0.5", "gi"},
        {NULL, "identity;q=0.5, gzip;q=0.4, br;q=0.6", "bi"},
        {NULL, "identity;q=0, gzip", "gi"},
        {NULL, "identity;q=0", "i"},
        {NULL, "identity;q=0, gzip;q=0", "i"},
        {NULL, "gzip, gzip;q=0", "gi"},
        {NULL, "gzip;q=0, gzip", "i"},
    };
    expect_rows(rows, COUNT_OF(rows));
}

void http_accept_ignores_malformed_elements(void)
{
    static const struct row rows[] = {
        {NULL, "gzip;q=2", "i"},
        {NULL, "gzip;q=1.001", "i"},
        {NULL, "gzip;q=1.0000", "i"},
        {NULL, "gzip;q=0.1234", "i"},
        {NULL, "gzip;q=.5", "i"},
        {NULL, "gzip;q=", "i"},
        {NULL, "gzip;q", "i"},
        {NULL, "gzip;", "i"},
        {NULL, "gzip;q=-1", "i"},
        {NULL, "gzip;q=0,5", "i"},
        {NULL, "gzip;q=01", "i"},
        {NULL, "gzip;q=1e0", "i"},
        {NULL, "gzip;q =1", "i"},
        {NULL, "gzip;q=\"1\"", "i"},
        {NULL, "gzip;level=9", "i"},
        {NULL, "gzip;q=0.9;x=1", "i"},
        {NULL, "gzip br", "i"},
        {NULL, "gzip-br", "i"},
        {NULL, "gzi", "i"},
        {NULL, "gzipp", "i"},
        {NULL, "bro", "i"},
        {NULL, "brotli", "i"},
        {NULL, "**", "i"},
        {NULL, "\"gzip\"", "i"},
        {NULL, "gzip;q=x, br", "bi"},
        {NULL, "gzip;q=0.x, br;q=0.1", "bi"},
        {NULL, "deflate, compress", "i"},
    };
    expect_rows(rows, COUNT_OF(rows));
    EXPECT_SPAN(http_coding_name(HTTP_CODING_IDENTITY), "", "name");
    EXPECT_SPAN(http_coding_name(HTTP_CODING_GZIP), "gzip", "name");
    EXPECT_SPAN(http_coding_name(HTTP_CODING_BR), "br", "name");
}

void http_list_next_skips_what_is_empty(void)
{
    struct span list = SPAN_LITERAL(" ,a,, b c\t, \t,d");
    struct span element = {0};
    EXPECT(http_list_next(&list, &element), "first");
    EXPECT_SPAN(element, "a", "first");
    EXPECT(http_list_next(&list, &element), "second");
    EXPECT_SPAN(element, "b c", "second");
    EXPECT(http_list_next(&list, &element), "last");
    EXPECT_SPAN(element, "d", "last");
    EXPECT(!http_list_next(&list, &element) && list.size == 0, "end");
}
