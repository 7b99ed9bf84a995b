/* SPDX-License-Identifier: MIT */
/* Connections per address: the limit, what counts as one address, growing and shrinking against a
 * plain model, keys that were chosen to meet, and many threads. */
#include "engine/address_table.h"

#include "base/siphash.h"
#include "tests/parser_kit.h"

#include <CUnit/CUnit.h>
#include <CUnit/TestRun.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static const uint8_t secret[16] = "a secret of 16 b";

static struct address_table *table_create(void)
{
    struct address_table *table = NULL;
    if (address_table_create(secret, &table) != 0) {
        abort();
    }
    return table;
}

static struct address address_of(const char *text)
{
    struct address address = {.family = ADDRESS_NONE};
    EXPECT_INT(address_parse_with_port(span_of(text, strlen(text)), &address), 0, text);
    return address;
}

static struct address address_number(uint32_t number)
{
    uint8_t ip[4];
    store_be16(ip, (uint16_t)(number >> 16));
    store_be16(ip + 2, (uint16_t)number);
    return address_ipv4(ip, (uint16_t)number);
}

static size_t address_count(struct address_table *table)
{
    return address_table_size(table).address_count;
}

void address_table_refuses_beyond_the_limit(void)
{
    struct address_table *table = table_create();
    struct address one = address_of("192.0.2.1:4711");
    struct address other = address_of("192.0.2.2:4711");
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_INT(address_table_enter(table, &one, 3), 0, "within the limit");
    }
    EXPECT_INT(address_table_enter(table, &one, 3), GYR_ERR_LIMIT, "one more");
    EXPECT_INT(address_table_enter(table, &one, 2), GYR_ERR_LIMIT, "a limit that fell");
    EXPECT_INT(address_table_enter(table, &other, 3), 0, "another address");
    address_table_leave(table, &one);
    EXPECT_INT(address_table_enter(table, &one, 3), 0, "after one has left");
    EXPECT_INT(address_table_enter(table, &one, 3), GYR_ERR_LIMIT, "full again");
    EXPECT_INT(address_table_enter(table, &one, 0), 0, "no limit");
    EXPECT_INT(address_table_enter(table, &one, 5), 0, "but they were counted");
    EXPECT_INT(address_table_enter(table, &one, 5), GYR_ERR_LIMIT, "all five");
    for (unsigned i = 0; i < 5; i++) {
        address_table_leave(table, &one);
    }
    address_table_leave(table, &other);
    EXPECT_INT(address_count(table), 0, "all have left");
    address_table_destroy(table);
    address_table_destroy(NULL);
}

void address_table_counts_ipv6_by_its_first_64_bits(void)
{
    static const struct {
        const char *first;
        const char *second;
        bool same;
    } rows[] = {
        {"[2001:db8::1]:1", "[2001:db8::2]:2", true},
        {"[2001:db8::1]:1", "[2001:db8::ffff:ffff:ffff:ffff]:1", true},
        {"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
        {"192.0.2.1:1", "192.0.2.1:2", true},
        {"192.0.2.1:1", "[::ffff:192.0.2.1]:2", true},
        {"192.0.2.1:1", "192.0.3.1:1", false},
        {"192.0.2.1:1", "[c000:201::]:1", false},
        {"0.0.0.0", "::", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address_table *table = table_create();
        struct address first = address_of(rows[i].first);
        struct address second = address_of(rows[i].second);
        EXPECT_INT(address_table_enter(table, &first, 1), 0, rows[i].first);
        EXPECT_INT(address_table_enter(table, &second, 1), rows[i].same ? GYR_ERR_LIMIT : 0,
                   rows[i].second);
        address_table_leave(table, &first);
        if (!rows[i].same) {
            address_table_leave(table, &second);
        }
        EXPECT_INT(address_count(table), 0, "all have left");
        address_table_destroy(table);
    }
}

void address_table_does_not_count_what_has_no_address(void)
{
    static const struct address rows[] = {{.family = ADDRESS_LOCAL}, {.family = ADDRESS_NONE}};
    struct address_table *table = table_create();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EXPECT_INT(address_table_enter(table, &rows[i], 1), 0, "the first");
        EXPECT_INT(address_table_enter(table, &rows[i], 1), 0, "the second");
        EXPECT_INT(address_count(table), 0, "not counted");
        address_table_leave(table, &rows[i]);
        address_table_leave(table, &rows[i]);
    }
    address_table_destroy(table);
}

/* Against an array of counts, with phases in which most come and phases in which most go. */
void address_table_agrees_with_a_plain_model(void)
{
    enum {
        ADDRESSES = 3000,
        MAX_EACH = 3,
        STEPS = 300000
    };
    static uint32_t counts[ADDRESSES];
    memset(counts, 0, sizeof(counts));
    struct address_table *table = table_create();
    uint64_t random = 88172645463325252U;
    size_t distinct = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        uint32_t number = (uint32_t)(random >> 33) % ADDRESSES;
        bool come = (random >> 16) % 10 < (step / 30000 % 2 == 0 ? 8 : 2);
        struct address address = address_number(number * 256);
        if (come) {
            int err = address_table_enter(table, &address, MAX_EACH);
            EXPECT_INT(err, counts[number] < MAX_EACH ? 0 : GYR_ERR_LIMIT, "enter");
            distinct += counts[number] == 0;
            counts[number] += err == 0;
        } else if (counts[number] > 0) {
            address_table_leave(table, &address);
            counts[number]--;
            distinct -= counts[number] == 0;
        }
        if (step % 1000 == 0) {
            EXPECT_INT(address_count(table), distinct, "distinct addresses");
        }
    }
    for (uint32_t number = 0; number < ADDRESSES; number++) {
        struct address address = address_number(number * 256);
        for (; counts[number] > 0; counts[number]--) {
            address_table_leave(table, &address);
        }
    }
    EXPECT_INT(address_count(table), 0, "all have left");
    address_table_destroy(table);
}

void address_table_grows_and_shrinks_with_its_addresses(void)
{
    enum {
        ADDRESSES = 100000
    };
    struct address_table *table = table_create();
    size_t empty = address_table_size(table).memory_size;
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        struct address address = address_number(i);
        EXPECT_INT(address_table_enter(table, &address, 1), 0, "enter");
    }
    size_t full = address_table_size(table).memory_size;
    EXPECT(full - empty >= ADDRESSES * 16, "it has grown");
    EXPECT(full - empty <= ADDRESSES * 16 * 4, "not by much more than is used");
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        struct address address = address_number(i);
        address_table_leave(table, &address);
    }
    EXPECT_INT(address_count(table), 0, "all have left");
    EXPECT(address_table_size(table).memory_size - empty <= 64 * 8 * 16, "it has shrunk");
    address_table_destroy(table);
}

/* Are these 2^14 addresses spread over the stripes and places as by chance? 256 in each stripe are
 * expected, with a standard deviation of 16, and searches of about ten places. */
static void expect_spread(struct address_table *table)
{
    struct address_table_size size = address_table_size(table);
    EXPECT_INT(size.address_count, 1 << 14, "all are counted");
    EXPECT(size.stripe_count_max < 384, "each stripe has its share");
    EXPECT(size.run_max < 128, "searches are short");
}

/* Addresses that differ in few bits, the highest or the lowest, in steps of a power of two. */
void address_table_spreads_addresses_in_order(void)
{
    for (unsigned shift = 0; shift <= 48; shift += 6) {
        struct address_table *table = table_create();
        for (uint64_t i = 0; i < 1 << 14; i++) {
            uint8_t ip[16];
            store_be64(ip, i << shift);
            memset(ip + 8, 0x55, 8);
            struct address address = address_ipv6(ip, 0);
            EXPECT_INT(address_table_enter(table, &address, 1), 0, "distinct, so each is new");
        }
        expect_spread(table);
        address_table_destroy(table);
    }
}

/* Addresses that all meet in one stripe under a secret that is known: under another they do not. */
void address_table_spreads_addresses_that_were_chosen_to_meet(void)
{
    uint8_t unknown[16] = "another secret.";
    struct address_table *known_table = table_create();
    struct address_table *table = NULL;
    CU_ASSERT_EQUAL_FATAL(address_table_create(unknown, &table), 0);
    unsigned chosen = 0;
    for (uint64_t i = 0; chosen < 1 << 14; i++) {
        uint8_t ip[16] = {0};
        uint8_t key[12] = {[8] = ADDRESS_IPV6};
        store_be64(ip, UINT64_C(0x20010db800000000) + i);
        memcpy(key, ip, 8);
        if (siphash(secret, key, sizeof(key)) % 64 != 7) {
            continue;
        }
        struct address address = address_ipv6(ip, 0);
        EXPECT_INT(address_table_enter(known_table, &address, 1), 0, "known");
        EXPECT_INT(address_table_enter(table, &address, 1), 0, "unknown");
        chosen++;
    }
    EXPECT_INT(address_table_size(known_table).stripe_count_max, 1 << 14, "the attack works");
    expect_spread(table);
    address_table_destroy(known_table);
    address_table_destroy(table);
}

#define THREADS 4

struct worker {
    struct address_table *table;
    _Atomic uint32_t *present; /* connections of each shared address */
    uint64_t random;
};

#define SHARED_ADDRESSES 8
#define SHARED_MAX       2

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    for (unsigned i = 0; i < 20000; i++) {
        worker->random = worker->random * 6364136223846793005U + 1442695040888963407U;
        uint32_t number = (uint32_t)(worker->random >> 33);
        uint32_t shared = number % SHARED_ADDRESSES;
        struct address address = address_number(shared);
        struct address other = address_number(number | 0x80000000);
        bool entered = address_table_enter(worker->table, &address, SHARED_MAX) == 0;
        if (address_table_enter(worker->table, &other, 0) != 0) {
            abort();
        }
        if (entered) {
            /* More than the limit at once would show here. */
            if (atomic_fetch_add_explicit(&worker->present[shared], 1, memory_order_relaxed) >=
                SHARED_MAX) {
                abort();
            }
            atomic_fetch_sub_explicit(&worker->present[shared], 1, memory_order_relaxed);
            address_table_leave(worker->table, &address);
        }
        address_table_leave(worker->table, &other);
    }
    return NULL;
}

void address_table_holds_its_limit_among_threads(void)
{
    static _Atomic uint32_t present[SHARED_ADDRESSES];
    struct address_table *table = table_create();
    pthread_t threads[THREADS];
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){table, present, i + 1};
        if (pthread_create(&threads[i], NULL, worker_run, &workers[i]) != 0) {
            abort();
        }
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    EXPECT_INT(address_count(table), 0, "all have left");
    address_table_destroy(table);
}
