"""Lets the program's own code fall into a trap: one stretch of one function's source is replaced while a test looks on.

The function's code object is swapped, so whoever imported the function by whichever name runs the changed code; nothing
on disk is touched. A mutant whose stretch is not found, or found twice, is an error: the code has moved on.
"""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """Replace `old` by `new` in the source of `target`, "module:Class.function"."""

    target: str
    old: str
    new: str


@dataclass(frozen=True)
class Constant:
    """Put another value in a module's place: "module:NAME", or under a key of a dictionary there."""

    target: str
    value: Any
    key: Any = None


@contextmanager
def fallen(mutant: Mutant | Constant) -> Iterator[None]:
    """While inside, the program has the fault."""
    if isinstance(mutant, Constant):
        with _replaced(mutant):
            yield
        return
    function = _function(mutant.target)
    code = function.__code__
    function.__code__ = _code(function, mutant)
    _forget()
    try:
        yield
    finally:
        function.__code__ = code
        _forget()


@contextmanager
def _replaced(mutant: Constant) -> Iterator[None]:
    module, _, name = mutant.target.partition(":")
    holder = importlib.import_module(module)
    if mutant.key is None:
        before = getattr(holder, name)
        setattr(holder, name, mutant.value)
        try:
            yield
        finally:
            setattr(holder, name, before)
        return
    table = getattr(holder, name)
    assert isinstance(table, Mapping)
    before = table[mutant.key]
    assert before != mutant.value, f"{mutant.target}[{mutant.key!r}] is {mutant.value!r} already"
    table[mutant.key] = mutant.value
    try:
        yield
    finally:
        table[mutant.key] = before


def _function(target: str) -> types.FunctionType:
    module, _, path = target.partition(":")
    found: Any = importlib.import_module(module)
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
        if isinstance(found, classmethod | staticmethod):
            found = found.__func__
        if isinstance(found, property):
            found = found.fget
        found = getattr(found, "__wrapped__", found)
    assert isinstance(found, types.FunctionType), target
    return found


def _code(function: types.FunctionType, mutant: Mutant) -> types.CodeType:
    source = textwrap.dedent(inspect.getsource(function))
    count = source.count(mutant.old)
    assert count == 1, f"{mutant.target}: {mutant.old!r} is in it {count} times"
    tree = ast.parse(source.replace(mutant.old, mutant.new))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    holder: ast.stmt = definition
    if "__class__" in function.__code__.co_freevars:  # super() needs the cell that a class body gives
        holder = ast.ClassDef(
            "_", bases=[], keywords=[], body=[definition], decorator_list=[], type_params=[]
        )
    module = ast.fix_missing_locations(ast.Module([holder], []))
    flags = __future__.annotations.compiler_flag
    compiled = compile(module, f"<{mutant.target} fallen>", "exec", flags=flags, dont_inherit=True)
    made = _named(compiled, definition.name)
    assert made.co_freevars == function.__code__.co_freevars, mutant.target
    return made


def _named(code: types.CodeType, name: str) -> types.CodeType:
    """The code of the function of that name inside compiled code."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            if constant.co_name == name:
                return constant
            if constant.co_name == "_":
                return _named(constant, name)
    raise AssertionError(name)


def _forget() -> None:
    """Tables that were made by the code before."""
    from jepa_core.nn import positions

    for value in vars(positions).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()
