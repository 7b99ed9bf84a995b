/* SPDX-License-Identifier: MIT */
/* A client of Gyr's messages, as docs/wire.md says them, for browsers and for Node 18 and later.
 *
 *     import { Gyr } from "./gyr.js";
 *     const gyr = new Gyr("wss://example.org/tasks");
 *     gyr.on("task.added", (task) => show(task.title));
 *     gyr.on("confirm", async (question) => ({ yes: await ask(question.text) })); // the server asks
 *     const { id } = await gyr.request("task.add", { title: "water the plants" });
 *     gyr.join("lobby"); // a room, also after the connection was lost
 *     gyr.close();
 *
 * Node has a WebSocket of its own since version 22. Before, pass one in, such as that of the package
 * ws: new Gyr(url, { WebSocket: ws.WebSocket }). */

/* Why a request has no answer: what the server has said, or "timeout", "closed". */
export class GyrError extends Error {
    constructor({ code = "failed", reason = "the server could not do it", path = "" }) {
        super(path ? `${path}: ${reason}` : reason);
        Object.assign(this, { name: "GyrError", code, reason, path });
    }
}

const DEFAULTS = {
    tagName: "type",
    payloadName: "",  // of an envelope, "payload"; "": the members stand beside the type
    protocols: [],
    timeout: 10000,   // milliseconds for an answer; 0: for ever
    delayMin: 250,    // milliseconds; a new attempt comes at random in 0 to delayMin * 2^attempts
    delayMax: 30000,  // ... and never later than this
    retry: (event) => event.code < 4000, // from 4000 on codes are the service's: it has sent us away
    rooms: ["join", "joined", "leave"],  // types: see join
    random: Math.random,
};

export class Gyr {
    #url; #options; #socket = null; #attempts = 0; #timer = 0; #ended = false; #id = 0;
    #handlers = new Map(); // type: function
    #requests = new Map(); // id: {type, members, resolve, reject, timer, sent}
    #rooms = new Map();    // name: {epoch, offset}

    /* To be assigned. onstate gets "connecting", "open", "waiting", "closed"; onunhandled a message that no
     * function of `on` is for; onerror what such a function throws. */
    onstate = () => {};
    onunhandled = () => {};
    onerror = (error) => console.error(error);
    state = "connecting";

    constructor(url, options = {}) {
        this.#url = url;
        this.#options = { WebSocket: globalThis.WebSocket, ...DEFAULTS, ...options };
        if (!this.#options.WebSocket) {
            throw new TypeError("there is no WebSocket here: pass one in, as { WebSocket: ws.WebSocket }");
        }
        this.#connect();
    }

    /* Messages of a type go to this function. If the server has asked, what it returns, or its promise
     * becomes, is the answer, and what it throws an error. */
    on(type, handler) {
        this.#handlers.set(type, handler);
        return this;
    }

    /* Send a message; false if there is no connection now, and then it is not sent later. */
    send(type, members = {}) {
        return this.#write({ [this.#options.tagName]: type }, members);
    }

    /* Send a request and wait for its answer. Without a connection it waits for one, its time running. If
     * the connection is lost behind it nobody knows what became of it: it is "closed", not sent again. */
    request(type, members = {}, { timeout = this.#options.timeout } = {}) {
        return new Promise((resolve, reject) => {
            const [id, request] = [++this.#id, { type, members, resolve, reject, sent: false, timer: 0 }];
            this.#requests.set(id, request);
            if (this.#ended) return this.#lose(id);
            const late = () => this.#lose(id, "timeout", "no answer came in time");
            if (timeout > 0) request.timer = setTimeout(late, timeout);
            this.#ask(id, request);
        });
    }

    /* Be in a room, and after each loss of the connection again, with what was missed: "Rooms" in
     * docs/wire.md says what the service does for that. */
    join(room) {
        const known = { epoch: "0", offset: 0 };
        if (!this.#rooms.has(room)) this.send(this.#options.rooms[0], { room, ...known });
        this.#rooms.set(room, this.#rooms.get(room) ?? known);
        return this;
    }

    leave(room) {
        if (this.#rooms.delete(room)) this.send(this.#options.rooms[2], { room });
        return this;
    }

    /* No further attempts. Requests that wait are "closed". */
    close(code = 1000, reason = "") {
        this.#ended = true;
        clearTimeout(this.#timer);
        for (const id of [...this.#requests.keys()]) this.#lose(id);
        if (this.#socket) this.#socket.close(code, reason);
        else this.#become("closed");
    }

    #become(state, event) {
        this.state = state;
        this.onstate(state, event);
    }

    #connect() {
        this.#become("connecting");
        const socket = new this.#options.WebSocket(this.#url, this.#options.protocols);
        this.#socket = socket;
        socket.onopen = () => {
            this.#become("open");
            for (const [room, known] of this.#rooms) this.send(this.#options.rooms[0], { room, ...known });
            for (const [id, request] of [...this.#requests]) this.#ask(id, request);
        };
        socket.onmessage = (event) => {
            this.#attempts = 0; // a server that only accepts and closes is not well yet
            if (typeof event.data === "string") this.#read(JSON.parse(event.data));
            else this.onunhandled(event.data);
        };
        socket.onerror = () => {}; // close follows
        socket.onclose = (event) => {
            this.#socket = null;
            for (const [id, request] of [...this.#requests]) if (request.sent) this.#lose(id);
            const { delayMin, delayMax, random, retry } = this.#options;
            if (!this.#ended && retry(event)) {
                const most = Math.min(delayMax, delayMin * 2 ** this.#attempts++);
                this.#timer = setTimeout(() => this.#connect(), random() * most);
                return this.#become("waiting", event);
            }
            this.#ended = true;
            for (const id of [...this.#requests.keys()]) this.#lose(id);
            this.#become("closed", event);
        };
    }

    #write(head, members) {
        if (this.#socket?.readyState !== 1 /* OPEN */) return false;
        const { payloadName } = this.#options;
        this.#socket.send(JSON.stringify(payloadName ? { ...head, [payloadName]: members } : { ...members, ...head }));
        return true;
    }

    #ask(id, request) {
        request.sent ||= this.#write({ [this.#options.tagName]: request.type, id }, request.members);
    }

    #settle(id, how, value) {
        const request = this.#requests.get(id);
        this.#requests.delete(id);
        clearTimeout(request?.timer);
        request?.[how](value);
        return request !== undefined;
    }

    #lose(id, code = "closed", reason = "the connection was lost") {
        this.#settle(id, "reject", new GyrError({ code, reason }));
    }

    #read(message) {
        const { tagName, payloadName, rooms } = this.#options;
        const type = message[tagName];
        const members = (payloadName ? message[payloadName] : message) ?? {};
        if (message.re !== undefined) {
            const known = type === "error" ? this.#settle(message.re, "reject", new GyrError(members))
                : this.#settle(message.re, "resolve", members);
            if (!known) this.onunhandled(message);
            return;
        }
        const room = this.#rooms.get(members.room);
        if (room && type === rooms[1]) Object.assign(room, { epoch: members.epoch, offset: members.offset });
        else if (room) room.offset++;
        this.#handle(type, members, message).catch((error) => this.onerror(error));
    }

    async #handle(type, members, message) {
        const { tagName } = this.#options;
        const handler = this.#handlers.get(type);
        if (!handler) this.onunhandled(message);
        if (message.id === undefined) return void (await handler?.(members, message));
        const re = message.id;
        try {
            if (!handler) throw new GyrError({ code: "unknown_tag", reason: "there is no message of this type" });
            const { [tagName]: answerType = type, ...answer } = (await handler(members, message)) ?? {};
            this.#write({ [tagName]: answerType, re }, answer);
        } catch (error) {
            const { code = "failed", reason = String(error?.message ?? error), path = "" } = error ?? {};
            this.#write({ [tagName]: "error", re }, { code, reason, path });
            if (!(error instanceof GyrError)) throw error;
        }
    }
}
