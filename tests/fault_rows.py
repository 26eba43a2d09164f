"""Studies from the command line, things that happen to them, and how soon they go on: for the table in tests/faults."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
PATIENCE = 900
"""Seconds that anything may take on a busy machine."""
STUDY = [
    "--architectures", "resnet10t_w32", "--lambdas", "0.02", "0.1", "0.3", "--seeds", "1", "--epochs", "24",
    "--batch-size", "16", "--image-size", "32", "--checkpoint-seconds", "0", "--max-concurrent", "2", "--study", "s",
]  # fmt: skip
TPE = ("--search", "tpe", "--trials", "4", "--max-concurrent", "1")
TWO_WORKERS = ("--workers-per-trial", "2", "--lambdas", "0.02", "0.1")
"""Trials of two processes each."""


@dataclass
class Row:
    """One row of the table: a storage folder, and every process that was started for it."""

    folder: Path
    """For the storage and everything else of the row."""
    ray: Path
    """For Ray's own files; short, since the paths of its sockets are."""
    images: Path
    arguments: Sequence[str] = ()
    """Of every command, behind those of `STUDY`."""
    seconds: float | None = None
    """From the fault to the first sign of life behind it."""
    sessions: list[int] = field(default_factory=list)
    _fault: float = 0.0

    @property
    def storage(self) -> Path:
        return self.folder / "studies"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process of the row: modules of this checkout, and a home of its own for Ray's token."""
        home = self.folder / "home"
        token = home / ".ray" / "auth_token"
        if not token.exists():
            token.parent.mkdir(parents=True, mode=0o700)
            token.write_text(secrets.token_hex(32))
            token.chmod(0o600)
        path = os.pathsep.join(str(ROOT / name) for name in (".", "platform", "tests"))
        own = {"HOME": str(home), "PYTHONPATH": path, "RAY_TMPDIR": str(self.ray), "OMP_NUM_THREADS": "1"}
        # Ray gives workers the least right to a busy CPU, and rows would wait for nothing else.
        own |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "RAY_worker_niceness": "0"}
        # A head asks for a token by default, a node that joins it has to be told to show one.
        own["RAY_AUTH_MODE"] = "token"
        return {**os.environ, **own}

    def launch(self, command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, which all that it starts belongs to."""
        with log.open("ab") as out:
            process = subprocess.Popen(
                # A shell has what it runs in the background ignore Ctrl-C.
                ["env", "--default-signal=INT", *command],
                env=self.environment,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                start_new_session=True,
            )
        self.sessions.append(process.pid)
        return process

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the study, or go on with it."""
        script = str(ROOT / "sweeps" / "lambda_stability.py")
        given = ["--datasets", f"folder:{self.images}", "--storage", str(self.storage), *self.arguments, *arguments]
        return self.launch([sys.executable, script, *STUDY, *given], self.log)

    @property
    def log(self) -> Path:
        """What the commands said."""
        return self.folder / "log"

    def end(self, process: subprocess.Popen[bytes], code: int = 0) -> None:
        """Wait until a command has ended as it should."""
        assert process.wait(PATIENCE) == code, self.log.read_text()

    def complete(self, *arguments: str) -> None:
        """The same command, to its end."""
        self.end(self.start(*arguments))

    def until(self, holds: Callable[[], Any], process: subprocess.Popen[bytes] | None = None) -> Any:
        """Wait until something holds, and return it; a process that is named has to live until then."""
        deadline = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert process is None or process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)
        return found

    def fault(self) -> None:
        """Something has happened just now."""
        self._fault = time.time()

    def recovers(self, process: subprocess.Popen[bytes], trials: Sequence[Path] = ()) -> None:
        """Wait until an epoch or a trial has ended that had not.

        Args:
            process: The driver.
            trials: Of which one ends an epoch from now on; by default any that is started anew behind the fault.
        """
        now = time.time()

        def goes_on() -> bool:
            if trials:
                return any(written(trial, now) for trial in trials)
            anew = [trial for trial in self.trials() if started(trial) > self._fault]
            return any(written(trial, started(trial)) for trial in anew)

        self.until(goes_on, process)
        self.seconds = time.time() - self._fault

    def trials(self) -> list[Path]:
        return sorted(self.storage.glob("s/trials/*"))

    def checkpoints(self) -> list[Path]:
        return sorted(self.storage.glob("s/trials/*/checkpoint/state.pt"))

    def attempts(self) -> dict[str, int]:
        """Trial key -> how often it was started."""
        return {trial.name: json.loads((trial / "attempt.json").read_text())["attempt"] for trial in self.trials()}

    def results(self) -> dict[str, dict[str, Any]]:
        return results(self.storage)

    def processes(self) -> list[psutil.Process]:
        """Everything that lives of what was started."""
        return [process for session in self.sessions for process in of_session(session)]

    def trial_processes(self) -> dict[Path, psutil.Process]:
        """Folder of a trial that runs inline -> the process that it runs in."""
        found = {}
        for process in self.processes():
            with suppress(psutil.Error, OSError):
                if "lejepa_platform.child" in process.cmdline():
                    log = Path(os.readlink(f"/proc/{process.pid}/fd/1"))
                    if log.name == "log.txt":
                        found[log.parent] = process
        return found

    def leaves_nothing(self) -> None:
        """Make sure that no process is left; Ray's own take a while to notice that their driver was killed."""
        self.until(lambda: not self.processes())


def started(trial: Path) -> float:
    """When the last attempt at a trial was."""
    with suppress(FileNotFoundError):
        return (trial / "attempt.json").stat().st_mtime
    return 0.0


def written(trial: Path, since: float) -> bool:
    """Whether a trial, or an epoch of it, has ended since; an attempt cannot change what belongs to its successor."""
    for name in ("metrics.jsonl", "result.json"):
        with suppress(FileNotFoundError):
            if (trial / name).stat().st_mtime > since:
                return True
    return False


def results(storage: Path) -> dict[str, dict[str, Any]]:
    """Trial key -> result.json."""
    return {path.parent.name: json.loads(path.read_text()) for path in storage.glob("s/trials/*/result.json")}


def assert_same(row: Row, undisturbed: Path) -> None:
    """The study is complete, and what it found is what it finds undisturbed; nothing half-written is left."""
    found, wanted = row.results(), results(undisturbed)
    assert {key: result["outcome"] for key, result in found.items()} == dict.fromkeys(wanted, "ok"), found
    assert {key: result["metrics"] for key, result in found.items()} == {
        key: result["metrics"] for key, result in wanted.items()
    }
    assert histories(row.storage) == histories(undisturbed)
    assert sorted(path.name for path in row.storage.glob("s/trials/*/**/.*")) == []
    assert row.checkpoints() == []


def histories(storage: Path) -> dict[str, list[dict[str, Any]]]:
    """Trial key -> metrics of its epochs, their time left out."""
    return {
        path.parent.name: [
            {name: value for name, value in json.loads(line).items() if name != "seconds"}
            for line in path.read_text().splitlines()
        ]
        for path in storage.glob("s/trials/*/metrics.jsonl")
    }


def of_session(session: int) -> list[psutil.Process]:
    """The living processes of a session; a zombie does not live."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill at once, as a machine dies that loses its power."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)


def named(row: Row, text: str) -> list[psutil.Process]:
    """Processes of a row whose command line begins with something, as Ray names its workers."""
    found = []
    for process in row.processes():
        with suppress(psutil.Error):
            if " ".join(process.cmdline()).startswith(text):
                found.append(process)
    return found


@contextmanager
def small_disk(folder: Path, megabytes: float) -> Iterator[Path]:
    """A disk of so many megabytes, in memory; mounting takes the rights of root."""
    folder.mkdir()
    size = f"size={round(megabytes * 1024)}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk up to so many bytes; returns the file that does."""
    ballast = disk / "ballast"
    free = os.statvfs(disk)
    ballast.write_bytes(b"\0" * max(0, free.f_bavail * free.f_frsize - leave))
    return ballast
