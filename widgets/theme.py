"""All looks in one place: colours, spacing, type. Makes the style sheet and the application palette.

The only file of the window with colour literals (a test greps for others). Roles, not hues: a widget asks for
`flag`, never for orange. Must never hold state of its own; the current theme is what `apply` wrote on the application.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QObject
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from widgets.style_sheet import TEMPLATE

FONT_DIRECTORY = Path(__file__).resolve().parent.parent / "assets" / "fonts"
ICON_DIRECTORY = FONT_DIRECTORY.parent / "icons"
SANS = "Inter"
MONO = "JetBrains Mono"
ZOOM_RANGE = (0.8, 2.0)


@dataclass(frozen=True, slots=True)
class Tokens:
    """One colour per role. Marks are Okabe-Ito in both themes; `…_text` is the same meaning, readable as words."""

    background: str  # behind the cards
    panel: str  # side columns and bars
    raised: str  # cards and controls
    pressed: str
    line: str  # decorative hairline
    border: str  # edge of a control, 3:1 against panel and raised
    canvas: str  # around the picture
    text: str
    dim: str
    heading: str  # small capitals above a card
    faint: str  # decoration only, never words
    accent: str
    accent_text: str
    on_accent: str
    ok: str
    bad: str
    flag: str
    flag_text: str
    near_miss: str
    near_miss_text: str
    override: str
    override_text: str
    bookmark: str
    health: str
    health_text: str
    good: str
    review: str
    mark_outline: str  # around a mark whose fill is too close to the ground
    signal: str  # the curve of the timeline
    selection: str
    chip: str  # words laid on the picture
    ink_dark: str  # the two halves of a double outline: visible on anything
    ink_light: str
    veil: str  # neutral dim over masked regions


DARK = Tokens(
    background="#14171c",
    panel="#1b1f26",
    raised="#232933",
    pressed="#2f3743",
    line="#2f3743",
    border="#6f7b8c",
    canvas="#0b0d10",
    text="#e6eaf0",
    dim="#9aa5b4",
    heading="#8f9aab",
    faint="#6b7686",
    accent="#56B4E9",
    accent_text="#7cc4ee",
    on_accent="#0b1620",
    ok="#39c79d",
    bad="#ff7a66",
    flag="#E69F00",
    flag_text="#f0b030",
    near_miss="#D55E00",
    near_miss_text="#ff9a52",
    override="#0072B2",
    override_text="#7cc4ee",
    bookmark="#56B4E9",
    health="#CC79A7",
    health_text="#e2a3c6",
    good="#009E73",
    review="#F0E442",
    mark_outline="#c9d3df",
    signal="#56B4E9",
    selection="#28435a",
    chip="#14171c",
    ink_dark="#000000",
    ink_light="#ffffff",
    veil="#606060",
)

LIGHT = Tokens(
    background="#e9edf2",
    panel="#f5f7fa",
    raised="#ffffff",
    pressed="#d5dde7",
    line="#cdd5df",
    border="#6d7887",
    canvas="#d3dae3",
    text="#161b22",
    dim="#4a5565",
    heading="#566274",
    faint="#7d8897",
    accent="#0a6aa6",
    accent_text="#085a8e",
    on_accent="#ffffff",
    ok="#00704f",
    bad="#b3261e",
    flag="#E69F00",
    flag_text="#7d5200",
    near_miss="#D55E00",
    near_miss_text="#a04400",
    override="#0072B2",
    override_text="#00578a",
    bookmark="#56B4E9",
    health="#CC79A7",
    health_text="#8d3668",
    good="#009E73",
    review="#F0E442",
    mark_outline="#2b333e",
    signal="#0a6aa6",
    selection="#cfe4f4",
    chip="#ffffff",
    ink_dark="#000000",
    ink_light="#ffffff",
    veil="#606060",
)

_TOKENS = {"dark": DARK, "light": LIGHT}

TYPE_PX = {"small": 11, "body": 13, "title": 14, "big": 16, "hero": 24}


@dataclass(frozen=True, slots=True)
class Theme:
    """A set of tokens at a zoom. Lengths are logical pixels; `px` applies the zoom."""

    name: str = "dark"
    zoom: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in _TOKENS:
            raise ValueError(f"unknown theme {self.name!r}; there are {sorted(_TOKENS)}")
        low, high = ZOOM_RANGE
        object.__setattr__(self, "zoom", min(max(float(self.zoom), low), high))

    @property
    def tokens(self) -> Tokens:
        return _TOKENS[self.name]

    @property
    def is_dark(self) -> bool:
        return self.name == "dark"

    def color(self, role: str, alpha: float = 1.0) -> QColor:
        """The colour of a role; alpha 0..1."""
        color = QColor(getattr(self.tokens, role))
        color.setAlphaF(alpha)
        return color

    def px(self, length: float) -> int:
        return max(1, round(length * self.zoom))

    def font(self, size: str = "body", *, mono: bool = False, bold: bool = False) -> QFont:
        font = QFont(MONO if mono else SANS)
        font.setPixelSize(self.px(TYPE_PX[size]))
        font.setWeight(QFont.Weight.DemiBold if bold else QFont.Weight.Normal)
        return font


@lru_cache(maxsize=1)
def load_fonts() -> tuple[str, ...]:
    """Register the bundled fonts once. Returns their families; an unreadable file is simply not among them."""
    families: list[str] = []
    for path in sorted(FONT_DIRECTORY.iterdir() if FONT_DIRECTORY.is_dir() else ()):
        if path.suffix in {".otf", ".ttf"}:
            families += QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(path)))
    return tuple(dict.fromkeys(families))


def apply(app: QApplication, theme: Theme) -> None:
    """Give the whole application this theme. Every widget hears of it as a StyleChange event."""
    load_fonts()
    app.setProperty("themeName", theme.name)
    app.setProperty("themeZoom", theme.zoom)
    if app.style() is None or app.style().objectName().lower() != "fusion":
        app.setStyle("Fusion")  # the one style that is the same on every platform
    app.setFont(theme.font("body"))
    app.setPalette(_palette(theme))
    app.setStyleSheet(stylesheet(theme))


def current() -> Theme:
    """The theme `apply` wrote on the application, or the default when a widget is shown alone."""
    app = QCoreApplication.instance()
    if app is None or app.property("themeName") is None:
        return Theme()
    return Theme(str(app.property("themeName")), float(app.property("themeZoom")))


def follow(widget: QWidget, restyle: Callable[[Theme], None]) -> None:
    """Call `restyle` now and whenever the theme or its zoom changes. `restyle` sets lengths, fonts and icons.

    It runs while Qt walks over all widgets, so it must never delete or replace one.
    """
    _Follower(widget, restyle)


class _Follower(QObject):
    """Lives as long as its widget and watches for the style sheet to change."""

    def __init__(self, widget: QWidget, restyle: Callable[[Theme], None]) -> None:
        super().__init__(widget)
        self._restyle = restyle
        self._seen = current()
        widget.installEventFilter(self)
        restyle(self._seen)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.StyleChange and (theme := current()) != self._seen:
            self._seen = theme
            self._restyle(theme)
        return False


def contrast(foreground: str | QColor, background: str | QColor) -> float:
    """WCAG 2 contrast ratio of two opaque colours, 1..21."""
    one, other = _luminance(QColor(foreground)), _luminance(QColor(background))
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def _luminance(color: QColor) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(color.redF()) + 0.7152 * linear(color.greenF()) + 0.0722 * linear(color.blueF())


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    role = QPalette.ColorRole
    for target, token in (
        (role.Window, "background"),
        (role.WindowText, "text"),
        (role.Base, "panel"),
        (role.AlternateBase, "raised"),
        (role.Text, "text"),
        (role.Button, "raised"),
        (role.ButtonText, "text"),
        (role.ToolTipBase, "raised"),
        (role.ToolTipText, "text"),
        (role.PlaceholderText, "dim"),
        (role.Highlight, "selection"),
        (role.HighlightedText, "text"),
        (role.Link, "accent_text"),
        (role.LinkVisited, "accent_text"),
        (role.Light, "raised"),
        (role.Midlight, "raised"),
        (role.Mid, "line"),
        (role.Dark, "line"),
    ):
        palette.setColor(target, theme.color(token))
    for target in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, target, theme.color("faint"))
    return palette


def stylesheet(theme: Theme) -> str:
    """The style sheet of the whole window. Widgets choose looks by the dynamic properties `role`, `tone` and `card`."""
    values: dict[str, str] = {item.name: getattr(theme.tokens, item.name) for item in fields(Tokens)}
    values |= {f"type_{name}": f"{theme.px(size)}px" for name, size in TYPE_PX.items()}
    values |= {
        f"px{n}": f"{theme.px(n)}px" for n in (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40)
    }
    values["radio_radius"] = f"{(theme.px(14) + 2) // 2}px"  # more than half the size and Qt draws a square
    values |= {"sans": SANS, "mono": MONO}
    values |= {  # style sheets take files only, so these few icons exist once per theme
        f"icon_{name}": (ICON_DIRECTORY / f"{name}-{theme.name}.svg").as_posix()
        for name in ("tick", "dot", "up", "down")
    }
    text = TEMPLATE
    for name in sorted(values, key=len, reverse=True):
        text = text.replace(f"@{name}@", values[name])
    return text
