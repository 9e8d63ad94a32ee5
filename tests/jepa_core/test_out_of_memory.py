"""A device without room: one thing after another is given up, in the stated order, each told; the looks go on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from jepa_core import checkpoint
from jepa_core.clock import CancelToken, FakeClock
from jepa_core.engine import Engine
from jepa_core.engine_process import EngineProcess, LocalEngine
from jepa_core.errors import NotAble, OutOfMemory
from jepa_core.frame_ring import FrameRing
from jepa_core.messages import (
    EngineBack,
    EngineDown,
    EngineFault,
    EngineOptions,
    Loaded,
    Looked,
    Refused,
    SteppedDown,
)
from jepa_core.preprocess import fit_frame, normalise
from jepa_core.types import Frame, MaskRule
from tests.helpers import checkpoints as made
from tests.helpers.models import LOADER, ScriptedModel

MS = 1_000_000
WAIT_S = 60.0
FLOAT32 = 4  # bytes


def make_frame(seq: int) -> Frame:
    rgb = np.random.default_rng(seq).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    rgb.setflags(write=False)
    return Frame(seq, seq, seq, seq, -1, seq * 100 * MS, rgb, "video:test")


class Room:
    """An engine somewhere, shown every frame; what it said."""

    def __init__(self, engine: EngineProcess | LocalEngine, said: list[object], changed: threading.Condition):
        self.engine, self.said, self._changed = engine, said, changed
        self.ring = FrameRing.create(4, 96 * 128 * 3)
        self.seq = 0
        engine.attach_ring(self.ring)

    def wait_for(self, *kinds: type) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(isinstance(message, kinds) for message in self.said), WAIT_S
            ), self.said

    def load(self, script: str, **options: object) -> None:
        self.engine.load(script, None, EngineOptions(threads=1, **options))
        self.wait_for(Loaded, Refused)

    def show(self, count: int) -> None:
        for _ in range(count):
            frame = make_frame(self.seq)
            written = self.ring.write(frame.rgb)
            assert written is not None
            self.seq += 1
            self.engine.offer_and_wait(frame, written.slot, CancelToken())

    def of(self, kind: type) -> list:
        with self._changed:
            return [message for message in self.said if isinstance(message, kind)]

    @property
    def steps(self) -> list[str]:
        return [f"{step.what}: {step.before} → {step.after}" for step in self.of(SteppedDown)]


@pytest.fixture
def room(request: pytest.FixtureRequest):
    """Starts an engine; stops it whatever the test did."""
    opened: list[Room] = []

    def start(hosting: type = LocalEngine) -> Room:
        said: list[object] = []
        changed = threading.Condition()

        def hear(message: object) -> None:
            with changed:
                said.append(message)
                changed.notify_all()

        engine = hosting(hear, loader=LOADER)
        engine.start()
        opened.append(Room(engine, said, changed))
        return opened[-1]

    yield start
    for one in opened:
        one.engine.stop()
        one.engine.attach_ring(None)
        one.ring.close()


Start = Callable[..., Room]


@pytest.mark.parametrize("hosting", [LocalEngine, EngineProcess])
def test_looks_go_on_with_less_and_every_step_is_told(room: Start, hosting: type):
    there = room(hosting)
    # 64 px and 8 frames are 4 x 4 x 4 tokens; there is room for 2 x 2 x 4 of them in float32.
    there.load("scripted:?size=64&resizes=1", room=16 * FLOAT32)

    there.show(16)

    assert there.steps == ["resolution: 64 px → 48 px", "resolution: 48 px → 32 px"]
    looks = [message.inspection for message in there.of(Looked)]
    assert looks[-1].layout.shape == (4, 2, 2)
    assert there.of(EngineFault) == []
    assert there.of(SteppedDown)[-1].info.input.size == 32
    assert [look.step for look in looks] == list(range(len(looks)))  # a look that failed is not counted


def test_frames_and_precision_follow_and_the_same_clip_is_looked_at_again(room: Start):
    there = room()
    there.load("scripted:?size=32", room=8 * FLOAT32)  # a table: it cannot change its size

    there.show(8)

    assert there.steps == ["frames: 8 frames → 4 frames"]
    looks = [message.inspection for message in there.of(Looked)]
    assert looks[-1].clip == (4, 5, 6, 7)
    there.said.clear()
    there.load("scripted:?size=32", room=8 * FLOAT32 // 2)
    there.show(4)
    assert there.steps == ["frames: 8 frames → 4 frames", "precision: float32 → bfloat16"]
    look = there.of(Looked)[-1].inspection
    assert look.clip == (8, 9, 10, 11)
    assert look.checkpoint.endswith(":bfloat16")


def test_at_the_end_of_the_ladder_the_fault_is_told_once_in_words(room: Start):
    there = room()
    there.load("scripted:?size=32", room=1)

    there.show(8)

    assert there.steps == ["frames: 8 frames → 4 frames", "precision: float32 → bfloat16"]
    [fault] = there.of(EngineFault)
    assert isinstance(fault.error, OutOfMemory)
    assert fault.error.__cause__ is None  # whose frames would hold the tensors
    assert fault.error.__context__ is None
    assert there.of(Looked) == []


def test_what_was_given_up_stays_given_up_after_a_restart_of_the_engine(room: Start):
    there = room(EngineProcess)
    there.load("scripted:?size=64&resizes=1&crash_at=1", room=36 * FLOAT32)
    there.show(10)  # a look, a step down, and the look that kills it
    there.wait_for(EngineDown)
    there.wait_for(EngineBack)
    first = there.steps
    assert first == ["resolution: 64 px → 48 px"]

    there.show(4)  # the script counts anew; its second look kills it again

    assert there.steps == first
    assert there.of(Looked)[-1].inspection.layout.shape[1:] == (3, 3)


def test_loading_again_begins_at_the_top(room: Start):
    there = room()
    there.load("scripted:?size=64&resizes=1", room=36 * FLOAT32)
    there.show(8)
    assert there.steps == ["resolution: 64 px → 48 px"]

    there.said.clear()
    there.load("scripted:?size=64&resizes=1")
    there.show(8)

    assert there.steps == []
    assert there.of(Looked)[-1].inspection.layout.shape[1:] == (4, 4)


def test_size_can_be_chosen_where_positions_allow_it():
    engine = Engine(ScriptedModel(size=64, resizes=1), EngineOptions(size=32), FakeClock())

    looks = [look for seq in range(8) if (look := engine.offer(make_frame(seq))) is not None]

    assert engine.info.input.size == 32
    assert looks[-1].layout.shape[1:] == (2, 2)


@pytest.mark.parametrize("size", [40, 16])
def test_size_of_broken_patches_or_of_a_single_one_is_refused(size: int):
    with pytest.raises(NotAble, match="whole patches"):
        Engine(ScriptedModel(size=64, resizes=1), EngineOptions(size=size), FakeClock())


def test_size_of_a_model_with_a_table_is_refused():
    with pytest.raises(NotAble, match="only"):
        Engine(ScriptedModel(size=64), EngineOptions(size=32), FakeClock())


# --- real models -----------------------------------------------------------------------------------------------------


def a_checkpoint(folder: Path) -> Path:
    return made.write(folder, settings=made.params(size=64))


def test_weights_made_coarser_are_those_that_loading_gives(tmp_path):
    path = a_checkpoint(tmp_path)
    # 16 tokens a time step at 32 px: room for two steps in half precision, and for no more.
    engine = Engine(
        checkpoint.load(path, device="cpu", dtype="float32"), EngineOptions(room=32 * 2), FakeClock()
    )
    loaded = Engine(
        checkpoint.load(path, device="cpu", dtype="bfloat16"),
        EngineOptions(size=32, clip_frames=4),
        FakeClock(),
    )
    steps = []

    def offer(seq: int):
        engine.ingest(make_frame(seq))
        while True:
            try:
                return engine.look_newest()
            except OutOfMemory:
                step = engine.step_down()
                assert step is not None
                steps.append(step.what)

    ours = [look for seq in range(60) if (look := offer(seq)) is not None]
    theirs = [look for seq in range(60) if (look := loaded.offer(make_frame(seq))) is not None]

    assert steps == ["resolution", "resolution", "frames", "precision"]
    assert engine.info.id == loaded.info.id
    assert ours[-1].clip == theirs[-1].clip
    np.testing.assert_array_equal(ours[-1].error, theirs[-1].error)


def test_smaller_look_is_that_of_a_model_shown_smaller_pictures(tmp_path):
    model = checkpoint.load(a_checkpoint(tmp_path), device="cpu", dtype="float32")
    engine = Engine(model, EngineOptions(size=32, mask=MaskRule("multiblock")), FakeClock())
    looks = [look for seq in range(24) if (look := engine.offer(make_frame(seq))) is not None]

    crops = np.stack([fit_frame(make_frame(seq).rgb, 32)[0] for seq in looks[-1].clip])
    with torch.inference_mode():
        prediction = model.predict(normalise(crops, model.info.input, "cpu", torch.float32), looks[-1].masks)
    wanted = (prediction.predicted - prediction.target).abs().mean(-1)[0].numpy()

    np.testing.assert_array_equal(looks[-1].error[looks[-1].masks.targets[0]], wanted)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space, as Linux does")
def test_memory_that_really_ends_is_met_with_steps_and_looks_go_on(tmp_path):
    encoder = made.VitSpec(192, 4, 3, 768, patch=16, tubelet=2)
    predictor = made.PredictorSpec(192, 96, 2, 3, 384, mask_tokens=2)
    settings = made.params(encoder, predictor, size=256, frames=64)
    settings["data"]["patch_size"] = 16
    path = made.write(tmp_path, made.content(encoder, predictor), settings)

    said = in_a_small_room(path, "--room", "60000000", "--frames", "34", "--clip-frames", "32")

    assert said[0] == {"loaded": "float32"}
    steps = [line["stepped"] for line in said if "stepped" in line]
    in_order = ["resolution: 256 px → 192 px", "resolution: 192 px → 128 px", "frames: 32 frames → 16 frames"]
    assert steps
    assert steps == in_order[: len(steps)]
    last_step = max(number for number, line in enumerate(said) if "stepped" in line)
    assert any("looked" in line for line in said[last_step:])


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits the address space, as Linux does")
def test_model_that_fits_only_in_half_precision_is_loaded_so_and_says_it(tmp_path):
    encoder = made.VitSpec(384, 12, 6, 1536, patch=16, tubelet=2)
    predictor = made.PredictorSpec(384, 384, 2, 12, 1536, mask_tokens=2)
    settings = made.params(encoder, predictor, size=64, frames=8)
    settings["data"]["patch_size"] = 16
    path = made.write(tmp_path, made.content(encoder, predictor), settings)  # 190 MB, mapped whole

    said = in_a_small_room(path, "--room", "270000000")

    assert said == [{"stepped": "precision: float32 → bfloat16"}, {"loaded": "bfloat16"}]


def in_a_small_room(path: Path, *options: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.memory_child", str(path), *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
