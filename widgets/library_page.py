"""On this machine: every checkpoint in the folders that are looked through, what is known of each, and what to do.

States: looking, empty, rows; each with a sentence and a next step. Takes the entries of `jepa_core/library.py` and speaks
in signals; looks at no disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from jepa_core.library import FolderProblem, LibraryEntry
from widgets import a11y
from widgets.facts import Fact
from widgets.model_detail import ModelDetail
from widgets.model_list import ModelList, ModelRow
from widgets.parts import Elided, button, label, row
from widgets.theme import Theme, follow
from widgets.words import grouped, plural, size


class LibraryPage(QWidget):
    """The list and the card of the chosen checkpoint."""

    openRequested = Signal(str)  # path: examine it, then ask whether to load
    claimsRequested = Signal(str)  # exact name of a system
    addFolderRequested = Signal()
    releasedRequested = Signal()  # show what can be downloaded
    refreshRequested = Signal()
    removeRequested = Signal(str)  # path of a download

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: dict[str, LibraryEntry] = {}
        self._folders: tuple[Path, ...] = ()
        self._cache = Path()
        self._in_use = ""
        self.list = ModelList(self.tr("Checkpoints on this machine"))
        self.list.selected.connect(self._show_chosen)
        self.list.activated.connect(self.openRequested)
        self.list.actionRequested.connect(self._act)
        self._sum = Elided(role="dim")
        self._problems = label(tone="flag", wrap=True)
        self._add = button(self.tr("Add a folder…"), "flat", self.addFolderRequested.emit)
        self._again = button(self.tr("Look again"), "flat", self.refreshRequested.emit)
        self._detail = ModelDetail(self.tr("Choose a checkpoint to see what is known of it."))
        self._open = button(self.tr("Examine and load…"), "primary", self._open_chosen)
        self._claims = button(self.tr("What may be claimed"), "flat", self._ask_claims)
        self._remove = button(self.tr("Remove the download…"), "flat", self._remove_chosen)
        a11y.name(self._add, self.tr("Look through another folder too"))
        a11y.name(self._again, self.tr("Look through the folders again"))
        a11y.name(
            self._open,
            self.tr("Examine and load"),
            self.tr("First shows what it is; loads nothing yet"),
            "Enter",
        )
        a11y.name(self._claims, self.tr("What may be claimed of this system"))
        a11y.name(self._remove, self.tr("Remove the download from the disk"))
        self._detail.buttons.addLayout(row(self._open, self._claims, None, self._remove))
        left = QVBoxLayout()
        left.addWidget(self.list, 1)
        left.addWidget(self._problems)
        left.addLayout(row(self._sum, 1, self._again, self._add))
        self._left = left
        self._layout = QHBoxLayout(self)
        self._layout.addLayout(left, 5)
        self._layout.addWidget(self._detail, 4)
        self.setAccessibleName(self.tr("On this machine"))
        follow(self, self._restyle)
        self.show_problems(())
        self.show_looking(())

    # what is shown

    def show_looking(self, folders: Sequence[Path], found: int = 0) -> None:
        """The folders are being looked through. Rows that are there already stay."""
        self._folders = tuple(folders)
        if self._entries:
            self._sum.set_whole(self.tr("Looking through {0}…").format(plural(len(folders), "folder")))
            return
        self._show_buttons(None)
        self._detail.hide()
        self._sum.set_whole("")
        self.list.show_notice(
            "busy", self.tr("Looking for checkpoints"), self.tr("{0} found so far.").format(found)
        )

    def show_entries(self, entries: Sequence[LibraryEntry], folders: Sequence[Path], cache: Path) -> None:
        """Everything that was found. `cache`: the folder of downloads, whose files may be removed here."""
        self._entries = {str(entry.path): entry for entry in entries}
        self._folders, self._cache = tuple(folders), cache
        if not entries:
            looked = "\n".join(str(folder) for folder in folders)
            self.list.show_notice(
                "empty",
                self.tr("No checkpoint is on this machine yet"),
                self.tr(
                    "Download a released one, drop a file on the window, or name a folder. Looked through:"
                )
                + f"\n{looked}",
                self.tr("Released checkpoints"),
            )
            self._detail.hide()
            self._sum.set_whole("")
            return
        self._detail.show()
        whole = sum(entry.bytes for entry in entries)
        self._sum.set_whole(
            self.tr("{0}, {1} in {2}").format(
                plural(len(entries), "checkpoint"), size(whole), plural(len(folders), "folder")
            )
        )
        self.list.set_rows([self._row(entry) for entry in entries])

    def show_entry(self, entry: LibraryEntry) -> None:
        """Something new is known of one file, perhaps of one in no folder that is looked through."""
        if str(entry.path) in self._entries:
            self._entries[str(entry.path)] = entry
            self.list.set_rows([self._row(each) for each in self._entries.values()])
            self._show_chosen(self.list.key)

    def show_error(self, text: str, hint: str) -> None:
        """Nothing can be looked through."""
        self._entries = {}
        self._detail.hide()
        self._sum.set_whole("")
        self.list.show_notice("error", text, hint)

    def show_problems(self, problems: Sequence[FolderProblem]) -> None:
        """Folders that could not be looked through."""
        self._problems.setText("\n".join(f"△ {problem.text}" for problem in problems))
        self._problems.setVisible(bool(problems))

    def show_in_use(self, path: str) -> None:
        """Mark the checkpoint that is loaded; "" for none."""
        self._in_use = path
        if self._entries:
            self.list.set_rows([self._row(entry) for entry in self._entries.values()])
            self._show_chosen(self.list.key)

    @property
    def chosen(self) -> LibraryEntry | None:
        return self._entries.get(self.list.key)

    # inside

    def _row(self, entry: LibraryEntry) -> ModelRow:
        verdict, released = entry.verdict, entry.identity.entry
        system = (verdict.system if verdict else "") or (released.system if released else "")
        variant = (verdict.variant if verdict else "") or (released.variant if released else "")
        nothing = self.tr("not examined yet") if verdict is None else self.tr("no system was recognised")
        what = " · ".join(word for word in (system, variant) if word) or nothing
        state, words = "", ""
        if str(entry.path) == self._in_use:
            state, words = "use", self.tr("● in use")
        elif verdict is not None:
            state, words = ("ok", self.tr("✓ matches")) if verdict.is_exact else ("bad", self.tr("✗ refused"))
        return ModelRow(str(entry.path), entry.name, system, what, size(entry.bytes), state, words)

    def _show_chosen(self, key: str) -> None:
        entry = self._entries.get(key)
        self._show_buttons(entry)
        if entry is None:
            self._detail.show_nothing()
            return
        verdict, identity = entry.verdict, entry.identity
        system = verdict.system if verdict else ""
        chips = [(self.tr("in use"), "accent")] if key == self._in_use else []
        chips += [(system, "")] if system else []
        facts: list[Fact] = [(self.tr("Variant"), verdict.variant if verdict else "")]
        if verdict is not None and verdict.parameters:
            facts.append((self.tr("Size"), self.tr("{0} parameters").format(grouped(verdict.parameters))))
        facts += [
            (self.tr("On disk"), size(entry.bytes)),
            (self.tr("Changed"), _when(entry.modified_ns)),
            (
                self.tr("Released as"),
                identity.entry.name if identity.entry and identity.proof != "differs" else "",
            ),
            (self.tr("From"), entry.known.origin if entry.known else ""),
            (self.tr("sha256"), entry.sha256, "mono-small"),
            (self.tr("Path"), str(entry.path), "mono-small"),
        ]
        said = [identity.text] if identity.text else []
        self._detail.show_model(entry.name, chips, facts, said)
        self._show_verdict(entry)

    def _show_verdict(self, entry: LibraryEntry) -> None:
        verdict = entry.verdict
        if verdict is None:
            hint = self.tr(
                "Examining says what it is, whether it matches and what it needs. Nothing is loaded by it."
            )
            self._detail.show_verdict(self.tr("Not examined yet"), hint)
        elif verdict.is_exact:
            when = self.tr("Examined {0}.").format(_when(verdict.wall_ns)) if verdict.wall_ns else ""
            self._detail.show_verdict(
                self.tr("✓ {0}: every tensor matched").format(verdict.system), when, "ok"
            )
        else:
            hint = self.tr("Open its report to see every tensor; another config may be chosen there.")
            self._detail.show_verdict(self.tr("✗ Refused: {0}").format(verdict.text), hint, "bad")

    def _show_buttons(self, entry: LibraryEntry | None) -> None:
        self._open.setVisible(entry is not None)
        is_refused = entry is not None and entry.verdict is not None and not entry.verdict.is_exact
        self._open.setText(self.tr("Open its report…") if is_refused else self.tr("Examine and load…"))
        self._claims.setVisible(entry is not None and bool(self._system_of(entry)))
        is_download = entry is not None and self._cache != Path() and entry.path.is_relative_to(self._cache)
        self._remove.setVisible(is_download)

    def _system_of(self, entry: LibraryEntry) -> str:
        if entry.verdict is not None and entry.verdict.system:
            return entry.verdict.system
        return entry.identity.entry.system if entry.identity.entry is not None else ""

    def _open_chosen(self) -> None:
        if self.list.key:
            self.openRequested.emit(self.list.key)

    def _ask_claims(self) -> None:
        if self.chosen is not None:
            self.claimsRequested.emit(self._system_of(self.chosen))

    def _remove_chosen(self) -> None:
        if self.list.key:
            self.removeRequested.emit(self.list.key)

    def _act(self, _words: str) -> None:
        self.releasedRequested.emit()

    def _restyle(self, theme: Theme) -> None:
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.px(16))
        self._left.setSpacing(theme.px(6))
        self._detail.setMinimumWidth(theme.px(300))


def _when(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns / 1e9).strftime("%d %b %Y %H:%M") if wall_ns > 0 else ""
