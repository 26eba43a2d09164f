"""Compile the C source once per machine and keep the library on disk."""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from lejepa_core.places import cache_folder

LOG = logging.getLogger("lejepa")
SOURCE = Path(__file__).with_name("epps_pulley.c")
FLAGS = ("-O3", "-march=native", "-ffp-contract=fast", "-fno-math-errno", "-fPIC", "-shared")
MOST_KNOTS = 64
"""Beyond, the unrolled loops would no longer fit into the instruction cache."""
COMPILE_SECONDS = 120


@cache
def load_library(knots: int) -> ctypes.CDLL | None:
    """The compiled kernels for this many knots after the one at 0; None where they cannot be had.

    The library lies in `$LEJEPA_CACHE_DIR`, by default `~/.cache/lejepa`, under a hash of source, compiler, flags and
    processor, so that machines of different kinds may share the folder.
    """
    compiler = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or not 1 <= knots <= MOST_KNOTS or os.name != "posix":
        return None
    try:
        return _declared(ctypes.CDLL(str(_compiled(compiler, knots))))
    except (OSError, subprocess.SubprocessError) as error:
        LOG.warning("SIGReg's kernels could not be compiled, going on with slower ones: %s", _reason(error))
        return None


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, word = ctypes.c_void_p, ctypes.c_uint32
    # The rows, first row, how many, their width, scratch.
    common: list[type[Any]] = [pointer, ctypes.c_long, ctypes.c_long, ctypes.c_long, pointer]
    own: dict[str, list[type[Any]]] = {
        "moments": [ctypes.c_float, pointer],
        "gradient": [ctypes.c_float, pointer],
        "statistic": [ctypes.c_float, pointer, pointer, ctypes.c_double, ctypes.c_int, pointer],
        "directions": [word, word, word, word],
    }
    for name, types in own.items():
        function = getattr(library, f"lejepa_{name}")
        function.argtypes, function.restype = common + types, None
    return library


def _compiled(compiler: str, knots: int) -> Path:
    path = _folder() / f"epps_pulley-{_fingerprint(compiler, knots)}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            command = [*compiler.split(), *FLAGS, f"-DKNOTS={knots}", str(SOURCE), "-o", str(made), "-lm"]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=COMPILE_SECONDS)
            made.replace(path)
    return path


def _folder() -> Path:
    """A folder of the user's own, since what lies there is executed."""
    folder = cache_folder() / "kernels"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o022:
        raise PermissionError(f"{folder} can be written by others; set LEJEPA_CACHE_DIR to a folder of your own")
    return folder


def _fingerprint(compiler: str, knots: int) -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    processor = next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
    program = Path(shutil.which(compiler.split()[0]) or compiler).resolve()
    # Its time of change stands for its version, which would take a process to ask for.
    version = str(program.stat().st_mtime_ns) if program.exists() else ""
    parts = (SOURCE.read_text(), *FLAGS, compiler, str(program), version, platform.machine(), processor, str(knots))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _reason(error: Exception) -> str:
    text = getattr(error, "stderr", None) or str(error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
