"""Trajectories: what is read of them, and what a file may not do to us."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jepa_core.clock import CancelToken
from jepa_core.errors import SourceLost, SourceNotFound
from jepa_core.types import MotionSpec
from sessions.sources.base import Grab
from sessions.sources.registry import open_source, parse
from sessions.sources.trajectory import DEFAULT_FPS, Trajectory
from tests.helpers import trajectories as made

SHARED = Path(__file__).parents[4] / "shared/data/franka_example_traj.npz"


def opened(path: Path | str) -> Trajectory:
    source = open_source(str(path))
    assert isinstance(source, Trajectory)
    source.open()
    return source


def played(source: Trajectory) -> list[Grab]:
    grabs = []
    while (grab := source.read(CancelToken())) is not None:
        grabs.append(grab)
    return grabs


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize("name", ["observations", "rgb", "frames", "pixels"])
def test_pictures_states_and_actions_come_together(name, is_compressed, tmp_path):
    pictures, states, actions = made.pictures(6), made.body_states(6), made.pushes(6)
    path = tmp_path / "a.npz"
    save = np.savez_compressed if is_compressed else np.savez
    save(path, **{name: pictures, "states": states, "actions": actions, "fps": 12.5})

    source = opened(path)
    grabs = played(source)
    source.close()

    assert source.info.fps == 12.5
    assert source.info.detail["is_fps_assumed"] is False
    for t, grab in enumerate(grabs):
        assert np.array_equal(grab.rgb, pictures[t])
        assert np.array_equal(grab.state, states[t])
        assert np.array_equal(grab.action, actions[t])
        assert grab.pts_ns == round(t * 1e9 / 12.5)
        assert not grab.state.flags.writeable
    assert source.info.motion == MotionSpec(
        ("action 1", "action 2"), ("", ""), tuple(f"state {i}" for i in (1, 2, 3, 4)), ("",) * 4
    )


def test_batch_of_one_names_and_units_are_read_as_the_arm_example_has_them(tmp_path):
    source = opened(made.write_arm(tmp_path / "arm.npz", 5))
    assert (source.info.frames, source.info.fps) == (5, 4.0)
    assert source.info.motion.state_names[:3] == ("x", "y", "z")
    assert source.info.motion.state_units[3] == "rad"
    assert source.info.motion.action_names == ()
    assert all(grab.action is None and grab.state.shape == (7,) for grab in played(source))
    source.close()


@pytest.mark.skipif(not SHARED.is_file(), reason="the shared example is not on this machine")
def test_published_arm_example_opens():
    source = opened(SHARED)
    grabs = played(source)
    source.close()
    assert len(grabs) == 2
    assert grabs[0].rgb.shape == (256, 256, 3)
    assert grabs[1].state[0] == pytest.approx(0.67281, abs=1e-5)
    assert source.info.fps == DEFAULT_FPS
    assert source.info.detail["is_fps_assumed"] is True
    assert str(source.info.detail["sha256"]).startswith("99e31cbd")


def test_last_action_may_be_missing(tmp_path):
    source = opened(made.write(tmp_path / "a.npz", observations=made.pictures(4), actions=made.pushes(3)))
    assert [grab.action is None for grab in played(source)] == [False, False, False, True]
    source.close()


def test_one_of_several_episodes_is_opened_by_number(tmp_path):
    several = np.stack([made.pictures(3, seed=seed) for seed in range(3)])
    states = np.stack([made.body_states(3, seed=seed) for seed in range(3)])
    path = made.write(tmp_path / "a.npz", observations=several, states=states)
    source = opened(f"trajectory:{path}?episode=2")
    grabs = played(source)
    source.close()
    assert all(np.array_equal(grab.rgb, several[2, t]) for t, grab in enumerate(grabs))
    assert np.array_equal(grabs[1].state, states[2, 1])
    with pytest.raises(SourceNotFound, match="has no trajectory 3"):
        opened(f"trajectory:{path}?episode=3")


def test_rate_of_the_address_comes_first(tmp_path):
    path = made.write_arm(tmp_path / "arm.npz", 3)
    source = opened(f"trajectory:{path}?fps=2")
    assert source.info.fps == 2.0
    source.close()


def test_path_of_an_npz_is_a_trajectory(tmp_path):
    assert parse(str(made.write_arm(tmp_path / "arm.npz", 2)))[0] == "trajectory"


def test_column_major_pictures_are_turned(tmp_path):
    pictures = made.pictures(3)
    path = made.write(tmp_path / "a.npz", observations=np.asfortranarray(pictures))
    source = opened(path)
    assert all(np.array_equal(grab.rgb, pictures[t]) for t, grab in enumerate(played(source)))
    source.close()


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"observations": np.zeros((2, 8, 8, 3), np.float32)}, "pictures are uint8"),
        ({"observations": np.zeros((2, 3, 8, 8), np.uint8)}, "pictures are uint8"),
        ({"observations": np.zeros((0, 8, 8, 3), np.uint8)}, "nothing to show"),
        ({"states": np.zeros((3, 7), np.float32)}, "has 3 rows for 24 pictures"),
        ({"states": np.zeros((23, 7), np.float32)}, "has 23 rows for 24 pictures"),
        ({"states": np.zeros((24,), np.float32)}, "should be numbers"),
        ({"states": np.full((24, 2), "a")}, "should be numbers"),
        ({"actions": np.zeros((22, 2), np.float32)}, "has 22 rows for 24 pictures"),
        ({"fps": np.array([1.0, 2.0])}, "no frame rate"),
        ({"fps": np.array(0.0)}, "no frame rate"),
        ({"fps": np.array("fast")}, "no frame rate"),
        ({"states": np.zeros((24, 2), np.float32), "state_names": np.array(["a"])}, "is not 2 texts"),
        ({"states": np.array([{"a": 1}] * 24, dtype=object)}, "holds Python objects"),
    ],
)
def test_array_that_is_no_trajectory_is_refused_by_name(arrays, words, tmp_path):
    path = made.write(tmp_path / "a.npz", **arrays)
    with pytest.raises(SourceNotFound, match=words):
        opened(path)


def test_file_without_pictures_says_what_it_holds(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, qpos=np.zeros(3), qvel=np.zeros(3))
    with pytest.raises(SourceNotFound, match="no pictures") as refused:
        opened(path)
    assert "qpos, qvel" in refused.value.hint


def member(header: bytes, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """One .npy with a header of our own."""
    header = header + b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made_zip:
        for name, data in members.items():
            made_zip.writestr(f"{name}.npy", data)
    return path


class Explodes:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle ran')",))


def test_pickle_in_an_object_array_never_runs(tmp_path):
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"
    path = zipped(tmp_path / "a.npz", observations=member(header, pickle.dumps([Explodes(), Explodes()])))
    with pytest.raises(SourceNotFound, match="holds Python objects, which could run code; it was not opened"):
        opened(path)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (4000000000, 100, 100, 3), }",
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (-2, 8, 8, 3), }",
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 8, 8, 3), }",
    ],
    ids=["terabytes", "negative", "cut"],
)
def test_header_that_claims_more_than_the_file_has_is_refused(header, tmp_path):
    path = zipped(tmp_path / "a.npz", observations=member(header, b"\0" * 100))
    with pytest.raises(SourceNotFound, match=r"claims|cannot be read"):
        opened(path)


def test_bomb_is_not_unpacked(tmp_path):
    """Sixteen gigabytes of zeros in a small file."""
    path = tmp_path / "a.npz"
    count = 16 << 30
    header = member(
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 512, 512, 3), }" % (count // (512 * 512 * 3))
    )
    zipped(path, observations=header + b"\0" * 100_000)
    data = bytearray(path.read_bytes())
    wanted = len(header) + count // (512 * 512 * 3) * 512 * 512 * 3
    at = data.rfind(
        b"PK\x01\x02"
    )  # the central directory's claim; a true bomb would say the same and hold it
    data[at + 24 : at + 28] = struct.pack("<I", wanted & 0xFFFFFFFF)
    path.write_bytes(bytes(data))
    with pytest.raises(SourceNotFound):
        opened(path)
    honest = tmp_path / "b.npz"
    rows = 1100
    zipped(
        honest,
        observations=member(
            b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d, 1024, 1024, 3), }" % rows
        ),
    )
    with pytest.raises(SourceNotFound, match="claims"):
        opened(honest)


def test_compressed_pictures_larger_than_memory_allows_are_refused_before_they_are_unpacked(
    tmp_path, monkeypatch
):
    from sessions.sources.parts import npz

    monkeypatch.setattr(npz, "MOST_UNPACKED", 100_000)
    path = made.write(tmp_path / "a.npz", is_compressed=True)
    with pytest.raises(SourceNotFound, match="would take"):
        opened(path)
    source = opened(made.write(tmp_path / "b.npz"))  # not compressed: read picture by picture
    source.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"not a zip at all" * 100, b"PK\x05\x06" + b"\0" * 18],
    ids=["empty", "head", "text", "no members"],
)
def test_what_is_no_npz_is_refused_in_words(content, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(SourceNotFound, match=r"cannot be read as a .npz file|no pictures"):
        opened(path)


def test_long_header_is_not_parsed(tmp_path):
    long = b"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 8, 8, 3), " + b" " * 30_000 + b"}"
    path = zipped(tmp_path / "a.npz", observations=member(long, b"\0" * 384))
    with pytest.raises(SourceNotFound, match="cannot be read"):
        opened(path)


def test_file_that_is_cut_while_it_plays_is_lost_in_words(tmp_path):
    path = made.write(tmp_path / "a.npz", observations=made.pictures(8))
    source = opened(path)
    assert source.read(CancelToken()) is not None
    with path.open("r+b") as file:
        file.truncate(2000)
    with pytest.raises(SourceLost, match="became shorter"):
        source.read(CancelToken())
    source.close()


@pytest.mark.parametrize("seed", range(40))
def test_mutated_files_are_read_or_refused_and_never_anything_else(seed, tmp_path):
    """Bytes flipped anywhere: a picture, a sentence, and nothing in between."""
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    (np.savez_compressed if seed % 2 else np.savez)(
        buffer, observations=made.pictures(3, 16, 16), states=made.body_states(3), fps=5.0
    )
    data = bytearray(buffer.getvalue())
    for at in rng.integers(0, len(data), 1 + seed % 6):
        data[at] = int(rng.integers(0, 256))
    if seed % 5 == 0:
        del data[int(rng.integers(0, len(data))) :]
    path = tmp_path / "a.npz"
    path.write_bytes(bytes(data))
    try:
        source = opened(path)
    except SourceNotFound:
        return
    for grab in played(source):
        assert grab.rgb.shape == (16, 16, 3)
    source.close()
