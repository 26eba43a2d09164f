"""The questions about an experiment's runs that whoever remembers an earlier answer asks."""

from collections.abc import Iterator
from typing import Any, Final

PAGE: Final = 1000
STAMP: Final = "mirrored"
"""Tag of a trial's run: how much of the trial it holds, written last."""
MIRRORED_AT: Final = "mirrored_at"
"""Tag of a trial's run: when it was last written to, in seconds since 1970. A reader asks for what is new only."""
OVERLAP: Final = 60
"""Seconds before the start of a reading that the next one looks at again: what was written meanwhile may be missed."""
TRIALS: Final = "tags.role = 'trial'"


def pages(client: Any, experiment_id: str, text: str = "", *view: Any) -> Iterator[Any]:
    """Every run that a filter finds and that was not deleted, page by page.

    Args:
        client: Of MLflow.
        experiment_id: The study's.
        text: The filter.
        view: Another of MLflow's `ViewType`.
    """
    token = None
    while True:
        page = client.search_runs([experiment_id], text, *view, max_results=PAGE, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def written_since(client: Any, experiment_id: str, since: int, now: int) -> Iterator[Any]:
    """Runs of trials that were written to in this second or later.

    Args:
        client: Of MLflow.
        experiment_id: The study's.
        since: In seconds since 1970.
        now: Likewise.
    """
    # MLflow finds a tag's prefix fast, but takes seconds to sort by a tag, and has no other order for texts. Rounded,
    # it takes fewer questions.
    for prefix in prefixes(since // 10 * 10, (now // 1000 + 2) * 1000 - 1):
        yield from pages(client, experiment_id, f"tags.{MIRRORED_AT} LIKE '{prefix}%'")


def deleted(client: Any, experiment_id: str) -> set[str]:
    """Ids of runs of trials that were deleted."""
    from mlflow.entities import ViewType

    return {run.info.run_id for run in pages(client, experiment_id, TRIALS, ViewType.DELETED_ONLY)}


def prefixes(low: int, high: int) -> list[str]:
    """The fewest decimal prefixes that numbers of one length begin with, if and only if they lie in [low, high]."""
    found = []
    while low <= high:
        digits = 0
        while low % 10 ** (digits + 1) == 0 and low + 10 ** (digits + 1) - 1 <= high:
            digits += 1
        found.append(str(low // 10**digits))
        low += 10**digits
    return found
