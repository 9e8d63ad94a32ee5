"""Where a released file is and what the server says of it before it is fetched: address, size, checksum, version.

Speaks the protocol of the Hugging Face hub (HEAD on /resolve/; X-Linked-Etag is the sha256 of a large file, ETag the git
hash of a small one; X-Repo-Commit names the version) and plain https. Fetches no body. Must never take an ETag of
another server for a checksum.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlsplit

from jepa_core.catalogue import CatalogueFile
from jepa_core.errors import ConfigError, Offline, ServerRefused
from jepa_core.web import NOT_HERE, Answer, Web, host_of

PUBLIC = "https://huggingface.co"
_SHA256, _SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file on a server, as the server describes it."""

    url: str  # to be asked for its bytes; of a hub, pinned to `commit`
    bytes: int = -1  # -1: the server does not say
    identity: str = (
        ""  # changes when the file does: the hub's hash, else the server's ETag or date; empty: none
    )
    sha256: str = ""  # announced by the hub; empty: not announced
    git_sha1: str = ""  # of a small file on the hub
    commit: str = ""  # version of the repository


def endpoint(configured: str = "") -> str:
    """The hub's address: the setting, else HF_ENDPOINT, else the public one. Raises ConfigError."""
    address = (configured or os.environ.get("HF_ENDPOINT", "") or PUBLIC).rstrip("/")
    parts = urlsplit(address)
    if (
        parts.scheme not in ("https", "http")
        or not parts.hostname
        or parts.username is not None
        or parts.query
    ):
        raise ConfigError(
            f"The hub's address {_without_secrets(address)!a} is none.",
            "Set models.hub or HF_ENDPOINT to an address such as https://hub.example.org.",
        )
    return address


def token() -> str:
    """HF_TOKEN of the environment, for the hub alone; empty where there is none or it could not be sent."""
    found = os.environ.get("HF_TOKEN", "").strip()
    return found if found.isascii() and found.isprintable() else ""


def is_switched_off() -> bool:
    """HF_HUB_OFFLINE: a person said that no hub is to be asked."""
    return os.environ.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on")


def address_of(file: CatalogueFile, hub: str, revision: str = "") -> str:
    """Where a catalogued file is asked for. `revision`: in place of the catalogue's own."""
    if file.url:
        return file.url
    return f"{hub}/{quote(file.hub)}/resolve/{quote(revision or file.revision, safe='')}/{quote(file.path)}"


def look_up(web: Web, file: CatalogueFile, hub: str, revision: str = "") -> Remote:
    """Ask the server about a file. Raises ServerRefused (with `.status` of the answer), Offline and Web's errors."""
    if file.hub and is_switched_off():
        raise Offline("HF_HUB_OFFLINE is set: no hub is asked.", NOT_HERE)
    url = address_of(file, hub, revision)
    with web.ask("HEAD", url, {}) as answer:
        if answer.status in (403, 405, 501) and file.url:
            return Remote(url)  # a plain server that does not answer HEAD; its GET will say
        if answer.status >= 400:
            raise refusal(answer, file.name)
        return _of_hub(answer, file, hub) if file.hub else _of_server(answer, url)


def refusal(answer: Answer, name: str) -> ServerRefused:
    """A status from 400 on, in words."""
    host, status = host_of(answer.url), answer.status
    code = answer.headers.get("X-Error-Code", "")
    if code == "GatedRepo" or status == 401 or (status == 403 and code):
        what = f"{host} gives {name} only to people it knows ({status})."
        hint = "Accept its terms on the hub's page, then set HF_TOKEN to a token of yours and try again."
    elif status == 403:
        what = f"{host} does not give {name} (403)."
        hint = "Its authors may have withdrawn it, or this network is not allowed. Nothing was changed here."
    elif status in (404, 410):
        what = f"{host} has no {name} at this address ({status})."
        hint = "Its authors may have moved it. Fetch it by hand and put it into a folder of models.folders."
    elif status == 429:
        what = f"{host} asks to wait: too many requests (429)."
        hint = "Try again in some minutes; what arrived is kept."
    elif status >= 500:
        what = f"{host} has a fault of its own ({status})."
        hint = "Try again later; what arrived is kept."
    else:
        what, hint = f"{host} does not give {name} ({status}).", "Try again later."
    return Refused(what, hint, status=status, wait_s=retry_after(answer.headers))


class Refused(ServerRefused):
    """With the status, and how long the server asks to wait, -1 not said."""

    def __init__(
        self, what: str, hint: str = "", detail: str = "", *, status: int = 0, wait_s: float = -1.0
    ) -> None:
        super().__init__(what, hint, detail)
        self.status = status
        self.wait_s = wait_s

    @property
    def is_passing(self) -> bool:
        """May the same request succeed in a moment?"""
        return self.status in (408, 425, 429, 500, 502, 503, 504)


def retry_after(headers: Mapping[str, str], now_s: float | None = None) -> float:
    """Seconds that the server asks to wait, at most an hour; -1 where it does not say."""
    text = (headers.get("Retry-After") or "").strip()
    if text.isdecimal() and len(text) < 9:
        return min(float(text), 3600.0)
    try:
        moment = parsedate_to_datetime(text).timestamp()
        return min(max(moment - (time.time() if now_s is None else now_s), 0.0), 3600.0)
    except (TypeError, ValueError, OverflowError):
        return -1.0


def _of_hub(answer: Answer, file: CatalogueFile, hub: str) -> Remote:
    said: dict[str, str] = {}
    for headers in (*answer.chain, answer.headers):
        for name in ("X-Linked-Etag", "X-Linked-Size", "X-Repo-Commit"):
            if headers.get(name):
                said.setdefault(name, headers[name])
    etag = _plain_tag(said.get("X-Linked-Etag", "") or answer.headers.get("ETag", ""))
    size = (
        said.get("X-Linked-Size", "") if "X-Linked-Etag" in said else answer.headers.get("Content-Length", "")
    )
    commit = said.get("X-Repo-Commit", "")
    commit = commit if _SHA1.fullmatch(commit) else ""
    return Remote(
        url=address_of(file, hub, commit),
        bytes=_size(size),
        identity=etag or commit,
        sha256=etag if _SHA256.fullmatch(etag) else "",
        git_sha1=etag if _SHA1.fullmatch(etag) else "",
        commit=commit,
    )


def _of_server(answer: Answer, url: str) -> Remote:
    if answer.status >= 300:
        raise ServerRefused(
            f"{host_of(url)} answers with {answer.status} and leads nowhere.", "Try again later."
        )
    return Remote(url, _size(answer.headers.get("Content-Length", "")), validator(answer.headers))


def validator(headers: Mapping[str, str]) -> str:
    """What changes when the file does: a strong ETag as it is, else the date; empty where the server gives neither."""
    tag = headers.get("ETag", "")
    if tag.startswith('"') and tag.endswith('"') and len(tag) > 2 and tag.isprintable():
        return tag
    date = headers.get("Last-Modified", "")
    return date if date.isprintable() and len(date) < 64 else ""


def _plain_tag(tag: str) -> str:
    return tag.removeprefix("W/").strip('"').lower()


def _size(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 18 else -1


def _without_secrets(address: str) -> str:
    return address.partition("//")[2].rpartition("@")[2] if "@" in address else address
