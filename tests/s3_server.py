"""A server on loopback that speaks as much S3 as a download needs, and can be made to fail.

Path-style requests: ``GET /bucket?list-type=2&prefix=…``, ``HEAD`` and ``GET /bucket/key`` with
``Range``. Faults are set on the server between requests.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "natural-scenes-dataset"


class S3Server(ThreadingHTTPServer):
    """Objects by key; ``requests`` are (method, key, range) in order."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.forbidden: set[str] = set()
        self.requests: list[tuple[str, str, str]] = []
        self.fail_after: int | None = None
        """Number of GETs of objects that are answered before the connection is cut."""
        self.short = False
        """Whether ranges come one byte short."""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ranges(self) -> list[str]:
        return [found for method, _, found in self.requests if method == "GET" and found]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests."""


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A running server."""
    server = S3Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    server: S3Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        """Nothing: the tests read `S3Server.requests`."""

    def do_HEAD(self) -> None:
        key = self._key()
        self.server.requests.append(("HEAD", key, ""))
        self._object(key, body=False)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        if "list-type" in query:
            self._list(query.get("prefix", [""])[0])
            return
        key, wanted = self._key(), self.headers.get("Range", "")
        self.server.requests.append(("GET", key, wanted))
        if self.server.fail_after is not None:
            if self.server.fail_after == 0:
                self._answer(400, _error("Broken", "a fault of the test"), "application/xml")
                return
            self.server.fail_after -= 1
        self._object(key, body=True)

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/")

    def _object(self, key: str, *, body: bool) -> None:
        content = self.server.objects.get(key)
        if key in self.server.forbidden:
            self._answer(403, _error("AccessDenied", key) if body else b"", "application/xml")
        elif content is None:
            self._answer(404, _error("NoSuchKey", key) if body else b"", "application/xml")
        else:
            self._send(content, body=body)

    def _send(self, content: bytes, *, body: bool) -> None:
        tag, total, status = etag(content), len(content), 200
        headers = {"ETag": tag, "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range", "")
        if wanted and body:
            first, last = wanted.removeprefix("bytes=").split("-")
            content = content[int(first) : int(last) + 1 if last else None]
            content = content[:-1] if self.server.short else content
            headers["Content-Range"] = f"bytes {first}-{int(first) + len(content) - 1}/{total}"
            status = 206
        self._answer(status, content, "binary/octet-stream", headers, body=body)

    def _answer(
        self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None,
        *, body: bool = True,
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Sun, 20 Aug 2023 00:00:00 GMT")
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _list(self, prefix: str) -> None:
        self.server.requests.append(("LIST", prefix, ""))
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>"
            f"<ETag>{escape(etag(content))}</ETag>"
            "<LastModified>2023-08-20T00:00:00.000Z</LastModified></Contents>"
            for key, content in sorted(self.server.objects.items())
            if key.startswith(prefix)
        )
        page = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{escape(prefix)}</Prefix><MaxKeys>1000</MaxKeys>"
            f"<KeyCount>{rows.count('<Key>')}</KeyCount><IsTruncated>false</IsTruncated>{rows}"
            "</ListBucketResult>"
        )
        self._answer(200, page.encode(), "application/xml")


def _error(code: str, message: str) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{head}<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
