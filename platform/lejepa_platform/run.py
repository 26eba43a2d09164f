"""The one function that executors run: whatever a task's trial lacks, pretraining or evaluations on other data sets."""

from lejepa_core.distributed import rank
from lejepa_platform.ledger import TrialResult
from lejepa_platform.task import TrialTask
from lejepa_platform.transfer import evaluate_elsewhere
from lejepa_platform.trial import run_trial


def run_task(task: TrialTask) -> TrialResult | None:
    """Run a task to its end in this process, or this process's share of it.

    A finished trial is not trained again: its stored encoder is evaluated on what it lacks.

    Returns:
        The result of the trial; None on ranks other than 0, and for a trial that was finished before.

    Raises:
        DataError: If images are not those that the study was made for.
        SupersededError: If a newer attempt was started meanwhile.
    """
    result = None
    if not task.ledger.finished():
        if rank() == 0:
            task.ledger.forget_transfer()
        result = run_trial(task)
    if rank() == 0:
        evaluate_elsewhere(task)
    return result
