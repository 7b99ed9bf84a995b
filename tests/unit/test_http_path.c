/* SPDX-License-Identifier: MIT */
/* Paths below a folder: what is decoded, and every way out of the folder that has been tried on
 * servers before. */
#include "proto/http_path.h"
#include "tests/parser_kit.h"

#include <stdlib.h>

struct row {
    const char *path;
    const char *decoded; /* NULL: refused */
    bool folder;
};

static void expect_row(const char *path, size_t path_size, const char *decoded, bool folder)
{
    uint8_t zeros[8192] = {0};
    ASSERT(path_size < sizeof(zeros));
    uint8_t *copy = guard_copy(path, path_size);
    uint8_t *out = guard_copy(zeros, path_size + 1);
    size_t size = 0;
    bool is_folder = false;
    int status = http_path_decode(span_of(copy, path_size), out, &size, &is_folder);
    EXPECT_INT(status, decoded != NULL ? 0 : GYR_ERR_HTTP_NOT_FOUND, path);
    if (status == 0 && decoded != NULL) {
        EXPECT_SPAN(span_of(out, size), decoded, path);
        EXPECT_INT(out[size], 0, path);
        EXPECT_INT(is_folder, folder, path);
    }
    guard_free(copy);
    guard_free(out);
}

static void expect_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        expect_row(rows[i].path, strlen(rows[i].path), rows[i].decoded, rows[i].folder);
    }
}

void http_path_decodes_segments(void)
{
    static const struct row rows[] = {
        {"", "", true},
        {"/", "", true},
        {"/a", "a", false},
        {"a", "a", false},
        {"a/", "a", true},
        {"/a/", "a", true},
        {"/a/b.c", "a/b.c", false},
        {"/a/b/c/", "a/b/c", true},
        {"/a%20b", "a b", false},
        {"/%61", "a", false},
        {"/%C3%A9", "\xC3\xA9", false},
        {"/%c3%a9", "\xC3\xA9", false},
        {"/a%25", "a%", false},
        {"/%252e%252e", "%2e%2e", false},
        {"/a%3Fb", "a?b", false},
        {"/a.", "a.", false},
        {"/a..", "a..", false},
        {"/a..b", "a..b", false},
        {"/a...", "a...", false},
        {"/%7E", "~", false},
        {"/a;b=c", "a;b=c", false},
        {"/a+b", "a+b", false},
        {"/%c0%ae%c0%ae", "\xC0\xAE\xC0\xAE", false},
        {"/\xFF", "\xFF", false},
        {"/%ff", "\xFF", false},
        {"/%09", "\t", false},
    };
    expect_rows(rows, COUNT_OF(rows));
}

void http_path_refuses_every_way_out(void)
{
    static const struct row rows[] = {
        {"//", NULL, false},
        {"//a", NULL, false},
        {"///", NULL, false},
        {"/a//", NULL, false},
        {"/a//b", NULL, false},
        {"//evil.example/", NULL, false},
        {".", NULL, false},
        {"..", NULL, false},
        {"/.", NULL, false},
        {"/./", NULL, false},
        {"/./a", NULL, false},
        {"/..", NULL, false},
        {"/../", NULL, false},
        {"/../a", NULL, false},
        {"../a", NULL, false},
        {"/a/..", NULL, false},
        {"/a/../b", NULL, false},
        {"/a/../../etc/passwd", NULL, false},
        {"/a/.", NULL, false},
        {"/...", NULL, false},
        {"/..a", NULL, false},
        {"/.hidden", NULL, false},
        {"/.git/config", NULL, false},
        {"/a/.b/c", NULL, false},
        {"/%2e", NULL, false},
        {"/%2E%2E", NULL, false},
        {"/%2e%2e/a", NULL, false},
        {"/.%2e/a", NULL, false},
        {"/%2e./a", NULL, false},
        {"/a/%2e%2e/b", NULL, false},
        {"/%2ehidden", NULL, false},
        {"/%2f", NULL, false},
        {"/a%2fb", NULL, false},
        {"/a%2Fb", NULL, false},
        {"/%2fetc%2fpasswd", NULL, false},
        {"/..%2fa", NULL, false},
        {"/a%2f..%2f..%2fb", NULL, false},
        {"/a\\b", NULL, false},
        {"/a%5cb", NULL, false},
        {"/..%5ca", NULL, false},
        {"/a%5C..%5C..", NULL, false},
        {"\\", NULL, false},
        {"/%00", NULL, false},
        {"/a%00", NULL, false},
        {"/a%00.html", NULL, false},
        {"/%", NULL, false},
        {"/%4", NULL, false},
        {"/a%", NULL, false},
        {"/a%zz", NULL, false},
        {"/%g0", NULL, false},
        {"/%0g", NULL, false},
        {"/% 1", NULL, false},
        {"/%u002e", NULL, false},
        {"/%+1", NULL, false},
        {"/%2/e", NULL, false},
        {"/%/2e", NULL, false},
    };
    expect_rows(rows, COUNT_OF(rows));
    expect_row("/a\0b", 4, NULL, false);
    expect_row("\0", 1, NULL, false);
}

/* Any byte, plain and encoded, at the begin of a segment and within it. */
void http_path_knows_every_byte(void)
{
    static const char HEX[] = "0123456789abcdefABCDEF";
    for (unsigned byte = 1; byte < 256; byte++) {
        char decoded[3] = {'x', (char)byte, 0};
        char encoded[5] = {'x', '%', HEX[byte >> 4], HEX[byte & 15], 0};
        bool refused = byte == '/' || byte == '\\';
        expect_row(encoded, 4, refused ? NULL : decoded, false);
        expect_row(encoded + 1, 3, refused || byte == '.' ? NULL : decoded + 1, false);
        if (byte != '/' && byte != '%') {
            expect_row(decoded, 2, refused ? NULL : decoded, false);
        }
    }
}

void http_path_is_never_longer_than_a_kernel_takes(void)
{
    char path[HTTP_PATH_SIZE_MAX + 3];
    char decoded[HTTP_PATH_SIZE_MAX + 2];
    memset(path, 'a', sizeof(path));
    memset(decoded, 'a', sizeof(decoded));
    path[0] = '/';
    path[HTTP_PATH_SIZE_MAX + 2] = 0; /* for messages */
    decoded[HTTP_PATH_SIZE_MAX] = 0;
    expect_row(path, HTTP_PATH_SIZE_MAX + 1, decoded, false);
    expect_row(path, HTTP_PATH_SIZE_MAX + 2, NULL, false);
}
