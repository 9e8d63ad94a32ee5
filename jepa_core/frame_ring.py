"""Shared-memory ring of frames: written once by the window's process, read by both processes, never copied.

A slot is lent. Every holder counts: in this process the array handed out (and every view derived from it) holds the
slot until it is garbage; the engine process holds it from `lend` to `release`. A slot is written again only when all
have let go. With none free `write` gives None and the frame goes on as a row without pixels, so a late reader can
never see another frame's pixels. Needs no torch.

The creator unlinks the segment; whoever attaches never does. Spawned children share the parent's resource tracker,
which unlinks the segment should the parent be killed.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sized
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

import numpy as np
from numpy.typing import NDArray

from jepa_core.errors import OutOfMemory

Shape = tuple[int, int, int]

_ATTACHING = threading.Lock()


@dataclass(frozen=True, slots=True)
class RingFrame:
    """A frame in its slot. The slot stays taken as long as `rgb`, or any view of it, exists."""

    slot: int
    rgb: NDArray[np.uint8]  # (H, W, 3), read-only, in shared memory


class _Lent:
    """The base of an array that lies in a slot: keeps the segment mapped, and is what dies last of all views."""

    __slots__ = ("__array_interface__", "__weakref__", "_segment")

    def __init__(self, segment: SharedMemory, address: int, shape: Shape) -> None:
        self._segment = segment  # SharedMemory unmaps itself when nobody refers to it
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": "|u1", "data": (address, True)}


class FrameRing:
    """Slots of equal size in one shared segment.

    `write`, `lend`, `release` and `close` may come from different threads. Arrays may outlive `close`: their memory
    is unmapped when the last of them is gone.
    """

    def __init__(self, segment: SharedMemory, slots: int, slot_bytes: int, *, is_owner: bool) -> None:
        """Use `create` or `attach`."""
        self.name = segment.name
        self.slots = slots
        self.slot_bytes = slot_bytes
        self._is_owner = is_owner
        self._segment: SharedMemory | None = segment
        self._address = _address_of(segment)
        self._lock = threading.Lock()
        self._free: deque[int] = deque(range(slots))  # longest free first
        self._here = [0] * slots  # arrays alive in this process
        self._lent = [0] * slots  # holds of the engine process
        # Arrays die at any moment, also while this thread is inside the lock: their slots wait here, lock-free.
        self._dropped: deque[int] = deque()
        self._refused = 0

    @classmethod
    def create(cls, slots: int, slot_bytes: int) -> FrameRing:
        """A new segment of `slots` frames of at most `slot_bytes` each. OutOfMemory when there is no room for it."""
        if slots < 1 or slot_bytes < 1:
            raise ValueError(f"a ring of {slots} slots of {slot_bytes} bytes holds nothing")
        size = slots * slot_bytes
        try:
            segment = SharedMemory(create=True, size=size)
        except OSError as error:
            raise _no_room(size, error) from error
        try:
            _reserve(segment, size)
        except OSError as error:
            segment.close()
            segment.unlink()
            raise _no_room(size, error) from error
        return cls(segment, slots, slot_bytes, is_owner=True)

    @classmethod
    def attach(cls, name: str, slots: int, slot_bytes: int) -> FrameRing:
        """The ring of another process, for reading. FileNotFoundError when it is gone."""
        return cls(_attach(name), slots, slot_bytes, is_owner=False)

    @property
    def refused(self) -> int:
        """Frames that found no free slot."""
        with self._lock:
            return self._refused

    @property
    def free(self) -> int:
        """Slots that could be written now."""
        with self._lock:
            self._collect()
            return len(self._free)

    def fits(self, nbytes: int) -> bool:
        """Can a frame of this size lie in a slot? A source that grew needs a new ring."""
        return nbytes <= self.slot_bytes

    def write(self, rgb: NDArray[np.uint8]) -> RingFrame | None:
        """Copy a (H, W, 3) uint8 frame into a free slot; None when every slot is held. Never waits.

        ValueError when the frame is larger than a slot: ask `fits` first.
        """
        if rgb.dtype != np.uint8 or rgb.ndim != 3:
            raise ValueError(f"a frame is (H, W, 3) uint8, not {rgb.shape} {rgb.dtype}")
        if not self.fits(rgb.nbytes):
            raise ValueError(f"a frame of {rgb.nbytes} bytes does not fit a slot of {self.slot_bytes}")
        with self._lock:
            segment = self._segment
            self._collect()
            if segment is None or not self._free:
                self._refused += 1
                return None
            slot = self._free.popleft()
            self._here[slot] = 1  # ours while we copy
        shape: Shape = rgb.shape
        np.copyto(np.ndarray(shape, np.uint8, buffer=segment.buf, offset=slot * self.slot_bytes), rgb)
        view = self._view(segment, slot, shape, self._dropped.append)
        return RingFrame(slot, view)

    def read(self, slot: int, shape: Shape) -> NDArray[np.uint8]:
        """The pixels of a slot that somebody holds for us: (H, W, 3), read-only. Let go before you release it.

        ValueError for a slot or a size that this ring does not have.
        """
        segment = self._segment
        if segment is None or not 0 <= slot < self.slots or not self.fits(int(np.prod(shape))):
            raise ValueError(f"ring {self.name} has no slot {slot} of {shape}")
        return self._view(segment, slot, shape, None)

    def lend(self, slot: int) -> None:
        """The engine process holds this slot too, until `release`. Call while an array of it is alive."""
        with self._lock:
            if self._here[slot] + self._lent[slot] == 0:
                raise ValueError(f"slot {slot} is free; only a frame somebody still holds can be lent")
            self._lent[slot] += 1

    def release(self, slot: int) -> None:
        """The engine process let go of this slot. A second release of the same hold changes nothing."""
        with self._lock:
            if self._lent[slot]:
                self._lent[slot] -= 1
                self._free_if_unheld(slot)

    def release_all(self) -> None:
        """The engine process died: all of its holds are over."""
        with self._lock:
            for slot in range(self.slots):
                if self._lent[slot]:
                    self._lent[slot] = 0
                    self._free_if_unheld(slot)

    def close(self) -> None:
        """Give the segment back; the creator unlinks it. Arrays that still exist stay readable. May be called twice."""
        with self._lock:
            segment, self._segment = self._segment, None
        if segment is not None and self._is_owner:
            segment.unlink()

    def _view(
        self, segment: SharedMemory, slot: int, shape: Shape, on_death: Callable[[int], None] | None
    ) -> NDArray[np.uint8]:
        lent = _Lent(segment, self._address + slot * self.slot_bytes, shape)
        if on_death is not None:
            weakref.finalize(lent, on_death, slot).atexit = False
        return np.asarray(lent)

    def _collect(self) -> None:
        """Count the arrays that died since we last looked. Called under the lock."""
        while self._dropped:
            slot = self._dropped.popleft()
            self._here[slot] -= 1
            self._free_if_unheld(slot)

    def _free_if_unheld(self, slot: int) -> None:
        if self._here[slot] == 0 and self._lent[slot] == 0:
            self._free.append(slot)


def _address_of(segment: SharedMemory) -> int:
    return int(np.ndarray((1,), np.uint8, buffer=segment.buf).__array_interface__["data"][0])


def _reserve(segment: SharedMemory, size: int) -> None:
    """Claim the memory now. Linux gives it out at the first write, and ends the process if there is none left then."""
    fd = getattr(segment, "_fd", -1)
    if sys.platform == "linux" and fd >= 0:
        os.posix_fallocate(fd, 0, size)


def _no_room(size: int, error: OSError) -> OutOfMemory:
    return OutOfMemory(
        f"There is no room for {size / 1e6:.0f} MB of shared memory.",
        "Free some in /dev/shm; in a container, start it with a larger --shm-size.",
        str(error),
    )


def _attach(name: str) -> SharedMemory:
    """Open a segment without telling the resource tracker.

    Before Python 3.13 (`track=False`), attaching registers the segment as if this process had made it; the tracker,
    which a spawned child shares with its parent, would then report a leak where there is none (gh-82300).
    """
    if sys.version_info >= (3, 13):
        return SharedMemory(name, track=False)
    with _ATTACHING:
        register = resource_tracker.register
        resource_tracker.register = _leave_alone
        try:
            return SharedMemory(name)
        finally:
            resource_tracker.register = register


def _leave_alone(name: Sized, rtype: str) -> None:
    """Stands in for resource_tracker.register while attaching."""
