/* SPDX-License-Identifier: MIT */
/* The opening handshake (RFC 6455 sections 1.3, 4.2 and 9.1): keys of every size, versions, lists
 * of subprotocols and extensions, the latter two also as all short strings over a small alphabet
 * against a recogniser written as a table of states. */
#include "proto/ws_handshake.h"
#include "tests/parser_kit.h"

#include <stdio.h>
#include <stdlib.h>

#define KEY_FIELD     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION_FIELD "Sec-WebSocket-Version: 13\r\n"
#define HEAD_SIZE_MAX 40000

static const struct http_limits limits = {HTTP_HEAD_SIZE_MAX, 4096, HTTP_FIELD_COUNT_MAX};

struct handshake {
    struct http_request request;
    uint8_t *bytes; /* owned: flush against a guard page */
};

/* A complete upgrade request with these field lines. The head's own parser must accept it. */
static void handshake_begin(struct handshake *handshake, const char *lines)
{
    static char head[HEAD_SIZE_MAX];
    int size = snprintf(head, sizeof(head),
                        "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\n%s\r\n",
                        lines);
    if (size < 0 || (size_t)size >= sizeof(head)) {
        abort();
    }
    handshake->bytes = guard_copy(head, (size_t)size);
    http_request_reset(&handshake->request);
    int status = http_request_parse(&handshake->request, &limits, handshake->bytes, (size_t)size);
    EXPECT_INT(status, 0, lines);
    EXPECT((handshake->request.flags & HTTP_F_UPGRADE_WEBSOCKET) != 0, lines);
}

static void handshake_end(struct handshake *handshake)
{
    guard_free(handshake->bytes);
}

static int check_lines(const char *lines)
{
    static struct handshake handshake;
    handshake_begin(&handshake, lines);
    int status = ws_handshake_check(&handshake.request, handshake.bytes);
    handshake_end(&handshake);
    return status;
}

/* One more field line after a good key and version. */
static int check_field(const char *name, const char *value)
{
    static char lines[HEAD_SIZE_MAX / 2];
    snprintf(lines, sizeof(lines), KEY_FIELD VERSION_FIELD "%s: %s\r\n", name, value);
    return check_lines(lines);
}

void ws_handshake_accept_makes_section_1_3_example(void)
{
    uint8_t *key = guard_copy("dGhlIHNhbXBsZSBub25jZQ==", 24);
    uint8_t *accept = guard_copy((const uint8_t[WS_ACCEPT_SIZE]){0}, WS_ACCEPT_SIZE);
    ws_handshake_accept(key, accept);
    EXPECT_SPAN(span_of(accept, WS_ACCEPT_SIZE), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "section 1.3");
    guard_free(accept);
    guard_free(key);
}

void ws_handshake_check_judges_key_and_version(void)
{
    static const struct {
        const char *why;
        const char *lines;
        int expected;
    } rows[] = {
        {"section 1.2", KEY_FIELD VERSION_FIELD, 0},
        {"other order", VERSION_FIELD KEY_FIELD, 0},
        {"names in lower case",
         "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n", 0},
        {"names in upper case",
         "SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==\r\nSEC-WEBSOCKET-VERSION: 13\r\n", 0},
        {"white space round values",
         "Sec-WebSocket-Key: \t dGhlIHNhbXBsZSBub25jZQ== \t\r\nSec-WebSocket-Version:  13 \r\n", 0},
        {"no version", KEY_FIELD, GYR_ERR_HTTP_WS_VERSION},
        {"neither", "", GYR_ERR_HTTP_WS_VERSION},
        {"empty version", KEY_FIELD "Sec-WebSocket-Version:\r\n", GYR_ERR_HTTP_WS_VERSION},
        {"version 8", KEY_FIELD "Sec-WebSocket-Version: 8\r\n", GYR_ERR_HTTP_WS_VERSION},
        {"version 0", KEY_FIELD "Sec-WebSocket-Version: 0\r\n", GYR_ERR_HTTP_WS_VERSION},
        {"version 1", KEY_FIELD "Sec-WebSocket-Version: 1\r\n", GYR_ERR_HTTP_WS_VERSION},
        {"version 130", KEY_FIELD "Sec-WebSocket-Version: 130\r\n", GYR_ERR_HTTP_WS_VERSION},
        {"version 013", KEY_FIELD "Sec-WebSocket-Version: 013\r\n", GYR_ERR_HTTP_WS_VERSION},
        {"version +13", KEY_FIELD "Sec-WebSocket-Version: +13\r\n", GYR_ERR_HTTP_WS_VERSION},
        {"a list of versions", KEY_FIELD "Sec-WebSocket-Version: 13, 8\r\n",
         GYR_ERR_HTTP_WS_VERSION},
        {"another version without key", "Sec-WebSocket-Version: 25\r\n", GYR_ERR_HTTP_WS_VERSION},
        {"version twice", KEY_FIELD VERSION_FIELD VERSION_FIELD, GYR_ERR_HTTP_UPGRADE},
        {"two versions", KEY_FIELD VERSION_FIELD "Sec-WebSocket-Version: 8\r\n",
         GYR_ERR_HTTP_UPGRADE},
        {"no key", VERSION_FIELD, GYR_ERR_HTTP_UPGRADE},
        {"key twice", KEY_FIELD VERSION_FIELD KEY_FIELD, GYR_ERR_HTTP_UPGRADE},
        {"empty key", VERSION_FIELD "Sec-WebSocket-Key:\r\n", GYR_ERR_HTTP_UPGRADE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(check_lines(rows[i].lines), rows[i].expected, rows[i].why);
    }
}

static int check_key(const char *key)
{
    char lines[200];
    snprintf(lines, sizeof(lines), VERSION_FIELD "Sec-WebSocket-Key: %s\r\n", key);
    return check_lines(lines);
}

void ws_handshake_check_takes_keys_of_24_characters_only(void)
{
    for (size_t size = 0; size <= 64; size++) {
        char key[65] = {0};
        memset(key, 'A', size);
        EXPECT_INT(check_key(key), GYR_ERR_HTTP_UPGRADE, "no padding, 0 to 64 characters");
        if (size >= 1) {
            key[size - 1] = '=';
            EXPECT_INT(check_key(key), GYR_ERR_HTTP_UPGRADE, "one pad, 1 to 64 characters");
        }
        if (size >= 2) {
            key[size - 2] = '=';
            int expected = size == 24 ? 0 : GYR_ERR_HTTP_UPGRADE;
            EXPECT_INT(check_key(key), expected, "two pads, 2 to 64 characters");
        }
    }
}

void ws_handshake_check_judges_every_byte_of_the_key(void)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t place = 0; place < 24; place++) {
        for (unsigned byte = 0x21; byte < 0x100; byte++) {
            char key[25] = "AAAAAAAAAAAAAAAAAAAAAA==";
            if (byte == 0x7f) {
                continue; /* the head's parser refuses it */
            }
            key[place] = (char)byte;
            bool good = place < 22 ? strchr(alphabet, (int)byte) != NULL : byte == '=';
            EXPECT_INT(check_key(key), good ? 0 : GYR_ERR_HTTP_UPGRADE, key);
        }
    }
    EXPECT_INT(check_key("AAAAAAAAAAA AAAAAAAAAA=="), GYR_ERR_HTTP_UPGRADE, "space within");
}

void ws_handshake_check_wants_a_host(void)
{
    static struct handshake handshake;
    handshake_begin(&handshake, KEY_FIELD VERSION_FIELD);
    EXPECT_INT(ws_handshake_check(&handshake.request, handshake.bytes), 0, "with Host");
    handshake.request.host.size = 0;
    EXPECT_INT(ws_handshake_check(&handshake.request, handshake.bytes), GYR_ERR_HTTP_UPGRADE,
               "without Host");
    handshake_end(&handshake);
}

struct list_row {
    const char *value;
    bool is_valid;
};

static void lists_run(const char *name, const struct list_row *rows, size_t row_count)
{
    for (size_t i = 0; i < row_count; i++) {
        int expected = rows[i].is_valid ? 0 : GYR_ERR_HTTP_UPGRADE;
        EXPECT_INT(check_field(name, rows[i].value), expected, rows[i].value);
    }
}

void ws_handshake_check_judges_subprotocol_lists(void)
{
    static const struct list_row rows[] = {
        {"chat", true},
        {"chat, superchat", true},
        {"chat,superchat", true},
        {"chat\t ,\t superchat", true},
        {"v1.example.com", true},
        {"!#$%&'*+-.^_`|~09azAZ", true},
        {"a, a", true},  /* a repeat is borne */
        {",chat", true}, /* empty elements are skipped, RFC 9110 section 5.6.1 */
        {"chat,", true},
        {"a,, ,b", true},
        {"", false},
        {",", false},
        {" , , ", false},
        {"a b", false},
        {"chat superchat", false},
        {"a;b", false},
        {"a=b", false},
        {"\"a\"", false},
        {"a/b", false},
        {"a,b/c", false},
        {"a:b", false},
        {"(a)", false},
        {"<a>", false},
        {"a@b", false},
        {"[a]", false},
        {"{a}", false},
        {"a?", false},
        {"a\\b", false},
        {"caf\xc3\xa9", false},
        {"\xff", false},
    };
    lists_run("Sec-WebSocket-Protocol", rows, COUNT_OF(rows));
}

void ws_handshake_check_judges_extension_lists(void)
{
    static const struct list_row rows[] = {
        /* RFC 6455 section 9.1 and RFC 7692 section 7 */
        {"foo", true},
        {"bar; baz=2", true},
        {"foo, bar; baz=2", true},
        {"deflate-stream", true},
        {"mux; max-channels=4; flow-control, deflate-stream", true},
        {"private-extension", true},
        {"permessage-deflate", true},
        {"permessage-deflate; client_max_window_bits; server_max_window_bits=10", true},
        {"permessage-deflate; server_max_window_bits=\"10\"", true},
        {"permessage-deflate; server_max_window_bits=10, permessage-deflate", true},
        {"a;b;c;d=e;f=\"g\"", true},
        {"a ; b = c , d", true},
        {"a; b=\"\\c\\d\"", true},
        {"a,,b", true},
        {"a,", true},
        {"", false},
        {",", false},
        {";", false},
        {"a;", false},
        {"a;;b", false},
        {";a", false},
        {"a;b=", false},
        {"a;=b", false},
        {"a=b", false},
        {"a;b=c=d", false},
        {"a;b=c d", false},
        {"a b", false},
        {"a;b=\"c", false},
        {"a;b=\"\"", false},
        {"a;b=\"c d\"", false},
        {"a;b=\"c\\\"", false},
        {"a;b=\"c\"d", false},
        {"a;b=\"c\\\"d\"", false}, /* unescaped it holds a quote, which is no token */
        {"a;b=\"c,d\"", false},
        {"a;\"b\"=c", false},
        {"\"a\"", false},
        {"a;b/c", false},
        {"a, ;b", false},
        {"caf\xc3\xa9", false},
        {"a;b=\xff", false},
    };
    lists_run("Sec-WebSocket-Extensions", rows, COUNT_OF(rows));
}

void ws_handshake_check_judges_every_field_of_a_repeated_list(void)
{
    static const struct {
        const char *why;
        const char *lines;
        int expected;
    } rows[] = {
        {"two good lists",
         KEY_FIELD VERSION_FIELD "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b, c\r\n",
         0},
        {"second list bad",
         KEY_FIELD VERSION_FIELD "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b c\r\n",
         GYR_ERR_HTTP_UPGRADE},
        {"first list bad",
         KEY_FIELD VERSION_FIELD "Sec-WebSocket-Protocol: ;\r\nSec-WebSocket-Protocol: b\r\n",
         GYR_ERR_HTTP_UPGRADE},
        {"two good lists of extensions",
         KEY_FIELD VERSION_FIELD
         "Sec-WebSocket-Extensions: foo\r\nSec-WebSocket-Extensions: bar; baz=2\r\n",
         0},
        {"second list of extensions bad",
         KEY_FIELD VERSION_FIELD
         "Sec-WebSocket-Extensions: foo\r\nSec-WebSocket-Extensions: bar;\r\n",
         GYR_ERR_HTTP_UPGRADE},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(check_lines(rows[i].lines), rows[i].expected, rows[i].why);
    }
}

/* The grammar of section 9.1 as states; the input classes are those of the small alphabet. */
enum list_state {
    NEXT_FIRST, /* before an element, none seen yet */
    NEXT,       /* before an element */
    NAME,
    AFTER_NAME,
    PARAM_START,
    PARAM,
    AFTER_PARAM,
    VALUE_START,
    VALUE,
    QUOTED_START,
    QUOTED_ESCAPE,
    QUOTED,
    AFTER_VALUE,
    BAD,
};

static enum list_state list_step(enum list_state state, char input)
{
    static const char inputs[] = "a,;=\"\\ ";
    static const uint8_t table[BAD][7] = {
        /* one column for each of the inputs, in their order */
        [NEXT_FIRST] = {NAME, NEXT_FIRST, BAD, BAD, BAD, BAD, NEXT_FIRST},
        [NEXT] = {NAME, NEXT, BAD, BAD, BAD, BAD, NEXT},
        [NAME] = {NAME, NEXT, PARAM_START, BAD, BAD, BAD, AFTER_NAME},
        [AFTER_NAME] = {BAD, NEXT, PARAM_START, BAD, BAD, BAD, AFTER_NAME},
        [PARAM_START] = {PARAM, BAD, BAD, BAD, BAD, BAD, PARAM_START},
        [PARAM] = {PARAM, NEXT, PARAM_START, VALUE_START, BAD, BAD, AFTER_PARAM},
        [AFTER_PARAM] = {BAD, NEXT, PARAM_START, VALUE_START, BAD, BAD, AFTER_PARAM},
        [VALUE_START] = {VALUE, BAD, BAD, BAD, QUOTED_START, BAD, VALUE_START},
        [VALUE] = {VALUE, NEXT, PARAM_START, BAD, BAD, BAD, AFTER_VALUE},
        [QUOTED_START] = {QUOTED, BAD, BAD, BAD, BAD, QUOTED_ESCAPE, BAD},
        [QUOTED_ESCAPE] = {QUOTED, BAD, BAD, BAD, BAD, BAD, BAD},
        [QUOTED] = {QUOTED, BAD, BAD, BAD, AFTER_VALUE, QUOTED_ESCAPE, BAD},
        [AFTER_VALUE] = {BAD, NEXT, PARAM_START, BAD, BAD, BAD, AFTER_VALUE},
    };
    const char *at = strchr(inputs, input);
    return state == BAD ? BAD : (enum list_state)table[state][at - inputs];
}

static bool list_reference(const char *list)
{
    enum list_state state = NEXT_FIRST;
    for (; *list != 0; list++) {
        state = list_step(state, *list);
    }
    return state == NEXT || state == NAME || state == AFTER_NAME || state == PARAM ||
           state == AFTER_PARAM || state == VALUE || state == AFTER_VALUE;
}

static bool protocols_reference(const char *list)
{
    bool in_name = false;
    bool found = false;
    bool gap = false; /* white space after a name */
    for (; *list != 0; list++) {
        if (*list == 'a') {
            if (gap) {
                return false;
            }
            in_name = true;
            found = true;
        } else if (*list == ' ') {
            gap = gap || in_name;
            in_name = false;
        } else if (*list == ',') {
            gap = false;
            in_name = false;
        } else {
            return false;
        }
    }
    return found;
}

/* Counts on: the next string of up to `size_max` letters of the alphabet. False after the last. */
static bool string_next(char *string, size_t size_max, const char *letters)
{
    size_t at = 0;
    for (; string[at] != 0; at++) {
        const char *letter = strchr(letters, string[at]) + 1;
        if (*letter != 0) {
            string[at] = *letter;
            return true;
        }
        string[at] = letters[0];
    }
    if (at == size_max) {
        return false;
    }
    string[at] = letters[0];
    return true;
}

/* All lists of up to 6 letters, put into the place of one long value. */
void ws_handshake_check_judges_all_short_lists(void)
{
    static struct handshake handshake;
    handshake_begin(&handshake, KEY_FIELD VERSION_FIELD "Sec-WebSocket-Extensions: aaaaaaaaaa\r\n"
                                                        "Sec-WebSocket-Protocol: aaaaaaaaaa\r\n");
    struct http_field *fields = handshake.request.fields;
    unsigned count = handshake.request.field_count;
    struct http_slice *extensions = &fields[count - 2].value;
    struct http_slice *protocols = &fields[count - 1].value;
    char list[8] = "";
    unsigned wrong = 0;
    unsigned valid_count = 0;
    do {
        uint16_t size = (uint16_t)strlen(list);
        bool extensions_valid = list_reference(list);
        extensions->size = size;
        protocols->size = 1;
        memcpy(handshake.bytes + extensions->offset, list, size);
        int status = ws_handshake_check(&handshake.request, handshake.bytes);
        wrong += status != (extensions_valid ? 0 : GYR_ERR_HTTP_UPGRADE);
        valid_count += extensions_valid;

        bool protocols_valid = protocols_reference(list);
        extensions->size = 1;
        handshake.bytes[extensions->offset] = 'a';
        protocols->size = size;
        memcpy(handshake.bytes + protocols->offset, list, size);
        status = ws_handshake_check(&handshake.request, handshake.bytes);
        wrong += status != (protocols_valid ? 0 : GYR_ERR_HTTP_UPGRADE);
        handshake.bytes[protocols->offset] = 'a';
    } while (string_next(list, 6, "a,;=\"\\ "));
    EXPECT_INT(wrong, 0, "all lists of up to 6 letters");
    EXPECT(valid_count > 1000, "the references accept something");
    handshake_end(&handshake);
}

void ws_handshake_offers_finds_whole_names(void)
{
    static const struct {
        const char *protocol;
        bool offered;
    } rows[] = {
        {"chat", true},   {"superchat", true}, {"v2.x", true},   {"last", true},
        {"Chat", false},  {"cha", false},      {"chats", false}, {"hat", false},
        {"super", false}, {"v2", false},       {"x", false},     {"", false},
        {",", false},     {" ", false},        {"chat,", false}, {"chat, superchat", false},
    };
    static struct handshake handshake;
    handshake_begin(&handshake, KEY_FIELD VERSION_FIELD
                    "Sec-WebSocket-Protocol: chat, superchat\r\nX-Other: x\r\n"
                    "sec-websocket-protocol: ,v2.x ,\tlast\r\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span protocol = span_of(rows[i].protocol, strlen(rows[i].protocol));
        EXPECT_INT(ws_handshake_offers(&handshake.request, handshake.bytes, protocol),
                   rows[i].offered, rows[i].protocol);
    }
    handshake_end(&handshake);
}

void ws_handshake_offers_nothing_without_field(void)
{
    static struct handshake handshake;
    handshake_begin(&handshake, KEY_FIELD VERSION_FIELD);
    EXPECT(!ws_handshake_offers(&handshake.request, handshake.bytes, SPAN_LITERAL("chat")), "none");
    EXPECT(!ws_handshake_offers(&handshake.request, handshake.bytes, SPAN_LITERAL("")), "none");
    handshake_end(&handshake);
}

/* The longest lists a head can hold; a quadratic walk would show in the run time of the suite. */
void ws_handshake_check_takes_the_longest_lists(void)
{
    static char value[16001];
    for (size_t i = 0; i + 1 < sizeof(value); i++) {
        value[i] = i % 2 == 0 ? 'a' : ',';
    }
    EXPECT_INT(check_field("Sec-WebSocket-Protocol", value), 0, "8000 subprotocols");
    EXPECT_INT(check_field("Sec-WebSocket-Extensions", value), 0, "8000 extensions");
    for (size_t i = 1; i + 1 < sizeof(value); i += 2) {
        value[i] = ';';
    }
    value[sizeof(value) - 2] = 'a';
    EXPECT_INT(check_field("Sec-WebSocket-Extensions", value), 0, "8000 parameters");
    memset(value, ',', sizeof(value) - 1);
    EXPECT_INT(check_field("Sec-WebSocket-Protocol", value), GYR_ERR_HTTP_UPGRADE, "commas");
    memset(value, '\\', sizeof(value) - 1);
    memcpy(value, "a;a=\"", 5);
    EXPECT_INT(check_field("Sec-WebSocket-Extensions", value), GYR_ERR_HTTP_UPGRADE, "escapes");
}
