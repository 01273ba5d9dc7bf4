"use strict";
(() => {
  const minutes = 10, every = 1000, patience = 3000; // ms
  const [AT, SESSIONS, CHANNELS, UP, DOWN] = [0, 1, 2, 3, 4]; // fields of a point
  let points = [], boot = 0, next = 0, answered = Date.now(), cursor = null;

  // Numbers look as those that came with the page.
  const count = n => String(n).replace(/\B(?=(\d{3})+$)/g, "\u202f");
  const size = n => {
    let unit = "B";
    for (const u of ["kB", "MB", "GB", "TB", "PB"]) {
      if (n < 1000) break;
      n /= 1000; unit = u;
    }
    return n.toFixed(unit === "B" || n >= 100 ? 0 : 1) + "\u202f" + unit;
  };
  const rate = n => size(n) + "/s";
  const clock = ms => new Date(ms).toLocaleTimeString([], { hour12: false });

  const make = (name, cls, ...children) => {
    const e = document.createElement(name);
    if (cls) e.className = cls;
    e.append(...children);
    return e;
  };
  const draw = (name, attributes, text) => {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const k in attributes) e.setAttribute(k, attributes[k]);
    if (text !== undefined) e.textContent = text;
    return e;
  };
  const pill = (text, cls) => make("span", "pill " + (cls || text.replace(" ", "-")), text);

  const charts = [
    { id: "chart-sessions", show: count, least: 4, lines: [["a", SESSIONS, "sessions"], ["b", CHANNELS, "channels"]] },
    { id: "chart-traffic", show: rate, least: 1000, lines: [["a", DOWN, "to clients"], ["b", UP, "from clients"]] },
  ];

  // top is the end of the axis: 1, 2 or 5 times a power of ten.
  const top = (most, least) => {
    const ten = 10 ** Math.floor(Math.log10(Math.max(most, least)));
    return [1, 2, 5, 10].map(f => f * ten).find(t => t >= Math.max(most, least));
  };

  function chart(c) {
    const svg = document.querySelector("#" + c.id + " svg");
    const w = svg.clientWidth, h = svg.clientHeight, left = 62, right = 6, floor = h - 18, head = 8;
    if (!w) return;
    const end = points.length ? points[points.length - 1][AT] : Date.now(), span = minutes * 60000;
    const most = top(Math.max(0, ...points.map(p => Math.max(...c.lines.map(l => p[l[1]])))), c.least);
    const x = at => left + (w - left - right) * (1 - (end - at) / span);
    const y = v => floor - (floor - head) * v / most;
    svg.setAttribute("viewBox", `0 0 ${w} ${h}`);
    const parts = [];
    for (const part of [0, .5, 1]) {
      parts.push(draw("path", { class: "grid", d: `M${left} ${y(most * part)}H${w - right}` }),
        draw("text", { x: left - 6, y: y(most * part) + 4, "text-anchor": "end" }, c.show(most * part)));
    }
    for (const m of [10, 5, 0]) {
      parts.push(draw("text", { x: x(end - m * 60000), y: h - 3, "text-anchor": m === 10 ? "start" : m ? "middle" : "end" }, m ? `${m} min ago` : "now"));
    }
    const shown = points.filter(p => end - p[AT] <= span);
    for (const [cls, field] of c.lines) parts.push(...line(shown, cls, p => x(p[AT]), p => y(p[field]), floor));
    const under = cursor === null ? null : nearest(shown, p => Math.abs(x(p[AT]) - cursor * w));
    if (under) parts.push(draw("path", { class: "cursor", d: `M${x(under[AT])} ${head}V${floor}` }));
    svg.replaceChildren(...parts);
    key(c, under);
  }

  // line breaks where the node did not sample for more than three seconds.
  function line(shown, cls, x, y, floor) {
    let d = "", area = "", start = null, last = null;
    const close = () => { if (last) area += `L${x(last).toFixed(1)} ${floor}H${x(start).toFixed(1)}Z`; };
    for (const p of shown) {
      const to = `${x(p).toFixed(1)} ${y(p).toFixed(1)}`;
      const gap = !last || p[AT] - last[AT] > patience;
      if (gap) { close(); start = p; }
      d += (gap ? "M" : "L") + to;
      area += (gap ? "M" : "L") + to;
      last = p;
    }
    close();
    return [draw("g", { class: cls }), draw("g", { class: cls })].map((g, i) => {
      g.append(draw("path", i ? { d } : { d: area, class: "area" }));
      return g;
    });
  }

  const nearest = (list, distance) => list.reduce((best, p) => best && distance(best) <= distance(p) ? best : p, null);

  function key(c, under) {
    const p = under || points[points.length - 1];
    const parts = c.lines.map(([cls, field, name]) => make("span", cls, p ? `${name} ${c.show(p[field])}` : name));
    if (under) parts.unshift(clock(under[AT]));
    document.querySelector("#" + c.id + " .key").replaceChildren(...parts);
  }

  function node(n) {
    const title = make("h3", "", n.addr), states = make("p", "", pill(n.status));
    if (n.self) title.append(" ", make("small", "", "this one"));
    if (n.role) states.append(" ", pill(n.role, "role-" + n.role));
    const row = (name, value, cls) => make("div", "", make("dt", "", name), make("dd", cls, value));
    return make("article", n.status.replace(" ", "-"), title, states, make("dl", "",
      row("connections", count(n.connections)),
      row("settings", `revision ${n.revision}${n.behind ? ", behind" : ""}`, n.behind ? "behind" : ""),
      row("version", n.version)));
  }

  const backend = b => make("tr", "", make("td", "", b.front), make("td", "", b.node),
    make("td", "", b.up ? pill("up", "ready") : pill("down", "no-answer")),
    make("td", "n", count(b.connections)), make("td", "n", count(b.total)));

  function show(s) {
    const special = {
      limit: s.limit ? count(s.limit) : "none", up: size(s.up), down: size(s.down), node: s.node, version: s.version,
      dispatchers_up: count(s.dispatchers[0]), dispatchers_down: count(s.dispatchers[1]),
    };
    for (const e of document.querySelectorAll("[data-is]")) {
      const name = e.dataset.is, text = name in special ? special[name] : count(s[name]);
      if (e.textContent !== text) e.textContent = text;
    }
    const status = document.getElementById("status");
    status.replaceWith(Object.assign(pill(s.status), { id: "status" }));
    document.getElementById("nodes").replaceChildren(...s.nodes.map(node));
    document.getElementById("backends").replaceChildren(...s.backends.map(backend));
    document.getElementById("frontends").hidden = !s.backends.length;
  }

  function take(s) {
    if (s.boot !== boot) { boot = s.boot; points = []; }
    points = points.concat(s.points || []).slice(-minutes * 60);
    next = s.next;
    answered = Date.now();
    show(s);
    charts.forEach(chart);
  }

  // fresh says since when the node has not answered, or when its numbers are from.
  function fresh() {
    const lost = Date.now() - answered > patience;
    document.body.classList.toggle("lost", lost);
    const text = (lost ? "no answer since " : "as of ") + clock(answered);
    const e = document.getElementById("fresh");
    if (e.textContent !== text) e.textContent = text;
  }

  async function poll() {
    try {
      const answer = await fetch(`/data.json?since=${next}&boot=${boot}`, { signal: AbortSignal.timeout(patience) });
      if (answer.ok) take(await answer.json());
    } catch {
      // the node restarts, or the network is gone: fresh tells, and it goes on
    }
    fresh();
    setTimeout(poll, every);
  }

  for (const c of charts) {
    const svg = document.querySelector("#" + c.id + " svg");
    const move = at => { cursor = at; charts.forEach(chart); };
    svg.addEventListener("pointermove", e => move(e.offsetX / svg.clientWidth));
    svg.addEventListener("pointerleave", () => move(null));
  }
  addEventListener("resize", () => charts.forEach(chart));
  document.getElementById("charts").hidden = false;
  poll();
})();
