import { same } from "./same.js";

export default async load => {
  const { Chord, typed, extraKeys } = await load("keys.js");
  const { level } = await load("quality.js");
  const codes = { c: "ControlLeft", C: "ControlRight", a: "AltLeft", s: "ShiftLeft", x: "KeyX" };

  // A story is keys that go down (+) and up (-); the last tells.
  const press = (story, want) => () => {
    const chord = new Chord();
    const told = story.split(" ").map(k => chord.key(k[0] === "+" ? "keydown" : "keyup", codes[k[1]]));
    same(told.map((fired, i) => fired ? i : -1).filter(i => i >= 0), want ? [told.length - 1] : []);
  };
  const cases = {
    "the three": press("+c +a +s -c -a -s", true),
    "in another order, held long": press("+s +c +a +a +a -a -s -c", true),
    "the right one of two": press("+C +a +s -s -C -a", true),
    "with a key more": press("+c +a +s +x -x -c -a -s", false),
    "a key before": press("+x +c +a +s -c -a -s", true),
    "only two": press("+c +a -c -a", false),
    "one after the other": press("+c -c +a -a +s -s", false),
    "not all let go": press("+c +a +s -c -a", false),
    "twice": () => {
      const chord = new Chord();
      const once = () => ["+c", "+a", "+s", "-c", "-a", "-s"].map(k => chord.key(k[0] === "+" ? "keydown" : "keyup", codes[k[1]])).filter(Boolean).length;
      same([once(), once()], [1, 1]);
    },
    "let go where nobody saw it": () => {
      const chord = new Chord();
      for (const code of "cas") chord.key("keydown", codes[code]);
      chord.forget();
      same(["c", "a", "s"].map(code => chord.key("keyup", codes[code])), [false, false, false]);
    },
    "every extra key has a keysym of its own": () => {
      const all = extraKeys.flat();
      same([new Set(all.map(k => k[1])).size, new Set(all.map(k => k[2])).size], [all.length, all.length]);
      same(all.find(k => k[0] === "F12"), ["F12", 0xffc9, "F12"]);
    },
  };
  for (const [before, after, erase, text] of [
    ["__", "__a", 0, "a"], ["__a", "__", 1, ""], ["__teh", "__the ", 2, "he "], ["__", "__\n", 0, "\n"], ["__a", "__a", 0, ""],
    ["__", "__привет", 0, "привет"], ["__👍", "__", 1, ""], ["__👍", "__👎", 1, "👎"], ["__ab", "", 4, ""],
  ]) cases[`${before} becomes ${after.replace("\n", "⏎")}`] = () => same(typed(before, after), { erase, text });
  for (const [ms, want] of [[1, "good"], [79, "good"], [80, "fair"], [199, "fair"], [200, "poor"], [4000, "poor"]]) {
    cases[`${ms} ms is ${want}`] = () => same(level(ms), want);
  }
  return cases;
};
