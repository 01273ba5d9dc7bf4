// The tools: a bar at the top that hides behind a handle. The pointer brings it
// out at the handle, Ctrl+Alt+Shift from the keyboard.
import { $, name, note, t } from "./page.js";
import { Chord, extraKeys, spoken } from "./keys.js";
import { Typing } from "./typing.js";
import { Size } from "./size.js";

const LINGER = 1_500, FIRST = 4_000; // ms the bar stays when nobody needs it
const CAN_TYPE = "(any-pointer: coarse)";

export class Bar {
  #tunnel = null;
  #timer = 0;
  #typing = new Typing();
  #size = new Size();
  #held = new Set(); // buttons of keys that are held down

  constructor({ clipboard, leave }) {
    const on = (id, act) => $(id).addEventListener("click", act);
    on("handle", () => this.#open(!this.#isOpen(), true));
    on("do-full", () => void fullScreen());
    on("do-size", () => this.#panel("size"));
    on("do-keys", () => this.#panel("keys"));
    on("do-clipboard", () => { this.#open(false); void clipboard.open(); });
    on("do-type", () => { this.#open(false); this.#typing.open(); });
    on("do-cad", () => { this.#tunnel?.rfb.sendCtrlAltDel(); this.#back(); });
    on("do-leave", leave);
    $("clip").addEventListener("close", () => this.#back());
    this.#makeKeys();
    this.#watchPointer();
    this.#watchKeys();
    document.addEventListener("fullscreenchange", showFull);
    showFull();
  }

  // serve takes a new connection, rest leaves it.
  serve(tunnel, session) {
    this.#tunnel = tunnel;
    $("view-only").hidden = !session.viewOnly;
    for (const e of document.querySelectorAll("#tools .acts")) e.hidden = session.viewOnly;
    $("do-type").hidden = session.viewOnly || !matchMedia(CAN_TYPE).matches;
    this.#size.serve(tunnel);
    this.#typing.serve(tunnel);
    // Keys that are down when the desktop loses the focus go up elsewhere. noVNC
    // lets go of them when the window does.
    tunnel.canvas.addEventListener("blur", () => dispatchEvent(new Event("blur")));
  }

  rest() {
    for (const button of this.#held) button.setAttribute("aria-pressed", "false");
    this.#held.clear();
    $("handle").classList.remove("held");
    this.#size.rest();
    this.#typing.rest();
    this.#tunnel = null;
    this.#open(false);
    $("bar").hidden = true;
  }

  show() {
    $("bar").hidden = false;
    this.#size.seen();
    this.#open(true);
    this.#hideSoon(FIRST);
  }

  focused() { return $("bar").contains(document.activeElement); }

  #isOpen() { return !$("tools").inert; }

  #open(open, stay = false) {
    clearTimeout(this.#timer);
    if (!open) for (const id of ["size", "keys"]) this.#panel(id, false);
    $("tools").inert = !open;
    $("bar").classList.toggle("open", open);
    $("handle").setAttribute("aria-expanded", String(open));
    name($("handle"), t(open ? "close_bar" : "open_bar"));
    if (open && !stay) this.#hideSoon(LINGER);
  }

  // hideSoon closes the bar unless somebody is at it then.
  #hideSoon(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (!this.#isOpen() || this.#busy()) return;
      this.#open(false);
    }, ms);
  }

  #busy() { return $("bar").matches(":hover") || this.focused() || !$("size").hidden || !$("keys").hidden; }

  #panel(id, show = $(id).hidden) {
    if (show) for (const other of ["size", "keys"]) if (other !== id) this.#panel(other, false);
    $(id).hidden = !show;
    $("do-" + id).setAttribute("aria-expanded", String(show));
    if (show && id === "size") $(id).querySelector("input:checked").focus();
  }

  // back returns to the desktop.
  #back() { this.#tunnel?.rfb.focus({ preventScroll: true }); }

  #watchPointer() {
    const bar = $("bar");
    bar.addEventListener("pointerenter", e => { if (e.pointerType === "mouse") this.#open(true, true); });
    bar.addEventListener("pointerleave", () => this.#hideSoon(LINGER));
    bar.addEventListener("focusout", () => this.#hideSoon(LINGER));
    $("place").addEventListener("pointerdown", () => this.#open(false));
  }

  #watchKeys() {
    const chord = new Chord();
    for (const type of ["keydown", "keyup"]) {
      addEventListener(type, e => {
        if (!chord.key(type, e.code) || !this.#tunnel || $("bar").hidden) return;
        this.#open(true, true);
        $("tools").querySelector("button:not([hidden])").focus();
      }, true);
    }
    addEventListener("blur", () => chord.forget());
    $("bar").addEventListener("keydown", e => {
      if (e.key === "Escape") this.#escape();
      const way = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
      if (way && $("tools").contains(e.target)) step(way);
    });
  }

  // escape closes a panel, else the bar.
  #escape() {
    const open = ["size", "keys"].find(id => !$(id).hidden);
    if (open) {
      this.#panel(open, false);
      $("do-" + open).focus();
      return;
    }
    this.#back();
    this.#open(false);
  }

  #makeKeys() {
    for (const row of extraKeys) {
      const line = document.createElement("div");
      for (const [label, sym, code, holds] of row) {
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
        if (holds) button.setAttribute("aria-pressed", "false");
        if (holds || spoken[label]) name(button, holds ? t("hold", label) : spoken[label]);
        button.addEventListener("click", () => holds ? this.#hold(button, sym, code) : this.#tunnel?.rfb.sendKey(sym, code));
        line.append(button);
      }
      $("keys").append(line);
    }
  }

  #hold(button, sym, code) {
    const down = !this.#held.has(button);
    this.#tunnel?.rfb.sendKey(sym, code, down);
    if (down) this.#held.add(button);
    else this.#held.delete(button);
    button.setAttribute("aria-pressed", String(down));
    $("handle").classList.toggle("held", this.#held.size > 0);
  }
}

// step moves the focus along the tools.
function step(way) {
  const all = [...$("tools").querySelectorAll("button:not([hidden])")], at = all.indexOf(document.activeElement);
  all[(at + way + all.length) % all.length].focus();
}

// fullScreen gives the desktop the keys that the system or the browser would take,
// where the browser can.
async function fullScreen() {
  try {
    if (document.fullscreenElement) return await document.exitFullscreen();
    await document.documentElement.requestFullscreen({ navigationUI: "hide" });
    if (navigator.keyboard?.lock) {
      await navigator.keyboard.lock();
      note(t("full_hint"));
    }
  } catch {
    // refused by the browser or its user
  }
}

function showFull() {
  $("do-full").hidden = !document.fullscreenEnabled;
  const words = t(document.fullscreenElement ? "full_off" : "full");
  name($("do-full"), words);
  $("do-full").querySelector("span").textContent = words;
}
