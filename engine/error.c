/* SPDX-License-Identifier: MIT */
/* The error list as texts and codes; and the one line that a failed start leaves behind: the name
 * of the thing, its value, and what to do about it. */
#include "engine/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void error_write(struct gyr_error *error, const char *format, ...)
{
    if (error == NULL) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
    for (char *at = error->text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == 0x7f) {
            *at = '?';
        }
    }
}

struct error_row {
    int value;
    uint16_t close_code;
    uint16_t status_code;
    const char *message;
};

#define ERROR_ROW(name, value, close_code, status_code, message) \
    {(value), (close_code), (status_code), message},
static const struct error_row error_rows[] = {GYR_ERRORS(ERROR_ROW)};
#undef ERROR_ROW

/* Errors are rare: a search will do. */
static const struct error_row *error_row(int err)
{
    for (size_t i = 0; i < COUNT_OF(error_rows); i++) {
        if (error_rows[i].value == err) {
            return &error_rows[i];
        }
    }
    return NULL;
}

const char *gyr_strerror(int err)
{
    const struct error_row *row = error_row(err);
    if (row != NULL) {
        return row->message;
    }
    const char *text = err < 0 && err >= -4095 ? strerrordesc_np(-err) : NULL;
    return text != NULL ? text : "unknown error";
}

const char *error_advice(int err)
{
    switch (err) {
    case -EMFILE:
        return "; raise the limit of open files (ulimit -n)";
    case -ENFILE:
        return "; raise the limit of open files of the system (sysctl fs.file-max)";
    case -EAGAIN:
        /* Of pthread_create, where it stands for ENOMEM too. */
        return "; raise the limit of processes (ulimit -u, TasksMax=, kernel.threads-max) or of "
               "memory, or use fewer cores";
    case -ENOMEM:
    case -ENOBUFS:
        return "; raise the memory limit of the control group (MemoryMax=), or use fewer cores";
    default:
        return "";
    }
}

unsigned error_status_code(int err)
{
    const struct error_row *row = error_row(err);
    return row == NULL ? 0 : row->status_code;
}

uint16_t error_close_code(int err)
{
    const struct error_row *row = error_row(err);
    return row == NULL ? 0 : row->close_code;
}
