"""Qt's surroundings, checked before the first Qt import: one sentence instead of an abort.

Owned by whoever starts the process (main.py). Standard library only; must never import Qt, so that what it finds
missing can still be said in words.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path

from jepa_core.errors import DisplayError

# Platforms that draw without a screen: for tests, screenshots and machines without a display.
SCREENLESS = frozenset({"offscreen", "minimal", "vnc", "linuxfb", "eglfs", "vkkhrdisplay", "minimalegl"})

# What PySide6's xcb plugin and QtGui load, and the Debian package that brings it.
NEEDED_ALWAYS = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
}
NEEDED_BY_XCB = {
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}


def clean(environ: MutableMapping[str, str] = os.environ) -> None:
    """Take away what other packages left for Qt, and name the binding. Call before the first Qt import.

    `opencv-python` points Qt at its own plugins and at a font folder that does not exist; a conda or another Qt may
    have left a plugin path of a different version.
    """
    for name in ("QT_QPA_PLATFORM_PLUGIN_PATH", "QT_PLUGIN_PATH"):
        value = environ.get(name, "")
        if value and ("cv2" in value or not Path(value.split(os.pathsep)[0]).is_dir()):
            del environ[name]
    fonts = environ.get("QT_QPA_FONTDIR", "")
    if fonts and ("cv2" in fonts or not Path(fonts).is_dir()):
        del environ["QT_QPA_FONTDIR"]
    environ["QT_API"] = "pyside6"
    environ["PYQTGRAPH_QT_LIB"] = "PySide6"


def is_display_available(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a person could see a window opened now. Screenless platforms say no."""
    asked = environ.get("QT_QPA_PLATFORM", "").split(":")[0]
    if asked in SCREENLESS:
        return False
    if platform != "linux":
        return True
    return _wayland_answers(environ) or _x_server_answers(environ.get("DISPLAY", ""))


def check_display(
    environ: Mapping[str, str] = os.environ,
    platform: str = sys.platform,
    can_load: Callable[[str], bool] | None = None,
) -> None:
    """Raise DisplayError, in one sentence with what to do, where opening a window would abort the process."""
    if platform != "linux":
        return
    can_load = can_load or _can_load
    _check_libraries(NEEDED_ALWAYS, can_load)
    asked = environ.get("QT_QPA_PLATFORM", "").split(":")[0]
    if asked in SCREENLESS:
        return
    if asked != "xcb" and _wayland_answers(environ):
        return
    display = environ.get("DISPLAY", "")
    if not display:
        raise DisplayError(
            what="There is no display: neither DISPLAY nor WAYLAND_DISPLAY leads to a screen.",
            hint="Log in with a desktop, use `ssh -X`, or run the same with --headless.",
        )
    if not _x_server_answers(display):
        raise DisplayError(
            what=f"The display {display} does not answer.",
            hint="Start the X server it names, correct DISPLAY, or run the same with --headless.",
        )
    _check_libraries(NEEDED_BY_XCB, can_load)


def gl_hint(can_load: Callable[[str], bool] | None = None) -> str:
    """One sentence when OpenGL cannot be loaded at all, else an empty string. The window itself needs none."""
    if sys.platform != "linux" or (can_load or _can_load)("libGL.so.1"):
        return ""
    return "OpenGL is not installed: everything works but 3-D views. Install libgl1."


def _check_libraries(needed: Mapping[str, str], can_load: Callable[[str], bool]) -> None:
    missing = [package for library, package in needed.items() if not can_load(library)]
    if not missing:
        return
    plural = "libraries are" if len(missing) > 1 else "library is"
    raise DisplayError(
        what=f"A window cannot be opened: the system {plural} missing: {', '.join(missing)}.",
        hint=f"On Debian or Ubuntu: sudo apt install {' '.join(missing)}",
    )


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _wayland_answers(environ: Mapping[str, str]) -> bool:
    name = environ.get("WAYLAND_DISPLAY", "")
    if not name:
        return False
    path = Path(name) if name.startswith("/") else Path(environ.get("XDG_RUNTIME_DIR", "/nonexistent")) / name
    return _connects(socket.AF_UNIX, str(path))


def _x_server_answers(display: str) -> bool:
    """Whether something listens where DISPLAY ("host:number.screen") points."""
    host, colon, rest = display.rpartition(":")
    number = rest.split(".")[0]
    if not colon or not number.isdigit():
        return False
    if host in ("", "unix"):
        path = f"/tmp/.X11-unix/X{number}"
        return _connects(socket.AF_UNIX, "\0" + path) or _connects(socket.AF_UNIX, path)
    return _connects(socket.AF_INET, (host, 6000 + int(number)))


def _connects(family: socket.AddressFamily, address: object) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address)  # type: ignore[arg-type]
        except OSError:
            return False
    return True
