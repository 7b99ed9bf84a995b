/* SPDX-License-Identifier: MIT */
/* Messages of a simulated application. */
#ifndef TESTS_SIM_APP_MESSAGE_H
#define TESTS_SIM_APP_MESSAGE_H

#include "gyr/gyr_message.h"

/* What clients say, and the server too. */
struct note {
    int32_t n;
    struct gyr_span text;
};
GYR_MESSAGE(note, "note", GYR_MEMBER(note, n), GYR_MEMBER(note, text));

/* A question of the server, and its answer. */
struct question {
    int32_t n;
};
GYR_MESSAGE(question, "question", GYR_MEMBER(question, n));
struct reply {
    int32_t n;
};
GYR_MESSAGE(reply, "reply", GYR_MEMBER(reply, n));

/* What is published. */
struct letter_said {
    int32_t n;
};
GYR_MESSAGE(letter_said, "letter", GYR_MEMBER(letter_said, n));

#endif
