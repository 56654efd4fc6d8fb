// Runs before the first paint, so that a chosen scheme does not flash in after the system's.
"use strict";
try {
  const scheme = localStorage.getItem("scheme");
  if (scheme) document.documentElement.dataset.scheme = scheme;
} catch {
  // Storage is disabled; the scheme of the system holds.
}
