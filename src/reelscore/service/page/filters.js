// Chips that filter the tracks, with the number of tracks of each.

import { h, icon } from "./dom.js";

const LABELS = {
  bpm: "Tempo", length_s: "Length", energy: "Energy", vocals: "Vocals", genre: "Genre", mood: "Mood",
  instruments: "Instruments", key: "Key", mode: "Mode", meter: "Meter", licence: "Licence", explicit: "Explicit",
};
const VOCALS = { no: "instrumental", yes: "vocals" };
const RANGES = {
  bpm: (low, high) => (low === null ? `below ${high} bpm` : high === null ? `above ${low} bpm` : `${low}–${high} bpm`),
  length_s: (low, high) => (low === null ? `below ${high / 60} min` : high === null ? `above ${low / 60} min` : `${low / 60}–${high / 60} min`),
  energy: (low, high) => (low === null ? "calm" : high === null ? "lively" : "medium"),
};
const SHORT = 8; // chips that are shown before "More filters"

const quoted = (text) => `'${text.replaceAll("'", "''")}'`;

/** Chips of the columns that divide the library: {column, label, where, count}; the count is that under the other filters. */
function chipsOf(columns) {
  const chips = [];
  for (const column of Object.keys(LABELS)) {
    const facet = columns[column];
    if (!facet) continue;
    for (const { low, high, count, total } of facet.ranges ?? []) {
      const where = low === null ? `${column} < ${high}` : high === null ? `${column} >= ${low}` : `${column} >= ${low} and ${column} < ${high}`;
      if (total && RANGES[column]) chips.push({ column, label: RANGES[column](low, high), where, count });
    }
    for (const { value, count } of (facet.values ?? []).slice(0, 12)) {
      const label = column === "vocals" ? VOCALS[value] ?? value : column === "explicit" ? (value === "true" ? "explicit" : "not explicit") : String(value);
      const where = facet.kind === "flag" ? `${column} = ${value}` : `${column} = ${quoted(String(value))}`;
      chips.push({ column, label, where, count });
    }
  }
  return chips;
}

export class Filters {
  element = h("div", { class: "filters" });
  #change;
  #chips = [];
  #chosen = new Set();
  #open = false;

  /** `change` is called with the filters, one for each column. */
  constructor(change) {
    this.#change = change;
  }

  setColumns(columns) {
    this.#chips = chipsOf(columns);
    this.#draw();
  }

  /** Show the filters of an address; those that no chip has get one of their own. */
  setWhere(where) {
    this.#chosen = new Set(where.flatMap((filter) => filter.split(") or (").map((part) => part.replace(/^\(|\)$/g, ""))));
    this.#draw();
  }

  #toggle(chip) {
    if (!this.#chosen.delete(chip.where)) this.#chosen.add(chip.where);
    const byColumn = new Map();
    const known = new Map(this.#chips.map((each) => [each.where, each.column]));
    for (const where of this.#chosen) {
      const column = known.get(where) ?? where;
      byColumn.set(column, [...(byColumn.get(column) ?? []), where]);
    }
    this.#change([...byColumn.values()].map((filters) => (filters.length === 1 ? filters[0] : filters.map((filter) => `(${filter})`).join(" or "))));
  }

  #draw() {
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.where : undefined;
    const known = new Set(this.#chips.map((chip) => chip.where));
    const own = [...this.#chosen].filter((where) => !known.has(where)).map((where) => ({ column: "", label: where, where }));
    const chips = [...own, ...this.#chips];
    const first = chips.filter((chip, place) => this.#chosen.has(chip.where) || place < SHORT);
    const more = chips.length - first.length;
    const toggle = h("button", { type: "button", class: "link", "aria-expanded": String(this.#open), onclick: () => ((this.#open = !this.#open), this.#draw()) }, this.#open ? "Fewer filters" : `More filters (${more})`);
    if (!this.#open) {
      this.element.replaceChildren(h("div", { class: "chips", role: "group", "aria-label": "Filters" }, first.map((chip) => this.#chip(chip)), more > 0 ? toggle : null));
    } else {
      const columns = [...new Set(chips.map((chip) => chip.column))];
      const group = (column) => {
        const label = LABELS[column] ?? "Other";
        return h("div", { class: "group" }, h("span", { class: "label", "aria-hidden": "true" }, label), h("div", { class: "chips", role: "group", "aria-label": label }, chips.filter((chip) => chip.column === column).map((chip) => this.#chip(chip))));
      };
      this.element.replaceChildren(...columns.map(group), toggle);
    }
    this.element.hidden = !chips.length;
    if (focused) [...this.element.querySelectorAll("button")].find((button) => button.dataset.where === focused)?.focus();
  }

  #chip(chip) {
    const on = this.#chosen.has(chip.where);
    const count = chip.count === undefined ? null : h("span", { class: "count", "aria-label": `, ${chip.count}` }, String(chip.count));
    return h("button", { type: "button", class: chip.count === 0 ? "chip none" : "chip", "aria-pressed": String(on), "data-where": chip.where, onclick: () => this.#toggle(chip) }, on ? icon("check") : null, chip.label, count);
  }
}
