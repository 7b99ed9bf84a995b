/* SPDX-License-Identifier: MIT */
/* Folders of files: options that are refused, and types by extension. */
#include "engine/files.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct span type_of(const char *path)
{
    uint8_t *copy = guard_copy(path, strlen(path));
    struct span type = files_type_of(span_of(copy, strlen(path)));
    guard_free(copy);
    return type;
}

void files_type_of_knows_the_types_of_the_web(void)
{
    static const char *const rows[][2] = {
        {"index.html", "text/html; charset=utf-8"},
        {"a/b/INDEX.HTML", "text/html; charset=utf-8"},
        {"a.b/c.htm", "text/html; charset=utf-8"},
        {"x.css", "text/css; charset=utf-8"},
        {"x.js", "text/javascript; charset=utf-8"},
        {"x.mjs", "text/javascript; charset=utf-8"},
        {"x.json", "application/json; charset=utf-8"},
        {"x.min.js.map", "application/json; charset=utf-8"},
        {"x.svg", "image/svg+xml; charset=utf-8"},
        {"x.txt", "text/plain; charset=utf-8"},
        {"x.png", "image/png"},
        {"x.jpeg", "image/jpeg"},
        {"x.JPG", "image/jpeg"},
        {"x.webp", "image/webp"},
        {"x.wasm", "application/wasm"},
        {"x.woff2", "font/woff2"},
        {"x.mp4", "video/mp4"},
        {"x.pdf", "application/pdf"},
        {"x.tar.gz", "application/gzip"},
        {"x.webmanifest", "application/manifest+json; charset=utf-8"},
        {"x.7z", "application/x-7z-compressed"},
        {"x.zst", "application/zstd"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_SPAN(type_of(rows[i][0]), rows[i][1], rows[i][0]);
    }
}

void files_type_of_guesses_nothing(void)
{
    static const char *const paths[] = {
        "",        "a",       "html",      "a.html/b",       "a.",    "a.htmlx",
        "a.htm l", "a.html ", "a.html.",   "a.webmanifests", "a.exe", "a.\xFF",
        "a/b",     "a./b",    "a.unknown", "a.html~"};
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        EXPECT_SPAN(type_of(paths[i]), "application/octet-stream", paths[i]);
    }
}

void files_open_takes_a_folder(void)
{
    struct gyr_error error = {0};
    struct gyr_files *files = NULL;
    struct gyr_files_options options = {.size = sizeof(options),
                                        .index = "default.htm",
                                        .cache_control = "max-age=60",
                                        .precompressed = true};
    CU_ASSERT_FATAL(gyr_files_open("/tmp", NULL, &files, &error) == 0);
    EXPECT(strcmp(files->index, "index.html") == 0 && files->index_size == 10, "default");
    EXPECT(files->cache_control == NULL && !files->precompressed, "default");
    gyr_files_close(files);
    CU_ASSERT_FATAL(gyr_files_open("/tmp", &options, &files, &error) == 0);
    EXPECT(strcmp(files->index, "default.htm") == 0 && files->precompressed, "as asked");
    EXPECT(strcmp(files->cache_control, "max-age=60") == 0, "as asked");
    gyr_files_close(files);
    options.size = offsetof(struct gyr_files_options, cache_control); /* of an older header */
    CU_ASSERT_FATAL(gyr_files_open("/tmp", &options, &files, &error) == 0);
    EXPECT(files->cache_control == NULL && !files->precompressed, "what it did not know is off");
    gyr_files_close(files);
    gyr_files_close(NULL);
}

void files_open_names_what_is_wrong(void)
{
    static const struct {
        const char *folder;
        struct gyr_files_options options;
        int err;
        const char *text;
    } rows[] = {
        {"/none/at/all", {.size = sizeof(struct gyr_files_options)}, -ENOENT, "/none/at/all"},
        {"/dev/null", {.size = sizeof(struct gyr_files_options)}, -ENOTDIR, "/dev/null"},
        {"", {.size = sizeof(struct gyr_files_options)}, -ENOENT, "folder"},
        {"/tmp", {.size = 0}, GYR_ERR_ARGUMENT, "options.size"},
        {"/tmp",
         {.size = sizeof(struct gyr_files_options), .index = "a/b"},
         GYR_ERR_ARGUMENT,
         "a/b"},
        {"/tmp",
         {.size = sizeof(struct gyr_files_options), .index = "../secret"},
         GYR_ERR_ARGUMENT,
         "../secret"},
        {"/tmp",
         {.size = sizeof(struct gyr_files_options), .index = ".htaccess"},
         GYR_ERR_ARGUMENT,
         ".htaccess"},
        {"/tmp",
         {.size = sizeof(struct gyr_files_options), .cache_control = "a\r\nSet-Cookie: b"},
         GYR_ERR_ARGUMENT,
         "cache_control"},
        {"/tmp",
         {.size = sizeof(struct gyr_files_options), .cache_control = "\x7f"},
         GYR_ERR_ARGUMENT,
         "cache_control"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gyr_error error = {0};
        struct gyr_files *files = NULL;
        EXPECT_INT(gyr_files_open(rows[i].folder, &rows[i].options, &files, &error), rows[i].err,
                   rows[i].text);
        EXPECT(files == NULL && strstr(error.text, rows[i].text) != NULL, error.text);
    }
}
