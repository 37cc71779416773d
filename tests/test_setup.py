"""setup_and.py, without a network: its steps (`venv`, `pip`) are written down instead of run."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


class Steps:
    """Stands in for subprocess.run: notes the command, and answers as the environment and its pip would."""

    def __init__(self, setup: ModuleType, folder: Path):
        self.setup, self.environment = setup, setup.Environment(folder)
        self.pips: list[str] = []  # the words after `pip install --quiet ...`
        self.without_cpu_build: set[str] = set()  # of {"configured", "index"}
        self.error = ""  # what pip says when it fails for good
        self.whole_pip = True

    def __call__(self, command, **_):
        if "-c" in command and "sys.version_info" in command[2]:
            known = self.whole_pip and self.environment.python.is_file()
            return subprocess.CompletedProcess(command, 0, f"{sys.version_info[:2]}\n" if known else "")
        if command[1:3] == ["-m", "venv"]:
            self.environment.bin.mkdir(parents=True, exist_ok=True)
            self.environment.python.touch()
            return subprocess.CompletedProcess(command, 0, b"", b"")
        self.pips.append(" ".join(command[7:]))
        return subprocess.CompletedProcess(command, *self.pip(command))

    def pip(self, command):
        if "--no-deps" in command:
            source = "index" if "--index-url" in command else "configured"
            missing = source in self.without_cpu_build
            return (1, b"", b"ERROR: No matching distribution found for torch") if missing else (0, b"", b"")
        return (1, b"", self.error.encode()) if self.error else (0, b"", b"")


@pytest.fixture
def setup(monkeypatch, tmp_path):
    """The module, for a checkout in a folder whose name has a space, on a Linux machine without an NVIDIA card."""
    spec = importlib.util.spec_from_file_location("setup_and", ROOT / "setup_and.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkout = tmp_path / "a checkout"
    checkout.mkdir()
    (checkout / "pyproject.toml").write_text("[project]\n")
    (checkout / "constraints.txt").write_text("# tested\ntorch==9.8.7\n")
    monkeypatch.setattr(module, "ROOT", checkout)
    monkeypatch.setattr(module, "has_nvidia", lambda: False)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module.os, "chdir", lambda path: None)
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("QUICKSTUDY_VENV", raising=False)
    return module


@pytest.fixture
def steps(setup, monkeypatch):
    steps = Steps(setup, setup.ROOT / ".venv")
    monkeypatch.setattr(setup.subprocess, "run", steps)
    return steps


@pytest.fixture
def became(setup, monkeypatch):
    """The commands that would have taken over the process."""
    commands: list[list[str]] = []
    monkeypatch.setattr(setup, "become", lambda *command: commands.append([str(word) for word in command]) or 0)
    return commands


CPU_BUILD = "--no-deps torch==9.8.7+cpu"
PACKAGE = "-c constraints.txt -e ."


def test_usage(setup, capsys):
    assert setup.main([]) == 2
    assert "setup_and.py study" in capsys.readouterr().err
    assert setup.main(["--help"]) == setup.main(["-h"]) == 0
    assert "setup_and.py study" in capsys.readouterr().out


@pytest.mark.parametrize("version", [(3, 6), (3, 10), (3, 99)])
def test_a_python_that_does_not_fit_is_told_so(setup, steps, monkeypatch, capsys, version):
    monkeypatch.setattr(setup.sys, "version_info", version)
    assert setup.main(["study"]) == 2
    assert f"this is 3.{version[1]}" in capsys.readouterr().err
    assert not steps.pips


def test_an_old_python_can_parse_it():
    ast.parse((ROOT / "setup_and.py").read_text(), feature_version=(3, 6))


def test_without_ensurepip_it_says_what_to_install(setup, steps, monkeypatch, capsys):
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    assert setup.main(["study"]) == 2
    assert "apt install python3-venv" in capsys.readouterr().err


def test_the_second_run_takes_no_step(setup, steps, became, capsys):
    assert setup.main(["study", "--shots", "1 2"]) == 0
    assert steps.pips == [CPU_BUILD, PACKAGE]
    assert "Ready in" in capsys.readouterr().err
    setup.main(["study"])
    setup.main(["list"])
    assert len(steps.pips) == 2
    assert capsys.readouterr().err == ""
    program = str(steps.environment.bin / "quickstudy")
    assert became == [[program, "study", "--shots", "1 2"], [program, "study"], [program, "list"]]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_file_is_installed_again(setup, steps, became, name):
    setup.main(["study"])
    with (setup.ROOT / name).open("a") as file:
        file.write("# changed\n")
    setup.main(["study"])
    assert steps.pips.count(PACKAGE) == 2


def test_the_tests_bring_the_dev_extra_once(setup, steps, became):
    for word in ("study", "test", "test", "study"):
        setup.main([word])
    assert [words for words in steps.pips if words != CPU_BUILD] == [PACKAGE, PACKAGE + "[dev]"]
    assert became[1][1:5] == ["-P", "-m", "pytest", "-n"]


def test_a_failing_pip_is_shown_and_the_next_run_goes_on(setup, steps, became, capsys):
    steps.error = "ERROR: no space left on device"
    assert setup.main(["study"]) == 1
    told = capsys.readouterr().err
    assert "no space left" in told and "goes on from here" in told and "Traceback" not in told
    assert not became
    steps.error = ""
    assert setup.main(["study"]) == 0
    assert len(became) == 1


@pytest.mark.parametrize(
    ("missing", "sources", "warned"),
    [
        (set(), 1, False),
        ({"configured"}, 2, False),
        ({"configured", "index"}, 2, True),
    ],
)
def test_the_cpu_build_is_looked_for_first(setup, steps, became, capsys, missing, sources, warned):
    steps.without_cpu_build = missing
    assert setup.main(["study"]) == 0
    looked_for = [CPU_BUILD, f"{CPU_BUILD} {' '.join(setup.CPU_WHEELS)}"][:sources]
    assert steps.pips == [*looked_for, PACKAGE]
    assert ("3 GB" in capsys.readouterr().err) is warned


def test_with_an_nvidia_card_the_cuda_build_is_announced(setup, steps, became, monkeypatch, capsys):
    monkeypatch.setattr(setup, "has_nvidia", lambda: True)
    setup.main(["study"])
    assert steps.pips == [PACKAGE]
    assert "3 GB" in capsys.readouterr().err


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_elsewhere_the_usual_wheel_is_the_cpu_build(setup, steps, became, monkeypatch, platform):
    monkeypatch.setattr(setup.sys, "platform", platform)
    setup.main(["study"])
    assert steps.pips == [PACKAGE]


def packages_of(environment) -> Path:
    return environment.folder / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"


def test_a_torch_that_is_there_is_kept(setup, steps, became):
    (packages_of(steps.environment) / "torch-9.8.7.dist-info").mkdir(parents=True)
    (packages_of(steps.environment) / "torch-9.8.7.dist-info" / "INSTALLER").touch()
    steps.environment.stamp.write_text("unfinished")
    setup.main(["study"])
    assert steps.pips == [PACKAGE]


def test_a_half_copied_package_is_copied_again(setup, steps, became):
    half = packages_of(steps.environment) / "torch-9.8.7+cpu.dist-info"
    half.mkdir(parents=True)
    steps.environment.stamp.write_text("unfinished")
    setup.main(["study"])
    assert not half.exists()
    assert steps.pips == [CPU_BUILD, PACKAGE]


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX environments")
def test_an_environment_whose_python_is_gone_is_mended(setup, steps, became):
    setup.main(["study"])
    python = steps.environment.python
    python.unlink()
    python.symlink_to("/nowhere/python")
    setup.main(["study"])
    assert python.is_file() and not python.is_symlink()


def test_a_folder_with_other_things_is_left_alone(setup, steps, monkeypatch, tmp_path, capsys):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").touch()
    monkeypatch.setenv("QUICKSTUDY_VENV", str(tmp_path / "letters"))
    assert setup.main(["study"]) == 2
    assert "QUICKSTUDY_VENV" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["dear.txt"]


def test_another_folder_may_be_named(setup, steps, became, monkeypatch, tmp_path):
    monkeypatch.setenv("QUICKSTUDY_VENV", str(tmp_path / "elsewhere"))
    steps.environment = setup.Environment(tmp_path / "elsewhere")
    setup.main(["study"])
    assert Path(became[0][0]).is_relative_to(tmp_path / "elsewhere")
    assert not (setup.ROOT / ".venv").exists()


def test_ctrl_c_ends_without_a_traceback(setup, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(setup.subprocess, "run", interrupted)
    assert setup.main(["study"]) == 130


def test_check_goes_on_after_a_failure_and_ends_with_the_tests(setup, steps, monkeypatch, capfd):
    for name in ("benchmarks/speed.py", "benchmarks/_shared.py", "docs/make.py"):
        (setup.ROOT / name).parent.mkdir(exist_ok=True)
        (setup.ROOT / name).touch()
    called: list[str] = []
    monkeypatch.setattr(setup.os, "cpu_count", lambda: 1)  # one script at a time, so that their order is known

    def call(command, cwd):
        assert cwd == str(setup.ROOT)
        called.append(" ".join(command[1:]).replace("-P -m ", ""))
        return int("format" in command)

    def run(command, **how):
        if not command[1].endswith(".py"):
            return steps(command, **how)
        call(command, how["cwd"])
        return subprocess.CompletedProcess(command, 3 * ("speed" in command[1]), b"says")

    monkeypatch.setattr(setup.subprocess, "call", call)
    monkeypatch.setattr(setup.subprocess, "run", run)
    assert setup.main(["check"]) == 1
    assert called[:3] == ["ruff check", "ruff format --check", "mypy"]
    assert called[3:5] == ["benchmarks/speed.py --quick", "docs/make.py --check"]
    assert called[5].startswith("pytest -n auto") and len(called) == 6
    out = capfd.readouterr().out
    assert out.index("== benchmarks/speed.py --quick") < out.index("says") < out.index("== docs/make.py --check")
    assert out.endswith("check: FAILED: ruff format --check, benchmarks/speed.py --quick\n")


def test_the_exit_status_of_the_program_is_passed_on(setup, steps, monkeypatch):
    monkeypatch.setattr(setup, "become", lambda *command: 7)
    assert setup.main(["study"]) == 7
