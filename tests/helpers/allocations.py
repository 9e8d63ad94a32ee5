"""What a piece of work takes from the CPU's allocator, kernels' own buffers included: torch's profiler as a witness."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

_EVENT = "[memory]"


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that stood in memory at one moment of the work, on top of what was there before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        work()
    results = profiled.profiler.kineto_results  # type: ignore[union-attr]  # there is one once it has run
    events = [event for event in results.events() if event.name() == _EVENT]
    if not events:
        raise RuntimeError("the profiler saw no allocation")
    live = peak = 0
    for event in sorted(events, key=lambda one: one.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def is_seen() -> bool:
    """Does the profiler of this torch see allocations at all?"""
    try:
        return peak_bytes(lambda: torch.ones(1 << 20)) >= 4 << 20
    except (RuntimeError, AttributeError):
        return False
