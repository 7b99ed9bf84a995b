/* SPDX-License-Identifier: MIT */
/* simdjson's answers for tests and benchmarks. Built without exceptions, as all C++ here. */
#include "tests/json_reference.h"

#include <simdjson.h>

#include <cstdlib>
#include <new>
#include <string_view>

using simdjson::ondemand::json_type;

struct json_reference {
    simdjson::dom::parser dom;
    simdjson::ondemand::parser parser;
};

static_assert(JSON_REFERENCE_PADDING >= simdjson::SIMDJSON_PADDING, "simdjson may read it");

json_reference *json_reference_create(size_t size_max)
{
    json_reference *reference = new (std::nothrow) json_reference;
    if (reference == nullptr || reference->dom.allocate(size_max, size_max + 1) ||
        reference->parser.allocate(size_max, size_max + 1)) {
        std::abort();
    }
    return reference;
}

void json_reference_destroy(json_reference *reference)
{
    delete reference;
}

bool json_reference_is_valid(json_reference *reference, const uint8_t *text, size_t size)
{
    return reference->dom.parse(text, size, false).error() == simdjson::SUCCESS;
}

/* The value of a member that has been found. */
static json_reference_status member_read(const uint8_t *text, simdjson::ondemand::value value,
                                         json_reference_member *member)
{
    json_type type;
    if (value.type().get(type)) {
        return JSON_REFERENCE_ERROR;
    }
    if (type != json_type::string) {
        return JSON_REFERENCE_NOT_STRING;
    }
    std::string_view token = value.raw_json_token();
    std::string_view string;
    if (value.get_string().get(string)) {
        return JSON_REFERENCE_ERROR;
    }
    member->raw_at =
        static_cast<size_t>(reinterpret_cast<const uint8_t *>(token.data()) - text) + 1;
    member->string = reinterpret_cast<const uint8_t *>(string.data());
    member->string_size = string.size();
    return JSON_REFERENCE_FOUND;
}

json_reference_status json_reference_find(json_reference *reference, const uint8_t *text,
                                          size_t size, const char *name, size_t name_size,
                                          json_reference_member *member)
{
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    const char *begin = reinterpret_cast<const char *>(text);
    member->is_key_plain = true;
    if (reference->parser.iterate(begin, size, size + JSON_REFERENCE_PADDING).get(document)) {
        return JSON_REFERENCE_ERROR;
    }
    if (document.get_object().get(object)) {
        return JSON_REFERENCE_NOT_OBJECT;
    }
    for (auto result : object) {
        simdjson::ondemand::field field;
        std::string_view key;
        if (std::move(result).get(field)) {
            return JSON_REFERENCE_ERROR;
        }
        const char *raw = field.key().raw();
        if (field.unescaped_key().get(key)) {
            return JSON_REFERENCE_ERROR;
        }
        /* Escapes are longer than what they stand for, so the quote is at its place without. */
        member->is_key_plain = member->is_key_plain && raw[key.size()] == '"' &&
                               key.find('"') == std::string_view::npos;
        if (key == std::string_view(name, name_size)) {
            return member_read(text, field.value(), member);
        }
    }
    return JSON_REFERENCE_ABSENT;
}

ptrdiff_t json_reference_lookup(json_reference *reference, const uint8_t *text, size_t size,
                                const char *name, size_t name_size)
{
    simdjson::ondemand::document document;
    std::string_view string;
    const char *begin = reinterpret_cast<const char *>(text);
    if (reference->parser.iterate(begin, size, size + JSON_REFERENCE_PADDING).get(document) ||
        document[std::string_view(name, name_size)].get_string().get(string)) {
        return -1;
    }
    return static_cast<ptrdiff_t>(string.size());
}
