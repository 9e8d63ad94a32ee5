"""PANELS: every panel, one line each. The main window makes its docks from this table.

A factory is named as a string, so that reading the table imports nothing. A dock's objectName is its panel's id; when
one is added or renamed, raise settings.LAYOUT_VERSION.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from console.actions import LIVE, LOOKING, OPERATOR
from console.roles import EVERY_ROLE


@dataclass(frozen=True, slots=True)
class Panel:
    id: str
    title: str
    factory: str  # "module:Class", built without arguments
    area: str  # "centre" | "left" | "right" | "bottom" | "status"
    screens: frozenset[str] = LOOKING
    roles: frozenset[str] = EVERY_ROLE
    has_title: bool = True


# fmt: off
PANELS: dict[str, Panel] = {row.id: row for row in (
    Panel("picture", "Picture", "widgets.frame_view:FrameView", "centre"),
    Panel("source", "Source", "widgets.source_card:SourceCard", "left"),
    Panel("checkpoint", "Checkpoint", "widgets.model_card:ModelCard", "left"),
    Panel("layers", "Show on the picture", "widgets.layers_card:LayersCard", "left"),
    Panel("scale", "Colours", "widgets.legend:Legend", "left"),
    Panel("signals", "Signals", "widgets.signal_table:SignalTable", "right"),
    Panel("decide", "Your call", "widgets.override_bar:OverrideBar", "right", LIVE, OPERATOR),
    Panel("events", "Events", "widgets.event_list:EventList", "right"),
    Panel("timeline", "Timeline", "widgets.timeline:Timeline", "bottom", has_title=False),
    Panel("transport", "Playback", "widgets.transport_bar:TransportBar", "bottom", has_title=False),
    Panel("health", "Health", "widgets.health_strip:HealthStrip", "status"),
)}
# fmt: on


def title_of(row: Panel) -> str:
    return QCoreApplication.translate("panels", row.title)


def make(row: Panel) -> QWidget:
    """The panel's widget, new."""
    module, _, name = row.factory.partition(":")
    factory = cast(Callable[[], QWidget], getattr(importlib.import_module(module), name))
    return factory()
