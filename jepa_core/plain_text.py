"""Reads JSON and YAML as plain data, with limits: what lies beside a checkpoint was written by others.

Neither runs anything. Nothing may swell either: a YAML alias repeats what it points at, so a page of them can stand for
more than a machine holds; everything is counted before it is built. A key that says two different things is refused,
because nobody could tell which of them is meant. PyYAML's faster C loader is not used: deep nesting crashes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

MAX_YAML_BYTES = 256_000  # about three seconds of parsing; a training config has 5,000
MAX_JSON_BYTES = 1_000_000
MAX_VALUES = 50_000  # with every alias written out; a config has hundreds
MAX_DEPTH = 64
MAX_SCALAR = 10_000  # characters of one YAML value
MAX_DIGITS = 32  # of one number; YAML reads "1:59:59…" as one, and a long one takes forever


class BadText(Exception):
    """The sentence ends "<file>, line N, …"; line is 0 where it is not known."""

    def __init__(self, what: str, line: int = 0, detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.line = line
        self.detail = detail


def read_json(text: str, most: int = MAX_JSON_BYTES) -> Any:
    """The value of a JSON text of at most so many characters. Raises BadText."""
    if len(text) > most:
        raise BadText("is larger than settings can be")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_int=_whole)
    except RecursionError as error:
        raise BadText("is nested deeper than settings can be") from error
    except ValueError as error:
        raise BadText("is not valid JSON", getattr(error, "lineno", 0), str(error)) from error
    _limit(value, MAX_DEPTH)
    return value


def read_yaml(text: str) -> Any:
    """The value of a YAML text of one document: numbers, texts, lists and mappings. Raises BadText."""
    if len(text) > MAX_YAML_BYTES:
        raise BadText("is larger than settings can be")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _Counting().of(node)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 0
        raise BadText("is not valid YAML", line, str(error)) from error
    except (ValueError, OverflowError) as error:
        raise BadText("holds a value that cannot be read", 0, str(error)) from error
    except RecursionError as error:
        raise BadText("is nested deeper than settings can be") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in pairs:
        if key in out and out[key] != value:
            raise BadText(f"says two different things of {key[:80]!r}")
        out[key] = value
    return out


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise BadText(f"holds a number of {len(digits)} digits")
    return int(digits)


def _limit(value: Any, depth: int) -> None:
    """Python's own JSON reader stops at its recursion limit, which the caller may have raised."""
    if depth < 0:
        raise BadText("is nested deeper than settings can be")
    if isinstance(value, Mapping):
        for inner in value.values():
            _limit(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _limit(inner, depth - 1)


class _Counting:
    """How many values a YAML tree stands for once every alias is written out. Each node is looked at once."""

    def __init__(self) -> None:
        self._counted: dict[int, tuple[int, int]] = {}  # node → (values, depth)
        self._open: set[int] = set()

    def of(self, node: yaml.Node) -> tuple[int, int]:
        known = self._counted.get(id(node))
        if known is not None:
            return known
        line = node.start_mark.line + 1
        if id(node) in self._open:
            raise BadText("holds a value that contains itself", line)
        self._open.add(id(node))
        values, depth = 1, 0
        for inner in self._inside(node, line):
            more, deeper = self.of(inner)
            values, depth = values + more, max(depth, deeper + 1)
            if values > MAX_VALUES or depth > MAX_DEPTH:
                raise BadText("stands for more values than settings can have", line)
        self._open.discard(id(node))
        self._counted[id(node)] = values, depth
        return values, depth

    def _inside(self, node: yaml.Node, line: int) -> list[yaml.Node]:
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, yaml.Node] = {}
            for key, value in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise BadText("has a key that is no text", line)
                first = seen.setdefault(key.value, value)
                if first is not value and key.value != "<<" and not _same(first, value):
                    raise BadText(f"says two different things of {key.value[:80]!r}", key.start_mark.line + 1)
            return [node for pair in node.value for node in pair]
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        is_number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
        if len(node.value) > (MAX_DIGITS if is_number else MAX_SCALAR):
            raise BadText("holds a value longer than a setting can be", line)
        return []


def _same(first: yaml.Node, second: yaml.Node) -> bool:
    """Do two values read alike? Containers only where they are one and the same node; nobody writes them twice."""
    both = isinstance(first, yaml.ScalarNode) and isinstance(second, yaml.ScalarNode)
    return both and (first.tag, first.value) == (second.tag, second.value)
