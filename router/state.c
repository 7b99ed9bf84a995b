/* SPDX-License-Identifier: MIT */
/* State: texts by name that the resources of a chain share. A store is made when it is first
 * needed, and ends when no resource of the connection has it any more. */
#include "router/visit_parts.h"

#define STATE_KEY_SIZE_MAX 255
#define STATE_SIZE_MAX     65536 /* of the entries of all default stores of a connection */

struct state_entry {
    struct state_entry *next;
    uint32_t key_size;
    uint32_t value_size;
    char text[]; /* the key, then the value */
};

struct state_store {
    const struct gyr_state_ops *ops; /* NULL: the default, which has `entries` */
    void *store;
    struct state_entry *entries; /* owned; in no order */
    struct visit *visit;
    uint32_t level_count; /* that have it */
    uint32_t walks;       /* that are under way: nothing may change meanwhile */
};

static int level_of(const struct visit *visit, const void *self, unsigned *level);
static int states_need(struct visit *visit);
static struct state_store *store_create(struct visit *visit, const struct gyr_state_ops *ops,
                                        void *store);
static void store_unref(struct state_store *store);
static int entry_set(struct state_store *store, struct gyr_span key, struct gyr_span value);
static int entry_remove(struct state_store *store, struct gyr_span key);
static bool ops_are_whole(const struct gyr_state_ops *ops);

static bool entry_has(const struct state_entry *entry, struct gyr_span key)
{
    return span_equal(span_of(entry->text, entry->key_size), span_of(key.ptr, key.size));
}

/* The store of a resource, or NULL: nothing was written yet. */
static int store_find(struct gyr_conn *conn, const void *self, struct state_store **store)
{
    struct visit *visit = visit_of(conn);
    unsigned level;
    int err = level_of(visit, self, &level);
    *store = NULL;
    if (err == 0) {
        *store = visit->states != NULL ? visit->states[level] : NULL;
    }
    return err;
}

int gyr_state_get(struct gyr_conn *conn, const void *self, struct gyr_span key,
                  struct gyr_span *value)
{
    struct state_store *store;
    int err = store_find(conn, self, &store);
    if (err < 0) {
        return err;
    }
    if (store == NULL || key.size > STATE_KEY_SIZE_MAX) {
        return GYR_ERR_NOT_FOUND;
    }
    if (store->ops != NULL) {
        return store->ops->get(store->store, key, value);
    }
    for (const struct state_entry *entry = store->entries; entry != NULL; entry = entry->next) {
        if (entry_has(entry, key)) {
            *value = (struct gyr_span){entry->text + entry->key_size, entry->value_size};
            return 0;
        }
    }
    return GYR_ERR_NOT_FOUND;
}

int gyr_state_set(struct gyr_conn *conn, const void *self, struct gyr_span key,
                  struct gyr_span value)
{
    struct visit *visit = visit_of(conn);
    unsigned level;
    int err = level_of(visit, self, &level);
    if (err == 0 && key.size > STATE_KEY_SIZE_MAX) {
        err = GYR_ERR_LIMIT;
    }
    if (err == 0) {
        err = states_need(visit);
    }
    if (err < 0) {
        return err;
    }
    struct state_store *store = visit->states[level];
    return store->ops != NULL ? store->ops->set(store->store, key, value)
                              : entry_set(store, key, value);
}

int gyr_state_remove(struct gyr_conn *conn, const void *self, struct gyr_span key)
{
    struct state_store *store;
    int err = store_find(conn, self, &store);
    if (err < 0) {
        return err;
    }
    if (store == NULL || key.size > STATE_KEY_SIZE_MAX) {
        return GYR_ERR_NOT_FOUND;
    }
    return store->ops != NULL ? store->ops->remove(store->store, key) : entry_remove(store, key);
}

int gyr_state_each(struct gyr_conn *conn, const void *self,
                   int (*each)(void *arg, struct gyr_span key, struct gyr_span value), void *arg)
{
    struct state_store *store;
    int err = store_find(conn, self, &store);
    if (err < 0 || store == NULL) {
        return err;
    }
    int result = 0;
    store->walks++;
    if (store->ops != NULL) {
        result = store->ops->each(store->store, each, arg);
    }
    for (const struct state_entry *entry = store->entries; entry != NULL && result == 0;
         entry = entry->next) {
        result = each(arg, (struct gyr_span){entry->text, entry->key_size},
                      (struct gyr_span){entry->text + entry->key_size, entry->value_size});
    }
    store->walks--;
    return result;
}

int gyr_state_assign(struct gyr_conn *conn, const void *self, const struct gyr_state_ops *ops,
                     void *store)
{
    struct visit *visit = visit_of(conn);
    unsigned level;
    int err = level_of(visit, self, &level);
    if (err == 0 && !ops_are_whole(ops)) {
        err = GYR_ERR_ARGUMENT;
    }
    if (err == 0) {
        err = states_need(visit);
    }
    if (err < 0) {
        return err;
    }
    struct state_store *old = visit->states[level];
    if (old->walks != 0) {
        return GYR_ERR_STATE;
    }
    struct state_store *assigned = store_create(visit, ops, store);
    if (assigned == NULL) {
        return GYR_ERR_MEMORY;
    }
    /* The last reference goes last: with it the old store does. */
    for (unsigned i = 0; i < visit->route->level_count; i++) {
        if (visit->states[i] == old) {
            visit->states[i] = assigned;
            assigned->level_count++;
        }
    }
    old->level_count = 1;
    store_unref(old);
    return 0;
}

int gyr_give_state(struct gyr_conn *conn, const struct gyr_state_ops *ops, void *store)
{
    struct visit *visit = visit_of(conn);
    if (visit->stage != VISIT_GIVE) {
        return GYR_ERR_STATE;
    }
    if (ops != NULL && !ops_are_whole(ops)) {
        return GYR_ERR_ARGUMENT;
    }
    int err = states_need(visit);
    for (unsigned i = visit->level + 1U; err == 0 && i < visit->route->level_count; i++) {
        err = visit->states[i]->walks != 0 ? GYR_ERR_STATE : 0;
    }
    if (err < 0) {
        return err;
    }
    struct state_store *given = store_create(visit, ops, store);
    if (given == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (unsigned i = visit->level + 1U; i < visit->route->level_count; i++) {
        struct state_store *old = visit->states[i];
        visit->states[i] = given;
        given->level_count++;
        store_unref(old);
    }
    return 0;
}

/* ---- which store ---- */

static int level_of(const struct visit *visit, const void *self, unsigned *level)
{
    const struct plan_route *route = visit->route;
    bool ended = (visit->flags & VISIT_F_STATES_END) != 0;
    if (route->level_count == 0 || route->factory != NULL || ended) {
        return GYR_ERR_STATE;
    }
    unsigned count = route->level_count;
    *level = count - 1;
    if (self == NULL) {
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        if (visit_self(visit, i) == self) {
            *level = i;
            return 0;
        }
    }
    return GYR_ERR_ARGUMENT;
}

/* At first all levels share an empty one. */
static int states_need(struct visit *visit)
{
    if (visit->states != NULL) {
        return 0;
    }
    unsigned count = visit->route->level_count;
    struct state_store **states = gyr_conn_alloc(visit->conn, count * sizeof(void *));
    struct state_store *store = states != NULL ? store_create(visit, NULL, NULL) : NULL;
    if (store == NULL) {
        return GYR_ERR_MEMORY;
    }
    for (unsigned i = 0; i < count; i++) {
        states[i] = store;
    }
    store->level_count = count;
    visit->states = states;
    return 0;
}

void states_destroy(struct visit *visit)
{
    visit->flags |= VISIT_F_STATES_END; /* a store that ends may ask for others */
    /* The innermost first, as its resources. */
    for (unsigned i = visit->states != NULL ? visit->route->level_count : 0; i-- != 0;) {
        store_unref(visit->states[i]);
    }
    visit->states = NULL;
}

static struct state_store *store_create(struct visit *visit, const struct gyr_state_ops *ops,
                                        void *user_store)
{
    struct state_store *store = engine_core_alloc(visit->core->core, sizeof(*store));
    if (store != NULL) {
        *store = (struct state_store){.ops = ops, .store = user_store, .visit = visit};
    }
    return store;
}

static void store_unref(struct state_store *store)
{
    if (--store->level_count != 0) {
        return;
    }
    struct visit *visit = store->visit;
    const struct gyr_state_ops *ops = store->ops;
    if (ops != NULL && ops->size >= sizeof(*ops) && ops->destroy != NULL) {
        ops->destroy(store->store);
    }
    while (store->entries != NULL) {
        (void)entry_remove(store,
                           (struct gyr_span){store->entries->text, store->entries->key_size});
    }
    engine_core_free(visit->core->core, store, sizeof(*store));
}

static bool ops_are_whole(const struct gyr_state_ops *ops)
{
    return ops != NULL && ops->size >= offsetof(struct gyr_state_ops, destroy) &&
           ops->get != NULL && ops->set != NULL && ops->remove != NULL && ops->each != NULL;
}

/* ---- the default store ---- */

static size_t entry_size(size_t key_size, size_t value_size)
{
    return sizeof(struct state_entry) + key_size + value_size;
}

static struct state_entry **entry_find(struct state_store *store, struct gyr_span key)
{
    struct state_entry **link = &store->entries;
    while (*link != NULL && !entry_has(*link, key)) {
        link = &(*link)->next;
    }
    return link;
}

static int entry_set(struct state_store *store, struct gyr_span key, struct gyr_span value)
{
    struct visit *visit = store->visit;
    struct state_entry **link = entry_find(store, key);
    struct state_entry *old = *link;
    if (store->walks != 0) {
        return GYR_ERR_STATE;
    }
    size_t freed = old != NULL ? entry_size(old->key_size, old->value_size) : 0;
    if (value.size > STATE_SIZE_MAX ||
        visit->state_size - freed + entry_size(key.size, value.size) > STATE_SIZE_MAX) {
        return GYR_ERR_LIMIT;
    }
    size_t size = entry_size(key.size, value.size);
    struct state_entry *entry = engine_core_alloc(visit->core->core, size);
    if (entry == NULL) {
        return GYR_ERR_MEMORY;
    }
    *entry = (struct state_entry){
        .next = old != NULL ? old->next : NULL,
        .key_size = (uint32_t)key.size,
        .value_size = (uint32_t)value.size,
    };
    /* The value may be a view of what it replaces. */
    if (key.size != 0) {
        memcpy(entry->text, key.ptr, key.size);
    }
    if (value.size != 0) {
        memcpy(entry->text + key.size, value.ptr, value.size);
    }
    *link = entry;
    engine_core_free(visit->core->core, old, freed);
    visit->state_size = (uint32_t)(visit->state_size - freed + size);
    return 0;
}

static int entry_remove(struct state_store *store, struct gyr_span key)
{
    struct visit *visit = store->visit;
    struct state_entry **link = entry_find(store, key);
    struct state_entry *old = *link;
    if (store->walks != 0) {
        return GYR_ERR_STATE;
    }
    if (old == NULL) {
        return GYR_ERR_NOT_FOUND;
    }
    size_t size = entry_size(old->key_size, old->value_size);
    *link = old->next;
    visit->state_size -= (uint32_t)size;
    engine_core_free(visit->core->core, old, size);
    return 0;
}
