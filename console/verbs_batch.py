"""The verbs without a window: `score`, `replay --recompute`, `checkpoint`, `verify`, `recover`."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from console import faults
from console.config import Config
from console.progress import Progress
from console.verbs_common import cancel_on_signals, wants_json
from console.verbs_headless import tell_result
from console.verbs_output import harmless, say, say_json
from jepa_core.checkpoint_paths import meant_by
from jepa_core.errors import CheckpointError, ConsoleError, NotASession, RequestError
from jepa_core.types import JSON, CheckpointInfo, LoadReport

FINDING = faults.EXIT_FINDING


def score(arguments: Namespace, config: Config) -> int:
    """Every frame through the model, into a sealed session file."""
    from console.headless import HeadlessRequest, run

    request = HeadlessRequest(
        source=arguments.source,
        checkpoint=arguments.checkpoint,
        out=arguments.out,
        checkpoint_config=getattr(arguments, "config", None),
    )
    cancel = cancel_on_signals()
    return tell_result(run(config, request, Progress(), cancel), cancel, as_json=wants_json(arguments))


def recompute(arguments: Namespace, config: Config) -> int:
    """The drift table: 0 reproduced, 1 differs."""
    from sessions.compare import REPRODUCED, recompute_file

    cancel = cancel_on_signals()
    checkpoint = arguments.checkpoint or _recorded_checkpoint(arguments.session)
    _use_threads(config)
    progress = Progress(as_lines=arguments.progress_lines)
    try:
        report = recompute_file(
            arguments.session,
            checkpoint,
            config=getattr(arguments, "config", None),
            device=config.model.device,
            dtype=config.model.dtype,
            progress=progress.show,
            cancel=cancel,
        )
    finally:
        progress.end()
    if wants_json(arguments):
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


def _use_threads(config: Config) -> None:
    """As the engine does when it loads."""
    from jepa_core.engine import use_threads

    use_threads(config.engine_options())


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


def checkpoint(arguments: Namespace, config: Config) -> int:
    """The load report, in the words of the load sheet; a refused file exits 3 with the same report."""
    cancel = cancel_on_signals()
    from console.checkpoint_facts import facts, lines
    from jepa_core.checkpoint import examine

    as_json = wants_json(arguments)
    progress = Progress()
    meant = meant_by(Path(arguments.checkpoint))
    try:
        info, report = examine(
            meant.path,
            config=getattr(arguments, "config", None) or meant.config,
            device=config.model.device,
            dtype=config.model.dtype,
            clip_frames=config.model.clip_frames,
            progress=progress.show,
            cancel=cancel,
        )
    except CheckpointError as error:
        progress.end()
        _remember(config, meant.path, error)
        found = error.report
        if found is not None and (found.family or found.unexpected) and not as_json:
            for line in lines(None, found):
                say(line)
        return faults.refuse(
            error, as_json=as_json, facts=facts(None, found) if found is not None else {"report": {}}
        )
    finally:
        progress.end()
    _remember(config, meant.path, (info, report))
    if as_json:
        say_json(facts(info, report))
    else:
        for line in lines(info, report):
            say(line)
    return 0


def _remember(
    config: Config, path: Path, outcome: tuple[CheckpointInfo, LoadReport] | CheckpointError
) -> None:
    """So that `models` and the Models screen know it without looking again."""
    from console.models_library import remember_verdict
    from jepa_core.catalogue import released
    from jepa_core.library_index import LibraryIndex

    remember_verdict(LibraryIndex(config.models.index), released(), path.absolute(), outcome)


def verify(arguments: Namespace, config: Config) -> int:
    """One verdict per session: any valid is 0, damaged and altered 1, unreadable 3; of several, the highest."""
    from sessions.verify import UNREADABLE, Verdict, verify_in_child

    cancel = cancel_on_signals()
    verdicts: list[Verdict] = []
    progress = Progress()
    for path in arguments.sessions:
        try:
            verdict = verify_in_child(
                path, progress=lambda fraction: progress.show(fraction, "verifying"), cancel=cancel
            )
        finally:
            progress.end()
        verdicts.append(verdict)
        if not wants_json(arguments):
            say(f"{path}: {verdict.kind}")
            for line in dict.fromkeys((verdict.text, *verdict.damage, *verdict.notes)):
                if line:
                    say(f"  {line}")
    if wants_json(arguments):
        say_json({"sessions": [verdict.to_json() for verdict in verdicts]})
    unreadable = [verdict for verdict in verdicts if verdict.kind == UNREADABLE]
    if unreadable:
        more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
        first = NotASession(unreadable[0].text + more, "Choose .h5 or .wmj files that this console wrote.")
        return faults.refuse(first)
    return 0 if all(verdict.is_valid for verdict in verdicts) else FINDING


def recover(arguments: Namespace, config: Config) -> int:
    """Fold what a crash left behind; each journal on its own, so one bad one does not keep the others."""
    from sessions.fold import recover as recover_journal

    cancel = cancel_on_signals()
    done: list[JSON] = []
    failed: list[ConsoleError] = []
    progress = Progress()
    for journal in arguments.journals:
        try:
            session = recover_journal(
                Path(journal), progress=lambda fraction: progress.show(fraction, "recovering"), cancel=cancel
            )
        except ConsoleError as error:
            failed.append(error)
        else:
            done.append({"journal": str(journal), "session": str(session)})
            if not wants_json(arguments):
                say(f"{session}")
        finally:
            progress.end()
    refused: list[JSON] = [{"what": problem.what, "hint": problem.hint} for problem in failed]
    facts: dict[str, JSON] = {"recovered": done, "failed": refused}
    if failed:
        for problem in failed[1:]:
            sys.stderr.write(harmless(f"{problem.what}\n"))
        return faults.refuse(failed[0], as_json=wants_json(arguments), facts=facts)
    if wants_json(arguments):
        say_json(facts)
    return 0
