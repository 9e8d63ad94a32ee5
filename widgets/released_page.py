"""Released: what the authors of the systems published, under which terms, and how to get it onto this machine.

The facts are those of the catalogue, with who counted them; the download is somebody else's work, told here as a
DownloadView. Being offline is a normal state with a sentence of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from jepa_core.catalogue import CatalogueEntry
from widgets import a11y
from widgets.facts import Fact
from widgets.model_detail import ModelDetail
from widgets.model_list import ModelList, ModelRow
from widgets.parts import Card, Elided, button, label, row, set_look
from widgets.theme import Theme, follow
from widgets.words import duration, grouped, size

ABILITIES = {"masked": "masked", "temporal": "video", "actions": "actions", "slots": "object slots"}


@dataclass(frozen=True, slots=True)
class DownloadView:
    """What is said of one download."""

    state: str = (
        "none"  # "none" | "queued" | "running" | "checking" | "paused" | "done" | "failed" | "offline"
    )
    done_bytes: int = 0
    total_bytes: int = 0  # 0 unknown
    bytes_per_s: float = 0.0
    text: str = ""  # of a failure: what happened; of a finished one: how it was checked
    hint: str = ""
    path: str = ""  # of a finished one: what to load

    @property
    def fraction(self) -> float:
        """0..1, -1 where it is not known or nothing runs."""
        if self.state not in ("running", "paused", "checking", "queued", "offline", "failed"):
            return -1.0
        return self.done_bytes / self.total_bytes if self.total_bytes and self.done_bytes else -1.0

    def amount(self) -> str:
        """ "3.2 of 10.4 GB"."""
        if self.total_bytes:
            return f"{size(self.done_bytes)} of {size(self.total_bytes)}"
        return size(self.done_bytes)

    def rest(self) -> str:
        """ "12.1 MB/s, 9 m 20 s left"; empty while nobody knows."""
        if self.state != "running" or self.bytes_per_s <= 0:
            return ""
        words = f"{size(self.bytes_per_s)}/s"
        if self.total_bytes > self.done_bytes:
            words += f", {duration((self.total_bytes - self.done_bytes) / self.bytes_per_s)} left"
        return words


NOT_HERE = DownloadView()


class ReleasedPage(QWidget):
    """The catalogue, the card of the chosen checkpoint, and its download."""

    downloadRequested = Signal(str)  # id in the catalogue; also to go on after a pause or a failure
    pauseRequested = Signal(str)
    cancelRequested = Signal(str)  # and let go of what came
    openRequested = Signal(str)  # path of a finished download
    claimsRequested = Signal(str)  # exact name of a system
    copyRequested = Signal(str)  # text for the clipboard

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: dict[str, CatalogueEntry] = {}
        self._downloads: dict[str, DownloadView] = {}
        self._free, self._cache = -1, ""
        self.list = ModelList(self.tr("Released checkpoints"))
        self.list.selected.connect(self._show_chosen)
        self.list.activated.connect(self._activate)
        self._detail = ModelDetail(self.tr("Choose a checkpoint to see what its authors released."))
        self._sum = Elided(role="dim")
        self._build_download()
        left = QVBoxLayout()
        left.addWidget(self.list, 1)
        left.addWidget(self._sum)
        self._left = left
        self._layout = QHBoxLayout(self)
        self._layout.addLayout(left, 5)
        self._layout.addWidget(self._detail, 4)
        self.setAccessibleName(self.tr("Released checkpoints"))
        follow(self, self._restyle)
        self._show_chosen("")

    # what is shown

    def show_entries(self, entries: Sequence[CatalogueEntry]) -> None:
        """The catalogue, in its order."""
        self._entries = {entry.id: entry for entry in entries}
        self._sum.set_whole(
            self.tr(
                "{0} checkpoints. None of them comes with the console; their terms are their authors'."
            ).format(len(entries))
        )
        self._show_rows()

    def show_downloads(self, downloads: Mapping[str, DownloadView]) -> None:
        """What is known of every download; an id without one is not here."""
        self._downloads = dict(downloads)
        self._show_rows()

    def show_download(self, entry_id: str, view: DownloadView) -> None:
        """One of them moved."""
        self._downloads[entry_id] = view
        self._show_rows()

    def show_room(self, free_bytes: int, folder: str) -> None:
        """Free bytes where downloads go, -1 unknown."""
        self._free, self._cache = free_bytes, folder
        self._show_download(self.list.key)

    def show_error(self, text: str, hint: str) -> None:
        """The catalogue itself cannot be read."""
        self._entries = {}
        self._detail.hide()
        self.list.show_notice("error", text, hint)

    # building

    def _build_download(self) -> None:
        self._words = label(role="strong", wrap=True)
        self._hint = label(role="dim", wrap=True)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName(self.tr("Download"))
        self._card = Card(spacing=6)
        self._get = button(self.tr("Download"), "primary", self._ask_download)
        self._pause = button(self.tr("Pause"), "", self._ask_pause)
        self._cancel = button(self.tr("Cancel"), "", self._ask_cancel)
        self._open = button(self.tr("Examine and load…"), "primary", self._ask_open)
        self._claims = button(self.tr("What may be claimed"), "flat", self._ask_claims)
        self._copy = button(self.tr("Copy address"), "flat", self._ask_copy)
        a11y.name(
            self._get, self.tr("Download"), self.tr("Into the folder of downloads; can be paused"), "Enter"
        )
        a11y.name(
            self._pause, self.tr("Pause the download"), self.tr("What came stays; it goes on from there")
        )
        a11y.name(self._cancel, self.tr("Cancel the download"), self.tr("What came is removed"))
        a11y.name(self._open, self.tr("Examine and load"), self.tr("First shows what it is"), "Enter")
        a11y.name(self._claims, self.tr("What may be claimed of this system"))
        a11y.name(self._copy, self.tr("Copy the address"))
        for item in (self._words, self._bar, self._hint):
            self._card.body.addWidget(item)
        self._card.body.addLayout(row(self._get, self._open, self._pause, self._cancel, None))
        self._detail.buttons.addWidget(self._card)
        self._detail.buttons.addLayout(row(self._claims, self._copy, None))

    # inside

    def _view(self, entry_id: str) -> DownloadView:
        return self._downloads.get(entry_id, NOT_HERE)

    def _show_rows(self) -> None:
        if self._entries:
            self._detail.show()
            self.list.set_rows([self._row(entry) for entry in self._entries.values()])
            self._show_download(self.list.key)

    def _row(self, entry: CatalogueEntry) -> ModelRow:
        view = self._view(entry.id)
        state, words = {
            "none": ("", ""),
            "queued": ("busy", self.tr("waiting")),
            "running": ("busy", self._percent(view)),
            "checking": ("busy", self.tr("checking")),
            "paused": ("flag", self.tr("paused")),
            "done": ("ok", self.tr("✓ on this machine")),
            "failed": ("bad", self.tr("✗ not finished")),
            "offline": ("flag", self.tr("offline, kept so far")),
        }.get(view.state, ("", ""))
        if entry.refused and not words:
            state, words = "flag", self.tr("△ not loadable here")
        detail = f"{entry.system} · {entry.licence.name}"
        return ModelRow(
            entry.id, entry.name, entry.system, detail, _disk_words(entry), state, words, view.fraction
        )

    def _percent(self, view: DownloadView) -> str:
        return f"{100 * view.fraction:.0f} %" if view.fraction >= 0 else self.tr("connecting")

    def _show_chosen(self, key: str) -> None:
        entry = self._entries.get(key)
        for item in (self._card, self._claims, self._copy):
            item.setVisible(entry is not None)
        if entry is None:
            self._detail.show_nothing()
            return
        chips = [(self.tr(ABILITIES[name]), "") for name in ABILITIES if name in entry.abilities]
        if entry.licence.non_commercial:
            chips.append((self.tr("non-commercial"), "flag"))
        main = entry.main_file
        size_words = (
            self.tr("{0} encoder").format(grouped(entry.encoder_parameters))
            if entry.encoder_parameters
            else ""
        )
        if entry.predictor_parameters:
            predictor = self.tr("{0} predictor").format(grouped(entry.predictor_parameters))
            size_words = f"{size_words} + {predictor}" if size_words else predictor
        facts: list[Fact] = [
            (self.tr("System"), entry.system),
            (self.tr("Variant"), entry.variant),
            (self.tr("Parameters"), size_words),
            (self.tr("In the file"), ", ".join(part.replace("_", " ") for part in entry.parts)),
            (self.tr("Download"), self._download_words(entry)),
            (self.tr("Licence"), f"{entry.licence.name}: {entry.licence.where}"),
            (self.tr("Address"), entry.address, "mono-small"),
            (self.tr("sha256"), main.sha256 or self.tr("nobody reported one that we read")),
            (self.tr("Facts from"), entry.source),
        ]
        said = [f"△ {note}" for note in entry.notes] + [
            self.tr("Not known: {0}").format(text) for text in entry.unknown
        ]
        self._detail.show_model(entry.name, chips, facts, said)
        hint = self.tr("It can be downloaded and examined all the same.")
        self._detail.show_verdict(
            self.tr("△ This console refuses it: {0}").format(entry.refused) if entry.refused else "",
            hint,
            "flag",
        )
        self._show_download(key)

    def _download_words(self, entry: CatalogueEntry) -> str:
        if not entry.expected_bytes:
            return self.tr("size not known")
        source = entry.main_file.bytes_source
        return f"{_disk_words(entry)} ({source})" if source else _disk_words(entry)

    def _show_download(self, key: str) -> None:
        entry = self._entries.get(key)
        if entry is None:
            return
        view = self._view(key)
        needed = max(entry.expected_bytes - view.done_bytes, 0)
        has_room = self._free < 0 or needed < self._free
        words, hint, tone = self._download_texts(entry, view, needed, has_room)
        self._words.setText(words)
        set_look(self._words, tone=tone if tone in ("ok", "bad", "flag") else "")
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint))
        self._card.set_tone(tone if tone in ("bad", "flag") else "")
        is_moving = view.state in ("queued", "running", "checking")
        is_stopped = view.state in ("paused", "failed", "offline")
        self._bar.setVisible(is_moving or view.fraction >= 0)
        self._bar.setRange(0, 1000 if view.fraction >= 0 else 0)
        self._bar.setValue(int(1000 * max(view.fraction, 0)))
        self._get.setVisible(view.state == "none" or is_stopped)
        self._get.setEnabled(has_room)
        self._get.setText(
            self.tr("Download")
            if view.state == "none"
            else (self.tr("Go on") if view.done_bytes else self.tr("Try again"))
        )
        self._pause.setVisible(view.state in ("queued", "running"))
        self._cancel.setVisible(is_moving or (is_stopped and view.done_bytes > 0))
        self._open.setVisible(view.state == "done")

    def _download_texts(
        self, entry: CatalogueEntry, view: DownloadView, needed: int, has_room: bool
    ) -> tuple[str, str, str]:
        """(what is so, what to know or do, tone)"""
        where = self.tr("Into {0}.").format(self._cache) if self._cache else ""
        free = self.tr("{0} are free there.").format(size(self._free)) if self._free >= 0 else ""
        if not has_room and view.state not in ("done", "running", "checking"):
            text = self.tr("Not enough room: {0} to come, {1} free").format(size(needed), size(self._free))
            return (
                text,
                self.tr("Make room in {0}, or name another folder in the settings.").format(self._cache),
                "flag",
            )
        if view.state == "none":
            terms = self.tr("Terms: {0}{1}.").format(
                entry.licence.name,
                self.tr(", not for commercial use") if entry.licence.non_commercial else "",
            )
            return self.tr("Not on this machine"), f"{terms} {where} {free}".strip(), ""
        if view.state == "done":
            return self.tr("✓ On this machine"), view.text, "ok"
        if view.state == "checking":
            return self.tr("Checking what came"), view.text or self.tr("Its sha256 is counted."), ""
        if view.state == "paused":
            return self.tr("Paused at {0}").format(view.amount()), self.tr("It goes on from there."), "flag"
        if view.state == "offline":
            kept = self.tr("What came is kept ({0}).").format(view.amount()) if view.done_bytes else ""
            hint = view.hint or self.tr("What is on this machine can be used meanwhile.")
            return view.text or self.tr("The address cannot be reached"), f"{kept} {hint}".strip(), "flag"
        if view.state == "failed":
            return self.tr("✗ {0}").format(view.text), view.hint, "bad"
        return view.amount() if view.done_bytes else self.tr("Connecting…"), view.rest(), ""

    def _activate(self, key: str) -> None:
        view = self._view(key)
        if view.state == "done":
            self.openRequested.emit(view.path)
        elif view.state in ("none", "paused", "failed", "offline") and self._get.isEnabled():
            self.downloadRequested.emit(key)

    def _ask_download(self) -> None:
        self.downloadRequested.emit(self.list.key)

    def _ask_pause(self) -> None:
        self.pauseRequested.emit(self.list.key)

    def _ask_cancel(self) -> None:
        self.cancelRequested.emit(self.list.key)

    def _ask_open(self) -> None:
        self.openRequested.emit(self._view(self.list.key).path)

    def _ask_claims(self) -> None:
        self.claimsRequested.emit(self._entries[self.list.key].system)

    def _ask_copy(self) -> None:
        main = self._entries[self.list.key].main_file
        self.copyRequested.emit(main.url or f"{main.hub}/{main.path}")

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.px(16))
        self._left.setSpacing(theme.px(6))
        self._detail.setMinimumWidth(theme.px(300))
        self._bar.setFixedHeight(theme.px(8))


def _disk_words(entry: CatalogueEntry) -> str:
    """ "5.1 GB", "about 10.4 GB", or nothing where nobody knows."""
    if not entry.expected_bytes:
        return ""
    return size(entry.expected_bytes) if entry.is_size_exact else f"about {size(entry.expected_bytes)}"
