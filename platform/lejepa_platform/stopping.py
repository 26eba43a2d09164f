"""Tidy stops: at the first SIGTERM or Ctrl-C a command ends in good order, and within a limit; at the second at once.

Python runs signal handlers in its main thread, and not while that waits in a library. A thread beside it therefore
reads the numbers of the signals from a socket that the interpreter's C code writes them to, and ends the process, and
all that descends from it, when the time is up or a second signal comes.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, NoReturn

import psutil

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
STOPPED: Final = "stopped; the same command continues"
TIDY_SECONDS: Final = 12.0
"""What a tidy stop may take before it is an untidy one."""
_installed: list[signal.Signals] = []
_asked: list["Stopped"] = []
_said = threading.Lock()
_writers: list[socket.socket] = []
"""Open until the process ends, since signals are written to it until then."""


class Stopped(KeyboardInterrupt):
    """This process was asked to stop."""

    def __init__(self, number: int) -> None:
        """Remember which signal it was, and what had been started by then: some of it loses its parent on the way."""
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number
        self.begun = descendants()


@contextmanager
def stoppable() -> Iterator[None]:
    """Have SIGTERM and SIGINT raise `Stopped` in the main thread, which then has `TIDY_SECONDS` to end the process.

    The process has to end behind this block once it was stopped: it is ended otherwise. A signal that whoever started
    this process has had ignored, as nohup does, stays so. In another than the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread() or _installed:
        yield
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    threading.Thread(target=_watch, args=(reader,), name="stop-watch", daemon=True).start()
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    _installed.extend(number for number in SIGNALS if before[number] is not signal.SIG_IGN)
    _writers.append(writer)
    take_signals()
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not _asked:
            _restore(before, descriptor)
            raise
        # The watch goes on until the process has ended: it may yet hang on its way out.
        kill([*_asked[0].begun, *descendants()])
        # Ray puts a KeyboardInterrupt of its own in place of what a handler raised.
        raise _asked[0] from interrupt
    except BaseException:
        _restore(before, descriptor)
        raise
    else:
        _restore(before, descriptor)


def _restore(before: Mapping[signal.Signals, Any], descriptor: int) -> None:
    _installed.clear()
    _asked.clear()
    signal.set_wakeup_fd(descriptor)
    for number, handler in before.items():
        signal.signal(number, handler)
    _writers.pop().close()


def take_signals() -> None:
    """Take the signals again from a library that has put its own handlers in place of those of `stoppable`."""
    for number in _installed:
        signal.signal(number, _raise)


def _say(line: str) -> None:
    """Past Python's own buffers, which another thread may hold."""
    if _said.acquire(blocking=False):
        # The cursor that a live table has hidden.
        shown = "\x1b[?25h" if os.isatty(2) else ""
        os.write(2, f"{shown}{line}\n".encode())


def _raise(number: int, frame: FrameType | None) -> None:
    _asked.append(Stopped(number))
    raise _asked[0]


def _watch(reader: socket.socket) -> None:
    """Wait for a first signal, then for the end, a second one or the time that is up, whichever comes first."""
    with reader:
        if (number := _next_signal(reader)) is None:
            return
        begun = descendants()
        reader.settimeout(TIDY_SECONDS)
        with suppress(TimeoutError):
            if _next_signal(reader) is None:
                return
        end_now(128 + number, STOPPED, begun)


def end_now(exit_code: int, line: str, others: Sequence[psutil.Process] = ()) -> NoReturn:
    """End this process from any of its threads, with all that descends from it, without tidying anything up.

    Args:
        exit_code: Of this process.
        line: What is said once, on standard error.
        others: To be killed as well.
    """
    _say(line)
    kill([*others, *descendants()])
    os._exit(exit_code)


def _next_signal(reader: socket.socket) -> int | None:
    """The next signal that stops; None once the block has ended."""
    while data := reader.recv(1):
        if data[0] in _installed:
            return data[0]
    return None


def descendants() -> list[psutil.Process]:
    """Every process that this one has started, and they, and so on; those in front of what they started."""
    return list(psutil.Process().children(recursive=True))


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes, those that have ended excepted."""
    for process in processes:
        with suppress(psutil.Error):
            process.kill()
