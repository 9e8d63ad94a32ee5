"""The command line as its users meet it: help, exit codes, one JSON object, one sentence and one hint per error."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

import main
from tests.helpers.cli import CELL, NO_SCREEN, OFFSCREEN, WORLD, command, environment, main_py

SCORE = ("score", WORLD, "--checkpoint", CELL, "--threads", "1")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scored")
    done = main_py(*SCORE, "--out", out)
    assert done.code == 0, done.err
    return next(out.glob("*.h5"))


# --- wrong use ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", sorted(main.VERBS))
def test_every_verb_has_a_help_with_an_example(verb: str) -> None:
    done = main_py(*filter(None, [verb]), "--help")

    assert done.code == 0
    assert f"example:\n  main.py {verb}" in done.out
    assert done.err == ""


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("live",),
        ("score", WORLD),
        (
            "score",
            WORLD,
            "--check",
            CELL,
            "--out",
            "x",
        ),  # no abbreviations: they change meaning when options are added
        ("live", WORLD, "--headless"),
        ("live", WORLD, "--seconds", "0"),
        ("live", WORLD, "--seconds", "nan"),
        ("--after", "-1"),
        ("--size", "12"),
        ("--size", "0x0"),
        ("checkpoint", CELL, "--dtype", "int8"),
        ("checkpoint", CELL, "--mask", "region"),
        ("checkpoint", CELL, "--stride", "two"),
        ("verify",),
    ],
)
def test_wrong_use_is_exit_2_with_a_sentence_and_where_to_look(words: tuple[object, ...]) -> None:
    done = main_py(*words)

    assert done.code == 2
    assert done.out == ""
    assert len(done.err.strip().splitlines()) == 2, done.err
    assert "--help" in done.err


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--settings", "/nowhere/own.toml"), "/nowhere/own.toml"),
        (("--stride", "-1"), "model.stride"),
        (("--predict-steps", "0"), "mask.predict_steps"),
        (("--clip-frames", "1"), "model.clip_frames"),
        (("--threads", "99999"), "model.threads"),
        (("--device", "toaster"), "toaster"),
        (("--config", "/nowhere/params.yaml"), "/nowhere/params.yaml"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(words: tuple[str, str], named: str) -> None:
    done = main_py("checkpoint", CELL, *words)

    assert named in done.refused()
    assert done.out == ""


def test_a_typo_in_the_settings_file_is_named_with_its_line(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("[model]\nstrid = 2\n", encoding="utf-8")

    done = main_py("verify", "x.h5", "--settings", own, "--json")

    assert "line 2" in done.refused()
    assert "stride" in done.err
    assert done.json["error"] == "config_error"


@pytest.mark.parametrize("verb", [("verify", "x.h5"), ("replay", "x.h5"), ("checkpoint", "x.pt"), ()])
def test_print_config_shows_values_and_origins_for_every_verb(verb: tuple[str, ...]) -> None:
    shown = main_py(*verb, "--stride", "7", "--print-config")
    as_json = main_py(*verb, "--stride", "7", "--print-config", "--json")

    assert shown.code == as_json.code == 0
    assert any(
        line.split() == ["stride", "=", "7", "#", "command", "line"] for line in shown.out.splitlines()
    )
    assert as_json.json["model.stride"] == {"value": 7, "origin": "command line"}
    assert as_json.json["model.threads"]["origin"] == "defaults"


# --- a display, or none ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("live", WORLD), ("replay", "x.h5")])
def test_no_display_is_said_in_one_sentence(words: tuple[str, ...]) -> None:
    done = main_py(*words, "--json")

    assert "display" in done.refused()
    assert "--headless" in done.err
    assert done.json["error"] == "display_error"


@pytest.mark.slow
def test_a_screenshot_needs_no_display(tmp_path: Path) -> None:
    """And nothing needs OpenGL yet: Qt's offscreen platform has none, and the whole window is drawn."""
    done = main_py("--screenshot", tmp_path / "window.png", "--after", "0.5", "--size", "800x600")

    assert done.code == 0, done.err
    assert done.out == ""
    assert (tmp_path / "window.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_demo_without_a_display_leaves_session_summary_and_picture(tmp_path: Path) -> None:
    done = main_py("demo", "--seconds", "3", "--out", tmp_path / "out", "--threads", "1", "--json")

    assert done.code == 0, done.err
    assert done.err == ""
    assert json.loads((tmp_path / "out" / "summary.json").read_text("utf-8")) == done.json
    assert done.json["frames"] > 0
    assert (tmp_path / "out" / done.json["session"]).is_file()
    assert (tmp_path / "out" / "window.png").read_bytes().startswith(b"\x89PNG")


# --- what is said ------------------------------------------------------------------------------------------------------


def test_a_run_says_one_json_object_and_nothing_else(tmp_path: Path) -> None:
    done = main_py(*SCORE, "--out", tmp_path, "--json")

    assert done.code == 0
    assert done.err == ""
    assert done.json["is_complete"] is True
    assert done.json["frames"] == 30
    assert Path(done.json["session"]).is_file()


@pytest.mark.parametrize(
    "options",
    [
        ("--mask", "multiblock", "--seed", "5"),
        ("--predict-steps", "3", "--clip-frames", "8"),
        ("--stride", "4", "--dtype", "bfloat16"),
    ],
)
@pytest.mark.slow
def test_the_options_of_a_look_are_in_the_record(options: tuple[str, ...], tmp_path: Path) -> None:
    import h5py

    done = main_py(*SCORE, *options, "--out", tmp_path, "--json")

    assert (done.code, done.err) == (0, "")
    assert done.json["steps"] > 0
    with h5py.File(done.json["session"]) as file:
        recorded = json.dumps({name: str(value) for name, value in _attributes(file).items()})
    for name, value in zip(options[::2], options[1::2], strict=True):
        assert value in recorded, (name, value)


def test_verify_tells_a_whole_session_from_a_damaged_an_altered_and_none(
    session: Path, tmp_path: Path
) -> None:
    import h5py

    whole, damaged, altered = (tmp_path / name for name in ("whole.h5", "damaged.h5", "altered.h5"))
    content = session.read_bytes()
    whole.write_bytes(content)
    altered.write_bytes(content)
    with h5py.File(altered, "r+") as file:
        errors = file["/streams/model/token_error"]
        where = errors.id.get_chunk_info(0).byte_offset + 8
        errors[3] = 0.5
    damaged.write_bytes(content[:where] + bytes(64) + content[where + 64 :])
    text = tmp_path / "text.h5"
    text.write_text("hello", encoding="utf-8")

    codes = {path.stem: main_py("verify", path).code for path in (whole, damaged, altered, text)}
    all_of_them = main_py("verify", whole, damaged, altered, text, "--json")

    assert codes == {"whole": 0, "damaged": 1, "altered": 1, "text": 3}
    assert all_of_them.code == 3
    assert "text.h5" in all_of_them.refused()
    verdicts = {Path(item["path"]).stem: item["verdict"] for item in all_of_them.json["sessions"]}
    assert verdicts["altered"] == "altered"
    assert verdicts["text"] == "unreadable"
    assert main_py("verify", whole, altered).code == 1


def test_an_unfinished_journal_is_verified_recomputed_and_recovered(session: Path, tmp_path: Path) -> None:
    whole = session.with_suffix(".wmj").read_bytes()
    journal = tmp_path / "cut.wmj"
    journal.write_bytes(whole[: len(whole) * 2 // 3])

    verified = main_py("verify", journal)
    recomputed = main_py("replay", journal, "--recompute", "--threads", "1", "--json")
    recovered = main_py("recover", journal, "--json")

    assert verified.code == 0
    assert "cut off" in verified.out
    assert recomputed.json["verdict"] == "reproduced"
    assert recovered.json["recovered"] == [
        {"journal": str(journal), "session": str(journal.with_suffix(".h5"))}
    ]
    assert main_py("verify", journal.with_suffix(".h5")).code == 0


def test_one_bad_journal_does_not_keep_the_others(session: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.wmj", tmp_path / "bad.wmj"
    good.write_bytes(session.with_suffix(".wmj").read_bytes())
    bad.write_text("hello", encoding="utf-8")

    done = main_py("recover", bad, good, "--json")

    assert "bad.wmj" in done.refused()
    assert [Path(item["session"]).name for item in done.json["recovered"]] == ["good.h5"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_said_without_a_traceback() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("--print-config"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
            env=environment(NO_SCREEN), check=False,
        )  # fmt: skip

    assert done.returncode == 3
    assert done.stderr.startswith("The output cannot be written")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_that_has_read_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command("--print-config"), stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60,
        env=environment(NO_SCREEN), check=False,
    )  # fmt: skip
    os.close(writer)

    assert done.returncode == 141
    assert done.stderr == ""


def test_a_bug_is_one_sentence_and_its_trace_is_in_the_log(fresh_home: Path) -> None:
    """A verb that fails in a way nobody foresaw, run through the program's own door."""
    program = (
        "import sys, main; main.VERBS['verify'] = 'tests.console.test_cli:broken_verb'; "
        "sys.exit(main.main(['verify', 'x', '--json']))"
    )
    done = subprocess.run(
        [command()[0], "-c", program], cwd=Path(main.__file__).parent, capture_output=True, text=True, timeout=60,
        env=environment(NO_SCREEN), check=False,
    )  # fmt: skip

    log = next(fresh_home.rglob("console.jsonl"))
    assert done.returncode == 3
    assert (
        done.stderr
        == f"An unexpected ZeroDivisionError happened.\nThe details are in {log}; please report it.\n"
    )
    assert json.loads(done.stdout)["what"] == "An unexpected ZeroDivisionError happened."
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert any("ZeroDivisionError" in line.get("trace", "") for line in lines)
    assert any("a library warned" in line["text"] for line in lines)
    assert any("in a thread" in line.get("trace", "") for line in lines)


def broken_verb(arguments: object, config: object) -> int:
    """Warns as libraries do, loses a thread, then fails."""
    import threading
    import warnings

    def dies() -> None:
        raise RuntimeError("in a thread")

    warnings.warn("a library warned", UserWarning, stacklevel=1)
    thread = threading.Thread(target=dies)
    thread.start()
    thread.join()
    return 1 // 0


@pytest.mark.slow
def test_the_window_says_nothing_on_its_streams(tmp_path: Path) -> None:
    done = main_py("--screenshot", tmp_path / "w.png", "--after", "0.5", environ=OFFSCREEN)

    assert (done.code, done.out, done.err) == (0, "", "")


def _attributes(file: object) -> dict[str, object]:
    """Every attribute and small text of a session file, by its path."""
    import h5py

    found: dict[str, object] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        found.update({f"{name}@{key}": value for key, value in item.attrs.items()})
        if isinstance(item, h5py.Dataset) and item.size and item.size < 64 and item.dtype.kind in "OS":
            found[name] = item[()]

    assert isinstance(file, h5py.File)
    found.update({f"@{key}": value for key, value in file.attrs.items()})
    file.visititems(visit)
    return found
