"""The Models screen, driven as a person would: real folders, a real server on loopback, a scripted pipeline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox, QPushButton

from console import notices
from jepa_core.errors import KeysDiffer
from tests.helpers.cli import CELL
from tests.helpers.downloading import REPO, content_of
from tests.helpers.hub_server import Fault, hub_server
from tests.helpers.pipeline import make_checkpoint, make_report
from tests.helpers.window import open_window, watch

CTRL = Qt.KeyboardModifier.ControlModifier
ID = "lewm-pusht"
WEIGHTS = content_of(600_000)
KEY = f"/{REPO}/weights.pt"
PATIENCE_MS = 20_000


@pytest.fixture
def opened(qtbot, tmp_path):
    """A window whose library is one folder with two checkpoints in it."""
    models = tmp_path / "models"
    (models / "run3").mkdir(parents=True)
    shutil.copy(CELL, models / "cell.pt")
    (models / "run3" / "latest.pt").write_bytes(b"x" * 100)
    with open_window(qtbot, tmp_path, **settings(tmp_path, models)) as pair:
        yield pair


def settings(tmp_path: Path, *folders: Path, hub: str = "") -> dict[str, object]:
    found: dict[str, object] = {
        "models__folders": tuple(str(folder) for folder in folders),
        "models__downloads": str(tmp_path / "downloads"),
    }
    return found | ({"models__hub": hub} if hub else {})


def listed(qtbot, window):
    """Ctrl+6, and wait until the folders were looked through."""
    QTest.keyClick(window, Qt.Key.Key_6, CTRL)
    page = window.models_page.library
    qtbot.waitUntil(lambda: bool(page.list.shown()), timeout=PATIENCE_MS)
    return page


def button(page, text):
    found = [made for made in page.findChildren(QPushButton) if made.text() == text and made.isVisible()]
    assert len(found) == 1, f"{len(found)} buttons say {text!r}"
    return found[0]


def test_ctrl_6_lists_what_is_on_this_machine_and_enter_examines_it(qtbot, opened, tmp_path):
    window, pipeline = opened

    page = listed(qtbot, window)
    assert [row.title for row in page.list.shown()] == ["cell.pt", "run3/latest.pt"]
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Down)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Up)
    QTest.keyClick(QApplication.focusWidget(), Qt.Key.Key_Return)

    assert pipeline.asked("examine_checkpoint")[0][1] == str(tmp_path / "models" / "cell.pt")
    assert window.sheet.is_open
    assert not any(dock.isVisible() for dock in window.docks.docks.values())


def test_a_letter_in_the_filter_and_enter_open_the_only_match(qtbot, opened):
    window, pipeline = opened
    page = listed(qtbot, window)

    page.list._search.setFocus()
    QTest.keyClicks(page.list._search, "run3")
    assert [row.title for row in page.list.shown()] == ["run3/latest.pt"]
    QTest.keyClick(page.list._search, Qt.Key.Key_Return)

    assert pipeline.asked("examine_checkpoint")[0][1].endswith("run3/latest.pt")


def test_what_an_examination_found_is_remembered_on_the_list(qtbot, opened):
    window, pipeline = opened
    page = listed(qtbot, window)
    path = page.list.shown()[0].key

    info, report = make_checkpoint(path=path), make_report(path=path, file_bytes=Path(path).stat().st_size)
    pipeline.say(notices.CheckpointExamined(path, info, report))
    qtbot.waitUntil(lambda: page.list.shown()[0].state == "ok", timeout=PATIENCE_MS)
    error = KeysDiffer("12 of 24 blocks are missing.", "Ask for the complete file.")
    other = page.list.shown()[1].key
    pipeline.say(notices.CheckpointExamined(other, None, None, error))
    qtbot.waitUntil(lambda: page.list.shown()[1].state == "bad", timeout=PATIENCE_MS)

    page.list.select(other)
    assert "12 of 24 blocks are missing" in page._detail.verdict_words.text()
    button(page, "Open its report…").click()  # a refused file's report is one click away
    assert pipeline.asked("examine_checkpoint")[-1][1] == other


def test_the_checkpoint_in_use_is_marked(qtbot, opened):
    window, pipeline = opened
    page = listed(qtbot, window)
    path = page.list.shown()[0].key

    pipeline.say(notices.CheckpointLoaded(make_checkpoint(path=path), make_report(path=path)))
    qtbot.waitUntil(lambda: page.list.shown()[0].state == "use", timeout=PATIENCE_MS)
    pipeline.unload_checkpoint()
    qtbot.waitUntil(lambda: page.list.shown()[0].state != "use", timeout=PATIENCE_MS)


def test_an_empty_library_says_where_it_looked_and_leads_to_the_released_ones(qtbot, tmp_path):
    with open_window(qtbot, tmp_path, **settings(tmp_path, tmp_path / "none")) as (window, _):
        QTest.keyClick(window, Qt.Key.Key_6, CTRL)
        page = window.models_page.library
        qtbot.waitUntil(lambda: "No checkpoint" in page.list._notice._text.text(), timeout=PATIENCE_MS)

        assert str(tmp_path / "none") in page.list._notice._hint.text()
        button(page, "Released checkpoints").click()
        assert window.models_page.page == "released"


def test_another_folder_is_looked_through_too_and_remembered(qtbot, opened, tmp_path, monkeypatch):
    window, _ = opened
    page = listed(qtbot, window)
    (tmp_path / "more").mkdir()
    shutil.copy(CELL, tmp_path / "more" / "extra.pt")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "more"))

    button(page, "Add a folder…").click()

    qtbot.waitUntil(lambda: len(page.list.shown()) == 3, timeout=PATIENCE_MS)


def test_released_checkpoints_are_listed_with_their_terms_and_filtered_by_system(qtbot, opened):
    window, _ = opened
    window.commands["models_released"].trigger()
    page = window.models_page.released

    page.list.set_filter(system="V-JEPA 2-AC")

    assert {row.system for row in page.list.shown()} == {"V-JEPA 2-AC"}
    facts = page._detail.facts_text()
    assert "Licence: " in facts
    assert "Address: " in facts


def test_a_download_shows_its_progress_and_ends_at_the_load_sheet(qtbot, tmp_path):
    with (
        hub_server() as server,
        open_window(qtbot, tmp_path, **settings(tmp_path, hub=server.hub)) as (window, pipeline),
    ):
        server.put(REPO, "config.json", b"{}", is_large=False)
        server.put(REPO, "weights.pt", WEIGHTS)
        window.commands["models_released"].trigger()
        page = window.models_page.released
        page.list.select(ID)

        button(page, "Download").click()
        qtbot.waitUntil(lambda: page._view(ID).state == "done", timeout=PATIENCE_MS)
        button(page, "Examine and load…").click()

        path = Path(pipeline.asked("examine_checkpoint")[0][1])
        assert path.is_relative_to(tmp_path / "downloads")
        found = path if path.is_file() else path / "weights.pt"
        assert found.read_bytes() == WEIGHTS


def test_a_download_is_paused_and_goes_on_from_where_it_was(qtbot, tmp_path):
    with (
        hub_server() as server,
        open_window(qtbot, tmp_path, **settings(tmp_path, hub=server.hub)) as (window, _),
    ):
        server.put(REPO, "config.json", b"{}", is_large=False)
        server.put(REPO, "weights.pt", WEIGHTS)
        server.fail(KEY, Fault(stall_after=300_000))
        window.commands["models_released"].trigger()
        page = window.models_page.released
        page.list.select(ID)
        button(page, "Download").click()
        qtbot.waitUntil(server.stalled.is_set, timeout=PATIENCE_MS)

        button(page, "Pause").click()
        qtbot.waitUntil(lambda: page._view(ID).state == "paused", timeout=PATIENCE_MS)
        assert page._view(ID).done_bytes >= 200_000
        assert "Paused at" in page._words.text()
        button(page, "Go on").click()

        qtbot.waitUntil(lambda: page._view(ID).state == "done", timeout=PATIENCE_MS)


def test_offline_is_a_sentence_and_nothing_else_stops(qtbot, tmp_path):
    with open_window(qtbot, tmp_path, **settings(tmp_path, hub="http://127.0.0.1:9")) as (window, _):
        window.commands["models_released"].trigger()
        page = window.models_page.released
        page.list.select(ID)

        button(page, "Download").click()

        qtbot.waitUntil(lambda: page._view(ID).state == "offline", timeout=PATIENCE_MS)
        assert button(page, "Try again").isEnabled()
        assert window.desk.banner.codes() == ()


def test_removing_a_download_is_asked_first(qtbot, tmp_path):
    with (
        hub_server() as server,
        open_window(qtbot, tmp_path, **settings(tmp_path, hub=server.hub)) as (window, _),
    ):
        server.put(REPO, "config.json", b"{}", is_large=False)
        server.put(REPO, "weights.pt", WEIGHTS)
        window.commands["models_released"].trigger()
        released = window.models_page.released
        released.list.select(ID)
        button(released, "Download").click()
        qtbot.waitUntil(lambda: released._view(ID).state == "done", timeout=PATIENCE_MS)
        page = listed(qtbot, window) if window.commands["models_library"].trigger() is None else None

        button(page, "Remove the download…").click()
        box = window.findChild(QMessageBox)
        assert list((tmp_path / "downloads").rglob("weights.pt"))
        next(made for made in box.buttons() if made.text() == "Remove").click()

        qtbot.waitUntil(lambda: not list((tmp_path / "downloads").rglob("weights.pt")), timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: released._view(ID).state == "none", timeout=PATIENCE_MS)


def test_an_address_is_copied(qtbot, opened):
    window, _ = opened
    window.commands["models_released"].trigger()
    page = window.models_page.released

    button(page, "Copy address").click()

    assert QGuiApplication.clipboard().text().startswith("https://")


def test_what_may_be_claimed_follows_the_checkpoint_in_use(qtbot, opened):
    window, pipeline = opened
    window.commands["models_claims"].trigger()
    page = window.models_page.claims

    assert window.models_page.page == "claims"
    pipeline.script_checkpoint()
    qtbot.waitUntil(lambda: page.system() == "V-JEPA 2")

    page.show_system("C-JEPA")
    assert "C-JEPA" in page.text()


def test_claims_of_a_file_are_shown_on_its_sheet(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)
    window.files.open("/models/vitl.pt")
    pipeline.script_examined()
    qtbot.waitUntil(lambda: window.sheet.sheet.state == "examined")

    button(window.sheet.sheet, "What may be claimed").click()
    assert "V-JEPA 2" in window.sheet._claims.text()
    button(window.sheet.sheet, "Back").click()

    assert button(window.sheet.sheet, "Load").hasFocus()
    assert window.state.screen == "live"


def test_a_hub_that_is_no_address_is_said_on_the_page_and_the_window_opens(qtbot, tmp_path):
    with open_window(qtbot, tmp_path, **settings(tmp_path, hub="ftp://nowhere")) as (window, _):
        window.commands["models_released"].trigger()

        assert "ftp://nowhere" in window.models_page.released.list._notice._text.text()
        assert window.library.show("claims")


def test_the_screen_is_remembered_and_live_goes_on_behind_it(qtbot, opened):
    window, pipeline = opened
    watch(qtbot, window, pipeline)

    listed(qtbot, window)
    frame = pipeline.script_frame()
    qtbot.waitUntil(lambda: window.live.frame is frame)
    assert window.state.screen == "models"
    QTest.keyClick(window, Qt.Key.Key_1, CTRL)

    assert window.panels["picture"].isVisible()
    assert window.state.screen == "live"
