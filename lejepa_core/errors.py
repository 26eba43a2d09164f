"""What can go wrong before or during a trial, as a person should read it.

LejepaError                 anything this project raises on purpose
├── UnknownNameError        a name that no registry holds, with its nearest neighbours
├── SettingError            a setting outside its range, or two that exclude each other
└── DataError               images that are missing, unreadable or too few

Every message is one line: what came, what was wanted, what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class LejepaError(Exception):
    """Root of the errors a person can act on; command lines print it and exit with 2."""


class SettingError(LejepaError):
    """A setting is outside its range, or contradicts another."""


class DataError(LejepaError):
    """Images are missing, unreadable or too few."""


class UnknownNameError(LejepaError):
    """A name is in no registry."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str) -> None:
        """Compose the line.

        Args:
            kind: What the name should have been, as in "architecture".
            name: The name that came.
            known: The names that exist.
            hint: How to list them.
        """
        known = sorted(known)
        near = get_close_matches(name, known, n=3, cutoff=0.5) or known[:3]
        super().__init__(f"unknown {kind} {name!r}; closest: {', '.join(near)}. List them: {hint}")
