"""SIGReg's time, memory, growth, start-up and share of a training step, against two peers and a bare matmul.

python tests/benchmarks/bench_sigreg.py [--quick] [--parts time,memory] [--kernel auto,eager] [--json RESULT.json]

README.md beside this file says what each table means.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from contenders import check_agreement, contenders
from sigreg_memory import run_memory
from sigreg_speed import run_growth, run_time
from sigreg_startup import run_startup
from sigreg_step import run_step
from timing import in_fresh_process, print_table

from lejepa_core.errors import LejepaError, UnknownNameError

ROOT = Path(__file__).parents[2]
PARTS = {"time": run_time, "memory": run_memory, "growth": run_growth, "startup": run_startup, "step": run_step}
QUICK_PARTS = ["time", "memory", "growth"]


def machine() -> dict[str, Any]:
    """Where the figures come from."""
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "torch": importlib.metadata.version("torch"),
        "sources": sources(),
    }


def sources() -> str:
    """Short hash of the code of ours that takes part; every measuring process reads it anew."""
    modules = [module.__file__ for name, module in sys.modules.items() if name.startswith("lejepa_core")]
    files = {Path(file) for file in modules if file} | set((ROOT / "lejepa_core").rglob("*.c"))
    return hashlib.blake2b(b"".join(path.read_bytes() for path in sorted(files)), digest_size=6).hexdigest()


def run(parts: list[str], kernels: list[str], quick: bool) -> dict[str, Any]:
    """Check that all compute the same thing, then measure part by part.

    Raises:
        UnknownNameError: If there is no such part.
        SettingError: If a kernel cannot be had, or the contenders do not agree.
    """
    for part in parts:
        if part not in PARTS:
            raise UnknownNameError("part", part, PARTS, "python tests/benchmarks/bench_sigreg.py --help")
    here = machine()
    print(", ".join(f"{name} {value}" for name, value in here.items()))
    names = contenders(kernels)
    agreement = in_fresh_process(1, check_agreement, names)
    print_table(
        "All compute the same thing: means over 50 draws at 256 x 64 x 256",
        ("contender", "value", "d value / d scale"),
        [(name, f"{value:.4f}", f"{slope:.3f}") for name, (value, slope) in agreement.items()],
    )
    figures = {part: PARTS[part](names, quick=quick) for part in parts}
    return {"machine": here | {"sources_afterwards": sources()}, "agreement": agreement} | figures


def _plain(value: Any) -> Any:
    """Named tuples as JSON objects, where json would make lists of them."""
    if hasattr(value, "_asdict"):
        return value._asdict()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def main() -> None:
    """Print the tables, and write the figures as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--parts", help=f"of {','.join(PARTS)}; default: all, with --quick {','.join(QUICK_PARTS)}")
    parser.add_argument("--kernel", default="auto,eager", help="which of ours to time")
    parser.add_argument("--quick", action="store_true", help="few rounds")
    arguments = parser.parse_args()
    # The profiler's own chatter; read when torch's library starts in the processes that measure.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    default = QUICK_PARTS if arguments.quick else list(PARTS)
    parts = arguments.parts.split(",") if arguments.parts else default
    try:
        figures = run(parts, arguments.kernel.split(","), arguments.quick)
    except LejepaError as error:
        parser.exit(2, f"{error}\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(_plain(figures), indent=1) + "\n")
    if figures["machine"]["sources"] != figures["machine"]["sources_afterwards"]:
        parser.exit(2, "lejepa_core changed during the run, so the tables mix two versions: run it again\n")


if __name__ == "__main__":
    main()
