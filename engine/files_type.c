/* SPDX-License-Identifier: MIT */
/* Content-Type by the extension of a name: what the web is made of, as the IANA registry and the
 * MIME Sniffing standard of WHATWG name it. Text says that it is UTF-8, for nothing else is
 * (HTML Living Standard section 4.2.5.4). */
#include "engine/files.h"

#define TYPE_SIZE_MAX 11 /* of an extension, without its dot */

struct files_type {
    char extension[TYPE_SIZE_MAX + 1];
    struct span type;
};

#define UTF_8 "; charset=utf-8"

/* By extension, for a search that halves. */
static const struct files_type TYPES[] = {
    {"7z", SPAN_STATIC("application/x-7z-compressed")},
    {"aac", SPAN_STATIC("audio/aac")},
    {"apng", SPAN_STATIC("image/apng")},
    {"atom", SPAN_STATIC("application/atom+xml" UTF_8)},
    {"avif", SPAN_STATIC("image/avif")},
    {"bmp", SPAN_STATIC("image/bmp")},
    {"br", SPAN_STATIC("application/x-brotli")},
    {"bz2", SPAN_STATIC("application/x-bzip2")},
    {"cjs", SPAN_STATIC("text/javascript" UTF_8)},
    {"css", SPAN_STATIC("text/css" UTF_8)},
    {"csv", SPAN_STATIC("text/csv" UTF_8)},
    {"doc", SPAN_STATIC("application/msword")},
    {"docx",
     SPAN_STATIC("application/vnd.openxmlformats-officedocument.wordprocessingml.document")},
    {"eot", SPAN_STATIC("application/vnd.ms-fontobject")},
    {"epub", SPAN_STATIC("application/epub+zip")},
    {"flac", SPAN_STATIC("audio/flac")},
    {"geojson", SPAN_STATIC("application/geo+json" UTF_8)},
    {"gif", SPAN_STATIC("image/gif")},
    {"glb", SPAN_STATIC("model/gltf-binary")},
    {"gltf", SPAN_STATIC("model/gltf+json" UTF_8)},
    {"gz", SPAN_STATIC("application/gzip")},
    {"htm", SPAN_STATIC("text/html" UTF_8)},
    {"html", SPAN_STATIC("text/html" UTF_8)},
    {"ico", SPAN_STATIC("image/x-icon")},
    {"ics", SPAN_STATIC("text/calendar" UTF_8)},
    {"jpeg", SPAN_STATIC("image/jpeg")},
    {"jpg", SPAN_STATIC("image/jpeg")},
    {"js", SPAN_STATIC("text/javascript" UTF_8)},
    {"json", SPAN_STATIC("application/json" UTF_8)},
    {"jsonld", SPAN_STATIC("application/ld+json" UTF_8)},
    {"jxl", SPAN_STATIC("image/jxl")},
    {"m3u8", SPAN_STATIC("application/vnd.apple.mpegurl")},
    {"m4a", SPAN_STATIC("audio/mp4")},
    {"m4v", SPAN_STATIC("video/mp4")},
    {"map", SPAN_STATIC("application/json" UTF_8)},
    {"md", SPAN_STATIC("text/markdown" UTF_8)},
    {"mjs", SPAN_STATIC("text/javascript" UTF_8)},
    {"mp3", SPAN_STATIC("audio/mpeg")},
    {"mp4", SPAN_STATIC("video/mp4")},
    {"mpd", SPAN_STATIC("application/dash+xml" UTF_8)},
    {"oga", SPAN_STATIC("audio/ogg")},
    {"ogg", SPAN_STATIC("audio/ogg")},
    {"ogv", SPAN_STATIC("video/ogg")},
    {"opus", SPAN_STATIC("audio/ogg")},
    {"otf", SPAN_STATIC("font/otf")},
    {"pdf", SPAN_STATIC("application/pdf")},
    {"png", SPAN_STATIC("image/png")},
    {"pptx",
     SPAN_STATIC("application/vnd.openxmlformats-officedocument.presentationml.presentation")},
    {"rss", SPAN_STATIC("application/rss+xml" UTF_8)},
    {"rtf", SPAN_STATIC("application/rtf")},
    {"svg", SPAN_STATIC("image/svg+xml" UTF_8)},
    {"tar", SPAN_STATIC("application/x-tar")},
    {"tif", SPAN_STATIC("image/tiff")},
    {"tiff", SPAN_STATIC("image/tiff")},
    {"toml", SPAN_STATIC("application/toml" UTF_8)},
    {"ts", SPAN_STATIC("video/mp2t")},
    {"ttf", SPAN_STATIC("font/ttf")},
    {"txt", SPAN_STATIC("text/plain" UTF_8)},
    {"vtt", SPAN_STATIC("text/vtt" UTF_8)},
    {"wasm", SPAN_STATIC("application/wasm")},
    {"wav", SPAN_STATIC("audio/wav")},
    {"weba", SPAN_STATIC("audio/webm")},
    {"webm", SPAN_STATIC("video/webm")},
    {"webmanifest", SPAN_STATIC("application/manifest+json" UTF_8)},
    {"webp", SPAN_STATIC("image/webp")},
    {"woff", SPAN_STATIC("font/woff")},
    {"woff2", SPAN_STATIC("font/woff2")},
    {"xhtml", SPAN_STATIC("application/xhtml+xml" UTF_8)},
    {"xlsx", SPAN_STATIC("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")},
    {"xml", SPAN_STATIC("application/xml" UTF_8)},
    {"yaml", SPAN_STATIC("application/yaml" UTF_8)},
    {"yml", SPAN_STATIC("application/yaml" UTF_8)},
    {"zip", SPAN_STATIC("application/zip")},
    {"zst", SPAN_STATIC("application/zstd")},
};

struct span files_type_of(struct span path)
{
    static const struct span UNKNOWN = SPAN_STATIC("application/octet-stream");
    char extension[TYPE_SIZE_MAX + 1] = "";
    size_t dot = path.size;
    while (dot != 0 && path.ptr[dot - 1] != '.' && path.ptr[dot - 1] != '/') {
        dot--;
    }
    if (dot == 0 || path.ptr[dot - 1] == '/' || path.size - dot > TYPE_SIZE_MAX) {
        return UNKNOWN;
    }
    for (size_t i = dot; i < path.size; i++) {
        extension[i - dot] = (char)ascii_lower(path.ptr[i]);
    }
    size_t first = 0;
    size_t end = COUNT_OF(TYPES);
    while (first < end) {
        size_t middle = (first + end) / 2;
        int order = strcmp(extension, TYPES[middle].extension);
        if (order == 0) {
            return TYPES[middle].type;
        }
        if (order < 0) {
            end = middle;
        } else {
            first = middle + 1;
        }
    }
    return UNKNOWN;
}
