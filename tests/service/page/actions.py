"""What a person does on the page, and what is heard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .conftest import SECOND_HZ, SECOND_STEP_HZ, TRACK_HZ, TRACK_STEP_HZ

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


def start_decoded(page: Page, *, num: int) -> None:
    """Play once the first tracks can be heard at once."""
    page.keyboard.press("Space")  # opens the context of the sound, in which excerpts are decoded
    page.wait_for_function("async () => (await import('/app.js')).views.match.player.playing")
    page.keyboard.press("Space")
    page.wait_for_function(
        "async (num) => { const { views } = await import('/app.js'); const { player } = views.match; "
        "return player.tracks.slice(0, num).every((track) => player.isDecoded(track)); }",
        arg=num,
    )
    player(page, "player.seek(0)")
    page.keyboard.press("Space")
    page.wait_for_function("async () => (await import('/app.js')).views.match.player.playing")


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
    rising_hz, own_hz = page.evaluate(
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
    return round((own_hz - TRACK_HZ) / TRACK_STEP_HZ), round((rising_hz - SECOND_HZ) / SECOND_STEP_HZ)


def number_of(title: str) -> int:
    """Return the number of a track by its title."""
    return int(title.removeprefix("track ")) if title.startswith("track ") else 11
