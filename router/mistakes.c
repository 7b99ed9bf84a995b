/* SPDX-License-Identifier: MIT */
/* Lines of mistakes. A resource stands on many routes: what is wrong with it is said once. */
#include "router/mistakes.h"

#include "engine/engine.h"

#include <stdarg.h>
#include <stdio.h>

static void line_add(struct mistakes *mistakes, struct span line);

void mistakes_add(struct mistakes *mistakes, const char *at, const char *format, ...)
{
    char line[MISTAKE_SIZE_MAX];
    int size = snprintf(line, sizeof(line), "%s: ", at != NULL ? at : "(somewhere)");
    if (size >= 0 && (size_t)size < sizeof(line)) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(line + size, sizeof(line) - (size_t)size, format, arguments);
        va_end(arguments);
    }
    for (char *byte = line; *byte != 0; byte++) {
        if ((unsigned char)*byte < 0x20 || *byte == 0x7f) {
            *byte = '?';
        }
    }
    line_add(mistakes, span_of_text(line));
}

static void line_add(struct mistakes *mistakes, struct span line)
{
    if (text_map_find(&mistakes->known, line) != TEXT_MAP_NONE) {
        return;
    }
    struct mistake *mistake = pool_alloc(&mistakes->pool, sizeof(*mistake));
    char *copy = pool_copy(&mistakes->pool, line);
    if (mistake == NULL || copy == NULL ||
        text_map_add(&mistakes->known, span_of(copy, line.size), 0) < 0) {
        mistakes->out_of_memory = true;
        return;
    }
    *mistake = (struct mistake){.size = line.size, .text = copy};
    if (mistakes->last != NULL) {
        mistakes->last->next = mistake;
    } else {
        mistakes->first = mistake;
    }
    mistakes->last = mistake;
    mistakes->count++;
}

void mistakes_add_line(struct mistakes *mistakes, const char *line)
{
    line_add(mistakes, span_of_text(line));
}

void mistakes_add_all(struct mistakes *mistakes, const struct mistakes *from)
{
    for (const struct mistake *mistake = from->first; mistake != NULL; mistake = mistake->next) {
        line_add(mistakes, span_of(mistake->text, mistake->size));
    }
    mistakes->out_of_memory = mistakes->out_of_memory || from->out_of_memory;
}

size_t mistakes_print(const struct mistakes *mistakes, char *text, size_t size)
{
    size_t used = 0;
    for (const struct mistake *mistake = mistakes->first; mistake != NULL;
         mistake = mistake->next) {
        if (used < size) {
            (void)snprintf(text + used, size - used, "%s\n", mistake->text);
        }
        used += mistake->size + 1;
    }
    return used;
}

void mistakes_deinit(struct mistakes *mistakes)
{
    text_map_deinit(&mistakes->known);
    pool_deinit(&mistakes->pool);
    *mistakes = (struct mistakes){0};
}
