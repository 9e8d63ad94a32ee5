"""Opens the window: Qt's surroundings, QApplication, last-resort hooks, signals, screenshots. Returns the exit code.

Importing this imports neither Qt nor torch; `run_window` brings Qt, and the window's process never brings torch.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console import environment, logs
from console.config import Config, changed
from console.start_request import StartRequest
from jepa_core.errors import ConsoleError, WriteFailed

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from console.main_window import MainWindow

log = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.001  # measured: halves the stalls that other threads' Python causes in the GUI


def run_window(
    config: Config,
    *,
    start: StartRequest | None = None,
    make_pipeline: Callable[[Config], Any] | None = None,
) -> int:
    """Open the window and stay until it is closed. Raises DisplayError where it cannot be opened."""
    start = start or StartRequest()
    environment.clean()
    if start.screenshot is not None and not environment.is_display_available():
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    environment.check_display()
    if start.screenshot is not None:
        start.screenshot.parent.mkdir(parents=True, exist_ok=True)
    import shiboken6

    from console.main_window import MainWindow
    from console.qt_log import qt_speaks_to_the_log
    from console.settings import Settings
    from console.window_request import Begin

    look = {"look.theme": start.theme, "look.zoom": start.zoom}
    config = changed(config, {key: value for key, value in look.items() if value is not None}, "command line")
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    running_logs = logs.setup(config.log)
    result = _Result()
    with qt_speaks_to_the_log():
        app = _application()
        pipeline = (make_pipeline or _pipeline)(config)
        window = MainWindow(pipeline, config, Settings())
        if running_logs.fault is not None:
            window.desk.fault(running_logs.fault)
        if start.size is not None:
            window.resize(*start.size)
        with _last_resort(window), _signals(window):
            window.begin()
            window.show()
            begin = Begin(window, start, result.fail)
            begin.go()
            app.exec()
        # Now, with Python still whole: event filters run while widgets are taken apart.
        shiboken6.delete(window)
    running_logs.close()
    if result.error is not None:
        raise result.error
    return 0


def _pipeline(config: Config) -> Any:
    from console.pipeline import Pipeline

    return Pipeline(config)


class _Result:
    """What went wrong in something the command line asked for, such as the screenshot."""

    def __init__(self) -> None:
        self.error: ConsoleError | None = None

    def fail(self, path: Path) -> None:
        self.error = WriteFailed(f"The screenshot could not be written to {path}.", "Choose another folder.")


def _application() -> QApplication:
    from PySide6.QtCore import Qt
    from PySide6.QtGui import QGuiApplication
    from PySide6.QtWidgets import QApplication

    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("jepa-console")
    app.setApplicationDisplayName("JEPA Console")
    app.setDesktopFileName("jepa-console")
    return app


@contextmanager
def _last_resort(window: MainWindow) -> Iterator[None]:
    """Exceptions nobody caught are logged and shown; the window lives on."""
    before, before_threads = sys.excepthook, threading.excepthook

    def in_gui(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        log.critical("uncaught %s", kind.__name__, exc_info=(kind, error, trace))
        if not isinstance(error, KeyboardInterrupt):
            window.bridge.receiverFailed.emit(error)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None:
            return
        name = args.thread.name if args.thread is not None else "?"
        log.critical("uncaught in thread %s", name, exc_info=args.exc_value)
        window.bridge.post(_unexpected(name, args.exc_value))

    sys.excepthook, threading.excepthook = in_gui, in_thread
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook = before, before_threads


def _unexpected(thread: str, error: BaseException) -> object:
    from console.faults import translate
    from console.notices import Faulted

    known = translate(error)
    return Faulted(ConsoleError(known.what, known.hint, f"thread {thread}: {known.detail}"))


@contextmanager
def _signals(window: MainWindow) -> Iterator[None]:
    """Ctrl+C and SIGTERM close the window in order. A socket wakes Qt's loop, which does not see Python's signals."""
    from PySide6.QtCore import QSocketNotifier

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    for end in (reader, writer):
        end.setblocking(False)
    notifier = QSocketNotifier(reader.fileno(), QSocketNotifier.Type.Read, window)

    def woken(_descriptor: object) -> None:
        reader.recv(4096)

    def close(_number: int, _frame: object) -> None:
        window.close()

    notifier.activated.connect(woken)
    previous = {number: signal.signal(number, close) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in previous.items():
            signal.signal(number, handler)
        notifier.setEnabled(False)
        reader.close()
        writer.close()
