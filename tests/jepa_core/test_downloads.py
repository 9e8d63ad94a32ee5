"""Downloads against a real server on loopback: whole, broken off, resumed, changed, wrong, refused, without an end."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.catalogue import released
from jepa_core.downloads import Downloaded, folder_of, throw_away, unfinished
from jepa_core.errors import (
    AlreadyDownloading,
    ChecksumDiffers,
    DownloadError,
    Offline,
    ServerRefused,
    Stalled,
    UnsafeName,
)
from jepa_core.part_file import PartFile
from tests.helpers.downloading import FOLDER, REPO, Fetching, content_of, lewm, one_file
from tests.helpers.hub_server import COMMIT, Fault, HubServer, bytes_of, hub_server

CONFIG = b'{"encoder": {"size": "tiny"}}'
SIZE = 700_000
WEIGHTS = content_of(SIZE)
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
KEY = f"/{REPO}/weights.pt"


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as made:
        made.put(REPO, "config.json", CONFIG, is_large=False)
        made.put(REPO, "weights.pt", WEIGHTS)
        yield made


@pytest.fixture
def fetching(server: HubServer, tmp_path: Path) -> Fetching:
    return Fetching(server, tmp_path / "cache")


def whole(fetching: Fetching) -> bool:
    return bytes_of(fetching.cache / "lewm-pusht") == {"config.json": CONFIG, "weights.pt": WEIGHTS}


# --- from a hub ------------------------------------------------------------------------------------------------------


def test_a_repository_of_the_hub_arrives_whole_and_checked(fetching: Fetching):
    done = fetching.fetch(lewm())

    assert whole(fetching)
    assert done.path == fetching.cache / "lewm-pusht" / "weights.pt"
    assert [receipt.checked for receipt in done.receipts] == ["git", "sha256"]
    assert (done.main.sha256, done.main.bytes, done.main.commit) == (SHA256, SIZE, COMMIT)
    assert fetching.said[-1].fraction == 1.0
    assert not list((fetching.cache / "lewm-pusht" / ".download").glob("*.part*"))


def test_every_file_comes_from_one_version_of_the_repository(fetching: Fetching):
    fetching.fetch(lewm())

    gets = [request.path for request in fetching.server.asked("GET", "/resolve/")]
    assert len(gets) == 2
    assert all(f"/resolve/{COMMIT}/" in path for path in gets)


def test_a_hugging_face_folder_is_given_to_the_loader_as_a_folder(fetching: Fetching):
    repository = "facebook/vjepa2-vitl-fpc64-256"
    fetching.server.put(repository, "config.json", CONFIG, is_large=False)
    fetching.server.put(repository, "model.safetensors", WEIGHTS)

    done = fetching.fetch(FOLDER)

    assert done.path == folder_of(fetching.cache, FOLDER)
    assert bytes_of(done.path) == {"config.json": CONFIG, "model.safetensors": WEIGHTS}


def test_shards_are_fetched_where_the_whole_is_not_there(fetching: Fetching):
    repository = "facebook/vjepa2-vitl-fpc64-256"
    listing = (
        b'{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}'
    )
    fetching.server.put(repository, "config.json", CONFIG, is_large=False)
    fetching.server.put(repository, "model.safetensors.index.json", listing, is_large=False)
    fetching.server.put(repository, "model-00001-of-00002.safetensors", WEIGHTS[:1000])
    fetching.server.put(repository, "model-00002-of-00002.safetensors", WEIGHTS[1000:])

    done = fetching.fetch(FOLDER)

    assert bytes_of(done.path) == {
        "config.json": CONFIG,
        "model.safetensors.index.json": listing,
        "model-00001-of-00002.safetensors": WEIGHTS[:1000],
        "model-00002-of-00002.safetensors": WEIGHTS[1000:],
    }
    assert fetching.said[-1].fraction == 1.0


@pytest.mark.parametrize(
    "listing",
    [
        b'{"weight_map": {"a": "../../evil.safetensors"}}',
        b'{"weight_map": {"a": "/etc/passwd"}}',
        b'{"weight_map": {"a": "run.py"}}',
        b'{"weight_map": {"a": 7}}',
        b'{"weight_map": {}}',
        b"[" * 50_000,
        b"\xff\xfe",
    ],
)
def test_a_list_of_shards_that_leads_elsewhere_fetches_none(fetching: Fetching, listing: bytes):
    repository = "facebook/vjepa2-vitl-fpc64-256"
    fetching.server.put(repository, "config.json", CONFIG, is_large=False)
    fetching.server.put(repository, "model.safetensors.index.json", listing, is_large=False)

    with pytest.raises((UnsafeName, ServerRefused)):
        fetching.fetch(FOLDER)
    assert set(bytes_of(fetching.cache)) == {"vjepa2-hf-vitl/model.safetensors.index.json"}


def test_what_is_here_already_is_not_fetched_again(fetching: Fetching):
    fetching.fetch(lewm())
    before = len(fetching.server.asked("GET"))

    again = fetching.fetch(lewm())

    assert len(fetching.server.asked("GET")) == before
    assert all(receipt.was_here for receipt in again.receipts)


def test_another_file_of_that_name_is_not_touched(fetching: Fetching):
    mine = fetching.cache / "lewm-pusht" / "weights.pt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"my own work")

    with pytest.raises(ChecksumDiffers, match="not the file that the server has"):
        fetching.fetch(lewm())

    assert mine.read_bytes() == b"my own work"


def test_a_file_copied_in_by_hand_is_recognised_by_its_bytes(fetching: Fetching):
    mine = fetching.cache / "lewm-pusht" / "weights.pt"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(WEIGHTS)

    done = fetching.fetch(lewm())

    assert (done.main.was_here, done.main.checked) == (True, "sha256")


# --- from a plain server ---------------------------------------------------------------------------------------------


def test_a_plain_file_arrives_and_says_that_no_checksum_is_known(fetching: Fetching):
    url = fetching.server.put_plain("/vjepa2/vitl.pt", WEIGHTS)

    done = fetching.fetch(one_file(url))

    assert done.path.read_bytes() == WEIGHTS
    assert (done.main.checked, done.main.sha256) == ("size", SHA256)


def test_a_plain_file_with_a_known_checksum_is_held_to_it(fetching: Fetching):
    url = fetching.server.put_plain("/vjepa2/vitl.pt", WEIGHTS)

    assert fetching.fetch(one_file(url, sha256=SHA256)).main.checked == "sha256"


def test_a_server_that_does_not_answer_head_is_asked_for_the_bytes(fetching: Fetching):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS, heads=405)

    assert fetching.fetch(one_file(url)).path.read_bytes() == WEIGHTS


def test_a_body_in_chunks_has_a_certain_end_and_no_known_size(fetching: Fetching):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS, has_length=False)

    done = fetching.fetch(one_file(url))

    assert done.path.read_bytes() == WEIGHTS
    assert any(progress.fraction == -1.0 for progress in fetching.said)


def test_an_empty_file_is_a_file(fetching: Fetching):
    url = fetching.server.put_plain("/empty.pt", b"")

    assert fetching.fetch(one_file(url)).path.read_bytes() == b""


# --- broken off and gone on --------------------------------------------------------------------------------------------


def test_a_broken_connection_goes_on_where_it_broke(fetching: Fetching):
    fetching.server.fail(KEY, Fault(cut_after=100_000), Fault(cut_after=250_000, is_reset=True))

    fetching.fetch(lewm())

    assert whole(fetching)
    starts = [
        request.headers.get("range", "")
        for request in fetching.server.asked("GET", KEY)
        if "?" in request.path
    ]
    assert starts[0] == ""
    assert all(start.startswith("bytes=") for start in starts[1:])
    assert len(starts) == 3
    assert fetching.waits == [1.0, 1.0]


def test_a_stopped_download_goes_on_next_time_and_the_checksum_is_right(fetching: Fetching):
    fetching.server.fail(KEY, *[Fault(cut_after=300_000)], *[Fault(status=503)] * 6)
    with pytest.raises(ServerRefused, match="fault of its own"):
        fetching.fetch(lewm())
    (open_one,) = unfinished(fetching.cache, released())
    assert (open_one.entry.id, open_one.done, open_one.total) == (
        "lewm-pusht",
        300_000 + len(CONFIG),
        SIZE + len(CONFIG),
    )

    done = fetching.fetch(lewm())

    assert whole(fetching)
    assert done.main.checked == "sha256"
    assert fetching.server.asked("GET", KEY)[-1].headers["range"] == "bytes=300000-"
    assert any(progress.phase == "checking" for progress in fetching.said)
    assert unfinished(fetching.cache, released()) == []


def test_an_unfinished_download_can_be_thrown_away(fetching: Fetching):
    fetching.server.fail(KEY, Fault(cut_after=300_000), *[Fault(status=503)] * 6)
    with pytest.raises(ServerRefused):
        fetching.fetch(lewm())

    assert throw_away(fetching.cache, lewm()) >= 300_000
    assert unfinished(fetching.cache, released()) == []
    assert bytes_of(fetching.cache / "lewm-pusht") == {"config.json": CONFIG}


def test_a_server_without_ranges_begins_again(fetching: Fetching):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS, has_ranges=False)
    fetching.server.fail("/vitl.pt", Fault(cut_after=200_000))

    done = fetching.fetch(one_file(url))

    assert done.path.read_bytes() == WEIGHTS
    assert any("from its beginning" in remark for remark in done.remarks)


def test_a_server_that_always_breaks_is_given_up_after_some_tries(fetching: Fetching):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS, has_ranges=False)
    fetching.server.fail("/vitl.pt", *[Fault(cut_after=200_000)] * 20)

    with pytest.raises(DownloadError, match="broke"):
        fetching.fetch(one_file(url))

    assert fetching.waits == [1.0, 2.0, 4.0, 8.0, 16.0][: len(fetching.waits)]
    assert 3 <= len(fetching.waits) <= 6


def test_a_file_that_changed_in_between_is_fetched_from_its_beginning(fetching: Fetching):
    """A plain server: the first half of the old file and the second half of the new one would be nobody's weights."""
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS)
    fetching.server.fail("/vitl.pt", Fault(cut_after=300_000), *[Fault(status=503)] * 6)
    with pytest.raises(ServerRefused):
        fetching.fetch(one_file(url))
    new = content_of(SIZE, seed=1)
    fetching.server.put_plain("/vitl.pt", new)

    done = fetching.fetch(one_file(url))

    assert done.path.read_bytes() == new
    assert "The file changed on the server: begun again." in done.remarks


def test_a_file_that_changes_between_two_answers_is_noticed_too(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS)
    new = content_of(SIZE, seed=1)
    fetching.server.fail("/vitl.pt", Fault(cut_after=300_000))
    wait = fetching._wait
    monkeypatch.setattr(fetching, "_wait", lambda s: (fetching.server.put_plain("/vitl.pt", new), wait(s))[1])

    done = fetching.fetch(one_file(url))

    assert done.path.read_bytes() == new
    assert fetching.server.asked("GET")[-1].headers["if-range"]


def test_a_hub_file_that_changed_in_between_is_fetched_from_its_beginning(fetching: Fetching):
    fetching.server.fail(KEY, Fault(cut_after=300_000), *[Fault(status=503)] * 6)
    with pytest.raises(ServerRefused):
        fetching.fetch(lewm())
    new = content_of(SIZE + 5, seed=1)
    fetching.server.put(REPO, "weights.pt", new)

    done = fetching.fetch(lewm())

    assert done.path.read_bytes() == new
    assert "The file changed on the server: begun again." in done.remarks


def test_a_file_without_any_mark_of_its_version_is_never_pieced_together(fetching: Fetching):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS, etag="none")
    fetching.server.fail("/vitl.pt", Fault(cut_after=300_000), *[Fault(status=503)] * 6)
    with pytest.raises(ServerRefused):
        fetching.fetch(one_file(url))

    assert fetching.fetch(one_file(url)).path.read_bytes() == WEIGHTS
    assert "range" not in fetching.server.asked("GET")[-1].headers


def test_a_weak_etag_is_no_mark_but_a_date_is(fetching: Fetching):
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS, etag='W/"abc"', last_modified=date)
    fetching.server.fail("/vitl.pt", Fault(cut_after=300_000))

    assert fetching.fetch(one_file(url)).path.read_bytes() == WEIGHTS
    assert fetching.server.asked("GET")[-1].headers["if-range"] == date


def test_another_part_than_the_one_asked_for_is_not_written(fetching: Fetching):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS)
    fetching.server.fail("/vitl.pt", Fault(cut_after=300_000), Fault(shift=10))

    done = fetching.fetch(one_file(url))

    assert done.path.read_bytes() == WEIGHTS
    assert any("another part" in remark for remark in done.remarks)


def test_nothing_after_the_end_means_complete(fetching: Fetching):
    """416 with the length that is here: the answer to the last byte was lost, the byte was not."""
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS, heads=405)
    folder = fetching.cache / "plain"
    with PartFile(folder, "vitl.pt") as part:
        from jepa_core.part_file import PartState

        part.begin(PartState("", f'"{hashlib.md5(WEIGHTS).hexdigest()}"', -1))
        part.write(WEIGHTS)

    done = fetching.fetch(one_file(url))

    assert done.path.read_bytes() == WEIGHTS
    assert fetching.server.asked("GET")[-1].headers["range"] == f"bytes={SIZE}-"


def test_a_file_that_became_shorter_is_fetched_anew(fetching: Fetching):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS, heads=405, etag='"same"')
    fetching.server.fail("/vitl.pt", Fault(cut_after=300_000), *[Fault(status=503)] * 6)
    with pytest.raises(ServerRefused):
        fetching.fetch(one_file(url))
    fetching.server.put_plain("/vitl.pt", WEIGHTS[:1000], heads=405, etag='"same"')

    assert fetching.fetch(one_file(url)).path.read_bytes() == WEIGHTS[:1000]


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, SIZE), max_size=6), restart=st.booleans(), resets=st.booleans())
def test_wherever_it_breaks_the_bytes_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, cuts, restart, resets
):
    cache = tmp_path_factory.mktemp("cuts")
    with hub_server() as server:
        server.put(REPO, "config.json", CONFIG, is_large=False)
        server.put(REPO, "weights.pt", WEIGHTS)
        fetching = Fetching(server, cache)
        for cut in cuts:
            if restart:  # the program ends at this point and is started again
                server.fail(KEY, Fault(cut_after=cut, is_reset=resets), *[Fault(status=503)] * 6)
                try:
                    fetching.fetch(lewm())
                except ServerRefused:
                    server.faults[KEY].clear()
            else:
                server.fail(KEY, Fault(cut_after=cut, is_reset=resets))

        while True:
            try:
                done = fetching.fetch(lewm())
            except DownloadError:
                continue  # several tries in a row brought nothing new
            break

        assert done.main.sha256 == SHA256
        assert whole(fetching)


# --- wrong bytes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["weights.pt", "config.json"])
def test_bytes_that_are_not_the_announced_ones_are_set_apart_and_never_offered(fetching: Fetching, name: str):
    fetching.server.put(
        REPO, "config.json", CONFIG, is_large=False, announced="0" * 40 if name == "config.json" else ""
    )
    fetching.server.put(REPO, "weights.pt", WEIGHTS, announced="0" * 64 if name == "weights.pt" else "")

    with pytest.raises(ChecksumDiffers, match="not what was announced") as caught:
        fetching.fetch(lewm())

    folder = fetching.cache / "lewm-pusht"
    assert name not in bytes_of(folder)
    damaged = folder / ".download" / f"{name}.damaged"
    assert damaged.exists()
    assert str(damaged) in caught.value.hint
    assert "announced 000" in caught.value.detail


def test_after_wrong_bytes_the_next_download_begins_from_nothing_and_clears_them(fetching: Fetching):
    wrong = bytearray(WEIGHTS)
    wrong[5] ^= 1
    fetching.server.fail(KEY, Fault(body=bytes(wrong)))
    with pytest.raises(ChecksumDiffers):
        fetching.fetch(lewm())

    fetching.fetch(lewm())

    assert whole(fetching)
    assert list((fetching.cache / "lewm-pusht" / ".download").glob("*.damaged")) == []


def test_an_answer_of_another_length_than_announced_is_not_begun(fetching: Fetching):
    fetching.server.fail(KEY, Fault(body=WEIGHTS + b"tail"))
    fetching.fetch(lewm())
    assert whole(fetching)

    throw_away(fetching.cache, lewm())
    (fetching.cache / "lewm-pusht" / "weights.pt").unlink()
    fetching.server.fail(KEY, *[Fault(body=WEIGHTS + b"tail")] * 9)
    with pytest.raises(DownloadError, match="were announced"):
        fetching.fetch(lewm())
    assert "weights.pt" not in bytes_of(fetching.cache / "lewm-pusht")


def test_a_body_that_goes_on_beyond_its_announced_end_is_set_apart(fetching: Fetching):
    """In chunks nobody says the length with the body; the hub said it before."""
    fetching.server.put(REPO, "weights.pt", WEIGHTS, has_length=False)
    fetching.server.fail(KEY, Fault(body=WEIGHTS + b"tail"))

    with pytest.raises(ChecksumDiffers, match="more than the 700,000 bytes"):
        fetching.fetch(lewm())
    assert "weights.pt" not in bytes_of(fetching.cache / "lewm-pusht")


def test_the_hubs_word_is_what_counts_and_a_reported_checksum_that_differs_is_said(fetching: Fetching):
    done = fetching.fetch(lewm(sha256="1" * 64))

    assert done.main.checked == "sha256"
    assert any("may have replaced it" in remark for remark in done.remarks)
    assert not released().entry_for("weights.pt", SIZE, done.main.sha256, "lewm-pusht").is_proved


def test_a_web_page_in_place_of_the_file_is_refused(fetching: Fetching):
    url = fetching.server.put_plain(
        "/vitl.pt", b"<html>log in</html>", content_type="text/html; charset=utf-8"
    )

    with pytest.raises(ServerRefused, match="a web page"):
        fetching.fetch(one_file(url))


def test_a_compressed_answer_that_nobody_asked_for_is_refused(fetching: Fetching):
    url = fetching.server.put_plain("/vitl.pt", WEIGHTS)
    fetching.server.fail("/vitl.pt", Fault(headers={"Content-Encoding": "gzip"}))

    with pytest.raises(ServerRefused, match="compressed"):
        fetching.fetch(one_file(url))


# --- refusals ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "said", "hint"),
    [
        (404, {"X-Error-Code": "EntryNotFound"}, "has no config.json", "models.folders"),
        (401, {}, "only to people it knows", "HF_TOKEN"),
        (403, {"X-Error-Code": "GatedRepo"}, "only to people it knows", "Accept its terms"),
        (403, {}, "does not give config.json", "withdrawn"),
        (410, {}, "has no config.json", "moved"),
        (418, {}, "(418)", "later"),
    ],
)
def test_a_refusal_is_one_sentence_with_what_to_do(fetching: Fetching, status, headers, said, hint):
    fetching.server.fail(f"HEAD /{REPO}/config.json", *[Fault(status=status, headers=headers)] * 3)

    with pytest.raises(ServerRefused) as caught:
        fetching.fetch(lewm())

    assert said in caught.value.what
    assert hint in caught.value.hint
    assert fetching.waits == []


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_fault_of_the_server_is_waited_for(fetching: Fetching, status: int):
    fetching.server.fail(f"HEAD /{REPO}/config.json", Fault(status=status))
    fetching.server.fail(KEY, Fault(status=status, headers={"Retry-After": "7"}))

    fetching.fetch(lewm())

    assert whole(fetching)
    assert fetching.waits == [1.0, 7.0]
    assert any("Again in 7 s." in remark for remark in fetching.remarks)


def test_a_server_that_asks_for_an_hour_ends_the_download_instead(fetching: Fetching):
    fetching.server.fail(KEY, Fault(status=429, headers={"Retry-After": "3600"}))

    with pytest.raises(ServerRefused, match="too many requests"):
        fetching.fetch(lewm())
    assert fetching.waits == []


def test_a_silent_connection_is_given_up_and_what_arrived_is_kept(fetching: Fetching):
    fetching.server.fail(KEY, Fault(stall_after=200_000), *[Fault(stall_after=0)] * 6)

    with pytest.raises(Stalled, match=r"sent nothing for 0\.2 s"):
        fetching.fetch(lewm(), stall_s=0.2)
    fetching.server.gate.set()
    fetching.server.faults[KEY].clear()
    fetching.fetch(lewm())

    assert whole(fetching)
    assert fetching.server.asked("GET", KEY)[-1].headers["range"] == "bytes=200000-"


def test_nobody_there_is_a_plain_sentence_and_not_a_fault(fetching: Fetching, free_port: int):
    with pytest.raises(Offline) as caught:
        fetching.fetch(lewm(), hub=f"http://127.0.0.1:{free_port}")

    assert caught.value.what == "There is no connection: 127.0.0.1 does not answer."
    assert "works without a connection" in caught.value.hint
    assert fetching.waits == []


@pytest.fixture
def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_name_that_nobody_knows_is_offline_too(fetching: Fetching):
    with pytest.raises(Offline, match="was not found"):
        fetching.fetch(lewm(), hub="https://hub.invalid")


def test_a_person_can_say_that_no_hub_is_to_be_asked(fetching: Fetching, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    with pytest.raises(Offline, match="HF_HUB_OFFLINE"):
        fetching.fetch(lewm())
    assert fetching.server.requests == []


def test_two_programs_never_write_the_same_file(fetching: Fetching):
    with PartFile(fetching.cache / "lewm-pusht", "weights.pt"), pytest.raises(AlreadyDownloading):
        fetching.fetch(lewm())

    fetching.fetch(lewm())
    assert whole(fetching)


# --- where a redirect leads, and what is told to whom --------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://192.0.2.1/x",
        "https://user:secret@127.0.0.1/x",
        "javascript:1",
    ],
)
def test_a_redirect_to_anything_but_the_web_is_refused(fetching: Fetching, target: str):
    fetching.server.fail(KEY, Fault(status=302, headers={"Location": target}))

    with pytest.raises(UnsafeName) as caught:
        fetching.fetch(lewm())

    assert "secret" not in str(caught.value)
    assert "weights.pt" not in bytes_of(fetching.cache / "lewm-pusht")


def test_redirects_in_a_circle_end(fetching: Fetching):
    url = fetching.server.put_plain("/a.pt", WEIGHTS)
    fetching.server.fail("/a.pt", *[Fault(status=302, headers={"Location": url})] * 20)

    with pytest.raises(ServerRefused, match="in circles"):
        fetching.fetch(one_file(url))


def test_the_token_goes_to_the_hub_alone_and_is_never_written_down(
    fetching: Fetching, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    fetching.server.fail(KEY, Fault(cut_after=1000), Fault(status=503))

    fetching.fetch(lewm(), token="hf_SECRETSECRET")

    hub = [request for request in fetching.server.requests if "/resolve/" in request.path]
    rest = [request for request in fetching.server.requests if "?" in request.path]
    assert hub
    assert rest
    assert all(request.headers["authorization"] == "Bearer hf_SECRETSECRET" for request in hub)
    assert all("authorization" not in request.headers for request in rest)
    assert "SECRETSECRET" not in caplog.text
    assert "secret-of-this-link" not in caplog.text
    assert "SECRETSECRET" not in "".join(str(progress) for progress in fetching.said)


def test_plain_http_is_for_loopback_and_a_hub_of_ones_own_only(fetching: Fetching):
    with pytest.raises(UnsafeName, match="only https"):
        fetching.fetch(one_file("http://192.0.2.7/vitl.pt"))


def test_progress_adds_the_files_up_and_never_runs_backwards_while_fetching(fetching: Fetching):
    fetching.fetch(lewm())

    done = [progress.done for progress in fetching.said if progress.phase == "fetching"]
    assert done == sorted(done)
    assert {progress.total for progress in fetching.said if progress.phase == "fetching"} == {
        SIZE + len(CONFIG)
    }
    assert fetching.said[0].phase == "asking"
    assert isinstance(fetching.fetch(lewm()), Downloaded)
