"""A real pipeline for tests, and an ear to wait with. Nothing in it is faked but the checkpoint's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console import config as settings
from console.config import Config
from console.headless import Ear
from console.pipeline import Pipeline
from jepa_core.clock import CancelToken
from jepa_core.messages import EngineOptions
from jepa_core.types import Inspection

DEMO_CHECKPOINT = Path(__file__).resolve().parents[2] / "assets" / "demo" / "cell.pt"


def test_config(folder: Path, **values: Any) -> Config:
    """The shipped defaults, nobody's own settings, one torch thread. `values` are "section__key"."""
    given = {"model.threads": 1, "person.operator": "test", "recording.reserve_bytes": 1 << 20}
    given |= {name.replace("__", "."): value for name, value in values.items()}
    own = folder / "settings.toml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text("", encoding="utf-8")
    return settings.load(given, user_file=own)


test_config.__test__ = False  # type: ignore[attr-defined]  # a helper, not a test


@contextmanager
def running_pipeline(
    folder: Path, *, is_engine_local: bool = False, options: EngineOptions | None = None, **values: Any
) -> Iterator[tuple[Pipeline, Ear]]:
    """A pipeline that is shut down whatever happens."""
    pipeline = Pipeline(test_config(folder, **values), options=options, is_engine_local=is_engine_local)
    ear = Ear(pipeline)
    try:
        yield pipeline, ear
    finally:
        pipeline.shutdown()


def wait_for(ear: Ear, *kinds: type, seconds: float = 30.0) -> Any:
    """The next notice of these kinds; fails the test with what was heard when none comes."""
    notice = ear.wait(*kinds, cancel=CancelToken(), seconds=seconds)
    assert notice is not None, f"waited {seconds} s for {[kind.__name__ for kind in kinds]}"
    return notice


def every_look(pipeline: Pipeline, keep: Callable[[Inspection], None]) -> None:
    """Take each inspection at the moment it is put, so that none replaces another."""

    def take() -> None:
        inspection = pipeline.looks.take()
        if inspection is not None:
            keep(inspection)

    pipeline.looks.listen(take)
