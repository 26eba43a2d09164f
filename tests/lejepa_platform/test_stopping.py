"""Signals to real processes that end well, hang on their way out, or ignore them."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

BEGIN = """
import signal, subprocess, sys, time
from lejepa_platform import stopping
from lejepa_platform.cli import guarded
{before}
def command():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        print(child.pid, flush=True)
        time.sleep(600)
    except KeyboardInterrupt:
        # As Ray's waits do.
        raise KeyboardInterrupt from None
    finally:
        print("tidied", flush=True)
        time.sleep({tidying})
sys.exit(guarded(command))
"""


def command(*, tidying: float = 0, before: str = "") -> tuple[subprocess.Popen[str], psutil.Process]:
    """A command of ours, once it has a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN.format(tidying=tidying, before=before)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout
    return process, psutil.Process(int(process.stdout.readline()))


def ended(process: subprocess.Popen[str], child: psutil.Process) -> tuple[int, str]:
    """Exit code and standard error of a command that has taken its own process along."""
    _, err = process.communicate()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running()
    return process.returncode, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_a_command_in_good_order(number: signal.Signals, code: int) -> None:
    process, child = command()
    process.send_signal(number)
    assert ended(process, child) == (code, "stopped; the same command continues\n")


def test_a_second_signal_ends_it_at_once() -> None:
    process, child = command(tidying=600)
    process.send_signal(signal.SIGTERM)
    assert process.stdout and process.stdout.readline() == "tidied\n"
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert ended(process, child) == (143, "stopped; the same command continues\n")
    assert time.monotonic() - start < 2


def test_a_command_that_hangs_on_its_way_out_is_ended() -> None:
    process, child = command(tidying=600, before="stopping.TIDY_SECONDS = 1")
    process.send_signal(signal.SIGINT)
    assert ended(process, child) == (130, "stopped; the same command continues\n")


def test_a_signal_that_was_ignored_from_the_start_stays_so() -> None:
    process, child = command(before="signal.signal(signal.SIGINT, signal.SIG_IGN)")
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(signal.SIGTERM)
    assert ended(process, child)[0] == 143
