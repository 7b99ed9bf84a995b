/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/json_dom.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <simdjson.h>
#include <string>

using simdjson::dom::element;
using simdjson::dom::object;

namespace
{

std::deque<std::string> memory;

char *keep(size_t size)
{
    /* One word more: a std::string's bytes are aligned enough when they are on the heap. */
    memory.emplace_back(size + 32, '\0');
    char *bytes = &memory.back()[0];
    size_t pad = (16 - reinterpret_cast<uintptr_t>(bytes) % 16) % 16;
    return bytes + pad;
}

gyr_span keep_text(std::string_view text)
{
    char *bytes = keep(text.size());
    std::memcpy(bytes, text.data(), text.size());
    return {bytes, text.size()};
}

bool fits(const gyr_member &member, size_t size)
{
    return size >= member.size_min && (member.size_max == 0 || size <= member.size_max);
}

void store(uint8_t *target, const gyr_member &member, uint64_t value)
{
    std::memcpy(target, &value, member.width); /* little-endian, as where this is run */
}

gyr_reason integer_check(const gyr_member &member, unsigned kind, bool negative, uint64_t value,
                         uint8_t *target)
{
    unsigned bits = member.width * 8U;
    if (kind == GYR_KIND_UINT) {
        if ((negative && value != 0) || (bits < 64 && value >> bits != 0) ||
            (member.ranged && (value < static_cast<uint64_t>(member.min) || value > member.max))) {
            return GYR_REASON_RANGE;
        }
    } else {
        uint64_t limit = UINT64_C(1) << (bits - 1);
        int64_t number = static_cast<int64_t>(negative ? 0 - value : value);
        if (value > limit || (value == limit && !negative) ||
            (member.ranged && (number < member.min || number > static_cast<int64_t>(member.max)))) {
            return GYR_REASON_RANGE;
        }
    }
    store(target, member, negative ? 0 - value : value);
    return GYR_REASON_NONE;
}

gyr_reason double_check(const gyr_member &member, double value, uint8_t *target)
{
    if (!std::isfinite(value) ||
        (member.real_ranged && !(value >= member.real_min && value <= member.real_max))) {
        return GYR_REASON_RANGE;
    }
    std::memcpy(target, &value, sizeof(value));
    return GYR_REASON_NONE;
}

/* An integer, or any number, in quotes. */
gyr_reason quoted(const gyr_member &member, unsigned kind, std::string_view text, uint8_t *target)
{
    if (kind == GYR_KIND_BOOL) {
        *target = text == "true";
        return text == "true" || text == "false" ? GYR_REASON_NONE : GYR_REASON_TYPE;
    }
    bool negative = !text.empty() && text[0] == '-';
    size_t at = negative ? 1 : 0;
    size_t digits = text.find_first_not_of("0123456789", at);
    digits = digits == text.npos ? text.size() : digits;
    if (digits == at || (text[at] == '0' && digits > at + 1)) {
        return GYR_REASON_TYPE;
    }
    std::string copy(text);
    if (kind != GYR_KIND_DOUBLE) {
        if (digits != text.size()) {
            /* What ends elsewhere than a number may be too large before it does. */
            bool point = text[digits] == '.' || (text[digits] | 0x20) == 'e';
            if (point) {
                return GYR_REASON_TYPE;
            }
        }
        errno = 0;
        uint64_t value = std::strtoull(copy.substr(at, digits - at).c_str(), nullptr, 10);
        gyr_reason reason =
            errno != 0 ? GYR_REASON_RANGE : integer_check(member, kind, negative, value, target);
        return reason == GYR_REASON_NONE && digits != text.size() ? GYR_REASON_TYPE : reason;
    }
    size_t end = digits;
    if (end < text.size() && text[end] == '.') {
        size_t next = text.find_first_not_of("0123456789", end + 1);
        next = next == text.npos ? text.size() : next;
        if (next == end + 1) {
            return GYR_REASON_TYPE;
        }
        end = next;
    }
    if (end < text.size() && (text[end] | 0x20) == 'e') {
        size_t sign =
            end + 1 +
            (end + 1 < text.size() && std::strchr("+-", text[end + 1]) && text[end + 1] != '\0');
        size_t next = text.find_first_not_of("0123456789", sign);
        next = next == text.npos ? text.size() : next;
        if (next == sign) {
            return GYR_REASON_TYPE;
        }
        end = next;
    }
    gyr_reason reason =
        double_check(member, std::strtod(copy.substr(0, end).c_str(), nullptr), target);
    return reason == GYR_REASON_NONE && end != text.size() ? GYR_REASON_TYPE : reason;
}

int base64_value(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? nullptr : std::strchr(alphabet, c);
    return at == nullptr ? -1 : static_cast<int>(at - alphabet);
}

bool base64(std::string_view text, std::string &bytes)
{
    if (text.size() % 4 != 0) {
        return false;
    }
    size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') {
        padding++;
    }
    uint32_t bits = 0;
    unsigned count = 0;
    for (char c : text.substr(0, text.size() - padding)) {
        int value = base64_value(c);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | static_cast<uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes.push_back(static_cast<char>(bits >> count));
        }
    }
    return true;
}

gyr_reason text_decode(const gyr_member &member, unsigned kind, element item, uint8_t *target)
{
    std::string_view text;
    if (item.get_string().get(text) != simdjson::SUCCESS) {
        return GYR_REASON_TYPE;
    }
    if (kind == GYR_KIND_ENUM) {
        for (const gyr_enum_name *row = member.names; row->name != nullptr; row++) {
            if (text == row->name) {
                store(target, member, static_cast<uint64_t>(row->value));
                return GYR_REASON_NONE;
            }
        }
        return GYR_REASON_NAME;
    }
    std::string bytes(text);
    if (kind == GYR_KIND_BYTES) {
        bytes.clear();
        if (!base64(text, bytes)) {
            return GYR_REASON_BASE64;
        }
    }
    if (!fits(member, bytes.size())) {
        return GYR_REASON_SIZE;
    }
    gyr_span span = keep_text(bytes);
    std::memcpy(target, &span, sizeof(span));
    return GYR_REASON_NONE;
}

gyr_reason plain_decode(const gyr_member &member, unsigned kind, element item, bool lenient,
                        uint8_t *target)
{
    std::string_view text;
    if (kind == GYR_KIND_STRING || kind == GYR_KIND_BYTES || kind == GYR_KIND_ENUM) {
        return text_decode(member, kind, item, target);
    }
    if (kind == GYR_KIND_RAW) {
        gyr_span span = keep_text(simdjson::minify(item));
        std::memcpy(target, &span, sizeof(span));
        return GYR_REASON_NONE;
    }
    if (lenient && item.get_string().get(text) == simdjson::SUCCESS) {
        return quoted(member, kind, text, target);
    }
    if (kind == GYR_KIND_BOOL) {
        bool flag;
        if (item.get_bool().get(flag) != simdjson::SUCCESS) {
            return GYR_REASON_TYPE;
        }
        *target = flag;
        return GYR_REASON_NONE;
    }
    if (kind == GYR_KIND_DOUBLE) {
        return item.is_number() ? double_check(member, item.get_double().value_unsafe(), target)
                                : GYR_REASON_TYPE;
    }
    if (item.is_int64()) {
        int64_t value = item.get_int64().value_unsafe();
        return integer_check(
            member, kind, value < 0,
            value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value), target);
    }
    return item.is_uint64()
               ? integer_check(member, kind, false, item.get_uint64().value_unsafe(), target)
               : GYR_REASON_TYPE;
}

gyr_reason object_decode(const gyr_schema &schema, object from, bool lenient, const char *tag_name,
                         const char *tag, uint8_t *value);

gyr_reason array_decode(const gyr_member &member, element from, bool lenient, uint8_t *value)
{
    size_t max = member.count_max == 0 ? GYR_COUNT_MAX_DEFAULT : member.count_max;
    simdjson::dom::array array;
    if (from.get_array().get(array) != simdjson::SUCCESS) {
        return GYR_REASON_TYPE;
    }
    size_t count = 0;
    for (element item : array) {
        (void)item;
        count++;
    }
    char *items = keep(count * member.item_size);
    size_t index = 0;
    for (element item : array) {
        uint8_t *target = reinterpret_cast<uint8_t *>(items) + index * member.item_size;
        object part;
        if (member.item_kind == GYR_KIND_STRUCT &&
            item.get_object().get(part) != simdjson::SUCCESS) {
            return GYR_REASON_TYPE;
        }
        if (index == max) {
            return GYR_REASON_COUNT;
        }
        gyr_reason reason =
            member.item_kind == GYR_KIND_STRUCT
                ? object_decode(*member.schema, part, lenient, nullptr, nullptr, target)
                : plain_decode(member, member.item_kind, item, lenient, target);
        if (reason != GYR_REASON_NONE) {
            return reason;
        }
        index++;
    }
    if (count < member.count_min) {
        return GYR_REASON_COUNT;
    }
    std::memcpy(value + member.offset, &items, sizeof(items));
    std::memcpy(value + member.count_offset, &count, sizeof(count));
    return GYR_REASON_NONE;
}

gyr_reason variant_decode(const gyr_member &member, object from, bool lenient, uint8_t *target)
{
    const char *tag_name = member.tag_name == nullptr ? "type" : member.tag_name;
    element tag;
    std::string_view text;
    if (from.at_key(tag_name).get(tag) != simdjson::SUCCESS) {
        return GYR_REASON_NO_TAG;
    }
    if (tag.get_string().get(text) != simdjson::SUCCESS) {
        return GYR_REASON_TAG_TYPE;
    }
    for (const gyr_choice *row = member.choices; row->schema != nullptr; row++) {
        if (text == row->schema->tag) {
            char *memory_of = keep(row->schema->struct_size);
            gyr_variant variant = {row->schema, memory_of};
            std::memcpy(target, &variant, sizeof(variant));
            return object_decode(*row->schema, from, lenient, tag_name, row->schema->tag,
                                 reinterpret_cast<uint8_t *>(memory_of));
        }
    }
    return GYR_REASON_UNKNOWN_TAG;
}

gyr_reason member_decode(const gyr_member &member, element item, bool lenient, uint8_t *value)
{
    object part;
    if (member.kind == GYR_KIND_ARRAY) {
        return array_decode(member, item, lenient, value);
    }
    if (member.kind != GYR_KIND_STRUCT && member.kind != GYR_KIND_VARIANT) {
        return plain_decode(member, member.kind, item, lenient, value + member.offset);
    }
    if (item.get_object().get(part) != simdjson::SUCCESS) {
        return GYR_REASON_TYPE;
    }
    return member.kind == GYR_KIND_STRUCT
               ? object_decode(*member.schema, part, lenient, nullptr, nullptr,
                               value + member.offset)
               : variant_decode(member, part, lenient, value + member.offset);
}

void member_clear(const gyr_member &member, uint8_t *value)
{
    std::memset(value + member.offset, 0, member.size);
    if (member.kind == GYR_KIND_ARRAY) {
        std::memset(value + member.count_offset, 0, sizeof(size_t));
    }
    if (member.presence != 0) {
        value[member.presence - 1] = 0;
    }
}

gyr_reason unknown_decode(std::string_view key, element item, bool lenient, const char *tag_name,
                          const char *tag)
{
    std::string_view text;
    if (tag_name != nullptr && key == tag_name && tag == nullptr) {
        return GYR_REASON_NONE;
    }
    if (tag_name != nullptr && key == tag_name) {
        if (item.get_string().get(text) != simdjson::SUCCESS) {
            return GYR_REASON_TAG_TYPE;
        }
        return text == tag ? GYR_REASON_NONE : GYR_REASON_TAG_TWICE;
    }
    return lenient ? GYR_REASON_NONE : GYR_REASON_UNKNOWN_MEMBER;
}

gyr_reason object_decode(const gyr_schema &schema, object from, bool lenient, const char *tag_name,
                         const char *tag, uint8_t *value)
{
    bool seen[GYR_MEMBERS_MAX] = {};
    std::memset(value, 0, schema.struct_size);
    for (auto field : from) {
        const gyr_member *member = schema.members;
        while (member->name != nullptr && field.key != member->name) {
            member++;
        }
        gyr_reason reason = GYR_REASON_NONE;
        if (member->name == nullptr) {
            reason = unknown_decode(field.key, field.value, lenient, tag_name, tag);
        } else {
            bool null = field.value.is_null() && member->kind != GYR_KIND_RAW;
            if (null && !member->optional) {
                return GYR_REASON_TYPE;
            }
            member_clear(*member, value);
            seen[member - schema.members] = !null;
            if (!null) {
                if (member->presence != 0) {
                    value[member->presence - 1] = 1;
                }
                reason = member_decode(*member, field.value, lenient, value);
            }
        }
        if (reason != GYR_REASON_NONE) {
            return reason;
        }
    }
    for (const gyr_member *member = schema.members; member->name != nullptr; member++) {
        if (!seen[member - schema.members] && !member->optional) {
            return GYR_REASON_MISSING;
        }
        if (!seen[member - schema.members] && member->preset != nullptr) {
            std::memcpy(value + member->offset, member->preset, member->size);
        }
    }
    return GYR_REASON_NONE;
}

} /* namespace */

enum json_dom_verdict json_dom_verdict(const char *text, size_t size)
{
    simdjson::dom::parser parser;
    simdjson::error_code error = parser.parse(text, size).error();
    if (error == simdjson::SUCCESS) {
        return JSON_DOM_SOUND;
    }
    return error == simdjson::NUMBER_ERROR || error == simdjson::NUMBER_OUT_OF_RANGE ||
                   error == simdjson::INCORRECT_TYPE
               ? JSON_DOM_NUMBER
               : JSON_DOM_BROKEN;
}

enum gyr_reason json_dom_decode(const struct gyr_schema *schema, const char *text, size_t size,
                                bool lenient, void *value)
{
    static simdjson::dom::parser parser;
    element root;
    object top;
    memory.clear();
    if (parser.parse(text, size).get(root) != simdjson::SUCCESS) {
        return GYR_REASON_MALFORMED;
    }
    if (root.get_object().get(top) != simdjson::SUCCESS) {
        return GYR_REASON_NOT_OBJECT;
    }
    return object_decode(*schema, top, lenient, "type", nullptr, static_cast<uint8_t *>(value));
}

struct gyr_span json_dom_plain(struct gyr_span text)
{
    static simdjson::dom::parser parser;
    element root;
    if (parser.parse(text.ptr, text.size).get(root) != simdjson::SUCCESS) {
        std::abort();
    }
    return keep_text(simdjson::minify(root));
}
