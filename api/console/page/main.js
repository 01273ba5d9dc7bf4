// The console page: takes the ticket out of the address, leads the state through
// what happens, and does what its changes ask for.
import { $, language, note, t, translate, unnoted } from "./page.js";
import { called, initial, step } from "./state.js";
import { begin, resume } from "./session.js";
import { Tunnel } from "./tunnel.js";
import { render } from "./view.js";
import { Bar } from "./bar.js";
import { Clipboard } from "./clipboard.js";
import { Quality } from "./quality.js";
import { askCredentials, closeCredentials } from "./credentials.js";

const OPENING = 10_000, WAITING = 20_000; // ms for these steps

// Secrets are nowhere else: the ticket, later what resumes the session; and what
// the user told a desktop that asked, so that he is not asked at every resumption.
let secret = take();
let credentials = {};
let state = initial;
let library = null; // noVNC's client
let tunnel = null;
let pulse = null; // of the former tunnel
let timer = 0;
let attempt = 0; // what an earlier one reports does not count

const clipboard = new Clipboard();
const quality = new Quality(() => tunnel);
const bar = new Bar({ clipboard, leave: () => happen({ type: "leave" }) });

// take reads the ticket and removes it from the address and the history. Every
// other parameter but the language is dropped: what a page connects to is not for
// an address to say.
function take() {
  const given = new URLSearchParams(location.search);
  const asked = given.get("lang") === language ? "?lang=" + language : "";
  history.replaceState(null, "", location.pathname + asked);
  return given.get("token") ?? "";
}

function happen(event) {
  const before = state;
  state = step(before, { now: performance.now(), ...event });
  if (state === before) return;
  if (state.at !== before.at) {
    clearTimeout(timer);
    enter[state.at]?.(before);
  }
  if (state.asks !== before.asks) {
    if (state.asks.length) askCredentials(state.asks, answer);
    else closeCredentials();
  }
  render(state);
}

const later = (type, ms) => { timer = setTimeout(() => happen({ type }), ms); };

// What begins with a state.
const enter = {
  checking: () => void check(),
  opening: () => { connect(); later("late", OPENING); },
  waiting: () => later("late", WAITING),
  live: seen,
  lost: before => { drop(before); later("due", Math.max(0, state.due - performance.now())); },
  ended: before => {
    if (state.why === "denied") credentials = {};
    drop(before);
    forget();
  },
};

// check asks the gateway. The library comes first: a page that cannot be loaded
// must not spend the ticket.
async function check() {
  const mine = ++attempt;
  const told = event => { if (mine === attempt) happen(event); };
  try {
    library = (await import("./novnc/core/rfb.js")).default;
  } catch {
    return told({ type: "unloaded" });
  }
  if (mine !== attempt) return;
  const event = await (state.spent ? resume(secret) : begin(secret));
  // Whatever became of the attempt: a token that was given has replaced the other.
  if (event.type === "granted") secret = event.resume;
  told(event);
}

function connect() {
  const mine = ++attempt;
  tunnel = new Tunnel(library, $("place"), state.session, credentials, pulse, event => { if (mine === attempt) happen(event); });
  clipboard.serve(tunnel);
  bar.serve(tunnel, state.session);
}

// seen: the picture is there. The former one, dimmed until now, goes.
function seen(before) {
  $("frozen").replaceChildren();
  quality.start();
  tunnel.canvas.setAttribute("role", "application");
  tunnel.canvas.setAttribute("aria-label", t("screen", called(state)));
  tunnel.canvas.tabIndex = 0;
  bar.show();
  if (before.since) note(t("back"));
  else if (!state.session.viewOnly && matchMedia("(pointer: fine)").matches) note(t("leave_hint"));
  if (!document.querySelector("dialog[open]") && !bar.focused()) tunnel.rfb.focus({ preventScroll: true });
}

// drop ends the connection. Its last picture stays where it was seen.
function drop(before) {
  attempt++;
  unnoted();
  quality.stop();
  bar.rest();
  clipboard.rest();
  if (!tunnel) return;
  if (before.at === "live") freeze(tunnel.canvas);
  pulse = tunnel.pulse;
  tunnel.drop(() => tunnel?.relent());
  tunnel = null;
}

// forget leaves nothing of a session that has ended to who comes by.
function forget() {
  $("frozen").replaceChildren();
  $("clip").close();
  $("clip-text").value = "";
}

function freeze(canvas) {
  const last = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  last.getContext("2d").drawImage(canvas, 0, 0);
  $("frozen").replaceChildren(last);
}

function answer(given) {
  if (!given) return happen({ type: "leave" });
  credentials = given;
  happen({ type: "answered" });
  tunnel?.rfb.sendCredentials(given);
}

function start() {
  translate();
  $("again").addEventListener("click", () => happen({ type: "reconnect" }));
  $("cancel").addEventListener("click", () => happen({ type: "leave" }));
  addEventListener("online", () => { happen({ type: "online" }); tunnel?.prove(); quality.look(); });
  addEventListener("offline", () => quality.away());
  // A page in the background waits longer than it meant to, and gives up too soon.
  document.addEventListener("visibilitychange", () => { if (!document.hidden) happen({ type: "online" }); });
  // A page that is left by accident cannot be come back to: the link is spent.
  addEventListener("beforeunload", e => { if (state.at === "live") e.preventDefault(); });
  happen({ type: "begin", ticket: secret !== "" });
}

// A browser may run a page before its user asked for it: the ticket is not for that.
if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
else start();
