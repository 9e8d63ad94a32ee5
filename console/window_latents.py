"""The latents on the picture: which layer, of what, on which level, like which place; and what is said where there are
none.

Joins the layers card, the legend and the picture to the engine's view. Owns the LatentView that was asked for; the
engine makes nothing while no layer of latents is on. GUI thread only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from PySide6.QtCore import QObject

from console.notices import CheckpointLoaded, CheckpointUnloaded, SourceClosed, SourceOpened
from console.window_desk import Desk
from jepa_core.latent_views import cell_at
from jepa_core.types import Inspection, LatentView
from widgets.frame_view import FrameView
from widgets.latent_maps import map_shape, slot_map
from widgets.latent_words import KINDS, LAYERS, layer_of
from widgets.layers_card import LayersCard
from widgets.legend import Legend
from widgets.overlays.base import ALONE, settled

CHOOSING = ("similarity", "attention")  # layers that need a place, which a click gives


class Latents(QObject):
    """What a person asked to see of the latents."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.window)
        self._desk = desk
        self._picture = cast(FrameView, desk.panels["picture"])
        self._choice = cast(LayersCard, desk.panels["layers"]).latents
        self._legend = cast(Legend, desk.panels["scale"])
        self._view = LatentView()
        self._sent = LatentView()
        self._displaced: frozenset[str] = frozenset()  # what a layer of latents took the place of
        self._told_layout = ""
        self._is_unseen = False  # this checkpoint has not looked yet
        self._is_automatic = False  # colours are on because the checkpoint predicts nothing
        self._choice.layerChosen.connect(self._choose)
        self._choice.ofChosen.connect(lambda of: self._edit(of=of))
        self._choice.levelChosen.connect(lambda level: self._edit(level=level))
        self._legend.latents.refitRequested.connect(self.refit)
        self._picture.placeClicked.connect(self._clicked)
        self._picture.inspectionShown.connect(self._shown)
        desk.state.layersChanged.connect(self._layers_changed)
        desk.bridge.on_notice(CheckpointLoaded, "latents", self._loaded)
        desk.bridge.on_notice(CheckpointUnloaded, "latents", self._unloaded)
        desk.bridge.on_inspection("latents", self._looked)
        desk.bridge.on_notice(SourceOpened, "latents", self._source_changed)
        desk.bridge.on_notice(SourceClosed, "latents", self._source_changed)
        self._layers_changed(desk.state.layers)

    # commands

    def toggle_projection(self) -> None:
        self._toggle("projection")

    def toggle_similarity(self) -> None:
        self._toggle("similarity")

    def toggle_attention(self) -> None:
        self._toggle("attention")

    def refit(self) -> None:
        """New axes from the next looks."""
        self._edit(fit=self._view.fit + 1)
        self._desk.say(self.tr("New axes from the next looks: colours before and after cannot be compared."))

    def leave_choosing(self) -> bool:
        """Esc: put the click tool down. True if it was in the hand."""
        if self._layer not in CHOOSING:
            return False
        self._choose("")
        return True

    # what is asked for

    @property
    def _layer(self) -> str:
        return layer_of(self._desk.state.layers)

    def _toggle(self, layer: str) -> None:
        self._choose("" if self._layer == layer else layer)

    def _choose(self, layer: str) -> None:
        """Show this layer of latents, "" = none of them: what it displaced comes back."""
        before = self._desk.state.layers
        if layer == "attention" and self._layout != "slots":
            self._desk.say(self.tr("Only C-JEPA's object slots have an attention to show."), "warning")
            self._layers_changed(before)  # back to what is on
            return
        self._is_automatic = False
        if layer:
            if not self._layer:
                self._displaced = before & ALONE
            layers = settled(before - frozenset(LAYERS) | {layer}, before)
        else:
            layers = before - frozenset(LAYERS) | self._displaced
        self._desk.state.layers = layers
        self._layers_changed(layers)  # also where they are what they were: the box may say otherwise

    def _edit(self, **changes: object) -> None:
        self._view = replace(self._view, **changes)  # type: ignore[arg-type]
        self._apply()

    def _clicked(self, at: tuple[float, float]) -> None:
        look = self._picture.inspection
        shape = None if look is None else map_shape(look)
        if look is None or shape is None:
            return
        place = cell_at(at, look.layout, *shape)
        if place is None:
            self._desk.say(
                self.tr("That is outside the dashed square, which is all the model sees. Click inside it."),
                "warning",
            )
            return
        slots = slot_map(look)
        if slots is None:
            self._edit(at=at, slot=-1)
        else:
            self._edit(at=None, slot=int(slots[place]))

    def _apply(self) -> None:
        """Tell the engine, once per change, and say what is missing."""
        kind = KINDS.get(self._layer, "none")
        if self._desk.pipeline.is_replay or (kind in CHOOSING and not self._is_chosen):
            kind = "none"
        view = replace(self._view, kind=kind)
        self._choice.show_view(view)
        if view != self._sent and not (kind == "none" and self._sent.kind == "none"):
            self._sent = view
            self._desk.pipeline.set_view(view)
        self._say()

    @property
    def _is_chosen(self) -> bool:
        return self._view.at is not None or self._view.slot >= 0

    # what is shown

    def _layers_changed(self, layers: frozenset[str]) -> None:
        layer = layer_of(layers)
        self._choice.show_layer(layer)
        for name in LAYERS:
            self._desk.actions[f"layer_{name}"].setChecked(name == layer)
        self._apply()

    def _shown(self, look: Inspection | None) -> None:
        """The legend speaks of the look on the picture; another layout asks for another click, or for none."""
        self._legend.latents.show_inspection(look)
        if look is not None and look.layout.kind != self._told_layout:
            self._say()

    def _say(self) -> None:
        instead = hint = ""
        layout = self._told_layout = self._layout
        is_choosing = self._layer in CHOOSING and not self._desk.pipeline.is_replay
        if self._layer and self._desk.pipeline.is_replay:
            instead = hint = self.tr(
                "Latents are not recorded: open a file or a world with a checkpoint to see them"
            )
        elif is_choosing and not self._is_chosen and layout == "grid":
            hint = self.tr("Click a patch in the picture")
        elif is_choosing and not self._is_chosen and layout == "slots":
            hint = self.tr("Click an object in the picture")
        self._picture.set_latent_hint(hint, takes_clicks=is_choosing)
        self._legend.show_layer(self._layer, instead or hint)

    @property
    def _layout(self) -> str:
        look, info = self._picture.inspection, self._desk.state.checkpoint
        if look is not None:
            return look.layout.kind
        return info.layout if info is not None else "grid"

    # facts

    def _loaded(self, notice: CheckpointLoaded) -> None:
        self._choice.show_checkpoint(notice.info)
        self._view = LatentView(fit=self._view.fit)
        self._is_unseen = True
        if self._is_automatic or (self._layer == "attention" and notice.info.layout != "slots"):
            self._choose("")
        self._apply()

    def _looked(self, look: Inspection) -> None:
        """The first look of a checkpoint tells whether there are errors to colour. Where this file can never make any,
        its latents are shown instead."""
        is_first, self._is_unseen = self._is_unseen, False
        info = self._desk.state.checkpoint
        if not is_first or not look.note or info is None or info.abilities & {"masked", "actions"}:
            return
        if self._layer == "" and "error" in self._desk.state.layers:
            self._choose("projection")
            self._is_automatic = True

    def _unloaded(self, _notice: CheckpointUnloaded) -> None:
        self._choice.show_checkpoint(None)
        self._apply()

    def _source_changed(self, _notice: object) -> None:
        """A place in one picture means nothing in another."""
        self._edit(at=None, slot=-1)
