"""What lies over the picture, and what is hidden from the model: the choice of masks.

Three rules: the future (the newest time steps), multi-block as in training (seeded), or a region drawn on the
picture; of layers and rules only those that the loaded checkpoint's kind has. Emits a whole MaskRule each time; knows no
engine.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QCheckBox, QComboBox, QRadioButton, QSpinBox, QVBoxLayout, QWidget

from jepa_core.masks import rule_for
from jepa_core.types import Box, CheckpointInfo, MaskRule, TokenLayout
from widgets import a11y, icons
from widgets.family_ways import layers_of, rules_of
from widgets.latent_choice import LatentChoice
from widgets.parts import Card, button, heading, key_hint, label, pad_field, row
from widgets.theme import Theme, follow

LAYERS = (
    ("error", "Prediction error", "E"),
    ("masks", "Masked regions", "M"),
    ("slots", "Object slots", "M"),
)


class LayersCard(QWidget):
    """Checkboxes of the layers, the choice of latents, and the mask rule below them."""

    layersChanged = Signal(object)  # frozenset of layer names
    maskRuleChanged = Signal(object)  # MaskRule
    regionToolToggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rule = MaskRule()
        self._steps_in_clip = 0
        self._tubelet = 0
        self._why_not = ""
        self._info: CheckpointInfo | None = None
        self._boxes: dict[str, QCheckBox] = {}
        self._keys: dict[str, QWidget] = {}
        layers = Card()
        for name, words, key in LAYERS:
            box = QCheckBox(self.tr(words))
            box.setChecked(True)
            box.clicked.connect(self._emit_layers)
            a11y.name(box, self.tr(words), keys=key)
            self._boxes[name], self._keys[name] = box, key_hint(key)
            layers.body.addLayout(row(box, None, self._keys[name]))
        self._no_map = label(role="small", wrap=True)
        layers.body.addWidget(self._no_map)
        self.latents = LatentChoice()
        layers.body.addWidget(self.latents)
        self._rules = {kind: QRadioButton(words) for kind, words in self._rule_words()}
        group = QButtonGroup(self)
        for kind, radio in self._rules.items():
            group.addButton(radio)
            radio.clicked.connect(lambda _checked=False, chosen=kind: self._choose(chosen))
        self._predict = QSpinBox()
        self._predict.setRange(1, 1)
        self._predict.valueChanged.connect(self._edited)
        self._of = label(role="dim")
        self._blocks = label(self.tr("Blocks"), "dim")
        self._generator = QComboBox()
        self._generator.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._generator.setMinimumContentsLength(8)
        self._generator.addItem(self.tr("short: 8 small blocks"), "short")
        self._generator.addItem(self.tr("long: 2 large blocks"), "long")
        self._generator.activated.connect(self._edited)
        self._seed = QSpinBox()
        self._seed.setRange(0, 2_000_000_000)
        self._seed.valueChanged.connect(self._edited)
        self._draw = button(self.tr("Draw on the picture"))
        self._draw.setCheckable(True)
        self._draw.toggled.connect(self.regionToolToggled)
        self._region_words = label(role="small", wrap=True)
        a11y.name(self._predict, self.tr("How many of the newest time steps are predicted"))
        a11y.name(self._generator, self.tr("Multi-block generator"))
        a11y.name(
            self._seed, self.tr("Seed"), self.tr("The same seed gives the same masks; each look adds one")
        )
        a11y.name(
            self._draw,
            self.tr("Draw a region on the picture"),
            self.tr("Drag with the mouse over what the model shall not see"),
        )
        for kind, radio in self._rules.items():
            a11y.name(radio, dict(self._rule_words())[kind])
        self._future = self._part(row(label(self.tr("Predict"), "dim"), self._predict, self._of, None))
        self._multiblock = self._part(
            row(self._blocks, self._generator, 1),
            row(label(self.tr("Seed"), "dim"), self._seed, 1),
        )
        self._region = self._part(row(self._draw, None))
        self._region.layout().addWidget(self._region_words)
        masks = Card()
        for kind, part in (
            ("future", self._future),
            ("multiblock", self._multiblock),
            ("region", self._region),
        ):
            masks.body.addWidget(self._rules[kind])
            masks.body.addWidget(part)
        self._told = label(role="small", wrap=True)
        masks.body.addWidget(self._told)
        self._layout = QVBoxLayout(self)
        self._layout.addWidget(heading(self.tr("Show on the picture")))
        self._layout.addWidget(layers)
        self._layout.addWidget(heading(self.tr("Hide from the model")))
        self._layout.addWidget(masks)
        self._layout.addStretch(1)
        self.setAccessibleName(self.tr("Layers and masks"))
        follow(self, self._restyle)
        self.show_checkpoint(None)

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(name for name, box in self._boxes.items() if box.isChecked())

    @property
    def names(self) -> frozenset[str]:
        """Layers that have a box here."""
        return frozenset(self._boxes)

    @property
    def rule(self) -> MaskRule:
        return self._rule

    def set_layers(self, layers: set[str] | frozenset[str]) -> None:
        """Show which layers are on; a key may have toggled them."""
        for name, box in self._boxes.items():
            box.setChecked(name in layers)

    def toggle_layer(self, name: str) -> None:
        """What the key of a layer does."""
        self._boxes[name].setChecked(not self._boxes[name].isChecked())
        self._emit_layers()

    def show_checkpoint(self, info: CheckpointInfo | None) -> None:
        """Offer what this checkpoint can do and nothing else; None: everything there is."""
        self._info = info
        there = layers_of(info)
        for name, box in self._boxes.items():
            box.setVisible(name in there)
            self._keys[name].setVisible(name in there)
        blind = info is not None and info.cannot_see
        self._no_map.setText(
            blind or self.tr("One latent per frame: there is nothing to lay over the picture.")
        )
        self._no_map.setVisible(not there)
        rules = rules_of(info)
        for kind, radio in self._rules.items():
            radio.setVisible(kind in rules and len(rules) > 1)
        pictures_only = info is not None and info.multiblock == "pictures"
        for widget in (self._generator, self._blocks):
            widget.setVisible(not pictures_only)
        self.show_rule(self._rule)

    def show_rule(self, rule: MaskRule, layout: TokenLayout | None = None) -> None:
        """The rule in force; `layout` tells how many time steps there are to choose from."""
        rule = rule if self._info is None else rule_for(rule, self._info)
        rules = rules_of(self._info)
        self._rule = rule
        if layout is not None:
            self._steps_in_clip, self._tubelet = layout.shape[0], layout.tubelet
        widgets = (self._predict, self._generator, self._seed)
        for widget in widgets:
            widget.blockSignals(True)
        self._predict.setRange(1, max(self._steps_in_clip - 1, rule.predict_steps, 1))
        self._predict.setValue(rule.predict_steps)
        self._generator.setCurrentIndex(max(self._generator.findData(rule.generator), 0))
        self._seed.setValue(rule.seed)
        for widget in widgets:
            widget.blockSignals(False)
        self._rules[rule.kind].setChecked(True)
        for kind, part in (
            ("future", self._future),
            ("multiblock", self._multiblock),
            ("region", self._region),
        ):
            part.setVisible(kind == rule.kind and kind in rules)
        self._of.setText(
            self.tr("of {0} steps").format(self._steps_in_clip) if self._steps_in_clip else self.tr("steps")
        )
        self._region_words.setText(self._region_sentence(rule.region))
        self._told.setText(self._sentence())

    def set_can_choose(self, can_choose: bool, why_not: str = "") -> None:
        """Whether masks can be chosen now; a recording shows those that it was made with."""
        self._why_not = "" if can_choose else why_not
        for widget in (*self._rules.values(), self._predict, self._generator, self._seed, self._draw):
            widget.setEnabled(can_choose)
        if not can_choose:
            self._draw.setChecked(False)
        self._told.setText(self._sentence())

    def show_region_drawn(self, region: Box) -> None:
        """The person drew a rectangle: it becomes the rule."""
        self._draw.setChecked(False)
        rule = MaskRule("region", self._rule.predict_steps, self._rule.generator, region, self._rule.seed)
        self.show_rule(rule)
        self.maskRuleChanged.emit(rule)

    def _rule_words(self) -> tuple[tuple[str, str], ...]:
        return (
            ("future", self.tr("Future")),
            ("multiblock", self.tr("Multi-block, as in training")),
            ("region", self.tr("A region of the picture")),
        )

    def _sentence(self) -> str:
        """The rule in a sentence, with what follows from it."""
        if self._why_not:
            return self._why_not
        if not rules_of(self._info):
            if self._info is not None and self._info.cannot_see:
                return self.tr("Nothing is shown to this checkpoint.")
            return self.tr("This checkpoint predicts nothing; its latents can be looked at.")
        if self._rule.kind == "future":
            if self._info is not None and self._info.action is not None:
                return self.tr(
                    "The newest frames are predicted from those before and what was done between them."
                )
            if not self._tubelet:
                return self.tr("The first time steps are shown, the newest are predicted.")
            return self.tr("{0} newest frames are predicted from those before.").format(
                self._rule.predict_steps * self._tubelet
            )
        if self._rule.kind == "multiblock":
            if self._generator.isHidden():
                return self.tr("Random blocks of the picture, as the checkpoint was trained.")
            return self.tr("Random blocks through all time steps, as the checkpoint was trained.")
        return self.tr("The rectangle is hidden in all time steps.")

    def _region_sentence(self, region: Box | None) -> str:
        if region is None:
            return self.tr("No region yet: press the button, then drag over the picture.")
        x, y, w, h = region
        return self.tr("{0:.0f} × {1:.0f} px at {2:.0f}, {3:.0f}").format(w, h, x, y)

    def _choose(self, kind: str) -> None:
        rule = MaskRule(
            kind, self._rule.predict_steps, self._rule.generator, self._rule.region, self._rule.seed
        )
        self.show_rule(rule)
        if kind == "region" and rule.region is None:
            self._draw.setChecked(True)  # nothing to hide yet: hand over the tool instead of an empty rule
            return
        self._draw.setChecked(False)
        self.maskRuleChanged.emit(rule)

    def _edited(self) -> None:
        self._rule = MaskRule(
            self._rule.kind,
            self._predict.value(),
            str(self._generator.currentData()) if not self._generator.isHidden() else self._rule.generator,
            self._rule.region,
            self._seed.value(),
        )
        self._told.setText(self._sentence())
        self.maskRuleChanged.emit(self._rule)

    def _emit_layers(self) -> None:
        self.layersChanged.emit(self.layers)

    def _part(self, *layouts: object) -> QWidget:
        made = QWidget()
        inner = QVBoxLayout(made)
        inner.setContentsMargins(22, 0, 0, 4)
        for layout in layouts:
            inner.addLayout(layout)  # type: ignore[arg-type]
        return made

    def _restyle(self, theme: Theme) -> None:
        m = theme.px(12)
        self._layout.setContentsMargins(m, theme.px(8), m, theme.px(4))
        self._layout.setSpacing(theme.px(6))
        for part in (self._future, self._multiblock, self._region):
            part.layout().setContentsMargins(theme.px(22), 0, 0, theme.px(4))
            part.layout().setSpacing(theme.px(6))
        icons.put(self._draw, "region", theme)
        for box in (self._predict, self._seed):
            pad_field(box, theme)
        self._predict.setMinimumWidth(theme.px(64))
