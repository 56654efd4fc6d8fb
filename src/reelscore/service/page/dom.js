// Elements, icons, times and messages. Data becomes text nodes and attributes, never markup.

const ICONS = {
  play: "M8 5.500v13l11-6.500z",
  pause: "M7 5h3.500v14H7zM13.500 5H17v14h-3.500z",
  like: "M12 20s-7.500-4.600-7.500-10A4.200 4.200 0 0 1 12 7.400 4.200 4.200 0 0 1 19.500 10c0 5.400-7.500 10-7.500 10z",
  unlike: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM5.700 5.700l12.600 12.600",
  close: "M6 6l12 12M18 6L6 18",
  search: "M10.500 4a6.500 6.500 0 1 0 0 13 6.500 6.500 0 0 0 0-13zM15.500 15.500L20 20",
  copy: "M9 8h11v12H9zM15 8V4H4v12h5",
  download: "M12 4v11M7.500 11l4.500 4.500 4.500-4.500M5 20h14",
  upload: "M12 16V5M7.500 9.500L12 5l4.500 4.500M5 20h14",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13M10.500 11v5M13.500 11v5",
  film: "M4 5h16v14H4zM8 5v14M16 5v14M4 9.700h4M4 14.300h4M16 9.700h4M16 14.300h4",
  tag: "M4 4h8l8 8-8 8-8-8zM8.500 8v1",
  folder: "M3 6h6l2 2.500h10V19H3z",
  reset: "M5 12a7 7 0 1 0 2.300-5.200M5 4v4.500h4.500",
  check: "M5 12.500l4.500 4.500L19 7.500",
  warning: "M12 4l9 16H3zM12 10v4.500M12 17v.5",
  plus: "M12 5v14M5 12h14",
};
const FILLED = new Set(["play", "pause"]);
const SVG = "http://www.w3.org/2000/svg";

/** Create an element; functions named on… are listeners, children are elements or text. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function icon(name) {
  const path = svg("path", { d: ICONS[name] });
  return svg("svg", { class: FILLED.has(name) ? "icon filled" : "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, path);
}

/** A button with an icon alone; its name is for screen readers and the tooltip. */
export function iconButton(name, label, onclick, attributes = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, onclick, ...attributes }, icon(name));
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** 0:07, 12:30 or 1:02:03. */
export function time(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const minutes = Math.floor(whole / 60);
  const two = (number) => String(number).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${two(whole % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** The same for screen readers. */
export function spoken(seconds) {
  const whole = Math.max(0, Math.floor(seconds + 1e-6));
  const parts = [[Math.floor(whole / 3600), "hour"], [Math.floor(whole / 60) % 60, "minute"], [whole % 60, "second"]];
  const named = parts.filter(([number, unit]) => number || (unit === "second" && whole < 60));
  return named.map(([number, unit]) => `${number} ${unit}${number === 1 ? "" : "s"}`).join(" ");
}

export function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < 3) [value, unit] = [value / 1000, unit + 1];
  return `${value.toFixed(value < 10 && unit ? 1 : 0)} ${units[unit]}`;
}

export const plural = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** Say something to screen readers. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** Show a message for some seconds, or until it is closed if it is an error. */
export function toast(text, { error = false } = {}) {
  const box = h("div", { class: error ? "toast error" : "toast" }, icon(error ? "warning" : "check"), h("span", {}, text));
  const close = () => box.remove();
  if (error) box.append(iconButton("close", "Close the message", close));
  else setTimeout(close, 4000);
  document.getElementById("toasts").append(box);
  announce(text);
}

export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    toast(`The browser does not allow copying. Select it yourself: ${text}`, { error: true });
  }
}

/** A block for an empty view or an error: icon, heading, text, and what to do. */
export function blank(name, heading, text, ...actions) {
  return h("div", { class: "blank" }, icon(name), h("h2", {}, heading), text && h("p", {}, text), actions.length ? h("div", { class: "actions" }, actions) : null);
}

export function progressBar(label, share) {
  const bar = h("div", { class: "progress", role: "progressbar", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100" }, h("div"));
  setProgress(bar, share);
  return bar;
}

/** Set a share of 0 to 1; null for an unknown one. */
export function setProgress(bar, share) {
  bar.classList.toggle("unknown", share === null);
  if (share === null) bar.removeAttribute("aria-valuenow");
  else bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  bar.firstChild.style.width = share === null ? "" : `${100 * share}%`;
}
