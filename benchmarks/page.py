"""Time to the first paint of the page on loopback, in headless Chromium.

    python benchmarks/page.py --reloads 10 --json page.json

Needs playwright and the program `chromium` (Debian's package). The goal is 500 ms.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from reelscore.media.writer import write_audio

RATE_HZ = 22_050
_PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--reloads", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        music = Path(folder) / "music"
        music.mkdir()
        tone = np.sin(2 * np.pi * 220 * np.arange(4 * RATE_HZ) / RATE_HZ)
        write_audio(music / "tone.wav", tone.astype(np.float32), rate_hz=RATE_HZ)
        command = [sys.executable, "-m", "reelscore", "serve", "--music", str(music)]
        command += ["--data", str(Path(folder) / "data"), "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            try:
                paints_ms = first_paints_ms(server.stderr.readline().split()[2], options.reloads)
            finally:
                server.terminate()
    found = {"p50_ms": float(np.median(paints_ms)), "max_ms": max(paints_ms), "reloads": options.reloads}
    print(f"first contentful paint: p50 {found['p50_ms']:.0f} ms, at most {found['max_ms']:.0f} ms")
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def first_paints_ms(url: str, reloads: int) -> list[float]:
    """Return the time to the first contentful paint of each load."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(url)
        paints_ms = []
        for _ in range(reloads):
            page.reload()
            paints_ms.append(float(page.wait_for_function(_PAINT).json_value()))
        return paints_ms


if __name__ == "__main__":
    main()
