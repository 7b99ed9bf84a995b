/* SPDX-License-Identifier: MIT */
/* What a template is made of, for the two files that know: template.c makes it, template_match.c
 * matches with it and writes paths. */
#ifndef ROUTER_TEMPLATE_PIECE_H
#define ROUTER_TEMPLATE_PIECE_H

#include "router/template.h"

/* Of one template, those included whose name an inner template has taken. */
#define TEMPLATE_PIECES_MAX 128

/* A literal, or a parameter. */
struct piece {
    uint16_t offset; /* literal: in `literals` */
    uint16_t size;
    uint8_t type;  /* parameter: enum param_type */
    uint8_t param; /* index of the parameter; of a hidden one, whose value is written for it */
    bool is_literal;
    bool is_hidden; /* an inner parameter has its name */
};

struct param {
    uint16_t name_offset; /* in the text */
    uint16_t name_size;
    uint8_t type;
};

struct template
{
    const struct piece *pieces;
    const uint8_t *segment_ends; /* index of the piece behind each segment */
    const struct param *params;
    const uint8_t *text; /* with the slash in front, and the trailing one */
    const uint8_t *literals;
    uint16_t text_size;
    uint16_t literals_size;
    uint8_t segment_count;
    uint8_t piece_count;
    uint8_t param_count;
    bool has_slash; /* a trailing one; not of the root */
    bool has_path;
    bool is_plain;
}; /* all of it is one allocation */

static inline size_t segment_begin(const struct template *template, size_t index)
{
    return index == 0 ? 0 : template->segment_ends[index - 1];
}

#endif
