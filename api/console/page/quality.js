// How good the connection is, measured by what a page can see: how long the
// gateway takes to answer GET /livez, which does nothing but answer. That is the
// way from here to the gateway and back; the desktop behind it, and what the
// picture takes, are not in it. Once in ten seconds over a connection that is open
// anyway it costs next to nothing.
//
// A WebSocket does not notice that its network is gone. So when an answer was
// missing, or bytes have not left for the time between two looks, the connection
// to the desktop has to prove that it lives.
import { $, say, t } from "./page.js";

const EVERY = 10_000, LIMIT = 4_000; // ms
const GOOD = 80, FAIR = 200; // ms: beyond it, it is noticed; it disturbs

export const level = ms => ms < GOOD ? "good" : ms < FAIR ? "fair" : "poor";

export class Quality {
  #tunnel;
  #timer = 0;
  #running = false;
  #missed = false;
  #stuck = 0; // bytes that had not left at the last look

  constructor(tunnel) { this.#tunnel = tunnel; }

  start() {
    this.#running = true;
    this.#missed = false;
    this.look();
  }

  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    show("none", 0);
  }

  away() { if (this.#running) { this.#missed = true; show("none", 0); } }

  async look() {
    if (!this.#running) return;
    clearTimeout(this.#timer);
    const ms = await roundTrip(), answered = ms > 0;
    if (!this.#running) return;
    const waiting = this.#tunnel()?.waiting ?? 0, stuck = waiting > 0 && waiting >= this.#stuck && this.#stuck > 0;
    if (answered && (this.#missed || stuck)) this.#tunnel()?.prove();
    this.#missed = !answered;
    this.#stuck = waiting;
    show(answered ? level(ms) : "none", ms);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.look(), EVERY);
  }
}

// roundTrip is how long an answer took, in ms; 0: there was none. The browser's own
// clock knows it best: ours runs on while the page is busy with pictures.
async function roundTrip() {
  const path = "/livez", from = performance.now();
  let ms = 0;
  try {
    const answer = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(LIMIT) });
    await answer.arrayBuffer();
    ms = performance.now() - from;
  } catch {
    return 0;
  }
  const seen = performance.getEntriesByType("resource").findLast(e => e.startTime >= from && e.name === new URL(path, location.href).href);
  if (seen?.responseStart > seen?.requestStart && seen.requestStart > 0) ms = seen.responseStart - seen.requestStart;
  performance.clearResourceTimings(); // their number is bounded
  return Math.max(1, Math.round(ms));
}

function show(kind, ms) {
  const e = $("quality");
  e.dataset.level = kind;
  e.title = t("quality_" + kind, ms);
  say(e.querySelector("span"), kind === "none" ? "–" : t("ms", ms));
  e.setAttribute("aria-label", e.title);
}
