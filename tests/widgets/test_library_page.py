"""The library of this machine: what is known of each file, and one next step for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PySide6.QtWidgets import QPushButton

from tests.widgets.builders import make_library
from widgets.library_page import LibraryPage

FOLDERS = (Path("/data/models"),)
CACHE = Path("/home/ada/.local/share/jepa-console/models")


def make_page(keep, entries=None):
    page = keep(LibraryPage())
    page.show_entries(make_library() if entries is None else entries, FOLDERS, CACHE)
    page.resize(1100, 700)
    page.show()
    return page


def offered(page):
    return [each.text() for each in page._detail.findChildren(QPushButton) if each.isVisible()]


def test_each_file_says_what_is_known_of_it(keep):
    page = make_page(keep)

    assert [(row.title, row.state) for row in page.list.shown()] == [
        ("vitl.pt", "ok"), ("half.pt", "bad"), (make_library()[2].name, ""), ("run3/latest.pt", ""),
    ]  # fmt: skip
    assert page.list.shown()[3].detail == "not examined yet"


def test_a_refused_file_offers_its_report_and_says_why(keep):
    page = make_page(keep)
    page.list.select("/data/models/half.pt")

    assert "144 missing" in page._detail.verdict_words.text()
    assert "Open its report…" in offered(page)


def test_only_a_download_of_ours_can_be_removed(keep):
    page = make_page(keep)
    for entry in make_library():
        page.list.select(str(entry.path))
        assert ("Remove the download…" in offered(page)) == entry.path.is_relative_to(CACHE)


def test_a_verdict_that_comes_in_changes_its_row_and_card(keep):
    page = make_page(keep)
    page.list.select("/data/models/run3/latest.pt")
    entry, good = make_library()[3], make_library()[0]

    page.show_entry(replace(entry, known=good.known))

    assert page.list.key == "/data/models/run3/latest.pt"
    assert page.list.shown()[3].state == "ok"
    assert page._detail.verdict_words.text() == "✓ V-JEPA 2: every tensor matched"


def test_a_file_that_is_named_like_a_released_one_is_not_called_it(keep):
    page = make_page(keep)
    entry = make_library()[2]
    page.list.select(str(entry.path))
    assert "Released as" in page._detail.facts_text()

    other = replace(entry.identity, proof="differs", text="It is named like it, but is another file.")
    page.show_entry(replace(entry, identity=other))

    assert "Released as" not in page._detail.facts_text()
    assert page._detail._said.text() == "It is named like it, but is another file."


def test_looking_again_leaves_the_rows_where_they_are(keep):
    page = make_page(keep)
    page.list.select("/data/models/half.pt")

    page.show_looking(FOLDERS, 1)
    assert len(page.list.shown()) == 4
    page.show_entries(make_library()[1:], FOLDERS, CACHE)

    assert page.list.key == "/data/models/half.pt"


def test_an_empty_library_offers_the_released_ones(keep, qtbot):
    page = make_page(keep, entries=[])

    assert not page._detail.isVisible()
    with qtbot.waitSignal(page.releasedRequested):
        next(each for each in page.findChildren(QPushButton) if each.text() == "Released checkpoints").click()
