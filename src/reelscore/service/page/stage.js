// The video: drop zone, upload, analysis, picture, and what to do when one of them fails.

import { call, get, request, upload } from "./api.js";
import { announce, blank, h, icon, plural, progressBar, setProgress, size, toast } from "./dom.js";

/** The stage; `open(id)` is called for a new video and `removed()` when it was deleted. */
export class Stage {
  picture = h("video", { playsInline: true, preload: "auto", tabindex: "-1", "aria-label": "The video" });
  video = null;
  #actions;
  #input = h("input", { type: "file", accept: "video/*,.mkv,.avi,.ts,.flv,.mxf", class: "hidden", id: "file", tabindex: "-1", "aria-hidden": "true" });
  #upload = null; // {id, file, abort, bytes}
  #parts = {};
  #roots = [];

  constructor(actions) {
    this.#actions = actions;
    this.#input.addEventListener("change", () => {
      if (this.#input.files.length) this.send(this.#input.files[0]);
      this.#input.value = "";
    });
    this.element = h("div", { class: "stage" });
    this.#listenForDrops();
    this.showEmpty();
  }

  pick() {
    this.#input.click();
  }

  #listenForDrops() {
    let depth = 0;
    const over = (on) => document.documentElement.classList.toggle("dropping", on);
    document.addEventListener("dragenter", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      depth += 1;
      over(true);
    });
    document.addEventListener("dragleave", () => {
      depth = Math.max(0, depth - 1);
      if (!depth) over(false);
    });
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      depth = 0;
      over(false);
      const [file] = event.dataTransfer.files;
      if (file) this.send(file);
    });
  }

  showEmpty() {
    this.video = null;
    const choose = h("button", { type: "button", class: "primary large", onclick: () => this.pick() }, icon("upload"), h("span", {}, "Choose a video"));
    this.#show("empty", h("div", { class: "drop" }, icon("film"), h("h2", { class: "display" }, "Drop a video, hear its music"), h("p", {}, "Ten tracks play under it, in sync, each from the moment that fits."), choose, this.#pathForm()));
  }

  /** Set the folders of the service's machine below which videos may be named. */
  setRoots(roots) {
    if (String(roots) === String(this.#roots)) return;
    this.#roots = roots;
    if (this.element.dataset.state === "empty") this.showEmpty();
  }

  /** A field for a video that the service's machine has already. */
  #pathForm() {
    if (!this.#roots.length) return null;
    const path = h("input", { type: "text", id: "video-path", placeholder: "/srv/media/holiday.mp4", autocomplete: "off", spellcheck: "false", maxlength: "4096", required: true });
    const open = async (event) => {
      event.preventDefault();
      try {
        this.#actions.open((await call("POST", "/v1/videos", { body: { path: path.value.trim() } })).id);
      } catch (error) {
        toast(error.message, { error: true });
      }
    };
    return h("details", { class: "on-server" }, h("summary", {}, "Or open one on the server"), h("form", { class: "line", onsubmit: open }, h("label", { class: "hidden", for: "video-path" }, "Path of a video on the server"), path, h("button", { type: "submit", class: "button" }, "Open")), h("small", {}, `Below ${this.#roots.join(" or ")}`));
  }

  /** Upload a file; one of the same name and size that was interrupted goes on. */
  async send(file) {
    const abort = new AbortController();
    const current = { id: null, file, abort, bytes: 0 };
    this.#upload?.abort.abort();
    this.#upload = current;
    this.#showUpload(file.name, file.size);
    try {
      const { videos } = await get("/v1/videos");
      const begun = videos.find((video) => video.state === "uploading" && video.name === file.name && video.size_bytes === file.size);
      await upload(file, {
        video: begun,
        signal: abort.signal,
        started: (id) => {
          current.id = id;
          this.#actions.open(id);
        },
        progress: (bytes) => {
          current.bytes = bytes;
          this.#showBytes();
        },
      });
      announce("The video has arrived");
    } catch (error) {
      if (this.#upload === current) this.#upload = null;
      if (error.name === "AbortError") return;
      this.showFailed(`${file.name} was not uploaded`, error.message, () => this.send(file));
    } finally {
      if (this.#upload === current) this.#upload = null;
    }
    if (current.id) this.#actions.refresh(current.id);
  }

  #showUpload(name, bytes) {
    const bar = progressBar(`Upload of ${name}`, 0);
    const text = h("p", {}, `0 of ${size(bytes)}`);
    this.#parts = { bar, text, started: performance.now() };
    const cancel = h("button", { type: "button", class: "button", onclick: () => this.#cancel() }, "Cancel");
    this.#show("uploading", h("div", { class: "drop" }, icon("upload"), h("h2", {}, name), bar, text, cancel));
    announce(`Uploading ${name}`);
  }

  #showBytes() {
    const { file, bytes } = this.#upload ?? {};
    const { bar, text, started } = this.#parts;
    if (!file || !bar?.isConnected) return;
    setProgress(bar, bytes / file.size);
    const rate = bytes / (performance.now() - started);
    const left = Math.ceil((file.size - bytes) / rate / 1000);
    const more = left > 2 && Number.isFinite(left) ? `, ${left < 90 ? plural(left, "second") : plural(Math.round(left / 60), "minute")} left` : "";
    text.textContent = `${size(bytes)} of ${size(file.size)}${more}`;
  }

  async #cancel() {
    const { id, abort } = this.#upload ?? {};
    abort?.abort();
    if (id) await request("DELETE", `/v1/videos/${id}`).catch(() => {});
    this.#actions.removed();
  }

  /** Show a video in its state. */
  showVideo(video) {
    const before = this.video;
    this.video = video;
    if (video.state === "uploading") {
      if (this.#upload?.id === video.id) return;
      this.#showInterrupted(video);
    } else if (video.state === "failed") {
      this.showFailed(`${video.name} cannot be used`, video.reason ?? "", null);
    } else if (before?.id !== video.id || before.state !== video.state || !this.picture.isConnected) {
      const busy = video.state === "analysing";
      const badge = busy ? h("p", { class: "badge" }, h("span", { class: "spinner", "aria-hidden": "true" }), "Looking at the pictures…") : null;
      const big = h("button", { type: "button", class: "big", "aria-label": "Play or pause", tabindex: "-1", hidden: busy, onclick: () => this.#actions.toggle() }, icon("play"));
      this.#show("shown", this.picture, big, badge);
      if (busy) announce(`Looking at the pictures of ${video.name}`);
    }
  }

  #showInterrupted(video) {
    const share = Math.round((100 * video.received_bytes) / video.size_bytes);
    this.#show("uploading", blank("upload", `The upload of ${video.name} stopped at ${share} %`, "Choose the same file, and it continues there.",
      h("button", { type: "button", class: "primary", onclick: () => this.pick() }, "Choose the file"),
      h("button", { type: "button", class: "button", onclick: () => this.#actions.remove(video) }, "Delete the upload")));
  }

  showFailed(heading, reason, again) {
    announce(`${heading}. ${reason}`);
    this.#show("failed", blank("warning", heading, reason,
      again && h("button", { type: "button", class: "primary", onclick: again }, "Try again"),
      h("button", { type: "button", class: again ? "button" : "primary", onclick: () => this.pick() }, "Choose another video"),
      this.video && h("button", { type: "button", class: "button", onclick: () => this.#actions.remove(this.video) }, "Delete it")));
  }

  #show(state, ...children) {
    this.element.dataset.state = state;
    this.element.replaceChildren(...children.filter(Boolean), this.#input);
  }
}

/** Ask for the videos of the last day, to open one of them again. */
export async function recentVideos(open, remove) {
  const { videos } = await get("/v1/videos");
  const item = (video) => {
    const picture = video.state === "ready" ? h("img", { src: `/v1/videos/${video.id}/thumbnail?at_s=1&short_side_px=96`, alt: "", loading: "lazy" }) : h("span", { class: "still" }, icon(video.state === "failed" ? "warning" : "film"));
    const state = { ready: "", analysing: "being analysed", uploading: "not complete", failed: "cannot be used" }[video.state];
    const button = h("button", { type: "button", class: "recent", onclick: () => open(video.id) }, picture, h("span", {}, h("strong", {}, video.name), h("small", {}, [state, size(video.size_bytes)].filter(Boolean).join(" · "))));
    const trash = h("button", { type: "button", class: "icon-button", "aria-label": `Delete ${video.name}`, title: "Delete", onclick: () => remove(video) }, icon("trash"));
    return h("li", {}, button, trash);
  };
  return videos.slice(0, 8).map(item);
}

export const confirmDelete = (name) => confirm(`Delete ${name}? The file, what was found out about it and its exports are deleted from the service.`);

export async function deleteVideo(video) {
  try {
    await request("DELETE", `/v1/videos/${video.id}`);
    toast(`${video.name} was deleted`);
    return true;
  } catch (error) {
    if (error.status === 404) return true;
    toast(error.message, { error: true });
    return false;
  }
}
