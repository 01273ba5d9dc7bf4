// A keyboard on the screen: it writes into a text box nobody sees, and what
// changes there is pressed on the desktop.
import { $ } from "./page.js";
import { typed } from "./keys.js";
import keysyms from "./novnc/core/input/keysymdef.js";
import { getKeysym } from "./novnc/core/input/util.js";

const BACKSPACE = 0xff08, RETURN = 0xff0d, TAB = 0xff09;
// There is always something to erase, or erasing would not be noticed.
const FILL = "_".repeat(40), MOST = 200;

export class Typing {
  #tunnel = null;
  #seen = FILL;

  constructor() {
    const box = $("typing");
    box.value = FILL;
    box.addEventListener("input", e => this.#changed(box, e.isComposing));
    box.addEventListener("keydown", e => this.#pressed(e));
    box.addEventListener("blur", () => this.#refill(box));
  }

  serve(tunnel) { this.#tunnel = tunnel; }
  rest() { this.#tunnel = null; }

  // open shows the keyboard: a browser does so for a text box that a tap led to.
  open() {
    const box = $("typing");
    box.focus({ preventScroll: true });
    box.setSelectionRange(box.value.length, box.value.length);
  }

  #changed(box, composing) {
    const { erase, text } = typed(this.#seen, box.value);
    this.#seen = box.value;
    for (let i = 0; i < erase; i++) this.#press(BACKSPACE, "Backspace");
    for (const c of text) this.#press(...key(c));
    if (!composing && (this.#seen.length < FILL.length / 2 || this.#seen.length > MOST)) this.#refill(box);
  }

  // Keys that write nothing, such as arrows, where the keyboard names them.
  #pressed(e) {
    const sym = e.isComposing || e.key.length === 1 || /^(Shift|Control|Alt|Meta)/.test(e.key) ? null : getKeysym(e);
    if (!sym) return;
    e.preventDefault();
    this.#press(sym, e.code);
  }

  #press(sym, code) { this.#tunnel?.rfb.sendKey(sym, code); }

  #refill(box) { this.#seen = box.value = FILL; }
}

function key(character) {
  switch (character) {
    case "\n": return [RETURN, "Enter"];
    case "\t": return [TAB, "Tab"];
    default: return [keysyms.lookup(character.codePointAt(0)), null];
  }
}
