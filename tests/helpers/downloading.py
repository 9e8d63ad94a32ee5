"""What the tests of downloads share: entries of a catalogue made up for the test, and one call that fetches them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

from jepa_core.catalogue import CatalogueEntry, CatalogueFile, released
from jepa_core.clock import CancelToken
from jepa_core.downloads import Downloaded, Progress, Settings, download
from tests.helpers.hub_server import HubServer

LEWM = released().entry("lewm-pusht")
REPO = "quentinll/lewm-pusht"
FOLDER = released().entry("vjepa2-hf-vitl")


def content_of(n_bytes: int, seed: int = 0) -> bytes:
    """The same random bytes for the same seed."""
    return random.Random(seed).randbytes(n_bytes)


def one_file(url: str, *, sha256: str = "", name: str = "vitl.pt", entry_id: str = "plain") -> CatalogueEntry:
    """An entry of one file at a plain address."""
    file = CatalogueFile(name=name, url=url, sha256=sha256, sha256_source="said in a test" if sha256 else "")
    return replace(released().entry("vjepa2-vitl"), id=entry_id, files=(file,))


def lewm(sha256: str = "") -> CatalogueEntry:
    """The hub repository of two files, whatever its weights."""
    config, weights = LEWM.files
    return replace(LEWM, files=(config, replace(weights, sha256=sha256)))


@dataclass
class Fetching:
    """One cache and one server; what was said and waited for is kept."""

    server: HubServer
    cache: Path
    said: list[Progress] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    cancel: CancelToken = field(default_factory=CancelToken)

    def settings(self, **changes: object) -> Settings:
        base = Settings(
            hub=self.server.hub, stall_s=30.0, spare_bytes=0, sync_bytes=64 << 10, wait=self._wait
        )
        return replace(base, **changes)  # type: ignore[arg-type]

    def fetch(self, entry: CatalogueEntry, **changes: object) -> Downloaded:
        return download(
            entry,
            self.cache,
            settings=self.settings(**changes),
            progress=self.said.append,
            cancel=self.cancel,
        )

    @property
    def remarks(self) -> set[str]:
        return {progress.text for progress in self.said if progress.text}

    def _wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return self.cancel.is_cancelled
