/* SPDX-License-Identifier: MIT */
/* Answers with files, as the bytes that go out: heads, parts, conditions, codings, folders,
 * errors. What goes wrong on the way is in test_session_file_life.c. */
#include "engine/files.h"
#include "engine/session.h"
#include "tests/engine_kit_file.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MODIFIED   "Sun, 06 Nov 1994 08:36:40 GMT"
#define LAST       "Last-Modified: " MODIFIED "\r\nAccept-Ranges: bytes\r\n"
#define TAG(size)  "\"" size "-2ebc9598-0\""
#define HTML       "Content-Type: text/html; charset=utf-8\r\n"
#define PLAIN      "Content-Type: text/plain; charset=utf-8\r\n"
#define HELLO_HEAD PLAIN "Content-Length: 10\r\nETag: " TAG("a") "\r\n" LAST "\r\n"
#define HELLO_200  "HTTP/1.1 200 OK\r\n" KIT_DATE HELLO_HEAD
#define HELLO      "0123456789"
#define NOT_FOUND                                                                             \
    "HTTP/1.1 404 Not Found\r\n" KIT_DATE PLAIN "Content-Length: 22\r\n\r\nthere is nothing " \
    "here\n"
#define FORBIDDEN                               \
    "HTTP/1.1 403 Forbidden\r\n" KIT_DATE PLAIN \
    "Content-Length: 26\r\n\r\nthis file may not be read\n"
#define UNAVAILABLE                                       \
    "HTTP/1.1 503 Service Unavailable\r\n" KIT_DATE PLAIN \
    "Content-Length: 25\r\n\r\nnot now; try again later\n"

struct row {
    const char *target; /* and method, if it is not GET */
    const char *fields;
    const char *expected;
};

static int serve(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    kit->result =
        gyr_respond_file(conn, event->request, kit->context, gyr_request_path(event->request));
    return kit->result;
}

static void begin(struct kit *kit, const struct gyr_files_options *options)
{
    struct gyr_files *files = NULL;
    CU_ASSERT_FATAL(files_create(7, options, &files, NULL) == 0);
    kit_begin(kit);
    kit->context = files;
    kit->hooks[KIT_REQUEST] = serve;
    kit_file(kit, "hello.txt", HELLO, 10);
}

static void end(struct kit *kit)
{
    EXPECT_INT(kit_file_count(kit), 0, "every file is closed");
    EXPECT_INT(kit->core->heap_accounted, 0, "nothing is left of the answers");
    kit_end(kit);
    files_destroy(kit->context);
}

/* Ask on the one connection, which stays as it is. */
static void expect_rows(struct kit *kit, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[2048];
        bool method = rows[i].target[0] != '/';
        snprintf(text, sizeof(text), "%s%s HTTP/1.1\r\nHost: a\r\n%s\r\n", method ? "" : "GET ",
                 rows[i].target, rows[i].fields);
        kit_input(kit, text, strlen(text));
        EXPECT(kit_output_is(kit, rows[i].expected, strlen(rows[i].expected)), text);
        EXPECT(kit->log.size >= 14 &&
                   memcmp(kit->log.ptr + kit->log.size - 14, "done answered\n", 14) == 0,
               text);
        kit_forget(kit);
    }
}

#define EXPECT_ROWS(kit, rows) expect_rows((kit), (rows), COUNT_OF(rows))

void session_file_serves_files_with_their_validators(void)
{
    static const struct row rows[] = {
        {"/hello.txt", "", HELLO_200 HELLO},
        {"/hello.txt?query", "", HELLO_200 HELLO},
        {"/%68ello.txt", "", HELLO_200 HELLO},
        {"HEAD /hello.txt", "", HELLO_200},
        {"/empty", "",
         "HTTP/1.1 200 OK\r\n" KIT_DATE
         "Content-Type: application/octet-stream\r\nContent-Length: 0\r\nETag: " TAG(
             "0") "\r\n" LAST "\r\n"},
        {"/a/b%20c.html", "",
         "HTTP/1.1 200 OK\r\n" KIT_DATE HTML "Content-Length: 3\r\nETag: " TAG("3") "\r\n" LAST
                                                                                    "\r\nabc"},
        {"/future.txt", "",
         "HTTP/1.1 200 OK\r\n" KIT_DATE PLAIN "Content-Length: 1\r\nETag: \"1-174876e800-1ff\"\r\n"
         "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nAccept-Ranges: bytes\r\n\r\nx"},
        {"/past.txt", "",
         "HTTP/1.1 200 OK\r\n" KIT_DATE PLAIN
         "Content-Length: 1\r\nETag: \"1-ffffffffffffffff-0\"\r\n"
         "Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n\r\nx"},
    };
    struct kit kit;
    begin(&kit, NULL);
    kit_file(&kit, "empty", "", 0);
    kit_file(&kit, "a/b c.html", "abc", 3);
    kit_file(&kit, "future.txt", "x", 1);
    kit_file_time(&kit, "future.txt", 100000000000, 0x1ff);
    kit_file(&kit, "past.txt", "x", 1);
    kit_file_time(&kit, "past.txt", -1, 0);
    EXPECT_ROWS(&kit, rows);
    unsigned reads = kit_file_reads(&kit);
    KIT_INPUT(&kit, "HEAD /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n");
    KIT_INPUT(&kit, KIT_GET("/empty"));
    EXPECT_INT(kit_file_reads(&kit), reads, "neither a HEAD nor nothing is read");
    kit_forget(&kit);
    end(&kit);
}

void session_file_keeps_the_order_of_pipelined_requests(void)
{
    struct kit kit;
    begin(&kit, NULL);
    KIT_INPUT(&kit, KIT_GET("/hello.txt") KIT_GET("/none") KIT_GET("/hello.txt") KIT_GET("/a//b")
                        KIT_GET("/hello.txt"));
    EXPECT_OUTPUT(&kit, HELLO_200 HELLO NOT_FOUND HELLO_200 HELLO NOT_FOUND HELLO_200 HELLO,
                  "in their order");
    EXPECT_INT(kit.counts[KIT_DONE], 5, "D1");
    kit_forget(&kit);
    end(&kit);
}

void session_file_speaks_http_1_0(void)
{
    struct kit kit;
    begin(&kit, NULL);
    KIT_INPUT(&kit, "GET /hello.txt HTTP/1.0\r\n\r\n");
    EXPECT_OUTPUT(&kit,
                  "HTTP/1.1 200 OK\r\n" KIT_DATE PLAIN
                  "Content-Length: 10\r\nConnection: close\r\nETag: " TAG("a") "\r\n" LAST
                                                                               "\r\n" HELLO,
                  "and closes");
    EXPECT(kit_is_ended(&kit), "and closes");
    end(&kit);
}

void session_file_sends_parts(void)
{
#define PART(size, range)                                                     \
    "HTTP/1.1 206 Partial Content\r\n" KIT_DATE PLAIN "Content-Length: " size \
    "\r\nETag: " TAG("a") "\r\nContent-Range: bytes " range "/10\r\n" LAST "\r\n"
#define NO_PART                                                                     \
    "HTTP/1.1 416 Range Not Satisfiable\r\n" KIT_DATE PLAIN                         \
    "Content-Length: 27\r\nETag: " TAG("a") "\r\nContent-Range: bytes */10\r\n\r\n" \
                                            "the file has no such range\n"
    static const struct row rows[] = {
        {"/hello.txt", "Range: bytes=0-0\r\n", PART("1", "0-0") "0"},
        {"/hello.txt", "Range: bytes=9-\r\n", PART("1", "9-9") "9"},
        {"/hello.txt", "Range: bytes=3-5\r\n", PART("3", "3-5") "345"},
        {"/hello.txt", "Range: bytes=-4\r\n", PART("4", "6-9") "6789"},
        {"/hello.txt", "Range: bytes=0-99\r\n", PART("10", "0-9") HELLO},
        {"/hello.txt", "Range: bytes=10-\r\n", NO_PART},
        {"/hello.txt", "Range: bytes=-0\r\n", NO_PART},
        {"/hello.txt", "Range: bytes=0-1,3-4\r\n", HELLO_200 HELLO},
        {"/hello.txt", "Range: lines=0-1\r\n", HELLO_200 HELLO},
        {"/hello.txt", "Range: bytes=5-4\r\n", HELLO_200 HELLO},
        {"HEAD /hello.txt", "Range: bytes=0-0\r\n", HELLO_200},
        {"HEAD /hello.txt", "Range: bytes=99-\r\n", HELLO_200},
        {"/hello.txt", "Range: bytes=0-0\r\nIf-Range: " TAG("a") "\r\n", PART("1", "0-0") "0"},
        {"/hello.txt", "Range: bytes=0-0\r\nIf-Range: " MODIFIED "\r\n", PART("1", "0-0") "0"},
        {"/hello.txt", "Range: bytes=0-0\r\nIf-Range: \"b\"\r\n", HELLO_200 HELLO},
        {"/hello.txt", "Range: bytes=99-\r\nIf-Range: \"b\"\r\n", HELLO_200 HELLO},
        {"/hello.txt", "If-Range: " TAG("a") "\r\n", HELLO_200 HELLO},
    };
    struct kit kit;
    begin(&kit, NULL);
    EXPECT_ROWS(&kit, rows);
    end(&kit);
}

void session_file_answers_conditional_requests(void)
{
#define SAME "HTTP/1.1 304 Not Modified\r\n" KIT_DATE "ETag: " TAG("a") "\r\n\r\n"
#define FAILED                                            \
    "HTTP/1.1 412 Precondition Failed\r\n" KIT_DATE PLAIN \
    "Content-Length: 48\r\nETag: " TAG("a") "\r\n\r\n"    \
                                            "the file is not in the state that was asked for\n"
    static const struct row rows[] = {
        {"/hello.txt", "If-None-Match: " TAG("a") "\r\n", SAME},
        {"HEAD /hello.txt", "If-None-Match: W/" TAG("a") "\r\n", SAME},
        {"/hello.txt", "If-None-Match: \"x\"\r\nIf-None-Match: *\r\n", SAME},
        {"/hello.txt", "if-modified-since: " MODIFIED "\r\n", SAME},
        {"/hello.txt", "If-None-Match: \"x\"\r\n", HELLO_200 HELLO},
        {"/hello.txt", "If-Match: \"x\"\r\n", FAILED},
        {"/hello.txt", "If-Match: " TAG("a") "\r\n", HELLO_200 HELLO},
        {"/hello.txt", "If-Unmodified-Since: Sun, 06 Nov 1994 08:36:39 GMT\r\n", FAILED},
        {"/hello.txt", "If-None-Match: " TAG("a") "\r\nRange: bytes=0-0\r\n", SAME},
        {"/hello.txt", "If-Match: \"x\"\r\nRange: bytes=99-\r\n", FAILED},
        {"/none", "If-Match: *\r\n", NOT_FOUND},
        {"/none", "If-None-Match: *\r\n", NOT_FOUND},
    };
    struct kit kit;
    begin(&kit, NULL);
    EXPECT_ROWS(&kit, rows);
    end(&kit);
}

void session_file_chooses_among_codings(void)
{
#define VARY "Vary: Accept-Encoding\r\nCache-Control: max-age=60\r\n"
#define CODED(size, coding)                                                              \
    "HTTP/1.1 200 OK\r\n" KIT_DATE "Content-Type: text/css; charset=utf-8\r\n"           \
    "Content-Length: " size "\r\nETag: \"" size "-2ebc9598-0-" coding "\"\r\n" VARY LAST \
    "Content-Encoding: " coding "\r\n\r\n"
#define UNCODED(size)                                                          \
    "HTTP/1.1 200 OK\r\n" KIT_DATE "Content-Type: text/css; charset=utf-8\r\n" \
    "Content-Length: " size "\r\nETag: \"" size "-2ebc9598-0\"\r\n" VARY LAST "\r\n"
#define CODED_SAME(tag) "HTTP/1.1 304 Not Modified\r\n" KIT_DATE "ETag: \"" tag "\"\r\n" VARY "\r\n"
    static const struct row rows[] = {
        {"/both.css", "", UNCODED("4") "both"},
        {"/both.css", "Accept-Encoding: gzip\r\n", CODED("3", "gzip") "gz3"},
        {"/both.css", "Accept-Encoding: gzip, br\r\n", CODED("2", "br") "br"},
        {"/both.css", "Accept-Encoding: gzip;q=1, br;q=0.9\r\n", CODED("3", "gzip") "gz3"},
        {"/both.css", "Accept-Encoding: *\r\n", CODED("2", "br") "br"},
        {"/both.css", "Accept-Encoding: *;q=0\r\n", UNCODED("4") "both"},
        {"/both.css", "Accept-Encoding: identity;q=0, gzip;q=0\r\n", UNCODED("4") "both"},
        {"HEAD /both.css", "Accept-Encoding: br\r\n", CODED("2", "br")},
        {"/gzip.css", "Accept-Encoding: gzip, br\r\n", CODED("3", "gzip") "gz3"},
        {"/gzip.css", "Accept-Encoding: br\r\n", UNCODED("4") "gzip"},
        {"/none.css", "Accept-Encoding: gzip, br\r\n", UNCODED("4") "none"},
        {"/folder.css", "Accept-Encoding: gzip, br\r\n", UNCODED("6") "folder"},
        {"/refused.css", "Accept-Encoding: gzip, br\r\n", UNCODED("7") "refused"},
        {"/both.css", "Accept-Encoding: br\r\nIf-None-Match: \"2-2ebc9598-0-br\"\r\n",
         CODED_SAME("2-2ebc9598-0-br")},
        {"/both.css", "Accept-Encoding: br\r\nIf-None-Match: \"4-2ebc9598-0\"\r\n",
         CODED("2", "br") "br"},
        {"/both.css", "Accept-Encoding: gzip\r\nRange: bytes=1-\r\n",
         "HTTP/1.1 206 Partial Content\r\n" KIT_DATE "Content-Type: text/css; charset=utf-8\r\n"
         "Content-Length: 2\r\nETag: \"3-2ebc9598-0-gzip\"\r\n" VARY
         "Content-Range: bytes 1-2/3\r\n" LAST "Content-Encoding: gzip\r\n\r\nz3"},
        {"/both.css.gz", "Accept-Encoding: gzip\r\n",
         "HTTP/1.1 200 OK\r\n" KIT_DATE "Content-Type: application/gzip\r\n"
         "Content-Length: 3\r\nETag: \"3-2ebc9598-0\"\r\n" VARY LAST "\r\ngz3"},
    };
    static const struct gyr_files_options options = {
        .size = sizeof(options), .precompressed = true, .cache_control = "max-age=60"};
    struct kit kit;
    begin(&kit, &options);
    kit_file(&kit, "both.css", "both", 4);
    kit_file(&kit, "both.css.gz", "gz3", 3);
    kit_file(&kit, "both.css.br", "br", 2);
    kit_file(&kit, "gzip.css", "gzip", 4);
    kit_file(&kit, "gzip.css.gz", "gz3", 3);
    kit_file(&kit, "none.css", "none", 4);
    kit_file(&kit, "folder.css", "folder", 6);
    kit_file_folder(&kit, "folder.css.gz");
    kit_file_special(&kit, "folder.css.br");
    kit_file(&kit, "refused.css", "refused", 7);
    kit_file_refuse(&kit, "refused.css.br", -EACCES);
    kit_file_refuse(&kit, "refused.css.gz", -EXDEV);
    EXPECT_ROWS(&kit, rows);
    end(&kit);
}

void session_file_leaves_codings_alone_unless_told(void)
{
    struct kit kit;
    begin(&kit, NULL);
    kit_file(&kit, "hello.txt.gz", "gz", 2);
    static const struct row rows[] = {
        {"/hello.txt", "Accept-Encoding: gzip\r\n", HELLO_200 HELLO},
    };
    EXPECT_ROWS(&kit, rows);
    EXPECT_INT(kit_file_opens(&kit), 1, "and does not look for them");
    end(&kit);
}

void session_file_serves_the_index_of_a_folder(void)
{
#define INDEX                                                                              \
    "HTTP/1.1 200 OK\r\n" KIT_DATE HTML "Content-Length: 5\r\nETag: " TAG("5") "\r\n" LAST \
                                                                               "\r\nindex"
#define MOVED(location)                                                                      \
    "HTTP/1.1 301 Moved Permanently\r\n" KIT_DATE "Content-Length: 0\r\nLocation: " location \
    "\r\n\r\n"
    static const struct row rows[] = {
        {"/", "", INDEX},
        {"/?x", "", INDEX},
        {"/sub/", "", INDEX},
        {"/sub", "", MOVED("/sub/")},
        {"/sub?a=b&c", "", MOVED("/sub/?a=b&c")},
        {"/%73ub", "", MOVED("/%73ub/")},
        {"HEAD /sub", "", MOVED("/sub/")},
        {"http://a/sub", "", MOVED("/sub/")},
        {"/bare/", "", NOT_FOUND},
        {"/bare", "", MOVED("/bare/")},
        {"/hello.txt/", "", NOT_FOUND},
    };
    struct kit kit;
    begin(&kit, NULL);
    kit_file_folder(&kit, "sub");
    kit_file_folder(&kit, "bare");
    kit_file(&kit, "index.html", "index", 5);
    kit_file(&kit, "sub/index.html", "index", 5);
    kit_file_refuse(&kit, "hello.txt/index.html", -ENOTDIR);
    expect_rows(&kit, rows, 7);
    KIT_INPUT(&kit, "GET http://a/sub HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_OUTPUT(&kit, MOVED("/sub/"), "the absolute form");
    kit_forget(&kit);
    expect_rows(&kit, rows + 8, 3);
    end(&kit);
}

/* A path that begins with two slashes would be read as a host. */
static int serve_below(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    struct gyr_span path = gyr_request_path(event->request);
    const char *last = memrchr(path.ptr, '/', path.size);
    struct gyr_span rest = {last, (size_t)(path.ptr + path.size - last)};
    return gyr_respond_file(conn, event->request, kit->context, rest);
}

void session_file_redirects_to_no_other_host(void)
{
    static const struct row rows[] = {
        {"/files/sub", "", MOVED("/files/sub/")},
        {"//evil.example/sub", "", NOT_FOUND},
        {"//sub", "", NOT_FOUND},
        {"///evil.example/sub", "", NOT_FOUND},
        {"/a//evil.example/sub", "", MOVED("/a//evil.example/sub/")},
    };
    struct kit kit;
    begin(&kit, NULL);
    kit_file_folder(&kit, "sub");
    kit.hooks[KIT_REQUEST] = serve_below;
    EXPECT_ROWS(&kit, rows);
    end(&kit);
}

static int serve_sub(struct kit *kit, struct gyr_conn *conn, const struct kit_event *event)
{
    return gyr_respond_file(conn, event->request, kit->context, GYR_SPAN("sub"));
}

/* The service serves the same folder for everything. */
void session_file_redirects_once(void)
{
    static const struct row rows[] = {
        {"/any", "", MOVED("/any/")},
        {"/any/", "", NOT_FOUND},
        {"/", "", NOT_FOUND},
    };
    struct kit kit;
    begin(&kit, NULL);
    kit_file_folder(&kit, "sub");
    kit.hooks[KIT_REQUEST] = serve_sub;
    EXPECT_ROWS(&kit, rows);
    end(&kit);
}

void session_file_may_have_no_index(void)
{
    static const struct row rows[] = {
        {"/", "", NOT_FOUND},
        {"/sub/", "", NOT_FOUND},
        {"/sub", "", NOT_FOUND},
        {"/sub/hello.txt/", "", NOT_FOUND},
    };
    static const struct gyr_files_options options = {.size = sizeof(options), .index = ""};
    struct kit kit;
    begin(&kit, &options);
    kit_file_folder(&kit, "sub");
    kit_file(&kit, "sub/index.html", "index", 5);
    EXPECT_ROWS(&kit, rows);
    end(&kit);
}

void session_file_opens_nothing_for_paths_that_are_refused(void)
{
    static const struct row rows[] = {
        {"/../etc/passwd", "", NOT_FOUND}, {"/%2e%2e/secret", "", NOT_FOUND},
        {"/.hidden", "", NOT_FOUND},       {"/sub/..%2fsecret", "", NOT_FOUND},
        {"//hello.txt", "", NOT_FOUND},    {"/sub%5c..%5csecret", "", NOT_FOUND},
    };
    struct kit kit;
    begin(&kit, NULL);
    EXPECT_ROWS(&kit, rows);
    EXPECT_INT(kit_file_opens(&kit), 0, "the kernel was not asked");
    end(&kit);
}

void session_file_translates_errors_of_opening(void)
{
    static const struct {
        int err;
        const char *expected;
    } rows[] = {
        {-ENOENT, NOT_FOUND},      {-ENOTDIR, NOT_FOUND},      {-ELOOP, NOT_FOUND},
        {-EXDEV, NOT_FOUND},       {-ENXIO, NOT_FOUND},        {-ENAMETOOLONG, NOT_FOUND},
        {-EACCES, FORBIDDEN},      {-EPERM, FORBIDDEN},        {-EMFILE, UNAVAILABLE},
        {-ENFILE, UNAVAILABLE},    {-ENOMEM, UNAVAILABLE},     {-EIO, UNAVAILABLE},
        {-EINTR, HELLO_200 HELLO}, {-EAGAIN, HELLO_200 HELLO},
    };
    struct kit kit;
    begin(&kit, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t trouble = kit.core->trouble_count + kit.core->trouble_ms;
        kit_advance(&kit, 10);
        kit_file_fail(&kit, rows[i].err);
        KIT_INPUT(&kit, KIT_GET("/hello.txt"));
        EXPECT(kit_output_is(&kit, rows[i].expected, strlen(rows[i].expected)),
               strerror(-rows[i].err));
        bool told = kit.core->trouble_count + kit.core->trouble_ms != trouble;
        EXPECT(told == (strstr(rows[i].expected, "503") != NULL), strerror(-rows[i].err));
        kit_forget(&kit);
    }
    kit_file_special(&kit, "fifo");
    KIT_INPUT(&kit, KIT_GET("/fifo"));
    EXPECT_OUTPUT(&kit, NOT_FOUND, "a fifo is not served");
    kit_forget(&kit);
    end(&kit);
}

/* An error is not what a client with another coding is given. */
void session_file_does_not_hide_trouble_behind_a_coding(void)
{
    static const struct gyr_files_options options = {.size = sizeof(options),
                                                     .precompressed = true};
    struct kit kit;
    begin(&kit, &options);
    kit_file_fail(&kit, -EMFILE);
    KIT_INPUT(&kit, "GET /hello.txt HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n");
    EXPECT_OUTPUT(&kit, UNAVAILABLE, "at once");
    EXPECT_INT(kit_file_opens(&kit), 1, "at once");
    kit_forget(&kit);
    end(&kit);
}

void session_file_takes_get_and_head_only(void)
{
#define NOT_ALLOWED                                                               \
    "HTTP/1.1 405 Method Not Allowed\r\n" KIT_DATE PLAIN "Content-Length: 18\r\n" \
    "Allow: GET, HEAD\r\n\r\nmethod not allowed"
    static const struct row rows[] = {
        {"DELETE /hello.txt", "", NOT_ALLOWED},
        {"POST /hello.txt", "Content-Length: 0\r\n", NOT_ALLOWED},
        {"OPTIONS /hello.txt", "", NOT_ALLOWED},
    };
    struct kit kit;
    begin(&kit, NULL);
    EXPECT_ROWS(&kit, rows);
    end(&kit);
}

/* A GET may have content; on_body gets it, and what follows it waits for the answer. */
void session_file_reads_the_content_of_a_request(void)
{
    struct kit kit;
    begin(&kit, NULL);
    kit.acts[KIT_BODY] = KIT_NOTHING;
    KIT_INPUT(&kit, "GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345" KIT_GET(
                        "/none"));
    EXPECT_OUTPUT(&kit, HELLO_200 HELLO NOT_FOUND, "at once");
    KIT_INPUT(&kit, "GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12");
    EXPECT_OUTPUT(&kit, HELLO_200 HELLO, "answered before it has come");
    EXPECT_INT(kit.counts[KIT_DONE], 2, "but not finished");
    KIT_INPUT(&kit, "345" KIT_GET("/none"));
    EXPECT_OUTPUT(&kit, NOT_FOUND, "the next");
    EXPECT_INT(kit.counts[KIT_DONE], 4, "D1");
    kit_forget(&kit);
    end(&kit);
}
