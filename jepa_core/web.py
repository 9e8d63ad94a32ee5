"""Talks to one web server at a time: asks, follows redirects under rules, reads; every wait can be called off.

Built on urllib3. Knows nothing of files and hubs. Must never follow a redirect to anything but the web, must never
fall back from https to http, and must never send the token to a host other than the one it is for, or write it down.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import truststore
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from jepa_core.errors import Cancelled, DownloadError, Offline, ServerRefused, Stalled, UnsafeName

log = logging.getLogger(__name__)

MOST_REDIRECTS = 8
AGENT = "jepa-console"
NOT_HERE = "What is on this machine works without a connection."


class ConnectionBroke(DownloadError):
    """It was there and ended before its time. Asking again is right."""


class Answer:
    """One answer of a server: status, headers, and the body as it comes. Close it, or use `with`."""

    def __init__(
        self, web: Web, response: urllib3.BaseHTTPResponse, url: str, chain: list[Mapping[str, str]]
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # names in any case
        self.url = url  # where it came from in the end
        self.chain = chain  # headers of every redirect on the way
        self._web = web
        self._response = response

    def read(self, at_most: int) -> bytes:
        """What has arrived, at least one byte; empty at the end. Raises Stalled, ConnectionBroke, Cancelled."""
        with self._web.translated(self.url):
            return self._response.read1(at_most, decode_content=False)

    def close(self) -> None:
        self._response.close()
        self._web.let_go()

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Web:
    """Owned by the thread that asks; `interrupt` may come from any other."""

    def __init__(
        self, *, connect_s: float = 10.0, stall_s: float = 30.0, token: str = "", home: str = ""
    ) -> None:
        """
        stall_s  seconds without a byte after which a connection counts as dead
        home     address of the hub that `token` is for; where it is plain http, that host may be asked in plain http
        """
        self._timeout = urllib3.Timeout(connect=connect_s, read=stall_s)
        self._stall_s = stall_s
        self._token = token
        self._home = _origin(urlsplit(home)) if home else ("", "", 0)
        self._held: list[socket.socket] = []
        self._lock = threading.RLock()  # a signal handler may interrupt its own thread
        self._is_interrupted = False
        self._managers: dict[str, urllib3.PoolManager] = {}
        for name in (
            "urllib3.connectionpool",
            "urllib3.util.retry",
        ):  # at DEBUG they write signed addresses down
            logging.getLogger(name).setLevel(logging.INFO)

    def ask(self, method: str, url: str, headers: Mapping[str, str]) -> Answer:
        """The answer after its redirects, whatever its status. Of HEAD, redirects to other hosts are not followed where
        they say what they lead to. Raises Offline, Stalled, ConnectionBroke, ServerRefused, UnsafeName, Cancelled."""
        chain: list[Mapping[str, str]] = []
        for _ in range(MOST_REDIRECTS):
            self._check_address(url)
            response = self._once(method, url, headers)
            leads_to = response.headers.get("Location")
            if response.status not in (301, 302, 303, 307, 308) or not leads_to:
                return Answer(self, response, url, chain)
            onward = urljoin(url, leads_to)
            is_elsewhere = _origin(urlsplit(onward)) != _origin(urlsplit(url))
            if method == "HEAD" and is_elsewhere and response.headers.get("X-Linked-Etag"):
                self._check_address(onward)
                return Answer(self, response, url, chain)
            chain.append(response.headers)
            response.close()
            self.let_go()
            url = onward
        raise ServerRefused(
            f"{host_of(url)} sends in circles: more than {MOST_REDIRECTS} redirects.", "Try again later."
        )

    def interrupt(self) -> None:
        """End every wait of the thread that asks, now and from now on: it raises Cancelled."""
        with self._lock:
            self._is_interrupted = True
            for held in self._held:
                try:
                    held.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # not connected yet, or the other side was quicker

    def close(self) -> None:
        for manager in self._managers.values():
            manager.clear()
        self.let_go()

    # --- what Answer and the connections use --------------------------------------------------------------------------

    def hold(self, sock: socket.socket) -> None:
        """Keep a handle of a socket that is about to wait, so that `interrupt` can end the wait in every phase:
        connecting, shaking hands, waiting for headers, reading."""
        with self._lock:
            self.check()
            self._held.append(sock.dup())

    def check(self) -> None:
        """Raise Cancelled after an interruption."""
        if self._is_interrupted:
            raise Cancelled

    def let_go(self) -> None:
        with self._lock:
            for held in self._held:
                held.close()
            self._held.clear()

    def translated(self, url: str) -> _Translated:
        return _Translated(url, self._stall_s, lambda: self._is_interrupted)

    def _once(self, method: str, url: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        sent = {"User-Agent": AGENT, "Accept-Encoding": "identity", **headers}
        sent["Connection"] = "close"  # a connection used again would have no handle to interrupt it by
        if self._token and _origin(urlsplit(url)) == self._home:
            sent["Authorization"] = f"Bearer {self._token}"
        with self.translated(url):
            self.check()
            try:
                return self._manager(url).request(
                    method, url, headers=sent, redirect=False, retries=False, preload_content=False,
                    decode_content=False, timeout=self._timeout,
                )  # fmt: skip
            except BaseException:
                self.let_go()
                raise

    def _check_address(self, url: str) -> None:
        """Is this an address that may be asked? Raises UnsafeName."""
        parts = urlsplit(url)
        is_plain = parts.scheme == "http" and (
            _origin(parts) == self._home or _is_loopback(parts.hostname or "")
        )
        if (parts.scheme != "https" and not is_plain) or not parts.hostname or parts.username is not None:
            shown = ascii(f"{parts.scheme}://{parts.hostname or ''}")
            raise UnsafeName(
                f"The address {shown} was refused: only https is asked.",
                "Nothing was fetched from there. If the hub is yours and speaks plain http, name it in models.hub.",
            )

    def _manager(self, url: str) -> urllib3.PoolManager:
        """One per proxy, or for none."""
        proxy = _proxy_for(url)
        if proxy not in self._managers:
            options: dict[str, Any] = {"num_pools": 2, "maxsize": 1, "ssl_context": _tls()}
            made = _by_proxy(proxy, options) if proxy else urllib3.PoolManager(**options)
            made.pool_classes_by_scheme = _pools(self)
            self._managers[proxy] = made
        return self._managers[proxy]


def host_of(url: str) -> str:
    """The host of an address, to be named in a sentence."""
    return urlsplit(url).hostname or "the server"


class _Translated:
    """Turns what the library raises into our errors, and everything after an interruption into Cancelled."""

    def __init__(self, url: str, stall_s: float, is_interrupted: Callable[[], bool]) -> None:
        self._host = host_of(url)
        self._stall_s = stall_s
        self._is_interrupted = is_interrupted

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_interrupted() and (error is None or isinstance(error, (HTTPError, OSError, ValueError))):
            raise Cancelled from error
        if isinstance(error, (HTTPError, OSError)):
            raise _said(error, self._host, self._stall_s) from error


def _said(error: HTTPError | OSError, host: str, stall_s: float) -> DownloadError:
    detail = f"{type(error).__name__}: {error}"
    if isinstance(error, ProxyError):
        return Offline(f"The proxy on the way to {host} does not answer.", NOT_HERE, detail)
    if isinstance(error, NameResolutionError):
        return Offline(f"There is no connection: the name {host} was not found.", NOT_HERE, detail)
    if isinstance(error, (NewConnectionError, ConnectTimeoutError)):
        return Offline(f"There is no connection: {host} does not answer.", NOT_HERE, detail)
    if isinstance(error, SSLError) and "certificate" in str(error).lower():
        return ServerRefused(
            f"The certificate of {host} cannot be verified.",
            "Check this machine's clock. Behind a company's proxy its certificate has to be known to the system.",
            detail,
        )
    if isinstance(error, (ReadTimeoutError, TimeoutError)):
        return Stalled(
            f"{host} sent nothing for {stall_s:g} s.",
            "What arrived is kept; the download goes on from there.",
            detail,
        )
    return ConnectionBroke(
        f"The connection to {host} broke.", "What arrived is kept; the download goes on from there.", detail
    )


def _pools(web: Web) -> dict[str, type[HTTPConnectionPool]]:
    """Connection pools whose sockets `web` holds a handle of from before they connect."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, web)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, web)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connected(connection: HTTPConnection, web: Web) -> socket.socket:
    """A connected socket of a host, each of its addresses tried in turn. Raises as urllib3's own does."""
    port = connection.port or connection.default_port
    try:
        found = socket.getaddrinfo(connection._dns_host, port, 0, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
        raise NameResolutionError(connection.host, connection, reason) from error
    failure: OSError = OSError("the name has no address")
    timeout = connection.timeout if isinstance(connection.timeout, int | float) else None
    for family, kind, protocol, _, address in found:
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # no IPv6 here
            failure = error
            continue
        try:
            web.hold(sock)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(timeout)
            sock.connect(address)
            web.check()  # some systems call a connect that was interrupted a success
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    if isinstance(failure, TimeoutError):
        raise ConnectTimeoutError(connection, f"no answer within {timeout} s") from failure
    raise NewConnectionError(connection, str(failure)) from failure


def _tls() -> Any:
    """The system's own list of whom to trust, as the browser has it."""
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _by_proxy(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    """Through a proxy; a name and a password in its address are for it alone."""
    parts = urlsplit(proxy)
    if parts.username is not None:
        known = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        options = {**options, "proxy_headers": urllib3.make_headers(proxy_basic_auth=known)}
        proxy = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return urllib3.ProxyManager(proxy, **options)


def _proxy_for(url: str) -> str:
    """The proxy that the environment or the system names for an address, empty for none."""
    parts = urlsplit(url)
    if _is_loopback(parts.hostname or "") or urllib.request.proxy_bypass(parts.netloc):
        return ""
    named = urllib.request.getproxies()
    proxy = named.get(parts.scheme) or named.get("all") or ""
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    try:
        port = parts.port
    except ValueError:
        port = -1
    return (
        parts.scheme,
        (parts.hostname or "").lower(),
        port or {"https": 443, "http": 80}.get(parts.scheme, 0),
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
