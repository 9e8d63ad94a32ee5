"""The source thread: reads one source and hands out its pictures at the right moment.

Owns the source from open to close. Everything that others want of it (play, pause, seek, …) is a message it takes up
between two pictures; wishes of one kind replace each other, so the mailbox cannot grow. It never waits for a consumer under
Pace.LIVE beyond the call to `deliver` itself, which by law 5 does not block; under Pace.LOSSLESS `deliver` may block as long
as it likes, and no picture is dealt out faster than the speed says.

Timing is free of drift: a picture is due at anchor + (its time - the anchor's time) / speed; the anchor is set anew after a
pause, a seek or a change of speed. A file is paced by its pts, a recorded session by its recorded capture times.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from jepa_core.clock import CancelToken, Clock
from jepa_core.errors import Cancelled, ConsoleError, NotSeekable, SourceError, SourceLost
from jepa_core.types import SourceInfo
from sessions.sources.base import Grab, Pace, Source
from sessions.sources.parts.mailbox import Mailbox, Wishes
from sessions.sources.parts.silence_watch import SilenceWatch

_log = logging.getLogger(__name__)

LATEST_NS = 1_000_000_000  # later than this the clock is set anew instead of racing to catch up
MOST_STEPS_SHOWN = 30  # so many steps are read one by one, so that the clip stays whole; more is a seek
MOST_ERRORS_IN_A_ROW = 10  # then the source is given up


@dataclass(frozen=True, slots=True)
class Transport:
    """How the source is being played, after a change."""

    is_playing: bool
    speed: float | None  # None: as fast as the consumer takes the pictures
    pace: Pace


class SourceThread:
    """Plays one source. All methods may be called from any thread; all callbacks come from the source's own threads.

    deliver       (grab, is_jump): one picture; is_jump after open and after a seek, when it does not follow the last one
    on_end        the source has no more pictures; the thread stays, so a seek brings it back
    on_fault      something a person must be told; the thread goes on if the source can
    on_open       the source is open
    on_transport  (is_playing, speed, pace): after opening and after each change
    """

    def __init__(
        self,
        source: Source,
        *,
        deliver: Callable[[Grab, bool], None],
        on_end: Callable[[], None],
        on_fault: Callable[[ConsoleError], None],
        on_open: Callable[[SourceInfo], None],
        clock: Clock,
        pace: Pace = Pace.LIVE,
        speed: float | None = 1.0,
        is_playing: bool = True,
        on_transport: Callable[[bool, float | None, Pace], None] | None = None,
        name: str = "",
    ) -> None:
        self.cancel = CancelToken()  # set by stop(); a `deliver` that blocks waits with it
        self._source = source
        self._deliver = deliver
        self._on_end = on_end
        self._on_fault = on_fault
        self._on_open = on_open
        self._on_transport = on_transport
        self._clock = clock

        self._mailbox = Mailbox(self.cancel)
        # From here on the source thread's own.
        self._transport = Transport(is_playing, _checked(speed), pace)
        self._info: SourceInfo | None = None
        self._pending: Grab | None = None  # read, its moment not come yet
        self._index = -1  # of the picture delivered or sought last
        self._is_jump = True
        self._is_ended = False
        # Pictures to deliver at once though paused: the first one always shows.
        self._owed = 0 if is_playing else 1
        self._anchor: tuple[int, int] | None = None  # clock time and media time that belong together
        self._shown: tuple[int, int] | None = None  # the same of the picture delivered last
        self._errors_in_a_row = 0

        name = f"source-{name or type(source).__name__}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._watch = SilenceWatch(f"{name}-watch", clock, self.cancel, self._say_silent)

    # -- messages ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._thread.start()

    def play(self) -> None:
        """Go on; at the end of a file, begin again."""
        self._mailbox.play()

    def pause(self) -> None:
        """Stop after the picture that is shown. A live source cannot be paused."""
        self._mailbox.pause()

    def step(self, count: int = 1) -> None:
        """Pause and show the picture `count` further (negative: back) than the one that is shown."""
        self._mailbox.step(count)

    def seek(self, index: int) -> None:
        """Show the picture with this number next, playing or paused; numbers beyond the ends mean the ends."""
        self._mailbox.seek(index)

    def set_speed(self, speed: float | None) -> None:
        """1.0 is the source's own speed, None as fast as the consumer takes them. ValueError unless > 0."""
        self._mailbox.speed(_checked(speed))

    def set_pace(self, pace: Pace) -> None:
        self._mailbox.pace(pace)

    def stop(self, deadline: float = 1.0) -> bool:
        """End the thread; False when it had to be abandoned in a read that does not come back.

        Returns within `deadline` seconds either way. After it returns True nothing is delivered any more; an abandoned
        thread delivers nothing once its read comes back.
        """
        self.cancel.cancel()
        self._mailbox.rouse()
        if self._thread.ident is None:  # never started
            self._source.close()
            return True
        if threading.current_thread() is self._thread:
            return True  # a callback stops its own thread: it ends when the callback returns
        self._thread.join(deadline / 2)
        if not self._thread.is_alive():
            return True
        # A read that minds no token: closing the source from outside unblocks it, but may itself hang on a dead device.
        closer = threading.Thread(target=self._close_source, name=f"{self._thread.name}-close", daemon=True)
        closer.start()
        self._thread.join(deadline / 2)
        if self._thread.is_alive():
            _log.warning("%s did not end within %.1f s and is abandoned", self._thread.name, deadline)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def transport(self) -> Transport:
        """As the thread last applied it."""
        return self._transport

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            if self._open():
                while self._turn():
                    pass
        except Exception as error:  # noqa: BLE001 - the thread's last resort: told to a person, never lost
            self._report(error)
        finally:
            self.cancel.cancel()  # lets the watch go, too
            self._close_source()

    def _open(self) -> bool:
        try:
            self._source.open()
        except Cancelled:
            return False
        except Exception as error:  # noqa: BLE001 - a decoder may raise anything; a person gets a sentence
            self._report(error)
            return False
        self._info = self._source.info
        if self.cancel.is_cancelled:
            return False
        self._on_open(self._info)
        self._tell_transport()
        if self._info.is_live:
            self._watch.saw_one()
            self._watch.start()
        return True

    def _turn(self) -> bool:
        """Take up the messages, then deal with one picture. False: the end of the thread."""
        if not self._take_messages():
            return False
        if not self._has_work():
            return True
        if self._pending is None and not self._fetch():
            return not self.cancel.is_cancelled
        if self._owed == 0 and not self._wait_for_its_moment():
            return not self.cancel.is_cancelled  # a message came first; the picture stays pending
        self._hand_over()
        return not self.cancel.is_cancelled

    def _take_messages(self) -> bool:
        """Wait until there is something to do, then apply what was wished. False when told to stop."""
        wishes = self._mailbox.take(self._has_work)
        if wishes is None:
            return False
        self._set_transport(wishes)
        if wishes.seek is not None:
            self._jump(wishes.seek)
        elif wishes.playing and self._is_ended:
            self._jump(0)
        if wishes.steps:
            self._step(wishes.steps)
        return True

    def _has_work(self) -> bool:
        return not self._is_ended and (self._transport.is_playing or self._owed > 0 or self._is_live)

    @property
    def _is_live(self) -> bool:
        return self._info is not None and self._info.is_live

    def _set_transport(self, wishes: Wishes) -> None:
        now, playing = self._transport, wishes.playing
        if playing is False and self._is_live:
            self._report(
                NotSeekable("A live source cannot be paused.", "Freeze the view instead; recording goes on.")
            )
            playing = None
        wished = Transport(
            is_playing=now.is_playing if playing is None else playing,
            speed=now.speed if wishes.speed is None else wishes.speed[0],
            pace=now.pace if wishes.pace is None else wishes.pace,
        )
        if wished == now:
            return
        self._transport = wished
        if wished.is_playing != now.is_playing:
            self._anchor = None
        elif wished.speed != now.speed:
            self._anchor = (
                self._shown
            )  # what is left of this interval, at the new speed: a dragged slider never races
        self._tell_transport()

    def _tell_transport(self) -> None:
        if self._on_transport is not None:
            self._on_transport(self._transport.is_playing, self._transport.speed, self._transport.pace)

    def _jump(self, index: int) -> None:
        """Ask the source for this picture next; it is delivered at once, playing or not."""
        assert self._info is not None
        if not self._info.is_seekable:
            self._report(NotSeekable(f"{self._info.name} cannot be sought.", "It only goes forward."))
            return
        index = max(0, index)
        if self._info.frames > 0:
            index = min(index, self._info.frames - 1)
        try:
            self._source.seek(index)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - whatever a source raises, a person gets a sentence
            self._report(error)
            return
        self._index = index
        self._pending = None
        self._is_jump = True
        self._is_ended = False
        self._errors_in_a_row = 0
        self._anchor = None
        self._owed = 1

    def _step(self, count: int) -> None:
        """Relative to the picture that is shown, or to the one just sought."""
        if self._is_live or (self._is_ended and count > 0):
            return  # a live source's refusal to pause has been said; behind the last picture there is none
        if 0 < count <= MOST_STEPS_SHOWN:
            self._owed = min(self._owed + count, MOST_STEPS_SHOWN)
        else:
            self._jump(self._index + count)

    def _fetch(self) -> bool:
        """Read the next picture into `_pending`. False: there is none now."""
        try:
            grab = self._source.read(self.cancel)
        except Cancelled:
            return False
        except Exception as error:  # noqa: BLE001 - a decoder may raise anything; a person gets a sentence
            self._after_error(error)
            return False
        self._watch.saw_one()
        if self.cancel.is_cancelled:
            return False
        if grab is None:
            self._end()
            return False
        self._pending = grab
        return True

    def _after_error(self, error: Exception) -> None:
        """One picture failed, here or behind `deliver`. The next read goes on behind it, unless that has failed too often."""
        if self.cancel.is_cancelled:
            return
        self._report(error)
        self._errors_in_a_row += 1
        if self._errors_in_a_row < MOST_ERRORS_IN_A_ROW:
            return
        name = self._info.name if self._info is not None else "The source"
        self._report(
            SourceLost(
                f"{name} is stopped: {MOST_ERRORS_IN_A_ROW} pictures in a row could not be used.",
                "Seek to go on elsewhere, or open it again.",
            )
        )
        self._end()

    def _end(self) -> None:
        self._is_ended = True
        self._owed = 0
        self._anchor = None
        if not self._is_live:
            self._set_transport(Wishes(playing=False))
        self._on_end()

    def _wait_for_its_moment(self) -> bool:
        """Wait until the pending picture is due. False when a message came first."""
        assert self._pending is not None
        speed, media_ns = self._transport.speed, self._media_ns(self._pending)
        if speed is None or media_ns < 0 or self._is_live:
            return True
        now_ns = self._clock.now_ns()
        if self._anchor is None:
            self._anchor = (now_ns, media_ns)
        due_ns = self._anchor[0] + round((media_ns - self._anchor[1]) / speed)
        if now_ns - due_ns > LATEST_NS:
            self._anchor = (now_ns, media_ns)
            return True
        wake = self._mailbox.wake_token()
        return wake is not None and self._clock.wait_until(due_ns, wake)

    def _media_ns(self, grab: Grab) -> int:
        """What was live keeps the rhythm it was captured in; a file, also one that was recorded, that of its own time
        stamps, since a scored file was captured as fast as the model went."""
        return grab.pts_ns if grab.pts_ns >= 0 else grab.t_ns

    def _hand_over(self) -> None:
        grab, self._pending = self._pending, None
        assert grab is not None
        if self.cancel.is_cancelled:
            return
        is_jump, self._is_jump = self._is_jump, False
        self._index = grab.index
        media_ns = self._media_ns(grab)
        self._shown = (self._clock.now_ns(), media_ns) if media_ns >= 0 else None
        if self._owed or self._transport.pace is Pace.LOSSLESS:
            # Every frame is never faster than the speed: each counts from the one before, and time that the consumer
            # took is not made up for.
            self._anchor = self._shown
        self._owed = max(0, self._owed - 1)
        try:
            self._deliver(grab, is_jump)
        except Cancelled:
            return
        except Exception as error:  # noqa: BLE001 - one picture that cannot be handed on must not end the source
            self._after_error(error)
            return
        self._errors_in_a_row = 0

    def _report(self, error: Exception) -> None:
        """Tell a person, in a sentence; what we do not know gets one, too."""
        if isinstance(error, ConsoleError):
            self._on_fault(error)
            return
        _log.exception("unexpected error in %s", self._thread.name, exc_info=error)
        self._on_fault(
            SourceError(
                "The source failed in a way this program does not know.",
                "Open it again; if it happens again, the log says where.",
                f"{type(error).__name__}: {error}",
            )
        )

    def _close_source(self) -> None:
        try:
            self._source.close()
        except Exception:  # noqa: BLE001 - closing is the last thing; there is nothing left to save
            _log.exception("closing %s failed", self._thread.name)

    def _say_silent(self) -> None:
        if not self._is_ended:
            name = self._info.name if self._info is not None else "The source"
            self._report(
                SourceLost(
                    f"{name} has given no frame for 2 s.", "Check its cable; the record goes on without it."
                )
            )


def _checked(speed: float | None) -> float | None:
    if speed is not None and not 0.0 < speed < float("inf"):
        raise ValueError(f"speed must be greater than 0, not {speed}")
    return speed
