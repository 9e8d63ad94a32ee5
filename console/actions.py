"""ACTIONS: every command, one line each. Menu, palette, toolbar, shortcut sheet and key router read this table.

Adding a command: write its handler and a line here. Texts are translated when the window is built; the table itself
is plain data. Keys are characters, not places on the keyboard (UX section 4).
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget

from console.roles import EVERY_ROLE

SCREENS = frozenset({"start", "live", "replay", "models"})
LOOKING = frozenset({"live", "replay"})
LIVE = frozenset({"live"})
REPLAY = frozenset({"replay"})
MODELS = frozenset({"models"})
OPERATOR = frozenset({"operator"})

MENUS = ("File", "View", "Playback", "Record", "Model", "Help")


@dataclass(frozen=True, slots=True)
class Command:
    id: str
    text: str
    keys: tuple[str, ...]
    tip: str
    handler: str  # "part.method" of the main window's parts
    menu: str
    screens: frozenset[str] = SCREENS  # where it does something
    roles: frozenset[str] = EVERY_ROLE
    is_held: bool = False  # press and release both count; routed by window_keys.py, not by Qt's shortcuts
    is_toggle: bool = False


# fmt: off
ACTIONS: dict[str, Command] = {row.id: row for row in (
    Command("open_file", "Open file…", ("Ctrl+O",), "Open a video, an image folder or a session", "files.ask_file", "File"),
    Command("open_source", "Open source…", ("Ctrl+Shift+O",), "Open by address: a path or an embedded world", "files.ask_source", "File"),
    Command("open_checkpoint", "Open checkpoint…", ("Ctrl+M",), "Examine a checkpoint; it is loaded when you say so", "sheet.ask", "File"),
    Command("demo", "Open the demo world", (), "The embedded world with the demo checkpoint", "files.open_demo", "File"),
    Command("close_source", "Close source", (), "Let the source go; the checkpoint stays loaded", "files.close_source", "File", LOOKING),
    Command("screenshot", "Save a screenshot", ("Ctrl+Shift+S",), "Save a picture of the window beside the recordings", "look.save_screenshot", "File"),
    Command("copy_screenshot", "Copy a screenshot", ("Ctrl+Shift+C",), "Put a picture of the window on the clipboard", "look.copy_screenshot", "File"),
    Command("preferences", "Preferences…", ("Ctrl+,",), "Theme, zoom, folder, name, keys", "look.ask_preferences", "File"),
    Command("quit", "Quit", ("Ctrl+Q",), "End the recording, keep everything, close", "window.close", "File"),

    Command("screen_start", "Start", ("Ctrl+0",), "Recent files, recovery and quick checks", "look.show_start", "View"),
    Command("screen_live", "Live", ("Ctrl+1",), "A source through the model, as it happens", "look.show_live", "View"),
    Command("screen_replay", "Replay", ("Ctrl+3",), "A recorded session", "look.show_replay", "View"),
    Command("screen_models", "Models", ("Ctrl+6",), "Checkpoints on this machine, released ones, and what may be claimed", "look.show_models", "View"),
    Command("layer_error", "Prediction error", ("E",), "Predicted-versus-actual error over the picture", "look.toggle_error", "View", LOOKING, is_toggle=True),
    Command("layer_masks", "Masked regions", ("M",), "Outline what the model did not see", "look.toggle_masks", "View", LOOKING, is_toggle=True),
    Command("layer_projection", "Latents as colours", ("P",), "PCA colours in fixed axes over the picture", "latents.toggle_projection", "View", LOOKING, is_toggle=True),
    Command("layer_similarity", "Similarity to a patch", ("S",), "Click a place in the picture: how alike all others are, to the model", "latents.toggle_similarity", "View", LOOKING, is_toggle=True),
    Command("layer_attention", "Attention of an object", (), "Click an object: what its prediction looked at (C-JEPA)", "latents.toggle_attention", "View", LOOKING, is_toggle=True),
    Command("follow", "Follow the newest frame", ("End",), "In Live: follow again; in Replay: the last frame", "transport.to_end", "Playback", LOOKING),
    Command("theme", "Dark or light theme", (), "Change between the dark and the light theme", "look.toggle_theme", "View"),
    Command("zoom_in", "Larger text and controls", ("Ctrl++", "Ctrl+="), "Zoom the whole window in", "look.zoom_in", "View"),
    Command("zoom_out", "Smaller text and controls", ("Ctrl+-",), "Zoom the whole window out", "look.zoom_out", "View"),
    Command("zoom_reset", "Normal size", (), "Text and controls at 100 %", "look.zoom_reset", "View"),
    Command("full_screen", "Full screen", ("F11",), "Use the whole screen, or stop doing so", "look.toggle_full_screen", "View", is_toggle=True),
    Command("reset_layout", "Reset the layout", ("Ctrl+Shift+R",), "Put every panel back to its place for this role", "look.reset_layout", "View"),
    Command("role_operator", "Work as operator", (), "The layout for watching live", "look.be_operator", "View"),
    Command("role_reviewer", "Work as reviewer", (), "The layout for looking at sessions", "look.be_reviewer", "View"),

    Command("play", "Play or pause; Live: freeze the view", ("Space",), "A live source is never paused, only the view freezes", "transport.toggle_play", "Playback", LOOKING),
    Command("step_back", "One frame back", ("Left", ","), "Pause and go one frame back", "transport.step_back", "Playback", LOOKING),
    Command("step_on", "One frame on", ("Right", "."), "Pause and go one frame on", "transport.step_on", "Playback", LOOKING),
    Command("back_1s", "1 s back", ("Shift+Left",), "Go one second back", "transport.back_1s", "Playback", LOOKING),
    Command("on_1s", "1 s on", ("Shift+Right",), "Go one second on", "transport.on_1s", "Playback", LOOKING),
    Command("back_10s", "10 s back", ("Alt+Left",), "Go ten seconds back", "transport.back_10s", "Playback", LOOKING),
    Command("on_10s", "10 s on", ("Alt+Right",), "Go ten seconds on", "transport.on_10s", "Playback", LOOKING),
    Command("previous_event", "Previous event", ("Ctrl+Left",), "Go to the event before this moment", "events.previous", "Playback", LOOKING),
    Command("next_event", "Next event", ("Ctrl+Right",), "Go to the event after this moment", "events.next", "Playback", LOOKING),
    Command("to_start", "First frame", ("Home",), "Go to the first frame", "transport.to_start", "Playback", LOOKING),
    Command("shuttle_back", "Shuttle back", ("J",), "Jump one second back and go on from there", "transport.shuttle_back", "Playback", LOOKING),
    Command("shuttle_stop", "Shuttle stop", ("K",), "Pause", "transport.shuttle_stop", "Playback", LOOKING),
    Command("shuttle_on", "Shuttle on", ("L",), "Play; again: twice as fast", "transport.shuttle_on", "Playback", LOOKING),
    Command("slower", "Slower", ("<",), "Half the speed", "transport.slower", "Playback", LOOKING),
    Command("faster", "Faster", (">",), "Twice the speed", "transport.faster", "Playback", LOOKING),
    Command("go_to", "Go to frame…", ("Ctrl+J",), "Type a frame number", "transport.ask_frame", "Playback", LOOKING),
    Command("every_frame", "Clock: every frame", (), "Wait for the model at every frame; off: real time, the model skips", "transport.toggle_every_frame", "Playback", LOOKING, is_toggle=True),

    Command("record", "Start recording", ("Ctrl+R",), "Record frames, predictions and events to disk", "records.start", "Record", LIVE, OPERATOR),
    Command("record_stop", "Stop recording", (), "Hold Ctrl+R for 1 s; end, check and seal the session", "records.stop", "Record", LIVE, OPERATOR),
    Command("override", "Override while held", ("O",), "Hold: your action in place of the model's, from press to release", "records.hold_override", "Record", LIVE, OPERATOR, is_held=True),
    Command("near_miss", "Near miss now", ("N",), "Your call: it could have gone wrong; keeps the moments before and after", "records.near_miss", "Record", LIVE, OPERATOR),
    Command("near_miss_at", "Near miss at the cursor", ("Shift+N",), "Your call on the frame on the screen, for example while the view is frozen", "records.near_miss_at_cursor", "Record", LIVE, OPERATOR),
    Command("bookmark", "Bookmark", ("B",), "Mark this moment", "records.bookmark", "Record", LIVE, OPERATOR),
    Command("note", "Note…", ("T",), "Write a note at this moment", "records.ask_note", "Record", LIVE, OPERATOR),
    Command("undo", "Take back your last mark", ("Ctrl+Z",), "It stays in the record and in the list, struck through: an amendment says it was taken back", "records.undo", "Record", LIVE, OPERATOR),
    Command("redo", "Let it stand again", ("Ctrl+Shift+Z", "Ctrl+Y"), "What you took back last counts again, by a further amendment", "records.redo", "Record", LIVE, OPERATOR),

    Command("region", "Draw the region to predict", ("G",), "Drag a rectangle on the picture; the model must predict what is in it", "look.toggle_region_tool", "Model", LIVE, is_toggle=True),
    Command("models_library", "Checkpoints on this machine", (), "What lies in the folders that are looked through", "library.show_library", "Model"),
    Command("models_released", "Released checkpoints", (), "What the authors published, its terms, and how to get it", "library.show_released", "Model"),
    Command("models_claims", "What may be claimed", (), "Of each system: its evidence, its figures with their sources, its limits", "library.show_claims", "Model"),
    Command("models_refresh", "Look for checkpoints again", (), "Look through the folders of the library anew", "library.refresh", "Model", MODELS),
    Command("report", "Load report", (), "Tensor by tensor, how the checkpoint matched its family", "models.show_report", "Model"),
    Command("unload", "Unload the checkpoint", (), "Free the device", "models.unload", "Model"),
    Command("refit", "Fit the latents' colours anew", (), "New axes from the next looks; colours before and after cannot be compared", "latents.refit", "Model", LIVE),
    Command("recompute", "Recompute with checkpoint…", (), "Run the recorded frames again and compare the numbers", "replay.ask_recompute", "Model", REPLAY),
    Command("cancel", "Cancel what is running", ("Esc",), "Loading, recomputing, drawing a region or choosing a patch", "window.cancel", "Model"),

    Command("palette", "Commands", ("Ctrl+K", "Ctrl+Shift+P"), "Find any command by name", "look.show_palette", "Help"),
    Command("shortcuts", "Keys", ("?", "F1"), "Every key on one sheet", "look.show_shortcuts", "Help"),
    Command("about", "About", (), "Version, and what this program is not", "look.show_about", "Help"),
)}
# fmt: on

HELD_TO_STOP = "hold Ctrl+R 1 s"  # shown as the keys of record_stop; no single key can stop a recording


def text_of(row: Command) -> str:
    return QCoreApplication.translate("actions", row.text)


def tip_of(row: Command) -> str:
    """The tip with its key: "Mark this moment (B)"."""
    tip = QCoreApplication.translate("actions", row.tip)
    keys = keys_text(row)
    return f"{tip} ({keys})" if keys else tip


def keys_text(row: Command) -> str:
    """The keys as a person reads them."""
    if row.id == "record_stop":
        return QCoreApplication.translate("actions", HELD_TO_STOP)
    written = (QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText) for key in row.keys)
    return ", ".join(text.replace("Left", "←").replace("Right", "→") for text in written)


def is_bare(key: str) -> bool:
    """A single character without a modifier: the keys that can be switched off (WCAG 2.1.4)."""
    return len(key) == 1


def build(parent: QWidget, has_bare_keys: bool) -> dict[str, QAction]:
    """One QAction per command, shared by menu, palette, toolbar and shortcut sheet. Handlers are connected later."""
    made: dict[str, QAction] = {}
    for row in ACTIONS.values():
        action = QAction(text_of(row), parent)
        action.setObjectName(row.id)
        action.setToolTip(tip_of(row))
        action.setStatusTip(tip_of(row))
        action.setCheckable(row.is_toggle)
        action.setAutoRepeat(row.id in REPEATING)
        parent.addAction(action)
        made[row.id] = action
    bind_keys(made, has_bare_keys)
    return made


REPEATING = frozenset(
    {"step_back", "step_on", "back_1s", "on_1s", "back_10s", "on_10s", "shuttle_back", "zoom_in", "zoom_out"}
)


def bind_keys(made: dict[str, QAction], has_bare_keys: bool) -> None:
    """Give each action its keys. Held and hold-to-stop keys belong to the key router, which needs the release too."""
    for row in ACTIONS.values():
        keys = [key for key in row.keys if has_bare_keys or not is_bare(key)]
        is_routed = row.is_held or row.id in ("record", "cancel")
        made[row.id].setShortcuts([] if is_routed else [QKeySequence(key) for key in keys])
