"""The `?name=value` part of a source's address, checked: an unknown or impossible option is an error with a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from jepa_core.errors import SourceNotFound


def refuse_unknown(scheme: str, options: Mapping[str, str], known: Iterable[str]) -> None:
    """Raise SourceNotFound for an option the source does not have."""
    names = sorted(known)
    for name in options:
        if name in names:
            continue
        near = difflib.get_close_matches(name, names, n=1)
        hint = (
            f"Did you mean '{near[0]}'?"
            if near
            else f"It has: {', '.join(names)}."
            if names
            else "It has none."
        )
        raise SourceNotFound(f"A {scheme} source has no option '{name}'.", hint)


def number(options: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    """The option as a number within [low, high]."""
    text = options.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise SourceNotFound(
            f"'{name}={text}' is not a number.", f"Give a number from {low:g} to {high:g}."
        ) from None
    if not low <= value <= high:
        raise SourceNotFound(f"'{name}={text}' is out of range.", f"Give a number from {low:g} to {high:g}.")
    return value


def whole(options: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """The option as a whole number within [low, high]."""
    value = number(options, name, default, low, high)
    if value != int(value):
        raise SourceNotFound(
            f"'{name}={options[name]}' is not a whole number.", f"Give one from {low} to {high}."
        )
    return int(value)


def switch(options: Mapping[str, str], name: str, default: bool) -> bool:
    """The option as on or off."""
    text = options.get(name)
    if text is None:
        return default
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise SourceNotFound(f"'{name}={text}' is neither on nor off.", f"Write {name}=1 or {name}=0.")
