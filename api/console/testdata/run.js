import { Failure } from "./same.js";

// Runs the cases of the test files that ?files= names, against the page's modules
// below ?base=, and leaves what came of each in window.results.
const given = new URLSearchParams(location.search);
const results = [];

for (const file of given.get("files").split(",")) {
  const cases = (await import("./" + file)).default;
  for (const [name, check] of Object.entries(await cases(module => import(given.get("base") + "/" + module)))) {
    const result = { name: file.replace(".test.js", "") + "/" + name, error: "" };
    try {
      await check();
    } catch (e) {
      result.error = e instanceof Failure ? e.message : e.stack;
    }
    results.push(result);
  }
}
window.results = JSON.stringify(results);
