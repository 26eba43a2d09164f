"""Numbers as pages and terminals show them."""

from typing import Any

import pandas as pd


def signed(points: float, digits: int = 1) -> str:
    """A number with a true minus sign, and no minus zero."""
    text = f"{points:.{digits}f}"
    return text.replace("-", "" if float(text) == 0 else "−")


def plus(number: float, digits: int = 2) -> str:
    """The same with a sign always, where it says which way."""
    return f"{'+' if number > 0 else ''}{signed(number, digits)}"


def percent(value: float | None) -> str:
    """A fraction for people; missing ones as a dash."""
    return "–" if value is None or pd.isna(value) else f"{value:.1%}".replace("%", " %")


def number(value: Any) -> str:
    """A number to four digits, anything else as it is; missing ones as a dash."""
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
