/* SPDX-License-Identifier: MIT */
/* The application model as C++20 sees it: an application with all that tables can declare, started
 * and talked to over a socket. Prints `ok NAME` or `not ok NAME` for each claim. */
#include <gyr/gyr_app.h>
#include <gyr/gyr_worker.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace
{

/* ---- messages -------------------------------------------------------------------------------- */

enum color {
    RED = 1,
    BLUE = 2
};
const gyr_enum_name colors[] = {{"red", RED}, {"blue", BLUE}, {}};

struct point {
    int32_t x;
    int32_t y;
};
GYR_PART(point, GYR_MEMBER(point, x), GYR_MEMBER(point, y, GYR_RANGE(-100, 100)));

struct circle {
    double radius;
};
struct square {
    double side;
};
GYR_MESSAGE(circle, "circle", GYR_MEMBER(circle, radius));
GYR_MESSAGE(square, "square", GYR_MEMBER(square, side, GYR_REAL_RANGE(0, 10)));

const int32_t twenty = 20;

struct draw {
    gyr_span title;
    color paint;
    point at;
    const int32_t *sizes;
    size_t size_count;
    const point *path;
    size_t path_count;
    gyr_span bytes;
    gyr_span raw;
    gyr_variant shape;
    int32_t count;
    bool has_note;
    gyr_span note;
};
GYR_MESSAGE(draw, "draw", GYR_MEMBER(draw, title, GYR_SIZE(1, 20)), GYR_ENUM(draw, paint, colors),
            GYR_STRUCT(draw, at, point), GYR_ARRAY(draw, sizes, size_count, GYR_COUNT(0, 4)),
            GYR_ARRAY_OF(draw, path, path_count, point), GYR_BYTES(draw, bytes), GYR_RAW(draw, raw),
            GYR_VARIANT(draw, shape, GYR_CHOICES({&circle_schema}, {&square_schema})),
            GYR_MEMBER(draw, count, .optional = true, .preset = &twenty),
            GYR_MEMBER(draw, note, GYR_HAS(draw, has_note)));

struct drawn {
    gyr_span title;
    double sum;
};
GYR_MESSAGE(drawn, "drawn", GYR_MEMBER(drawn, title), GYR_MEMBER(drawn, sum));

struct ping {
    int64_t number;
};
struct pong {
    int64_t number;
};
GYR_MESSAGE(ping, "ping", GYR_MEMBER(ping, number));
GYR_MESSAGE(pong, "pong", GYR_MEMBER(pong, number));

/* ---- resources ------------------------------------------------------------------------------- */

struct store {
    int number;
};
store the_store = {7};
store the_preset = {9};

struct room {
    struct store *store;
};
struct desk {
    struct store *store;
    struct store *given;
    struct store *made;
    struct store *preset;
    gyr_span name;
};

int room_give(gyr_conn *conn, void *self)
{
    return gyr_give(conn, "given", static_cast<room *>(self)->store);
}

int desk_connect(gyr_conn *conn, void *self, const gyr_request *request)
{
    (void)request;
    static_cast<desk *>(self)->name = gyr_param(conn, "desk");
    return gyr_join(conn, gyr_param(conn, "room"));
}

int desk_draw(gyr_conn *conn, void *self, const draw *draw)
{
    desk *own = static_cast<desk *>(self);
    double sum = draw->at.x + draw->at.y + draw->paint + draw->count;
    for (size_t i = 0; i < draw->size_count; i++) {
        sum += draw->sizes[i];
    }
    for (size_t i = 0; i < draw->path_count; i++) {
        sum += draw->path[i].x;
    }
    if (draw->shape.schema == &circle_schema) {
        sum += static_cast<const circle *>(draw->shape.value)->radius;
    }
    sum += own->store->number + own->given->number + own->made->number + own->preset->number;
    return GYR_SEND(conn, drawn, .title = draw->title, .sum = sum);
}

int desk_say(gyr_conn *conn, void *self, gyr_span payload)
{
    (void)self, (void)payload;
    return GYR_PUBLISH(conn, gyr_param(conn, "room"), pong, .number = 1);
}

int on_send_ping(gyr_conn *conn, void *self, const ping *ping)
{
    (void)self;
    return GYR_ANSWER(conn, pong, .number = ping->number + 1);
}

int ping_old(gyr_conn *conn, void *self, const ping *ping)
{
    (void)conn, (void)self, (void)ping;
    return GYR_ERR_STATE;
}

int ping_new(gyr_conn *conn, void *self, const ping *ping)
{
    (void)self;
    return GYR_SEND(conn, pong, .number = -ping->number);
}

int desk_number(gyr_conn *conn, void *self, gyr_span payload)
{
    (void)self;
    return gyr_send(conn, GYR_BINARY, payload);
}

int asked(gyr_conn *conn, void *self, const pong *pong, const gyr_fault *fault, void *arg)
{
    (void)self, (void)fault, (void)arg;
    return GYR_SEND(conn, pong, .number = pong != nullptr ? pong->number * 2 : -1);
}

int desk_ask(gyr_conn *conn, void *self, gyr_span payload)
{
    (void)self, (void)payload;
    const ping question = {.number = 5};
    return GYR_ASK(conn, ping, &question, pong, 10000, asked, nullptr);
}

int desk_get(gyr_conn *conn, void *self, const gyr_request *request)
{
    (void)self, (void)request;
    return GYR_RESPOND(conn, 200, pong, .number = 3);
}

int desk_post(gyr_conn *conn, void *self, const ping *ping)
{
    (void)self;
    return GYR_RESPOND(conn, 201, pong, .number = ping->number);
}

int health_get(gyr_conn *conn, void *self, const gyr_request *request)
{
    (void)self, (void)request;
    return gyr_respond_text(conn, 200, "text/plain", GYR_SPAN("well"));
}

int hook_count(gyr_hook_call *call)
{
    ++*static_cast<std::atomic<int> *>(call->user);
    return 0;
}

int product_choose(gyr_conn *conn, void *user, const gyr_request *request, gyr_product *product);

int store_make(gyr_conn *conn, void *user, void **pointer)
{
    (void)conn;
    *pointer = user;
    return 0;
}

const gyr_resource base = {
    GYR_RESOURCE_PLAIN("base"),
    .handlers = GYR_HANDLERS(GYR_ON(ping, ping_old, .lenient = true)),
};

const gyr_resource desk_resource = {
    GYR_RESOURCE(desk),
    .base = &base,
    .on_connect = desk_connect,
    .handlers =
        GYR_HANDLERS(GYR_ON(draw, desk_draw), GYR_ON_RAW("say", desk_say),
                     GYR_ON_RAW("ask", desk_ask), GYR_ON_NAMED(ping, on_send_ping),
                     GYR_OVERRIDE(ping, ping_old, ping_new), GYR_ON_BINARY(258, desk_number)),
    .binary_tag_size = 2,
    .methods = GYR_METHODS(GYR_GET(desk_get), GYR_POST_MSG(ping, desk_post)),
    .inputs =
        GYR_INPUTS(GYR_INPUT(desk, store, struct store), GYR_INPUT(desk, given, struct store),
                   GYR_INPUT(desk, made, struct store),
                   GYR_INPUT(desk, preset, struct store, .optional = true, .preset = &the_preset)),
};

const gyr_resource room_resource = {
    GYR_RESOURCE(room),
    .give = room_give,
    .inputs = GYR_INPUTS(GYR_INPUT(room, store, struct store)),
    .gifts = GYR_GIFTS(GYR_GIFT("given", struct store)),
    .children = GYR_ROUTES(GYR_ROUTE("{desk}", &desk_resource, .name = "desk")),
};

const gyr_resource plain_resource = {
    GYR_RESOURCE_PLAIN("plain"),
    .handlers = GYR_HANDLERS(GYR_ON(ping, ping_new)),
    .form = GYR_FORM_ENVELOPE,
};

int product_choose(gyr_conn *conn, void *user, const gyr_request *request, gyr_product *product)
{
    (void)conn, (void)request;
    product->resource = static_cast<const gyr_resource *>(user);
    return 0;
}

const gyr_route routes[] = {
    GYR_ROUTE("/rooms/{room}", &room_resource, .name = "room",
              .values = GYR_VALUES(GYR_VALUE("store", struct store, &the_store))),
    GYR_ROUTE_MADE("/made", product_choose, const_cast<gyr_resource *>(&plain_resource),
                   GYR_MIXINS({&plain_resource})),
    GYR_ROUTE_HTTP("/health", GYR_METHODS(GYR_GET(health_get))),
    {},
};

/* ---- a client -------------------------------------------------------------------------------- */

int failures = 0;

void claim(const char *name, bool holds)
{
    std::printf("%s %s\n", holds ? "ok" : "not ok", name);
    failures += !holds;
}

void check(int err, const gyr_error &error)
{
    if (err != 0) {
        std::printf("not ok cxx_app: %s\n", error.text);
        std::exit(1);
    }
}

class client
{
  public:
    explicit client(int port)
    {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval limit = {10, 0};
        fd = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        is_open = connect(fd, reinterpret_cast<sockaddr *>(&address), sizeof(address)) == 0;
    }
    ~client()
    {
        close(fd);
    }
    client(const client &) = delete;
    client &operator=(const client &) = delete;

    void write(const std::string &bytes)
    {
        is_open = is_open && ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                                 static_cast<ssize_t>(bytes.size());
    }

    /* All up to this text, which is among it. */
    std::string read_until(std::string_view end)
    {
        std::string all;
        while (is_open && all.find(end) == std::string::npos) {
            char byte;
            is_open = recv(fd, &byte, 1, 0) == 1;
            all.push_back(byte);
        }
        return all;
    }

    bool upgrade(const std::string &path)
    {
        write("GET " + path +
              " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
        return read_until("\r\n\r\n").starts_with("HTTP/1.1 101");
    }

    /* A short message, masked with zeros, and the answer (RFC 6455 section 5.2). */
    std::string say(std::string_view message, uint8_t opcode = 1)
    {
        std::string frame;
        frame.push_back(static_cast<char>(0x80 | opcode));
        if (message.size() < 126) {
            frame.push_back(static_cast<char>(0x80 | message.size()));
        } else {
            frame.push_back(static_cast<char>(0x80 | 126));
            frame.push_back(static_cast<char>(message.size() >> 8));
            frame.push_back(static_cast<char>(message.size() & 0xff));
        }
        frame.append(4, '\0');
        frame.append(message);
        write(frame);
        return hear();
    }

    std::string hear()
    {
        unsigned char head[2] = {};
        is_open = is_open && recv(fd, head, 2, MSG_WAITALL) == 2;
        std::string payload(head[1] & 0x7f, '\0');
        is_open = is_open && recv(fd, payload.data(), payload.size(), MSG_WAITALL) ==
                                 static_cast<ssize_t>(payload.size());
        return is_open ? payload : "(closed)";
    }

  private:
    int fd;
    bool is_open;
};

int port_of(const gyr_server *server)
{
    char text[64];
    return gyr_server_address(server, 0, text, sizeof(text))
               ? std::atoi(std::strrchr(text, ':') + 1)
               : 0;
}

void talk_http(int port)
{
    client plain(port);
    plain.write("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    claim("cxx_app_answers_requests_of_a_route", plain.read_until("well").find("200") == 9);
    plain.write("GET /rooms/r/d HTTP/1.1\r\nHost: a\r\n\r\n");
    claim("cxx_app_answers_requests_of_a_resource",
          plain.read_until("{\"number\":3}").find("200") == 9);
    plain.write("POST /rooms/r/d HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                "Content-Length: 12\r\n\r\n{\"number\":4}");
    claim("cxx_app_decodes_content", plain.read_until("{\"number\":4}").find("201") == 9);
}

void talk_messages(int port)
{
    client desk(port);
    claim("cxx_app_accepts_a_nested_resource", desk.upgrade("/rooms/atlas/front"));
    claim("cxx_app_decodes_every_kind",
          desk.say(R"({"type":"draw","title":"a","paint":"blue","at":{"x":1,"y":2},"sizes":[3,4],)"
                   R"("path":[{"x":5,"y":0}],"bytes":"AAE=","raw":[null],)"
                   R"("shape":{"type":"circle","radius":0.5}})") ==
              R"({"type":"drawn","title":"a","sum":67.5})");
    claim("cxx_app_answers_by_convention", desk.say(R"({"type":"sendPing","id":1,"number":41})") ==
                                               R"({"type":"pong","re":1,"number":42})");
    claim("cxx_app_overrides_and_keeps_strictness",
          desk.say(R"({"type":"ping","number":6,"more":true})") ==
              R"({"type":"pong","number":-6})");
    claim("cxx_app_publishes", desk.say(R"({"type":"say"})") == R"({"type":"pong","number":1})");
    claim("cxx_app_takes_numbers", desk.say(std::string_view("\x01\x02xyz", 5), 2) == "xyz");
    std::string question = desk.say(R"({"type":"ask"})");
    size_t at = question.find("\"id\":");
    bool is_asked = at != std::string::npos;
    std::string id = is_asked ? question.substr(at + 5, question.find(',', at) - at - 5) : "0";
    claim("cxx_app_asks", is_asked && question.find("\"ping\"") != std::string::npos);
    claim("cxx_app_gets_the_answer", desk.say(R"({"type":"pong","re":)" + id + R"(,"number":8})") ==
                                         R"({"type":"pong","number":16})");
    client made(port);
    claim("cxx_app_has_factories", made.upgrade("/made"));
    claim("cxx_app_has_envelopes", made.say(R"({"type":"ping","payload":{"number":2}})") ==
                                       R"({"type":"pong","payload":{"number":-2}})");
}

} /* namespace */

int main()
{
    gyr_error error = {};
    gyr_app *app = nullptr;
    gyr_settings *settings = nullptr;
    gyr_server *server = nullptr;
    std::atomic<int> connects{0};
    const gyr_app_options options = {.size = sizeof(options), .depth_max = 4};
    const gyr_hook hooks[] = {
        GYR_HOOK("count", .before_connect = hook_count, .user = &connects),
        {},
    };
    const gyr_value service = GYR_VALUE("store", struct store, &the_store);
    const gyr_maker maker = GYR_MAKER("made", struct store, store_make, nullptr, &the_store);
    check(gyr_app_create(&options, &app, &error), error);
    check(gyr_app_routes(app, "/", routes), error);
    check(gyr_app_hooks(app, nullptr, hooks, &error), error);
    check(gyr_app_service(app, &service, &error), error);
    check(gyr_app_maker(app, &maker, &error), error);
    static char text[4096];
    size_t mistakes = gyr_app_check(app, text, sizeof(text));
    std::fputs(text, stdout);
    claim("cxx_app_is_declared_well", mistakes == 0);

    gyr_config config = gyr_config_default();
    std::strcpy(config.cores, "0");
    check(gyr_settings_create(&config, &settings, &error), error);
    check(gyr_app_server(app, settings, &server, &error), error);
    check(gyr_server_listen(server, "127.0.0.1:0", &error), error);
    check(gyr_server_start(server, &error), error);
    talk_http(port_of(server));
    talk_messages(port_of(server));
    gyr_server_stop(server);
    gyr_server_wait(server);
    claim("cxx_app_runs_hooks", connects == 5);
    gyr_server_destroy(server);
    gyr_settings_destroy(settings);
    gyr_app_destroy(app);
    return failures == 0 ? 0 : 1;
}
