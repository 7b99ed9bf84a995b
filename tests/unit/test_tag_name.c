/* SPDX-License-Identifier: MIT */
/* Tags that become names of functions. */
#include "router/tag_name.h"

#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <stdlib.h>

#define NAME_SIZE_MAX 512

static const struct {
    const char *tag;
    const char *name;
} names[] = {
    {"sendMessage", "send_message"},
    {"SendMessage", "send_message"},
    {"send-message", "send_message"},
    {"send.message", "send_message"},
    {"send message", "send_message"},
    {"send_message", "send_message"},
    {"SEND_MESSAGE", "send_message"},
    {"HTTPServer", "http_server"},
    {"getHTTPResponseCode", "get_http_response_code"},
    {"JSONToXML", "json_to_xml"},
    {"chat.message.new", "chat_message_new"},
    {"X509Cert", "x509_cert"},
    {"na\xc3\xafveTag", "na_ve_tag"},
    {"Stra\xc3\x9f"
     "e",
     "stra_e"},
    {"userID2", "user_id2"},
    {"version2Update", "version2_update"},
    {"2FA", "2_fa"},
    {"type1A", "type1_a"},
    {"a1B2", "a1_b2"},
    {"iOS", "i_os"},
    {"ABc", "a_bc"},
    {"ABC", "abc"},
    {"foo--bar", "foo_bar"},
    {"foo__bar", "foo_bar"},
    {"foo-_. bar", "foo_bar"},
    {"-foo-", "_foo_"},
    {"foo_", "foo_"},
    {"join!", "join_"},
    {"\xc3\xa9", "_"},
    {"\xe6\x97\xa5\xe6\x9c\xac", "_"},
    {"", ""},
    {"a", "a"},
    {"A", "a"},
    {"Ab", "ab"},
    {"AbC", "ab_c"},
    {"aB", "a_b"},
    {"ABcDEf", "a_bc_d_ef"},
    {"A-B", "a_b"},
    {"9A9a", "9_a9a"},
    {"connect", "connect"},
};

void tag_name_is_as_the_convention_says(void)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct span tag = span_of(names[i].tag, strlen(names[i].tag));
        uint8_t *copy = guard_copy(tag.ptr, tag.size);
        uint8_t name[NAME_SIZE_MAX];
        size_t size = tag_name_write(span_of(copy, tag.size), name);
        EXPECT_SPAN(span_of(name, size), names[i].name, names[i].tag);
        guard_free(copy);
    }
}

void tag_name_takes_every_byte_and_keeps_its_size(void)
{
    unsigned seed = 7;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t tag[64];
        size_t size = (size_t)rand_r(&seed) % (sizeof(tag) + 1);
        for (size_t i = 0; i < size; i++) {
            static const char few[] = "aZ9_-.Q";
            tag[i] = round % 2 != 0 ? (uint8_t)rand_r(&seed) : (uint8_t)few[rand_r(&seed) % 7];
        }
        uint8_t bytes[TAG_NAME_SIZE(sizeof(tag))];
        size_t used = tag_name_write(span_of(tag, size), bytes);
        EXPECT(used <= TAG_NAME_SIZE(size), "it fits");
        for (size_t i = 0; i < used; i++) {
            bool is_plain = (bytes[i] >= 'a' && bytes[i] <= 'z') ||
                            (bytes[i] >= '0' && bytes[i] <= '9') || bytes[i] == '_';
            EXPECT(is_plain, "small letters, digits, underscores");
            EXPECT(i == 0 || bytes[i] != '_' || bytes[i - 1] != '_', "no two underscores");
        }
        uint8_t again[TAG_NAME_SIZE(sizeof(bytes))];
        size_t size_again = tag_name_write(span_of(bytes, used), again);
        EXPECT(span_equal(span_of(again, size_again), span_of(bytes, used)), "a name is its own");
    }
}
