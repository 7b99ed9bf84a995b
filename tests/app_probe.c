/* SPDX-License-Identifier: MIT */
#include "tests/app_probe.h"

struct app_kit *probe_kit(void *self)
{
    return ((struct probe *)self)->kit;
}

int probe_ping(struct gyr_conn *conn, void *self, const struct ping *ping)
{
    (void)conn;
    app_kit_note(probe_kit(self), "ping %.*s", (int)ping->text.size, ping->text.ptr);
    return 0;
}

int probe_unhandled(struct gyr_conn *conn, void *self, const struct gyr_unhandled *unhandled)
{
    struct app_kit *kit = probe_kit(self);
    (void)conn;
    bool is_whole = unhandled->message.size == kit->said.size &&
                    memcmp(unhandled->message.ptr, kit->said.ptr, kit->said.size) == 0;
    app_kit_note(kit, "%s %s '%s' tag '%.*s' id '%.*s'%s",
                 unhandled->opcode == GYR_TEXT ? "text" : "binary",
                 gyr_reason_code(unhandled->fault->reason), unhandled->fault->path,
                 (int)unhandled->tag.size, unhandled->tag.ptr, (int)unhandled->id.size,
                 unhandled->id.ptr, is_whole ? "" : " but its bytes have changed");
    return 0;
}

void probe_failure(struct gyr_conn *conn, const struct gyr_failure *failure)
{
    app_kit_note(probe_kit(gyr_self(conn, 0)), "failure %s %s %s: %s", failure->what,
                 failure->resource, failure->name != NULL ? failure->name : "-",
                 gyr_strerror(failure->err));
}
