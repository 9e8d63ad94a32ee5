"""The catalogue of released checkpoints: what its authors released, where, under which licence, and what is known.

Reads `assets/catalogue.toml`, which says where each fact is from. Standard library only: the window, the verbs and
the download read it. Must never claim more than the file: a size or a checksum that nobody counted is 0 or empty.
"""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from jepa_core.errors import ConfigError, UnsafeName
from jepa_core.file_names import safe_path

CATALOGUE = Path(__file__).resolve().parent.parent / "assets" / "catalogue.toml"
SCHEMA = 1
ABILITIES = frozenset({"masked", "temporal", "actions", "slots"})
LAYOUTS = ("official", "hugging_face", "lewm", "object")
COMMON_NAMES = frozenset({"config.json", "model.safetensors", "weights.pt", "latest.pt"})
"""File names that many checkpoints share: only the folder around them can suggest anything."""

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HUB = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Licence:
    """Terms of the weights, as stated by their authors. The console ships none of them and grants nothing."""

    name: str  # "CC BY-NC 4.0"
    where: str  # who states it, and where
    non_commercial: bool


@dataclass(frozen=True, slots=True)
class CatalogueFile:
    """One file of a released checkpoint."""

    name: str  # below the entry's own folder
    url: str = ""  # an https address, or
    hub: str = ""  # "owner/repository" on a hub, with
    path: str = ""  # the file's path in it
    revision: str = "main"
    bytes: int = 0  # exact, as somebody counted it; 0 unknown
    about_bytes: int = 0  # an estimate; 0 unknown
    bytes_source: str = ""
    sha256: str = ""  # lower-case hex; empty unknown
    sha256_source: str = ""  # who reported it

    @property
    def expected_bytes(self) -> int:
        """The best that is known of its size, 0 where nothing is."""
        return self.bytes or self.about_bytes


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One released checkpoint: what the load report is expected to say, before the file is here."""

    id: str  # also its folder in the cache; ids differ in more than upper and lower case
    system: str  # exact system name: "V-JEPA 2", …
    name: str
    variant: str  # "ViT-L/16, 256 px, 64 frames"
    layout: str  # of LAYOUTS
    licence: Licence
    parts: tuple[str, ...]  # of the file: "encoder", "target_encoder", "predictor", "optimizer", …
    abilities: frozenset[str]  # as CheckpointInfo.abilities
    encoder_parameters: int  # 0 unknown
    predictor_parameters: int  # 0 none or unknown
    size_px: int  # side of the square input, 0 none or unknown
    frames: int  # per clip, 1 = pictures
    source: str  # where these facts are from
    files: tuple[CatalogueFile, ...]
    notes: tuple[str, ...] = ()  # to be said beside it
    unknown: tuple[str, ...] = ()  # what nobody established
    refused: str = ""  # why this console would refuse it; empty where it loads

    @property
    def main_file(self) -> CatalogueFile:
        """The file with the weights."""
        return self.files[-1]

    @property
    def expected_bytes(self) -> int:
        """All its files together; 0 where the weights' size is not known."""
        return sum(file.expected_bytes for file in self.files) if self.main_file.expected_bytes else 0

    @property
    def is_size_exact(self) -> bool:
        return bool(self.main_file.bytes)

    @property
    def is_folder(self) -> bool:
        """Is the loader given its folder (config and weights together) rather than one file?"""
        return self.layout == "hugging_face"

    @property
    def address(self) -> str:
        """Where it is from, as a person may read it: an https address, or "hub: owner/repository"."""
        main = self.main_file
        return main.url or f"hub: {main.hub}" + ("" if len(self.files) > 1 else f", {main.path}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Is a file the released one? Only its sha256 proves it; a name and a size suggest it."""

    entry: CatalogueEntry | None = None
    file: CatalogueFile | None = None
    proof: str = ""  # "sha256" | "size" (name and exact size) | "name" | "differs" | ""
    text: str = ""  # one sentence for a person

    @property
    def is_proved(self) -> bool:
        return self.proof == "sha256"


@dataclass(frozen=True, slots=True)
class Catalogue:
    entries: tuple[CatalogueEntry, ...] = ()
    by_id: Mapping[str, CatalogueEntry] = field(default_factory=dict, compare=False)

    def entry_for(self, name: str, n_bytes: int = 0, sha256: str = "", folder: str = "") -> Identity:
        """Which released file this one is, and how one knows.

        name      the file's own name; upper and lower case matter (vitg and vitG are two models)
        n_bytes   its size, 0 not known
        sha256    of the whole file, empty not computed
        folder    name of the folder around it, for files that are all called the same
        """
        if sha256:
            for entry in self.entries:
                for file in entry.files:
                    if file.sha256 == sha256.lower():
                        text = f"This is the released file of {entry.name}: its sha256 is the one {file.sha256_source}."
                        return Identity(entry, file, "sha256", text)
        for entry in self.entries:
            for file in entry.files:
                if _is_named(entry, file, name, folder):
                    return _suggestion(entry, file, n_bytes, sha256)
        return Identity()

    def entry(self, entry_id: str) -> CatalogueEntry:
        """The entry of that id. Raises ConfigError with the nearest ones."""
        found = self.by_id.get(entry_id)
        if found is not None:
            return found
        near = difflib.get_close_matches(entry_id, self.by_id, 3, 0.4)
        raise ConfigError(
            f"The catalogue has no checkpoint {entry_id!r}.",
            f"Did you mean {', '.join(near)}?" if near else "`main.py models` lists them.",
        )


@functools.cache
def released() -> Catalogue:
    """The catalogue that comes with the console."""
    return load(CATALOGUE)


def load(path: Path) -> Catalogue:
    """Read a catalogue. Raises ConfigError that names the file and the entry."""
    try:
        return parse(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: cannot be read.", "Restore the file from the release.", str(error)
        ) from error


def parse(text: str, where: str = "the catalogue") -> Catalogue:
    """A catalogue from its TOML text. Raises ConfigError; never anything else, whatever the text."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise _wrong(where, f"it is not valid TOML ({error})") from error
    if table.get("schema") != SCHEMA:
        raise _wrong(where, f"its schema is {table.get('schema')!r}, not {SCHEMA}")
    licences = {
        key: _built(Licence, _table(value, where), f"{where}, licence {key}")
        for key, value in _table(table.get("licences"), f"{where}, licences").items()
    }
    entries = tuple(
        _entry(value, licences, where) for value in _list(table.get("entries"), f"{where}, entries")
    )
    by_id = {entry.id: entry for entry in entries}
    if len(by_id) != len(entries):
        raise _wrong(where, "an id stands there twice")
    return Catalogue(entries, by_id)


def _entry(value: object, licences: Mapping[str, Licence], where: str) -> CatalogueEntry:
    table = dict(_table(value, f"{where}, an entry"))
    where = f"{where}, entry {table.get('id')!r}"
    named = table.get("licence")
    if not isinstance(named, str) or named not in licences:
        raise _wrong(where, f"its licence {named!r} is not described")
    files = tuple(
        _file(item, f"{where}, file {number}")
        for number, item in enumerate(_list(table.get("files"), where), 1)
    )
    entry: CatalogueEntry = _built(
        CatalogueEntry, {**table, "licence": licences[named], "files": files}, where
    )
    if not _ID.fullmatch(entry.id):
        raise _wrong(where, "an id is small letters, digits and hyphens")
    if not files:
        raise _wrong(where, "it has no file")
    if entry.layout not in LAYOUTS:
        raise _wrong(where, f"layout {entry.layout!r} is none of {', '.join(LAYOUTS)}")
    if not entry.abilities <= ABILITIES:
        raise _wrong(where, f"abilities are of {', '.join(sorted(ABILITIES))}")
    if min(entry.encoder_parameters, entry.predictor_parameters, entry.size_px, entry.frames) < 0:
        raise _wrong(where, "a number is below zero")
    if len({file.name.casefold() for file in files}) != len(files):
        raise _wrong(where, "two files have one name")
    return entry


def _file(value: object, where: str) -> CatalogueFile:
    file: CatalogueFile = _built(CatalogueFile, _table(value, where), where)
    try:
        safe_path(file.name)
        if file.hub:
            safe_path(file.path)
            safe_path(file.revision)
    except UnsafeName as error:
        raise _wrong(where, error.what) from error
    if bool(file.url) == bool(file.hub):
        raise _wrong(where, "it has to have one address: url, or hub and path")
    if file.url and not file.url.startswith("https://"):
        raise _wrong(where, "its address is not https")
    if file.hub and not _HUB.fullmatch(file.hub):
        raise _wrong(where, f"{file.hub!r} is not owner/repository")
    if min(file.bytes, file.about_bytes) < 0:
        raise _wrong(where, "a size is below zero")
    sha256 = file.sha256.lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise _wrong(where, "its sha256 is not 64 hex digits")
    if sha256 and not file.sha256_source:
        raise _wrong(where, "nobody is named who reported its sha256")
    return replace(file, sha256=sha256)


def _is_named(entry: CatalogueEntry, file: CatalogueFile, name: str, folder: str) -> bool:
    if file.name != name:
        return False
    if name not in COMMON_NAMES:
        return True
    owner, _, repository = file.hub.partition("/")
    return folder in (entry.id, repository, f"models--{owner}--{repository}")


def _suggestion(entry: CatalogueEntry, file: CatalogueFile, n_bytes: int, sha256: str) -> Identity:
    """What a file of that name is, given what is known of its size and its sha256."""
    if sha256 and file.sha256:
        text = f"It is named like {entry.name}, but its sha256 is not the one {file.sha256_source}: another file."
        return Identity(entry, file, "differs", text)
    if n_bytes and file.bytes and n_bytes != file.bytes:
        text = (
            f"It is named like {entry.name}, but has {n_bytes:,} bytes where {file.bytes:,} were reported: "
            "another file, or a part of it."
        )
        return Identity(entry, file, "differs", text)
    if n_bytes and file.bytes:
        text = (
            f"Its name and size are those of {entry.name}. Only a sha256 could prove it, and none is known."
        )
        return Identity(entry, file, "size", text)
    text = f"Its name is that of {entry.name}; nothing proves it."
    return Identity(entry, file, "name", text)


def _built(kind: Any, values: Mapping[str, object], where: str) -> Any:
    """A dataclass from a table: every field of the right kind, none missing, none unknown."""
    wanted = {item.name: item for item in fields(kind)}
    for key in values:
        if key not in wanted:
            raise _wrong(where, f"it has a key {key!r} that means nothing here")
    made: dict[str, object] = {}
    for name, item in wanted.items():
        if name in values:
            made[name] = _typed(values[name], str(item.type), f"{where}, {name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise _wrong(where, f"{name} is missing")
    return kind(**made)


def _typed(value: object, kind: str, where: str) -> object:
    if kind in ("tuple[str, ...]", "frozenset[str]"):
        texts = _list(value, where)
        if not all(isinstance(item, str) for item in texts):
            raise _wrong(where, "it has to be a list of texts")
        return frozenset(texts) if kind.startswith("frozenset") else tuple(texts)
    simple = {"str": str, "int": int, "bool": bool}.get(kind)
    if simple is not None and type(value) is not simple:
        raise _wrong(where, f"it has to be of kind {kind}, not {value!r}")
    return value


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise _wrong(where, "it has to be a table")
    return value


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise _wrong(where, "it has to be a list")
    return value


def _wrong(where: str, what: str) -> ConfigError:
    return ConfigError(f"{where}: {what}.", "Restore assets/catalogue.toml from the release.")
