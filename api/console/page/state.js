// What the page is doing, as a value: step(state, event) is the state after
// event. Nothing here reads a clock, the network or the page; main.js does, and
// acts on what has changed. Times are in ms, of one clock.

// The desktop is tried for as long after it was lost.
export const PATIENCE = 30_000;
// A connection that held so long is a good one: its loss begins a new count.
const SETTLED = 5_000;
// What is waited before the first attempts and between all later ones.
const WAITS = [0, 250, 500, 1_000];

// at is one of
//   idle      nothing has begun
//   checking  the gateway is asked: with the ticket, later to resume
//   opening   the WebSocket is being opened
//   waiting   it is open, the desktop shakes hands
//   drawing   the desktop is there, its first picture is not
//   live      it is seen
//   lost      it will be tried again at `due`
//   ended     for `why`
export const initial = Object.freeze({
  at: "idle",
  spent: false, // the ticket is: from now on it is resuming
  been: false, // the desktop has been seen
  since: 0, // when it was lost; 0: it was not
  tries: 0, // attempts since then
  due: 0, // when the next one is
  liveAt: 0, // when it was last seen for the first time
  asks: Object.freeze([]), // what the desktop wants to know of the user
  why: "", // of being lost or ended: a key of strings.js
  said: "", // what the other side said of it, in its own words
  retry: false, // ended, and trying again can help
  name: "", // what the desktop calls itself
  session: Object.freeze({ id: "", desktop: "", user: "", viewOnly: false, shared: false }),
});

// called is what the user knows the desktop by: the gateway's word for it, else its
// own, else nothing.
export const called = s => s.session.desktop || s.name;

export function step(state, event) {
  const move = Object.hasOwn(moves, event.type) ? moves[event.type] : null;
  return move ? move(state, event) : state;
}

const moves = {
  begin: (s, e) => s.at !== "idle" ? s : e.ticket ? { ...s, at: "checking" } : end(s, "no_ticket"),
  granted: (s, e) => s.at === "checking" ? { ...s, at: "opening", spent: true, session: e.session } : s,
  refused: (s, e) => {
    if (s.at !== "checking") return s;
    const [why, retry] = verdict(s, e);
    return s.since && retry ? lose(s, e, why) : end(s, why, retry);
  },
  unreachable: (s, e) => s.at !== "checking" ? s : s.since ? lose(s, e, "no_gateway") : end(s, "no_gateway", true),
  unloaded: s => s.at === "checking" ? end(s, "unloaded") : s,
  opened: s => s.at === "opening" ? { ...s, at: "waiting" } : s,
  named: (s, e) => underWay(s) ? { ...s, name: e.name } : s,
  ask: (s, e) => s.at === "waiting" ? { ...s, asks: e.types } : s,
  answered: s => ({ ...s, asks: [] }),
  connected: s => s.at === "opening" || s.at === "waiting" ? { ...s, at: "drawing", asks: [] } : s,
  painted: (s, e) => s.at === "drawing" ? { ...s, at: "live", been: true, liveAt: e.now, why: "" } : s,
  closed: (s, e) => underWay(s) ? closed(s, e) : s,
  denied: (s, e) => underWay(s) ? end(s, "denied", true, e.said) : s,
  untrusted: s => underWay(s) ? end(s, "untrusted") : s,
  failed: s => underWay(s) ? end(s, "garbled", true) : s,
  late: (s, e) => (s.at === "opening" || s.at === "waiting") && !s.asks.length ? lose(s, e, "no_desktop") : s,
  due: s => s.at === "lost" ? { ...s, at: "checking" } : s,
  online: (s, e) => s.at === "lost" || cutOff(s) ? moves.reconnect(s, e) : s,
  reconnect: (s, e) => {
    if (s.at === "lost") return { ...s, at: "checking" };
    if (s.at !== "ended" || !s.retry) return s;
    return { ...s, at: "checking", since: s.spent ? e.now : 0, tries: 0, why: "", said: "" };
  },
  leave: s => s.at === "ended" ? s : end(s, "left", s.spent),
};

const underWay = s => ["opening", "waiting", "drawing", "live"].includes(s.at);

// cutOff: the network was away for longer than the patience lasted, as when a
// laptop sleeps.
const cutOff = s => s.at === "ended" && s.been && (s.why === "gave_up" || s.why === "no_gateway");

const end = (s, why, retry = false, said = "") => ({ ...s, at: "ended", asks: [], why, retry, said });

// lose is a connection lost, or an attempt that failed. The time a connection
// held is not counted against the patience.
function lose(s, { now, wait = 0 }, why) {
  const held = s.at === "live" ? now - s.liveAt : 0;
  const anew = !s.since || held >= SETTLED;
  const since = anew ? now : s.since + held, tries = anew ? 0 : s.tries;
  if (now - since >= PATIENCE) return end(s, why || "gave_up", true);
  const due = now + Math.max(wait, WAITS[Math.min(tries, WAITS.length - 1)]);
  return { ...s, at: "lost", since, tries: tries + 1, due, asks: [], why };
}

// What an answer of the gateway means: why, and whether to try again can help.
const codes = { TARGET_DENIED: ["not_allowed", false], DESKTOP_IN_USE: ["in_use", true] };
const statuses = {
  423: ["disabled", true], 429: ["too_often", true], 502: ["no_desktop", true], 503: ["overloaded", true], 504: ["no_desktop", true],
};
// Credentials that are worth nothing (any more), before the ticket is spent.
const worthless = { 401: "unknown", 403: "unknown", 404: "unknown", 409: "used", 410: "expired" };

function verdict(s, { status, code, field }) {
  if (field === "Origin") return ["elsewhere", false]; // the link is as good as it was
  if (Object.hasOwn(codes, code)) return codes[code];
  if (!Object.hasOwn(worthless, status)) return statuses[status] ?? ["trouble", true];
  if (!s.spent) return [worthless[status], false];
  // Only a session that has begun can be resumed: before, it was the desktop.
  return [s.been ? "over" : "no_desktop", false];
}

// Why the gateway closes a WebSocket, by code and reason; null: it is to be had
// again. Codes that are not here are sent by nobody, or by the browser itself for
// a connection that is gone.
const fates = {
  1000: { vm_closed: ["vm_closed", true], client_closed: ["left", true], idle: ["idle", true], max_time: ["max_time", false] },
  1011: { admin: ["admin", false], replaced: ["replaced", true], vm_unreachable: ["no_desktop", true], keepalive_timeout: null },
};

function closed(s, e) {
  const known = fates[e.code];
  if (!known) return lose(s, e, "");
  const fate = Object.hasOwn(known, e.reason) ? known[e.reason] : ["closed", true];
  return fate ? end(s, fate[0], fate[1], fate[0] === "closed" ? e.reason : "") : lose(s, e, "");
}
