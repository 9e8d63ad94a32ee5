"""Sets everything up beside itself and starts it: `python3 run.py demo`, `python3 run.py test`.

Standard library only, because it runs before anything is installed. Owns the folder `.venv` beside it and nothing
else: it makes it, fills it with what pyproject.toml asks for in the versions of constraints.txt, and makes it again
when it was left half made. It never changes another environment, and never replaces a torch that already fits.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
UNFINISHED = VENV / ".unfinished"  # there while pip changes the folder; found at the start, it was cut short
PIP_LOG = VENV / "pip.log"
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

VERBS = {
    "setup": "make .venv and install what the program needs",
    "demo": "set up, then open the console on the embedded world (without a display: 20 s headless)",
    "test": "set up, then format, lint, types, import laws and every test; options go to pytest",
    "lint": "format, lint, types and import laws only",
    "bench": "measure on this machine; `bench NAME ...` one program of tests/benchmarks",
    "bundle": "make one folder in dist/ that runs without Python, and start it once",
}

# What Qt opens when it loads → Debian's package, Fedora's package. The first group is needed even without a screen.
LIBRARIES_ALWAYS = {
    "libGL.so.1": ("libgl1", "libglvnd-glx"),
    "libEGL.so.1": ("libegl1", "libglvnd-egl"),
    "libxkbcommon.so.0": ("libxkbcommon0", "libxkbcommon"),
    "libfontconfig.so.1": ("libfontconfig1", "fontconfig"),
    "libdbus-1.so.3": ("libdbus-1-3", "dbus-libs"),
    "libgthread-2.0.so.0": ("libglib2.0-0", "glib2"),
}
LIBRARIES_ON_X11 = {
    "libxcb-cursor.so.0": ("libxcb-cursor0", "xcb-util-cursor"),
    "libxkbcommon-x11.so.0": ("libxkbcommon-x11-0", "libxkbcommon-x11"),
    "libxcb-icccm.so.4": ("libxcb-icccm4", "xcb-util-wm"),
    "libxcb-image.so.0": ("libxcb-image0", "xcb-util-image"),
    "libxcb-keysyms.so.1": ("libxcb-keysyms1", "xcb-util-keysyms"),
    "libxcb-render-util.so.0": ("libxcb-render-util0", "xcb-util-renderutil"),
    "libxcb-shape.so.0": ("libxcb-shape0", "libxcb"),
    "libxcb-xkb.so.1": ("libxcb-xkb1", "libxcb"),
    "libX11-xcb.so.1": ("libx11-xcb1", "libX11-xcb"),
}


class Stop(Exception):
    """Not a fault of the program: one sentence for the person, a hint, and an exit code."""

    def __init__(self, what: str, hint: str = "", code: int = 3) -> None:
        super().__init__(what)
        self.what, self.hint, self.code = what, hint, code


def main(arguments: list[str]) -> int:
    verb, options = (arguments[0], arguments[1:]) if arguments else ("", [])
    if verb in ("", "-h", "--help", "help"):
        say(__doc__.split("\n")[0] + "\n")
        for name, does in VERBS.items():
            say(f"  python3 run.py {name:8}{does}")
        return 0 if verb else 2
    try:
        check_python()
        if verb not in VERBS:
            raise Stop(f"There is no verb {verb!r}.", f"Choose one of: {', '.join(VERBS)}.", code=2)
        return {"setup": setup, "demo": demo, "test": test, "lint": lint, "bench": bench, "bundle": bundle}[
            verb
        ](options)
    except Stop as stop:
        say(stop.what, error=True)
        if stop.hint:
            say(stop.hint, error=True)
        return stop.code
    except KeyboardInterrupt:
        say("\nStopped. The same command goes on where it can, and starts again where it must.", error=True)
        return 130


# ---- verbs


def setup(options: list[str]) -> int:
    if options:
        raise Stop(f"`setup` takes no options, got {' '.join(options)}.", "Leave them out.", code=2)
    prepare()
    say("Ready. Open it with: python3 run.py demo")
    return 0


def demo(options: list[str]) -> int:
    prepare()
    return hand_over([str(PYTHON), str(ROOT / "main.py"), "demo", *options])


def lint(options: list[str]) -> int:
    if options:
        raise Stop(f"`lint` takes no options, got {' '.join(options)}.", "Leave them out.", code=2)
    prepare("test")
    results = static_checks()
    report(results)
    return 0 if all(code == 0 for _, code, _, _ in results) else 1


def test(options: list[str]) -> int:
    """Everything a change must pass. With options only the tests they choose run, and the static checks do not."""
    prepare("test")
    ensure_xvfb()
    from tests import leftovers  # standard library only, like this file

    leftovers.adopt_orphans()
    results = [] if options else static_checks()
    before = leftovers.traces(ROOT)
    home = Path(tempfile.mkdtemp(prefix="jepa-console-run-"))
    counts_file = home / "counts.json"
    environment = {**clean_environment(), "TMPDIR": str(home), "JEPA_CONSOLE_TEST_REPORT": str(counts_file)}
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(
        VENV / "cache/inductor"
    )  # else torch makes a folder in TMPDIR
    command = [
        "-m",
        "pytest",
        "-q",
        "--basetemp",
        str(home / "pytest"),
        "--benchmark-disable",
        *options,
    ]
    say("-- pytest")
    started = time.monotonic()
    try:
        code = leftovers.wait_for(subprocess.Popen([str(PYTHON), *command], cwd=ROOT, env=environment))
        counts = json.loads(counts_file.read_text()) if counts_file.exists() else {}
        kinds = [name for name in ("passed", "failed", "error", "skipped") if counts.get(name)]
        nothing = "no test ran" if counts else "it died before it could count"
        note = ", ".join(f"{counts[name]} {name}" for name in kinds) or nothing
        results.append(("pytest", code, time.monotonic() - started, note))
        counts_file.unlink(missing_ok=True)
        shutil.rmtree(home / "pytest", ignore_errors=True)
        left = leftovers.since(before, ROOT, home)
        results.append(("left behind", 1 if left else 0, 0.0, "; ".join(left) or "nothing"))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    report(results)
    ran = sum(counts.get(name, 0) for name in ("passed", "failed", "error"))
    say(f"{ran} tests ran, {counts.get('skipped', 0)} were skipped.")
    if options:
        say("The static checks did not run because options were given; `run.py lint` runs them.")
    return 0 if all(result[1] == 0 for result in results) else 1


def bench(options: list[str]) -> int:
    """`bench` measures everything; `bench NAME ...` one of the programs in tests/benchmarks, with its own options."""
    prepare("test", "bench")
    programs = sorted(path.stem for path in (ROOT / "tests/benchmarks").glob("[a-z]*.py"))
    programs = [name for name in programs if not name.startswith("test_")]
    if options and options[0] not in programs:
        raise Stop(f"There is no benchmark {options[0]!r}.", f"Choose one of: {', '.join(programs)}.", code=2)
    chosen, rest = (options[:1], options[1:]) if options else (programs, [])
    codes = []
    for name in chosen:
        say(f"-- {name}")
        codes.append(run_python(["-m", f"tests.benchmarks.{name}", *rest], clean_environment()))
    return max(codes)


def bundle(options: list[str]) -> int:
    prepare("bundle")
    spec = str(ROOT / "assets/packaging/console.spec")
    folders = ["--distpath", str(ROOT / "dist"), "--workpath", str(ROOT / "build")]
    code = run_python(["-m", "PyInstaller", spec, "--noconfirm", *folders, *options], clean_environment())
    if code != 0:
        raise Stop("The bundle could not be made.", "PyInstaller's last lines above say why.", code=1)
    program = ROOT / "dist/jepa-console" / ("jepa-console.exe" if os.name == "nt" else "jepa-console")
    fault = try_bundle(program)
    if fault:
        raise Stop(f"{program} was made but does not work.", fault, code=1)
    say(f"Made {program}; it draws its window and looks.")
    return 0


def try_bundle(program: Path) -> str:
    """Draw a live window once: what a bundle forgets is missed only in use. The fault in words, or nothing."""
    with tempfile.TemporaryDirectory(prefix="jepa-console-bundle-") as folder:
        picture = Path(folder, "window.png")
        command = [str(program), "demo", "--screenshot", str(picture), "--after", "4"]
        environment = {**clean_environment(), "QT_QPA_PLATFORM": "offscreen"}
        try:
            tried = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=90, env=environment
            )
        except subprocess.TimeoutExpired:
            return "It did not draw its window within 90 s."
        if tried.returncode == 0 and picture.exists():
            return ""
        return tried.stderr.strip()[-500:] or f"It ended with {tried.returncode} and drew nothing."


# ---- setting up


def check_python() -> None:
    if sys.version_info >= (3, 11):  # noqa: UP036 - this file is what an older Python meets first
        return
    version = ".".join(str(part) for part in sys.version_info[:3])
    newer = [
        name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name) and works(name)
    ]
    hint = (
        f"Type: {newer[0]} run.py {' '.join(sys.argv[1:])}"
        if newer
        else "Get one from https://www.python.org/."
    )
    raise Stop(f"The console needs Python 3.11 or newer; this is {version}.", hint)


def works(python: str) -> bool:
    """A version manager may have a name for a Python that is not switched on."""
    return subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode == 0


def prepare(*groups: str) -> None:
    """Makes `.venv` hold the program's packages and those of the groups; free when it already does."""
    ensure_packages("runtime")
    for group in groups:
        ensure_packages(group)
    ensure_libraries()


def fingerprint(group: str) -> str:
    parts = [group.encode(), str(VENV).encode()]
    parts += [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def requirements(group: str) -> list[str]:
    import tomllib  # Python 3.11, checked by then

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return list(project["dependencies"] if group == "runtime" else project["optional-dependencies"][group])


def is_stamped(group: str) -> bool:
    stamp = VENV / f".ready-{group}"
    return stamp.exists() and stamp.read_text() == fingerprint(group) and not UNFINISHED.exists()


def ensure_packages(group: str) -> None:
    if PYTHON.exists() and is_stamped(group):
        return
    ensure_venv()
    wanted = requirements(group)
    has_torch = (
        subprocess.run([str(PYTHON), "-c", "import torch"], capture_output=True, check=False).returncode == 0
    )
    size = " (some hundred MB the first time)" if group == "runtime" and not has_torch else ""
    say(f"Installing the {group} packages into .venv{size} ...")
    pip_install(wanted, extra=[] if has_torch else torch_index())
    (VENV / f".ready-{group}").write_text(fingerprint(group))


def ensure_venv() -> None:
    if VENV.exists() and not is_sound(VENV):
        if any(VENV.iterdir()) and not (VENV / "pyvenv.cfg").exists() and not UNFINISHED.exists():
            raise Stop(f"{VENV} is there but is not a Python environment.", "Move it away and try again.")
        say("The .venv here was left half made; making it again.")
        shutil.rmtree(VENV)
    if VENV.exists():
        return
    VENV.mkdir()
    UNFINISHED.touch()
    command = [sys.executable, "-m", "venv", str(VENV)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0 and "ensurepip" in made.stdout + made.stderr:
        package = f"python3.{sys.version_info[1]}-venv"  # Debian keeps ensurepip in a package of its own
        if not apt_install([package]):
            raise Stop("This Python cannot make environments.", f"Type: {apt_command([package])}")
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        detail = (made.stderr or made.stdout).strip().splitlines()
        raise Stop(
            f"{VENV} could not be made: {detail[-1] if detail else 'no reason given'}.", "Is the disk full?"
        )
    UNFINISHED.unlink()


def is_sound(venv: Path) -> bool:
    """Whether pip runs in there and the last installation was not cut short."""
    if UNFINISHED.exists() or not PYTHON.exists():
        return False
    return subprocess.run([str(PYTHON), "-c", "import pip"], capture_output=True, check=False).returncode == 0


def pip_install(wanted: list[str], extra: list[str]) -> None:
    """Raises Stop with one sentence; pip's own words stay in `.venv/pip.log`."""
    PIP_LOG.unlink(missing_ok=True)
    UNFINISHED.touch()
    quiet = [] if sys.stdout.isatty() else ["-q", "--progress-bar", "off"]
    command = [str(PYTHON), "-m", "pip", "install", *quiet, "--no-input", "--only-binary", ":all:"]
    command += ["--retries", "3", "--disable-pip-version-check", "--log", str(PIP_LOG)]
    command += ["-c", str(ROOT / "constraints.txt"), *extra, *wanted]
    code = subprocess.run(command, stderr=subprocess.DEVNULL, env=clean_environment(), check=False).returncode
    log = PIP_LOG.read_text(encoding="utf-8", errors="replace") if PIP_LOG.exists() else ""
    if code == 0:
        UNFINISHED.unlink()
        PIP_LOG.unlink(missing_ok=True)
        return
    if "Installing collected packages" not in log:
        UNFINISHED.unlink()  # pip gave up before it changed anything
    if "No space left" in log:
        raise Stop("The disk is full.", "The packages need about 2 GB; make room and type the same again.")
    offline = (
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeout",
        "ReadTimeout",
        "Connection refused",
    )
    if any(word in log for word in offline):
        raise Stop(
            "The packages could not be downloaded: the package index does not answer.",
            "Connect to the network, or set PIP_INDEX_URL to your mirror, and type the same again.",
        )
    if "No matching distribution found" in log or "DistributionNotFound" in log:
        raise Stop(
            f"The index has no ready-made packages for Python {sys.version_info[0]}.{sys.version_info[1]} here.",
            f"Python 3.11 to 3.13 on Linux, Windows and Apple silicon have them; which is missing: {PIP_LOG}",
        )
    raise Stop("The packages could not be installed.", f"pip's own words are in {PIP_LOG}.")


def torch_index() -> list[str]:
    """The CPU builds' index, where it saves gigabytes: Linux without an NVIDIA driver, when it answers.

    PyPI's Linux torch carries CUDA. Where the person has configured pip, their configuration is left alone.
    """
    has_nvidia = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi")  # the second: WSL
    if not sys.platform.startswith("linux") or has_nvidia:
        return []
    shown = subprocess.run(
        [str(PYTHON), "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    if any(word in shown.stdout for word in ("index-url", "find-links", "no-index")):
        return []
    try:
        with urllib.request.urlopen(f"{TORCH_CPU_INDEX}/torch/", timeout=4):
            return ["--extra-index-url", TORCH_CPU_INDEX]
    except (urllib.error.URLError, OSError):
        return []


# ---- the system


def ensure_libraries() -> None:
    if not sys.platform.startswith("linux") or is_stamped("system"):
        return
    always, on_x11 = absent(LIBRARIES_ALWAYS), absent(LIBRARIES_ON_X11)
    table = {**LIBRARIES_ALWAYS, **LIBRARIES_ON_X11}
    missing = [*always, *on_x11]
    if missing and apt_install(sorted({table[name][0] for name in missing})):
        always, on_x11 = absent(LIBRARIES_ALWAYS), absent(LIBRARIES_ON_X11)
    if not always and not on_x11:
        (VENV / ".ready-system").write_text(fingerprint("system"))
        return
    debian = sorted({table[name][0] for name in (*always, *on_x11)})
    fedora = sorted({table[name][1] for name in (*always, *on_x11)})
    if shutil.which("apt-get"):
        hint = f"Type: {apt_command(debian)}"
    elif shutil.which("dnf"):
        hint = f"Type: sudo dnf install -y {' '.join(fedora)}"
    else:
        hint = "Install the packages of your system that contain them."
    what = f"Qt needs libraries that are not on this machine: {', '.join([*always, *on_x11])}."
    if always:
        raise Stop(what, hint)
    if os.environ.get("DISPLAY"):
        say(what + " Without them a window opens only on Wayland.", error=True)
        say(hint, error=True)


def absent(libraries: dict[str, tuple[str, str]]) -> list[str]:
    missing = []
    for name in libraries:
        try:
            ctypes.CDLL(name)  # what Qt itself will do; asking ldconfig is a guess
        except OSError:
            missing.append(name)
    return missing


def apt_command(packages: list[str]) -> str:
    return f"sudo apt-get update && sudo apt-get install -y {' '.join(packages)}"


def apt_install(packages: list[str]) -> bool:
    """Installs Debian packages as root, without questions. False where that is not possible here."""
    if shutil.which("apt-get") is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    say(f"Installing system packages: {' '.join(packages)} ...")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    patient = [
        "apt-get",
        "-qq",
        "-o",
        "DPkg::Lock::Timeout=120",
    ]  # another apt may be at work on a fresh machine
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*patient, *command], env=environment, capture_output=True, check=False)
    return done.returncode == 0


def ensure_xvfb() -> None:
    """Some tests need a real display; Xvfb is one without a screen."""
    if not sys.platform.startswith("linux") or shutil.which("Xvfb"):
        return
    packages = ["xvfb", "libgl1-mesa-dri"]
    if not apt_install(packages):
        say("Xvfb is not here: the tests that need a display are skipped and counted.")
        say(f"To run them too, type: {apt_command(packages)}" if shutil.which("apt-get") else "")


# ---- running


def clean_environment() -> dict[str, str]:
    """Without the paths of another Python: a ROS shell, say, would put its packages before ours."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def hand_over(command: list[str]) -> int:
    """Becomes the program where the system can, so that signals and exit codes are its own."""
    sys.stdout.flush()
    if os.name == "posix":
        os.execve(command[0], command, clean_environment())
    return subprocess.run(command, env=clean_environment(), check=False).returncode


def run_python(arguments: list[str], environment: dict[str, str]) -> int:
    return subprocess.run([str(PYTHON), *arguments], cwd=ROOT, env=environment, check=False).returncode


def static_checks() -> list[tuple[str, int, float, str]]:
    checks = {
        "ruff format": ["-m", "ruff", "format", "--check", "."],
        "ruff check": ["-m", "ruff", "check", "."],
        "mypy": ["-m", "mypy"],
        "import laws": ["-c", LINT_IMPORTS, "--no-logo", "--cache-dir", str(VENV / "cache/importlinter")],
    }
    results = []
    for name, command in checks.items():
        say(f"-- {name}")
        started = time.monotonic()
        code = run_python(command, clean_environment())
        results.append((name, code, time.monotonic() - started, ""))
    return results


def report(results: list[tuple[str, int, float, str]]) -> None:
    say("")
    for name, code, seconds, note in results:
        say(f"  {name:12} {'ok' if code == 0 else 'FAILED':7}{seconds:6.1f} s  {note}".rstrip())


def say(text: str, error: bool = False) -> None:
    print(text, file=sys.stderr if error else sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
