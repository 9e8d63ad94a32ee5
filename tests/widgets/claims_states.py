"""The claims page in every state, from the claims that are shipped: for the gallery and for its own tests."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from jepa_core import claims_file
from jepa_core.types import CheckpointInfo, InputSpec
from widgets import theme as themes
from widgets.claims_page import ClaimsPage

CLAIMS = claims_file.load()
STATES = ("nothing", "empty", "like", "released", "demo", "foreign", "narrow", "error")


def make_info(
    family: str = "V-JEPA 2", variant: str = "ViT-L/16, 256 px, 64 frames", path: str = "/models/vitl.pt"
) -> CheckpointInfo:
    side = 64 if "64 px" in variant else 224 if "224 px" in variant else 256
    spec = InputSpec(side, 64, 4.0, 2, 16)
    return CheckpointInfo("9c1e:float32", family, variant, path, "9c1e" * 16, spec, None, frozenset())


PUSHT = make_info(
    "LeWorldModel", "ViT-tiny/14, 224 px, 10 numbers per action block", "/m/lewm-pusht/weights.pt"
)
DEMO = make_info(variant="ViT 96x4/8, 64 px, 12 frames", path="/assets/demo/cell.pt")


def claims_page(state: str) -> QWidget:
    page = ClaimsPage()
    if state != "nothing":
        page.show_claims(CLAIMS)
    if state in {"like", "narrow"}:
        page.show_checkpoint(make_info())
    elif state == "released":
        page.show_checkpoint(PUSHT, "lewm-pusht")
    elif state == "demo":
        page.show_checkpoint(DEMO)
    elif state == "foreign":
        page.show_checkpoint(make_info("EB-JEPA", "two rooms, 65 px"))
    elif state == "error":
        page.show_error("V-JEPA 2.toml, figures 4 (COIN): source is missing.", "Take the console's own copy.")
    theme = themes.current()
    page.resize(theme.px(720 if state == "narrow" else 1180), theme.px(780))
    return page
