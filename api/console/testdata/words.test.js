import { Failure, same } from "./same.js";

export default async load => {
  const { strings, choose, speaker } = await load("strings.js");
  const source = async name => (await fetch(new URLSearchParams(location.search).get("base") + "/" + name)).text();

  const cases = {
    "every language has every text, with the same places": () => {
      const [first, ...others] = Object.keys(strings);
      const places = text => (text.match(/\{\d\}/g) ?? []).sort();
      for (const l of others) {
        same(Object.keys(strings[l]).sort(), Object.keys(strings[first]).sort());
        for (const key in strings[l]) {
          if (!strings[l][key].trim()) throw new Failure(`${l} has nothing for ${key}`);
          same([key, places(strings[l][key])], [key, places(strings[first][key])]);
        }
      }
    },
    "whatever can be the end has words, and what it means": async () => {
      const reasons = new Set((await source("state.js")).match(/"[a-z]+(_[a-z]+)*"/g).map(s => s.slice(1, -1)));
      for (const r of Object.keys(strings.en).filter(k => k.endsWith("_more")).map(k => k.slice(0, -5))) reasons.delete(r);
      const states = ["idle", "checking", "opening", "waiting", "drawing", "live", "lost", "ended"];
      same([...reasons].filter(r => !states.includes(r)), []);
    },
    "the page's words are in the table": async () => {
      const html = await (await fetch("/console/")).text(), asked = [...html.matchAll(/data-(?:text|label|title)="(\w+)"/g)].map(m => m[1]);
      for (const file of ["main", "view", "bar", "size", "clipboard", "quality", "page"]) {
        asked.push(...[...(await source(file + ".js")).matchAll(/\bt\("(\w+)"(?! \+)/g)].map(m => m[1]).filter(k => !k.endsWith("_")));
      }
      if (asked.length < 60) throw new Failure(`only ${asked.length} were found`);
      same(asked.filter(k => !Object.hasOwn(strings.en, k)), []);
    },
    "places are filled": () => {
      same(speaker("en")("connecting", "x<b>"), "Connecting to x<b>");
      same(speaker("ru")("connecting"), "Подключение к ");
      same(speaker("en")("no such key"), "no such key");
    },
  };
  for (const [asked, preferred, want] of [
    [null, ["ru-RU", "en"], "ru"], [null, ["de", "ru"], "ru"], [null, ["de-AT", "fr"], "en"], [null, [], "en"], [null, ["en-GB", "ru"], "en"],
    ["ru", ["en"], "ru"], ["en", ["ru"], "en"], ["xx", ["ru"], "ru"], ["constructor", ["toString"], "en"], ["", ["RU"], "ru"],
  ]) cases[`lang=${asked} of a user who reads ${preferred}`] = () => same(choose(asked, preferred), want);
  return cases;
};
