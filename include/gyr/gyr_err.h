/* SPDX-License-Identifier: MIT */
/* The error list. A call that fails returns one of these, or -errno (-1 to -4095) passed through
 * unchanged. Values are never reused. */
#ifndef GYR_ERR_H
#define GYR_ERR_H

/* X(name, value, close_code, status_code, message)
 *
 *   close_code   what the peer of a WebSocket is told (RFC 6455 section 7.4.1); 0: nothing
 *   status_code  what an HTTP client is answered (RFC 9110 section 15); 0: nothing
 */
#define GYR_ERRORS(X)                                                                             \
    /* Calls of the service. */                                                                   \
    X(CLOSED, -5001, 0, 0, "the connection is closed or closing")                                 \
    X(BACKPRESSURE, -5002, 1013, 503, "the queue is full; wait for on_drain")                     \
    X(STATE, -5003, 1011, 500, "this call is not allowed in this state")                          \
    X(MEMORY, -5004, 1013, 503, "the core's memory budget is used up")                            \
    X(ARGUMENT, -5005, 1011, 500, "an argument is out of its range")                              \
    X(CONFIG, -5006, 0, 0, "a configuration value is not usable")                                 \
    X(LIMIT, -5007, 1013, 503, "a configured maximum is reached")                                 \
    X(UNSUPPORTED, -5008, 0, 0, "this kernel or library does not offer what is needed")           \
    X(TIMEOUT, -5009, 1001, 408, "a time limit has passed")                                       \
    X(RATE, -5010, 1008, 429, "a rate limit is exceeded; slow down")                              \
    X(EXISTS, -5011, 1008, 409, "this id is in use")                                              \
    X(NOT_FOUND, -5012, 1008, 404, "nobody has this id, or nothing this name")                    \
    X(MESSAGE, -5013, 1007, 400, "the message does not fit its schema")                           \
    X(REFUSED, -5014, 1008, 403, "the service refuses this")                                      \
    /* HTTP requests (RFC 9112). */                                                               \
    X(HTTP_REQUEST_LINE, -5101, 0, 400, "malformed request line (RFC 9112 section 3)")            \
    X(HTTP_METHOD, -5102, 0, 501, "method not implemented (RFC 9110 section 9.1)")                \
    X(HTTP_TARGET, -5103, 0, 400, "malformed request target (RFC 9112 section 3.2)")              \
    X(HTTP_TARGET_SIZE, -5104, 0, 414, "request target too long (RFC 9110 section 15.5.15)")      \
    X(HTTP_VERSION, -5105, 0, 505, "HTTP version not supported (RFC 9110 section 15.6.6)")        \
    X(HTTP_FIELD, -5106, 0, 400, "malformed field line (RFC 9112 section 5)")                     \
    X(HTTP_HEAD_SIZE, -5107, 0, 431, "header section too large (RFC 6585 section 5)")             \
    X(HTTP_FIELD_COUNT, -5108, 0, 431, "too many fields (RFC 6585 section 5)")                    \
    X(HTTP_HOST, -5109, 0, 400, "Host missing, repeated or malformed (RFC 9112 section 3.2)")     \
    X(HTTP_CONTENT_LENGTH, -5110, 0, 400, "Content-Length not usable (RFC 9112 section 6.3)")     \
    X(HTTP_TRANSFER_CODING, -5111, 0, 400, "Transfer-Encoding not usable (RFC 9112 section 6.1)") \
    X(HTTP_CODING_UNKNOWN, -5112, 0, 501, "transfer coding unknown (RFC 9112 section 6.1)")       \
    X(HTTP_CHUNK, -5113, 0, 400, "malformed chunk (RFC 9112 section 7.1)")                        \
    X(HTTP_TRAILER, -5114, 0, 400, "malformed or forbidden trailer (RFC 9110 section 6.5.1)")     \
    X(HTTP_BODY_SIZE, -5115, 0, 413, "content too large (RFC 9110 section 15.5.14)")              \
    X(HTTP_EXPECT, -5116, 0, 417, "expectation unknown (RFC 9110 section 10.1.1)")                \
    X(HTTP_UPGRADE, -5117, 0, 400, "malformed WebSocket handshake (RFC 6455 section 4.2.1)")      \
    X(HTTP_WS_VERSION, -5118, 0, 426, "WebSocket version is not 13 (RFC 6455 section 4.4)")       \
    X(HTTP_UNANSWERED, -5119, 0, 500, "the handler returned without an answer")                   \
    X(HTTP_SERVICE_TIME, -5120, 0, 503, "the service did not answer in time")                     \
    X(HTTP_NOT_OFFERED, -5121, 0, 405, "method not offered (RFC 9110 section 15.5.6)")            \
    X(HTTP_NOT_FOUND, -5122, 0, 404, "there is nothing here (RFC 9110 section 15.5.5)")           \
    X(HTTP_ORIGIN, -5123, 0, 403, "this Origin is not allowed (RFC 6455 section 10.2)")           \
    X(HTTP_MISDIRECTED, -5124, 0, 421, "this host is not served (RFC 9110 section 15.5.20)")      \
    X(HTTP_PROXY, -5125, 0, 400, "PROXY protocol header missing or malformed")                    \
    X(HTTP_FORWARDED, -5126, 0, 400, "malformed Forwarded or X-Forwarded-For (RFC 7239)")         \
    X(HTTP_STOPPING, -5127, 0, 503, "the server is stopping (RFC 9110 section 15.6.4)")           \
    /* WebSocket frames and messages (RFC 6455). */                                               \
    X(WS_RESERVED_BIT, -5201, 1002, 0, "reserved bit set (RFC 6455 section 5.2)")                 \
    X(WS_OPCODE, -5202, 1002, 0, "reserved opcode (RFC 6455 section 5.2)")                        \
    X(WS_UNMASKED, -5203, 1002, 0, "client frame not masked (RFC 6455 section 5.1)")              \
    X(WS_CONTROL, -5204, 1002, 0, "control frame fragmented or too long (RFC 6455 section 5.5)")  \
    X(WS_LENGTH, -5205, 1002, 0, "payload length not minimal (RFC 6455 section 5.2)")             \
    X(WS_FRAGMENT, -5206, 1002, 0, "fragment out of order (RFC 6455 section 5.4)")                \
    X(WS_UTF8, -5207, 1007, 0, "text is not UTF-8 (RFC 6455 section 8.1)")                        \
    X(WS_MESSAGE_SIZE, -5208, 1009, 0, "message too big (RFC 6455 section 7.4.1)")                \
    X(WS_CLOSE, -5209, 1002, 0, "malformed Close frame (RFC 6455 section 5.5.1)")

#define GYR_ERR_ENUM(name, value, close_code, status_code, message) GYR_ERR_##name = (value),
enum gyr_err {
    GYR_ERRORS(GYR_ERR_ENUM)
};
#undef GYR_ERR_ENUM

#endif
