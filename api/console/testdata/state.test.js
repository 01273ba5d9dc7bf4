import { same } from "./same.js";

// A case is a story: events, and after some of them what the state then has.
export default async load => {
  const { called, initial, step, PATIENCE } = await load("state.js");
  const session = { id: "0123456789abcdef", desktop: "d", user: "u", viewOnly: false, shared: true };

  const tell = story => () => {
    let s = initial;
    for (const [type, more, want] of story) {
      const before = JSON.stringify(s);
      const next = step(Object.freeze(s), { type, now: 1000, ...more });
      if (JSON.stringify(s) !== before) throw new Error("the state was changed by " + type);
      s = next;
      if (want) same(Object.fromEntries(Object.keys(want).map(k => [k, s[k]])), want);
    }
  };

  const start = [["begin", { ticket: true }], ["granted", { session }]];
  const live = [...start, ["opened"], ["connected"], ["painted", { now: 1000 }]];
  const cut = { code: 1006, reason: "" };
  const lost = [...live, ["closed", { ...cut, now: 2000 }, { at: "lost", due: 2000 }]];
  const refused = (status, code = "") => ["refused", { status, code }];

  const stories = {
    "the straight way": [
      ["begin", { ticket: true }, { at: "checking", spent: false }], ["granted", { session }, { at: "opening", spent: true, session }],
      ["opened", {}, { at: "waiting" }], ["connected", {}, { at: "drawing" }], ["painted", { now: 7 }, { at: "live", been: true, liveAt: 7 }],
    ],
    "the gateway has no word for the desktop": [
      ["begin", { ticket: true }], ["granted", { session: { ...session, desktop: "" } }], ["named", { name: "its own" }, { name: "its own" }],
    ],
    "no ticket": [["begin", { ticket: false }, { at: "ended", why: "no_ticket", retry: false }], ["reconnect", {}, { at: "ended" }]],
    "what was not asked for is not heard": [
      ["granted", { session }, { at: "idle" }], ["painted", {}, { at: "idle" }], ["closed", cut, { at: "idle" }],
      ["nonsense", {}, { at: "idle" }], ["toString", {}, { at: "idle" }],
    ],
    "the library does not come": [["begin", { ticket: true }], ["unloaded", {}, { at: "ended", why: "unloaded", retry: false, spent: false }]],
    "no gateway at first": [["begin", { ticket: true }], ["unreachable", {}, { why: "no_gateway", retry: true }], ["reconnect", {}, { at: "checking", since: 0 }]],
    "the desktop asks and is answered": [
      ...start, ["opened"], ["ask", { types: ["password"] }, { asks: ["password"] }], ["late", {}, { at: "waiting" }],
      ["answered", {}, { asks: [], at: "waiting" }], ["connected", {}, { at: "drawing" }],
    ],
    "the desktop says no": [
      ...start, ["opened"], ["ask", { types: ["password"] }], ["denied", { said: "wrong" }, { at: "ended", why: "denied", said: "wrong", retry: true, asks: [] }],
      ["failed", {}, { why: "denied" }], ["closed", cut, { why: "denied" }],
    ],
    "the desktop talks nonsense": [...live, ["failed", {}, { at: "ended", why: "garbled", retry: true }]],
    "the desktop wants its key confirmed": [...start, ["opened"], ["untrusted", {}, { at: "ended", why: "untrusted", retry: false }]],
    "lost and found": [
      ...lost, ["due", {}, { at: "checking", since: 2000 }], ["granted", { session }], ["opened"], ["connected"], ["painted", { now: 2500 }, { at: "live", why: "" }],
    ],
    "attempts follow each other more slowly": [
      ...lost, ["due"],
      ["unreachable", { now: 2010 }, { at: "lost", due: 2260 }], ["due"],
      ["unreachable", { now: 2270 }, { due: 2770 }], ["due"],
      ["unreachable", { now: 2800 }, { due: 3800 }], ["due"],
      ["unreachable", { now: 3900 }, { due: 4900 }],
    ],
    "a page from elsewhere": [["begin", { ticket: true }], ["refused", { status: 403, code: "FORBIDDEN", field: "Origin" }, { at: "ended", why: "elsewhere", retry: false, spent: false }]],
    "the gateway says how long to wait": [...lost, ["due"], ["refused", { status: 429, wait: 3000, now: 2010 }, { at: "lost", due: 5010 }]],
    "patience ends": [
      ...lost, ["due"], ["unreachable", { now: 2000 + PATIENCE - 1 }, { at: "lost" }], ["due"],
      ["unreachable", { now: 2000 + PATIENCE }, { at: "ended", why: "no_gateway", retry: true }],
      ["reconnect", { now: 90000 }, { at: "checking", since: 90000, tries: 0 }], ["unreachable", { now: 90001 }, { at: "lost" }],
    ],
    "patience ends while the way is open and the desktop is not": [
      ...lost, ["due"], ["granted", { session }], ["closed", { ...cut, now: 2000 + PATIENCE }, { at: "ended", why: "gave_up", retry: true }],
    ],
    "the network comes back": [...lost, ["due"], ["unreachable", { now: 2010 }, { at: "lost" }], ["online", { now: 2020 }, { at: "checking" }]],
    "the network comes back after a long sleep": [
      ...lost, ["due"], ["unreachable", { now: 99000 }, { at: "ended", why: "no_gateway" }], ["online", { now: 99500 }, { at: "checking", since: 99500 }],
    ],
    "the network comes back and nothing was lost": [...live, ["online", {}, { at: "live" }]],
    "the network comes back to a session that was ended": [...live, ["closed", { code: 1011, reason: "admin" }], ["online", {}, { at: "ended" }]],
    "a loss soon after goes on counting, without the time it held": [
      ...lost, ["due"], ["granted", { session }], ["opened"], ["connected"], ["painted", { now: 12000 }],
      ["closed", { ...cut, now: 13000 }, { at: "lost", since: 3000, tries: 2, due: 13250 }],
    ],
    "a loss long after counts anew": [
      ...lost, ["due"], ["granted", { session }], ["opened"], ["connected"], ["painted", { now: 12000 }],
      ["closed", { ...cut, now: 17000 }, { at: "lost", since: 17000, tries: 1, due: 17000 }],
    ],
    "lost before it was seen": [
      ...start, ["closed", { ...cut, now: 3000 }, { at: "lost", been: false, since: 3000 }], ["due"],
      ["refused", { status: 403, code: "FORBIDDEN" }, { at: "ended", why: "no_desktop", retry: false }],
    ],
    "nobody opens": [...start, ["late", { now: 3000 }, { at: "lost", why: "no_desktop" }]],
    "a step that is done is not late": [...live, ["late", {}, { at: "live" }]],
    "the user leaves": [...live, ["leave", {}, { at: "ended", why: "left", retry: true }], ["closed", cut, { why: "left" }], ["reconnect", { now: 5 }, { at: "checking", since: 5 }]],
    "the user leaves before the link was checked": [["begin", { ticket: true }], ["leave", {}, { why: "left", retry: false }], ["granted", { session }, { at: "ended" }]],
    "the user does not wait": [...lost, ["due"], ["unreachable", { now: 2010 }], ["reconnect", { now: 2011 }, { at: "checking", since: 2000 }]],
  };

  const first = [["begin", { ticket: true }]], again = [...lost, ["due"]];
  for (const [status, code, why, retry] of [
    [403, "FORBIDDEN", "unknown", false], [403, "TARGET_DENIED", "not_allowed", false], [409, "DESKTOP_IN_USE", "in_use", true], [401, "", "unknown", false], [404, "", "unknown", false],
    [409, "GRANT_USED", "used", false], [410, "GRANT_EXPIRED", "expired", false], [423, "DISABLED", "disabled", true],
    [429, "RATE_LIMITED", "too_often", true], [502, "VM_UNREACHABLE", "no_desktop", true], [503, "DRAINING", "overloaded", true],
    [504, "VM_TIMEOUT", "no_desktop", true], [500, "INTERNAL", "trouble", true], [400, "", "trouble", true],
  ]) stories[`a ticket refused with ${status} ${code}`] = [...first, [...refused(status, code), { at: "ended", why, retry }]];
  for (const status of [401, 403, 404, 409, 410]) {
    stories[`resuming refused with ${status}`] = [...again, [...refused(status), { at: "ended", why: "over", retry: false }]];
  }
  for (const status of [423, 429, 500, 502, 503, 504]) stories[`resuming put off with ${status}`] = [...again, [...refused(status), { at: "lost" }]];

  for (const [code, reason, want] of [
    [1000, "vm_closed", { at: "ended", why: "vm_closed", retry: true }], [1000, "client_closed", { at: "ended", why: "left", retry: true }],
    [1000, "idle", { at: "ended", why: "idle", retry: true }], [1000, "max_time", { at: "ended", why: "max_time", retry: false }],
    [1000, "", { at: "ended", why: "closed", retry: true }], [1011, "admin", { at: "ended", why: "admin", retry: false }],
    [1011, "replaced", { at: "ended", why: "replaced", retry: true }], [1011, "vm_unreachable", { at: "ended", why: "no_desktop", retry: true }],
    [1011, "other", { at: "ended", why: "closed", retry: true, said: "other" }], [1011, "constructor", { at: "ended", why: "closed" }],
    [1011, "keepalive_timeout", { at: "lost" }], [1001, "shutdown", { at: "lost" }], [1005, "", { at: "lost" }], [1006, "", { at: "lost" }], [1012, "", { at: "lost" }],
  ]) stories[`closed with ${code} ${reason}`] = [...live, ["closed", { code, reason }, want]];

  const cases = Object.fromEntries(Object.entries(stories).map(([name, story]) => [name, tell(story)]));
  cases["what the desktop is called"] = () => {
    const names = (desktop, name) => called({ ...initial, name, session: { ...session, desktop } });
    same([names("given", "own"), names("", "own"), names("", "")], ["given", "own", ""]);
  };
  return cases;
};
