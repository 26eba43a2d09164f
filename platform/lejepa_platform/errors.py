"""What can go wrong with a study, as a person should read it.

lejepa_core.LejepaError
└── PlatformError
    ├── StudyError          a study that cannot be made, opened or continued
    ├── StorageError        a folder that cannot be read or written
    ├── TrackingError       a tracker that cannot be reached
    ├── ClusterError        a cluster that cannot be reached, or is too small
    └── SupersededError     a write by an attempt that a newer one has replaced
"""

from lejepa_core.errors import LejepaError


class PlatformError(LejepaError):
    """Root of this package's errors."""


class StudyError(PlatformError):
    """A study cannot be made, opened or continued."""


class StorageError(PlatformError):
    """A folder cannot be read or written."""


class TrackingError(PlatformError):
    """The tracking server cannot be reached."""


class ClusterError(PlatformError):
    """The Ray cluster cannot be reached, or cannot hold a single trial."""


class SupersededError(PlatformError):
    """An older attempt at a trial tried to write after a newer one had started."""
