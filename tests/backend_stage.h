/* SPDX-License-Identifier: MIT */
/* The stage of tests/backend_contract.c: the hub's side of several nodes, which writes down what a
 * backend does and complains about the first thing that it must not. */
#ifndef TESTS_BACKEND_STAGE_H
#define TESTS_BACKEND_STAGE_H

#include "base/base.h"
#include "base/list.h"
#include "hub/backend.h"
#include "hub/recover.h"
#include "tests/backend_contract.h"

#define STAGE_NODES_MAX    3
#define STAGE_CORES        2
#define STAGE_ROOMS        6
#define STAGE_MESSAGES_MAX 4096
#define STAGE_MEMBERS      6
#define STAGE_HISTORY      16 /* history_count of the rooms that keep one */

/* Rooms from here on keep a history. */
#define STAGE_ROOM_HISTORY 3

struct stage;

/* Something that was delivered to a node. */
struct delivery {
    uint32_t message; /* its number */
    uint64_t epoch;
    uint64_t offset;
};

/* A question or a publish that has to be answered once. */
struct stage_request {
    struct stage *stage;
    unsigned node;
    unsigned given; /* times */
    int err;
    /* Of a history: who asked, or NULL; and the answer's head. */
    struct stage_member *member;
    struct gyr_backend_history history;
    char ids[512]; /* of a presence: " ada bob", in their order */
};

struct message {
    bool is_accepted;
    bool has_request;
    unsigned node;
    unsigned core; /* STAGE_CORES: no core's thread */
    unsigned room;
    unsigned second_room; /* or the same; STAGE_ROOMS: to all */
    struct stage_request request;
};

/* A connection that comes and goes in one room with a history. */
struct stage_member {
    struct recover_member name;
    struct stage *stage;
    unsigned node;
    bool is_in;
    bool is_waiting;
    uint64_t number;
    uint64_t epoch; /* up to where it has everything */
    uint64_t offset;
    struct stage_request request;
};

struct stage_mail {
    struct list link;
    void (*fn)(unsigned core, void *arg);
    void *arg;
};

struct stage_core {
    struct list mail;
    bool is_due;
    bool has_ended;
    unsigned ready; /* calls of `ready` */
};

struct stage_node {
    struct stage *stage;
    struct backend backend;
    struct stage_core cores[STAGE_CORES];
    bool has_subscribed[STAGE_ROOMS];
    bool is_destroyed;
    size_t memory; /* of `alloc` */
    struct delivery *deliveries;
    size_t delivery_count;
    struct recover *recover;
    struct stage_member members[STAGE_MEMBERS];
};

struct stage {
    const struct contract_bed *bed;
    void *world;
    struct gyr_backend table;
    struct gyr_config config;
    struct stage_node nodes[STAGE_NODES_MAX];
    unsigned refuse_percent; /* of deliveries and answers */
    uint64_t random;
    uint64_t now_ms;
    struct message *messages;
    uint32_t message_count;
    const char *wrong; /* the first thing */
};

extern const struct gyr_span stage_rooms[STAGE_ROOMS];

struct stage *stage_create(const struct contract_bed *bed, uint64_t seed);
/* What is wrong, or NULL. */
const char *stage_destroy(struct stage *stage);

void stage_wrong(struct stage *stage, const char *what);
uint64_t stage_random(struct stage *stage, uint64_t below);
bool stage_can(const struct stage *stage, uint32_t capability);
const struct gyr_room_rule *stage_rule(unsigned room);

/* Let something happen: mail, work, the world between. False: everything rests. */
bool stage_step(struct stage *stage);
void stage_rest(struct stage *stage);

void stage_subscribe(struct stage *stage, unsigned node, unsigned room, bool subscribe);
/* Publish the next message somewhere, to this room; the error of the publish. */
int stage_publish(struct stage *stage, unsigned node, unsigned core, unsigned room, bool request);
/* To two rooms; or, with STAGE_ROOMS, to all. */
int stage_publish_to(struct stage *stage, unsigned node, unsigned core, unsigned room,
                     unsigned second_room, bool request);
/* How often a message was delivered to a node. */
unsigned stage_count(const struct stage *stage, unsigned node, uint32_t message);
void stage_ask(struct stage *stage, unsigned node, unsigned room, uint64_t epoch, uint64_t offset,
               struct stage_request *request);
/* Ends the cores of a node, as the engine does. */
void stage_end(struct stage *stage, unsigned node);

#endif
