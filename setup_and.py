#!/usr/bin/env python3
"""Set quickstudy up in an environment of its own, and run it there.

    python3 setup_and.py study [...]     quickstudy study ..., and so for every other command of quickstudy
    python3 setup_and.py test [...]      the tests, as many at a time as there are cores: pytest ...
    python3 setup_and.py check           all that CI checks

The first run needs a network and a few minutes; later runs start at once. The environment is the folder .venv
beside this file, or the one that QUICKSTUDY_VENV names; it may be deleted at any time.
"""

# Standard library only, and nothing that Python 3.6 trips over before main(): one that is too old is to say so itself.
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)  # newest: the last for which there is a wheel of the torch in constraints.txt
ROOT = Path(__file__).resolve().parent
TESTS = ["pytest", "-n", "auto", "--maxprocesses", "4", "--dist", "worksteal"]
CPU_WHEELS = ["--index-url", "https://download.pytorch.org/whl/cpu", "--retries", "1", "--timeout", "15"]


class Stop(Exception):
    """The exit status (1: an installation failed, 2: something must be changed first) and what the human is told."""


class Environment:
    """A virtual environment with a stamp of what it holds. It is only ever added to, so an interrupted one goes on."""

    def __init__(self, folder):
        self.folder, self.stamp = folder, folder / "quickstudy-stamp"
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / ("python.exe" if os.name == "nt" else "python")

    def is_ready(self, extra):
        stamp = self.stamp.read_text().split() if self.python.exists() and self.stamp.exists() else []
        return stamp in ([self.fingerprint(), extra], [self.fingerprint(), "dev"])

    def fingerprint(self):
        files = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
        return hashlib.sha256(repr([sys.version_info[:2], ROOT, self.folder, *files]).encode()).hexdigest()

    def set_up(self, extra):
        """Bring it to `extra`: "run", or "dev", which includes "run". Costs milliseconds if nothing is to be done."""
        if self.is_ready(extra):
            return
        self.claim()
        start = time.monotonic()
        say(f"Setting up {self.folder} " + ("again ..." if self.python.exists() else "(first time: a few minutes) ..."))
        with alone(self.stamp):
            if self.is_ready(extra):
                return
            self.stamp.write_text("unfinished")
            self.make()
            self.fill(extra)
            self.stamp.write_text(f"{self.fingerprint()} {extra}")
            say(f"Ready in {time.monotonic() - start:.0f} s.")

    def claim(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in self.folder.iterdir()}
        if names and not names & {"pyvenv.cfg", self.stamp.name}:
            raise Stop(2, f"{self.folder} is no virtual environment: let QUICKSTUDY_VENV name another folder.")

    def make(self):
        """The bare environment, with pip. What an earlier run left half done is mended."""
        for package in self.folder.glob("[Ll]ib/**/site-packages/*.dist-info"):
            if not (package / "INSTALLER").exists():  # the last file of a package that pip writes
                shutil.rmtree(package)
        if self.has_pip():
            return
        if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
            raise Stop(2, "This Python cannot make environments. On Debian and Ubuntu: sudo apt install python3-venv")
        for link in filter(Path.is_symlink, self.bin.glob("python*")):  # to another Python, perhaps one that is gone
            link.unlink()
        run(sys.executable, "-m", "venv", self.folder)

    def has_pip(self):
        """Whether it has a whole pip, and the version of Python that runs this file."""
        probe = "import sys, importlib.metadata as m; m.version('pip'); print(sys.version_info[:2])"
        done = self.python.exists() and subprocess.run([str(self.python), "-c", probe], capture_output=True, text=True)
        return done and done.stdout.strip() == str(sys.version_info[:2])

    def fill(self, extra):
        """The package, editable. On Linux the usual torch is the CUDA build, so the CPU build is looked for first."""
        pip = [self.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        torch = re.search(r"^torch==\S+", (ROOT / "constraints.txt").read_text(), re.M).group()
        held = any(self.folder.glob(f"lib/python3.{sys.version_info[1]}/site-packages/{torch.replace('==', '-')}*"))
        if sys.platform == "linux" and not held:
            cpu_build = [*pip, "--no-deps", torch + "+cpu"]  # alone, so that no other package comes from that index
            if has_nvidia():
                say("NVIDIA card found: the CUDA build of torch is installed, a download of about 3 GB.")
            elif not (run(*cpu_build, may_miss=True) or run(*cpu_build, *CPU_WHEELS, may_miss=True)):
                say(f"No CPU build of {torch} can be had from {CPU_WHEELS[1]}, so the usual build is installed:")
                say("with its CUDA libraries a download of about 3 GB. (Ctrl-C stops; a later run tries again.)")
        run(*pip, "-c", "constraints.txt", "-e", ".[dev]" if extra == "dev" else ".")


def alone(path):
    """A lock on `path`: a second set-up waits for the first, or for a pip that outlived it. None on Windows."""
    lock = path.open("a")
    if os.name != "nt":
        import fcntl

        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def run(*command, may_miss=False):
    """One step of the set-up, silent unless it fails. False if pip finds no such distribution and it `may_miss`."""
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "close_fds": False}  # so that the lock is handed on
    done = subprocess.run([str(word) for word in command], cwd=str(ROOT), **quiet)
    output = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode and not (may_miss and "No matching distribution" in output):
        raise Stop(1, f"{output}\nThe set-up stopped for the reason above. The same command again goes on from here.")
    return done.returncode == 0


def has_nvidia():
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def say(text):
    print(text, file=sys.stderr, flush=True)


def check(python, arguments):
    """All that CI checks, also after a failure. The tests come last, so that their summary stands near the end."""
    tools = [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]]
    scripts = [[f"benchmarks/{path.name}", "--quick"] for path in sorted((ROOT / "benchmarks").glob("[!_]*.py"))]
    scripts += [
        [name, *more] for name, *more in (["docs/make.py", "--check"], [".ci/audit.py"]) if (ROOT / name).exists()
    ]

    def shown(step):
        print("\n==", *step, flush=True)
        return subprocess.call([str(python), "-P", "-m", *step], cwd=str(ROOT))

    def held_back(step):
        done = subprocess.run([str(python), *step], cwd=str(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print("\n==", *step, "\n" + done.stdout.decode(errors="replace"), end="", flush=True)
        return done.returncode

    codes = [(step, shown(step)) for step in tools]
    with ThreadPoolExecutor(os.cpu_count()) as several:
        codes += zip(scripts, several.map(held_back, scripts), strict=True)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many tests run at a time as there are cores
    codes += [(TESTS, shown([*TESTS, *arguments]))]
    failed = [" ".join(step) for step, code in codes if code]
    print("\ncheck: " + ("FAILED: " + ", ".join(failed) if failed else "all passed"))
    return 1 if failed else 0


def become(*command):
    """Run the command in this process's stead; on Windows, which has no such thing, wait for it."""
    command = [str(word) for word in command]
    return subprocess.call(command) if os.name == "nt" else os.execv(command[0], command)


def main(words):
    if not words or words[0] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        versions = "quickstudy runs on Python {}.{} to {}.{}".format(*OLDEST, *NEWEST)
        say(versions + ", and this is {}.{}. Try, say: python3.12 setup_and.py ...".format(*sys.version_info))
        return 2
    environment = Environment(Path(os.environ.get("QUICKSTUDY_VENV") or ROOT / ".venv").expanduser().absolute())
    try:
        environment.set_up("dev" if words[0] in ("test", "check") else "run")
        os.environ.setdefault("GOMP_SPINCOUNT", "5000")  # as the command line does: src/quickstudy/cli/main.py says why
        os.environ["PATH"] = str(environment.bin) + os.pathsep + os.environ.get("PATH", "")
        if words[0] == "check":
            return check(environment.python, words[1:])
        if words[0] != "test":
            return become(environment.bin / "quickstudy", *words)
        os.chdir(str(ROOT))
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        return become(environment.python, "-P", "-m", *TESTS, *words[1:])
    except Stop as stop:
        status, message = stop.args
        say(message)
        return status
    except OSError as error:
        say(f"{error}\nThe set-up stopped there. If it does so again, delete {environment.folder} and start anew.")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
