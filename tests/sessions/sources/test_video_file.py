"""Video files: every frame by its own number, whatever the codec, rate, reordering or damage. The barcode is the proof."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from jepa_core import barcode
from jepa_core.clock import CancelToken
from jepa_core.errors import Cancelled, SourceError, SourceLost, SourceNotFound
from sessions.sources.base import Grab
from sessions.sources.parts.fingerprint import fingerprint
from sessions.sources.video_file import VideoFile
from tests.helpers.media import TICK, numbered_picture, uneven_pts, write_video

av = pytest.importorskip("av", reason="PyAV is not installed here")

SHARED_VIDEO = Path(__file__).parents[4] / "shared" / "data" / "small_robot.mp4"
OPEN_GOP = {"x265-params": "open-gop=1:keyint=10:min-keyint=10:bframes=3:log-level=error"}

# name → how it is written; frames 0, 1, 2 … carry their number as a barcode
FORMATS = {
    "plain.mp4": {},
    "b_frames.mp4": {"b_frames": 3},
    "long_gop.mp4": {"b_frames": 2, "keyframe_every": 250},
    "variable.mp4": {"b_frames": 2, "pts": uneven_pts(30)},
    "variable.mkv": {"pts": uneven_pts(30, seed=5)},
    "hevc_open_gop.mp4": {"codec": "libx265", "b_frames": 3, "options": OPEN_GOP},
    "hidden_frames.webm": {"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 2},
    "mjpeg.avi": {"codec": "mjpeg"},
    "stream.ts": {"b_frames": 2},
    "without_time_stamps.h264": {"b_frames": 2},
    "fragments.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
}


@pytest.fixture
def opened():
    """Opens videos and closes them after the test."""
    made: list[VideoFile] = []

    def make(path: Path) -> VideoFile:
        made.append(VideoFile(path))
        made[-1].open()
        return made[-1]

    yield make
    for video in made:
        video.close()


def played(video: VideoFile) -> list[Grab]:
    grabs = []
    while (grab := video.read(CancelToken())) is not None:
        grabs.append(grab)
    return grabs


def played_with_errors(video: VideoFile) -> tuple[list[Grab], list[SourceError]]:
    grabs: list[Grab] = []
    errors: list[SourceError] = []
    while True:
        try:
            grab = video.read(CancelToken())
        except SourceError as error:
            errors.append(error)
            continue
        if grab is None:
            return grabs, errors
        grabs.append(grab)


@pytest.mark.parametrize("name", FORMATS)
def test_every_seek_gives_the_frame_and_the_pixels_of_a_straight_run(name: str, tmp_path: Path, opened):
    video = opened(write_video(tmp_path / name, **FORMATS[name]))
    straight = played(video)
    assert [barcode.read(grab.rgb) for grab in straight] == list(range(30))

    order = np.random.default_rng(1).permutation(30)
    for index in [*map(int, order), 29, 0, 15, 14, 13, 16]:
        video.seek(index)
        for wanted in straight[index : index + 2]:
            grab = video.read(CancelToken())
            assert grab is not None
            assert (grab.index, barcode.read(grab.rgb)) == (wanted.index, wanted.index)
            assert grab.pts_ns == wanted.pts_ns
            assert np.array_equal(grab.rgb, wanted.rgb)


def test_time_stamps_are_the_files_own_to_the_nanosecond(tmp_path: Path, opened):
    pts = uneven_pts(30)
    video = opened(write_video(tmp_path / "clip.mp4", pts=pts, b_frames=2))
    assert [grab.pts_ns for grab in played(video)] == [
        p * TICK.numerator * 10**9 // TICK.denominator for p in pts
    ]
    assert video.info.detail["is_variable_rate"] is True
    assert video.info.fps == pytest.approx(29 / float(pts[-1] * TICK))


def test_frame_number_and_time_stamp_lead_to_each_other(tmp_path: Path, opened):
    video = opened(write_video(tmp_path / "clip.mp4", pts=uneven_pts(30)))
    stamps = [video.pts_ns_of(number) for number in range(30)]
    assert [video.index_at(pts_ns) for pts_ns in stamps] == list(range(30))
    assert [video.index_at(pts_ns - 1) for pts_ns in stamps[1:]] == list(range(29)), (
        "until the next one begins"
    )
    assert video.index_at(-5) == 0
    assert video.index_at(stamps[-1] + 10**12) == 29


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_phones_rotation_is_undone(rotation: int, tmp_path: Path, opened):
    video = opened(write_video(tmp_path / "phone.mp4", rotation=rotation, frames=3))
    size = (192, 144) if rotation == 180 else (144, 192)
    assert (video.info.width, video.info.height) == size
    grab = video.read(CancelToken())
    assert grab is not None
    assert grab.rgb.shape == (size[1], size[0], 3)
    stored = np.ascontiguousarray(np.rot90(grab.rgb, -rotation // 90))  # the file turns it counter-clockwise
    assert barcode.read(stored) == 0


def test_colours_come_back_close_to_what_was_written(tmp_path: Path, opened):
    video = opened(write_video(tmp_path / "clip.mp4", frames=2, options={"crf": "1"}))
    grab = video.read(CancelToken())
    assert grab is not None
    difference = np.abs(grab.rgb[24:].astype(int) - numbered_picture(0)[24:].astype(int))
    assert difference.mean() < 3.0


def test_a_long_video_uses_two_decoding_threads_and_is_still_exact(tmp_path: Path, opened):
    video = opened(write_video(tmp_path / "large.mp4", width=1280, height=720, frames=12, b_frames=2))
    straight = played(video)
    for index in (11, 3, 4, 0):
        video.seek(index)
        grab = video.read(CancelToken())
        assert grab is not None
        assert np.array_equal(grab.rgb, straight[index].rgb)


def test_sound_is_passed_over(tmp_path: Path, opened):
    path = tmp_path / "talking.mkv"
    with av.open(str(path), "w") as container:
        picture, sound = container.add_stream("libx264", rate=15), container.add_stream("aac", rate=44100)
        picture.width, picture.height, picture.pix_fmt = 192, 144, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number), format="rgb24")
            container.mux(picture.encode(frame))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        samples.rate = 44100
        container.mux(sound.encode(samples))
        container.mux(picture.encode())
        container.mux(sound.encode())
    assert [barcode.read(grab.rgb) for grab in played(opened(path))] == [0, 1, 2, 3, 4]


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("index_first.mp4", {"b_frames": 2, "container_options": {"movflags": "+faststart"}}),
        ("cut.mkv", {"b_frames": 2}),
        ("cut.avi", {"codec": "mjpeg"}),
    ],
)
def test_a_cut_off_file_plays_what_is_there_and_says_so_once(
    name: str, options: dict, tmp_path: Path, opened
):
    whole = write_video(tmp_path / f"whole_{name}", frames=60, **options)
    cut = tmp_path / name
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.55)])
    video = opened(cut)
    grabs, errors = played_with_errors(video)

    last = grabs[-1].index
    assert [grab.index for grab in grabs] == list(range(last + 1))
    assert [barcode.read(grab.rgb) for grab in grabs] == list(range(last + 1))
    assert 10 < last < 50
    assert [type(error) for error in errors] == [SourceLost]
    assert f"ends early at frame {last}" in errors[0].what
    video.seek(last)
    again, errors = played_with_errors(video)
    assert [grab.index for grab in again] == [last]
    assert errors == [], "it has been said"


def test_a_hole_in_the_middle_costs_only_what_it_hit(tmp_path: Path, opened):
    path = write_video(tmp_path / "clip.mov", codec="mjpeg", frames=40)
    data = bytearray(path.read_bytes())
    at = len(data) // 2
    data[at : at + 3000] = bytes(3000)
    path.write_bytes(data)
    grabs, errors = played_with_errors(opened(path))
    right = [grab.index for grab in grabs if barcode.read(grab.rgb) == grab.index]
    assert right[0] == 0
    assert right[-1] == 39
    assert len(right) >= 36
    assert len(grabs) + len(errors) == 40, "each frame is either given or reported"


def test_an_mp4_without_its_index_is_refused_in_words(tmp_path: Path):
    whole = write_video(tmp_path / "whole.mp4", frames=30)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(SourceNotFound, match="its index is missing"):
        VideoFile(cut).open()


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "is empty"), (b"hello " * 5000, "is not a video"), (bytes(range(256)) * 400, "is not a video")],
)
def test_what_is_not_a_video_is_refused_in_words(data: bytes, words: str, tmp_path: Path):
    path = tmp_path / "notes.mp4"
    path.write_bytes(data)
    with pytest.raises(SourceNotFound, match=words) as caught:
        VideoFile(path).open()
    assert "notes.mp4" in caught.value.what
    assert caught.value.hint


def test_a_sound_file_is_refused_in_words(tmp_path: Path):
    path = tmp_path / "speech.mka"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceNotFound, match="no picture track, only audio"):
        VideoFile(path).open()


def test_without_pyav_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_video(tmp_path / "clip.mp4", frames=2)
    monkeypatch.setitem(__import__("sys").modules, "av", None)  # makes `import av` fail
    with pytest.raises(SourceNotFound, match=r"'av' \(PyAV\)"):
        VideoFile(path).open()


def test_a_file_that_goes_away_before_it_is_opened_is_reported(tmp_path: Path):
    path = write_video(tmp_path / "clip.mp4", frames=2)
    video = VideoFile(path)
    path.unlink()
    with pytest.raises(SourceNotFound, match="There is no"):
        video.open()


# -- facts ------------------------------------------------------------------------------------------------------------


def test_info_names_the_file_and_its_hash(tmp_path: Path, opened):
    import hashlib

    path = write_video(tmp_path / "clip.mp4", frames=5)
    info = opened(path).info
    assert info.name == "video:clip.mp4"
    assert info.detail["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.detail["bytes"] == path.stat().st_size
    assert info.detail["codec"] == "h264"
    assert info.detail["is_variable_rate"] is False


def test_a_huge_file_is_not_hashed_unasked_and_says_so(tmp_path: Path):
    path = tmp_path / "huge.mp4"
    path.write_bytes(bytes(2000))
    facts = fingerprint(path, lambda: False, largest=1999)
    assert facts["sha256"] == ""
    assert "larger" in str(facts["sha256_note"])


def test_closing_calls_off_a_hash_that_is_under_way(tmp_path: Path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(2000))
    with pytest.raises(Cancelled):
        fingerprint(path, lambda: True)


def test_close_from_another_thread_ends_a_read_and_frees_the_decoder(tmp_path: Path, opened):
    video = opened(write_video(tmp_path / "clip.mp4", frames=200, keyframe_every=1000))
    reading = threading.Event()

    class ClosesItself(CancelToken):
        """Asked between two decoded frames: the moment at which somebody else closes the source."""

        @property
        def is_cancelled(self) -> bool:
            if not reading.is_set():
                reading.set()
                closer = threading.Thread(target=video.close)
                closer.start()
                closer.join()
            return False

    video.seek(199)
    with pytest.raises(Cancelled):
        video.read(ClosesItself())
    assert reading.is_set()
    with pytest.raises(Cancelled):
        video.read(CancelToken())


def test_a_seek_that_was_called_off_is_taken_up_again(tmp_path: Path, opened):
    video = opened(write_video(tmp_path / "clip.mp4", frames=60, keyframe_every=1000))

    class AfterTen(CancelToken):
        asked = 0

        @property
        def is_cancelled(self) -> bool:
            self.asked += 1
            return self.asked > 10

    video.seek(50)
    with pytest.raises(Cancelled):
        video.read(AfterTen())
    grab = video.read(CancelToken())
    assert grab is not None
    assert (grab.index, barcode.read(grab.rgb)) == (50, 50)


@pytest.mark.skipif(not SHARED_VIDEO.is_file(), reason="no shared/data/small_robot.mp4 beside this checkout")
def test_a_real_video_is_exact_at_every_frame(opened):
    video = opened(SHARED_VIDEO)
    assert (video.info.width, video.info.height, video.info.frames) == (560, 320, 166)
    assert video.info.fps == pytest.approx(30.0)
    assert video.info.detail["sha256"] == "1d720916a831c45454925dea707d477bdd2368bc48f3715bb5464c2707ba9859"
    straight = [(grab.pts_ns, grab.rgb) for grab in played(video)]
    assert len(straight) == 166
    for index in [*range(165, 0, -11), 1, 164, 83, 82, 84]:
        video.seek(index)
        grab = video.read(CancelToken())
        assert grab is not None
        assert grab.pts_ns == straight[index][0]
        assert np.array_equal(grab.rgb, straight[index][1])
