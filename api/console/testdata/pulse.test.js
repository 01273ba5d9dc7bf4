import { same } from "./same.js";

// A case is a story: looks, a quarter of a second apart unless they say otherwise, and what is
// done at them: "-" nothing, "b" an empty message, "x" given up.
export default async load => {
  const { initial, look, relent, renew, TICK } = await load("pulse.js");

  const tell = (looks, want, from = initial) => {
    let p = from, now = p.now || 1_000, heard = 0, done = "";
    for (const { hears = 0, waiting = 0, answers = true, after = TICK } of looks) {
      now += after;
      heard += hears;
      p = look(Object.freeze(p), { now, heard, waiting, answers });
      done += p.dead ? "x" : p.beat ? "b" : "-";
    }
    same(done, want);
    return p;
  };
  const times = (n, what = {}) => Array(n).fill(what);
  const word = { hears: 1 };

  return {
    "a desktop that says much": () => { tell(times(8, word), "--------"); },
    "a desktop that says nothing": () => { tell([word, {}, word, {}, {}, {}, {}, word, {}], "-b---b---"); },
    "nothing is answered": () => { tell([word, ...times(7)], "-b---b-x"); },
    "the limit begins with the last word": () => { tell([word, ...times(6), word, ...times(7)], "-b---b---b---bx"); },
    "one that never answered is not given up": () => { tell(times(12, { answers: false }), "b---b---b---"); },
    "whether it answers is asked while it says much": () => { tell([...times(6, { ...word, answers: false }), ...times(6, word)], "b---b-------"); },
    "bytes that leave are a sign of life": () => { tell([word, ...[9, 8, 7, 6, 5, 4, 3, 2].map(waiting => ({ waiting }))], "---------"); },
    "bytes that do not leave are none, and nothing is put behind them": () => { tell([word, ...times(7, { waiting: 9 })], "-------x"); },
    "a page that slept for an hour": () => { tell([word, { after: 3_600_000 }, word, {}], "-b--"); },
    "a page that is looked at once in a minute": () => { tell([word, ...times(6, { hears: 1, after: 60_000 })], "-------"); },
    "the first look gives nothing up": () => { tell([{ after: 3_600_000 }], "-"); },
    "given up as often as that, it is as quick": () => {
      const p = tell([word, ...times(7)], "-b---b-x");
      tell([word, ...times(7)], "-b---b-x", renew(p));
    },
    "given up though it lived": () => {
      let p = tell([word, ...times(7)], "-b---b-x");
      for (const most of [3_500, 7_000, 14_000, 16_000, 16_000]) same((p = relent(p)).limit, most);
      same(tell(times(300, word), "-".repeat(300), renew(p)).limit, 1_750);
    },
  };
};
