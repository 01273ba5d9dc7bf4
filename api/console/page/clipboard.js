// The clipboard, both ways. By hand: a dialog with a text. By itself: where the
// browser permits to write, what is copied on the desktop is copied here; where it
// permits to read, what was copied here is there as soon as the desktop is looked
// at again. Browsers permit neither without HTTPS.
import { $, say, t } from "./page.js";

const LONGEST = 1 << 20; // characters; more is not sent by itself

export class Clipboard {
  #tunnel = null;
  #same = ""; // what both sides have, so that it does not go back and forth

  constructor() {
    $("clip-send").addEventListener("click", () => { this.#send($("clip-text").value); say($("clip-told"), t("clip_sent")); });
    $("clip-copy").addEventListener("click", () => void this.#copy());
    $("clip-allow").addEventListener("click", () => void this.#allow());
    addEventListener("focus", () => void this.#fetch());
  }

  // serve takes a new connection.
  serve(tunnel) {
    this.#tunnel = tunnel;
    tunnel.rfb.addEventListener("clipboard", e => void this.#received(e.detail.text));
    tunnel.canvas.addEventListener("focus", () => void this.#fetch());
  }

  rest() { this.#tunnel = null; }

  async open() {
    say($("clip-told"), "");
    $("clip-allow").hidden = await permission("clipboard-read") !== "prompt";
    $("clip").showModal();
    $("clip-text").focus();
  }

  #send(text) {
    if (!this.#tunnel) return;
    this.#same = text;
    this.#tunnel.rfb.clipboardPasteFrom(text);
  }

  async #received(text) {
    this.#same = text;
    $("clip-text").value = text;
    try {
      if (document.hasFocus()) await navigator.clipboard?.writeText(text);
    } catch {
      // not permitted: the dialog has it
    }
  }

  // fetch sends what was copied here meanwhile. It asks the user nothing.
  async #fetch() {
    if (!this.#tunnel || await permission("clipboard-read") !== "granted") return;
    try {
      const text = await navigator.clipboard.readText();
      if (text && text !== this.#same && text.length <= LONGEST) this.#send(text);
    } catch {
      // no text in it, or the page lost the focus: next time
    }
  }

  async #copy() {
    const box = $("clip-text");
    try {
      await navigator.clipboard.writeText(box.value);
      this.#same = box.value;
      say($("clip-told"), t("clip_copied"));
    } catch {
      box.select();
      say($("clip-told"), t("clip_failed"));
    }
  }

  // allow makes the browser ask: reading without permission does.
  async #allow() {
    try {
      $("clip-text").value = await navigator.clipboard.readText();
    } catch {
      // refused: it stays as it is
    }
    $("clip-allow").hidden = await permission("clipboard-read") !== "prompt";
  }
}

// permission is granted, prompt or denied; "" where it cannot be had for long, as
// in browsers that ask the user every time.
async function permission(name) {
  if (!navigator.clipboard?.readText) return "";
  try {
    return (await navigator.permissions.query({ name })).state;
  } catch {
    return "";
  }
}
