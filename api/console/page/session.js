// What the page asks of the gateway over HTTP: to begin a session with a ticket,
// and to resume one. Each answer is an event of state.js; with a session comes
// the token that resumes it, and a cookie that opens one WebSocket, which is known by
// the session's id: pages of one browser have their cookies in common. The requests
// are of the mode "cors", though they stay here: of another mode they would have no
// origin that the gateway could look at (Fetch, "append a request Origin header"),
// since the page has no referrer.

const FIRST = 15_000, AGAIN = 5_000; // ms to wait for an answer
const LONGEST = 10_000; // ms; Retry-After beyond it is not waited for

export const begin = ticket => ask("/console/session", { ticket }, FIRST);
export const resume = token => ask("/console/resume", { resume: token }, AGAIN);

async function ask(path, body, limit) {
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
      credentials: "same-origin", redirect: "error", cache: "no-store",
      signal: AbortSignal.timeout(limit),
    });
    return answer.ok ? granted(await answer.json()) : await refused(answer);
  } catch {
    return { type: "unreachable" }; // no answer, or one that is not of a gateway
  }
}

function granted(s) {
  const session = { id: text(s.session), desktop: text(s.desktop), user: text(s.user), viewOnly: s.view_only === true, shared: s.shared === true };
  return { type: "granted", session, resume: text(s.resume) };
}

const text = value => typeof value === "string" ? value : "";

async function refused(answer) {
  let code = "", field = "";
  try {
    const [first] = (await answer.json()).errors;
    [code, field] = [text(first.code), text(first.field)];
  } catch {
    // a proxy in between answered: the status has to do
  }
  const wait = Math.min(LONGEST, 1000 * (parseInt(answer.headers.get("Retry-After"), 10) || 0));
  return { type: "refused", status: answer.status, code, field, wait };
}
