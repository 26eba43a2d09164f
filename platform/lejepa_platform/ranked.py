"""One of the processes that share a trial's batches: `torchrun -m lejepa_platform.ranked TASK.json`."""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from lejepa_platform.run import run_task
from lejepa_platform.task import TrialTask


def main() -> None:
    """Run this process's share of the task."""
    task = TrialTask.from_json(Path(sys.argv[1]).read_bytes())
    if task.gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if task.gpus else "gloo")
    try:
        run_task(task)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
