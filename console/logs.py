"""Where log lines go: a rotating file of JSON lines, and a ring in memory for the log view.

Standard `logging` underneath, one logger per file. Set up once by main.py. Repeats collapse into counts. Must never
print, and a folder without rights must never stop the program: the lines then stay in memory and `fault` says so.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from console.config import LogConfig
from jepa_core.errors import ConsoleError, WriteFailed

FILE_NAME = "console.jsonl"
REPEAT_WINDOW_S = 10.0  # the same line is written once per window, then with its count
RING_LINES = 2000


@dataclass(frozen=True, slots=True)
class LogLine:
    t_wall_ns: int
    level: int
    logger: str
    text: str
    seq: int  # frame it speaks of, -1 none
    repeats: int  # times it was said before and not written


class Logs:
    """What `setup` made. Owns the handlers; the last `close` takes them away again."""

    def __init__(self, path: Path | None, ring: RingHandler, handlers: list[logging.Handler]) -> None:
        self.path = path
        self.ring = ring
        self.fault: ConsoleError | None = None
        self._handlers = handlers
        self._users = 1
        ring.logs = self

    def share(self) -> Logs:
        """The same for one more user, who closes it too."""
        self._users += 1
        return self

    def close(self) -> None:
        self._users -= 1
        if self._users > 0:
            return
        logging.captureWarnings(False)
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
        self._handlers = []


def setup(config: LogConfig) -> Logs:
    """Begin logging, or share what has begun in this process. Close the returned Logs at the end."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, RingHandler) and handler.logs is not None:
            return handler.logs.share()
    root.setLevel(config.level)
    ring = RingHandler(RING_LINES)
    ring.addFilter(RepeatFilter())
    logs = Logs(None, ring, [ring])
    try:
        config.path.mkdir(parents=True, exist_ok=True)
        file = QuietFile(
            config.path / FILE_NAME,
            maxBytes=config.file_bytes,
            backupCount=config.files - 1,
            encoding="utf-8",
            errors="backslashreplace",  # a file name need not be text
        )
    except OSError as error:
        logs.fault = WriteFailed(
            f"The log cannot be written to {config.path} ({error.strerror}).",
            "Set log.directory to a folder you may write to. Until then the log is kept in memory only.",
        )
    else:
        file.setFormatter(JsonFormatter())
        file.addFilter(RepeatFilter())
        logs.path = config.path / FILE_NAME
        logs._handlers.append(file)
    for handler in logs._handlers:
        root.addHandler(handler)
    logging.captureWarnings(True)
    return logs


class QuietFile(RotatingFileHandler):
    """A log file that cannot be written (full disk, another process rotating it) must not fill the terminal."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: the line is in the ring, and whoever records on that disk says that it is full."""


class JsonFormatter(logging.Formatter):
    """One JSON object per line: t, level, logger, thread, text, and seq, code, detail, trace where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "t": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "thread": record.threadName,
            "text": record.getMessage(),
        }
        for name in ("seq", "code", "detail", "repeats"):
            value = getattr(record, name, None)
            if value not in (None, "", 0) or (name == "seq" and value == 0):
                line[name] = value
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class RingHandler(logging.Handler):
    """The newest lines, for the log view; a listener hears each one on the thread that logged it."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines: deque[LogLine] = deque(maxlen=lines)
        self._listener: Callable[[LogLine], None] | None = None
        self.logs: Logs | None = None  # whose ring this is

    def emit(self, record: logging.LogRecord) -> None:
        line = LogLine(
            t_wall_ns=int(record.created * 1e9),
            level=record.levelno,
            logger=record.name,
            text=record.getMessage(),
            seq=int(getattr(record, "seq", -1)),
            repeats=int(getattr(record, "repeats", 0)),
        )
        self._lines.append(line)
        if self._listener is not None:
            self._listener(line)

    def listen(self, listener: Callable[[LogLine], None] | None) -> None:
        self._listener = listener

    def lines(self) -> list[LogLine]:
        return list(self._lines)


class RepeatFilter(logging.Filter):
    """Lets the same message of the same logger through once per window; the next one carries the count."""

    MOST_KEYS = 512

    def __init__(self, window_s: float = REPEAT_WINDOW_S) -> None:
        super().__init__()
        self._window_s = window_s
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> logging.LogRecord | bool:  # type: ignore[override]
        said = str(record.msg)
        key = (record.name, record.levelno, record.getMessage() if said == "%s" else said)
        with self._lock:
            since, held = self._seen.get(key, (float("-inf"), 0))
            if record.created - since < self._window_s:
                self._seen[key] = (since, held + 1)
                return False
            if len(self._seen) >= self.MOST_KEYS:
                self._seen.pop(next(iter(self._seen)))
            self._seen.pop(key, None)
            self._seen[key] = (record.created, 0)
        if not held:
            return True
        counted = logging.makeLogRecord(record.__dict__)  # a copy: the other handler counts for itself
        counted.repeats = held
        return counted
