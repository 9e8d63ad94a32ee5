"""What the window remembers by itself."""

from __future__ import annotations

from PySide6.QtCore import QByteArray

from console.settings import MOST_RECENT, Settings


def test_recents_are_newest_first_and_without_doubles(tmp_path):
    settings = Settings(tmp_path / "window.ini")
    for name in ("a", "b", "a"):
        settings.remember(f"/{name}.mp4", name, "source")

    assert [row.title for row in settings.recents()] == ["a", "b"]


def test_each_kind_keeps_its_own_recents(tmp_path):
    settings = Settings(tmp_path / "window.ini")
    settings.remember("/c.pt", "c", "checkpoint")
    for number in range(MOST_RECENT + 5):
        settings.remember(f"/{number}.mp4", str(number), "source")

    assert len(settings.recents("source")) == MOST_RECENT
    assert [row.uri for row in settings.recents("checkpoint")] == ["/c.pt"]


def test_layouts_are_kept_per_role_over_a_restart(tmp_path):
    first = Settings(tmp_path / "window.ini")
    first.save_layout("operator", QByteArray(b"geometry"), QByteArray(b"docks"))
    first.sync()

    again = Settings(tmp_path / "window.ini")

    assert again.layout("operator") == QByteArray(b"docks")
    assert again.layout("reviewer") is None
    again.forget_layout("operator")
    assert again.layout("operator") is None


def test_recents_of_another_version_are_not_an_error(tmp_path):
    settings = Settings(tmp_path / "window.ini")
    settings._store.setValue("recent", '[{"other": 1}]')

    assert settings.recents() == []
