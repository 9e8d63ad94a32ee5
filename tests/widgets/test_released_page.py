"""Released checkpoints: the facts with who counted them, and a download in every state with its next step."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QPushButton

from jepa_core import catalogue
from tests.widgets.gallery import DOWNLOADS
from widgets.released_page import DownloadView, ReleasedPage

ENTRY = catalogue.released().entry("vjepa2-vitl")


def make_page(keep, view=None, free=100_000_000_000):
    page = keep(ReleasedPage())
    page.show_entries(catalogue.released().entries)
    page.show_room(free, "/cache")
    page.list.select(ENTRY.id)
    if view is not None:
        page.show_download(ENTRY.id, view)
    page.resize(1100, 700)
    page.show()
    return page


def buttons(page):
    """Of the card of the chosen one, as far as they can be pressed."""
    return [
        each.text() for each in page._card.findChildren(QPushButton) if each.isVisible() and each.isEnabled()
    ]


@pytest.mark.parametrize(
    ("view", "offered"),
    [
        (None, ["Download"]),
        (DownloadView("queued"), ["Pause", "Cancel"]),
        (DOWNLOADS["running"], ["Pause", "Cancel"]),
        (DownloadView("checking", 10, 10), ["Cancel"]),
        (DOWNLOADS["paused"], ["Go on", "Cancel"]),
        (DOWNLOADS["done"], ["Examine and load…"]),
        (DOWNLOADS["failed"], ["Go on", "Cancel"]),
        (DownloadView("failed", text="The server does not answer."), ["Try again"]),
        (DOWNLOADS["offline"], ["Go on", "Cancel"]),
    ],
    ids=lambda value: value.state if isinstance(value, DownloadView) else "",
)
def test_every_state_of_a_download_offers_its_next_step(keep, view, offered):
    assert buttons(make_page(keep, view)) == offered


def test_without_room_nothing_is_offered_and_both_numbers_are_said(keep):
    page = make_page(keep, free=1_000_000_000)

    assert buttons(page) == []
    assert "1.0 GB free" in page._words.text()


def test_what_came_already_counts_for_the_room(keep):
    page = make_page(
        keep, DownloadView("paused", ENTRY.expected_bytes - 10, ENTRY.expected_bytes), free=1_000
    )

    assert "Go on" in buttons(page)


def test_a_running_download_says_how_much_how_fast_and_how_long(keep):
    page = make_page(keep, DownloadView("running", 3_200_000_000, 5_100_000_000, 10_000_000))

    assert page._words.text() == "3.2 GB of 5.1 GB"
    assert page._hint.text() == "10.0 MB/s, 3 m 10 s left"
    assert next(row for row in page.list.shown() if row.key == ENTRY.id).state_text == "63 %"


def test_every_entry_tells_its_terms_its_address_and_who_says_so(keep):
    page = make_page(keep)

    for entry in catalogue.released().entries:
        page.list.select(entry.id)
        facts = page._detail.facts_text()
        assert entry.licence.name in facts
        assert entry.licence.where in facts
        assert entry.address in facts
        assert entry.source in facts
        if not entry.main_file.sha256:
            assert "nobody reported one" in facts


def test_a_non_commercial_licence_is_marked(keep):
    page = make_page(keep)
    entry = next(each for each in catalogue.released().entries if each.licence.non_commercial)

    page.list.select(entry.id)

    assert "non-commercial" in [
        page._detail._chips.itemAt(n).widget().text() for n in range(page._detail._chips.count() - 1)
    ]


def test_enter_on_a_row_does_the_next_step(keep, qtbot):
    page = make_page(keep)
    with qtbot.waitSignal(page.downloadRequested) as told:
        page.list.activated.emit(ENTRY.id)
    assert told.args == [ENTRY.id]

    page.show_download(ENTRY.id, DownloadView("done", path="/cache/vitl.pt"))
    with qtbot.waitSignal(page.openRequested) as told:
        page.list.activated.emit(ENTRY.id)
    assert told.args == ["/cache/vitl.pt"]

    page.show_download(ENTRY.id, DOWNLOADS["running"])
    with qtbot.assertNotEmitted(page.downloadRequested, wait=10):
        page.list.activated.emit(ENTRY.id)


def test_progress_of_another_download_leaves_the_choice_alone(keep):
    page = make_page(keep)
    other = catalogue.released().entry("lewm-pusht")

    page.show_download(other.id, DOWNLOADS["running"])

    assert page.list.key == ENTRY.id
    assert buttons(page) == ["Download"]


def test_the_terms_stand_beside_the_button_before_the_first_byte(keep):
    page = make_page(keep)
    for entry in catalogue.released().entries:
        page.list.select(entry.id)
        assert f"Terms: {entry.licence.name}" in page._hint.text()
        assert ("not for commercial use" in page._hint.text()) == entry.licence.non_commercial
