/* SPDX-License-Identifier: MIT */
/* Reads what on_log is given, in either format, and compares it with what the service and the
 * clients have seen. */
#include "tests/sim/journal.h"

#include "tests/json_check.h"
#include "tests/sim/world.h"

#include <stdlib.h>

#define MEMBERS_MAX 24

static int text_check(struct span line, struct json_member *members, int max);
static void ended_unseen(struct world *world, struct journal *journal);

static struct span member_find(const struct json_member *members, int count, const char *name)
{
    for (int i = 0; i < count; i++) {
        if (span_equal(members[i].name, span_of(name, strlen(name)))) {
            return members[i].value;
        }
    }
    return (struct span){0};
}

static void member_copy(const struct json_member *members, int count, const char *name, char *text,
                        size_t size)
{
    struct span value = member_find(members, count, name);
    size = MIN(value.size, size - 1);
    memcpy(text, size == 0 ? (const uint8_t *)"" : value.ptr, size);
    text[size] = '\0';
}

static uint64_t member_number(const struct json_member *members, int count, const char *name)
{
    char text[24];
    member_copy(members, count, name, text, sizeof(text));
    return strtoull(text, NULL, 10);
}

/* ---- lines ---- */

static void line_take(struct world *world, struct journal *journal,
                      const struct json_member *members, int count)
{
    struct journal_line line = {0};
    member_copy(members, count, "event", line.event, sizeof(line.event));
    if (strcmp(line.event, "log.dropped") == 0) {
        journal->dropped_told += member_number(members, count, "count");
        return;
    }
    if (member_number(members, count, "core") != world->core_now) {
        world_fail(world, "a line names core %llu, and comes from core %u",
                   (unsigned long long)member_number(members, count, "core"), world->core_now);
    }
    const struct gyr_config *config = &world->configs[world->core_now];
    double due = (double)world->cores[world->core_now]->ring->now_ns / 1e9 * config->log_rate_max;
    journal->pace.low = MIN(journal->pace.low, (double)journal->line_count - due);
    journal->line_count++;
    if (world->plan.reload_steps == 0 &&
        (double)journal->line_count - due - journal->pace.low > config->log_rate_max + PACE_SLACK) {
        world_fail(world, "there are more lines than %u a second", config->log_rate_max);
    }
    if (strcmp(line.event, "request") != 0 && strcmp(line.event, "websocket") != 0) {
        return;
    }
    ended_unseen(world, journal);
    member_copy(members, count, "client", line.client, sizeof(line.client));
    member_copy(members, count, "target", line.target, sizeof(line.target));
    member_copy(members, count, "outcome", line.outcome, sizeof(line.outcome));
    line.has_target = member_find(members, count, "target").ptr != NULL;
    line.status = (unsigned)member_number(members, count, "status");
    line.close_code = (unsigned)member_number(members, count, "close_code");
    journal->last = line;
    const char *port = strrchr(line.client, ':');
    unsigned id = port == NULL ? UINT32_MAX : (unsigned)strtoul(port + 1, NULL, 10) % 1000;
    if (line.event[0] == 'r' && line.status != 0 && id <= world->client_count) {
        struct statuses *logged = &world->clients[id].logged;
        ASSERT(logged->count < STATUSES_MAX);
        logged->codes[logged->count++] = (uint16_t)line.status;
    }
}

void journal_on_log(void *user, enum gyr_log_level level, struct gyr_span text)
{
    struct world *world = user;
    struct json_member members[MEMBERS_MAX];
    struct span line = span_of(text.ptr, text.size);
    bool json = line.size != 0 && line.ptr[0] == '{';
    world_note(world, "log: %.*s", (int)text.size, text.ptr);
    int count =
        json ? json_check(line, members, MEMBERS_MAX) : text_check(line, members, MEMBERS_MAX);
    if (count < 3 || count > MEMBERS_MAX || level == GYR_LOG_OFF) {
        world_fail(world, "this is no line of the log: %.*s", (int)text.size, text.ptr);
        return;
    }
    bool wrong_format = json != (world->configs[world->core_now].log_format == GYR_LOG_JSON);
    if (wrong_format || level > (enum gyr_log_level)world->configs[world->core_now].log_level) {
        world_fail(world, "nobody asked for this line: %.*s", (int)text.size, text.ptr);
        return;
    }
    line_take(world, &world->journals[world->core_now], members, count);
}

static bool word_take(struct span *rest, struct span *word)
{
    size_t size = 0;
    while (size < rest->size && rest->ptr[size] != ' ') {
        size++;
    }
    *word = span_of(rest->ptr, size);
    *rest = size == rest->size ? (struct span){0}
                               : span_of(rest->ptr + size + 1, rest->size - size - 1);
    return size != 0;
}

/* name=value or name="value", in which a quote has a backslash before it. */
static bool pair_take(struct span *rest, struct json_member *member)
{
    size_t at = 0;
    while (at < rest->size && rest->ptr[at] != '=' && rest->ptr[at] != ' ') {
        at++;
    }
    if (at == 0 || at + 1 >= rest->size || rest->ptr[at] != '=') {
        return false;
    }
    member->name = span_of(rest->ptr, at);
    *rest = span_of(rest->ptr + at + 1, rest->size - at - 1);
    member->is_string = rest->ptr[0] == '"';
    if (!member->is_string) {
        struct span word = {0};
        bool is_word = word_take(rest, &word);
        member->value = word;
        return is_word && memchr(word.ptr, '"', word.size) == NULL &&
               memchr(word.ptr, '=', word.size) == NULL;
    }
    at = 1;
    while (at < rest->size && rest->ptr[at] != '"') {
        at += rest->ptr[at] == '\\' ? 4 : 1;
    }
    if (at >= rest->size || (at + 1 < rest->size && rest->ptr[at + 1] != ' ')) {
        return false;
    }
    member->value = span_of(rest->ptr + 1, at - 1);
    size_t used = MIN(at + 2, rest->size);
    *rest = span_of(rest->ptr + used, rest->size - used);
    return true;
}

/* The same as json_check for "time level event name=value ...". */
static int text_check(struct span line, struct json_member *members, int max)
{
    static const char *const NAMES[] = {"time", "level", "event"};
    int count = 0;
    for (size_t i = 0; i < line.size; i++) {
        if (line.ptr[i] < ' ' || line.ptr[i] > '~') {
            return -1;
        }
    }
    for (; count < 3; count++) {
        members[count].name = span_of(NAMES[count], strlen(NAMES[count]));
        if (!word_take(&line, &members[count].value)) {
            return -1;
        }
    }
    while (line.size != 0) {
        if (count == max || !pair_take(&line, &members[count])) {
            return -1;
        }
        count++;
    }
    return count;
}

/* ---- what has ended ---- */

/* A line that no end of an exchange belongs to: the engine has refused a request by itself. */
static void ended_unseen(struct world *world, struct journal *journal)
{
    const struct journal_line *line = &journal->last;
    if (line->event[0] == '\0') {
        return;
    }
    bool right = strcmp(line->outcome, line->has_target ? "answered" : "refused") == 0 &&
                 line->status >= 400;
    if ((world->plan.excuses & EXCUSE_MEMORY) != 0) {
        const char *outcome = line->has_target ? "unanswered" : "refused";
        right = right || (line->status == 0 && strcmp(line->outcome, outcome) == 0);
    }
    if (strcmp(line->event, "request") != 0 || !right) {
        world_fail(world, "the log has an end that nobody saw: %s %s %u %s", line->event,
                   line->target, line->status, line->outcome);
    }
    journal->last = (struct journal_line){0};
}

bool journal_is_kept(const struct visit *visit)
{
    return (visit->world->cores[visit->core_index]->guard_flags & GUARD_F_ACCESS) != 0;
}

/* The line that has just been written, if there is one. */
static bool line_of(struct visit *visit, const char *event, struct journal_line *line)
{
    struct world *world = visit->world;
    struct journal *journal = &world->journals[visit->core_index];
    uint64_t dropped = world->cores[visit->core_index]->stats.log_dropped;
    bool excused = dropped != journal->dropped_seen || world->plan.reload_steps != 0 ||
                   (world->plan.excuses & EXCUSE_MEMORY) != 0;
    char client[ADDRESS_TEXT_SIZE];
    address_format(&visit->from, client);
    *line = journal->last;
    journal->dropped_seen = dropped;
    if (world->plan.reload_steps != 0) {
        journal->last = (struct journal_line){0};
        return false;
    }
    if (!visit->is_logged) {
        return false;
    }
    if (strcmp(line->event, event) != 0 || strcmp(line->target, visit->target) != 0 ||
        (strcmp(line->client, client) != 0 && strcmp(line->client, "?") != 0)) {
        if (!excused) {
            world_fail(world, "client %u: instead of the end of its %s (%s, %s) there is %s %s %s",
                       visit->client->id, event, visit->target, client, line->event, line->target,
                       line->client);
        }
        return false; /* and what is there is another's */
    }
    journal->last = (struct journal_line){0};
    return true;
}

void journal_request_ended(struct visit *visit, enum gyr_outcome outcome)
{
    struct journal_line line;
    if (!line_of(visit, "request", &line)) {
        return;
    }
    bool right = outcome == GYR_DONE_UPGRADED   ? strcmp(line.outcome, "upgraded") == 0
                 : outcome == GYR_DONE_ANSWERED ? strcmp(line.outcome, "answered") == 0
                 : line.status != 0             ? strcmp(line.outcome, "aborted") == 0
                                                : strcmp(line.outcome, "unanswered") == 0;
    bool right_status =
        visit->status != 0 ? line.status == visit->status : line.status >= 400 || line.status == 0;
    if (visit->stream == STREAM_FILE && visit->status != 0 && line.status != visit->status) {
        /* What was foreseen has not come to pass yet, or fails in this world. */
        right_status = line.status == 0 ? outcome == GYR_DONE_ABORTED
                                        : visit->world->plan.faults.file_fail != 0;
    }
    if (!right || !right_status) {
        world_fail(visit->world, "client %u: the log says %u, %s; it was %u, %d", visit->client->id,
                   line.status, line.outcome, visit->status, outcome);
    }
}

void journal_ws_ended(struct visit *visit, uint16_t close_code)
{
    struct journal_line line;
    if (line_of(visit, "websocket", &line) && line.close_code != close_code) {
        world_fail(visit->world, "client %u: the log says Close %u, on_close %u", visit->client->id,
                   line.close_code, close_code);
    }
}

void journal_answered(struct client *client, unsigned status)
{
    struct statuses *got = &client->got;
    ASSERT(got->count < STATUSES_MAX);
    got->codes[got->count++] = (uint16_t)status;
}

void journal_turn_ended(struct world *world, unsigned index)
{
    struct journal *journal = &world->journals[index];
    ended_unseen(world, journal);
    journal->dropped_seen = world->cores[index]->stats.log_dropped;
}

void journal_core_ended(struct world *world, unsigned index)
{
    const struct core *core = world->cores[index];
    const struct journal *journal = &world->journals[index];
    if (journal->dropped_told + core->log_gate.dropped != core->stats.log_dropped) {
        world_fail(world, "core %u: %llu lines were dropped; %llu were told, %llu would be", index,
                   (unsigned long long)core->stats.log_dropped,
                   (unsigned long long)journal->dropped_told,
                   (unsigned long long)core->log_gate.dropped);
    }
}

void journal_check(struct world *world)
{
    const struct plan *plan = &world->plan;
    bool is_kept = plan->config.access_log != 0 && plan->config.log_level >= GYR_LOG_INFO;
    for (unsigned i = 0; i < plan->core_count; i++) {
        is_kept = is_kept && world->cores[i]->stats.log_dropped == 0;
    }
    if (!is_kept || plan->address_count == 0 || plan->reload_steps != 0 ||
        (plan->excuses & EXCUSE_MEMORY) != 0) {
        return;
    }
    for (unsigned i = 0; i <= world->client_count; i++) {
        const struct statuses *got = &world->clients[i].got;
        const struct statuses *logged = &world->clients[i].logged;
        for (unsigned k = 0; k < got->count; k++) {
            if (k >= logged->count || got->codes[k] != logged->codes[k]) {
                world_fail(world, "client %u: answer %u is %u, and in the log %u", i, k,
                           got->codes[k], k < logged->count ? logged->codes[k] : 0U);
                return;
            }
        }
    }
}
