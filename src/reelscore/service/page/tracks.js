// The ranked tracks: rows, the chosen one, and what is played by hover and keys.

import { get, later } from "./api.js";
import { announce, clamp, h, icon, iconButton, time } from "./dom.js";
import { waveform } from "./waveform.js";

const HOVER_MS = 120;
const FITS = { good: "fits well", poor: "fits poorly" };

/** The list; `actions` has `like(match)`, `unlike(match)` and `moved(match)`. */
export class TrackList {
  element = h("ol", { class: "tracks", "aria-label": "Ranked tracks" });
  hover = true;
  #player;
  #actions;
  #rows = [];

  constructor(player, actions) {
    this.#player = player;
    this.#actions = actions;
    player.addEventListener("track", () => this.#mark());
    player.addEventListener("state", () => this.#mark());
    player.addEventListener("time", () => this.#showHead());
    this.element.addEventListener("pointerleave", () => clearTimeout(this.waiting));
  }

  get matches() {
    return this.#rows.map((row) => row.match);
  }

  get current() {
    return this.#rows.findIndex((row) => row.match === this.#player.track);
  }

  /** Show matches in place of the others, or after them. */
  show(matches, { append = false, length_s }) {
    if (!append) {
      const playing = this.#player.track?.key;
      this.#rows = [];
      this.element.replaceChildren();
      this.#add(matches, length_s);
      const same = this.#rows.find((row) => row.match.key === playing) ?? this.#rows[0];
      this.#player.choose(same?.match ?? null);
    } else {
      this.#add(matches, length_s);
    }
    this.#player.setTracks(this.matches);
    this.#mark();
  }

  /** Show grey rows while tracks are ranked. */
  showLoading(num = 6) {
    this.#rows = [];
    const row = () => h("li", { class: "row skeleton", "aria-hidden": "true" }, h("div"), h("div"), h("div"));
    this.element.replaceChildren(...Array.from({ length: num }, row));
  }

  clear() {
    this.#rows = [];
    this.element.replaceChildren();
    this.#player.setTracks([]);
    this.#player.choose(null);
  }

  /** Take a track and play it; `focus` moves the focus with it. */
  async play(index, { focus = false } = {}) {
    const row = this.#rows[index];
    if (!row) return;
    this.#player.choose(row.match);
    row.element.scrollIntoView({ block: "nearest" });
    if (focus) row.button.focus({ preventScroll: true });
    announce(`${row.match.rank}. ${row.match.title}${row.match.artist ? ` by ${row.match.artist}` : ""}, from ${time(row.match.start_s)}`);
    await this.#player.play();
  }

  step(by) {
    const focus = this.element.contains(document.activeElement);
    return this.play(clamp(this.current + by, 0, this.#rows.length - 1), { focus });
  }

  #add(matches, length_s) {
    for (const match of matches) {
      match.best_s = match.start_s;
      const row = this.#row(match, length_s);
      this.#rows.push(row);
      this.element.append(row.element);
    }
    for (const row of matches.length ? this.#rows.slice(-matches.length) : []) later(() => this.#details(row));
  }

  #row(match, length_s) {
    const toggle = () => (this.#player.track === match && this.#player.playing ? this.#player.pause() : this.play(this.#rows.indexOf(row)));
    const by = match.artist ? ` by ${match.artist}` : "";
    const button = h("button", { type: "button", class: "take", tabindex: "-1", onclick: toggle }, h("span", { class: "rank" }, String(match.rank)), icon("play"), icon("pause"));
    const span = h("span", { class: "span" });
    const reset = iconButton("reset", `Back to the suggested start of ${match.title}`, () => move(match.best_s), { tabindex: "-1" });
    const wave = waveform(match, {
      length_s,
      moving: (start) => showSpan(start),
      moved: (start) => move(start),
    });
    const showSpan = (start) => {
      const end = Math.min(start + length_s, match.duration_s);
      span.textContent = `${time(start)} – ${time(end)}`;
      reset.hidden = Math.abs(start - match.best_s) < 0.01;
    };
    const move = (start) => {
      if (start === match.start_s) return;
      match.start_s = start;
      wave.setStart(start);
      showSpan(start);
      if (this.#player.track === match) this.#player.restart();
      else this.#player.setTracks(this.matches);
      this.#actions.moved(match);
    };
    const facts = h("p", { class: "facts" });
    const reasons = [...match.reasons.map((text) => h("li", {}, text)), ...match.violations.map((text) => h("li", { class: "but" }, `not: ${text}`))];
    if (match.fit && FITS[match.fit]) reasons.unshift(h("li", { class: match.fit }, FITS[match.fit]));
    const element = h(
      "li",
      { class: "row" },
      button,
      h("div", { class: "names" }, h("h3", {}, match.title), facts),
      h(
        "div",
        { class: "likes" },
        iconButton("like", `More like ${match.title}`, () => this.#actions.like(match), { tabindex: "-1" }),
        iconButton("unlike", `Less like ${match.title}`, () => this.#actions.unlike(match), { tabindex: "-1" }),
      ),
      h("div", { class: "sound" }, wave.element, h("p", { class: "where" }, span, reset)),
      reasons.length ? h("ul", { class: "reasons", "aria-label": "Reasons" }, reasons) : null,
    );
    element.addEventListener("pointerenter", (event) => {
      clearTimeout(this.waiting);
      if (event.pointerType !== "mouse" || !this.hover || !this.#player.playing || event.buttons) return;
      this.waiting = setTimeout(() => this.#player.playing && this.play(this.#rows.indexOf(row)), HOVER_MS);
    });
    const row = { match, element, button, wave, facts, by };
    showSpan(match.start_s);
    this.#showFacts(row, match.facts ?? {});
    return row;
  }

  #showFacts({ match, facts }, known) {
    const parts = [match.artist, time(match.duration_s), known.bpm && `${Math.round(known.bpm)} bpm`, known.key, known.licence];
    facts.replaceChildren(...parts.filter(Boolean).map((part) => h("span", {}, part)));
  }

  /** Read waveform and facts of a row; without them it can still be played. */
  async #details(row) {
    if (!row.element.isConnected) return;
    const { key } = row.match;
    const [peaks, track] = await Promise.all([
      get(`/v1/tracks/${key}/peaks?points=480`).catch(() => null),
      row.match.facts ? null : get(`/v1/tracks/${key}`).catch(() => null),
    ]);
    if (peaks) row.wave.setPeaks(peaks.peaks);
    if (track?.facts) this.#showFacts(row, track.facts);
  }

  #mark() {
    const { track, playing } = this.#player;
    for (const row of this.#rows) {
      const on = row.match === track;
      row.element.classList.toggle("on", on);
      row.element.classList.toggle("playing", on && playing);
      if (on) row.element.setAttribute("aria-current", "true");
      else row.element.removeAttribute("aria-current");
      row.button.setAttribute("aria-label", `${on && playing ? "Pause" : "Play"} ${row.match.title}${row.by}, rank ${row.match.rank}`);
      for (const control of row.element.querySelectorAll("button, [role=slider]")) control.tabIndex = on ? 0 : -1;
      if (!on) row.wave.setHead(null);
    }
    this.#showHead();
  }

  #showHead() {
    const row = this.#rows[this.current];
    if (row) row.wave.setHead(row.match.start_s + this.#player.position);
  }
}
