"""Canonical JSON (RFC 8785): one value, one sequence of bytes, so that hashes of documents mean something.

Own and small, because recording must run without extra packages; the tests hold it equal to the `rfc8785` package.

Integers beyond ±(2^53 - 1) are written as decimal strings (RFC 8785, appendix D); wall-clock nanoseconds need it.
`decode` turns such a string back into an int under every key that ends in `_ns`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

LARGEST_EXACT = 2**53 - 1


class NotCanonical(ValueError):
    """The value has no canonical JSON form, or the text is not JSON."""


def encode(value: Any) -> bytes:
    """Canonical UTF-8 bytes. Raises NotCanonical for NaN, infinities, lone surrogates and foreign types."""
    parts: list[str] = []
    try:
        _write(value, parts)
        return "".join(parts).encode("utf-8")
    except RecursionError as error:
        raise NotCanonical("nested too deeply") from error
    except UnicodeEncodeError as error:
        raise NotCanonical("text holds half of a surrogate pair") from error


def decode(text: bytes | str) -> Any:
    """The value of a JSON text, with `*_ns` strings as int again. Raises NotCanonical for anything else.

    A number beyond 2^53 - 1 can only have been a float, and comes back as one.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(
            text, object_pairs_hook=_object, parse_int=_whole, parse_float=_finite, parse_constant=_refuse
        )
    except RecursionError as error:
        raise NotCanonical("nested too deeply") from error
    except ValueError as error:
        raise NotCanonical(f"not canonical JSON: {error}") from error


def plain(value: Any) -> Any:
    """The same value in JSON's own types: tuples become lists, sets sorted lists, numpy scalars numbers.

    Not-finite floats become None, and text is mended where half a surrogate pair would make it unwritable.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, Mapping):
        return {mended(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return plain(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return mended(str(value))


def mended(text: str) -> str:
    """The text with halves of surrogate pairs replaced: a keyboard can give them, UTF-8 cannot hold them."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _write(value: Any, parts: list[str]) -> None:
    if value is None:
        parts.append("null")
    elif value is True:
        parts.append("true")
    elif value is False:
        parts.append("false")
    elif isinstance(value, str):
        parts.append(json.dumps(value, ensure_ascii=False))
    elif isinstance(value, int):
        parts.append(str(int(value)) if abs(value) <= LARGEST_EXACT else f'"{int(value)}"')
    elif isinstance(value, float):
        parts.append(_number(value))
    elif isinstance(value, Mapping):
        _write_object(value, parts)
    elif isinstance(value, list | tuple):
        parts.append("[")
        for position, item in enumerate(value):
            if position:
                parts.append(",")
            _write(item, parts)
        parts.append("]")
    else:
        raise NotCanonical(f"{type(value).__name__} has no JSON form")


def _write_object(value: Mapping[Any, Any], parts: list[str]) -> None:
    for key in value:
        if not isinstance(key, str):
            raise NotCanonical(f"a key must be text, not {type(key).__name__}")
    parts.append("{")
    # RFC 8785 sorts by UTF-16 code units, which differs from code points above U+FFFF
    for position, key in enumerate(sorted(value, key=lambda name: name.encode("utf-16-be"))):
        if position:
            parts.append(",")
        parts.append(json.dumps(key, ensure_ascii=False))
        parts.append(":")
        _write(value[key], parts)
    parts.append("}")


def _number(value: float) -> str:
    """ECMAScript's Number::toString, from Python's shortest digits."""
    if not math.isfinite(value):
        raise NotCanonical(f"{value} has no JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + int(exponent or 0)  # the value is 0.digits × 10^point
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise ValueError(f"the key {key!r} stands twice")
        if isinstance(value, str) and key.endswith("_ns") and _is_whole(value):
            value = int(value)
        result[key] = value
    return result


def _is_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return 0 < len(digits) <= 20 and digits.isascii() and digits.isdigit()


def _whole(text: str) -> int | float:
    if len(text) <= 17 and abs(number := int(text)) <= LARGEST_EXACT:
        return number
    return _finite(text)


def _finite(text: str) -> float:
    as_float = float(text)
    if not math.isfinite(as_float):
        raise ValueError(f"{text[:20]}… is too large a number")
    return as_float


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
