"""What may be claimed: every system can be read, and a file is shown only the figures that are its own."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QFontMetrics, QGuiApplication, QKeyEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QTableWidget, QWidget

from jepa_core.claims import BOUNDARY_TESTS
from tests.widgets.claims_states import CLAIMS, DEMO, PUSHT, claims_page, make_info
from widgets import theme
from widgets.claims_figures import FigureTable
from widgets.claims_ladder import ClaimsLadder
from widgets.claims_page import ClaimsPage
from widgets.claims_rows import Row, RowsCard
from widgets.theme import Theme
from widgets.words import BREAK, unbroken


@pytest.fixture
def page(qtbot) -> ClaimsPage:
    made = claims_page("empty")
    assert isinstance(made, ClaimsPage)
    qtbot.addWidget(made)
    made.show()
    return made


def said(page: QWidget) -> str:
    """All the words that are on the page now."""
    labels = [label.text() for label in page.findChildren(QLabel) if label.isVisible()]
    cards = [card.text() for card in page.findChildren(RowsCard) if card.isVisible()]
    return "\n".join((*labels, *cards))


def table(page: QWidget) -> list[list[str]]:
    found = page.findChild(QTableWidget)
    return [
        [unbroken(found.item(n, column).text()) for column in range(found.columnCount())]
        for n in range(found.rowCount())
    ]


def figures(page: QWidget) -> FigureTable:
    return page.findChild(FigureTable)


# --- reading --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", CLAIMS)
def test_every_system_can_be_read_without_a_checkpoint(page, system):
    page.show_system(system)

    claims, words = CLAIMS[system], said(page)
    assert page.system() == system
    assert "THIS FILE" not in words
    assert claims.summary in words
    assert claims.level_reason in words
    for text in (*claims.may_be_said, *claims.may_not_be_said):
        assert text in words
    for remark in (*claims.not_tested, *claims.faults):
        assert remark.text in words
    for answer in claims.boundary:
        assert BOUNDARY_TESTS[answer.test] in words
        assert answer.answer in words
        assert answer.reason in words
    for source in claims.sources:
        assert source.ref in words
        assert source.via in words
    for fact in claims.facts:
        assert fact.status == "unknown" or fact.text in words


def test_every_row_of_the_figures_is_complete(page):
    for system in CLAIMS:
        page.show_system(system)
        rows = table(page)
        assert len(rows) == len(CLAIMS[system].figures)
        assert [row for row in rows if not all(cell.strip() for cell in row)] == []


def test_what_nobody_stated_is_named(page):
    page.show_system("V-JEPA 2")

    assert "Unknown: not stated in the sources read: " in said(page)
    assert "known bias" in said(page)


def test_choosing_a_system_in_the_list_shows_it_and_says_so(qtbot, page):
    page.show_system("I-JEPA")
    event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Down, Qt.KeyboardModifier.NoModifier)

    with qtbot.waitSignal(page.systemChosen) as caught:
        QApplication.sendEvent(page._list, event)

    assert caught.args == ["V-JEPA"]
    assert page.system() == "V-JEPA"


def test_show_system_speaks_no_signal_and_an_unknown_name_changes_nothing(qtbot, page):
    page.show_system("C-JEPA")

    with qtbot.assertNotEmitted(page.systemChosen):
        page.show_system("LeWorldModel")
        page.show_system("no such system")

    assert page.system() == "LeWorldModel"


def test_the_ladder_marks_one_step_in_words_and_shape(page):
    page.show_system("V-JEPA 2-AC")

    ladder = page.findChild(ClaimsLadder)
    states = [label.text() for label in ladder._states]
    assert states == ["below", "below", "below", "◆ reached", "not shown"]
    assert ladder.accessibleDescription().startswith("Step 4 of 5, action-conditioned demo")


# --- figures and versions ---------------------------------------------------------------------------------------------------


def test_the_filter_shows_one_version_and_counts(page):
    page.show_system("V-JEPA 2")
    figures(page).show_version("ViT-H/16, 256 px")

    assert {figure.version.id for figure in figures(page).figures()} == {"ViT-H/16, 256 px"}
    assert {row[3] for row in table(page)} == {"ViT-H/16, 256 px"}
    assert f"{len(table(page))} figures" in said(page)


def test_a_person_can_choose_the_version(qtbot, page):
    page.show_system("V-JEPA 2.1")
    choice = page.findChild(QComboBox)
    index = choice.findText("ViT-B/16, 384 px, distilled")
    choice.setCurrentIndex(index)
    choice.activated.emit(index)

    assert {row[3] for row in table(page)} == {"ViT-B/16, 384 px, distilled"}


@pytest.mark.parametrize("over", [QComboBox, QTableWidget])
def test_the_wheel_scrolls_the_page_wherever_it_is_turned(page, over):
    page.show_system("V-JEPA 2.1")
    QApplication.sendPostedEvents()
    target = page.findChild(over)
    target = target.viewport() if over is QTableWidget else target
    before = len(table(page))
    middle = QPointF(target.rect().center())
    wheel = QWheelEvent(
        middle,
        QPointF(target.mapToGlobal(middle)),
        QPoint(),
        QPoint(0, -240),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )

    QApplication.sendEvent(target, wheel)

    assert len(table(page)) == before
    assert not wheel.isAccepted() or page._scroll.verticalScrollBar().value() > 0


def test_a_version_nobody_released_says_so_in_its_row(page):
    page.show_system("V-JEPA 2.1")

    versions = {row[3] for row in table(page)}
    assert "action-conditioned predictor on 2.1 features\n○ no released file" in versions
    assert "ViT-G/16, 384 px" in versions


def test_a_file_that_is_only_built_like_a_released_one_is_told_so_twice(page):
    page.show_checkpoint(make_info())

    words = said(page)
    assert (
        "△ This file is built like V-JEPA 2 ViT-L/16, 256 px; it is not known to be a released one." in words
    )
    assert "△ Published for ViT-L/16, 256 px; not measured with this file." in words
    assert "Figures of this file's version" not in words
    assert {figure.version.id for figure in figures(page).figures()} == {"ViT-L/16, 256 px"}


def test_a_proved_file_gets_the_figures_of_its_own_version_and_no_other(page):
    page.show_checkpoint(PUSHT, "lewm-pusht")

    words = said(page)
    assert page.system() == "LeWorldModel"
    assert "✓ This file is the released LeWorldModel Push-T." in words
    assert "✓ Figures of this file's version: Push-T." in words
    assert "△ Push-T: That the published file is the one the paper measured is not stated." in words
    assert {figure.version.id for figure in figures(page).figures()} == {"Push-T"}


def test_a_demo_checkpoint_is_told_that_no_figure_belongs_to_it(page):
    page.show_checkpoint(DEMO)

    assert "○ No published figure belongs to this file." in said(page)
    assert figures(page).verdict().startswith("○ No published figure belongs to this file.")


def test_a_page_about_another_system_says_nothing_of_the_file_and_leads_back(qtbot, page):
    page.show_checkpoint(make_info())
    page.show_system("I-JEPA")

    assert "○ This page is about another system." in said(page)
    assert figures(page).verdict() == ""
    qtbot.mouseClick(page._file._go, Qt.MouseButton.LeftButton)
    assert page.system() == "V-JEPA 2"


def test_a_system_without_a_claims_file_gets_no_figure(page):
    page.show_checkpoint(make_info("EB-JEPA", "two rooms, 65 px"))

    assert "○ Nothing is known here about EB-JEPA." in said(page)
    assert page.system() in CLAIMS


def test_unloading_takes_the_file_s_words_away(page):
    page.show_checkpoint(make_info())
    page.show_checkpoint(None)

    assert "THIS FILE" not in said(page)
    assert figures(page).verdict() == ""
    assert len(figures(page).figures()) == len(CLAIMS["V-JEPA 2"].figures)


# --- text, errors, looks ---------------------------------------------------------------------------------------------------


def test_the_copied_text_gives_every_figure_its_benchmark_version_and_source(qtbot, page):
    page.show_checkpoint(make_info())
    with qtbot.waitSignal(page.textCopied):
        qtbot.mouseClick(page._copy, Qt.MouseButton.LeftButton)

    text = QGuiApplication.clipboard().text()
    lines = text.splitlines()
    for figure in CLAIMS["V-JEPA 2"].figures:
        own = [
            line
            for line in lines
            if line.startswith(f"- {figure.benchmark}, {figure.metric}")
            and f"model {figure.version.id};" in line
        ]
        assert any(figure.value in line and figure.cited in line for line in own), figure
    assert "not measured with this file" in text
    own, _, others = text.partition("Published figures of other versions")
    assert "ViT-H/16" not in own
    assert "ViT-H/16" in others


def test_damaged_claims_show_a_sentence_and_nothing_else(page):
    page.show_checkpoint(make_info())
    page.show_error("V-JEPA 2.toml is not valid TOML.", "Take the console's own copy.")

    words = said(page)
    assert "V-JEPA 2.toml is not valid TOML." in words
    assert "ViT-L" not in words
    assert page.system() == ""
    assert page.text() == ""


def test_claims_that_come_after_an_error_are_shown(page):
    page.show_error("broken", "mend it")
    page.show_claims(CLAIMS)

    assert page.system() == "I-JEPA"
    assert "broken" not in said(page)


def test_markup_in_a_claims_file_is_shown_as_written(qtbot):
    card = RowsCard()
    qtbot.addWidget(card)
    card.show_rows([Row("<b>name</b>", (("<script>x</script> & more", ""),))])

    assert card.text() == "<b>name</b>: <script>x</script> & more"
    assert "<script>x</script> & more" in card._paper._document.toPlainText()


@pytest.mark.parametrize("zoom", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("system", ["V-JEPA 2-AC", "I-JEPA"])
def test_every_cell_and_every_card_has_the_height_that_its_words_need(qtbot, qapp, zoom: float, system: str):
    theme.apply(qapp, Theme(zoom=zoom))
    page = claims_page("narrow")
    qtbot.addWidget(page)
    page.show()
    page.show_system(system)
    qapp.sendPostedEvents()
    qapp.processEvents()

    sheet = page.findChild(QTableWidget)
    for n in range(sheet.rowCount()):
        for column in range(sheet.columnCount()):
            need = sheet.itemDelegate().sizeHint(None, sheet.model().index(n, column)).height()
            assert sheet.rowHeight(n) >= need
    assert sheet.height() >= sum(sheet.rowHeight(n) for n in range(sheet.rowCount()))
    assert sum(sheet.columnWidth(n) for n in range(sheet.columnCount())) <= sheet.viewport().width() + 1
    metrics = QFontMetrics(theme.current().font("body"))
    for n in range(sheet.rowCount()):
        for column in (0, 1, 3, 4):
            first = sheet.item(n, column).text().split("\n")[0].replace(BREAK, " ")
            widest = max(metrics.horizontalAdvance(word) for word in first.split())
            assert widest <= sheet.columnWidth(column) - 2 * theme.current().px(8), first
    for card in page.findChildren(RowsCard):
        paper = card._paper
        assert paper.height() >= paper.heightForWidth(paper.width()), card.accessibleName()
    theme.apply(qapp, Theme())


def test_a_change_of_theme_rewrites_the_cards_and_keeps_the_place(qtbot, qapp, page):
    page.show_system("C-JEPA")
    card = page.findChildren(RowsCard)[0]
    dark = card._paper._document.toHtml()
    theme.apply(qapp, Theme("light"))
    light = card._paper._document.toHtml()
    theme.apply(qapp, Theme())

    assert theme.Theme("light").tokens.ok.lower() in light.lower()
    assert theme.Theme("dark").tokens.ok.lower() in dark.lower()
    assert page.system() == "C-JEPA"


def test_a_screen_reader_hears_the_cards_and_the_cells(page):
    page.show_system("V-JEPA")
    for card in page.findChildren(RowsCard):
        if card.isVisible():
            interface = QAccessible.queryAccessibleInterface(card._paper)
            assert interface.text(QAccessible.Text.Name) == card.text()
    sheet = page.findChild(QTableWidget)
    heard = sheet.item(0, 1).data(Qt.ItemDataRole.AccessibleTextRole)
    assert heard == "top-1 accuracy, attentive probe, encoder frozen, 16x8x3 views"
