"""Canonical JSON: equal to an independent implementation, and back again."""

from __future__ import annotations

import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from sessions import canonical

LARGEST = 2**53 - 1
texts = st.text()
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20)


@given(values)
def test_equals_the_independent_implementation(value):
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_written_as_ecmascript_writes_it(value):
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(values)
def test_what_is_read_back_is_written_the_same(value):
    text = canonical.encode(value)
    assert canonical.encode(canonical.decode(text)) == text


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["t_wall_ns", "t_ns", "x_ns"]))
def test_nanoseconds_come_back_as_the_integers_they_were(value, key):
    text = canonical.encode({key: value})
    assert canonical.decode(text) == {key: value}
    if abs(value) > LARGEST:
        assert f'"{value}"'.encode() in text


def test_a_text_of_digits_stays_text_under_any_other_key():
    assert canonical.decode(b'{"ticket":"12345"}') == {"ticket": "12345"}


def test_keys_are_sorted_by_utf16_code_units():
    assert canonical.encode({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {1: 2}, object(), b"bytes"])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(canonical.NotCanonical):
        canonical.encode(value)


@pytest.mark.parametrize(
    "text", [b"NaN", b"{", b'{"a":1,"a":2}', b"[" * 100_000, b"1e999", b"9" * 5000, b"\xff"]
)
def test_hostile_text_is_refused_and_nothing_else_happens(text):
    with pytest.raises(canonical.NotCanonical):
        canonical.decode(text)


@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_can_be_mended_and_then_written(text):
    canonical.encode(canonical.plain({text: [text, (text,)]}))
