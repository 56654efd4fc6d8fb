// The command line for what is on screen.

/** Quote a word for a POSIX shell where it needs it. */
export const quote = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

const line = (words) => words.map((word) => quote(String(word))).join(" ");

export function matchCommand({ video, text, where, like, unlike }, library) {
  const words = ["reelscore", "match"];
  if (video) words.push(video.name);
  if (text) words.push("--text", text);
  for (const filter of where) words.push("--where", filter);
  for (const key of like) words.push("--like", key);
  for (const key of unlike) words.push("--not", key);
  return line([...words, "--library", library]);
}

export function renderCommand({ sound, fit, format }, video, track) {
  const stem = video.name.replace(/\.[^.]*$/, "");
  const words = ["reelscore", "render", video.name, track?.track ?? "TRACK", "-o", `${stem} with music.${format}`];
  if (track?.start_s) words.push("--start", track.start_s.toFixed(3));
  if (fit) words.push("--fit");
  if (sound !== "drop") words.push("--sound", sound);
  return line(words);
}
