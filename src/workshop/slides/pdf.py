"""Print a deck to PDF with Chromium, one page a slide."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from workshop.files import write_whole
from workshop.slides.chromium import chromium_flags, find_chromium
from workshop.slides.deck import DeckError

_LAID_OUT = """new Promise((done, fail) => {
  const look = () => window.Reveal?.isReady() && document.querySelector(".pdf-page")
    ? document.fonts.ready.then(done) : setTimeout(look, 50);
  setTimeout(() => fail("the slides were not laid out in 30 s"), 30000);
  look();
}).then(() => true)"""
# Chromium reads commands from descriptor 3 and answers on 4, so the pipes are put there before it starts.
_EXEC = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
for at, end in enumerate(ends):
    os.dup2(end, 3 + at)
os.execv(sys.argv[3], sys.argv[3:])
"""


def print_pdf(page: Path, pdf: Path, timeout_s: float = 120) -> None:
    """Print a built deck to PDF, one page a slide; DeckError where Chromium is absent or fails."""
    chromium = find_chromium()
    if chromium is None:
        raise DeckError(
            "printing a PDF needs Chromium, which is not on this machine. Install it (Debian: apt-get install"
            " chromium), or open the page in your browser with ?print-pdf behind its address and print it."
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        with _chromium(chromium, profile, timeout_s) as tools:
            target = tools.call("Target.createTarget", url="about:blank")["targetId"]
            session = tools.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            tools.call("Page.navigate", session, url=f"{page.resolve().as_uri()}?print-pdf")
            # Chromium's own --print-to-pdf prints before reveal.js has laid the pages out
            tools.call("Runtime.evaluate", session, expression=_LAID_OUT, awaitPromise=True)
            printed = tools.call("Page.printToPDF", session, preferCSSPageSize=True, printBackground=True)
        write_whole(pdf, base64.b64decode(printed["data"]))


class _DevTools:
    """Chromium's DevTools protocol over two pipes: JSON messages, each ended by a zero byte."""

    def __init__(self, commands: BinaryIO, answers: BinaryIO) -> None:
        self.commands, self.answers, self.numbers = commands, answers, count(1)

    def call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; events that arrive meanwhile are dropped."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params} | (
            {"sessionId": session} if session else {}
        )
        self.commands.write(json.dumps(message).encode() + b"\0")
        self.commands.flush()
        answer = next(answer for answer in self._messages(method) if answer.get("id") == number)
        problem = answer.get("error") or answer["result"].get("exceptionDetails")
        if problem:
            raise DeckError(f"Chromium could not print the deck: {method} said {problem}")
        result: dict[str, Any] = answer["result"]
        return result

    def _messages(self, method: str) -> Iterator[dict[str, Any]]:
        while True:
            data = bytearray()
            while (byte := self.answers.read(1)) not in (b"", b"\0"):
                data += byte
            if not byte:
                raise DeckError(f"Chromium ended, or took too long, before it answered {method}.")
            yield json.loads(data)


@contextmanager
def _chromium(path: str, profile: str, timeout_s: float) -> Iterator[_DevTools]:
    (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
    flags = [*chromium_flags(), "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", _EXEC, str(to_read), str(from_write), path, *flags],
        pass_fds=(to_read, from_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(to_read)
    os.close(from_write)
    watchdog = threading.Timer(timeout_s, process.kill)
    watchdog.start()
    try:
        with os.fdopen(to_write, "wb") as commands, os.fdopen(from_read, "rb") as answers:
            yield _DevTools(commands, answers)
    finally:
        watchdog.cancel()
        process.terminate()
        process.wait()
