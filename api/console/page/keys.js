// Keys beside those of the keyboard: as buttons, from a keyboard on the screen,
// and the three that lead out of the desktop.

// Buttons: label, keysym (X11), code (as KeyboardEvent.code). Those that hold stay
// down until they are pressed again.
export const extraKeys = [
  [["Ctrl", 0xffe3, "ControlLeft", true], ["Alt", 0xffe9, "AltLeft", true], ["Shift", 0xffe1, "ShiftLeft", true], ["Super", 0xffeb, "MetaLeft", true]],
  [["Esc", 0xff1b, "Escape"], ["Tab", 0xff09, "Tab"], ["Ins", 0xff63, "Insert"], ["Del", 0xffff, "Delete"]],
  [["Home", 0xff50, "Home"], ["End", 0xff57, "End"], ["PgUp", 0xff55, "PageUp"], ["PgDn", 0xff56, "PageDown"]],
  [["←", 0xff51, "ArrowLeft"], ["↑", 0xff52, "ArrowUp"], ["↓", 0xff54, "ArrowDown"], ["→", 0xff53, "ArrowRight"]],
  [["PrtSc", 0xff61, "PrintScreen"], ["ScrLk", 0xff14, "ScrollLock"], ["Pause", 0xff13, "Pause"], ["Menu", 0xff67, "ContextMenu"]],
  ...[1, 5, 9].map(first => [0, 1, 2, 3].map(i => ["F" + (first + i), 0xffbe + first + i - 1, "F" + (first + i)])),
];

// What a screen reader calls the arrows.
export const spoken = { "←": "Left", "↑": "Up", "↓": "Down", "→": "Right" };

const modifiers = /^(Control|Alt|Shift)(Left|Right)$/;

// Chord notices Ctrl, Alt and Shift pressed together and let go with no other key
// in between. Only then: the desktop has seen all three go up as well, and what
// has more keys (Ctrl+Alt+Shift+S) is meant for it.
export class Chord {
  #down = new Set();
  #armed = false;

  // key takes one event and tells whether the chord ends with it.
  key(type, code) {
    const kind = modifiers.exec(code)?.[1];
    if (!kind) {
      this.#armed = false;
      return false;
    }
    if (type === "keydown") {
      this.#down.add(kind);
      this.#armed = this.#armed || this.#down.size === 3;
      return false;
    }
    this.#down.delete(kind);
    const fired = this.#armed && this.#down.size === 0;
    if (this.#down.size === 0) this.#armed = false;
    return fired;
  }

  // forget is for keys that go up where nobody sees it.
  forget() {
    this.#down.clear();
    this.#armed = false;
  }
}

// typed is what somebody did to a text: how many characters he erased at its end,
// and what he wrote instead. A keyboard on a screen, which completes and corrects
// words, says no more than that.
export function typed(before, after) {
  const from = [...before], to = [...after];
  let same = 0;
  while (same < from.length && same < to.length && from[same] === to[same]) same++;
  return { erase: from.length - same, text: to.slice(same).join("") };
}
