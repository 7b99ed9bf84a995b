/* SPDX-License-Identifier: MIT */
/* Whether the lists of origins, hosts and proxies can be read, said before anybody is judged by
 * them. */
#include "engine/policy.h"

#include "engine/error.h"
#include "proto/address.h"
#include "proto/origin.h"

#define SHOWN_MAX 64 /* of an element, in a line of error */

struct policy_list {
    const char *name;
    int (*check)(struct span list, struct span *bad);
    const char *advice;
};

static int proxies_check(struct span list, struct span *bad);

int policy_check_text(const char *name, const char *text, struct gyr_error *error)
{
    static const struct policy_list lists[] = {
        {"origins", origin_list_check,
         "write origins between blanks, as https://a.example, https://*.b.example:8443 or null, "
         "with names in ASCII; or * alone"},
        {"hosts", host_list_check,
         "write hosts between blanks, as a.example, *.b.example:8443, 192.0.2.1 or [::1], with "
         "names in ASCII"},
        {"trusted_proxies", proxies_check,
         "write addresses between blanks, as 192.0.2.1, 2001:db8::/32 with no bit behind the "
         "prefix, or unix:"},
    };
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct span bad = {NULL, 0};
        int err = 0;
        if (strcmp(name, lists[i].name) == 0) {
            err = lists[i].check(span_of(text, strlen(text)), &bad);
        }
        if (err == GYR_ERR_LIMIT) {
            return ERROR_SET(error, GYR_ERR_CONFIG,
                             "%s has more than %d elements, from %.*s on; "
                             "join them to ranges",
                             name, ADDRESS_RANGE_COUNT_MAX, (int)MIN(bad.size, SHOWN_MAX),
                             (const char *)bad.ptr);
        }
        if (err != 0) {
            return ERROR_SET(error, GYR_ERR_CONFIG, "%s has the element '%.*s', which is none; %s",
                             name, (int)MIN(bad.size, SHOWN_MAX), (const char *)bad.ptr,
                             lists[i].advice);
        }
    }
    return 0;
}

static int proxies_check(struct span list, struct span *bad)
{
    struct address_ranges ranges;
    return address_ranges_parse(list, &ranges, bad);
}
