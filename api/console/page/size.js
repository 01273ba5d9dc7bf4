// How the desktop's picture fits the window: made smaller or larger, as it is, or
// by asking the desktop to change its size.
import { $, kept, note, t } from "./page.js";

const ANSWER = 2_500; // ms a desktop has to change its size in

export class Size {
  #tunnel = null;
  #asked = 0;
  #mode = ["fit", "one", "remote"].includes(kept.get("size")) ? kept.get("size") : "fit";

  constructor() {
    for (const input of document.querySelectorAll("input[name=size]")) {
      input.addEventListener("change", () => { this.#set(input.value); this.#check(); });
    }
    $("do-move").addEventListener("click", () => this.#move(!this.#tunnel?.rfb.dragViewport));
  }

  serve(tunnel) {
    this.#tunnel = tunnel;
    tunnel.rfb.addEventListener("clippingviewport", e => {
      $("do-move").hidden = !e.detail;
      if (!e.detail) this.#move(false);
    });
    this.#set(this.#mode);
  }

  // seen is for when the desktop is there: it has been asked by then.
  seen() { this.#check(); }

  rest() {
    clearTimeout(this.#asked);
    this.#tunnel = null;
  }

  #set(mode) {
    this.#mode = mode;
    kept.set("size", mode);
    document.querySelector(`input[name=size][value=${mode}]`).checked = true;
    document.body.dataset.size = mode;
    if (!this.#tunnel) return;
    const rfb = this.#tunnel.rfb;
    // Fingers do not find scroll bars: they move what is clipped.
    rfb.clipViewport = matchMedia("(pointer: coarse)").matches;
    rfb.scaleViewport = mode !== "one";
    rfb.resizeSession = mode === "remote";
  }

  // check goes back to fitting when the desktop does not follow. noVNC does not
  // tell whether a desktop can change its size.
  #check() {
    clearTimeout(this.#asked);
    if (this.#mode !== "remote") return;
    this.#asked = setTimeout(() => {
      const { width, height } = this.#tunnel.canvas, place = $("place");
      if (this.#tunnel.rfb.viewOnly || Math.abs(width - place.clientWidth) > 1 || Math.abs(height - place.clientHeight) > 1) {
        this.#set("fit");
        note(t("size_refused"));
      }
    }, ANSWER);
  }

  #move(on) {
    if (this.#tunnel) this.#tunnel.rfb.dragViewport = on;
    $("do-move").setAttribute("aria-pressed", String(on));
  }
}
