// Calls of the HTTP API, resumable uploads, and events.

/** An error of the service; the message says what to do. */
export class Problem extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const signedOut = new EventTarget();
export const onSignedOut = (listener) => signedOut.addEventListener("out", listener);

async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  const detail = body.detail ?? `The service answered ${response.status}. Its log may say why.`;
  return new Problem(response.status, detail, Number(response.headers.get("retry-after")) || 0);
}

export async function request(method, path, { body, headers = {}, signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer. Check that it still runs.");
  }
  const signsIn = method === "POST" && path === "/v1/session";
  if (response.status === 401 && !signsIn) signedOut.dispatchEvent(new Event("out"));
  if (!response.ok) throw await problemOf(response);
  return response;
}

export const call = async (method, path, options) => {
  const response = await request(method, path, options);
  return response.status === 204 ? null : response.json();
};
export const get = (path, options) => call("GET", path, options);

/** Call again while the service says when to come back. */
export async function patiently(make, { signal, tries = 30 } = {}) {
  for (let left = tries; ; left -= 1) {
    try {
      return await make();
    } catch (error) {
      if (!(error.retryAfter && left > 0) || signal?.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * Math.min(error.retryAfter, 5)));
      signal?.throwIfAborted();
    }
  }
}

const waiting = [];
let running = 0;

/** Run what only adds detail, two at a time, so that the six connections to a host are free for what is heard. */
export function later(task) {
  waiting.push(task);
  next();
}

function next() {
  while (running < 2 && waiting.length) {
    running += 1;
    Promise.resolve(waiting.shift()()).catch(() => {}).finally(() => {
      running -= 1;
      next();
    });
  }
}

const TUS = { "tus-resumable": "1.0.0" };
const PART_BYTES = 16 << 20;
const RETRIES_S = [0.5, 1, 2, 4, 8];

/**
 * Upload a file, or the rest of one that has begun; a broken connection is resumed.
 * `progress` is called with the number of bytes that have arrived.
 */
export async function upload(file, { video, progress, started, signal }) {
  const id = video?.id ?? (await begin(file, signal));
  started(id);
  let failures = 0;
  let offset = video ? video.received_bytes : 0;
  while (offset < file.size) {
    try {
      offset = await append(id, file, offset, progress, signal);
      failures = 0;
    } catch (error) {
      if (signal.aborted || (error.status >= 400 && ![408, 409, 423, 502, 503].includes(error.status))) throw error;
      if (failures >= RETRIES_S.length) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * RETRIES_S[failures]));
      failures += 1;
      offset = await offsetOf(id).catch((problem) => {
        if (problem.status) throw problem;
        return offset; // still no connection: the next part fails and is tried again
      });
    }
  }
  return id;
}

async function begin(file, signal) {
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const headers = { ...TUS, "upload-length": String(file.size), "upload-metadata": `filename ${name}` };
  const response = await request("POST", "/v1/videos", { headers, signal });
  return (await response.json()).id;
}

const offsetOf = async (id) =>
  Number((await request("HEAD", `/v1/videos/${id}`, { headers: TUS })).headers.get("upload-offset"));

/** Send one part and return the new offset; XMLHttpRequest, since fetch reports no progress of uploads. */
function append(id, file, offset, progress, signal) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    sent.open("PATCH", `/v1/videos/${id}`);
    const headers = { ...TUS, "upload-offset": String(offset), "content-type": "application/offset+octet-stream" };
    for (const [name, value] of Object.entries(headers)) sent.setRequestHeader(name, value);
    sent.upload.addEventListener("progress", (event) => progress(offset + event.loaded));
    sent.addEventListener("load", () => {
      if (sent.status === 204) {
        const now = Number(sent.getResponseHeader("upload-offset"));
        progress(now);
        resolve(now);
        return;
      }
      let detail = `The service answered ${sent.status} to the upload.`;
      try {
        detail = JSON.parse(sent.responseText).detail;
      } catch {
        // The answer is no problem document; the status has to do.
      }
      reject(new Problem(sent.status, detail));
    });
    sent.addEventListener("error", () => reject(new Problem(0, "The connection broke off. Choose the file again to continue the upload.")));
    sent.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    signal.addEventListener("abort", () => sent.abort(), { once: true });
    sent.send(file.slice(offset, offset + PART_BYTES));
  });
}

/** Events `video`, `job` and `library` of the service, and `reset` when the state has to be read again. */
class Events extends EventTarget {
  #source = null;

  open() {
    if (this.#source) return;
    const source = new EventSource("/v1/events");
    for (const kind of ["video", "job", "library"]) {
      source.addEventListener(kind, (event) => this.dispatchEvent(new CustomEvent(kind, { detail: JSON.parse(event.data) })));
    }
    source.addEventListener("reset", () => this.dispatchEvent(new Event("reset")));
    this.#source = source;
  }

  close() {
    this.#source?.close();
    this.#source = null;
  }
}

export const events = new Events();
// A browser has six connections to a host: hidden tabs give theirs back.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    events.close();
  } else {
    events.open();
    events.dispatchEvent(new Event("reset"));
  }
});
