"""Every widget in every state, by name. The screen tests go through it, and so does a person with `python -m`.

QT_QPA_PLATFORM=offscreen python -m tests.widgets.gallery OUT_DIR [dark|light] [zoom]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from jepa_core import catalogue
from jepa_core.errors import KeysDiffer, ShapesDiffer, UnsafeFile
from jepa_core.library import FolderProblem
from jepa_core.tracks import SignalTrack
from jepa_core.types import Inspection, MaskRule, TokenLayout
from tests.widgets.builders import (
    make_checkpoint,
    make_examined,
    make_frame,
    make_health,
    make_inspection,
    make_library,
    make_long_report,
    make_report,
    make_seen,
    make_source,
)
from tests.widgets.claims_states import STATES as CLAIMS_STATES
from tests.widgets.claims_states import claims_page
from tests.widgets.system_states import CARDS, SYSTEMS
from widgets import theme as themes
from widgets.banner import FaultBanner
from widgets.color_scale import ColorScale
from widgets.command_palette import CommandItem, CommandPalette
from widgets.drift_view import DriftView
from widgets.event_list import EventList, EventRow
from widgets.frame_view import FrameView
from widgets.health_strip import HealthStrip
from widgets.layers_card import LayersCard
from widgets.legend import Legend
from widgets.library_page import LibraryPage
from widgets.load_options import LoadChoice, LoadOptions
from widgets.load_report import LoadReportView
from widgets.load_sheet import LoadSheet
from widgets.model_card import ModelCard
from widgets.models_page import ModelsPage
from widgets.override_bar import OverrideBar
from widgets.progress_card import ProgressCard
from widgets.recording_badge import RecordingBadge
from widgets.released_page import DownloadView, ReleasedPage
from widgets.shortcut_sheet import ShortcutSheet
from widgets.signal_table import SignalTable
from widgets.source_card import SourceCard
from widgets.start_page import CheckItem, RecentItem, RecoveryItem, StartPage
from widgets.timeline import EventMark, Timeline
from widgets.toast import ToastArea
from widgets.transport_bar import TransportBar

SECOND = 1_000_000_000

COMMANDS = [
    CommandItem("open", "Open file …", "Ctrl+O", "File"),
    CommandItem("record", "Start recording", "Ctrl+R", "Record"),
    CommandItem("near_miss", "Near miss", "N", "Record", enabled=False),
    CommandItem("override", "Override, while held", "O", "Record"),
    CommandItem("error", "Prediction error", "E", "View"),
    CommandItem("masks", "Masked regions", "M", "View"),
    CommandItem("step_on", "One frame on", "→, .", "Playback"),
    CommandItem("theme", "Dark or light theme", "", "View"),
]


def make_track(name: str = "surprise") -> SignalTrack:
    """107 s of a quiet signal with two hills."""
    track = SignalTrack(name, "l1")
    noise = np.random.default_rng(0).standard_normal(1500) * 0.02
    for n in range(1500):
        hills = 0.5 * np.exp(-(((n - 1100) / 20) ** 2)) + 0.3 * np.exp(-(((n - 500) / 15) ** 2))
        track.append(n * SECOND // 14, float(0.2 + noise[n] + hills), n * 2)
    return track


def make_marks() -> list[EventMark]:
    return [
        EventMark("a", 35 * SECOND, -1, "monitor_alarm", "flag", is_saved=True),
        EventMark("b", 72 * SECOND, int(76.2 * SECOND), "override", "override 4.2 s", is_saved=True),
        EventMark("c", 82 * SECOND, -1, "near_miss", "near miss · sev 2"),
        EventMark("d", 93 * SECOND, -1, "near_miss", "near miss", is_failed=True),
        EventMark("e", 101 * SECOND, -1, "bookmark", "", is_saved=True),
    ]


def make_rows() -> list[EventRow]:
    return [
        EventRow("a", 35 * SECOND, 980, "monitor_alarm", "surprise", "monitor", is_saved=True),
        EventRow("b", 72 * SECOND, 2016, "override", "4.2 s · person in zone", "operator:ada", is_saved=True),
        EventRow(
            "c", 82 * SECOND, 2300, "near_miss", "sev 2", "operator:ada", old_text="sev 3", is_saved=True
        ),
        EventRow("d", 93 * SECOND, 2600, "near_miss", "", "operator:ada", is_failed=True),
        EventRow("e", 101 * SECOND, 2830, "bookmark", "", "operator:ada"),
    ]


def _sized(widget: QWidget, width: int, height: int = 0) -> QWidget:
    """At the given logical size before zoom; height 0 takes what the words need."""
    theme = themes.current()
    widget.ensurePolished()
    wide = theme.px(width)
    layout = widget.layout()
    need = widget.sizeHint().height()
    if layout is not None:
        need = max(layout.totalHeightForWidth(wide), layout.totalMinimumSize().height())
    widget.resize(wide, theme.px(height) if height else need)
    return widget


def frame_view(state: str) -> QWidget:
    view = FrameView()
    if state == "error":
        view.show_state(
            "error", "The camera is gone.", "Plug it in again; it is tried every few seconds.", "Try now"
        )
    elif state == "busy":
        view.show_state("busy", "Opening bench.mp4 …", "Reading its frame index.")
    elif state != "empty":
        view.show_state("live")
        view.set_checkpoint(make_checkpoint())
        view.show_frame(make_frame())
        if state in {"multiblock", "future", "narrow"}:
            view.show_inspection(make_inspection(rule="future" if state == "narrow" else state))
        elif state in SYSTEMS:
            info, look = SYSTEMS[state]
            view.set_checkpoint(info)
            view.show_inspection(look())
        elif state in SEEN:
            layer, look = SEEN[state]
            view.set_layers({layer, "masks"})
            view.show_inspection(look())
        elif state == "features only":
            note = "This file has no predictor: features can be looked at, predictions cannot."
            view.show_inspection(replace(make_inspection(rule="none"), note=note))
        elif state == "not recorded":
            view.set_layers({"projection"})
            view.set_latent_hint("Latents are not recorded.", takes_clicks=False)
            view.show_inspection(make_inspection(rule="future"))
    return _sized(view, 340 if state == "narrow" else 900, 560)


SEEN: dict[str, tuple[str, Callable[[], Inspection]]] = {
    "colours": ("projection", make_seen),
    "predicted colours": ("projection", lambda: make_seen(of="predicted", rule="multiblock")),
    "colours of slots": ("projection", lambda: make_seen(layout="slots")),
    "colours of one latent": ("projection", lambda: make_seen(layout="global")),
    "gathering": ("projection", lambda: make_seen(colors=None, basis=None)),
    "similarity": ("similarity", lambda: make_seen("similarity")),
    "similarity of slots": ("similarity", lambda: make_seen("similarity", layout="slots")),
    "attention": ("attention", lambda: make_seen("attention", layout="slots")),
}


def timeline(state: str) -> QWidget:
    line = Timeline()
    if state != "empty":
        line.set_track(make_track(), "Surprise")
        line.set_origin(0)
        line.refresh(107 * SECOND)
        line.set_events(make_marks())
        line.show_cursor(106 * SECOND)
    if state == "threshold":
        line.set_line(0.6, "flag line: at most 1 false flag per hour, calibrated on 3.1 h")
    if state == "whole":
        line.set_window(None)
        line.set_span(0, 107 * SECOND)
    return _sized(line, 1000, 180)


def override_bar(state: str) -> QWidget:
    bar = OverrideBar(now_ns=lambda: 0)
    if state == "held":
        bar.press(0)
        bar.show_held(4 * SECOND)
    elif state == "reason":
        bar.show_last("◆ override 4.2 s", "saving")
        bar.ask_reason("b")
    elif state == "severity":
        bar.show_last("▲ near miss", "on disk")
        bar.ask_severity("c")
    elif state == "failed":
        bar.show_last("▲ near miss", "failed")
    elif state == "disabled":
        bar.set_can_act(False)
    return _sized(bar, 340)


def transport_bar(state: str) -> QWidget:
    bar = TransportBar()
    if state != "empty":
        bar.show_capabilities(state != "live", state == "live")
        bar.show_transport(True, 1.0, False)
        bar.show_position(118, 300 if state != "live" else -1, 3_933_000_000, (0, 10 * SECOND))
    return _sized(bar, 340 if state == "narrow" else 900)


def health_strip(state: str) -> QWidget:
    strip = HealthStrip()
    if state == "live":
        strip.show_health(make_health(), "cpu")
    return _sized(strip, 1900 if state == "live" else 900)


def source_card(state: str) -> QWidget:
    card = SourceCard()
    if state == "error":
        card.show_source(make_source(), "playing")
        card.show_error("clip.mp4", "lost")
    elif state == "opening":
        card.show_source(None, "opening")
    elif state != "empty":
        card.show_source(make_source(is_live=state == "live"), state)
    return _sized(card, 290)


def model_card(state: str) -> QWidget:
    card = ModelCard()
    report = make_report()
    if state == "loading":
        card.show_loading(0.4, "reading weights, 0.5 of 1.3 GB")
    elif state == "loaded":
        card.show_checkpoint(make_checkpoint(), report)
    elif state == "demo":
        card.show_checkpoint(make_checkpoint(notes=("untrained demo weights: errors mean nothing",)), report)
    elif state == "refused":
        report = make_report(matched=294, missing=("predictor.blocks.0.attn.qkv.weight",) * 12)
        what = "12 of 24 predictor blocks are missing from this file"
        card.show_refused(ShapesDiffer(what, "This file is V-JEPA 2 ViT-L; choose that variant."), report)
    return _sized(card, 290)


def layers_card(state: str) -> QWidget:
    card = LayersCard()
    if state in CARDS:
        card.show_checkpoint(CARDS[state])
        state = "future"
    if state in ("latents", "levels", "slots"):
        levels = 4 if state == "levels" else 1
        layout = "slots" if state == "slots" else "grid"
        card.latents.show_checkpoint(replace(make_checkpoint(), levels=levels, layout=layout))
        card.latents.show_layer("attention" if state == "slots" else "projection")
        state = "future"
    rule = MaskRule(state) if state != "drawn" else MaskRule("region", region=(100.0, 50.0, 160.0, 120.0))
    card.show_rule(rule, TokenLayout("grid", (8, 16, 16), 2, (0.0, 0.0, 360.0, 360.0)))
    return _sized(card, 290)


def color_scale(state: str) -> QWidget:
    scale = ColorScale()
    if state == "unlocked":
        scale.findChild(QWidget, "lock").setChecked(False)  # type: ignore[union-attr]
    return _sized(scale, 290)


def legend(state: str) -> QWidget:
    made = Legend()
    if state != "error":
        layer = {"waiting": "projection", "not recorded": "similarity"}.get(state, state)
        made.show_layer(layer, "latents are not recorded" if state == "not recorded" else "")
        kind = {"projection": "pca"}.get(layer, layer)
        layout = "slots" if layer == "attention" else "grid"
        if state != "waiting":
            made.latents.show_inspection(make_seen(kind, layout=layout))
    return _sized(made, 290)


def signal_table(state: str) -> QWidget:
    table = SignalTable()
    _sized(table, 340, 200)
    if state != "empty":
        table.set_tracks({"surprise": make_track(), "surprise_top": make_track()})
        look = make_inspection(t_ns=107 * SECOND)
        table.show_inspection(look)
        if state == "calibrated":
            table.set_percentiles({"surprise": 99.2, "surprise_top": 99.7, "frame_difference": 61.0})
            table.show_inspection(look)
        table.show()
        QApplication.sendPostedEvents()
        table.show_inspection(look)
    return _sized(table, 340)


def event_list(state: str) -> QWidget:
    view = EventList()
    if state == "live":
        view.set_events(make_rows())
    return _sized(view, 340, 320)


def load_report(state: str) -> QWidget:
    view = LoadReportView()
    if state == "loaded":
        view.show_report(make_report(), make_checkpoint())
    elif state == "long":
        view.show_report(make_long_report())
    elif state == "refused":
        names = tuple(f"predictor.blocks.{n}.attn.qkv.weight" for n in range(12))
        shapes = ("encoder.pos_embed: expected (1, 2048, 1024), file has (1, 1568, 1024)",)
        view.show_report(
            make_report(matched=294, missing=names, reshaped=shapes, assumed={"fps": "4.0, from the paper"})
        )
    return _sized(view, 720, 480)


def load_sheet(state: str) -> QWidget:
    sheet = LoadSheet()
    sheet.options.set_devices(("cuda:0",))
    sheet.show_file("/data/checkpoints/vjepa2/vitl.pt", "" if state == "examining" else "V-JEPA 2.1 ViT-B/16")
    info, report = make_checkpoint(), make_examined()
    if state == "examining":
        sheet.show_examining(0.3, "checking the file's fingerprint")
    elif state in ("good", "narrow", "again"):
        sheet.show_examined(info, report)
    elif state == "too large":
        sheet.show_examined(info, make_examined(memory_bytes=11_400_000_000, device_free_bytes=8_000_000_000))
    elif state == "single":
        single = make_checkpoint(
            notes=("no EMA target: predictions cannot be scored",),
            abilities=frozenset(),
            layout="global",
        )
        parts = ("target_encoder", "predictor")
        sheet.show_examined(single, make_examined(absent_parts=parts, forecasts={}, device_free_bytes=-1))
    elif state == "refused":
        report = make_long_report()
        error = KeysDiffer(
            "vitl.pt is not exactly a V-JEPA 2 ViT-L/16: 144 missing (predictor/blocks.12.norm1.weight, …).",
            "Nothing was loaded. The report names every tensor; ask for the complete file.",
            report=report,
        )
        sheet.show_refused(error, report)
    elif state == "unreadable":
        error = UnsafeFile(
            "vitl.pt is a plain pickle, which can run code when opened. It was not opened.",
            "Ask for the file saved by torch.save (1.6 or newer) as a dictionary of tensors.",
            "asks for posix.system",
        )
        sheet.show_refused(error, make_report(family="", variant="", matched=0))
    if state == "again":
        sheet.show_examining(0.6, "checking encoder")
    if state == "loading":
        sheet.show_examined(info, report)
        sheet.show_loading(0.62, "reading target encoder")
    return _sized(sheet, 520 if state == "narrow" else 1060, 780)


def load_options(state: str) -> QWidget:
    options = LoadOptions()
    options.set_devices(("cuda:0", "cuda:1"))
    if state == "open":
        options.show_choice(
            LoadChoice("cuda:1", "bfloat16", 16, 192, "/data/configs/params-pretrain.yaml", 16)
        )
        options.show_open(("encoder heads", "predictor heads", "mask token"))
    return _sized(options, 420)


def library_page(state: str) -> QWidget:
    page = LibraryPage()
    folders, cache = (
        (Path("/data/models"), Path("/home/ada/.local/share/jepa-console/models")),
        Path("/home/ada"),
    )
    if state == "looking":
        page.show_looking(folders, 3)
    elif state == "empty":
        page.show_entries((), folders, cache)
    else:
        page.show_entries(make_library(), folders, cache)
        page.show_in_use("/data/models/vitl.pt")
        page.list.select(
            {"refused": "/data/models/half.pt", "unknown": "/data/models/run3/latest.pt"}.get(state, "")
        )
    if state == "refused":
        page.show_problems(
            [FolderProblem(Path("/mnt/lab"), "/mnt/lab cannot be looked through: Permission denied.")]
        )
    return _sized(page, 1100, 560)


DOWNLOADS = {
    "running": DownloadView("running", 3_200_000_000, 5_100_000_000, 12_100_000),
    "paused": DownloadView("paused", 3_200_000_000, 5_100_000_000),
    "done": DownloadView("done", text="Its sha256 is the one the hub announces.", path="/data/x"),
    "failed": DownloadView(
        "failed", 3_200_000_000, 5_100_000_000, text="What came has another sha256 than announced.",
        hint="It was put aside. Try again; if it repeats, do not use this file.",
    ),
    "offline": DownloadView("offline", 3_200_000_000, 5_100_000_000),
}  # fmt: skip


def released_page(state: str) -> QWidget:
    page = ReleasedPage()
    if state == "broken":
        page.show_error("The catalogue cannot be read.", "Restore assets/catalogue.toml from the release.")
        return _sized(page, 1100, 620)
    page.show_entries(catalogue.released().entries)
    chosen = next(entry for entry in catalogue.released().entries if entry.system == "V-JEPA 2")
    page.list.select(chosen.id)
    page.show_room(
        3_000_000_000 if state == "no room" else 76_500_000_000, "/home/ada/.local/share/jepa-console/models"
    )
    if state in DOWNLOADS:
        page.show_download(chosen.id, DOWNLOADS[state])
    return _sized(page, 1100, 620)


def models_page(state: str) -> QWidget:
    page = ModelsPage(QLabel("claims"))
    page.library.show_entries(make_library(), (Path("/data/models"),), Path("/home/ada"))
    page.released.show_entries(catalogue.released().entries)
    page.show_page(state)
    return _sized(page, 1200, 640)


def start_page(state: str) -> QWidget:
    page = StartPage()
    if state != "empty":
        page.show_recents(
            [
                RecentItem("/data/small_robot.mp4", "small_robot.mp4", "source", "22 Nov 19:40"),
                RecentItem(
                    "/rec/20261122T114407Z-5be1.h5", "20261122T114407Z-5be1.h5", "session", "22 Nov 11:44"
                ),
                RecentItem("/gone/vitl.pt", "vitl.pt", "checkpoint", is_missing=True),
            ]
        )
        page.show_checks(
            [
                CheckItem("Disk", "ok", "812 GB free"),
                CheckItem("Memory", "warning", "1.2 GB of 8 GB free"),
                CheckItem("Recording folder", "error", "no right to write there"),
                CheckItem("GPU", "info", "none found: predictions run on the processor, slower"),
            ]
        )
    if state == "recovery":
        page.show_recoveries(
            [RecoveryItem("/rec/a.wmj", "20261121T171502Z.wmj", "0 events lost, 0.8 s of frames lost")]
        )
    return _sized(page, 1100, 620)


def command_palette(state: str) -> QWidget:
    palette = CommandPalette()
    palette.set_commands(COMMANDS if state == "live" else [])
    return palette


def shortcut_sheet(_state: str) -> QWidget:
    sheet = ShortcutSheet()
    sheet.set_commands(COMMANDS)
    return sheet


def recording_badge(state: str) -> QWidget:
    badge = RecordingBadge()
    if state == "recording":
        badge.show_recording(8047 * SECOND, 147_132.0)
    elif state == "trouble":
        badge.show_trouble("disk full: frames are not kept, events are")
    else:
        badge.show_sealing(0.4)
    badge.adjustSize()
    return badge


def banner(state: str) -> QWidget:
    made = FaultBanner()
    made.show_fault(
        "source_lost", "The source is gone", "bench camera gave no frame for 2 s.", "Check its cable; it is tried again.",
        "timeout after 2000 ms", "warning" if state == "warning" else "error",
    )  # fmt: skip
    if state == "details":
        made._cards["source_lost"]._details.setChecked(True)
    return _sized(made, 900)


def toast(state: str) -> QWidget:
    area = ToastArea()
    area.show_toast("Session sealed: 20261122T114407Z-5be1.h5", "ok", "1 200 frames · 4 events · 0 gaps")
    area.show_toast("A recording is running. Stop it first: hold Ctrl+R for 1 s.", state)
    return area


def progress_card(state: str) -> QWidget:
    card = ProgressCard("Checking and sealing the session …")
    card.show_progress("Checking and sealing the session …", 0.4 if state == "known" else -1.0)
    return _sized(card, 420)


def drift_view(state: str) -> QWidget:
    view = DriftView()
    table: list[object] = [
        {"name": "error", "count": 120, "max_difference": 0.0, "tolerance": 1e-4},
        {"name": "surprise", "count": 120, "max_difference": 2.1e-7, "tolerance": 1e-4},
    ]
    if state == "running":
        view.show_progress("frame 61 of 120", 0.51)
    elif state in {"reproduced", "differs"}:
        report = {
            "verdict": state,
            "max_difference": 2.1e-7,
            "tolerance": 1e-4,
            "first_differing_seq": 4118,
            "table": table,
        }
        view.show_report(report)  # type: ignore[arg-type]
    elif state == "error":
        view.show_error("This session has no recorded predictions.", "Record with a checkpoint loaded.")
    return _sized(view, 560, 300)


GALLERY: dict[str, tuple[Callable[[str], QWidget], tuple[str, ...]]] = {
    "frame_view": (
        frame_view,
        (
            "empty",
            "busy",
            "error",
            "no prediction",
            "multiblock",
            "future",
            *SYSTEMS,
            "narrow",
            *SEEN,
            "features only",
            "not recorded",
        ),
    ),
    "timeline": (timeline, ("empty", "live", "threshold", "whole")),
    "override_bar": (override_bar, ("idle", "held", "reason", "severity", "failed", "disabled")),
    "transport_bar": (transport_bar, ("empty", "file", "live", "narrow")),
    "health_strip": (health_strip, ("empty", "live")),
    "source_card": (source_card, ("empty", "opening", "live", "paused", "error")),
    "model_card": (model_card, ("empty", "loading", "loaded", "demo", "refused")),
    "layers_card": (
        layers_card,
        ("future", "multiblock", "region", "drawn", "latents", "levels", "slots", *CARDS),
    ),
    "legend": (legend, ("error", "projection", "similarity", "attention", "waiting", "not recorded")),
    "color_scale": (color_scale, ("locked", "unlocked")),
    "signal_table": (signal_table, ("empty", "live", "calibrated")),
    "event_list": (event_list, ("empty", "live")),
    "load_report": (load_report, ("empty", "loaded", "refused", "long")),
    "load_sheet": (
        load_sheet,
        ("examining", "good", "again", "too large", "single", "refused", "unreadable", "loading", "narrow"),
    ),
    "library_page": (library_page, ("looking", "empty", "chosen", "refused", "unknown")),
    "released_page": (released_page, ("none", "no room", *DOWNLOADS, "broken")),
    "models_page": (models_page, ("library", "released")),
    "load_options": (load_options, ("closed", "open")),
    "start_page": (start_page, ("empty", "recents", "recovery")),
    "command_palette": (command_palette, ("empty", "live")),
    "shortcut_sheet": (shortcut_sheet, ("live",)),
    "recording_badge": (recording_badge, ("recording", "trouble", "sealing")),
    "banner": (banner, ("error", "warning", "details")),
    "toast": (toast, ("info", "warning", "error")),
    "progress_card": (progress_card, ("known", "unknown")),
    "claims_page": (claims_page, CLAIMS_STATES),
    "drift_view": (drift_view, ("empty", "running", "reproduced", "differs", "error")),
}


def main(out: Path, name: str, zoom: float) -> None:
    """Save a picture of each."""
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    themes.apply(app, themes.Theme(name, zoom))
    out.mkdir(parents=True, exist_ok=True)
    for key, (make, states) in GALLERY.items():
        for state in states:
            widget = make(state)
            widget.show()
            app.sendPostedEvents()
            picture = widget.grab()
            picture.save(str(out / f"{key}-{state.replace(' ', '_')}.png"))
            widget.close()
            widget.deleteLater()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(sys.argv[2:3] or ["dark"]), float((sys.argv[3:4] or ["1.0"])[0]))
