"""What a person does on the page, and what is heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .conftest import NUM_STEPS, SECOND_HZ, SECOND_STEP_HZ, TRACK_HZ, TRACK_STEP_HZ

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROWS = ".row:not(.skeleton)"

_RECORDER = """
registerProcessor("recorder", class extends AudioWorkletProcessor {
  silent = 0;
  longest = 0;
  constructor() {
    super();
    this.port.onmessage = () => {
      this.port.postMessage(this.longest / sampleRate);
      this.silent = this.longest = 0;
    };
  }
  process([input]) {
    for (let i = 0; i < 128; i += 1) {
      this.silent = input.some((channel) => Math.abs(channel[i]) > 1e-4) ? 0 : this.silent + 1;
      this.longest = Math.max(this.longest, this.silent);
    }
    return true;
  }
});
"""


def player(page: Page, expression: str, argument: Any = None) -> Any:
    """Return the value of a JavaScript expression of `player`, the page's player, and `given`."""
    return page.evaluate(
        "async (given) => { const { views } = await import('/app.js'); const { player } = views.match; "
        f"return {expression}; }}",
        argument,
    )


def open_film(page: Page, film_id: str, *, query: str = "") -> None:
    """Open the film, and wait until its tracks are ranked."""
    page.goto(f"/#/video/{film_id}{query}")
    page.wait_for_selector(ROWS)


def wait_playing(page: Page, playing: bool = True) -> None:
    page.locator(".match.is-playing" if playing else ".match:not(.is-playing)").wait_for()


def start_decoded(page: Page, *, num: int) -> None:
    """Play once the first tracks can be heard at once."""
    end = time.monotonic() + 60
    while not player(page, "player.tracks.slice(0, given).every((track) => player.isDecoded(track))", num):
        assert time.monotonic() < end, "the excerpts are not decoded"
        page.wait_for_timeout(100)
    page.keyboard.press("Space")
    wait_playing(page)


def listen(page: Page) -> None:
    """Attach an analyser and a recorder of silence to the music, which must have been played before.

    The module of the recorder comes from a blob, which the CSP forbids: the page must have been opened without it.
    """
    player(
        page,
        "(async () => { const { context } = player; "
        "const module = URL.createObjectURL(new Blob([given], { type: 'text/javascript' })); "
        "await context.audioWorklet.addModule(module); "
        "window.recorder = new AudioWorkletNode(context, 'recorder'); player.music.connect(window.recorder); "
        "window.analyser = new AnalyserNode(context, { fftSize: 16384, smoothingTimeConstant: 0 }); "
        "player.music.connect(window.analyser); })()",
        _RECORDER,
    )


def longest_silence_s(page: Page) -> float:
    """Return the longest silence since the last call, in samples of the output."""
    return float(
        page.evaluate(
            "() => new Promise((resolve) => { recorder.port.onmessage = ({ data }) => resolve(data); "
            "recorder.port.postMessage(0); })"
        )
    )


def heard(page: Page) -> tuple[int, int]:
    """Return the number of the track that is heard, and the second of it."""
    stepping_hz, own_hz = page.evaluate(
        """() => {
          const bins = new Float32Array(analyser.frequencyBinCount);
          analyser.getFloatFrequencyData(bins);
          const hz = analyser.context.sampleRate / analyser.fftSize;
          const peak = (low, high) => {
            let best = Math.round(low / hz);
            for (let bin = best; bin < high / hz; bin += 1) if (bins[bin] > bins[best]) best = bin;
            return best * hz;
          };
          return [peak(300, 2500), peak(2900, 5500)];
        }"""
    )
    track, step = (
        round((own_hz - TRACK_HZ) / TRACK_STEP_HZ),
        round((stepping_hz - SECOND_HZ) / SECOND_STEP_HZ),
    )
    return track, step * pow(track + 2, -1, NUM_STEPS) % NUM_STEPS


def number_of(title: str) -> int:
    """Return the number of a track by its title."""
    return int(title.removeprefix("track ")) if title.startswith("track ") else 11
