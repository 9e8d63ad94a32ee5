"""Fetches one file from a server into a folder: with progress, pause and resume, a checksum, and room on the disk.

Runs on the thread of whoever calls `fetch`; stopped by a CancelToken. What arrived stays and the next call goes on from
there, unless the file changed on the server. A file appears in its folder only when it is complete and is what the
server (or the catalogue) announced. Torch-free and Qt-free.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from jepa_core import hub
from jepa_core.catalogue import CatalogueFile
from jepa_core.clock import CancelToken, Clock, SystemClock
from jepa_core.errors import Cancelled, ChecksumDiffers, DownloadError, Offline, ServerRefused, Stalled
from jepa_core.hub import Refused, Remote
from jepa_core.part_file import READ_BYTES, SPARE_BYTES, SYNC_BYTES, PartFile, PartState, size_words
from jepa_core.web import Answer, ConnectionBroke, Web, host_of

CHUNK = 1 << 18  # bytes asked of the socket at a time
BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 16.0)  # before asking again, while nothing new arrives
LONGEST_WAIT_S = 60.0  # of what a server asks to wait; longer ends the download instead

CHECKS = {  # how a finished file was checked → what a person reads
    "sha256": "its sha256 is the one that was announced",
    "git": "its git hash is the one that was announced",
    "size": "its length is the announced one; no checksum is known",
    "name": "a file of this name was here already; there was nothing to compare it with",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How to fetch. `wait(seconds)` waits between tries and returns True when it was called off meanwhile."""

    hub: str = hub.PUBLIC
    token: str = ""
    connect_s: float = 10.0
    stall_s: float = 30.0
    spare_bytes: int = SPARE_BYTES
    sync_bytes: int = SYNC_BYTES
    wait: Callable[[float], bool] | None = None  # None: on the cancel token
    clock: Clock = field(default_factory=SystemClock)

    def web(self) -> Web:
        return Web(connect_s=self.connect_s, stall_s=self.stall_s, token=self.token, home=self.hub)


@dataclass(frozen=True, slots=True)
class FileProgress:
    """Where one file stands."""

    name: str
    phase: str  # "checking" what is there | "fetching" | "waiting" to ask again | "verifying"
    done: int  # bytes that are here
    total: int  # -1 not known
    text: str = ""  # a remark to be kept in sight: "the file changed on the server: begun again"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A file that is here, complete, and how one knows."""

    path: Path
    bytes: int
    sha256: str
    checked: str  # of CHECKS
    origin: str  # address it is from
    commit: str = ""
    was_here: bool = False  # nothing had to be fetched
    remarks: tuple[str, ...] = ()


def fetch(
    web: Web,
    file: CatalogueFile,
    remote: Remote,
    folder: Path,
    *,
    settings: Settings,
    progress: Callable[[FileProgress], None],
    cancel: CancelToken,
) -> Receipt:
    """Get one file as `remote` describes it. Raises a DownloadError kind or Cancelled; what arrived is kept."""
    with PartFile(
        folder, file.name, spare_bytes=settings.spare_bytes, sync_bytes=settings.sync_bytes
    ) as part:
        transfer = _Transfer(web, file, remote, part, settings, progress, cancel)
        if part.target.exists():
            return transfer.adopt()
        transfer.run()
        return transfer.finished()


class _Transfer:
    """One file, until it is complete: asks, writes, asks again from where it stopped."""

    def __init__(
        self,
        web: Web,
        file: CatalogueFile,
        remote: Remote,
        part: PartFile,
        settings: Settings,
        progress: Callable[[FileProgress], None],
        cancel: CancelToken,
    ) -> None:
        self._web = web
        self._file = file
        self._remote = remote
        self._part = part
        self._settings = settings
        self._progress = progress
        self._cancel = cancel
        self._total = remote.bytes
        self._remarks: list[str] = []
        self._is_end_certain = False  # did the server mark the end of the body?

    def run(self) -> None:
        """Until every byte is here. Raises the reason why not, after some tries without anything new."""
        self._take_up()
        fruitless, reached = 0, self._part.length
        while not self._is_complete():
            self._cancel.check()
            try:
                self._ask()
            except PASSING as error:
                if self._part.length > reached:
                    fruitless, reached = 0, self._part.length
                is_first = self._part.length == 0 and isinstance(error, Offline)
                if is_first or fruitless >= len(BACK_OFF_S):
                    raise
                pause(error, BACK_OFF_S[fruitless], self._settings, self._cancel, self._say_waiting)
                fruitless += 1

    def finished(self) -> Receipt:
        """Check the bytes against what was announced, and move them into the folder."""
        self._say("verifying")
        checked = self._check()
        sha256, length = self._part.sha256, self._part.length
        path = self._part.finish()
        return Receipt(
            path, length, sha256, checked, self._remote.url, self._remote.commit, remarks=tuple(self._remarks)
        )

    def adopt(self) -> Receipt:
        """A file of this name is here already: it is the one, or it is not touched."""
        path = self._part.target
        n_bytes = path.stat().st_size
        sha256, git_sha1 = self._hashes(path, n_bytes)
        wanted = self._remote.sha256 or self._file.sha256
        if wanted:
            is_it, checked = sha256 == wanted, "sha256"
        elif self._remote.git_sha1:
            is_it, checked = git_sha1 == self._remote.git_sha1, "git"
        elif self._remote.bytes >= 0:
            is_it, checked = n_bytes == self._remote.bytes, "size"
        else:
            is_it, checked = True, "name"
        if not is_it:
            raise ChecksumDiffers(
                f"{path} is there already and is not the file that the server has.",
                "It was not touched. Move it away, then download again.",
                f"here {n_bytes} bytes, sha256 {sha256}; there {self._remote.bytes} bytes, {wanted or git_sha1}",
            )
        return Receipt(path, n_bytes, sha256, checked, self._remote.url, self._remote.commit, was_here=True)

    # --- going on ----------------------------------------------------------------------------------------------------

    def _take_up(self) -> None:
        """Go on from what is here if it is of the same file, else begin."""
        state = self._part.state
        is_same = state.identity == self._remote.identity and bool(state.identity or state.validator)
        if state.synced == 0 or not is_same:
            if state.synced:
                self._remark("The file changed on the server: begun again.")
            self._begin("")
        else:
            self._part.take_up(self._cancel, lambda done: self._say("checking", done))
            self._total = self._remote.bytes if self._remote.bytes >= 0 else state.total
        if 0 <= self._total < self._part.length:
            self._remark("What was here is longer than the file: begun again.")
            self._begin("")
        if self._total >= 0:
            self._part.check_room(self._total)

    def _begin(self, validator: str) -> None:
        self._part.begin(PartState(self._remote.identity, validator, self._total))

    def _is_complete(self) -> bool:
        if self._total < 0:
            return self._is_end_certain
        return self._part.length >= self._total

    def _ask(self) -> None:
        """One request, from where we are to the end."""
        start = self._part.length
        headers = {}
        if start:
            headers["Range"] = f"bytes={start}-"
            if self._part.state.validator:
                headers["If-Range"] = self._part.state.validator
        with self._web.ask("GET", self._remote.url, headers) as answer:
            if answer.status == 416:
                self._beyond(answer)
                return
            if answer.status not in (200, 206):
                raise hub.refusal(answer, self._file.name)
            if answer.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
                raise ServerRefused(
                    f"{host_of(answer.url)} sends {self._file.name} in a compressed form that was not asked for.",
                    "Fetch it by hand and put it into a folder of models.folders.",
                )
            if answer.status == 206:
                self._check_range(answer, start)
            else:
                self._from_the_start(answer, start)
            self._read(answer)

    def _check_range(self, answer: Answer, start: int) -> None:
        """Is it the rest that was asked for? A rest of another file is thrown away."""
        said = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", answer.headers.get("Content-Range", "").strip())
        total = int(said[3]) if said and said[3] != "*" else self._total
        if not said or int(said[1]) != start or (self._total >= 0 and total != self._total):
            self._remark("The server sent another part than the one asked for: begun again.")
            self._begin("")
            raise ConnectionBroke(
                f"{host_of(answer.url)} sent another part of {self._file.name} than the one asked for.",
                "Try again later.",
            )
        self._total = total

    def _from_the_start(self, answer: Answer, start: int) -> None:
        """The whole file comes: at the first request, or because the server cannot go on or has another file now."""
        if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise ServerRefused(
                f"{host_of(answer.url)} sends a web page in place of {self._file.name}.",
                "A network that wants a login does so. Open a page in a browser, then try again.",
            )
        length = answer.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else -1
        if start:
            self._remark("The server sends the file from its beginning: begun again.")
        if self._remote.bytes >= 0 and total >= 0 and total != self._remote.bytes:
            if self._remote.sha256 or self._remote.git_sha1:
                raise ConnectionBroke(
                    f"{host_of(answer.url)} sends {size_words(total)} of {self._file.name}, "
                    f"where {size_words(self._remote.bytes)} were announced.",
                    "Try again later.",
                )
            self._remark("The file has another length now than a moment ago.")
        self._total = total if total >= 0 else self._remote.bytes
        self._begin(hub.validator(answer.headers))
        if self._total >= 0:
            self._part.check_room(self._total)

    def _beyond(self, answer: Answer) -> None:
        """The server says that there is nothing after what is here: the file is complete, or it became shorter."""
        said = re.fullmatch(r"bytes \*/(\d+)", answer.headers.get("Content-Range", "").strip())
        if said and int(said[1]) == self._part.length:
            self._total = self._part.length
            return
        self._remark("The file became shorter on the server: begun again.")
        self._total = int(said[1]) if said else -1
        self._begin("")

    def _read(self, answer: Answer) -> None:
        self._is_end_certain = False
        while True:
            self._cancel.check()
            data = answer.read(CHUNK)
            if not data:
                break
            if 0 <= self._total < self._part.length + len(data):
                raise self._part.set_apart(
                    f"the server sends more than the {self._total:,} bytes it announced"
                )
            self._part.write(data)
            self._say("fetching")
        if self._total >= 0 and self._part.length < self._total:
            raise ConnectionBroke(
                f"The connection to {host_of(answer.url)} broke at {size_words(self._part.length)}.",
                "What arrived is kept; the download goes on from there.",
            )
        is_chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        self._is_end_certain = self._total >= 0 or is_chunked or bool(self._wanted_sha256())
        if not self._is_end_certain:
            raise ServerRefused(
                f"{host_of(answer.url)} does not say how long {self._file.name} is, so a part cannot be told from "
                "the whole.",
                "Fetch it by hand and put it into a folder of models.folders.",
            )

    # --- checking ----------------------------------------------------------------------------------------------------

    def _wanted_sha256(self) -> str:
        """What the sha256 has to be: the hub's word for its own file, else the catalogue's."""
        return self._remote.sha256 or ("" if self._remote.git_sha1 else self._file.sha256)

    def _check(self) -> str:
        """How the file was checked, of CHECKS. Raises ChecksumDiffers and sets the file apart."""
        wanted, found = self._wanted_sha256(), self._part.sha256
        if wanted:
            if found != wanted:
                raise self._part.set_apart("its sha256 is another", f"announced {wanted}, arrived {found}")
            if self._file.sha256 and self._file.sha256 != found:
                self._remark(
                    "It is what the hub announces, and its sha256 is not the one "
                    f"{self._file.sha256_source}: its authors may have replaced it."
                )
            return "sha256"
        if self._remote.git_sha1:
            git_sha1 = self._part.git_sha1(self._cancel)
            if git_sha1 != self._remote.git_sha1:
                raise self._part.set_apart(
                    "its git hash is another", f"announced {self._remote.git_sha1}, arrived {git_sha1}"
                )
            return "git"
        return "size"

    def _hashes(self, path: Path, n_bytes: int) -> tuple[str, str]:
        sha256, git_sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % n_bytes, usedforsecurity=False)
        done = 0
        with path.open("rb") as file:
            while data := file.read(READ_BYTES):
                self._cancel.check()
                sha256.update(data)
                git_sha1.update(data)
                done += len(data)
                self._say("checking", done)
        return sha256.hexdigest(), git_sha1.hexdigest()

    # --- saying and waiting ------------------------------------------------------------------------------------------

    def _remark(self, text: str) -> None:
        self._remarks.append(text)
        self._say("fetching")

    def _say(self, phase: str, done: int | None = None) -> None:
        text = self._remarks[-1] if self._remarks else ""
        self._progress(
            FileProgress(
                self._file.name, phase, self._part.length if done is None else done, self._total, text
            )
        )

    def _say_waiting(self, text: str) -> None:
        self._progress(FileProgress(self._file.name, "waiting", self._part.length, self._total, text))


PASSING = (ConnectionBroke, Stalled, Offline, Refused)
"""What may be gone in a moment; `pause` raises those again that are not."""


def pause(
    error: DownloadError,
    seconds: float,
    settings: Settings,
    cancel: CancelToken,
    say: Callable[[str], None],
) -> None:
    """Wait before asking again. Raises the error where asking again is no use or would take too long."""
    asked = -1.0
    if isinstance(error, Refused):
        asked = error.wait_s
        if not error.is_passing or asked > LONGEST_WAIT_S:
            raise error
    seconds = max(seconds, asked)
    say(f"{error.what} Again in {seconds:g} s.")
    wait = settings.wait or cancel.wait
    if wait(seconds):
        raise Cancelled
