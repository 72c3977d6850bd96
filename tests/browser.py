"""A headless Chromium that tests drive: real clicks and keys, over the pipe of its DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)


class Page:
    """One page of it, 1280 pixels wide."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._out, self._in = os.fdopen(to_browser, "wb"), os.fdopen(from_browser, "rb")
        self._number, self._session = 0, None
        self.events: list[dict] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for room in ("Page", "Runtime", "Network"):
            self.ask(f"{room}.enable")
        self.size(1280, 1000)

    def ask(self, method: str, **parameters) -> dict:
        """The answer to one request; what happens before it is kept in `events`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _read(self) -> dict:
        text = bytearray()
        while (c := self._in.read(1)) != b"\0":
            assert c, "the browser has ended"
            text += c
        return json.loads(text)

    def size(self, width: int, height: int) -> None:
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name: str) -> None:
        """What the user's system prefers: "light" or "dark"."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, file: Path, fragment: str = "") -> None:
        """Load a page, and wait until it is drawn."""
        self.ask("Page.navigate", url="about:blank")
        self.ask("Page.navigate", url=f"{file.as_uri()}{fragment}")
        while self.find("location.protocol + document.readyState") != "file:complete":
            pass

    def find(self, script: str):
        """The value of an expression."""
        result = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def click(self, selector: str, number: int = 0) -> None:
        """Press and release the mouse in the middle of an element."""
        found = f"document.querySelectorAll({json.dumps(selector)})[{number}]"
        self.find(f"{found}.scrollIntoView({{block: 'center', inline: 'center'}})")
        place = self.find(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({found}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def key(self, name: str) -> None:
        more = {"text": name} if len(name) == 1 else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=name, **more)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=name)

    def write(self, text: str) -> None:
        self.ask("Input.insertText", text=text)

    def picture(self) -> bytes:
        """A PNG of what can be seen."""
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png")["data"])


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A page of a browser that keeps its files in `folder`. Skips where there is no browser, which fails in CI."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("chromium is not installed")
    for_browser, to_browser = os.pipe()
    from_browser, for_us = os.pipe()
    command = f'exec "$0" "$@" 3<&{for_browser} 4>&{for_us}'
    arguments = ["bash", "-c", command, program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with open(folder / "browser.log", "wb") as log:
        process = subprocess.Popen(arguments, pass_fds=(for_browser, for_us), stdout=log, stderr=log)
    os.close(for_browser)
    os.close(for_us)
    try:
        yield Page(to_browser, from_browser)
    finally:
        process.terminate()
        process.wait(timeout=30)
