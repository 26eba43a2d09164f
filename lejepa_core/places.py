"""Where this machine keeps what can be made again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$LEJEPA_CACHE_DIR`, by default lejepa in `$XDG_CACHE_HOME` or `~/.cache`; it need not exist."""
    given = os.environ.get("LEJEPA_CACHE_DIR")
    return Path(given or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "lejepa").expanduser()
