"""Parity: every case folder is found, sent to its family, and every array in it compared."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.golden.runner import CASES, Outcome, find_cases, run_case, table


@pytest.mark.parametrize("folder", find_cases(), ids=lambda folder: folder.name)
def test_case_agrees_with_its_reference(folder: Path, outcomes: list[Outcome]):
    outcome = run_case(folder)

    outcomes.append(outcome)
    assert outcome.status == "passed", "\n" + table([outcome])


def test_all_cases_that_were_given_are_here():
    names = {folder.name for folder in CASES.iterdir()}

    assert names >= {
        "ebjepa-ac",
        "jepawm-adaln",
        "ijepa-base",
        "ijepa-storedpos",
        "hf-ijepa-a",
        "vjepa-resolution",
        "vjepa-surprise",
        "vjepa-video-uniform",
        "vjepa2-anticipate",
        "vjepa2-image2d",
        "vjepa2-multiseq",
        "vjepa2-rope-gelu",
        "vjepa2-rope-swiglu-narrow",
        "hf-vjepa2-a",
        "cjepa-predictor",
        "cjepa-pusht",
        "cjepa-videosaur",
        "lewm-hub",
        "lewm-object",
        "preprocess-a",
        "vjepa21-multilevel",
        "vjepa21-train-interp",
        "vjepa2ac-norope-silu",
        "vjepa2ac-rope-base",
    }


def test_cases_of_golden_dir_are_found_beside_ours(tmp_path, monkeypatch):
    (tmp_path / "vjepa2-other").mkdir()
    monkeypatch.setenv("GOLDEN_DIR", str(tmp_path))

    (tmp_path / "vjepa2-rope-gelu").mkdir()

    folders = {folder.name: folder for folder in find_cases()}

    assert folders["vjepa2-other"].parent == tmp_path
    assert folders["vjepa2-image2d"].parent == CASES
    assert folders["vjepa2-rope-gelu"].parent == tmp_path, "of two with one name, that of GOLDEN_DIR is run"


def test_folder_of_an_unknown_family_fails(tmp_path):
    folder = tmp_path / "xjepa-a"
    folder.mkdir()

    assert run_case(folder).status == "failed"


def test_case_that_breaks_off_fails_alone_and_says_where(tmp_path):
    folder = _copy(tmp_path, "vjepa2-rope-gelu")
    (folder / "params.yaml").unlink()

    outcome = run_case(folder)

    assert outcome.status == "failed"
    assert outcome.problems[0].startswith("broke off in ")
    assert "ConfigDiffers" in outcome.problems[0]


def test_array_that_differs_fails_its_case(tmp_path):
    folder = _copy(tmp_path, "vjepa2-rope-gelu")
    _edit(folder, lambda arrays: arrays.update(pred_s0_1=arrays["pred_s0_1"] + 3e-5))

    outcome = run_case(folder)

    assert outcome.status == "failed"
    assert outcome.problems == (outcome.problems[0],)
    assert outcome.problems[0].startswith("pred_s0_1: differs by")


def test_array_nobody_computes_fails_its_case(tmp_path):
    folder = _copy(tmp_path, "vjepa2-rope-gelu")
    _edit(folder, lambda arrays: arrays.update(something_new=np.zeros(3)))

    assert run_case(folder).problems == ("something_new: no check computes this array",)


def _copy(tmp_path: Path, case: str) -> Path:
    return Path(shutil.copytree(CASES / case, tmp_path / case))


def _edit(folder: Path, change) -> None:
    with np.load(folder / "io.npz") as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    np.savez(folder / "io.npz", **arrays)
