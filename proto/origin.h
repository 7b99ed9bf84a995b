/* SPDX-License-Identifier: MIT */
/* Whose pages may open a WebSocket here (Origin, RFC 6454 and RFC 6455 section 10.2), and which
 * hosts are served (RFC 9110 section 7.4). Lists are texts, separated by blanks (SP or HTAB), and
 * are read anew for each request that is checked: some 40 ns for an element that might match.
 *
 * Hosts are compared without regard to ASCII case and otherwise byte by byte: a final dot or an
 * escape makes another host, and names are expected in their ASCII form (RFC 5890). IPv6 literals
 * are compared as addresses. */
#ifndef PROTO_ORIGIN_H
#define PROTO_ORIGIN_H

#include "base/base.h"

/* Is a page of this origin allowed? `origin` is the value of the request's one Origin field, `host`
 * its Host or the authority of its target.
 *
 * Allowed are http and https origins with the host and port of the request itself, where a port
 * that one side does not name is that of the origin's scheme, 80 or 443; and what the list says:
 *
 *   https://a.example       this origin; any scheme, with ":port" if it is not the scheme's own
 *   with "*." before its host: each sub-domain of it at any depth, but not itself
 *   null                    the origin of sandboxed pages and files
 *   *                       any, whatever the value looks like
 *
 * All else is refused: so are malformed values, and several origins in one. */
bool origin_is_allowed(struct span origin, struct span host, struct span list);

/* Is this host, with its port if it names one, in the list? True for every host if the list is
 * empty, false for an empty host otherwise.
 *
 *   a.example          this host, at any port
 *   a.example:8443     at this port only; a Host without a port has both 80 and 443
 *   *.b.example        each sub-domain of it, but not b.example; with ":port" too
 *   192.0.2.1 [::1]    addresses as clients write them */
bool host_is_served(struct span host, struct span list);

/* Is each element of such a list of a form described above? Returns 0, or GYR_ERR_ARGUMENT with the
 * first element that is not in `bad`; "*" beside other origins is none. */
MUST_CHECK int origin_list_check(struct span list, struct span *bad);
MUST_CHECK int host_list_check(struct span list, struct span *bad);

#endif
