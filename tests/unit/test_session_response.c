/* SPDX-License-Identifier: MIT */
/* What a service may put into the head of a response: nothing that could split it or contradict its
 * framing, whichever of the three calls writes it. */
#include "tests/engine_kit.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdio.h>
#include <stdlib.h>

#define TEXT_SIZE 9 /* more than a word: its last bytes are looked at in another way than others */

enum call {
    RESPOND,
    BEGIN,
    UPGRADE,
    CALLS
};

/* A request that waits for its answer. */
static struct gyr_conn *ask(struct kit *kit, enum call call)
{
    kit_begin(kit);
    kit->acts[KIT_REQUEST] = KIT_PENDING;
    if (call == UPGRADE) {
        KIT_INPUT(kit, KIT_UPGRADE_WITH(""));
    } else {
        KIT_INPUT(kit, KIT_GET("/"));
    }
    kit_forget(kit);
    return kit_conn(kit);
}

static int answer(struct gyr_conn *conn, enum call call, const struct gyr_field *field,
                  struct gyr_span word)
{
    struct gyr_upgrade upgrade = {.size = sizeof(upgrade),
                                  .fields = field,
                                  .field_count = field != NULL,
                                  .subprotocol = word};
    struct gyr_response response = {.size = sizeof(response),
                                    .status_code = 200,
                                    .fields = field,
                                    .field_count = field != NULL,
                                    .content_type = word};
    switch (call) {
    case RESPOND:
        return gyr_respond(conn, &response);
    case BEGIN:
        return gyr_respond_begin(conn, &response);
    case UPGRADE:
    case CALLS:
        break;
    }
    return gyr_upgrade(conn, &upgrade);
}

static void expect_answer(enum call call, const struct gyr_field *field, struct gyr_span word,
                          bool good)
{
    struct kit kit;
    struct gyr_conn *conn = ask(&kit, call);
    char line[128];
    if (field != NULL) {
        (void)snprintf(line, sizeof(line), "\r\n%.*s: %.*s\r\n", (int)field->name.size,
                       field->name.ptr, (int)field->value.size, field->value.ptr);
    } else {
        (void)snprintf(line, sizeof(line), "\r\n%s: %.*s\r\n",
                       call == UPGRADE ? "Sec-WebSocket-Protocol" : "Content-Type", (int)word.size,
                       word.ptr);
    }
    EXPECT_INT(answer(conn, call, field, word), good ? 0 : GYR_ERR_ARGUMENT, line);
    kit_run(&kit);
    struct span out = kit_output(&kit);
    if (good) {
        EXPECT(out.size != 0 && memmem(out.ptr, out.size, line, strlen(line)) != NULL, line);
    } else {
        EXPECT_INT(out.size, 0, line);
        EXPECT_INT(answer(conn, call, NULL, (struct gyr_span){0}), 0, "it is open still");
    }
    kit_end(&kit);
}

static bool is_token(unsigned byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || (byte != 0 && strchr("!#$%&'*+-.^_`|~", (int)byte));
}

static bool is_value(unsigned byte)
{
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

/* RFC 9110 sections 5.1, 5.5 and 5.6.2. */
void session_response_takes_no_byte_that_could_split_it(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < TEXT_SIZE; at++) {
            char text[TEXT_SIZE] = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'};
            text[at] = (char)byte;
            struct gyr_span span = {text, at % 2 == 0 ? TEXT_SIZE : at + 1};
            struct gyr_field named = {span, GYR_LITERAL("value")};
            struct gyr_field valued = {GYR_LITERAL("X-Name"), span};
            enum call call = (enum call)((byte + at) % CALLS);
            bool control = !is_value(byte);
            /* Those that are refused, by all calls; those that are taken by one of them. */
            for (unsigned i = 0; i < CALLS; i++) {
                bool mine = i == call;
                if (mine || !is_token(byte)) {
                    expect_answer((enum call)i, &named, (struct gyr_span){0}, is_token(byte));
                }
                if (mine || control) {
                    expect_answer((enum call)i, &valued, (struct gyr_span){0}, !control);
                    expect_answer((enum call)i, NULL, span,
                                  i == UPGRADE ? is_token(byte) : !control);
                }
            }
        }
    }
}

void session_response_takes_no_field_without_a_name(void)
{
    static const struct gyr_field rows[] = {
        {GYR_LITERAL(""), GYR_LITERAL("value")},
        {{NULL, 0}, GYR_LITERAL("value")},
        {GYR_LITERAL(""), GYR_LITERAL("")},
        {GYR_LITERAL("two words"), GYR_LITERAL("value")},
        {GYR_LITERAL("name:"), GYR_LITERAL("value")},
        {GYR_LITERAL("name "), GYR_LITERAL("value")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned call = 0; call < CALLS; call++) {
            expect_answer((enum call)call, &rows[i], (struct gyr_span){0}, false);
        }
    }
    static const struct gyr_field empty = {GYR_LITERAL("X-Name"), GYR_LITERAL("")};
    for (unsigned call = 0; call < CALLS; call++) {
        expect_answer((enum call)call, &empty, (struct gyr_span){0}, true);
    }
}

void session_response_keeps_the_framing_to_itself(void)
{
    static const char *const RESERVED[] = {
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Date",
        "Upgrade",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
    };
    for (size_t i = 0; i < COUNT_OF(RESERVED); i++) {
        for (unsigned letters = 0; letters < 3; letters++) {
            char name[64] = {0};
            for (size_t k = 0; RESERVED[i][k] != '\0'; k++) {
                char c = RESERVED[i][k];
                bool upper = c >= 'A' && c <= 'Z';
                bool lower = c >= 'a' && c <= 'z';
                name[k] = letters == 1 && upper   ? (char)(c + 32)
                          : letters == 2 && lower ? (char)(c - 32)
                                                  : c;
            }
            for (unsigned call = 0; call < CALLS; call++) {
                struct gyr_field field = {{name, strlen(name)}, GYR_LITERAL("1")};
                expect_answer((enum call)call, &field, (struct gyr_span){0}, false);
                field.name.size--; /* all but the last letter is another name */
                expect_answer((enum call)call, &field, (struct gyr_span){0}, true);
            }
        }
    }
}
