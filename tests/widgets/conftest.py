"""What the widget tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def keep(qtbot: Any) -> Iterator[Callable[[Any], Any]]:
    """Close a widget after the test, and hold it until then: one that only its own signals know is collected as garbage,
    and not always at a good moment (in the middle of its own painting)."""
    held: list[Any] = []

    def hold(widget: Any) -> Any:
        qtbot.addWidget(widget)
        held.append(widget)
        return widget

    yield hold
    for widget in held:
        widget.close()
