"""The verbs without a window: `score`, `replay --recompute`, `checkpoint`, `verify`, `recover`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from console.progress import Progress
from console.verbs_common import (
    cancel_on_signals,
    load_config,
    say,
    say_json,
    size_words,
    wants_config_printed,
)
from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, CheckpointError, ConsoleError, RequestError
from jepa_core.types import CheckpointInfo, LoadReport

FINDING = 1
REFUSED = 3


def score(arguments: Namespace) -> int:
    """Every frame through the model, into a sealed session file."""
    from console.headless import HeadlessRequest, run

    config = load_config(arguments)
    if wants_config_printed(arguments, config):
        return 0
    request = HeadlessRequest(
        source=arguments.source,
        checkpoint=arguments.checkpoint,
        out=arguments.out,
        checkpoint_config=getattr(arguments, "config", None),
    )
    cancel = cancel_on_signals()
    result = run(config, request, Progress(), cancel)
    if _wants_json(arguments):
        say_json({"session": str(result.session), "is_complete": not cancel.is_cancelled, **result.summary})
    else:
        say(f"{result.session}")
        counts = result.summary
        say(f"{counts['frames']} frames, {counts['steps']} looks, {counts['gaps']} gaps")
    if result.error is not None:
        raise result.error
    return 130 if cancel.is_cancelled else 0


def recompute(arguments: Namespace) -> int:
    """The drift table: 0 reproduced, 1 differs."""
    from sessions.compare import REPRODUCED, recompute_file

    checkpoint = arguments.checkpoint or _recorded_checkpoint(arguments.session)
    progress = Progress(as_lines=arguments.progress_lines)
    try:
        report = recompute_file(
            arguments.session,
            checkpoint,
            config=getattr(arguments, "config", None),
            device=getattr(arguments, "device", "auto"),
            dtype=getattr(arguments, "dtype", "auto"),
            progress=progress.show,
            cancel=cancel_on_signals(),
        )
    except Cancelled:
        return 130
    finally:
        progress.end()
    if _wants_json(arguments):
        say_json(report.to_json())
    else:
        say(f"{report.verdict}: largest difference of a token error {report.max_difference:.3g}")
        say(report.text)
        if report.note:
            say(report.note)
        say("")
        say(f"{'what':<32}{'looks':>8}{'largest difference':>22}")
        for row in report.to_json()["table"]:  # type: ignore[union-attr]
            assert isinstance(row, dict)
            largest = row["max_difference"]
            say(
                f"{row['name']!s:<32}{row['steps']!s:>8}{'' if largest is None else format(largest, '.3g'):>22}"
            )
    return 0 if report.verdict == REPRODUCED else FINDING


def _recorded_checkpoint(session: str) -> str:
    """The checkpoint that the session names, if it still lies there."""
    from sessions.reader import open_session

    with open_session(session) as reader:
        recorded = reader.checkpoint_info
    if recorded is None:
        raise RequestError("This session was recorded without a checkpoint.", "Name one: --checkpoint C.")
    if not Path(recorded.path).exists():
        raise RequestError(
            f"The checkpoint this session was recorded with is not at {recorded.path} any more.",
            "Name where it is now: --checkpoint C.",
        )
    return recorded.path


def checkpoint(arguments: Namespace) -> int:
    """The load report; a refused file exits 3 with the same report."""
    from jepa_core.checkpoint import examine

    config = load_config(arguments)
    if wants_config_printed(arguments, config):
        return 0
    progress = Progress()
    info: CheckpointInfo | None = None
    try:
        info, report = examine(
            arguments.checkpoint,
            config=getattr(arguments, "config", None),
            device=config.model.device,
            dtype=config.model.dtype,
            clip_frames=config.model.clip_frames,
            progress=progress.show,
            cancel=cancel_on_signals(),
        )
    except CheckpointError as error:
        progress.end()
        if _wants_json(arguments):
            fields = _report_fields(error.report) if error.report is not None else {}
            say_json({"error": error.code, "what": error.what, "hint": error.hint, "report": fields})
            return REFUSED
        if error.report is not None:
            _say_report(None, error.report)
        raise
    except Cancelled:
        return 130
    finally:
        progress.end()
    if _wants_json(arguments):
        say_json({"checkpoint": _info_fields(info), "report": _report_fields(report)})
    else:
        _say_report(info, report)
    return 0


def _say_report(info: CheckpointInfo | None, report: LoadReport) -> None:
    rows = [("file", report.path), ("system", report.family or "unknown"), ("variant", report.variant)]
    if report.sha256:
        rows.append(("sha256", report.sha256))
    rows.append(("size", size_words(report.file_bytes)))
    rows.append(("matched", f"{report.matched} tensors"))
    for label, names in (
        ("missing", report.missing),
        ("unexpected", report.unexpected),
        ("reshaped", report.reshaped),
        ("ignored", report.ignored),
        ("not in this file", report.absent_parts),
    ):
        rows += [(label if index == 0 else "", name) for index, name in enumerate(names)]
    for what, where in report.assumed.items():
        rows.append(("assumed", f"{what}: {where}"))
    if info is not None:
        spec = info.input
        rows.append(
            ("input", f"{spec.size} px, {spec.frames} frames at {spec.fps:g} fps, tubelet {spec.tubelet}, patch {spec.patch}")
        )  # fmt: skip
        rows.append(("abilities", ", ".join(sorted(info.abilities)) or "features only"))
        rows.append(("parameters", f"{info.parameters:,}"))
        rows.append(
            ("memory", f"{size_words(report.memory_bytes)} for one look in {info.dtype} on {info.device}")
        )
        rows += [("note", note) for note in info.notes]
    for label, text in rows:
        say(f"{label:<18}{text}")


def _info_fields(info: CheckpointInfo) -> dict[str, object]:
    return {name: _plain(getattr(info, name)) for name in info.__slots__}


def _report_fields(report: LoadReport) -> dict[str, object]:
    return {name: _plain(getattr(report, name)) for name in report.__slots__}


def _plain(value: object) -> object:
    """As JSON can say it."""
    if isinstance(value, frozenset):
        return sorted(value)
    if hasattr(value, "__slots__") and not isinstance(value, str | int | float | tuple | list | dict):
        return {name: _plain(getattr(value, name)) for name in value.__slots__}
    return value


def verify(arguments: Namespace) -> int:
    """One verdict per session: any valid is 0, damaged and altered 1, unreadable 3; of several, the highest."""
    from sessions.verify import UNREADABLE, verify_in_child

    status = 0
    verdicts = []
    progress = Progress()
    for path in arguments.sessions:
        verdict = verify_in_child(path, progress=lambda fraction: progress.show(fraction, "verifying"))
        progress.end()
        verdicts.append(verdict.to_json())
        status = max(status, 0 if verdict.is_valid else REFUSED if verdict.kind == UNREADABLE else FINDING)
        if not _wants_json(arguments):
            say(f"{path}: {verdict.kind}")
            if verdict.text:
                say(f"  {verdict.text}")
            for line in (*verdict.damage, *verdict.notes):
                say(f"  {line}")
    if _wants_json(arguments):
        say_json({"sessions": verdicts})
    return status


def recover(arguments: Namespace) -> int:
    """Fold what a crash left behind; each journal on its own, so one bad one does not keep the others."""
    from sessions.fold import recover as recover_journal

    cancel: CancelToken = cancel_on_signals()
    done, failed = [], []
    progress = Progress()
    for journal in arguments.journals:
        try:
            session = recover_journal(
                Path(journal), progress=lambda fraction: progress.show(fraction, "recovering"), cancel=cancel
            )
            done.append({"journal": str(journal), "session": str(session)})
        except ConsoleError as error:
            failed.append({"journal": str(journal), "what": error.what, "hint": error.hint})
        except Cancelled:
            return 130
        finally:
            progress.end()
    if _wants_json(arguments):
        say_json({"recovered": done, "failed": failed})
        return REFUSED if failed else 0
    for item in done:
        say(item["session"])
    if failed:
        raise RequestError(failed[0]["what"], failed[0]["hint"])
    return 0


def _wants_json(arguments: Namespace) -> bool:
    return bool(getattr(arguments, "json", False))
