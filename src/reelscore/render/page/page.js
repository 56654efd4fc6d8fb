"use strict";
// The sound is the clock: excerpts are decoded into buffers, and the silent video follows them.
const content = JSON.parse(document.getElementById("content").textContent);
const page = document.body;
const video = document.querySelector("video");
const strip = document.querySelector(".strip");
const play = document.querySelector(".play");
const status = document.getElementById("status");
const inputs = [...document.querySelectorAll("input[name=track]")];
const FADE_S = 0.02;

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const time = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

let context = null; // browsers allow sound only after the first key or click
let chosen = 0;
let playing = null; // {source, gain}
let startedAt = 0; // time of the context at which the video was at `offset`
let offset = 0;
let frame = 0;
const buffers = new Map();

video.src = URL.createObjectURL(new Blob([bytes(content.preview)], { type: "video/mp4" }));

/** Return the time of the context that is heard now. */
function heard() {
  const stamp = context.getOutputTimestamp?.();
  if (!stamp?.performanceTime) return context.currentTime;
  return stamp.contextTime + (performance.now() - stamp.performanceTime) / 1000;
}

/** Return the position in the video, in seconds. */
function position() {
  return playing ? clamp(offset + heard() - startedAt, 0, content.preview_s) : offset;
}

function buffer(number) {
  if (!buffers.has(number)) {
    const excerpt = content.tracks[number].excerpt;
    const decoded = excerpt
      ? context.decodeAudioData(bytes(excerpt).buffer).catch(() => null)
      : Promise.resolve(null);
    buffers.set(number, decoded);
  }
  return buffers.get(number);
}

function fadeOut(old, at) {
  if (!old) return;
  old.gain.gain.setValueAtTime(1, at);
  old.gain.gain.linearRampToValueAtTime(0, at + FADE_S);
  old.source?.stop(at + FADE_S);
}

/** Start the chosen track at a position, or continue where the other one is. */
async function start(from = null) {
  context ??= new AudioContext({ latencyHint: "interactive" });
  await context.resume();
  const number = chosen;
  const sound = await buffer(number);
  if (number !== chosen) return; // another track was chosen meanwhile
  const at = context.currentTime + 0.005;
  const here = from ?? (playing ? offset + at - startedAt : offset);
  if (here >= content.preview_s) return stop(0);
  const gain = context.createGain();
  gain.connect(context.destination);
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(1, at + FADE_S);
  let source = null;
  if (sound && here < sound.duration) {
    source = context.createBufferSource();
    source.buffer = sound;
    source.connect(gain);
    source.start(at, here);
  }
  fadeOut(playing, at);
  const fresh = !playing;
  playing = { source, gain };
  offset = here;
  startedAt = at;
  page.classList.add("playing");
  play.setAttribute("aria-label", "Pause");
  if (fresh || from !== null) {
    video.currentTime = here;
    video.play().catch(() => {});
  }
  cancelAnimationFrame(frame);
  frame = requestAnimationFrame(follow);
  for (const other of content.tracks.keys()) buffer(other);
}

/** Stop at a position. */
function stop(at = position()) {
  if (playing) fadeOut(playing, context.currentTime);
  playing = null;
  offset = at;
  page.classList.remove("playing");
  play.setAttribute("aria-label", "Play");
  video.pause();
  video.currentTime = at;
  video.playbackRate = 1;
  show();
}

/** Keep the video at the position of the sound: small errors by its speed, large ones by a jump. */
function follow() {
  if (!playing) return;
  const here = position();
  if (here >= content.preview_s) return stop(0);
  const late = here - video.currentTime;
  if (Math.abs(late) > 0.25) video.currentTime = here;
  else video.playbackRate = clamp(1 + 2 * late, 0.92, 1.08);
  show();
  frame = requestAnimationFrame(follow);
}

function show() {
  const here = position();
  strip.querySelector(".head").style.left = `${(100 * here) / content.length_s}%`;
  const head = inputs[chosen].closest("label").querySelector(".wave .head");
  if (head) {
    const track = content.tracks[chosen];
    head.style.left = `${clamp((100 * (track.start_s + here)) / track.length_s, 0, 100)}%`;
  }
  const text = time(here);
  const clock = document.querySelector(".clock b");
  if (clock.textContent === text && strip.ariaValueNow === here.toFixed(0)) return;
  clock.textContent = text;
  strip.setAttribute("aria-valuenow", here.toFixed(0));
  strip.setAttribute("aria-valuetext", `${text} of ${time(content.preview_s)}`);
}

function choose(number) {
  if (number < 0 || number >= inputs.length) return;
  chosen = number;
  inputs[number].checked = true;
  const track = content.tracks[number];
  document.querySelector(".now strong").textContent = track.title;
  document.querySelector(".now span").textContent = [track.artist, `from ${time(track.start_s)}`].filter(Boolean).join(" · ");
  status.textContent = playing ? `Playing ${track.title}` : "";
  if (playing) start();
  show();
}

function toggle() {
  if (playing) stop();
  else start(offset);
}

function seek(to) {
  const at = clamp(to, 0, content.preview_s - 0.05);
  if (playing) start(at);
  else stop(at);
}

play.addEventListener("click", toggle);
document.querySelector(".big").addEventListener("click", toggle);
inputs.forEach((input, number) => input.addEventListener("change", () => choose(number)));

const point = (event) => {
  const box = strip.getBoundingClientRect();
  seek(((event.clientX - box.left) / box.width) * content.length_s);
};
strip.addEventListener("pointerdown", (event) => {
  strip.setPointerCapture(event.pointerId);
  point(event);
});
strip.addEventListener("pointermove", (event) => {
  if (strip.hasPointerCapture(event.pointerId)) point(event);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const here = position();
  const onStrip = event.target === strip;
  const keys = {
    ArrowUp: () => (onStrip ? seek(here + 1) : choose(chosen - 1)),
    ArrowDown: () => (onStrip ? seek(here - 1) : choose(chosen + 1)),
    ArrowLeft: () => seek(here - 1),
    ArrowRight: () => seek(here + 1),
    Home: () => onStrip && seek(0),
    End: () => onStrip && seek(content.preview_s),
    " ": toggle,
  };
  if (event.key in keys) {
    if (event.key === " " && event.target.closest("button")) return; // the button itself reacts
    if (!onStrip && (event.key === "Home" || event.key === "End")) return; // they scroll the page
    event.preventDefault();
    keys[event.key]();
    if (!onStrip && event.key.startsWith("Arrow") && inputs.includes(document.activeElement)) inputs[chosen].focus();
  } else if (/^[1-9]$/.test(event.key)) {
    choose(Number(event.key) - 1);
  }
});

choose(0);
