"""Reads assets/claims/*.toml, one file per system under its exact name, and refuses whatever is not complete.

Unknown keys, names outside the fixed lists of `claims`, a figure without benchmark, version or source, a source that
is not listed: each is a ConfigError that names the file and the place in it. Facts a file does not state become
`unknown`, never anything else. Standard library only.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jepa_core.claims import (
    BOUNDARY_TESTS,
    FIELDS,
    LADDER,
    REPORTERS,
    SOURCE_KINDS,
    STATES,
    UNKNOWN,
    VERDICTS,
    VOCABULARY,
    BoundaryAnswer,
    Fact,
    Figure,
    Reference,
    Remark,
    SystemClaims,
    Version,
)
from jepa_core.errors import ConfigError

DIRECTORY = Path(__file__).resolve().parent.parent / "assets" / "claims"
SYSTEMS = (  # in the order a person meets them; the names of session format 4.2
    "LeCun 2022 proposal", "I-JEPA", "V-JEPA", "V-JEPA 2", "V-JEPA 2-AC", "V-JEPA 2.1", "C-JEPA", "LeWorldModel",
)  # fmt: skip
LARGEST = 1_000_000  # bytes; such a file is a few pages of text

_HINT = "Mend the file, or take it from the console's own copy again."
_NUMBER = re.compile(r"\d[\d,]*(\.\d+)?")
_NO_VALUE = object()


def load(directory: Path = DIRECTORY) -> Mapping[str, SystemClaims]:
    """Every system's claims, by exact name. Raises ConfigError for the first file that is not right."""
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == ".toml")
    except OSError as error:
        raise ConfigError(f"The claims in {directory} cannot be read.", _HINT, str(error)) from error
    found = {claims.system: claims for claims in map(read, paths)}
    order = [system for system in SYSTEMS if system in found]
    return MappingProxyType({system: found[system] for system in order})


@lru_cache(maxsize=1)
def shipped() -> Mapping[str, SystemClaims]:
    """The claims that came with the console, read once."""
    return load()


def claims_for(system: str) -> SystemClaims | None:
    """What may be claimed of a system by its exact name; None for one without a file."""
    return shipped().get(system)


def read(path: Path) -> SystemClaims:
    """One file. Raises ConfigError."""
    try:
        if path.stat().st_size > LARGEST:
            raise ConfigError(f"{path.name} is larger than a claims file can be.", _HINT)
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read.", _HINT, str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path.name} is not valid TOML: {error}.", _HINT, str(error)) from error
    top = _Table(values, path.name)
    claims = _system(top)
    top.done()
    if claims.system != path.stem:
        raise top.wrong(f"speaks of {claims.system!r}, and a claims file is named by its system")
    return claims


def _system(top: _Table) -> SystemClaims:
    sources = {source.id: source for source in map(_reference, top.tables("sources"))}
    versions = {version.id: version for version in map(_version, top.tables("versions"))}
    if len(versions) != len(top.values.get("versions", ())):
        raise top.wrong("names a version twice")
    facts = _facts(top, sources)
    ladder = top.table("ladder")
    claims = SystemClaims(
        system=top.choice("system", SYSTEMS),
        summary=top.text("summary"),
        level=ladder.choice("level", tuple(LADDER)),
        level_reason=ladder.text("reason"),
        may_be_said=top.texts("may_be_said"),
        may_not_be_said=top.texts("may_not_be_said"),
        facts=facts,
        versions=tuple(versions.values()),
        figures=tuple(
            figure for table in top.tables("figures") for figure in _figures(table, versions, sources)
        ),
        not_tested=tuple(_remark(table, sources, needs_source=False) for table in top.tables("not_tested")),
        faults=tuple(_remark(table, sources, needs_source=True) for table in top.tables("faults")),
        boundary=_boundary(top.table("boundary")),
        sources=tuple(sources.values()),
        by_field=MappingProxyType({(fact.section, fact.name): fact for fact in facts}),
    )
    ladder.done()
    return claims


def _reference(table: _Table) -> Reference:
    made = Reference(
        id=table.text("id"),
        kind=table.choice("kind", SOURCE_KINDS),
        title=table.text("title"),
        ref=table.text("ref"),
        via=table.text("via"),
    )
    table.done()
    return made


def _version(table: _Table) -> Version:
    made = Version(
        id=table.text("id"),
        is_released=table.flag("is_released", default=True),
        architecture=table.texts("architecture"),
        catalogue=table.texts("catalogue"),
        conversions=table.texts("conversions"),
        note=table.text("note", ""),
    )
    table.done()
    recognisable = (made.architecture, made.catalogue)
    if made.is_released and not all(recognisable):
        raise table.wrong("a released version needs its architecture and its id in the catalogue")
    if not made.is_released and any((*recognisable, made.conversions)):
        raise table.wrong("a version that was not released has no file that could be recognised")
    return made


def _facts(top: _Table, sources: Mapping[str, Reference]) -> tuple[Fact, ...]:
    facts = []
    for section, names in FIELDS.items():
        table = top.table(section, needed=False)
        for name in names:
            inner = table.table(name, needed=False)
            facts.append(_fact(inner, section, name, sources) if inner.values else _unknown(section, name))
            inner.done()
        table.done()
    return tuple(facts)


def _unknown(section: str, name: str) -> Fact:
    return Fact(section, name, UNKNOWN, "unknown")


def _fact(table: _Table, section: str, name: str, sources: Mapping[str, Reference]) -> Fact:
    status = table.choice("status", STATES, "stated")
    value = table.text("value", "")
    source = table.source(sources, needed=status == "stated")
    if status == "stated" and name in VOCABULARY and value not in VOCABULARY[name]:
        raise table.wrong(f"value must be one of {', '.join(VOCABULARY[name])}, it is {value!r}")
    if value and name not in VOCABULARY:
        raise table.wrong("this field has no fixed values; say it in text")
    return Fact(section, name, table.text("text"), status, value, source, table.text("where", ""))


def _figures(
    table: _Table, versions: Mapping[str, Version], sources: Mapping[str, Reference]
) -> tuple[Figure, ...]:
    """One row of a paper's table: the same benchmark, metric and source, a value per version."""
    values = table.table("values")
    if not values.values:
        raise table.wrong("has no value")
    source = table.source(sources, needed=True)
    assert source is not None
    common: dict[str, Any] = {
        "benchmark": table.text("benchmark"),
        "metric": table.text("metric"),
        "unit": table.text("unit"),
        "source": source,
        "where": table.text("where"),
        "reported_by": table.choice("reported_by", REPORTERS),
        "setting": table.text("setting", ""),
        "compared": table.text("compared", ""),
        "spread": table.text("spread", ""),
    }
    table.done()
    made = []
    for name in values.values:
        value = values.text(name)
        if name not in versions:
            raise table.wrong(f"belongs to the version {name!r}, which is not listed")
        if not _NUMBER.fullmatch(value):
            raise table.wrong(f"the value of {name!r} must be a number as it was printed, it is {value!r}")
        made.append(Figure(value=value, version=versions[name], **common))
    return tuple(made)


def _remark(table: _Table, sources: Mapping[str, Reference], *, needs_source: bool) -> Remark:
    made = Remark(table.text("text"), table.source(sources, needed=needs_source), table.text("where", ""))
    table.done()
    return made


def _boundary(table: _Table) -> tuple[BoundaryAnswer, ...]:
    made = []
    for test in BOUNDARY_TESTS:
        inner = table.table(test)
        verdict = inner.choice("verdict", VERDICTS)
        made.append(BoundaryAnswer(test, verdict, inner.text("answer"), inner.text("reason")))
        inner.done()
    table.done()
    return tuple(made)


class _Table:
    """One table of the file: what is asked of it is crossed off, and `done` refuses what is left."""

    def __init__(self, values: Any, place: str) -> None:
        if not isinstance(values, dict):
            raise ConfigError(f"{place} must be a table.", _HINT)
        self.values: dict[str, Any] = values
        self._place = place
        self._asked: set[str] = set()

    def wrong(self, what: str) -> ConfigError:
        return ConfigError(f"{self._place}: {what}.", _HINT)

    def text(self, key: str, default: str | None = None) -> str:
        value = self._take(key, default)
        if not isinstance(value, str) or (not value.strip() and value != default):
            raise self.wrong(f"{key} must be text that says something")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise self.wrong(f"{key} must be true or false")
        return value

    def choice(self, key: str, allowed: Sequence[str], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in allowed:
            raise self.wrong(f"{key} must be one of {', '.join(allowed)}, it is {value!r}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise self.wrong(f"{key} must be a list of texts")
        return tuple(value)

    def table(self, key: str, *, needed: bool = True) -> _Table:
        return _Table(self._take(key, _NO_VALUE if needed else {}), f"{self._place}, [{key}]")

    def tables(self, key: str) -> list[_Table]:
        value = self._take(key, [])
        if not isinstance(value, list):
            raise self.wrong(f"{key} must be a list of tables")
        return [_Table(item, f"{self._place}, {_label(key, n, item)}") for n, item in enumerate(value, 1)]

    def source(self, sources: Mapping[str, Reference], *, needed: bool) -> Reference | None:
        name = self.text("source", None if needed else "")
        if name and name not in sources:
            raise self.wrong(f"the source {name!r} is not listed")
        return sources.get(name)

    def done(self) -> None:
        """Raises ConfigError for a key nobody asked for."""
        for key in self.values.keys() - self._asked:
            close = difflib.get_close_matches(key, self._asked, 1)
            raise self.wrong(
                f"does not know the key {key!r}" + (f"; {close[0]!r} is meant?" if close else "")
            )

    def _take(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        value = self.values.get(key, default)
        if value is None or value is _NO_VALUE:
            raise self.wrong(f"{key} is missing")
        return value


def _label(key: str, n: int, item: Any) -> str:
    """ "figures 3 (COIN)": which of a list."""
    names = item if isinstance(item, dict) else {}
    name = next((names[k] for k in ("benchmark", "id") if isinstance(names.get(k), str)), "")
    return f"{key} {n} ({name})" if name else f"{key} {n}"
