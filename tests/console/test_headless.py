"""`score` and the headless run: lossless, repeatable, and the same numbers wherever the engine lives."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from console.headless import HeadlessRequest, HeadlessResult, run
from console.progress import Progress
from jepa_core.clock import CancelToken
from jepa_core.errors import CheckpointError, SourceError
from tests.helpers.real_pipeline import DEMO_CHECKPOINT, test_config

SOURCE = "world:cell?seed=3&frames=40&barcode=1"


def score(folder: Path, source: str = SOURCE, **request: object) -> HeadlessResult:
    asked = HeadlessRequest(source=source, checkpoint=str(DEMO_CHECKPOINT), out=folder / "out", **request)  # type: ignore[arg-type]
    return run(test_config(folder), asked, Progress(), CancelToken())


def errors_of(session: Path) -> np.ndarray:
    with h5py.File(session) as file:
        return file["/streams/model/token_error"][:]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> HeadlessResult:
    return score(tmp_path_factory.mktemp("first"))


def test_every_frame_is_recorded_and_every_due_look_made(scored: HeadlessResult) -> None:
    with h5py.File(scored.session) as file:
        index = file["/streams/camera/capture_index"][:]
        last = file["/streams/model/frame_last"].shape[0]

    assert list(index) == list(range(40))
    assert (
        last == 19
    )  # one look per tubelet of two frames; the first tubelet alone has nothing to be predicted from
    assert scored.summary["gaps"] == 0


def test_scoring_twice_gives_byte_equal_errors(scored: HeadlessResult, tmp_path: Path) -> None:
    again = score(tmp_path)

    assert errors_of(again.session).tobytes() == errors_of(scored.session).tobytes()


def test_an_engine_in_its_own_process_gives_the_same_bytes(scored: HeadlessResult, tmp_path: Path) -> None:
    """The window's own arrangement: EngineProcess, the frame ring, the clock on every frame."""
    other = score(tmp_path, is_engine_local=False, speed=8.0)

    assert errors_of(other.session).tobytes() == errors_of(scored.session).tobytes()


def test_a_session_is_sealed_beside_its_journal(scored: HeadlessResult) -> None:
    assert scored.session.suffix == ".h5"
    assert scored.session.with_suffix(".seal.json").exists()
    assert not list(scored.session.parent.glob("*.partial"))


def test_a_missing_source_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        score(tmp_path, source=str(tmp_path / "nowhere.mp4"))

    assert "nowhere.mp4" in caught.value.what
    assert not (tmp_path / "out").exists()


def test_a_refused_checkpoint_ends_the_run_with_its_report(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pt"
    wrong.write_bytes(b"not a checkpoint")
    request = HeadlessRequest(source=SOURCE, checkpoint=str(wrong), out=tmp_path / "out")

    with pytest.raises(CheckpointError):
        run(test_config(tmp_path), request, Progress(), CancelToken())


def test_cancelling_keeps_what_was_seen_until_then(tmp_path: Path) -> None:
    cancel = CancelToken()
    seen: list[float] = []

    class StopAtTheFirstSign(Progress):
        def show(self, fraction: float, text: str) -> None:
            if text.startswith("frame") and not cancel.is_cancelled:
                seen.append(fraction)
                cancel.cancel()

    request = HeadlessRequest(
        source="world:cell?seed=3", checkpoint=str(DEMO_CHECKPOINT), out=tmp_path / "out", speed=1.0
    )
    result = run(test_config(tmp_path), request, StopAtTheFirstSign(), cancel)

    assert seen
    assert result.session.exists()
    assert result.summary["frames"]
