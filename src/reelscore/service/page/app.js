// The page: views by address, the session, the library's state, and keys.

import { call, events, get, onSignedOut } from "./api.js";
import { announce, blank, h, plural } from "./dom.js";
import { LibraryView } from "./library.js";
import { Match } from "./match.js";
import { Settings } from "./settings.js";

const main = document.getElementById("main");
const indexing = document.getElementById("indexing");
export const views = {};
let current = null;
let library = null;

function address() {
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  const [, name, id] = path.split("/");
  const values = new URLSearchParams(query);
  if (name === "library" || name === "settings") return { view: name };
  const video = name === "video" && /^[0-9a-f]{32}$/.test(id) ? id : null;
  return { view: "match", video, text: values.get("text") ?? "", where: values.getAll("where"), like: values.getAll("like"), unlike: values.getAll("unlike") };
}

function show() {
  const { view, ...rest } = address();
  for (const link of document.querySelectorAll("nav [data-view]")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (current !== views[view]) {
    current?.hide?.();
    current = views[view];
    main.replaceChildren(current.element);
    document.title = view === "match" ? "reelscore" : `${view === "library" ? "Library" : "Settings"} – reelscore`;
    scrollTo(0, 0);
  }
  current.show(rest);
}

function setLibrary(found) {
  library = { ...library, ...found };
  const job = library.indexing;
  indexing.hidden = !job;
  if (job) {
    const { done, total } = job.progress;
    indexing.textContent = total ? `Adding music: ${done} of ${total}` : "Adding music…";
  }
  for (const view of Object.values(views)) view.setLibrary?.(library);
}

async function readLibrary() {
  try {
    setLibrary(await get("/v1/library"));
  } catch (error) {
    if (error.status !== 401) announce(error.message);
  }
}

events.addEventListener("library", () => readLibrary());
events.addEventListener("reset", () => readLibrary());
events.addEventListener("job", ({ detail: job }) => {
  if (job.kind !== "add") return;
  const runs = ["queued", "running"].includes(job.state);
  if (runs) setLibrary({ indexing: job });
  else readLibrary();
  views.library.onJob(job);
});

function showSignIn() {
  events.close();
  const key = h("input", { type: "password", id: "key", autocomplete: "current-password", required: true });
  const error = h("p", { class: "reason", role: "alert" });
  const form = h("form", { class: "sign-in", onsubmit: signIn }, h("label", { for: "key" }, "API key"), key, error, h("button", { type: "submit", class: "primary" }, "Sign in"));
  async function signIn(event) {
    event.preventDefault();
    try {
      await call("POST", "/v1/session", { body: { key: key.value } });
      location.reload();
    } catch (problem) {
      error.textContent = problem.message;
    }
  }
  document.querySelector("nav").hidden = true;
  main.replaceChildren(blank("film", "Sign in", "This service asks for a key. Its administrator has one for you.", form));
  key.focus();
}

const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const { target } = event;
  if (target.matches(TYPING)) {
    if (event.key === "Escape") target.blur();
    return;
  }
  if (target.matches("[type=radio]") && event.key.startsWith("Arrow")) return;
  if ([" ", "Enter"].includes(event.key) && target.closest("button, a, input, summary, [role=slider]") && !(event.key === " " && target.matches("[role=slider]"))) return;
  if (event.key.length === 1 && event.key !== " " && localStorage.getItem("shortcuts") === "off") return;
  if (current?.onKey?.(event)) event.preventDefault();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

async function start() {
  onSignedOut(showSignIn);
  let session;
  try {
    session = await get("/v1/session");
  } catch (error) {
    if (error.status !== 401) main.replaceChildren(blank("warning", "The service does not answer", error.message, h("button", { type: "button", class: "primary", onclick: () => location.reload() }, "Try again")));
    return;
  }
  views.match = new Match();
  views.library = new LibraryView(session);
  views.settings = new Settings(session);
  events.open();
  show();
  addEventListener("hashchange", show);
  await readLibrary();
  if (library?.num_tracks) announce(`${plural(library.num_tracks, "track")} ready to match`);
}

start();
