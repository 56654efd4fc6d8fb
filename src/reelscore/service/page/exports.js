// Render and export: the original sound, the fit, the format, and the jobs of a video.

import { call, get, patiently, request } from "./api.js";
import { announce, copy, h, icon, iconButton, progressBar, setProgress, time, toast } from "./dom.js";
import { renderCommand } from "./command.js";
import { wording } from "./wording.js";

const SOUNDS = [
  ["drop", "Music only"],
  ["keep", "Both"],
  ["lower", "Original quiet"],
  ["duck", "Music ducks"],
];
const FORMATS = {
  "Video": [["mp4", "MP4"], ["mov", "QuickTime (.mov)"], ["mkv", "Matroska (.mkv)"]],
  "Timeline": [["fcpxml", "Final Cut Pro (.fcpxml)"], ["xml", "Premiere, Resolve (.xml)"], ["otio", "OpenTimelineIO (.otio)"], ["edl", "EDL (.edl)"]],
  "Plan": [["json", "Edit plan (.json)"]],
};
const FIT_HINT = "Its own ending ends the video";
const NAMES = Object.fromEntries(Object.values(FORMATS).flat());

export class Exports {
  #player;
  #video = null;
  #track = null;
  #jobs = new Map();
  #list = h("ul", { class: "jobs", "aria-label": "Exports" });
  #format = h("select", { id: "format" }, Object.entries(FORMATS).map(([label, formats]) => h("optgroup", { label }, formats.map(([value, name]) => h("option", { value }, name)))));
  #fit = h("input", { type: "checkbox", id: "fit", role: "switch", "aria-describedby": "fit-hint", onchange: () => this.#showFit() });
  #fitHint = h("small", { id: "fit-hint" }, FIT_HINT);
  #planned = ""; // what the hint is about
  #render = h("button", { type: "submit", class: "primary" }, icon("film"), h("span", {}, "Render"));
  #sounds = h("div", { class: "segments" });
  #soundField = h("fieldset", {}, h("legend", {}, "Original sound"), this.#sounds);

  constructor(player) {
    this.#player = player;
    for (const [value, label] of SOUNDS) {
      const input = h("input", { type: "radio", name: "sound", value, checked: value === "drop", onchange: () => player.setSound(value) });
      this.#sounds.append(h("label", {}, input, h("span", {}, label)));
    }
    this.#format.addEventListener("change", () => this.#name());
    const command = iconButton("copy", "Copy the render command", () => copy(renderCommand(this.#options(), this.#video, this.#track), "Command"));
    this.element = h(
      "form",
      { class: "exports", "aria-label": "Render and export", onsubmit: (event) => (event.preventDefault(), this.render()) },
      h(
        "div",
        { class: "options" },
        this.#soundField,
        h("div", { class: "fit" }, h("label", { class: "switch", for: "fit" }, this.#fit, h("span", {}, "Fit to length")), this.#fitHint),
      ),
      h(
        "div",
        { class: "export" },
        h("label", { class: "hidden", for: "format" }, "Format"),
        this.#format,
        this.#render,
        command,
      ),
      this.#list,
    );
  }

  get sound() {
    return this.element.elements.sound.value;
  }

  setVideo(video) {
    if (video?.id !== this.#video?.id) {
      this.#jobs.clear();
      this.#list.replaceChildren();
      if (video) this.#load(video.id);
      // Pictures are copied, and an mp4 file cannot hold these.
      if (["vp8", "theora"].includes(video?.media?.video?.codec)) this.#format.value = "mkv";
    }
    this.#video = video;
    this.#soundField.hidden = !video?.media?.audio;
    if (this.#soundField.hidden) this.#player.setSound("drop");
    else this.#player.setSound(this.sound);
    this.#showFit();
  }

  setTrack(track) {
    this.#track = track;
    this.#render.disabled = !track;
    this.#showFit();
  }

  toggleFit() {
    this.#fit.checked = !this.#fit.checked;
    this.#fit.focus();
    this.#showFit();
  }

  /** Play the fitted version of the track where that is chosen, and say what it is made of. */
  async #showFit() {
    const video = this.#fit.checked && this.#video?.state === "ready" ? this.#video.id : null;
    this.#player.setFit(video);
    const query = video && this.#track ? `track=${this.#track.key}&start_s=${this.#track.start_s.toFixed(3)}` : "";
    if (query === this.#planned) return;
    this.#planned = query;
    this.#sayFit(query ? "Planning this version…" : FIT_HINT, query ? "busy" : "");
    if (!query) return;
    try {
      const { pieces } = await patiently(() => get(`/v1/videos/${video}/fit?${query}`));
      const seams = pieces.slice(1).map(({ at_s }) => time(at_s));
      const text = seams.length ? `Joined at ${seams.join(", ")}; its own ending ends the video` : "One part of the track; its own ending ends the video";
      if (query === this.#planned) this.#sayFit(text, "", { aloud: true });
    } catch (error) {
      if (query === this.#planned) this.#sayFit(wording(error.message), "reason", { aloud: true });
    }
  }

  #sayFit(text, className, { aloud = false } = {}) {
    this.#fitHint.textContent = text;
    this.#fitHint.className = className;
    if (aloud) announce(text);
  }

  async #load(video) {
    const { jobs } = await get(`/v1/jobs?video=${video}`).catch(() => ({ jobs: [] }));
    for (const job of jobs.reverse()) this.onJob(job);
  }

  #name() {
    const isVideo = FORMATS.Video.some(([value]) => value === this.#format.value);
    this.#render.lastChild.textContent = isVideo ? "Render" : "Export";
  }

  #options() {
    return { sound: this.#video?.media?.audio ? this.sound : "drop", fit: this.#fit.checked, format: this.#format.value };
  }

  async render() {
    if (!this.#track || !this.#video) return;
    const body = { ...this.#options(), video: this.#video.id, track: this.#track.key, start_s: this.#track.start_s };
    try {
      this.onJob(await call("POST", "/v1/renders", { body, headers: { "idempotency-key": crypto.randomUUID() } }), this.#track);
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  /** Show a job, new or changed. */
  onJob(job) {
    if (job.kind !== "render" || job.video !== this.#video?.id) return;
    if (job.state === "cancelled") {
      this.#jobs.get(job.id)?.remove();
      this.#jobs.delete(job.id);
      return;
    }
    const before = this.#jobs.get(job.id);
    const row = before ?? h("li");
    if (before?.dataset.state === job.state && job.state === "running") {
      const bar = row.querySelector("[role=progressbar]");
      setProgress(bar, job.progress.total ? job.progress.done / job.progress.total : null);
      return;
    }
    if (before && before.dataset.state !== job.state && job.state === "done") toast("The export is ready");
    row.dataset.state = job.state;
    row.replaceChildren(...this.#parts(job));
    if (!before) this.#list.prepend(row);
    this.#jobs.set(job.id, row);
  }

  #parts(job) {
    const { track, format, start_s, fit } = job.arguments;
    const title = h("strong", {}, "Track");
    titleOf(track).then((text) => title.replaceChildren(text));
    const what = h("span", { class: "what" }, title, h("small", {}, [NAMES[format] ?? format, `from ${time(start_s)}`, fit && "fitted"].filter(Boolean).join(" · ")));
    if (job.state === "done") {
      const file = h("a", { class: "button", href: `/v1/jobs/${job.id}/file`, download: "" }, icon("download"), h("span", {}, "Download"));
      const notes = (job.result?.notes ?? []).map((note) => h("small", { class: "note" }, wording(note)));
      return [what, file, ...notes];
    }
    if (job.state === "failed") return [what, h("p", { class: "reason" }, icon("warning"), wording(job.reason))];
    const label = job.state === "queued" ? "Waiting" : "Rendering";
    const bar = progressBar(label, job.progress.total ? job.progress.done / job.progress.total : null);
    const cancel = iconButton("close", "Cancel the export", () => request("DELETE", `/v1/jobs/${job.id}`).catch((error) => toast(error.message, { error: true })));
    return [what, bar, cancel];
  }
}

const titles = new Map();
/** Title of a track; the key's first characters once it was removed. */
export function titleOf(key) {
  if (!titles.has(key)) titles.set(key, get(`/v1/tracks/${key}`).then((track) => track.title, () => `Track ${key.slice(0, 8)}`));
  return titles.get(key);
}
