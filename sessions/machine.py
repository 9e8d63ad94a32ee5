"""Facts about the machine and the program, gathered without importing anything heavy and without running programs.

What goes into `environment_json` of a session: OS, processor, graphics card and driver, package versions, thread
counts, determinism flags. Reads a handful of small files; never raises because one is missing.
"""

from __future__ import annotations

import functools
import os
import platform
import sys
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from jepa_core.types import JSON

PACKAGES = ("numpy", "torch", "h5py", "opencv-python-headless", "opencv-python", "av", "PySide6-Essentials",
            "PySide6", "pyqtgraph", "vispy", "safetensors", "PyYAML", "psutil", "platformdirs")  # fmt: skip
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
DETERMINISM_VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "PYTHONHASHSEED", "NVIDIA_TF32_OVERRIDE")

_ROOT = Path(__file__).resolve().parent.parent


def environment(extra: Mapping[str, JSON] | None = None) -> dict[str, JSON]:
    """Facts of now; `extra` (device, dtype, torch's thread count as the engine says them) is laid over them."""
    facts: dict[str, JSON] = {
        "os": platform.platform(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "is_frozen": bool(getattr(sys, "frozen", False)),
        "cpu": _cpu(),
        "cpu_count": os.cpu_count() or 0,
        "memory_bytes": _memory_bytes(),
        "gpus": _gpus(),
        "gpu_driver": _gpu_driver(),
        "packages": _packages(),
        "threads": {name: os.environ.get(name, "") for name in THREAD_VARIABLES},
        "determinism": {name: os.environ.get(name, "") for name in DETERMINISM_VARIABLES},
    }
    facts.update(extra or {})
    return facts


@functools.cache
def producer() -> str:
    """Name, version and commit of the console."""
    return f"jepa-console {_version()} {_commit()}"


@functools.cache
def package_version(*names: str) -> str:
    """Version of the first of these that is installed."""
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


def clock_sources() -> tuple[str, str]:
    """What the monotonic and the wall clock are, in words; the wall clock's discipline is not knowable from here."""
    mono = {"linux": "CLOCK_MONOTONIC", "darwin": "mach_absolute_time", "win32": "QueryPerformanceCounter"}
    return mono.get(sys.platform, "monotonic"), "system clock, discipline unknown"


def _version() -> str:
    try:
        project = tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        return str(project["version"])
    except (OSError, KeyError, ValueError):
        return "unknown"


def _commit() -> str:
    """The commit a checkout stands at, read from .git; a bundle has none."""
    git = _ROOT / ".git"
    try:
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head[:12]
        name = head.removeprefix("ref: ")
        if (git / name).exists():
            return (git / name).read_text("utf-8").strip()[:12]
        for line in (git / "packed-refs").read_text("utf-8").splitlines():
            if line.endswith(f" {name}"):
                return line[:12]
    except OSError:
        pass  # no checkout, or a worktree whose .git is a file: the commit is simply not known
    return "unknown"


def _packages() -> dict[str, JSON]:
    versions = {name: package_version(name) for name in PACKAGES}
    return {name: version for name, version in versions.items() if version != "unknown"}


def _cpu() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return -1


def _gpus() -> list[JSON]:
    folder = Path("/proc/driver/nvidia/gpus")
    names: list[JSON] = []
    for card in sorted(folder.iterdir()) if folder.is_dir() else []:
        names.extend(
            line.partition(":")[2].strip()
            for line in _lines(card / "information")
            if line.startswith("Model:")
        )
    return names


def _gpu_driver() -> str:
    return next(iter(_lines("/proc/driver/nvidia/version")), "")


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
