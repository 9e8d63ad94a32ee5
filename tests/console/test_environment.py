"""Qt's surroundings: what is missing is said in one sentence, before Qt can abort."""

from __future__ import annotations

import os
import socket

import pytest

from console import environment
from jepa_core.errors import DisplayError


def test_what_opencv_leaves_behind_is_taken_away():
    environ = {"QT_QPA_PLATFORM_PLUGIN_PATH": "/x/cv2/qt/plugins", "QT_QPA_FONTDIR": "/nowhere/fonts"}

    environment.clean(environ)

    assert "QT_QPA_PLATFORM_PLUGIN_PATH" not in environ
    assert "QT_QPA_FONTDIR" not in environ
    assert environ["PYQTGRAPH_QT_LIB"] == "PySide6"


def test_a_font_folder_that_exists_is_kept(tmp_path):
    environ = {"QT_QPA_FONTDIR": str(tmp_path)}

    environment.clean(environ)

    assert environ["QT_QPA_FONTDIR"] == str(tmp_path)


def test_no_display_is_one_sentence_with_a_hint():
    with pytest.raises(DisplayError) as caught:
        environment.check_display({}, "linux", can_load=lambda library: True)

    assert "no display" in caught.value.what
    assert "--headless" in caught.value.hint


def test_a_display_that_does_not_answer_is_named():
    with pytest.raises(DisplayError) as caught:
        environment.check_display({"DISPLAY": ":4093"}, "linux", can_load=lambda library: True)

    assert ":4093" in caught.value.what


def test_a_missing_library_names_its_package_and_the_command():
    with pytest.raises(DisplayError) as caught:
        environment.check_display(
            {"QT_QPA_PLATFORM": "offscreen"}, "linux", can_load=lambda library: library != "libEGL.so.1"
        )

    assert "libegl1" in caught.value.what
    assert caught.value.hint.endswith("sudo apt install libegl1")


def test_the_xcb_cursor_library_is_asked_for_on_an_x_display(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_x_server_answers", lambda display: True)

    with pytest.raises(DisplayError) as caught:
        environment.check_display({"DISPLAY": ":0"}, "linux", can_load=lambda name: "xcb-cursor" not in name)

    assert "libxcb-cursor0" in caught.value.what


def test_offscreen_needs_no_display_but_shows_nothing_to_a_person():
    environ = {"QT_QPA_PLATFORM": "offscreen"}

    environment.check_display(environ, "linux", can_load=lambda library: True)

    assert not environment.is_display_available(environ, "linux")


def test_a_wayland_socket_that_answers_is_a_display(tmp_path):
    path = tmp_path / "wayland-7"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(os.fspath(path))
        server.listen(4)
        environ = {"WAYLAND_DISPLAY": "wayland-7", "XDG_RUNTIME_DIR": os.fspath(tmp_path)}

        assert environment.is_display_available(environ, "linux")
    assert not environment.is_display_available({"WAYLAND_DISPLAY": "wayland-8"}, "linux")


def test_other_systems_always_have_a_display():
    assert environment.is_display_available({}, "darwin")
    environment.check_display({}, "win32")
