"""Choosing how a checkpoint is loaded: every change told once, as a whole."""

from __future__ import annotations

from tests.widgets.builders import make_checkpoint, make_report
from widgets.load_options import LoadChoice, LoadOptions, left_open


def make_options(keep):
    options = keep(LoadOptions())
    options.set_devices(("cuda:0",))
    options.show()
    return options


def test_a_change_is_told_as_the_whole_choice(keep, qtbot):
    options = make_options(keep)

    with qtbot.waitSignal(options.changed) as told:
        options._device.setCurrentIndex(options._device.findData("cuda:0"))

    assert told.args == [LoadChoice(device="cuda:0")]


def test_turning_a_number_is_told_once_when_it_settles(keep, qtbot):
    options = make_options(keep)
    told = []
    options.changed.connect(told.append)

    for frames in (17, 18, 19, 20):
        options._frames.setValue(frames)
    assert told == []
    qtbot.waitUntil(lambda: told != [])

    assert told == [LoadChoice(clip_frames=20)]


def test_showing_a_choice_tells_nobody(keep, qtbot):
    options = make_options(keep)
    choice = LoadChoice("cuda:3", "float16", 8, 192, "/a/params.yaml", 12, 6, 1)

    with qtbot.assertNotEmitted(options.changed, wait=20):
        options.show_choice(choice)

    assert options.choice == choice
    assert options._device.currentText() == "cuda:3"  # also one this machine did not name


def test_a_number_left_at_as_found_is_no_choice(keep, qtbot):
    options = make_options(keep)
    options.show_open(("encoder heads", "mask token"))

    options._encoder.setValue(0)
    options._token.setValue(0)
    with qtbot.waitSignal(options.changed) as told:
        options._tell()

    assert (told.args[0].encoder_heads, told.args[0].mask_token) == (None, 0)


def test_only_what_the_file_leaves_open_is_offered(keep):
    options = make_options(keep)
    options.show_open(("predictor heads",))

    assert options._predictor.isVisible()
    assert not options._encoder.isVisible()


def test_what_a_config_says_is_not_left_open():
    report = make_report(
        assumed={
            "encoder heads": "3 (cell.params.yaml, architecture.num_heads)",
            "predictor heads": "12 (table of released sizes, by predictor width)",
            "mask token": "0 of 1: the only one with a non-zero norm (norms 0.1)",
        }
    )

    assert left_open(report) == ("predictor heads",)
    assert left_open(None) == ()


def test_automatic_says_what_it_came_to(keep):
    options = make_options(keep)

    options.show_found(make_checkpoint())

    assert options._device.currentText() == "automatic: cpu"
    assert options._dtype.currentText() == "automatic: float32"


def test_the_config_beside_the_file_is_taken_again(keep, qtbot):
    options = make_options(keep)
    options.show_choice(LoadChoice(config="/a/params.yaml"))

    with qtbot.waitSignal(options.changed) as told:
        options._drop.click()

    assert told.args[0].config == ""


def test_another_picture_size_is_offered_only_where_the_checkpoint_takes_one(keep):
    options = make_options(keep)
    options.show_found(make_checkpoint())
    assert not options._size.isVisible()

    options.show_found(make_checkpoint(sizes=(256, 192, 128)))
    assert [options._size.itemText(n) for n in range(options._size.count())] == [
        "its own: 256 px",
        "192 px",
        "128 px",
    ]
    told = []
    options.changed.connect(told.append)
    options._size.setCurrentIndex(1)

    assert [choice.size for choice in told] == [192]
