"""The one function that executors run: whatever a task's trial lacks, pretraining or measurements of its encoder."""

from lejepa_core.distributed import alone, rank
from lejepa_platform.child import describe_error
from lejepa_platform.config import TrialConfig
from lejepa_platform.errors import SupersededError
from lejepa_platform.ledger import TrialResult, Wanted
from lejepa_platform.protocols import measure_protocol
from lejepa_platform.task import TrialTask
from lejepa_platform.transfer import evaluate_elsewhere
from lejepa_platform.trial import pinned, run_trial


def run_task(task: TrialTask) -> TrialResult | None:
    """Run a task to its end in this process, or this process's share of it.

    A finished trial is not trained again: its stored encoder is measured by what it lacks.

    Returns:
        The result of the trial; None on ranks other than 0, and for a trial that was finished before.

    Raises:
        DataError: If images are not those that the study was made for.
        SupersededError: If a newer attempt was started meanwhile.
    """
    result = None
    if not task.ledger.finished():
        if rank() == 0:
            task.ledger.forget_measured()
        result = run_trial(task)
    if rank() == 0:
        measure_lacking(task)
    return result


def measure_lacking(task: TrialTask) -> None:
    """Measure a finished trial's encoder by all that it lacks, one after the other, each written once it is there.

    A failure is written as well, and the others are measured all the same.

    Raises:
        SupersededError: If a newer attempt was started meanwhile.
        Exception: The first failure, once all have had their turn: this process may not be what it was.
    """
    failures = []
    with pinned(task.threads), alone():
        while (lacking := task.ledger.lacks(task.wanted)) != Wanted():
            try:
                _measure_first(task, lacking)
            except SupersededError:
                raise
            except Exception as error:
                failures.append(error)
                task.ledger.give_up(task.wanted, *describe_error(error), all_of_it=False)
    if failures:
        raise failures[0]


def _measure_first(task: TrialTask, lacking: Wanted) -> None:
    config = TrialConfig.from_flat(task.config)
    if lacking.protocols:
        measure_protocol(task, config, next(iter(lacking.protocols)))
    else:
        evaluate_elsewhere(task, config, next(iter(lacking.evaluate_on)))
