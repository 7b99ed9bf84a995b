/* SPDX-License-Identifier: MIT */
/* An INI file of settings. inih splits lines into names and values; the reader below hands it each
 * line without comment and indentation, for inih would take an indented line for more of the value
 * before, and in the pieces that its buffer has room for, as such a continuation. It counts the
 * lines, because inih counts pieces. */
#include "engine/config.h"
#include "engine/error.h"
#include "engine/settings.h"

#include <ini.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_SIZE_MAX  2048
#define VALUE_SIZE_MAX 2048
#define PIECE_SIZE     160 /* of a line; inih has room for 199 bytes unless a program says less */
#define NAME_KEPT_SIZE 49  /* of a name, by inih while it takes more of its value */
#define PLACE_SIZE     256
#define BLANKS         " \t\r\n\v\f"

struct file {
    FILE *stream;
    const char *path;
    struct gyr_settings *draft;
    struct gyr_error *error;
    int err; /* of the first mistake; nothing is read after it */
    unsigned line_number;
    uint32_t core; /* of the current section */
    char *line;    /* owned */
    size_t line_capacity;
    const char *rest; /* of the line, still to be handed over; NULL: none */
    bool blank;       /* there was a blank where it was cut */
    bool expected;    /* a line was handed over, and its name must come */
    bool begun;       /* name and value hold a setting whose end has not been seen */
    char name[64];
    char value[VALUE_SIZE_MAX];
};

static char *reader(char *text, int size, void *context);
static int handler(void *context, const char *section, const char *name, const char *value);
static bool line_next(struct file *file);
static char *line_strip(const struct file *file, size_t size);
static void section_begin(struct file *file, const char *line);
static void setting_end(struct file *file);
static void place(const struct file *file, char text[PLACE_SIZE]);
static void fail(struct file *file, const char *text, const char *what);

int gyr_settings_read(struct gyr_settings *settings, const char *path, struct gyr_error *error)
{
    struct file file = {.path = path, .error = error, .core = SETTINGS_ALL};
    file.stream = fopen(path, "re");
    if (file.stream == NULL) {
        int err = -errno;
        return ERROR_SET(error, err, "%.200s: cannot be read: %s", path, gyr_strerror(err));
    }
    file.draft = settings_draft(settings);
    if (file.draft != NULL) {
        (void)ini_parse_stream(reader, &file, handler,
                               &file); /* what is wrong stands in file.err */
    } else {
        file.err = ERROR_SET(error, GYR_ERR_MEMORY, "%.200s: no memory to read it", path);
    }
    free(file.line);
    (void)fclose(file.stream);
    if (file.err < 0) {
        gyr_settings_destroy(file.draft);
        return file.err;
    }
    settings_draft_take(settings, file.draft);
    return 0;
}

/* For inih: the next piece, as fgets would bring a line; NULL at the end. */
static char *reader(char *text, int size, void *context)
{
    struct file *file = context;
    char *at = text;
    if (file->rest == NULL || file->expected) {
        setting_end(file);
        if (file->err != 0 || !line_next(file)) {
            return NULL;
        }
        file->blank = false;
    } else {
        *at++ = ' '; /* more of the value */
    }
    size_t piece = strnlen(file->rest, (size_t)MAX(1, MIN(PIECE_SIZE, size - 3)));
    memcpy(at, file->rest, piece);
    at[piece] = '\0';
    file->rest = file->rest[piece] != '\0' ? file->rest + piece : NULL;
    return text;
}

/* For inih: a name and its value, or what follows of it. */
static int handler(void *context, const char *section, const char *name, const char *value)
{
    struct file *file = context;
    (void)section;
    if (file->err != 0) {
        return 0;
    }
    /* How inih reads is set by variables that belong to the whole program. */
    if (value == NULL || (!file->expected && strncmp(name, file->name, NAME_KEPT_SIZE) != 0)) {
        fail(file, name, "inih is set up in this program so that this cannot be read");
        return 0;
    }
    if (file->expected) {
        file->expected = false;
        file->begun = true;
        (void)snprintf(file->name, sizeof(file->name), "%s", name);
        file->value[0] = '\0';
    }
    size_t used = strlen(file->value);
    (void)snprintf(file->value + used, sizeof(file->value) - used, "%s%s", file->blank ? " " : "",
                   value);
    if (file->rest != NULL) {
        file->blank =
            strchr(BLANKS, file->rest[0]) != NULL || strchr(BLANKS, file->rest[-1]) != NULL;
    }
    return 1;
}

/* Go on to the next line that is a setting; false at the end or after a mistake. */
static bool line_next(struct file *file)
{
    for (;;) {
        ssize_t size = getline(&file->line, &file->line_capacity, file->stream);
        if (size < 0) {
            if (ferror(file->stream) != 0) {
                file->err = ERROR_SET(file->error, -EIO, "%.200s: cannot be read; is it a file?",
                                      file->path);
            }
            return false;
        }
        file->line_number++;
        if (memchr(file->line, '\0', (size_t)size) != NULL || size > LINE_SIZE_MAX) {
            fail(file, "", "this is no text of lines below 2048 bytes; is it an INI file?");
            return false;
        }
        char *line = line_strip(file, (size_t)size);
        if (*line == '[') {
            section_begin(file, line);
            if (file->err < 0) {
                return false;
            }
        } else if (*line != '\0') {
            file->rest = line;
            file->expected = true;
            return true;
        }
    }
}

/* Without comment and the blanks around it. No value can hold what begins a comment. */
static char *line_strip(const struct file *file, size_t size)
{
    char *line = file->line;
    if (file->line_number == 1 && size >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3; /* the mark of UTF-8 that some editors write */
    }
    line += strspn(line, BLANKS);
    line[strcspn(line, "#;")] = '\0';
    char *end = line + strlen(line);
    while (end > line && strchr(BLANKS, end[-1]) != NULL) {
        *--end = '\0';
    }
    return line;
}

static void section_begin(struct file *file, const char *line)
{
    const char *rest = NULL;
    if (strncmp(line, "[core ", 6) == 0) {
        rest = settings_core_parse(line + 6, &file->core);
    }
    if (rest == NULL || strcmp(rest, "]") != 0) {
        fail(file, line, "there is no such section; write one for a core, as [core 1]");
    }
}

/* The line has been handed over whole. */
static void setting_end(struct file *file)
{
    if (file->err != 0) {
        return;
    }
    if (file->expected) {
        fail(file, file->line, "this is no setting; write name = value");
        return;
    }
    if (file->begun) {
        char origin[PLACE_SIZE];
        place(file, origin);
        file->begun = false;
        file->err =
            settings_put(file->draft, file->core, file->name, file->value, origin, file->error);
    }
}

static void place(const struct file *file, char text[PLACE_SIZE])
{
    size_t size = strlen(file->path);
    const char *end = size <= 200 ? file->path : file->path + size - 200;
    (void)snprintf(text, PLACE_SIZE, "%s:%u", end, file->line_number);
}

static void fail(struct file *file, const char *text, const char *what)
{
    char origin[PLACE_SIZE];
    place(file, origin);
    const char *end = strlen(origin) <= 100 ? origin : origin + strlen(origin) - 100;
    file->err = ERROR_SET(file->error, GYR_ERR_CONFIG, "%s: %.64s%s%s", end,
                          text + strspn(text, BLANKS), *text != '\0' ? ": " : "", what);
}
