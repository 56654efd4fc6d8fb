// The waveform of a track, in which the moment that plays under the video can be moved.

import { clamp, h, spoken, svg, time } from "./dom.js";

const NUM_BARS = 160;

/**
 * A slider over a track. `moved` is called with the new start in seconds when it is released, `moving` meanwhile.
 * `length_s` is how much of the track is heard under the video.
 */
export function waveform(track, { length_s, moving, moved }) {
  const bars = svg("path", { class: "bars" });
  const inside = svg("path", { class: "bars inside" });
  const picture = svg("svg", { viewBox: `0 0 ${NUM_BARS} 100`, preserveAspectRatio: "none", "aria-hidden": "true" }, bars, inside);
  const frame = h("div", { class: "moment" });
  const head = h("div", { class: "head" });
  const slider = h(
    "div",
    {
      class: "wave",
      role: "slider",
      tabindex: "-1",
      "aria-label": `Start in ${track.title}`,
      "aria-valuemin": "0",
      "aria-valuemax": String(Math.floor(track.duration_s)),
    },
    picture,
    frame,
    head,
  );
  const last = Math.max(0, track.duration_s - 1);
  let start = track.start_s;

  const show = () => {
    const from = (100 * start) / track.duration_s;
    const to = clamp((100 * (start + length_s)) / track.duration_s, from, 100);
    inside.style.clipPath = `inset(0 ${100 - to}% 0 ${from}%)`;
    frame.style.left = `${from}%`;
    frame.style.width = `${to - from}%`;
    slider.setAttribute("aria-valuenow", start.toFixed(1));
    slider.setAttribute("aria-valuetext", `from ${spoken(start)} of ${spoken(track.duration_s)}`);
  };
  const set = (to) => {
    start = Math.round(1000 * clamp(to, 0, last)) / 1000;
    show();
    moving(start);
  };

  let grabbed = null; // {x, start, moved}
  slider.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    slider.setPointerCapture(event.pointerId);
    grabbed = { x: event.clientX, start, moved: false };
  });
  slider.addEventListener("pointermove", (event) => {
    if (!grabbed) return;
    const by = event.clientX - grabbed.x;
    if (!grabbed.moved && Math.abs(by) < 3) return;
    grabbed.moved = true;
    slider.classList.add("dragged");
    set(grabbed.start + (by / slider.clientWidth) * track.duration_s);
  });
  const release = (event) => {
    if (!grabbed) return;
    if (!grabbed.moved && event.type === "pointerup") {
      const box = slider.getBoundingClientRect();
      set(((event.clientX - box.left) / box.width) * track.duration_s);
    }
    slider.classList.remove("dragged");
    grabbed = null;
    moved(start);
  };
  slider.addEventListener("pointerup", release);
  slider.addEventListener("pointercancel", release);
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (step !== undefined) set(start + step);
    else if (event.key === "Home") set(0);
    else if (event.key === "End") set(track.duration_s - length_s);
    else return;
    event.preventDefault();
    event.stopPropagation();
    moved(start);
  });
  show();

  return {
    element: slider,
    setPeaks: (peaks) => {
      const path = barsOf(peaks);
      bars.setAttribute("d", path);
      inside.setAttribute("d", path);
      slider.classList.add("drawn");
    },
    /** Show the position that is heard; null for none. */
    setHead: (position) => {
      head.hidden = position === null;
      if (position !== null) head.style.left = `${clamp((100 * position) / track.duration_s, 0, 100)}%`;
    },
    setStart: (to) => {
      start = to;
      show();
    },
  };
}

/** One vertical line for each bar; the loudest reaches the edges. */
export function barsOf(peaks, num = NUM_BARS) {
  const most = Math.max(1, ...peaks);
  const lines = [];
  for (let bar = 0; bar < num; bar += 1) {
    const from = Math.floor((bar * peaks.length) / num);
    const to = Math.max(from + 1, Math.floor(((bar + 1) * peaks.length) / num));
    const level = Math.max(...peaks.slice(from, to)) / most;
    const half = Math.max(2, 48 * level);
    lines.push(`M${bar + 0.5} ${(50 - half).toFixed(1)}V${(50 + half).toFixed(1)}`);
  }
  return lines.join("");
}

/** The seek slider of the video, after the media seek slider of the W3C's patterns. */
export function seekSlider({ seek }) {
  const pictures = h("div", { class: "pictures", "aria-hidden": "true" });
  const head = h("div", { class: "head" });
  const slider = h("div", { class: "strip", role: "slider", tabindex: "0", "aria-label": "Position in the video", "aria-valuemin": "0" }, pictures, head);
  let duration_s = 0;
  let position = 0;
  const point = (event) => {
    const box = slider.getBoundingClientRect();
    seek(clamp((event.clientX - box.left) / box.width, 0, 1) * duration_s);
  };
  slider.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    slider.setPointerCapture(event.pointerId);
    point(event);
  });
  slider.addEventListener("pointermove", (event) => {
    if (slider.hasPointerCapture(event.pointerId)) point(event);
  });
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (step !== undefined) seek(position + step);
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(duration_s);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return {
    element: slider,
    pictures,
    setLength: (length_s) => {
      duration_s = length_s;
      slider.setAttribute("aria-valuemax", length_s.toFixed(0));
    },
    setPosition: (to) => {
      position = to;
      head.style.left = duration_s ? `${(100 * to) / duration_s}%` : "0";
      const text = `${time(to)} of ${time(duration_s)}`;
      if (slider.getAttribute("aria-valuetext") === text) return;
      slider.setAttribute("aria-valuenow", to.toFixed(0));
      slider.setAttribute("aria-valuetext", text);
    },
  };
}
