/* SPDX-License-Identifier: MIT */
/* Decoding and encoding outside of handlers: the public face of json.h. */
#include "engine/engine.h"
#include "gyr/gyr_message.h"
#include "router/arena.h"
#include "router/json.h"

struct gyr_decoder {
    struct json_reader *reader; /* owned */
    struct arena arena;
};

int gyr_decoder_create(size_t size_max, struct gyr_decoder **decoder)
{
    struct gyr_decoder *made = memory_alloc(sizeof(*made));
    if (made == NULL) {
        return GYR_ERR_MEMORY;
    }
    int err = json_reader_create(size_max, &made->reader);
    if (err != 0) {
        memory_free(made);
        return err;
    }
    arena_init(&made->arena, size_max);
    *decoder = made;
    return 0;
}

void gyr_decoder_destroy(struct gyr_decoder *decoder)
{
    if (decoder == NULL) {
        return;
    }
    arena_deinit(&decoder->arena);
    json_reader_destroy(decoder->reader);
    memory_free(decoder);
}

int gyr_decode(struct gyr_decoder *decoder, const struct gyr_schema *schema, struct gyr_span text,
               bool lenient, void *value, struct gyr_fault *fault)
{
    struct json_read how = {.schema = schema, .is_lenient = lenient};
    struct json_message message;
    arena_reset(&decoder->arena);
    uint8_t *copy = text.size > SIZE_MAX - JSON_PADDING
                        ? NULL
                        : arena_alloc(&decoder->arena, text.size + JSON_PADDING, 1);
    if (copy == NULL) {
        fault->reason = GYR_REASON_MEMORY;
        fault->path[0] = '\0';
        return GYR_ERR_MEMORY;
    }
    if (text.size > 0) {
        memcpy(copy, text.ptr, text.size);
    }
    memset(copy + text.size, 0, JSON_PADDING);
    return json_read(decoder->reader, span_of(copy, text.size), &how, &decoder->arena, value,
                     &message, fault);
}

int gyr_encode(const struct gyr_schema *schema, const void *value, char *text, size_t size,
               size_t *used)
{
    struct json_write how = {.form = NULL};
    return json_write(&how, schema, value, (uint8_t *)text, size, used);
}

#define REASON_CODE(name, code, text) [GYR_REASON_##name] = (code),
#define REASON_TEXT(name, code, text) [GYR_REASON_##name] = (text),

const char *gyr_reason_code(enum gyr_reason reason)
{
    static const char *const codes[] = {[GYR_REASON_NONE] = "none", GYR_REASONS(REASON_CODE)};
    return (unsigned)reason < COUNT_OF(codes) ? codes[reason] : "unknown";
}

const char *gyr_reason_text(enum gyr_reason reason)
{
    static const char *const texts[] = {[GYR_REASON_NONE] = "nothing is wrong",
                                        GYR_REASONS(REASON_TEXT)};
    return (unsigned)reason < COUNT_OF(texts) ? texts[reason] : "unknown reason";
}
