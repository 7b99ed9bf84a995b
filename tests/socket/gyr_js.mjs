/* SPDX-License-Identifier: MIT */
/* What examples/gyr.js promises, against tests/socket/service/gyr_js.c; the same in Node and in a browser.
 * `run` is given the client, the server's address and, where there is none, a WebSocket; it resolves to a
 * list of [name, what is wrong, or ""]. Nothing here depends on how long anything takes. */

const DEADLINE = 60000; // keeps what fails from waiting for ever

let Gyr, GyrError, address, WebSocketClass;
const clients = [];

function connect(path = "/flat", options = {}) {
    const gyr = new Gyr(address + path, { WebSocket: WebSocketClass, delayMin: 1, timeout: 0, ...options });
    clients.push(gyr);
    return gyr;
}

function equal(actual, expected, what) {
    if (JSON.stringify(actual) !== JSON.stringify(expected)) {
        throw new Error(`${what}: ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
    }
}

async function rejection(promise) {
    try {
        await promise;
    } catch (error) {
        equal(error instanceof GyrError, true, "it is a GyrError");
        return [error.code, error.reason, error.path];
    }
    throw new Error("it was not rejected");
}

/* The next messages of a type; with `count` a list. */
function next(gyr, type, count = 1) {
    const list = [];
    return new Promise((resolve) => gyr.on(type, (message) => {
        list.push(message);
        if (list.length === count) resolve(count === 1 ? message : list);
    }));
}

function state(gyr, wanted) {
    return new Promise((resolve) => {
        if (gyr.state === wanted) resolve();
        const before = gyr.onstate;
        gyr.onstate = (now, event) => {
            before(now, event);
            if (now === wanted) resolve(event);
        };
    });
}

const scenarios = {
    async requests_get_their_own_answers() {
        const gyr = connect();
        const answers = await Promise.all(["a", "b", "ü\u0000"].map((title) => gyr.request("add", { title })));
        equal(answers.map(({ title, number }) => [title, number]), [["a", 1], ["b", 2], ["ü\u0000", 3]], "answers");
        equal(answers[0].type, "added", "the whole message");
    },

    async errors_reject_with_code_reason_and_path() {
        const gyr = connect();
        equal(await rejection(gyr.request("add")), ["missing", "it is missing", "title"], "a member is missing");
        equal(await rejection(gyr.request("add", { title: "" })), ["size", "it is too short or too long", "title"],
            "a member does not fit");
        equal((await rejection(gyr.request("other")))[0], "unknown_tag", "nobody handles it");
        equal((await rejection(gyr.request("fail")))[0], "failed", "its handler fails");
        equal((await gyr.request("add", { title: "a" })).number, 1, "and the connection goes on");
    },

    async requests_without_an_answer_time_out() {
        const gyr = connect();
        equal((await rejection(gyr.request("silence", {}, { timeout: 20 })))[0], "timeout", "code");
        equal((await gyr.request("add", { title: "a" }, { timeout: DEADLINE })).number, 1, "others do not");
    },

    async envelopes_are_as_good() {
        const gyr = connect("/envelope", { payloadName: "payload" });
        equal(await gyr.request("add", { title: "a" }), { title: "a", number: 1 }, "the payload");
        equal(await rejection(gyr.request("add")), ["missing", "it is missing", "payload.title"], "an error");
        gyr.on("confirm", ({ text }) => ({ yes: text === "sure?" }));
        gyr.send("ask");
        equal((await next(gyr, "verdict")).text, "yes", "an answer of ours");
    },

    async questions_of_the_server_are_answered() {
        const gyr = connect();
        await state(gyr, "open");
        const failures = [];
        gyr.onerror = (error) => failures.push(error.message);
        const verdict = async (handler) => {
            gyr.on("confirm", handler);
            gyr.send("ask");
            return (await next(gyr, "verdict")).text;
        };
        equal(await verdict(() => ({ yes: true })), "yes", "a value");
        equal(await verdict(async () => ({ type: "confirmed", yes: false })), "no", "a promise, with a type");
        equal(await verdict(() => ({ maybe: 1 })), "unknown_member", "another value");
        equal(await verdict(() => undefined), "missing", "none");
        equal(await verdict(() => { throw new GyrError({ code: "no" }); }), "refused", "an error on purpose");
        equal(failures, [], "is none here");
        equal(await verdict(() => { throw new Error("oops"); }), "refused", "an error");
        equal(failures, ["oops"], "which is told here");
        equal(await verdict(undefined), "refused", "nobody");
    },

    async what_nobody_handles_is_shown() {
        const gyr = connect();
        await state(gyr, "open");
        const got = new Promise((resolve) => { gyr.onunhandled = resolve; });
        gyr.join("unheard");
        equal((await got).type, "joined", "a message");
    },

    async a_lost_connection_comes_back() {
        const gyr = connect();
        const states = [];
        gyr.onstate = (now) => states.push(now);
        await state(gyr, "open");
        const lost = gyr.request("silence");
        gyr.send("drop");
        equal((await rejection(lost))[0], "closed", "who waited is told");
        equal(gyr.send("add", { title: "a" }), false, "nothing is sent without a connection");
        equal((await gyr.request("add", { title: "b" })).number, 1, "a request waits for the next one");
        equal(states, ["open", "waiting", "connecting", "open"], "states");
    },

    async rooms_are_resumed_without_a_gap() {
        const name = `room ${Math.random()}`;
        const one = connect();
        const other = connect();
        await state(other, "open");
        const texts = [];
        one.on("said", ({ text }) => texts.push(text));
        const first = next(one, "joined");
        one.join(name);
        equal((await first).recovered, false, "there was nothing to recover");
        other.join(name);
        await next(other, "joined");
        const say = async (text) => {
            const heard = next(other, "said");
            other.send("say", { room: name, text });
            equal((await heard).text, text, "it was published");
        };
        await say("1");
        await say("2");
        for (const round of [3, 5]) {
            const again = next(one, "joined");
            one.send("drop");
            await state(one, "waiting");
            await say(`${round}`);
            await say(`${round + 1}`);
            equal((await again).recovered, true, "all is there");
        }
        await say("7");
        const last = next(one, "joined"); // behind which nothing is missing any more
        one.send("drop");
        await state(one, "waiting");
        await last;
        equal(texts, ["1", "2", "3", "4", "5", "6", "7"], "each once, in order");
        one.leave(name);
        await one.request("add", { title: "behind it" });
        await say("8");
        await one.request("add", { title: "behind it" });
        equal(texts.length, 7, "not any more");
    },

    async what_cannot_be_recovered_is_said() {
        const gyr = connect();
        await state(gyr, "open");
        const joined = next(gyr, "joined");
        gyr.send("join", { room: "new", epoch: "18446744073709551615", offset: 7 });
        equal((await joined).recovered, false, "another epoch");
    },

    async closing_is_for_good() {
        const gyr = connect();
        await state(gyr, "open");
        const lost = gyr.request("silence");
        gyr.close();
        equal((await rejection(lost))[0], "closed", "who waited is told");
        await state(gyr, "closed");
        equal((await rejection(gyr.request("add", { title: "a" })))[0], "closed", "who comes later, too");
        equal(gyr.send("add", { title: "a" }), false, "nothing is sent");
        const waiting = connect();
        await state(waiting, "open");
        waiting.send("drop");
        await state(waiting, "waiting");
        waiting.close();
        equal(waiting.state, "closed", "no further attempt");
    },

    async a_code_of_the_service_is_not_retried() {
        const gyr = connect();
        await state(gyr, "open");
        gyr.send("bye");
        equal((await state(gyr, "closed")).code, 4001, "the server's close");
    },

    /* With a socket that never opens, a clock that we keep, and dice that always show `random`. */
    async attempts_come_at_random_within_delays_that_double() {
        const real = globalThis.setTimeout;
        try {
            for (const random of [1, 0.5, 0]) {
                const delays = [];
                class Never {
                    constructor() { queueMicrotask(() => this.onclose({ code: 1006 })); }
                    close() {}
                }
                const gyr = await new Promise((resolve) => {
                    const never = new Gyr("ws://nowhere", { WebSocket: Never, random: () => random });
                    globalThis.setTimeout = (next, delay) => {
                        delays.push(delay);
                        if (delays.length < 10) next();
                        else resolve(never);
                    };
                });
                gyr.close();
                const most = [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000];
                equal(delays, most.map((delay) => delay * random), "delays");
            }
        } finally {
            globalThis.setTimeout = real;
        }
    },

    async without_a_websocket_it_says_what_to_do() {
        let text = "";
        try {
            new Gyr("ws://nowhere", { WebSocket: undefined });
        } catch (error) {
            text = error.message;
        }
        equal(text, "there is no WebSocket here: pass one in, as { WebSocket: ws.WebSocket }", "message");
    },
};

export async function run(module, url, WebSocket) {
    ({ Gyr, GyrError } = module);
    address = url;
    WebSocketClass = WebSocket;
    const results = [];
    for (const [name, scenario] of Object.entries(scenarios)) {
        let timer;
        const late = new Promise((_, reject) => {
            timer = setTimeout(() => reject(new Error("nothing happens any more")), DEADLINE);
        });
        results.push([name, await Promise.race([scenario(), late]).then(() => "", (error) => String(error.message || error))]);
        clearTimeout(timer);
        clients.splice(0).forEach((gyr) => gyr.close());
    }
    return results;
}

/* In Node: node gyr_js.mjs URL GYR_JS [WS], of which the last is a package's folder. */
if (typeof process !== "undefined" && process.argv[2]) {
    const { pathToFileURL } = await import("node:url");
    const [, , url, client, folder] = process.argv;
    const { createRequire } = await import("node:module");
    const Class = folder ? createRequire(import.meta.url)(folder).WebSocket : globalThis.WebSocket;
    const results = await run(await import(pathToFileURL(client)), url, Class);
    console.log(JSON.stringify(results));
    process.exit(0);
}
