// What is shown while the desktop is not: the steps to it, why it is lost, why it
// ended. Drawn from the state alone.
import { $, say, t } from "./page.js";
import { called } from "./state.js";

const STEPS = ["checking", "opening", "waiting", "drawing"];

export function render(state) {
  const kind = kindOf(state), words = wordsOf(kind, state);
  document.body.dataset.at = state.at;
  document.body.dataset.kind = kind;
  document.body.dataset.why = state.why;
  document.title = called(state) || t("title");
  say($("name"), called(state));
  $("stuck").hidden = true;
  say($("headline"), words[0]);
  say($("more"), words[1]);
  say($("said"), state.said ? t("said", state.said) : "");
  $("said").hidden = !state.said;
  steps(kind, state);
  buttons(kind, state);
}

// kindOf: live, lost (over the last picture), ended, or under way for the first
// time.
function kindOf(s) {
  if (s.at === "live" || s.at === "ended") return s.at;
  return s.been ? "lost" : "way";
}

function wordsOf(kind, s) {
  switch (kind) {
    case "lost": return [t("lost"), t("lost_more")];
    case "ended": return [t(s.why), t(s.why + "_more")];
    case "way": return [t("connecting", called(s) || t("your_desktop")), t(s.since ? "still" : "connecting_more")];
    default: return ["", ""];
  }
}

// steps marks what is done, what is being done and what is still to come.
function steps(kind, s) {
  const at = s.at === "lost" || s.at === "idle" ? "checking" : s.at, now = STEPS.indexOf(at);
  $("steps").hidden = kind !== "way";
  for (const [i, li] of [...$("steps").children].entries()) {
    li.className = i < now ? "done" : i === now ? "now" : "";
    if (i === now) li.setAttribute("aria-current", "step");
    else li.removeAttribute("aria-current");
  }
}

function buttons(kind, s) {
  const again = $("again"), cancel = $("cancel");
  again.hidden = !(kind === "lost" || kind === "ended" && s.retry);
  say(again, t(kind === "lost" ? "now" : "again"));
  cancel.hidden = kind === "ended" || kind === "live";
  say(cancel, t(kind === "lost" ? "leave" : "cancel"));
  // Not the button: whoever is typing would press it.
  if (kind === "ended" && !$("card").contains(document.activeElement)) $("card").focus();
}
