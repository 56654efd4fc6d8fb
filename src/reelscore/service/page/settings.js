// Settings: appearance and keys of this browser; model, encoders and licences of the service.

import { get, request } from "./api.js";
import { blank, h, size } from "./dom.js";

const KEYS = [
  ["↑ ↓", "play the track above or below"],
  ["Space", "play or pause"],
  ["← →", "one second back or forward; in a waveform, move the moment"],
  ["1 … 9", "play the track of that rank"],
  ["L", "more like this track"],
  ["N", "less like this track"],
  ["F", "fit to length"],
  ["R", "render or export"],
  ["/", "describe the music"],
];

export class Settings {
  #library = null;

  constructor(session) {
    this.session = session;
    this.model = h("dl", { class: "facts-list" });
    this.encoders = h("div");
    this.limits = h("dl", { class: "facts-list" });
    this.element = h("div", { class: "page settings" }, h("div", { class: "page-head" }, h("h1", {}, "Settings")), this.#appearance(), this.#keys(),
      h("section", {}, h("h2", {}, "Model"), this.model), h("section", {}, h("h2", {}, "Encoders and licences"), this.encoders), h("section", {}, h("h2", {}, "Service"), this.limits));
  }

  setLibrary(library) {
    this.#library = library;
    if (this.element.isConnected) this.#showModel();
  }

  async show() {
    this.#showModel();
    try {
      const found = await get("/v1/settings");
      this.#showEncoders(found);
      const hours = found.limits.keep_s / 3600;
      this.limits.replaceChildren(...facts({
        "Version": found.version,
        "Signed in as": this.session.keys ? `${this.session.name}, ${this.session.role}` : "no keys are needed on this machine",
        "Largest upload": size(found.limits.upload_bytes),
        "Videos are deleted after": `${Number(hours.toFixed(2))} hours`,
      }));
    } catch (error) {
      this.encoders.replaceChildren(blank("warning", "The settings cannot be read", error.message));
    }
    if (this.session.keys && !this.signOut) {
      this.signOut = h("button", { type: "button", class: "button", onclick: () => request("DELETE", "/v1/session").then(() => location.reload()) }, "Sign out");
      this.limits.after(this.signOut);
    }
  }

  #showModel() {
    const library = this.#library;
    if (!library?.model) return;
    this.model.replaceChildren(...facts({
      "Model": library.model.name,
      "Trained": library.model.trained ? "yes, on pairs of video and music" : "no, it ranks zero-shot",
      "Reads text": library.reads_text ? "yes" : "no; a pack of encoders does (reelscore encoders pull)",
      "Encoder": library.encoder,
      "Library": library.path,
    }));
  }

  #showEncoders({ encoders, notes }) {
    const row = (encoder) => h("tr", {}, h("td", {}, h("strong", {}, encoder.name)), h("td", {}, encoder.kind), h("td", {}, encoder.part), h("td", { class: "number" }, String(encoder.dim)), h("td", {}, encoder.licence));
    const head = ["Name", "Kind", "For", "Dimensions", "Licence"].map((text) => h("th", { scope: "col", class: text === "Dimensions" ? "number" : "" }, text));
    this.encoders.replaceChildren(h("table", {}, h("caption", { class: "hidden" }, "Encoders"), h("thead", {}, h("tr", {}, head)), h("tbody", {}, encoders.map(row))), ...notes.map((note) => h("p", { class: "reason" }, note)));
  }

  #appearance() {
    const root = document.documentElement;
    const choose = (value) => {
      if (value) root.dataset.scheme = value;
      else delete root.dataset.scheme;
      if (value) localStorage.setItem("scheme", value);
      else localStorage.removeItem("scheme");
    };
    const option = ([value, label]) => h("label", {}, h("input", { type: "radio", name: "scheme", value, checked: (root.dataset.scheme ?? "") === value, onchange: () => choose(value) }), h("span", {}, label));
    return h("section", {}, h("h2", {}, "Appearance"), h("fieldset", {}, h("legend", { class: "hidden" }, "Colours"), h("div", { class: "segments" }, [["", "As the system"], ["light", "Light"], ["dark", "Dark"]].map(option))));
  }

  #keys() {
    const on = localStorage.getItem("shortcuts") !== "off";
    const toggle = h("input", { type: "checkbox", role: "switch", id: "shortcuts", checked: on, onchange: (event) => localStorage.setItem("shortcuts", event.target.checked ? "on" : "off") });
    return h("section", {}, h("h2", {}, "Keys"), h("label", { class: "switch", for: "shortcuts" }, toggle, h("span", {}, "Letters and digits are shortcuts")),
      h("dl", { class: "keys" }, KEYS.map(([key, text]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)))));
  }
}

const facts = (named) => Object.entries(named).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
