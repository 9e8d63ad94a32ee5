"""The same numbers whoever asks: `score` twice, headless live, the window, and a recomputation of the record."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest

from sessions.reader import open_session
from tests.helpers import checkpoints
from tests.helpers.cli import CELL, OFFSCREEN, ROOT, Said, main_py

pytestmark = pytest.mark.slow

ROBOT = ROOT.parent / "shared" / "data" / "small_robot.mp4"
SHORT = "world:cell?seed=3&frames=24&width=320&height=240"
EVERY = ("--every-frame", "--record")


def errors_of(session: str | Path) -> dict[str, bytes]:
    """Every dataset of the model stream that says what was seen and how wrong it was."""
    with h5py.File(session) as file:
        model = file["/streams/model"]
        names = [name for name in ("token_error", "surprise", "frame_last", "signals") if name in model]
        assert "token_error" in names
        assert model["token_error"].shape[0] > 0
        return {name: model[name][()].tobytes() for name in names if isinstance(model[name], h5py.Dataset)}


def session_of(done: Said) -> Path:
    assert done.code == 0, (done.out, done.err)
    return Path(done.json["session"])


def score(source: object, out: Path, *more: object) -> Path:
    return session_of(main_py("score", source, "--checkpoint", CELL, "--out", out, "--json", *more))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the threads that anybody gets who does not say how many."""
    return score(SHORT, tmp_path_factory.mktemp("scored"))


def test_headless_live_on_every_frame_equals_score(scored: Path, tmp_path: Path) -> None:
    done = main_py("live", SHORT, "--checkpoint", CELL, *EVERY, tmp_path, "--headless", "--json")

    assert errors_of(session_of(done)) == errors_of(scored)


def test_the_window_on_every_frame_equals_score(scored: Path, tmp_path: Path) -> None:
    """The window closes by itself, and its session is folded when it closes."""
    done = main_py(
        "live", SHORT, "--checkpoint", CELL, *EVERY, tmp_path, "--seconds", "10", environ=OFFSCREEN
    )

    assert (done.code, done.out, done.err) == (0, "", "")
    session = next(tmp_path.glob("*.h5"))
    assert errors_of(session) == errors_of(scored)
    assert main_py("verify", session).code == 0


def test_a_real_video_scored_twice_and_live_gives_byte_equal_errors(tmp_path: Path) -> None:
    if not ROBOT.exists():
        pytest.skip("small_robot.mp4 is not beside the checkout")
    first = score(ROBOT, tmp_path / "first")
    again = score(ROBOT, tmp_path / "again")
    live = main_py("live", ROBOT, "--checkpoint", CELL, *EVERY, tmp_path / "live", "--headless", "--json")

    assert errors_of(first) == errors_of(again) == errors_of(session_of(live))


def test_a_recomputation_reproduces_and_one_other_weight_is_found(scored: Path, tmp_path: Path) -> None:
    import torch

    other = tmp_path / "cell.pt"
    content = torch.load(CELL, map_location="cpu", weights_only=True)
    name = next(name for name in content["predictor"] if name.endswith("proj.weight"))
    content["predictor"][name] = content["predictor"][name].clone()
    content["predictor"][name].view(-1)[0] += 0.5
    torch.save(content, other)
    shutil.copy(CELL.with_suffix(".params.yaml"), tmp_path)

    same = main_py("replay", scored, "--recompute", "--json")
    differs = main_py("replay", scored, "--recompute", "--checkpoint", other, "--json")

    assert (same.code, same.json["verdict"]) == (0, "reproduced")
    assert (differs.code, differs.json["verdict"]) == (1, "differs")
    assert differs.json["is_same_checkpoint"] is False
    with open_session(scored) as reader:
        assert differs.json["first_differing_seq"] == reader.inspection(0).seq


def test_a_checkpoint_of_another_size_is_refused_in_words(scored: Path, tmp_path: Path) -> None:
    other = checkpoints.write(tmp_path)

    done = main_py("replay", scored, "--recompute", "--checkpoint", other, "--json")

    assert "tokens" in done.refused()


def test_a_config_from_elsewhere_is_taken(tmp_path: Path) -> None:
    bare = tmp_path / "bare.pt"
    shutil.copy(CELL, bare)
    config = tmp_path / "elsewhere" / "its.yaml"
    config.parent.mkdir()
    shutil.copy(CELL.with_suffix(".params.yaml"), config)

    without = main_py("checkpoint", bare, "--json")
    with_it = main_py("checkpoint", bare, "--config", config, "--json")

    assert with_it.code == 0
    assert "its.yaml" in str(with_it.json["report"]["assumed"])
    assert without.json != with_it.json
