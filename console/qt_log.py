"""Qt's own messages go to the log; only the last words of a Qt that must abort go to the terminal.

Installed by `run_window` while the window is open. Imports Qt, so only the window's process may import it.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler

log = logging.getLogger(__name__)

_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}
# Of the offscreen platform, at every window: it has no window manager to tell.
_MEANINGLESS = ("This plugin does not support propagateSizeHints",)


@contextmanager
def qt_speaks_to_the_log() -> Iterator[None]:
    """Until the end of the block."""
    before = qInstallMessageHandler(_hear)
    try:
        yield
    finally:
        qInstallMessageHandler(before)


def _hear(kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
    if text.startswith(_MEANINGLESS):
        return
    log.log(_LEVELS.get(kind, logging.WARNING), "%s", text)
    if kind is QtMsgType.QtFatalMsg:  # the process aborts after this; nobody else can say why
        sys.stderr.write(f"{text}\n")
