"""A headless Chromium, driven through a pipe (Chrome DevTools Protocol)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run")


class Browser:
    """One page in a browser of its own; use it as a context manager.

    Attributes
    ----------
    problems : list of str
        Errors and violations of the content security policy.
    requests : list of str
        URLs that the page asked for.
    """

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        (read, commands), (answers, write) = os.pipe(), os.pipe()
        # The browser reads commands from descriptor 3 and writes answers to 4.
        line = f'exec 3<&{read} 4>&{write}; exec "$0" "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", line, CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}"],
            pass_fds=(read, write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read)
        os.close(write)
        self._commands, self._answers = os.fdopen(commands, "wb", 0), os.fdopen(answers, "rb")
        self._pending = b""
        self._number = 0
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._session = ""
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._commands.close()
        self._answers.close()

    def __call__(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def open(self, path: Path) -> None:
        """Load a file."""
        self("Page.navigate", url=path.as_uri())
        self.wait("document.readyState == 'complete'")

    def run(self, expression: str) -> Any:
        """Evaluate JavaScript as if the user had caused it, and return its value."""
        result = self(
            "Runtime.evaluate",
            expression=expression,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait(self, condition: str, *, seconds: float = 20) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < deadline, f"{condition} is not met"
            time.sleep(0.05)

    def press(self, key: str, code: int) -> None:
        """Press and release a key, given by its name and its Windows code."""
        text = {"text": key} if len(key) == 1 else {}
        for kind in ("keyDown", "keyUp"):
            self("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)
            text = {}

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            part = self._answers.read1(1 << 20)
            assert part, "the browser has ended"
            self._pending += part
        message, self._pending = self._pending.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, details = event["method"], event["params"]
        if method in ("Log.entryAdded", "Runtime.exceptionThrown"):
            self.problems.append(json.dumps(details))
        elif method == "Network.requestWillBeSent":
            self.requests.append(details["request"]["url"])
