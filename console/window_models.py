"""Checkpoints: choosing, loading with progress and cancel, the load report, mask rules, refusal in words."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from PySide6.QtCore import QObject

from console.dialogs.load_report import LoadReportDialog
from console.notices import (
    CheckpointLoaded,
    CheckpointLoading,
    CheckpointRefused,
    CheckpointUnloaded,
    EngineLost,
    EngineRestored,
    MaskChanged,
    SourceClosed,
    SourceOpened,
    SteppedDown,
)
from console.window_desk import Desk
from jepa_core.errors import CheckpointError, ConsoleError, EngineStopped, GaveWay, NotAble, OutOfMemory
from jepa_core.messages import EngineOptions
from jepa_core.types import Box, CheckpointInfo, Inspection, LoadReport, MaskRule
from widgets.frame_view import FrameView
from widgets.layers_card import LayersCard
from widgets.model_card import ModelCard
from widgets.words import duration

MEMORY_CODES = (OutOfMemory.code, GaveWay.code)
CHECKPOINT_CODES = (CheckpointError.code, *(str(kind.code) for kind in CheckpointError.__subclasses__()))


class Models(QObject):
    """The checkpoint's way from a file to the card, or to a refusal with its report."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._card = cast(ModelCard, desk.panels["checkpoint"])
        self._layers = cast(LayersCard, desk.panels["layers"])
        self._view = cast(FrameView, desk.panels["picture"])
        self._report: LoadReport | None = None
        self._error: ConsoleError | None = None
        self._is_loading = False
        self._path = ""
        self.is_quiet = False  # the load sheet shows the progress
        self._card.openRequested.connect(desk.actions["open_checkpoint"].trigger)
        self._card.cancelRequested.connect(self.cancel)
        self._card.detailsRequested.connect(self.show_report)
        self._card.show_empty()
        self._layers.maskRuleChanged.connect(self._choose_mask)
        self._layers.show_rule(desk.pipeline.mask_rule, None)
        self._view.regionDrawn.connect(self._region_drawn)
        bridge = desk.bridge
        bridge.on_notice(CheckpointLoading, "checkpoint", self._loading)
        bridge.on_notice(CheckpointLoaded, "checkpoint", self._loaded)
        bridge.on_notice(CheckpointRefused, "checkpoint", self._refused)
        bridge.on_notice(CheckpointUnloaded, "checkpoint", self._unloaded)
        bridge.on_notice(EngineLost, "checkpoint", self._engine_lost)
        bridge.on_notice(EngineRestored, "checkpoint", self._engine_back)
        bridge.on_notice(SteppedDown, "checkpoint", self._stepped_down)
        bridge.on_notice(MaskChanged, "layers", self._mask_changed)
        bridge.on_notice(SourceOpened, "checkpoint", self._source_changed)
        bridge.on_notice(SourceClosed, "checkpoint", self._source_changed)
        bridge.on_inspection("layers", self._looked)
        self._steps = 0
        self._note = ""  # why the newest look predicted nothing
        self._refresh()

    @property
    def is_loading(self) -> bool:
        return self._is_loading

    def load(self, path: str, config: str | None = None, options: EngineOptions | None = None) -> None:
        """Straight away: the decision was made, on the load sheet or by asking for the demo."""
        self._path = path
        self._report, self._error = None, None
        for code in MEMORY_CODES:  # a person goes back up
            self._desk.banner_clear(code)
        self._desk.pipeline.load_checkpoint(path, config, options)

    def cancel(self) -> None:
        if self._is_loading:
            self._desk.pipeline.cancel_load()

    def unload(self) -> None:
        self._desk.pipeline.unload_checkpoint()

    def show_report(self) -> None:
        """Tensor by tensor, of a loaded or a refused file."""
        if self._report is None:
            if self._error is not None:
                self._desk.fault(self._error)
            else:
                self._desk.say(self.tr("No checkpoint is loaded."))
            return
        dialog = LoadReportDialog(self._report, self._desk.state.checkpoint, self._desk.window)
        dialog.show()

    def _loading(self, notice: CheckpointLoading) -> None:
        self._is_loading = True
        self._card.show_loading(notice.fraction, notice.text)
        if not self.is_quiet:
            self._desk.show_progress(
                "load",
                self.tr("Loading {0}: {1}").format(Path(notice.path).name, notice.text),
                notice.fraction,
                self.cancel,
            )
        self._refresh()

    def _loaded(self, notice: CheckpointLoaded) -> None:
        self._is_loading = False
        self._report, self._error = notice.report, None
        self._desk.hide_progress("load")
        self._desk.state.checkpoint = notice.info
        self._card.show_checkpoint(notice.info, notice.report)
        self._forget_note()
        self._layers.show_checkpoint(notice.info)
        for code in CHECKPOINT_CODES:
            self._desk.banner_clear(code)
        path = notice.info.path or self._path
        self._desk.settings.remember(path, Path(path).name, "checkpoint")
        self._refresh()

    def _refused(self, notice: CheckpointRefused) -> None:
        self._is_loading = False
        self._error = notice.error
        self._report = notice.error.report if isinstance(notice.error, CheckpointError) else None
        self._desk.hide_progress("load")
        self._desk.state.checkpoint = None
        self._card.show_refused(notice.error, self._report)
        self._layers.show_checkpoint(None)
        self._desk.fault(notice.error)
        self._refresh()

    def _unloaded(self, notice: CheckpointUnloaded) -> None:
        self._is_loading = False
        self._report = None
        self._desk.hide_progress("load")
        self._desk.state.checkpoint = None
        self._card.show_empty()
        self._forget_note()
        self._layers.show_checkpoint(None)
        if notice.is_cancelled:
            self._desk.say(self.tr("Loading was cancelled. No checkpoint is loaded."))
        self._refresh()

    def _engine_lost(self, notice: EngineLost) -> None:
        error = EngineStopped(
            notice.reason,
            self.tr("It is being restarted with the same checkpoint. Picture, events and recording go on."),
        )
        self._desk.fault(error)
        self._view.show_inspection(None)

    def _engine_back(self, notice: EngineRestored) -> None:
        self._desk.banner_clear(EngineStopped.code)
        self._desk.say(self.tr("Predictions are back after {0}.").format(duration(notice.seconds)), "ok")

    def _stepped_down(self, notice: SteppedDown) -> None:
        """Stays on the banner: what is on the screen is less than what was asked for."""
        self._desk.fault(notice.error)
        if notice.info is not None and self._report is not None:
            self._desk.state.checkpoint = notice.info
            self._card.show_checkpoint(notice.info, self._report)

    def _source_changed(self, _notice: object) -> None:
        """A session brings the checkpoint it was recorded with: its predictions need no other."""
        self._forget_note()
        recorded = self._desk.pipeline.recorded_checkpoint
        self._show_ways(recorded if self._desk.pipeline.is_replay else self._desk.state.checkpoint)
        if self._desk.state.checkpoint is not None or self._is_loading or self._error is not None:
            return
        if recorded is not None:
            self._card.show_checkpoint(recorded, None)
        else:
            self._card.show_empty()

    def _show_ways(self, info: CheckpointInfo | None) -> None:
        """Whose looks are on the screen decides what there is to say of them and to choose."""
        self._view.set_checkpoint(info)
        self._layers.show_checkpoint(info)

    # masks

    def _choose_mask(self, rule: MaskRule) -> None:
        self._desk.banner_clear(NotAble.code)  # what was asked before is not asked any more
        self._desk.pipeline.set_mask(rule)

    def _region_drawn(self, box: Box) -> None:
        look = self._view.inspection
        if look is not None and not _overlap(box, look.layout.crop):
            self._view.show_region(self._desk.pipeline.mask_rule.region)
            self._desk.say(
                self.tr("That is outside the dashed square, which is all the model sees. Draw inside it."),
                "warning",
            )
            return  # the tool stays in the hand
        self._desk.actions["region"].setChecked(False)
        self._layers.show_region_drawn(box)

    def _mask_changed(self, notice: MaskChanged) -> None:
        self._layers.show_rule(notice.rule, None)
        self._view.show_region(notice.rule.region if notice.rule.kind == "region" else None)

    def _forget_note(self) -> None:
        """Another checkpoint or another source: the next look says it anew."""
        self._note = ""
        self._show_can_choose()

    def _show_can_choose(self) -> None:
        """Masks decide something only where something is predicted."""
        if self._desk.pipeline.is_replay:
            why_not = self.tr("A recording shows the masks that it was made with.")
        else:
            why_not = self._note
        self._layers.set_can_choose(not why_not, why_not)

    def _looked(self, inspection: Inspection) -> None:
        """The card needs to know how many time steps there are to choose from, or why there is nothing to choose;
        told once per change."""
        layout = inspection.layout
        if inspection.note != self._note:
            self._note = inspection.note
            self._show_can_choose()
        if layout.shape[0] != self._steps:
            self._steps = layout.shape[0]
            self._layers.show_rule(self._desk.pipeline.mask_rule, layout)

    def _refresh(self) -> None:
        has = self._desk.state.checkpoint is not None
        self._desk.actions["unload"].setEnabled(has)
        self._desk.actions["report"].setEnabled(self._report is not None or self._error is not None)


def _overlap(one: Box, other: Box) -> bool:
    return (
        one[0] < other[0] + other[2]
        and other[0] < one[0] + one[2]
        and one[1] < other[1] + other[3]
        and other[1] < one[1] + one[3]
    )
