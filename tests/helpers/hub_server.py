"""A real web server on loopback that speaks the hub's protocol, and can misbehave in every way a download meets.

Two servers, as in life: the hub, which answers HEAD and redirects to a second origin for large files, and that second
one, which has the bytes. Real sockets, real threads; nothing is mocked. Each request takes the next `Fault` of its
path, if there is one.
"""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Served:
    """A file, and what the server says of it."""

    content: bytes
    etag: str = ""  # empty: made of the content; "none": the server has none
    is_large: bool = True  # on the hub: kept at the second origin, named by its sha256
    announced: str = ""  # a sha256 or git hash to announce in place of the right one
    has_ranges: bool = True
    has_length: bool = True  # False: chunked
    heads: int = 200  # status of HEAD
    content_type: str = "application/octet-stream"
    last_modified: str = ""

    @property
    def sha256(self) -> str:
        return self.announced or hashlib.sha256(self.content).hexdigest()

    @property
    def git_sha1(self) -> str:
        return self.announced or hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    @property
    def tag(self) -> str:
        if self.etag == "none":
            return ""
        return self.etag or f'"{hashlib.md5(self.content).hexdigest()}"'


@dataclass
class Fault:
    """What goes wrong at one request for bytes."""

    status: int = 0  # answer with this instead
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int = -1  # break the connection after so many bytes of the body
    is_reset: bool = False  # break it hard (RST), not by closing
    stall_after: int = -1  # say nothing more after so many bytes
    extra: bytes = b""  # sent after the body, beyond what was announced
    shift: int = 0  # a part that begins so many bytes later than asked
    body: bytes | None = None


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in small letters


class HubServer:
    """Both origins. `files`: path on the hub's or the plain side → Served."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.requests: list[Request] = []
        self.stalled = threading.Event()  # set when a fault begins to say nothing
        self.gate = threading.Event()  # lets stalled answers go on; set at the end
        self._lock = threading.Lock()
        self._hub = _Server(self)
        self._cdn = _Server(self)

    @property
    def hub(self) -> str:
        return self._hub.address

    @property
    def cdn(self) -> str:
        return self._cdn.address

    def put(self, repository: str, path: str, content: bytes, **how: object) -> Served:
        """A file of a repository on the hub."""
        served = self.files[f"/{repository}/{path}"] = Served(content, **how)  # type: ignore[arg-type]
        return served

    def put_plain(self, path: str, content: bytes, **how: object) -> str:
        """A file of a plain server; returns its address."""
        self.files[path] = Served(content, **how)  # type: ignore[arg-type]
        return self.cdn + path

    def fail(self, path: str, *faults: Fault) -> None:
        self.faults[path].extend(faults)

    def asked(self, method: str, part: str = "") -> list[Request]:
        with self._lock:
            return [each for each in self.requests if each.method == method and part in each.path]

    def note(self, request: Request) -> None:
        with self._lock:
            self.requests.append(request)

    def next_fault(self, path: str) -> Fault:
        with self._lock:
            return self.faults[path].popleft() if self.faults[path] else Fault()

    def close(self) -> None:
        self.gate.set()
        self._hub.stop()
        self._cdn.stop()


@contextmanager
def hub_server() -> Iterator[HubServer]:
    server = HubServer()
    try:
        yield server
    finally:
        server.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, both: HubServer) -> None:
        self.both = both
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="hub-server")
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()  # waits for every answer that is under way

    def handle_error(self, request: object, client_address: object) -> None:
        """The other side went away: what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10
    server: _Server

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self) -> None:
        both = self.server.both
        both.note(
            Request(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        path = self.path.partition("?")[0]
        found = re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/([\w.-]+)/(.+)", path)
        if found:
            self._resolve(f"/{found[1]}/{found[3]}", found[2])
        elif path.startswith("/api/resolve-cache/"):
            self._small(path.removeprefix("/api/resolve-cache"))
        elif path in both.files:
            self._bytes(path, both.files[path])
        else:
            self._short(404, {"X-Error-Code": "EntryNotFound"})

    def _resolve(self, key: str, revision: str) -> None:
        """The hub's own answer: where the bytes are, and what they are."""
        both = self.server.both
        if self.command == "HEAD" and both.faults["HEAD " + key]:
            fault = both.next_fault("HEAD " + key)
            self._short(fault.status, fault.headers)
            return
        served = both.files.get(key)
        if served is None or revision not in ("main", COMMIT):
            self._short(404, {"X-Error-Code": "EntryNotFound" if served is None else "RevisionNotFound"})
            return
        headers = {"X-Repo-Commit": COMMIT, "Vary": "Origin"}
        if served.is_large:
            headers["X-Linked-Etag"] = f'"{served.sha256}"'
            headers["X-Linked-Size"] = str(len(served.content))
            headers["Location"] = f"{both.cdn}{key}?Signature=secret-of-this-link&Expires=1"
            self._short(302, headers)
        else:
            headers["Location"] = f"/api/resolve-cache{key}"
            self._short(307, headers)

    def _small(self, key: str) -> None:
        served = self.server.both.files[key]
        self._bytes(key, Served(served.content, etag=f'"{served.git_sha1}"', has_ranges=served.has_ranges))

    def _bytes(self, path: str, served: Served) -> None:
        if self.command == "HEAD":
            if served.heads != 200:
                self._short(served.heads, {})
                return
            self._head(200, served, len(served.content), {})
            return
        fault = self.server.both.next_fault(path)
        if fault.status:
            self._short(fault.status, fault.headers, fault.body or b"")
            return
        start, status, headers = self._range(served, fault)
        if status == 416:
            self._short(416, headers)
            return
        body = (fault.body if fault.body is not None else served.content)[start:]
        self._head(status, served, len(body), {**headers, **fault.headers})
        self._send(body, served, fault)

    def _range(self, served: Served, fault: Fault) -> tuple[int, int, dict[str, str]]:
        """RFC 9110, section 14: where to begin, and how to say so."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range", "")
        total = len(served.content)
        if (
            not asked
            or not served.has_ranges
            or (condition and condition not in (served.tag, served.last_modified))
        ):
            return 0, 200, {}
        start = int(asked[1])
        if start >= total:
            return 0, 416, {"Content-Range": f"bytes */{total}"}
        start = min(start + fault.shift, total - 1)
        return start, 206, {"Content-Range": f"bytes {start}-{total - 1}/{total}"}

    def _head(self, status: int, served: Served, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", served.content_type)
        if served.has_length:
            self.send_header("Content-Length", str(length))
        elif self.command == "GET":
            self.send_header("Transfer-Encoding", "chunked")
        if served.tag:
            self.send_header("ETag", served.tag)
        if served.last_modified:
            self.send_header("Last-Modified", served.last_modified)
        if served.has_ranges:
            self.send_header("Accept-Ranges", "bytes")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, body: bytes, served: Served, fault: Fault) -> None:
        both = self.server.both
        limits = [limit for limit in (fault.cut_after, fault.stall_after) if limit >= 0]
        for start in (
            range(0, min(len(body), *limits, len(body)), 8192) if limits else range(0, len(body), 8192)
        ):
            piece = body[start : min(start + 8192, *limits)] if limits else body[start : start + 8192]
            self._piece(piece, served)
        if fault.stall_after >= 0:
            self.wfile.flush()
            both.stalled.set()
            both.gate.wait(60)
        if limits:
            self._break(fault)
            return
        self.wfile.write(fault.extra)
        if not served.has_length:
            self.wfile.write(b"0\r\n\r\n")

    def _piece(self, piece: bytes, served: Served) -> None:
        if served.has_length:
            self.wfile.write(piece)
        else:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def _break(self, fault: Fault) -> None:
        self.wfile.flush()
        self.close_connection = True
        if fault.is_reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            self.connection.shutdown(socket.SHUT_WR)

    def _short(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, our own work folder left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".download" not in path.parts
    }
