"""A system's claims as plain text, for a report or a mail. Plain functions, no Qt; nothing is shortened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from jepa_core.claims import BOUNDARY_TESTS, LADDER, Figure, Reference, SystemClaims
from jepa_core.claims_match import Belonging


def text_of(claims: SystemClaims, place: Belonging | None = None) -> str:
    """Everything of the page. Every figure stands with its benchmark, version and source."""
    return "\n".join(_lines(claims, place)) + "\n"


def _lines(claims: SystemClaims, place: Belonging | None) -> Iterator[str]:
    yield f"What may be claimed: {claims.system}"
    yield claims.summary
    if place is not None:
        yield ""
        yield f"The loaded file: {place.words} {place.how}"
    name, meaning = LADDER[claims.level]
    yield ""
    yield f"Evidence: step {claims.rung} of {len(LADDER)}, {name.lower()}: {meaning}. {claims.level_reason}"
    yield from _list("May be said", claims.may_be_said)
    yield from _list("May not be said", claims.may_not_be_said)
    own = place.figures if place is not None else ()
    if place is not None and place.published:
        yield from _list(
            "Published for the version it is built like, not measured with this file",
            map(_figure, place.published),
        )
    if own:
        yield from _list("Published figures of this version", map(_figure, own))
    rest = [figure for figure in claims.figures if place is None or figure not in (*own, *place.published)]
    title = "Published figures" if place is None else "Published figures of other versions"
    yield from _list(title, map(_figure, rest))
    yield from _list("Model versions", (f"{v.id}: {v.note}" for v in claims.versions if v.note))
    yield from _list("Not tested on", (r.text + _from(r.source, r.where) for r in claims.not_tested))
    yield from _list("Known faults", (r.text + _from(r.source, r.where) for r in claims.faults))
    yield from _list(
        "Boundary tests",
        (
            f"{BOUNDARY_TESTS[a.test]} {a.verdict.replace('_', ' ')}. {a.answer} {a.reason}"
            for a in claims.boundary
        ),
    )
    for section in dict.fromkeys(fact.section for fact in claims.facts):
        facts = [fact for fact in claims.facts if fact.section == section]
        yield from _list(
            section.replace("_", " ").capitalize(),
            (
                f"{fact.name.replace('_', ' ')}: {_value(fact.value)}{fact.text}{_from(fact.source, fact.where)}"
                for fact in facts
            ),
        )
    yield from _list("Sources", (f"{s.title}. {s.ref}. Read: {s.via}." for s in claims.sources))


def _list(title: str, lines: Iterable[str]) -> Iterator[str]:
    found = [f"- {line}" for line in lines]
    if found:
        yield ""
        yield title
        yield from found


def _figure(figure: Figure) -> str:
    setting = f" ({figure.setting})" if figure.setting else ""
    compared = f"; same table: {figure.compared}" if figure.compared else ""
    unit = ", unit not stated" if figure.unit == "not stated" else ""
    return (
        f"{figure.benchmark}, {figure.metric}{setting}: {figure.words}{unit}{compared}; model {figure.version.id}; "
        f"reported by {figure.reported_by}: {figure.cited}"
    )


def _value(value: str) -> str:
    return f"{value.replace('_', ' ')}; " if value else ""


def _from(source: Reference | None, where: str) -> str:
    if source is None:
        return ""
    return f" [{source.ref}, {where}]" if where else f" [{source.ref}]"
