// The view that matches: the video on the left, the ranked tracks on the right.

import { call, events, get, later, patiently } from "./api.js";
import { matchCommand } from "./command.js";
import { announce, blank, copy, h, icon, iconButton, plural, time } from "./dom.js";
import { Exports, titleOf } from "./exports.js";
import { Filters } from "./filters.js";
import { Player } from "./player.js";
import { Stage, confirmDelete, deleteVideo, recentVideos } from "./stage.js";
import { TrackList } from "./tracks.js";
import { seekSlider } from "./waveform.js";
import { wording } from "./wording.js";

const PAGE = 10;
const NUM_STILLS = 8;

export class Match {
  #video = null;
  #query = { video: null, text: "", where: [], like: [], unlike: [] };
  #library = null;
  #searching = null; // AbortController
  #next = null;
  #ranked = ""; // the query of the shown tracks

  constructor() {
    this.stage = new Stage({
      open: (id) => this.#go({ video: id }),
      refresh: (id) => id === this.#query.video && this.#readVideo(id),
      removed: () => this.#go({ video: null }),
      remove: (video) => this.#remove(video),
      toggle: () => this.player.toggle(),
    });
    this.player = new Player(this.stage.picture);
    this.tracks = new TrackList(this.player, {
      like: (match) => this.#judge(match, "like"),
      unlike: (match) => this.#judge(match, "unlike"),
      moved: () => this.#showNow(),
    });
    this.exports = new Exports(this.player);
    this.filters = new Filters((where) => this.#go({ where }));
    this.#build();
    this.player.addEventListener("time", () => this.#showTime());
    this.player.addEventListener("state", () => this.#showState());
    this.player.addEventListener("track", () => this.#showNow());
    events.addEventListener("video", ({ detail }) => this.#onVideo(detail));
    events.addEventListener("job", ({ detail }) => this.exports.onJob(detail));
    events.addEventListener("reset", () => this.#query.video && this.#readVideo(this.#query.video));
  }

  #build() {
    this.seek = seekSlider({ seek: (to) => this.player.seek(to) });
    this.toggle = h("button", { type: "button", class: "round", "aria-label": "Play", onclick: () => this.player.toggle() }, icon("play"), icon("pause"));
    this.clock = h("p", { class: "clock" }, h("b", {}, "0:00"), h("span", {}));
    this.now = h("p", { class: "now" }, h("strong", {}), h("span", {}));
    this.close = iconButton("close", "Close this video", () => this.#go({ video: null }));
    this.trash = iconButton("trash", "Delete this video", () => this.#video && this.#remove(this.#video));
    this.transport = h("div", { class: "transport" }, this.seek.element, h("div", { class: "controls" }, this.toggle, this.now, this.clock, this.close, this.trash));
    this.text = h("input", { type: "search", id: "text", placeholder: "Describe the music: calm piano, no drums", autocomplete: "off", maxlength: "2000" });
    this.find = h("button", { type: "submit", class: "button" }, "Find");
    const form = h("form", { class: "search", role: "search", onsubmit: (event) => (event.preventDefault(), this.#go({ text: this.text.value.trim() })) },
      h("label", { class: "hidden", for: "text" }, "Describe the music"), icon("search"), this.text, this.find);
    this.text.addEventListener("search", () => !this.text.value && this.#query.text && this.#go({ text: "" }));
    this.likes = h("div", { class: "chips likes-chosen" });
    this.heading = h("h2", {}, "");
    const hover = h("input", { type: "checkbox", role: "switch", id: "hover", checked: true, onchange: (event) => (this.tracks.hover = event.target.checked) });
    this.command = iconButton("copy", "Copy the command for these tracks", () => copy(matchCommand({ ...this.#query, video: this.#video }, this.#library?.path ?? "LIBRARY"), "Command"));
    this.head = h("div", { class: "results-head" }, this.heading, h("label", { class: "switch", for: "hover" }, hover, h("span", {}, "Play on hover")), this.command);
    this.notes = h("ul", { class: "notes" });
    this.more = h("button", { type: "button", class: "button more", onclick: () => this.#search({ append: true }) }, "Show more");
    this.fresh = h("button", { type: "button", class: "button fresh", onclick: () => this.#search({}) }, icon("reset"), h("span", {}));
    this.aside = h("div", { class: "aside" });
    this.left = h("section", { class: "left", "aria-label": "Video" }, h("div", { class: "player" }, this.stage.element, this.transport), this.exports.element);
    this.right = h("section", { class: "right", "aria-label": "Tracks" }, form, this.filters.element, this.likes, this.head, this.notes, this.fresh, this.tracks.element, this.aside, this.more);
    this.title = h("h1", { class: "hidden" });
    this.element = h("div", { class: "match" }, this.title, this.left, this.right);
    this.more.hidden = this.fresh.hidden = true;
  }

  /** Show what an address names. */
  show({ video, text, where, like, unlike }) {
    const before = this.#query;
    this.#query = { video, text, where, like, unlike };
    this.text.value = text;
    this.filters.setWhere(where);
    if (JSON.stringify(where) !== JSON.stringify(before.where)) this.#readFacets();
    this.#showLikes();
    if (video !== before.video || (video && !this.#video)) {
      this.#video = null;
      this.#ranked = "";
      this.tracks.clear();
      if (video) this.#readVideo(video);
      else {
        this.stage.showEmpty();
        this.player.load(null, 0);
        this.exports.setVideo(null);
      }
    }
    this.#showParts();
    this.#search({});
  }

  /** The library has changed. */
  setLibrary(library) {
    const before = this.#library?.num_tracks;
    this.#library = library;
    this.text.disabled = this.find.disabled = library.reads_text === false;
    if (this.text.disabled) this.text.placeholder = "Text search needs a pack (see Settings)";
    this.stage.setRoots(library.roots ?? []);
    if (before !== library.num_tracks || !library.indexing) this.#readFacets();
    if (before === library.num_tracks) return;
    if (!this.tracks.matches.length) {
      if (!this.#searching) this.#search({});
    } else if (before !== undefined) {
      this.fresh.hidden = false;
      this.fresh.lastChild.textContent = `${plural(library.num_tracks, "track")} now: rank again`;
    }
  }

  /** Read how many tracks each filter leaves next to the others. */
  async #readFacets() {
    const { where } = this.#query;
    const query = new URLSearchParams(where.map((filter) => ["where", filter]));
    const found = await get(`/v1/library/facets?${query}`).catch(() => null);
    if (found && String(where) === String(this.#query.where)) this.filters.setColumns(found.columns);
  }

  #go(changes) {
    const { video, text, where, like, unlike } = { ...this.#query, ...changes };
    const query = new URLSearchParams();
    if (text) query.set("text", text);
    for (const [name, values] of Object.entries({ where, like, unlike })) for (const value of values) query.append(name, value);
    const rest = query.size ? `?${query}` : "";
    location.hash = video ? `/video/${video}${rest}` : `/${rest}`;
  }

  async #readVideo(id) {
    try {
      this.#onVideo(await get(`/v1/videos/${id}`));
    } catch (error) {
      if (id !== this.#query.video) return;
      this.#video = null;
      this.player.load(null, 0);
      this.stage.video = null;
      this.stage.showFailed(error.status === 404 ? "This video is gone" : "The video cannot be shown", error.status === 404 ? "It was deleted, or its time is over." : error.message, error.status === 404 ? null : () => this.#readVideo(id));
      this.#showParts();
    }
  }

  #onVideo(video) {
    if (video.id !== this.#query.video) {
      if (!this.#query.video && !this.#query.text) this.#showAside();
      return;
    }
    if (video.state === "deleted") {
      this.#readVideo(video.id);
      return;
    }
    const before = this.#video;
    this.#video = video;
    this.stage.showVideo(video);
    const shown = ["analysing", "ready"];
    if (shown.includes(video.state) && !shown.includes(before?.state)) {
      this.stage.picture.addEventListener("loadedmetadata", () => this.#setLength(this.stage.picture.duration), { once: true });
      this.player.load(`/v1/videos/${video.id}/media`, video.media?.video?.duration_s ?? 0);
    }
    if (video.state === "ready" && before?.state !== "ready") {
      this.#setLength(video.media.video?.duration_s ?? video.media.duration_s);
      this.#showStills(video);
      this.exports.setVideo(video);
    }
    if (video.state !== before?.state) this.#search({});
    this.#showParts();
  }

  #setLength(duration_s) {
    if (!Number.isFinite(duration_s)) return;
    if (!this.player.duration_s) this.player.duration_s = duration_s;
    this.seek.setLength(this.player.duration_s);
    this.clock.lastChild.textContent = ` / ${time(this.player.duration_s)}`;
  }

  #showStills({ id }) {
    const step = this.player.duration_s / NUM_STILLS;
    const stills = Array.from({ length: NUM_STILLS }, () => h("img", { alt: "" }));
    this.seek.pictures.replaceChildren(...stills);
    for (const [number, still] of stills.entries()) {
      later(() => {
        if (!still.isConnected) return;
        still.src = `/v1/videos/${id}/thumbnail?at_s=${(step * (number + 0.5)).toFixed(2)}&short_side_px=96`;
        return still.decode().catch(() => {});
      });
    }
  }

  async #search({ append = false }) {
    const { video, text, where, like, unlike } = this.#query;
    const asked = Boolean(text || like.length || unlike.length);
    const waits = video && this.#video?.state !== "ready";
    this.#searching?.abort();
    this.#searching = null;
    if (waits || !(video || asked)) {
      this.#ranked = "";
      if (waits && ["analysing", undefined].includes(this.#video?.state) && this.stage.element.dataset.state !== "failed") this.tracks.showLoading();
      else this.tracks.clear();
      this.#showParts();
      this.#showAside();
      return;
    }
    const ranked = JSON.stringify(this.#query);
    if (!append && ranked === this.#ranked && this.fresh.hidden) return;
    const { signal } = (this.#searching = new AbortController());
    this.aside.replaceChildren();
    this.fresh.hidden = true;
    if (!append && !this.tracks.matches.length) this.tracks.showLoading();
    this.tracks.element.setAttribute("aria-busy", "true");
    const body = { top: PAGE, offset: append ? this.#next : 0 };
    if (video) body.video = video;
    if (text) body.text = text;
    if (where.length) body.where = where;
    if (like.length) body.like = like;
    if (unlike.length) body.unlike = unlike;
    try {
      const found = await patiently(() => call("POST", "/v1/matches", { body, signal }), { signal, tries: 600 });
      this.#ranked = ranked;
      this.#showMatches(found, append);
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      this.#ranked = "";
      this.#showError(error);
    } finally {
      if (!signal.aborted) {
        this.#searching = null;
        this.tracks.element.removeAttribute("aria-busy");
      }
    }
    this.#showParts();
  }

  #showMatches(found, append) {
    const length_s = this.#query.video ? this.player.duration_s : Infinity;
    const isGuess = found.model.name === "affect";
    // All tracks would "fit well" by so few measures.
    const matches = isGuess ? found.matches.map((match) => ({ ...match, fit: null })) : found.matches;
    this.tracks.show(matches, { append, length_s });
    this.#next = found.next_offset;
    const number = this.tracks.matches.length;
    if (!number) this.aside.replaceChildren(blank("search", "No track found", found.notes[0] ?? "Ask for something else, or add music to the library."));
    this.heading.textContent = found.next_offset === null ? plural(number, "track") : `The best ${number} tracks`;
    const guess = isGuess && "A rough guess, by light, motion, loudness and tempo alone. Encoders that know what is seen and heard find better tracks: see Settings.";
    const notes = [guess, found.query.understood && `Understood as: ${found.query.understood}`, ...found.notes.map(wording)].filter(Boolean);
    this.notes.replaceChildren(...notes.map((note) => h("li", {}, note)));
    announce(`${plural(number, "track")} found`);
    if (!append) this.exports.setTrack(this.player.track);
  }

  #showError(error) {
    this.tracks.clear();
    this.notes.replaceChildren();
    const filtered = this.#query.where.length > 0;
    const clear = h("button", { type: "button", class: "primary", onclick: () => this.#go({ where: [] }) }, "Clear the filters");
    const again = h("button", { type: "button", class: "primary", onclick: () => this.#search({}) }, "Try again");
    if (filtered && error.status === 404) this.aside.replaceChildren(blank("search", "No track passes these filters", error.message, clear));
    else this.aside.replaceChildren(blank("warning", "The tracks cannot be ranked", error.message, again));
    announce(error.message);
  }

  #whatIsReady({ num_tracks, indexing }) {
    const link = (text) => h("a", { href: "#/library" }, text);
    if (num_tracks) return [h("b", {}, plural(num_tracks, "track")), " ready to match. ", link("Look at the library")];
    if (indexing) return ["Your music is being added. Drop a video meanwhile."];
    return ["The library has no tracks yet. ", link("Add music")];
  }

  /** Without a question: what there is to match, and the videos of before. */
  async #showAside() {
    if (this.#query.video || this.#query.text || this.#query.like.length) {
      this.aside.replaceChildren();
      return;
    }
    const items = await recentVideos((id) => this.#go({ video: id }), (video) => this.#remove(video)).catch(() => []);
    if (this.#query.video || this.#query.text) return;
    const line = this.#library && h("p", { class: "ready" }, ...this.#whatIsReady(this.#library));
    const recent = items.length ? [h("h2", {}, "Your videos"), h("ul", { class: "recents" }, items)] : [];
    const steps = items.length ? null : h("ol", { class: "steps" },
      h("li", {}, h("b", {}, "Drop a video."), " It stays on this service, and is deleted after a day."),
      h("li", {}, h("b", {}, "Listen."), " Point at a track or use the arrow keys; it plays under the picture at once."),
      h("li", {}, h("b", {}, "Take it."), " Move the moment, fit the length, and download the video or a timeline."));
    this.aside.replaceChildren(...[line, steps, ...recent].filter(Boolean));
  }

  async #remove(video) {
    if (!confirmDelete(video.name) || !(await deleteVideo(video))) return;
    if (video.id === this.#query.video) this.#go({ video: null });
    else this.#showAside();
  }

  #judge(match, how) {
    const others = (keys) => keys.filter((key) => key !== match.key);
    const query = { like: others(this.#query.like), unlike: others(this.#query.unlike) };
    query[how] = [...query[how], match.key];
    announce(`${how === "like" ? "More" : "Less"} like ${match.title}`);
    this.#go(query);
  }

  #showLikes() {
    const chip = (key, how) => {
      const name = h("span", {}, "…");
      titleOf(key).then((title) => name.replaceChildren(title));
      const drop = () => this.#go({ [how]: this.#query[how].filter((other) => other !== key) });
      return h("button", { type: "button", class: "chip", "aria-pressed": "true", title: "Remove", onclick: drop }, icon(how), h("span", {}, how === "like" ? "More like " : "Less like ", name), icon("close"));
    };
    this.likes.replaceChildren(...this.#query.like.map((key) => chip(key, "like")), ...this.#query.unlike.map((key) => chip(key, "unlike")));
    this.likes.hidden = !this.likes.childElementCount;
  }

  /** Show the parts that have something to show. */
  #showParts() {
    const some = this.tracks.matches.length > 0;
    const pictures = ["analysing", "ready"].includes(this.#video?.state);
    this.transport.hidden = !(pictures || some);
    this.exports.element.hidden = this.#video?.state !== "ready" || !some;
    this.filters.element.classList.toggle("unused", !this.#query.video && !some && !this.#query.where.length);
    this.head.hidden = this.notes.hidden = !some;
    this.more.hidden = !some || this.#next === null;
    this.close.hidden = !this.#query.video;
    this.trash.hidden = !this.#video;
    this.seek.element.hidden = !pictures && !some;
    this.element.classList.toggle("idle", !this.#query.video && !some);
    this.#showNow();
  }

  #showTime() {
    const position = this.player.position;
    this.seek.setPosition(position);
    const text = time(position);
    if (this.clock.firstChild.textContent !== text) this.clock.firstChild.textContent = text;
  }

  #showState() {
    const { playing } = this.player;
    this.element.classList.toggle("is-playing", playing);
    this.toggle.setAttribute("aria-label", playing ? "Pause" : "Play");
  }

  #showNow() {
    const track = this.player.track;
    this.title.textContent = this.#video ? `Music for ${this.#video.name}` : "Find music for a video";
    const [title, text] = this.now.children;
    title.textContent = track?.title ?? this.#video?.name ?? "";
    text.textContent = track ? [track.artist, `from ${time(track.start_s)}`].filter(Boolean).join(" · ") : "";
    this.exports.setTrack(track);
    if (!this.#query.video && track) this.#setLength(this.player.duration_s);
    this.#showTime();
  }

  /** Handle a key that no control has used; return whether it was used. */
  onKey(event) {
    const { player, tracks } = this;
    const keys = {
      ArrowDown: () => tracks.step(1),
      ArrowUp: () => tracks.step(-1),
      ArrowRight: () => player.seek(player.position + 1),
      ArrowLeft: () => player.seek(player.position - 1),
      " ": () => player.toggle(),
      Home: () => player.seek(0),
    };
    const letters = {
      l: () => player.track && this.#judge(player.track, "like"),
      n: () => player.track && this.#judge(player.track, "unlike"),
      f: () => this.exports.toggleFit(),
      r: () => this.exports.render(),
      "/": () => this.text.focus(),
    };
    const some = tracks.matches.length > 0;
    if (some && keys[event.key]) keys[event.key]();
    else if (event.key === "/" || (some && letters[event.key])) letters[event.key]();
    else if (some && /^[1-9]$/.test(event.key)) tracks.play(Number(event.key) - 1);
    else return false;
    return true;
  }
}
