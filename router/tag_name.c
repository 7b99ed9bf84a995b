/* SPDX-License-Identifier: MIT */
/* The convention that turns a tag into the name of a function (hop 7 of docs/journey.md), as
 * GYR_ON_NAMED says it. Whatever a peer sends becomes a name that is only ever looked up among
 * those that the service has declared. */
#include "router/tag_name.h"

enum letter {
    LETTER_OTHER,
    LETTER_DIGIT,
    LETTER_SMALL,
    LETTER_CAPITAL,
};

static enum letter letter_of(uint8_t byte)
{
    if (byte >= 'a' && byte <= 'z') {
        return LETTER_SMALL;
    }
    if (byte >= 'A' && byte <= 'Z') {
        return LETTER_CAPITAL;
    }
    return byte >= '0' && byte <= '9' ? LETTER_DIGIT : LETTER_OTHER;
}

/* Does a word begin with the capital at `i`? "sendMessage", "version2Update", "HTTPServer". */
static bool word_begins(struct span tag, size_t i)
{
    enum letter before = i > 0 ? letter_of(tag.ptr[i - 1]) : LETTER_OTHER;
    if (before == LETTER_CAPITAL) {
        return i + 1 < tag.size && letter_of(tag.ptr[i + 1]) == LETTER_SMALL;
    }
    return before != LETTER_OTHER;
}

size_t tag_name_write(struct span tag, uint8_t *name)
{
    size_t size = 0;
    enum letter before = LETTER_SMALL;
    for (size_t i = 0; i < tag.size; i++) {
        enum letter letter = letter_of(tag.ptr[i]);
        if (letter == LETTER_OTHER) {
            if (before != LETTER_OTHER) {
                name[size++] = '_';
            }
        } else {
            if (letter == LETTER_CAPITAL && word_begins(tag, i)) {
                name[size++] = '_';
            }
            name[size++] = ascii_lower(tag.ptr[i]);
        }
        before = letter;
    }
    return size;
}
