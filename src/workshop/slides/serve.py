"""Serve built decks on this machine, so that the speaker view works in every browser."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # a presenter's terminal stays readable
        return

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # a deck that was built again shows at the next reload
        super().end_headers()


def deck_server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of `folder` on 127.0.0.1, on a free port when `port` is 0 or taken."""
    handler = partial(_Quiet, directory=str(folder))
    try:
        return ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return ThreadingHTTPServer(("127.0.0.1", 0), handler)


def deck_url(server: ThreadingHTTPServer, name: str = "") -> str:
    """Return the address of a page that `server` serves."""
    return f"http://127.0.0.1:{server.server_address[1]}/{name}"
