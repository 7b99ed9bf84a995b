/* SPDX-License-Identifier: MIT */
/* The error list as texts and codes; and the one line that a failed start leaves behind: the name of the thing, its value, and
 * what to do about it. */
#include "engine/error.h"

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

const char *gyr_strerror(int err)
{
    switch (err) {
#define ERROR_TEXT(name, value, close_code, status_code, message)                                  \
    case GYR_ERR_##name:                                                                           \
        return message;
        GYR_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
    default:
        break;
    }
    const char *text = err < 0 && err >= -4095 ? strerrordesc_np(-err) : NULL;
    return text != NULL ? text : "unknown error";
}

unsigned error_status_code(int err)
{
    switch (err) {
#define ERROR_STATUS(name, value, close_code, status_code, message)                                \
    case GYR_ERR_##name:                                                                           \
        return status_code;
        GYR_ERRORS(ERROR_STATUS)
#undef ERROR_STATUS
    default:
        return 0;
    }
}

uint16_t error_close_code(int err)
{
    switch (err) {
#define ERROR_CLOSE(name, value, close_code, status_code, message)                                 \
    case GYR_ERR_##name:                                                                           \
        return close_code;
        GYR_ERRORS(ERROR_CLOSE)
#undef ERROR_CLOSE
    default:
        return 0;
    }
}
