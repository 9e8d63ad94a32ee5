"""`main.py models` and `main.py download` as a person runs them, against a real server on loopback."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from jepa_core.catalogue import released
from tests.helpers.cli import CELL, NO_SCREEN, Said, main_py, running
from tests.helpers.downloading import REPO, content_of
from tests.helpers.hub_server import Fault, HubServer, bytes_of, hub_server

pytestmark = pytest.mark.slow

WEIGHTS = content_of(400_000)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
KEY = f"/{REPO}/weights.pt"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as made:
        made.put(REPO, "config.json", b"{}", is_large=False)
        made.put(REPO, "weights.pt", WEIGHTS)
        yield made


@pytest.fixture
def environ(server: HubServer, tmp_path: Path) -> Mapping[str, str]:
    """A settings file that keeps this machine's own folders out of it, and the hub of the test."""
    settings = tmp_path / "config.toml"
    settings.write_text(
        f"[models]\nfolders = [{json.dumps(str(tmp_path / 'mine'))}]\ndownloads = {json.dumps(str(tmp_path / 'cache'))}\n",
        "utf-8",
    )
    return {**NO_SCREEN, "HF_ENDPOINT": server.hub, "JEPA_CONSOLE_CONFIG": str(settings), "HF_TOKEN": ""}


def run(environ: Mapping[str, str], *arguments: object) -> Said:
    return main_py(*arguments, environ=environ)


def test_a_download_says_its_terms_then_where_it_is_and_how_it_was_checked(environ, tmp_path: Path):
    done = run(environ, "download", "lewm-pusht")

    assert done.code == 0
    assert done.err == ""
    lines = done.out.splitlines()
    assert lines[0].startswith("LeWorldModel, Push-T, from hub: quentinll/lewm-pusht")
    assert lines[1].startswith("Licence: not stated where we looked")
    assert str(tmp_path / "cache" / "lewm-pusht" / "weights.pt") in lines
    assert f"sha256 {SHA256}" in done.out
    assert "another file" in done.out  # than the one whose sha256 was reported
    assert bytes_of(tmp_path / "cache" / "lewm-pusht") == {"config.json": b"{}", "weights.pt": WEIGHTS}

    listed = run(environ, "models")
    assert f"{tmp_path / 'cache' / 'lewm-pusht' / 'weights.pt'}" in listed.out
    assert [line for line in listed.out.splitlines() if "on this machine" in line and "lewm-pusht " in line]


def test_terms_that_forbid_commercial_use_are_said_before_the_first_byte(environ):
    """There is no way to that address from here, so nothing but the terms and the reason comes."""
    done = run(environ, "download", "ijepa-vith14-in1k")

    assert done.code == 3
    assert "Licence: CC BY-NC 4.0" in done.out
    assert "Not for commercial use" in done.out
    assert done.refused() == "There is no connection: the name dl.fbaipublicfiles.com was not found."


def test_as_json_it_is_one_object_and_the_terms_are_on_stderr(environ, tmp_path: Path):
    done = run(environ, "download", "lewm-pusht", "--to", tmp_path / "there", "--json")

    assert done.code == 0
    assert done.json["path"] == str(tmp_path / "there" / "lewm-pusht" / "weights.pt")
    assert [file["checked"] for file in done.json["files"]] == ["git", "sha256"]
    assert done.json["identity"]["proof"] == "differs"
    assert "Licence:" in done.err


def test_ctrl_c_stops_in_order_and_the_next_call_goes_on(environ, server: HubServer, tmp_path: Path):
    server.fail(KEY, Fault(stall_after=300_000))
    with running("download", "lewm-pusht", environ=environ) as program:
        program.wait_until(server.stalled.is_set)
        stopped = program.stop(signal.SIGINT)

    assert stopped.code == 130
    assert "Traceback" not in stopped.err
    assert "What arrived is kept; `main.py download lewm-pusht` goes on from there." in stopped.err
    server.gate.set()
    assert "lewm-pusht" in run(environ, "models", "--json").json["unfinished"]
    assert run(environ, "download", "lewm-pusht").code == 0
    assert server.asked("GET", KEY)[-1].headers["range"].startswith("bytes=")
    assert (tmp_path / "cache" / "lewm-pusht" / "weights.pt").read_bytes() == WEIGHTS


def test_sigterm_stops_in_order_too(environ, server: HubServer):
    server.fail(KEY, Fault(stall_after=300_000))
    with running("download", "lewm-pusht", environ=environ) as program:
        program.wait_until(server.stalled.is_set)
        assert program.stop(signal.SIGTERM).code == 130


def test_an_unknown_id_names_the_near_ones(environ):
    done = run(environ, "download", "lewm-push")

    assert done.refused() == "The catalogue has no checkpoint 'lewm-push'."
    assert "lewm-pusht" in done.err


def test_a_hub_that_is_not_there_is_one_sentence(environ, server: HubServer):
    done = run({**environ, "HF_HUB_OFFLINE": "1"}, "download", "lewm-cube")

    assert done.code == 3
    assert "HF_HUB_OFFLINE is set: no hub is asked." in done.err
    assert "works without a connection" in done.err


def test_a_refusal_of_the_server_is_one_sentence(environ):
    assert run(environ, "download", "lewm-cube").err.startswith(
        "127.0.0.1 has no config.json at this address (404)."
    )


def test_models_lists_what_is_here_and_every_released_one(environ, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "vitl.pt").write_bytes(b"x")

    done = run(environ, "models")

    assert done.code == 0
    assert str(tmp_path / "mine" / "vitl.pt") in done.out
    assert "nothing proves it" in done.out
    assert all(f"  {entry.id} " in done.out for entry in released().entries)
    assert done.out.count("CC BY-NC 4.0") == 11


def test_what_the_load_report_said_is_remembered(environ, tmp_path: Path):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("cell.pt", "cell.params.yaml", "cell.card.json"):
        shutil.copy(CELL.with_name(name), mine / name)
    (mine / "broken.pt").write_bytes(b"no checkpoint at all")

    assert run(environ, "checkpoint", mine / "cell.pt").code == 0
    assert run(environ, "checkpoint", mine / "broken.pt").code == 3
    here = {Path(each["path"]).name: each for each in run(environ, "models", "--json").json["here"]}

    assert here["cell.pt"]["verdict"]["is_exact"]
    assert here["cell.pt"]["verdict"]["system"] == "V-JEPA 2"
    assert here["cell.pt"]["sha256"] == hashlib.sha256(CELL.read_bytes()).hexdigest()
    assert not here["broken.pt"]["verdict"]["is_exact"]
    assert "broken.pt" in here["broken.pt"]["verdict"]["text"]


def test_models_of_one_says_all_that_is_known_of_it_and_what_is_not(environ):
    done = run(environ, "models", "vjepa21-vitb-384")

    assert "distilled" in done.out
    assert "not known" in done.out
    assert "1,664,223,428" in done.out
    assert "LICENSE of the vjepa2 repository" in done.out


def test_models_as_json_is_the_library_and_the_catalogue(environ, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "vitl.pt").write_bytes(b"x")

    done = run(environ, "models", "--json")
    one = run(environ, "models", "vjepa2-vitl", "--json")

    assert [here["released"]["id"] for here in done.json["here"]] == ["vjepa2-vitl"]
    assert len(done.json["released"]) == len(released().entries)
    assert one.json["released"]["licence"]["name"] == "MIT"
