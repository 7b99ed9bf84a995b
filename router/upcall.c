/* SPDX-License-Identifier: MIT */
/* The functions of struct gyr_service that an application's connections have. */
#include "router/visit.h"

void upcall_fill(struct gyr_service *service)
{
    service->conn_data_size = sizeof(struct visit *);
    service->on_request = visit_request;
    service->on_body = visit_body;
    service->on_done = visit_done;
    service->on_open = visit_open;
    service->on_message = visit_message;
    service->on_drain = visit_drain;
    service->on_mail = visit_mail;
    service->on_timer = visit_timer;
    service->on_recovered = visit_recovered;
    service->on_close = visit_close;
    service->on_finish = visit_finish;
}
