/* SPDX-License-Identifier: MIT */
/* Scenarios 41 to 45 and 49 to 55: resources below resources. 46 to 48, of their state, are in
 * test_scenario_state.c. */
#include "tests/scenario_kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

SCENARIO_TRACED(top);
SCENARIO_TRACED(mid);
SCENARIO_TRACED(leaf);

static const struct gyr_resource params = {GYR_RESOURCE_PLAIN("params"),
                                           .on_connect = scenario_note_params};

static const struct gyr_route grandchildren[] = {GYR_ROUTE("grand/{id}", &params), {0}};
static const struct gyr_resource child = {GYR_RESOURCE(mid), SCENARIO_LIFE(mid),
                                          .children = grandchildren};
static const struct gyr_route children[] = {GYR_ROUTE("child/{y}", &params),
                                            GYR_ROUTE("/deep/{y}/", &child),
                                            GYR_ROUTE("again/{x}", &params),
                                            {0}};
static const struct gyr_resource parent = {GYR_RESOURCE(top), SCENARIO_LIFE(top),
                                           .children = children};
static const struct gyr_route parents[] = {GYR_ROUTE("/parent/{x}", &parent), {0}};

void scenario_041_a_child_sees_its_parents_parameter_and_its_own(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", parents);
        SERVE(&at);
        VISIT(&at, "/parent/1/child/2");
        ENDED(&at, "top:create x=1 y=2 top:destroy");
    }
}

void scenario_042_the_deepest_of_three_sees_all_parameters(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "/t/{room}", parents);
        SERVE(&at);
        VISIT(&at, "/t/0/parent/1/deep/2/grand/3");
        ENDED(&at, "top:create mid:create x=1 y=2 room=0 id=3 mid:destroy top:destroy");
    }
}

void scenario_043_of_one_name_the_inner_parameter_counts(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", parents);
        SERVE(&at);
        VISIT(&at, "/parent/outer/again/inner");
        ENDED(&at, "top:create x=inner top:destroy");
    }
}

void scenario_044_what_no_child_takes_is_404_and_constructs_nothing(void)
{
    static const char *const paths[] = {
        "/parent/1/unknown", "/parent/1/child",        "/parent/1/child/",
        "/parent/1child/2",  "/parent/1/child/2/more", "/parent/1/childx/2",
        "/parent",           "/parent/1/deep/2/grand"};
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", parents);
        SERVE(&at);
        for (size_t i = 0; i < COUNT_OF(paths); i++) {
            REFUSED(&at, paths[i], 404);
        }
        VISIT(&at, "/parent/1"); /* it is still served itself */
        ENDED(&at, "top:create top:connect top:disconnect:1000 top:destroy");
    }
}

/* ---- gifts ---- */

struct project {
    char name[16];
};
struct giver {
    struct project project;
};
struct taker {
    const struct project *project;
};

static int giver_give(struct gyr_conn *conn, void *self)
{
    struct giver *own = self;
    struct gyr_span name = gyr_param(conn, "x");
    (void)snprintf(own->project.name, sizeof(own->project.name), "%.*s", (int)name.size, name.ptr);
    return gyr_give(conn, "project", &own->project);
}
static int taker_create(struct gyr_conn *conn, void *self)
{
    const struct taker *taker = self;
    note(conn, "project=%s", taker->project != NULL ? taker->project->name : "none");
    return 0;
}
static const struct project standing = {"standing"};
static const struct gyr_resource taker = {
    GYR_RESOURCE(taker), .create = taker_create,
    .inputs = GYR_INPUTS(GYR_INPUT(taker, project, struct project))};
static const struct gyr_route takers[] = {
    GYR_ROUTE("take", &taker),
    GYR_ROUTE("both", &taker,
              .values = GYR_VALUES(GYR_VALUE("project", struct project, &standing))),
    {0}};
static const struct gyr_resource giver = {GYR_RESOURCE(giver), .give = giver_give,
                                          .children = takers,
                                          .gifts = GYR_GIFTS(GYR_GIFT("project", struct project))};
static const struct gyr_route givers[] = {GYR_ROUTE("/give/{x}", &giver), {0}};

void scenario_045_a_child_has_what_its_parent_gives_when_it_is_made(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", givers);
        SERVE(&at);
        VISIT(&at, "/give/atlas/take");
        ENDED(&at, "project=atlas");
    }
}

static int wrong_give(struct gyr_conn *conn, void *self)
{
    struct giver *own = self;
    int err = gyr_give(conn, "projekt", &own->project);
    note(conn, "given:%d", err);
    return 0; /* who forgets to look is refused all the same */
}
static const struct gyr_resource wrong_giver = {
    GYR_RESOURCE(giver), .give = wrong_give, .children = takers,
    .gifts = GYR_GIFTS(GYR_GIFT("project", struct project))};
static const struct gyr_route wrong_givers[] = {GYR_ROUTE("/wrong", &wrong_giver), {0}};

static const struct gyr_route no_takers[] = {GYR_ROUTE("params", &params), {0}};
static const struct gyr_resource unwanted = {
    GYR_RESOURCE(giver), .give = giver_give, .children = no_takers,
    .gifts = GYR_GIFTS(GYR_GIFT("project", struct project))};
static const struct gyr_route unwanteds[] = {
    GYR_ROUTE("/unwanted", &unwanted),
    GYR_ROUTE("/undeclared", &params,
              .values = GYR_VALUES(GYR_VALUE("project", struct project, &standing))),
    {0}};

void scenario_049_a_gift_beats_a_value_and_nobody_gets_what_he_did_not_declare(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", givers);
        ROUTES(&at, "", wrong_givers);
        SERVE(&at);
        VISIT(&at, "/give/atlas/both");
        NOTED(&at, "project=atlas");
        REFUSED(&at, "/wrong/take", 500);
        NOTED(&at, "given:-5012 failed:give:projekt:-5005");
        EXPECT_INT(scenario_logged(&at, "projekt"), 1, "with its name");
        ENDED(&at, "");
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", unwanteds);
        MISTAKES(&at, "@: the route \"/undeclared\" has the value \"project\", which the resource "
                      "\"params\" does not want; remove it, or add an input of this name\n@: the "
                      "resource \"giver\" gives \"project\", which nobody below it wants; remove "
                      "it, or add an input of this name");
    }
}

/* ---- which child ---- */

static const struct gyr_resource by_id = {GYR_RESOURCE(mid), SCENARIO_LIFE(mid),
                                          .children = grandchildren};
static const struct gyr_resource special = {GYR_RESOURCE(leaf), SCENARIO_LIFE(leaf)};
static const struct gyr_route id_first[] = {
    GYR_ROUTE("{id}", &by_id), GYR_ROUTE("special/deep", &special), {0}};
static const struct gyr_route special_first[] = {GYR_ROUTE("special/deep", &special),
                                                 GYR_ROUTE("special", &special),
                                                 GYR_ROUTE("{id}", &by_id),
                                                 {0}};
static const struct gyr_resource ids = {GYR_RESOURCE_PLAIN("ids"), .children = id_first};
static const struct gyr_resource specials = {GYR_RESOURCE_PLAIN("specials"),
                                             .children = special_first};
static const struct gyr_route orders[] = {GYR_ROUTE("/a", &ids), GYR_ROUTE("/b", &specials), {0}};

#define LEAF_VISITED "leaf:create leaf:connect leaf:disconnect:1000 leaf:destroy"
#define MID_VISITED  "mid:create mid:connect mid:disconnect:1000 mid:destroy"

void scenario_050_a_child_is_found_whatever_the_order_and_ties_go_by_it(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", orders);
        SERVE(&at);
        VISIT(&at, "/a/special/deep");
        NOTED(&at, LEAF_VISITED);
        VISIT(&at, "/b/special/deep");
        NOTED(&at, LEAF_VISITED);
        VISIT(&at, "/a/special");
        NOTED(&at, MID_VISITED);
        VISIT(&at, "/b/special");
        NOTED(&at, LEAF_VISITED);
        VISIT(&at, "/b/special/grand/1");
        NOTED(&at, "mid:create id=1 mid:destroy");
        ENDED(&at, "");
    }
}

/* ---- the order of all ---- */

static int layer_before(struct gyr_hook_call *call)
{
    note(call->conn, "before:%s", call->resource != NULL ? call->resource->name : "global");
    return 0;
}
static int layer_after(struct gyr_hook_call *call)
{
    note(call->conn, "after:%s", call->resource != NULL ? call->resource->name : "global");
    return 0;
}
static int top_give(struct gyr_conn *conn, void *self)
{
    (void)self;
    note(conn, "top:give");
    return gyr_give_state(conn, NULL, NULL);
}
static int mid_give(struct gyr_conn *conn, void *self)
{
    (void)self;
    note(conn, "mid:give");
    return 0;
}

/* The parameter x says which guard refuses, "top" or "mid", or fails: "broken". */
static int guard_as(struct gyr_conn *conn, const char *level)
{
    struct gyr_span who = gyr_param(conn, "x");
    note(conn, "%s:guard", level);
    bool refuses = who.size == strlen(level) && memcmp(who.ptr, level, who.size) == 0;
    if (who.size == 6 && memcmp(who.ptr, "broken", 6) == 0) {
        return -EIO;
    }
    return refuses ? gyr_refuse(conn, 401, GYR_SPAN("not you")) : 0;
}
static int top_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    return guard_as(conn, "top");
}
static int mid_guard(struct gyr_conn *conn, void *self, const struct gyr_request *request)
{
    (void)self;
    (void)request;
    return guard_as(conn, "mid");
}

static const struct gyr_hook layer_hooks[] = {
    GYR_HOOK("layer", .before_connect = layer_before, .after_connect = layer_after), {0}};
static const struct gyr_resource leaves = {GYR_RESOURCE(leaf), SCENARIO_LIFE(leaf),
                                           .hooks = layer_hooks};
static const struct gyr_route leaf_routes[] = {GYR_ROUTE("leaf", &leaves), {0}};
static const struct gyr_resource mids = {GYR_RESOURCE(mid),    SCENARIO_LIFE(mid),
                                         .guard = mid_guard,   .give = mid_give,
                                         .hooks = layer_hooks, .children = leaf_routes};
static const struct gyr_route mid_routes[] = {GYR_ROUTE("mid", &mids), {0}};
static const struct gyr_resource chain_top = {GYR_RESOURCE(top),    SCENARIO_LIFE(top),
                                              .guard = top_guard,   .give = top_give,
                                              .hooks = layer_hooks, .children = mid_routes};
static const struct gyr_route chains[] = {GYR_ROUTE("/top/{x}", &chain_top), {0}};

void scenario_051_a_chain_is_made_from_outside_and_destroyed_from_inside(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", chains);
        EXPECT_INT(gyr_app_hooks(at.app, NULL, layer_hooks, &at.error), 0, at.error.text);
        SERVE(&at);
        VISIT(&at, "/top/1/mid/leaf");
        ENDED(&at, "before:global top:create top:guard top:give mid:create mid:guard mid:give "
                   "leaf:create before:top before:mid before:leaf leaf:connect "
                   "after:leaf after:mid after:top after:global "
                   "leaf:disconnect:1000 leaf:destroy mid:destroy top:destroy");
    }
}

void scenario_052_a_parents_guard_runs_and_may_refuse_its_on_connect_does_not(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", chains);
        SERVE(&at);
        struct scenario_client *client = REFUSED(&at, "/top/top/mid/leaf", 401);
        expect_text(client->content, "not you", "content", __FILE__, __LINE__);
        NOTED(&at, "top:create top:guard top:destroy");
        REFUSED(&at, "/top/mid/mid/leaf", 401);
        NOTED(&at, "top:create top:guard top:give mid:create mid:guard mid:destroy top:destroy");
        REFUSED(&at, "/top/broken/mid/leaf", 500);
        NOTED(&at, "top:create top:guard failed:guard:-5 top:destroy");
        VISIT(&at, "/top/1/mid");
        NOTED(&at, "top:create top:guard top:give mid:create mid:guard before:top before:mid "
                   "mid:connect after:mid after:top mid:disconnect:1000 mid:destroy top:destroy");
        ENDED(&at, "");
    }
}

static const struct gyr_route twice[] = {GYR_ROUTE("x/{id}", &params),
                                         GYR_ROUTE("/x/{id}", &params),
                                         GYR_ROUTE("x/{id}/", &params),
                                         {0}};
static const struct gyr_resource twice_parent = {GYR_RESOURCE_PLAIN("twice"), .children = twice};
static const struct gyr_route twices[] = {GYR_ROUTE("/twice", &twice_parent), {0}};

void scenario_053_the_same_child_twice_is_a_mistake(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", twices);
        MISTAKES(&at, "@: the path \"/x/{id}\" is there twice below the resource \"twice\", first "
                      "at @; remove one\n@: the path \"x/{id}/\" is there twice below the resource "
                      "\"twice\", first at @; remove one");
    }
}

static const struct gyr_resource node;
static const struct gyr_route nodes[] = {GYR_ROUTE("n/{x}", &node), {0}};
static const struct gyr_resource node = {GYR_RESOURCE(leaf), .create = leaf_create,
                                         .destroy = leaf_destroy, .children = nodes,
                                         .on_connect = scenario_note_params};
static const struct gyr_route node_routes[] = {GYR_ROUTE("/tree", &node), {0}};
static const struct gyr_resource loop;
static const struct gyr_route loops[] = {GYR_ROUTE("", &loop), {0}};
static const struct gyr_resource loop = {GYR_RESOURCE_PLAIN("loop"), .children = loops};
static const struct gyr_route loop_routes[] = {GYR_ROUTE("/loop", &loop), {0}};

void scenario_054_a_tree_that_has_itself_below_it_ends_at_the_depth_limit(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        at.options.depth_max = 3;
        ROUTES(&at, "", node_routes);
        SERVE(&at);
        VISIT(&at, "/tree/n/1/n/2");
        NOTED(&at, "leaf:create leaf:create leaf:create x=2 "
                   "leaf:destroy leaf:destroy leaf:destroy");
        REFUSED(&at, "/tree/n/1/n/2/n/3", 404);
        REFUSED(&at, "/tree/n/1/n/2/n/3/n/4/n/5/n/6/n/7/n/8/n/9", 404);
        ENDED(&at, "");
    }
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", loop_routes);
        MISTAKES(&at, "@: the route \"/loop\" is never reached: \"/loop\" at @ takes all that it "
                      "would; put it before that one, or remove it");
    }
}

static int give_fails(struct gyr_conn *conn, void *self)
{
    (void)self;
    note(conn, "mid:give");
    return -EIO;
}
static const struct gyr_resource failing_giver = {GYR_RESOURCE(mid), SCENARIO_LIFE(mid),
                                                  .give = give_fails, .children = leaf_routes};
static const struct gyr_route failing_givers[] = {GYR_ROUTE("mid", &failing_giver), {0}};
static const struct gyr_resource failing_top = {GYR_RESOURCE(top), SCENARIO_LIFE(top),
                                                .children = failing_givers};
static const struct gyr_route failings[] = {GYR_ROUTE("/top", &failing_top), {0}};

void scenario_055_a_parent_that_cannot_give_refuses_and_all_are_destroyed(void)
{
    struct scenario at;
    SCENARIO_EACH_RING(&at)
    {
        ROUTES(&at, "", failings);
        SERVE(&at);
        REFUSED(&at, "/top/mid/leaf", 500);
        NOTED(&at, "top:create mid:create mid:give failed:give:-5 mid:destroy top:destroy");
        EXPECT_INT(scenario_logged(&at, "what=give resource=mid"), 1, "one line");
        VISIT(&at, "/top/mid"); /* where nothing is to be given */
        ENDED(&at, "top:create mid:create mid:connect mid:disconnect:1000 mid:destroy top:destroy");
    }
}
