"""`lejepa submit`: run a command on a Ray cluster, with this folder's code, through Ray's Jobs API."""

import asyncio
import hashlib
import logging
import os
import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from lejepa_platform.entry import PLACES, ray_token
from lejepa_platform.errors import ClusterError
from lejepa_platform.ledger import StudyLedger

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

LEFT_OUT = ("/studies/", "/data/", "/.venv/", "/venv/", ".git/", "build/", "dist/", "*.egg-info/", "__pycache__/",
            ".cache/", ".*_cache/", "mlruns/", "mlflow.db")  # fmt: skip
"""What of a folder is not sent, besides what its .gitignore names."""
ANSWERING_SECONDS = 10.0
_ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True, kw_only=True, slots=True)
class Submit:
    """Run a command on a Ray cluster with this folder's code: lejepa submit --wait -- python sweeps/...."""

    command: tyro.conf.Positional[tuple[str, ...]]
    """What to run, behind `--`; its --storage is a folder that all nodes see."""
    address: str | None = None
    """Of the cluster's Jobs API; by default RAY_API_SERVER_ADDRESS, or http://127.0.0.1:8265."""
    study: str | None = None
    """What the job is called; by default as the command's --study, or as its script with a hash of its arguments."""
    wait: bool = False
    """Show what the command prints until it ends, and end as it does."""

    def run(self) -> int:
        """Submit, or follow what runs already; returns the exit code of the command, 0 without --wait."""
        if not self.command:
            raise ClusterError("submit came without a command; say it as in: lejepa submit --wait -- python "
                               "sweeps/lambda_stability.py --storage /shared/studies")  # fmt: skip
        name = self.study or job_name(self.command)
        # The same names as for studies.
        StudyLedger.at(Path(), name)
        folder = Path.cwd()
        check_command(self.command, folder)
        client = connect(self.address or os.environ.get("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:8265"))
        entrypoint = shlex.join(self.command)
        job = _running(client, name, entrypoint, follow=self.wait) or _submit(client, name, entrypoint, folder)
        if self.wait:
            return follow(client, job)
        print(f"submitted as {job}; the same command with --wait follows it, `ray job stop {job}` ends it")
        return 0


def job_name(command: Sequence[str]) -> str:
    """What the job of a command is called: the same command again has the same name."""
    for word, behind in zip(command, [*command[1:], ""], strict=True):
        if word == "--study" or word.startswith("--study="):
            return word.partition("=")[2] or behind
    script = next((word for word in command if word.endswith(".py")), command[0])
    return f"{Path(script).stem}-{hashlib.sha256(shlex.join(command).encode()).hexdigest()[:6]}"


def check_command(command: Sequence[str], folder: Path) -> None:
    """Refuse what could only fail on the cluster, or be lost with the job.

    Raises:
        ClusterError: If the script is not in the folder, or a study would be kept in the job's own folder.
    """
    scripts = [word for word in command if word.endswith(".py")]
    for script in scripts[:1]:
        if Path(script).is_absolute() or not (folder / script).is_file():
            raise ClusterError(f"{script} came, a file below {folder} was wanted: that is the folder that is sent")
    runs = any(script.startswith("sweeps/") for script in scripts) or list(command[:3]) == ["lejepa", "paper", "run"]
    if runs and not _shared_storage(command):
        raise ClusterError(
            "a study came without --storage, or with one in the folder that is sent, which goes with the job; say a "
            "folder that all nodes see: --storage /shared/studies"
        )


def connect(address: str) -> "JobSubmissionClient":
    """A client of a cluster's Jobs API.

    Raises:
        ClusterError: If it cannot be reached, or lets nobody in without a token, or without another one.
    """
    token = ray_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        request = urllib.request.Request(f"{address}/api/version", headers=headers)
        urllib.request.urlopen(request, timeout=ANSWERING_SECONDS).close()
    except urllib.error.HTTPError as error:
        what = {401: "wants a token and none was found", 403: "refuses the token that was found"}.get(error.code)
        raise ClusterError(
            f"the Ray cluster at {address} {what} ({error.code}); looked for in: {PLACES}"
            if what
            else f"{address} answers {error.code}, a Ray dashboard's Jobs API was wanted; say --address http://HOST:8265"
        ) from error
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address}: {error}; say where with --address http://HOST:8265"
        ) from error
    # Here, not at the top: the other commands start without Ray.
    from ray.job_submission import JobSubmissionClient

    # What Ray packs and sends; its loggers have levels of their own.
    logging.disable(logging.WARNING)
    return JobSubmissionClient(address, headers=headers)


def follow(client: "JobSubmissionClient", job: str) -> int:
    """Print what a job prints until it ends; returns its exit code."""
    asyncio.run(_print_logs(client, job))
    info = client.get_job_info(job)
    if info.status == "SUCCEEDED":
        return 0
    if not info.driver_exit_code:
        # Otherwise the message repeats what was printed.
        print(f"job {job} {info.status.lower()}: {' '.join((info.message or '').split())}", file=sys.stderr)
    return info.driver_exit_code or 1


async def _print_logs(client: "JobSubmissionClient", job: str) -> None:
    """A connection that breaks is made again, and goes on where it broke."""
    printed = 0
    while True:
        passed = 0
        try:
            async for text in client.tail_job_logs(job):
                new = text[max(0, printed - passed) :]
                passed += len(text)
                printed = max(printed, passed)
                sys.stdout.write(new)
                sys.stdout.flush()
        except (OSError, RuntimeError) as error:
            print(f"the job's output is interrupted: {error}", file=sys.stderr)
        if client.get_job_status(job) in _ENDED:
            return
        await asyncio.sleep(1)


def _running(client: "JobSubmissionClient", name: str, entrypoint: str, *, follow: bool) -> str | None:
    """The job of this name that has not ended.

    Raises:
        ClusterError: If it is not to be followed, or is another command.
    """
    for job, info in _attempts(client, name).items():
        if info.status not in _ENDED:
            if follow and info.entrypoint == entrypoint:
                print(f"job {job} runs already; this is what it prints", file=sys.stderr)
                return job
            raise ClusterError(
                f"job {job} runs already ({info.entrypoint}); follow it with the same command and --wait, or end it "
                f"with `ray job stop {job}`"
            )
    return None


def _attempts(client: "JobSubmissionClient", name: str) -> dict[str, Any]:
    """Jobs of a name, those that ended included."""
    jobs = {job.submission_id: job for job in client.list_jobs() if job.submission_id}
    return {job: info for job, info in jobs.items() if job == name or job.startswith(f"{name}.attempt")}


def _submit(client: "JobSubmissionClient", name: str, entrypoint: str, folder: Path) -> str:
    before = len(_attempts(client, name))
    here = (folder / "platform" / "lejepa_platform").is_dir()
    # Relative to where the folder is unpacked. LEJEPA_ADDRESS: the command runs on the cluster that it was sent to.
    variables = {"PYTHONPATH": "platform:." if here else ".", "LEJEPA_ADDRESS": "auto"}
    try:
        return client.submit_job(
            entrypoint=entrypoint,
            submission_id=f"{name}.attempt{before + 1}" if before else name,
            runtime_env={"working_dir": str(folder), "excludes": list(LEFT_OUT), "env_vars": variables},
        )
    except (RuntimeError, ValueError) as error:
        raise ClusterError(f"the cluster did not take the job: {str(error).strip().splitlines()[0]}") from error


def _shared_storage(command: Sequence[str]) -> bool:
    for word, behind in zip(command, [*command[1:], ""], strict=True):
        if word == "--storage" or word.startswith("--storage="):
            value = word.partition("=")[2] or behind
            return Path(value).is_absolute() or "://" in value
    return False
