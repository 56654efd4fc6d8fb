// Plays a track under the video. The sound is the clock, and the muted video follows it.
//
// Excerpts are decoded ahead; a position p of the video is heard at the context's time `#at + p - #from`, and stays so
// when the track is switched. Until an excerpt is decoded, a media element plays the file itself.

import { clamp } from "./dom.js";

export const EXCERPT_S = 20;
const OVERLAP_S = 0.25;
const FADE_S = 0.02;
const AHEAD_S = 0.005;
const FAR_S = 0.25; // above it the video jumps
const NEAR_S = 0.006; // below it the video keeps its speed
const GAIN = 4; // change of the speed for each second of drift
const MOST_BUFFERS = 24; // of 7.7 MB
const REQUESTS = 2;
const VOLUME = { drop: 0, keep: 1, lower: 0.25, duck: 1 };
const MUSIC = { drop: 1, keep: 1, lower: 1, duck: 0.4 };

/** Decoded excerpts of tracks; number n is heard at the positions n * 20 s to (n + 1) * 20 s of the video. */
class Excerpts {
  fit = null; // id of the video to whose length tracks are fitted; null for tracks as they are
  #decoder = new OfflineAudioContext(2, 1, 48000); // decodes before the first key or click
  #ready = new Map(); // in order of use
  #loading = new Map();
  #wanted = [];

  #id = (track, n) => `${track.key} ${track.start_s} ${n} ${this.fit}`;

  has = (track, n) => Boolean(this.#ready.get(this.#id(track, n)));

  /** Return a decoded excerpt, or undefined. */
  ready(track, n) {
    const id = this.#id(track, n);
    const buffer = this.#ready.get(id);
    if (buffer !== undefined) {
      this.#ready.delete(id);
      this.#ready.set(id, buffer);
    }
    return buffer;
  }

  /** Load these, the first ones first, in place of what was still waiting. */
  want(pairs, done) {
    this.#wanted = pairs;
    this.#next(done);
  }

  #next(done) {
    while (this.#loading.size < REQUESTS && this.#wanted.length) {
      const [track, n] = this.#wanted.shift();
      const id = this.#id(track, n);
      const ended = !this.fit && track.start_s + n * EXCERPT_S >= track.duration_s - 0.05;
      if (this.#ready.has(id) || this.#loading.has(id) || ended) continue;
      this.#loading.set(id, true);
      this.#load(track, n * EXCERPT_S)
        .then((buffer) => this.#keep(id, buffer))
        .catch((error) => this.#keep(id, error.status === 429 ? undefined : null))
        .finally(() => {
          this.#loading.delete(id);
          done();
          this.#next(done);
        });
    }
  }

  async #load({ key, start_s }, at) {
    const length = `length_s=${EXCERPT_S + OVERLAP_S}`;
    const response = await fetch(this.fit
      ? `/v1/videos/${this.fit}/fit/preview?track=${key}&start_s=${start_s.toFixed(3)}&at_s=${at}&${length}`
      : `/v1/tracks/${key}/preview?start_s=${(start_s + at).toFixed(3)}&${length}`);
    if (!response.ok) throw response;
    return this.#decoder.decodeAudioData(await response.arrayBuffer());
  }

  #keep(id, buffer) {
    if (buffer === undefined) return;
    this.#ready.set(id, buffer);
    for (const oldest of this.#ready.keys()) {
      if (this.#ready.size <= MOST_BUFFERS) break;
      this.#ready.delete(oldest);
    }
  }
}

/** One track as it sounds: scheduled excerpts, or a media element, behind one gain. */
class Voice {
  #player;
  #gain;
  #sources = [];
  #until; // sound is scheduled up to this time of the context
  #element = null;

  constructor(player, track, at) {
    this.#player = player;
    this.track = track;
    this.#until = at;
    const { context } = player;
    this.#gain = context.createGain();
    this.#gain.connect(player.music);
    this.#gain.gain.setValueAtTime(0, at);
    this.#gain.gain.linearRampToValueAtTime(1, at + FADE_S);
  }

  /** Schedule what is decoded, and let the media element play what is not. */
  fill() {
    const { context, excerpts } = this.#player;
    const now = context.currentTime;
    while (this.#until < now + EXCERPT_S / 2) {
      const at = Math.max(this.#until, now + AHEAD_S);
      const position = this.#player.positionAt(at);
      if (position >= this.#player.duration_s || (!excerpts.fit && this.track.start_s + position >= this.track.duration_s)) {
        this.#until = Infinity;
        break;
      }
      const n = Math.floor(position / EXCERPT_S + 1e-6);
      const buffer = excerpts.ready(this.track, n);
      if (!buffer) break;
      const skipped = Math.max(0, position - n * EXCERPT_S);
      this.#schedule(buffer, at, skipped, at + EXCERPT_S - skipped);
    }
    if (this.#until <= now + AHEAD_S && !excerpts.fit) this.#playElement();
  }

  #schedule(buffer, at, skipped, end) {
    const { context } = this.#player;
    const gain = context.createGain();
    gain.connect(this.#gain);
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(1, at + (this.#sources.length || this.#element ? FADE_S : 0.0001));
    gain.gain.setValueAtTime(1, end);
    gain.gain.linearRampToValueAtTime(0, end + FADE_S);
    const source = context.createBufferSource();
    source.buffer = buffer;
    source.connect(gain);
    source.start(at, skipped);
    source.stop(end + FADE_S);
    source.addEventListener("ended", () => gain.disconnect());
    this.#sources.push(source);
    this.#until = end;
    this.#element?.fadeOut(at);
    this.#element = null;
  }

  #playElement() {
    if (this.#element) return;
    const { context } = this.#player;
    const audio = new Audio(`/v1/tracks/${this.track.key}/audio`);
    const gain = context.createGain();
    context.createMediaElementSource(audio).connect(gain).connect(this.#gain);
    const wanted = () => this.track.start_s + this.#player.positionAt(context.currentTime);
    audio.currentTime = wanted();
    audio.addEventListener("playing", () => {
      if (Math.abs(audio.currentTime - wanted()) > 0.04) audio.currentTime = wanted() + 0.02;
    }, { once: true });
    audio.play().catch(() => {}); // without it the track is heard once it is decoded
    const end = () => {
      audio.pause();
      audio.removeAttribute("src");
      gain.disconnect();
    };
    this.#element = {
      fadeOut: (at) => {
        gain.gain.setValueAtTime(1, at);
        gain.gain.linearRampToValueAtTime(0, at + FADE_S);
        setTimeout(end, 1000 * (at + FADE_S - context.currentTime) + 50);
      },
    };
  }

  stop(at) {
    const { gain } = this.#gain;
    gain.cancelScheduledValues(at);
    gain.setValueAtTime(1, at);
    gain.linearRampToValueAtTime(0, at + FADE_S);
    for (const source of this.#sources) source.stop(at + FADE_S);
    this.#element?.fadeOut(at);
    this.#element = null;
  }
}

/** Events: `state` (playing or not), `track` (another one), `time` (each frame). */
export class Player extends EventTarget {
  context = null; // browsers allow sound only after a key or click
  music = null;
  excerpts = new Excerpts();
  track = null;
  tracks = [];
  playing = false;
  duration_s = 0;
  sound = "drop";
  #video;
  #voice = null;
  #at = 0;
  #from = 0;
  #starting = false; // the picture goes to a new place, and does not follow the sound
  #ticket = 0; // of the newest request to start; older ones give up

  constructor(video) {
    super();
    this.#video = video;
    video.muted = true;
    setInterval(() => this.#tick(), 250);
  }

  get hasVideo() {
    return this.#video.hasAttribute("src");
  }

  /** Show a video, or none for music alone. */
  load(url, duration_s) {
    this.pause();
    this.#from = 0;
    this.duration_s = duration_s;
    if (url) this.#video.src = url;
    else {
      this.#video.removeAttribute("src");
      this.#video.load();
    }
    this.#changed("time");
  }

  /** Set the tracks in their order, whose excerpts are decoded ahead. */
  setTracks(tracks) {
    this.tracks = tracks;
    this.#wantExcerpts();
  }

  /** Time of the context that is heard now. */
  heard() {
    const stamp = this.context.getOutputTimestamp();
    if (!stamp.performanceTime) return this.context.currentTime;
    return stamp.contextTime + (performance.now() - stamp.performanceTime) / 1000;
  }

  positionAt(time) {
    return this.#from + time - this.#at;
  }

  /** Position in the video in seconds. */
  get position() {
    return this.playing ? clamp(this.positionAt(this.heard()), 0, this.duration_s) : this.#from;
  }

  /** Position of the video's picture; the difference from `position` is the drift. */
  get picture() {
    return this.#video.currentTime;
  }

  /** Take another track; the picture keeps its place. */
  choose(track) {
    if (track === this.track) return;
    this.track = track;
    if (!this.hasVideo && track) this.duration_s = track.duration_s - track.start_s;
    if (this.playing) this.#switch();
    this.#wantExcerpts();
    this.#mix();
    this.#changed("track");
  }

  /** The start of the track has changed. */
  restart() {
    if (this.playing) this.#switch();
    this.#wantExcerpts();
    this.#changed("track");
  }

  async play() {
    if (this.playing || !this.duration_s) return;
    await this.#start(this.#from);
  }

  pause() {
    this.#ticket += 1;
    if (this.#starting && !this.playing) this.#video.pause();
    this.#starting = false;
    if (this.playing) this.#halt(this.position);
  }

  toggle() {
    return this.playing || this.#starting ? this.pause() : this.play();
  }

  async seek(to) {
    const at = clamp(to, 0, Math.max(0, this.duration_s - 0.1));
    if (this.playing) {
      await this.#start(at);
      return;
    }
    this.#from = at;
    if (this.hasVideo) this.#video.currentTime = at;
    this.#wantExcerpts();
    this.#changed("time");
  }

  /** Fit tracks to the length of a video, given by its id; null plays them as they are. */
  setFit(video) {
    if (video === this.excerpts.fit) return;
    this.excerpts.fit = video;
    if (this.playing) this.#switch();
    this.#wantExcerpts();
  }

  /** Whether a track can be heard at once at this position. */
  isDecoded(track) {
    return Boolean(this.excerpts.has(track, Math.floor(this.position / EXCERPT_S)));
  }

  setSound(sound) {
    this.sound = sound;
    this.#mix();
  }

  #open() {
    if (this.context) return;
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.music = this.context.createGain();
    this.music.connect(this.context.destination);
    this.#mix();
  }

  async #start(from) {
    this.#ticket += 1;
    const ticket = this.#ticket;
    this.#open();
    this.#starting = true;
    await this.context.resume();
    if (this.hasVideo) await this.#startPictures(from);
    if (ticket !== this.#ticket) return;
    this.#starting = false;
    const at = this.context.currentTime + AHEAD_S;
    this.#voice?.stop(at);
    // The time at which the sound reaches the ear, which the picture has reached by then.
    const late = this.context.currentTime - this.heard();
    this.#from = (this.hasVideo ? this.#video.currentTime : from) + AHEAD_S + late;
    this.#at = at;
    const fresh = !this.playing;
    this.playing = true;
    this.#voice = this.track && new Voice(this, this.track, at);
    this.#wantExcerpts();
    this.#voice?.fill();
    if (fresh) {
      this.#changed("state");
      requestAnimationFrame(() => this.#follow());
    }
  }

  /** Seek, begin to play, and wait until the pictures move, at most half a second each. */
  async #startPictures(from) {
    const video = this.#video;
    video.playbackRate = 1;
    const moved = Math.abs(video.currentTime - from) > 0.02;
    if (moved) {
      const seeked = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
      video.currentTime = from;
      await within(500, seeked);
    }
    // The clock of a video runs before its pictures move; from the second one on they keep up.
    const moving = new Promise((resolve) => video.requestVideoFrameCallback(() => video.requestVideoFrameCallback(resolve)));
    await within(500, video.play().catch(() => {}));
    await within(500, moving);
  }

  #switch() {
    const at = this.context.currentTime + AHEAD_S;
    this.#voice?.stop(at);
    this.#voice = this.track && new Voice(this, this.track, at);
    this.#voice?.fill();
    this.switched = at;
  }

  #halt(at) {
    this.#voice?.stop(this.context.currentTime);
    this.#voice = null;
    this.playing = false;
    this.#from = at;
    if (this.hasVideo) {
      this.#video.pause();
      this.#video.playbackRate = 1;
      this.#video.currentTime = at;
    }
    this.#changed("state");
    this.#changed("time");
  }

  /** Keep the picture at the sound's position: small errors by its speed, large ones by a jump. */
  #follow() {
    if (!this.playing) return;
    const position = this.positionAt(this.heard());
    if (position >= this.duration_s && !this.#starting) {
      this.#halt(0);
      return;
    }
    const video = this.#video;
    if (this.hasVideo && !video.seeking && !this.#starting) {
      const late = position - video.currentTime;
      if (Math.abs(late) > FAR_S) video.currentTime = position;
      const rate = Math.abs(late) < NEAR_S ? 1 : clamp(1 + GAIN * late, 0.92, 1.08);
      if (Math.abs(rate - video.playbackRate) > 0.004) video.playbackRate = rate;
      if (video.paused) video.play().catch(() => {});
    }
    this.#voice?.fill();
    this.#changed("time");
    requestAnimationFrame(() => this.#follow());
  }

  /** Frames stop in a hidden tab, the sound goes on. */
  #tick() {
    if (!this.playing) return;
    if (this.positionAt(this.heard()) >= this.duration_s && !this.#starting) this.#halt(0);
    else this.#wantExcerpts();
    this.#voice?.fill();
  }

  /** Ask for the excerpts of the nearest tracks at this position, and of the track that is heard for what follows. */
  #wantExcerpts() {
    const n = Math.floor(this.position / EXCERPT_S);
    const here = this.tracks.indexOf(this.track);
    // A fit is planned for seconds, so only that of the chosen track is loaded.
    const others = this.excerpts.fit ? [] : this.tracks;
    const nearest = others
      .map((track, index) => [track, Math.abs(index - Math.max(here, 0)) - (index > here ? 0.5 : 0)])
      .sort((a, b) => a[1] - b[1])
      .slice(0, MOST_BUFFERS - 4)
      .map(([track]) => [track, n]);
    const next = this.track && (n + 1) * EXCERPT_S < this.duration_s ? [[this.track, n + 1]] : [];
    const current = this.track ? [[this.track, n]] : [];
    this.excerpts.want([...current, ...nearest.slice(0, 2), ...next, ...nearest.slice(2)], () => {
      if (this.playing) this.#voice?.fill();
      this.#changed("decoded");
    });
  }

  #mix() {
    const own = this.track ? this.sound : "keep";
    this.#video.muted = VOLUME[own] === 0;
    this.#video.volume = VOLUME[own];
    this.music?.gain.setTargetAtTime(MUSIC[own], this.context.currentTime, 0.05);
  }

  #changed(what) {
    this.dispatchEvent(new Event(what));
  }
}

const within = (ms, promise) => Promise.race([promise, new Promise((resolve) => setTimeout(resolve, ms))]);
