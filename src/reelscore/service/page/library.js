// The library: add music, see what failed, search, hear, tag and remove tracks.

import { call, get, request } from "./api.js";
import { announce, blank, h, icon, iconButton, plural, progressBar, setProgress, time, toast } from "./dom.js";

const PAGE = 100;
const TAGS = [["genre", "Genre", "Rock; Pop"], ["mood", "Mood", "calm; hopeful"], ["licence", "Licence", "CC-BY"]];
const LISTS = ["genre", "mood"];

export class LibraryView {
  #library = null;
  #audio = new Audio();
  #playing = null; // its button
  #shown = 0;
  #rows = h("tbody");
  #asked = 0;

  constructor(session) {
    this.admin = session.role === "admin";
    this.count = h("p", { class: "lead" });
    this.bar = progressBar("Adding music", null);
    this.progress = h("div", { class: "adding", hidden: true }, h("p", {}, "Adding music…"), this.bar);
    this.failures = h("div", { class: "failures", hidden: true });
    this.paths = h("input", { type: "text", id: "path", required: true, autocomplete: "off", spellcheck: false, placeholder: "/home/anna/Music" });
    this.roots = h("small", { id: "roots" });
    this.paths.setAttribute("aria-describedby", "roots");
    const add = h("form", { class: "add", hidden: !this.admin, onsubmit: (event) => (event.preventDefault(), this.#add()) },
      h("label", { for: "path" }, "Add a folder or a file of this machine"),
      h("div", { class: "line" }, this.paths, h("button", { type: "submit", class: "primary" }, icon("plus"), h("span", {}, "Add"))), this.roots);
    this.search = h("input", { type: "search", id: "find", placeholder: "Title, artist or file", autocomplete: "off", maxlength: "200" });
    let timer;
    this.search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#list(), 150);
    });
    const search = h("form", { class: "search", role: "search", onsubmit: (event) => (event.preventDefault(), this.#list()) }, h("label", { class: "hidden", for: "find" }, "Search the library"), icon("search"), this.search);
    this.table = h("table", { class: "library-table" }, h("caption", { class: "hidden" }, "Tracks of the library"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "hidden" }, "Play")), h("th", { scope: "col" }, "Title"), h("th", { scope: "col" }, "Artist"), h("th", { scope: "col", class: "number" }, "Length"), h("th", { scope: "col" }, "Tags"), h("th", { scope: "col" }, h("span", { class: "hidden" }, "Actions")))), this.#rows);
    this.empty = h("div");
    this.more = h("button", { type: "button", class: "button more", hidden: true, onclick: () => this.#list({ append: true }) }, "Show more");
    this.element = h("div", { class: "page library" }, h("div", { class: "page-head" }, h("h1", {}, "Library"), this.count), add, this.progress, this.failures, search, this.table, this.empty, this.more);
    this.#audio.addEventListener("pause", () => this.#mark(null));
    this.#audio.addEventListener("ended", () => this.#mark(null));
    this.#audio.addEventListener("error", () => this.#playing && toast("The track cannot be played. Its file may be gone.", { error: true }));
  }

  async show() {
    await Promise.all([this.#list(), this.#readFailures()]);
  }

  hide() {
    this.#audio.pause();
  }

  setLibrary(library) {
    const changed = this.#library?.num_tracks !== library.num_tracks;
    this.#library = library;
    this.count.textContent = `${plural(library.num_tracks ?? 0, "track")}, embedded with ${library.encoder}`;
    this.roots.textContent = library.roots?.length ? `Folders of which you may add: ${library.roots.join(", ")}` : "The service was started without folders to add from (--root FOLDER).";
    const job = library.indexing;
    this.progress.hidden = !job;
    if (job) {
      const { done, total } = job.progress;
      setProgress(this.bar, total ? done / total : null);
      this.progress.firstChild.textContent = total ? `Adding music: ${done} of ${total} files` : "Looking for music…";
    }
    if (changed && this.element.isConnected) this.#list();
  }

  onJob(job) {
    if (job.state === "failed") toast(job.reason, { error: true });
    if (job.state === "done") this.#showFailures([job]);
  }

  async #add() {
    try {
      await call("POST", "/v1/tracks", { body: { paths: [this.paths.value.trim()] } });
      this.paths.value = "";
      announce("The music is being added");
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  async #readFailures() {
    const { jobs } = await get("/v1/jobs?limit=50").catch(() => ({ jobs: [] }));
    this.#showFailures(jobs.filter((job) => job.kind === "add" && job.state === "done").slice(0, 1));
  }

  #showFailures(jobs) {
    const failed = jobs.flatMap((job) => job.result?.failed ?? []);
    this.failures.hidden = !failed.length;
    const item = ({ path, reason }) => h("li", {}, h("code", {}, path), h("span", {}, reason));
    if (failed.length) {
      this.failures.replaceChildren(h("details", {}, h("summary", {}, icon("warning"), `${plural(failed.length, "file")} could not be added`), h("ul", {}, failed.map(item))));
    }
  }

  async #list({ append = false } = {}) {
    this.#asked += 1;
    const asked = this.#asked;
    const query = new URLSearchParams({ q: this.search.value.trim(), limit: PAGE, offset: append ? this.#shown : 0 });
    let found;
    if (!this.#shown && !this.#rows.childElementCount) this.#rows.replaceChildren(...skeletons(8));
    try {
      found = await get(`/v1/tracks?${query}`);
    } catch (error) {
      this.#rows.replaceChildren();
      this.table.hidden = true;
      this.empty.replaceChildren(blank("warning", "The library cannot be read", error.message, h("button", { type: "button", class: "primary", onclick: () => this.#list() }, "Try again")));
      return;
    }
    if (asked !== this.#asked) return;
    const rows = found.tracks.map((track) => this.#row(track));
    if (append) this.#rows.append(...rows);
    else this.#rows.replaceChildren(...rows);
    this.#shown = this.#rows.childElementCount;
    this.table.hidden = !this.#shown;
    this.more.hidden = found.next_offset === null;
    const searched = this.search.value.trim();
    if (this.#shown) this.empty.replaceChildren();
    else if (searched) this.empty.replaceChildren(blank("search", "Nothing found", `No title, artist or file has “${searched}”.`));
    else this.empty.replaceChildren(blank("folder", "No music yet", this.admin ? "Add a folder above. Tracks can be matched as soon as they are read." : "An administrator can add music."));
  }

  #row(track) {
    const play = h("button", { type: "button", class: "take", "aria-label": `Play ${track.title}`, "aria-pressed": "false", onclick: () => this.#play(track, play) }, icon("play"), icon("pause"));
    const facts = track.facts ?? {};
    const tags = [facts.bpm && `${Math.round(facts.bpm)} bpm`, facts.key, ...(facts.genre ?? []), ...(facts.mood ?? []).slice(0, 3), facts.licence].filter(Boolean);
    const edit = this.admin ? iconButton("tag", `Tag ${track.title}`, () => this.#tag(track, row)) : null;
    const remove = this.admin ? iconButton("trash", `Remove ${track.title}`, () => this.#remove(track, row)) : null;
    const row = h("tr", { class: track.gone ? "gone" : "" },
      h("td", {}, play),
      h("td", {}, h("strong", {}, track.title), h("small", {}, track.gone ? `The file is gone: ${track.path}` : track.path)),
      h("td", {}, track.artist),
      h("td", { class: "number" }, time(track.duration_s)),
      h("td", { class: "tags" }, tags.map((tag) => h("span", { class: "tag" }, tag))),
      h("td", { class: "row-actions" }, edit, remove));
    return row;
  }

  #play(track, button) {
    const again = button === this.#playing;
    this.#audio.pause();
    if (again) return;
    this.#audio.src = `/v1/tracks/${track.key}/audio`;
    this.#mark(button);
    this.#audio.play().catch(() => {});
    announce(`Playing ${track.title}`);
  }

  #mark(button) {
    this.#playing?.setAttribute("aria-pressed", "false");
    this.#playing?.closest("tr").classList.remove("playing");
    this.#playing = button;
    button?.setAttribute("aria-pressed", "true");
    button?.closest("tr").classList.add("playing");
  }

  /** Ask for the tags of a track in a dialog; several are separated by semicolons. */
  #tag(track, row) {
    const facts = track.facts ?? {};
    const fields = TAGS.map(([column, label, example]) => {
      const value = facts[column] ?? "";
      return { column, before: Array.isArray(value) ? value.join("; ") : value, input: h("input", { type: "text", id: `tag-${column}`, placeholder: example, maxlength: "1000" }), label };
    });
    for (const { input, before } of fields) input.value = before;
    const error = h("p", { class: "reason", role: "alert" });
    const form = h("form", { onsubmit: (event) => (event.preventDefault(), save()) },
      h("h2", { id: "tag-heading" }, `Tags of ${track.title}`), h("p", {}, "Several values are separated by semicolons. They replace what the file's own tags and the analysis say."),
      fields.flatMap(({ label, input }) => [h("label", { for: input.id }, label), input]), error,
      h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, "Save"), h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel")));
    const dialog = h("dialog", { "aria-labelledby": "tag-heading", onclose: () => dialog.remove() }, form);
    const save = async () => {
      const changed = fields.filter(({ before, input }) => input.value.trim() !== before);
      try {
        if (changed.length) {
          const parts = (text) => text.split(";").map((part) => part.trim()).filter(Boolean);
          const value = ({ column, input }) => (LISTS.includes(column) ? parts(input.value) : input.value.trim());
          const body = { facts: Object.fromEntries(changed.map((field) => [field.column, field.input.value.trim() ? value(field) : null])) };
          const now = this.#row(await call("PATCH", `/v1/tracks/${track.key}`, { body }));
          row.replaceWith(now);
          now.querySelector(".row-actions button").focus();
          toast(`The tags of ${track.title} were saved`);
        }
        dialog.close();
      } catch (problem) {
        error.textContent = problem.message;
      }
    };
    document.body.append(dialog);
    dialog.showModal();
  }

  async #remove(track, row) {
    if (!confirm(`Remove ${track.title} from the library? Its file stays.`)) return;
    try {
      await request("DELETE", `/v1/tracks/${track.key}`);
      const next = row.nextElementSibling ?? row.previousElementSibling;
      row.remove();
      next?.querySelector("button")?.focus();
      toast(`${track.title} was removed; its file stays`);
    } catch (error) {
      toast(error.message, { error: true });
    }
  }
}

/** Grey rows while the tracks are read. */
const skeletons = (num) => Array.from({ length: num }, () => h("tr", { class: "skeleton-row", "aria-hidden": "true" }, h("td", {}, h("div")), h("td", { colSpan: 4 }, h("div")), h("td", {}, h("div"))));
