"""Every wait of a connection can be called off at once, in every phase; TLS is verified; proxies are asked as named."""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, ConfigError, Offline, ServerRefused
from jepa_core.hub import address_of, endpoint, retry_after, token, validator
from jepa_core.web import Web
from tests.helpers.downloading import LEWM, Fetching, content_of, lewm
from tests.helpers.hub_server import Fault, hub_server

FOREVER_S = (
    3600.0  # what an answer may take in these tests; a cancel that does not work hangs until the test's limit
)


def called_off(
    work: Callable[[CancelToken], object], is_waiting: Callable[[], object]
) -> BaseException | None:
    """What `work` ends with when it is cancelled from another thread after `is_waiting` returned."""
    cancel = CancelToken()
    ended: list[BaseException | None] = []

    def run() -> None:
        try:
            work(cancel)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test looks at it
            ended.append(error)
        else:
            ended.append(None)

    thread = threading.Thread(target=run, name="download-test")
    thread.start()
    is_waiting()
    cancel.cancel()
    thread.join()
    return ended[0]


def asking(url: str) -> Callable[[CancelToken], object]:
    def work(cancel: CancelToken) -> None:
        web = Web(connect_s=FOREVER_S, stall_s=FOREVER_S)
        take_back = cancel.on_cancel(web.interrupt)
        try:
            with web.ask("GET", url, {}) as answer:
                while answer.read(1 << 16):
                    pass
        finally:
            take_back()
            web.close()

    return work


@contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """Accepts and never says a word; the event is set when somebody came."""
    listening = socket.create_server(("127.0.0.1", 0))
    came = threading.Event()
    held: list[socket.socket] = []

    def accept() -> None:
        try:
            while True:
                held.append(listening.accept()[0])
                held[-1].recv(1)  # the first byte of what is asked
                came.set()
        except OSError:
            pass

    thread = threading.Thread(target=accept, name="silent-server")
    thread.start()
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}", came
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()
        for sock in held:
            sock.close()


def test_a_cancel_ends_the_wait_for_an_answer():
    with silent_server() as (place, came):
        assert isinstance(called_off(asking(f"http://{place}/x"), came.wait), Cancelled)


def test_a_cancel_ends_the_handshake_of_tls():
    with silent_server() as (place, came):
        assert isinstance(called_off(asking(f"https://{place}/x"), came.wait), Cancelled)


def test_a_cancel_ends_the_wait_for_a_connection():
    """A listener whose queue is full does not answer, as a firewall that drops what it gets."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        place = full.getsockname()
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(place)
            fillers.append(filler)
        connecting = threading.Event()
        hold = Web.hold

        def noted(self: Web, sock: socket.socket) -> None:
            hold(self, sock)
            connecting.set()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Web, "hold", noted)
            ended = called_off(asking(f"http://127.0.0.1:{place[1]}/x"), connecting.wait)
        for filler in fillers:
            filler.close()

    assert isinstance(ended, Cancelled)


def test_a_cancel_ends_a_download_in_the_middle_and_keeps_what_arrived(tmp_path: Path):
    with hub_server() as server:
        server.put("quentinll/lewm-pusht", "config.json", b"{}", is_large=False)
        server.put("quentinll/lewm-pusht", "weights.pt", content_of(600_000))
        server.fail("/quentinll/lewm-pusht/weights.pt", Fault(stall_after=400_000))
        fetching = Fetching(server, tmp_path)

        def work(cancel: CancelToken) -> None:
            fetching.cancel = cancel
            fetching.fetch(lewm(), stall_s=FOREVER_S, sync_bytes=1 << 40)

        ended = called_off(work, server.stalled.wait)
        part = tmp_path / "lewm-pusht" / ".download" / "weights.pt.part"

        assert isinstance(ended, Cancelled)
        assert part.read_bytes() == content_of(600_000)[: part.stat().st_size]
        fetching.cancel = CancelToken()
        fetching.fetch(lewm())
        assert (tmp_path / "lewm-pusht" / "weights.pt").read_bytes() == content_of(600_000)


class _Calls(list):
    """A list whose append calls instead."""

    def __init__(self, call: Callable[[object], None]) -> None:
        super().__init__()
        self.append = call  # type: ignore[method-assign]


def test_a_cancel_before_the_start_asks_nobody(tmp_path: Path):
    with hub_server() as server:
        fetching = Fetching(server, tmp_path)
        fetching.cancel.cancel()

        with pytest.raises(Cancelled):
            fetching.fetch(lewm())
        assert server.requests == []


def test_a_cancel_while_waiting_to_ask_again_ends_the_wait(tmp_path: Path):
    with hub_server() as server:
        server.fail("HEAD /quentinll/lewm-pusht/config.json", *[Fault(status=503)] * 9)
        fetching = Fetching(server, tmp_path)
        waiting = threading.Event()

        def work(cancel: CancelToken) -> None:
            fetching.cancel = cancel
            fetching.said = _Calls(lambda said: waiting.set() if said.phase == "waiting" else None)
            fetching.fetch(lewm(), wait=lambda _: cancel.wait(FOREVER_S))

        assert isinstance(called_off(work, waiting.wait), Cancelled)


# --- tls ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody knows, with its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    )
    key, cert = path.with_name("key.pem"), path.with_name("cert.pem")
    subprocess.run(
        [*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
    )
    path.write_bytes(key.read_bytes() + cert.read_bytes())
    return path


class _Said(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 5

    def do_GET(self) -> None:
        self.server.lines.append((self.requestline, self.headers.get("Proxy-Authorization", "")))  # type: ignore[attr-defined]
        body = b"hello"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.server.lines.append((self.requestline, self.headers.get("Proxy-Authorization", "")))  # type: ignore[attr-defined]
        self.send_error(502)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def small_server(context: ssl.SSLContext | None = None) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Said)
    server.daemon_threads = False
    server.lines = []  # type: ignore[attr-defined]
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="small-server")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tls_server(certificate: Path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return small_server(context)


def got(url: str) -> bytes:
    web = Web(connect_s=10, stall_s=10)
    try:
        with web.ask("GET", url, {}) as answer:
            return answer.read(100)
    finally:
        web.close()


def test_a_certificate_that_nobody_knows_is_refused_in_words(certificate: Path):
    with tls_server(certificate) as server, pytest.raises(ServerRefused) as caught:
        got(f"https://127.0.0.1:{server.server_address[1]}/x")

    assert caught.value.what == "The certificate of 127.0.0.1 cannot be verified."
    assert "clock" in caught.value.hint


def test_a_certificate_that_the_system_knows_is_taken(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))

    with tls_server(certificate) as server:
        assert got(f"https://127.0.0.1:{server.server_address[1]}/x") == b"hello"


def test_a_cancel_ends_a_read_through_tls(certificate: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_name("cert.pem")))
    reading, gate = threading.Event(), threading.Event()

    def half(self: _Said) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        reading.set()
        gate.wait(60)

    monkeypatch.setattr(_Said, "do_GET", half)
    with tls_server(certificate) as server:
        ended = called_off(asking(f"https://127.0.0.1:{server.server_address[1]}/x"), reading.wait)
        gate.set()

    assert isinstance(ended, Cancelled)


# --- proxies -------------------------------------------------------------------------------------------------------------


def test_a_proxy_that_the_environment_names_is_asked(monkeypatch: pytest.MonkeyPatch):
    with small_server() as proxy:
        monkeypatch.setenv("https_proxy", f"http://ada:secret%21@127.0.0.1:{proxy.server_address[1]}")
        with pytest.raises(Offline, match="The proxy on the way to hub") as caught:
            got("https://hub.example.org/x")

        (asked,) = proxy.lines
        assert asked[0].startswith("CONNECT hub.example.org:443 HTTP/1.")
        assert asked[1] == f"Basic {base64.b64encode(b'ada:secret!').decode()}"
        assert "secret" not in f"{caught.value} {caught.value.detail}"


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch):
    with small_server() as proxy, small_server() as server:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_address[1]}")

        assert got(f"http://127.0.0.1:{server.server_address[1]}/x") == b"hello"
        assert proxy.lines == []


# --- the hub's address and what servers say ----------------------------------------------------------------------------


def test_the_hubs_address_is_the_setting_then_the_environment_then_the_public_one(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert endpoint() == "https://huggingface.co"
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example.org/")
    assert endpoint() == "https://mirror.example.org"
    assert endpoint("http://10.0.0.5:8080") == "http://10.0.0.5:8080"


@pytest.mark.parametrize(
    "address", ["file:///x", "hub.example.org", "https://", "https://me:pw@hub.org", "https://h.org/?a=1"]
)
def test_an_address_that_is_none_is_refused_without_its_secrets(address: str):
    with pytest.raises(ConfigError) as caught:
        endpoint(address)

    assert "pw" not in caught.value.what


def test_an_address_on_the_hub_is_quoted_part_by_part():
    file = LEWM.files[1]

    assert address_of(file, "https://h") == "https://h/quentinll/lewm-pusht/resolve/main/weights.pt"
    assert (
        address_of(file, "https://h", "refs/pr/1")
        == "https://h/quentinll/lewm-pusht/resolve/refs%2Fpr%2F1/weights.pt"
    )


def test_a_token_that_could_not_be_sent_is_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", " hf_abc ")
    assert token() == "hf_abc"
    monkeypatch.setenv("HF_TOKEN", "hf_a\r\nX-Evil: 1")
    assert token() == ""


def test_how_long_to_wait_is_read_in_both_forms_and_never_wildly():
    date = {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}

    assert retry_after({"Retry-After": "12"}) == 12
    assert retry_after({"Retry-After": "999999999"}) == -1
    assert retry_after(date, now_s=1445412480 - 30) == 30
    assert retry_after(date, now_s=1445412480 + 30) == 0
    assert [retry_after({"Retry-After": text}) for text in ("", "soon", "-5", "1e9")] == [-1] * 4


def test_only_a_strong_mark_of_a_version_counts():
    assert validator({"ETag": '"abc"'}) == '"abc"'
    assert validator({"ETag": 'W/"abc"'}) == ""
    assert validator({"ETag": 'W/"abc"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}).startswith("Wed")
    assert validator({"ETag": "abc"}) == validator({"ETag": '"'}) == validator({}) == ""
    assert validator({"ETag": '"eA=="'}) == '"eA=="'
