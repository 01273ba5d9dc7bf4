// The dialog for a desktop that asks who comes. The gateway signs in by itself
// where it knows how: this is for desktops it knows nothing about.
import { $ } from "./page.js";

const FIELDS = ["username", "password"];

// askCredentials asks for the fields that types names and calls done with them,
// or with null when the user does not want to.
export function askCredentials(types, done) {
  const dialog = $("ask"), form = dialog.querySelector("form");
  form.reset();
  for (const f of FIELDS) $("ask-" + f).hidden = !types.includes(f);
  let given = null;
  form.onsubmit = () => { given = read(form, types); };
  $("ask-cancel").onclick = () => dialog.close();
  dialog.onclose = () => { form.reset(); done(given); };
  dialog.showModal();
  form.querySelector("label:not([hidden]) input").focus();
}

// closeCredentials takes the question back: nobody waits for the answer.
export function closeCredentials() {
  const dialog = $("ask");
  dialog.onclose = null;
  dialog.close();
}

// What is asked for beyond the fields (the name of a target) is answered with
// nothing, or the desktop would wait for ever.
const read = (form, types) => Object.fromEntries(types.map(t => [t, form.elements[t]?.value ?? ""]));
