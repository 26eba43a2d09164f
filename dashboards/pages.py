"""What the pages share: their templates, style and script, and figures as the script reads them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dashboards.formats import duration, number, percent, signed

SCALED: Final = "Scaled down:"
"""How the note of a study begins that is smaller than what it stands for."""
TEMPLATES: Final = Path(__file__).parent / "templates"


def template(name: str) -> jinja2.Template:
    """A template of a page that needs no network; `style`, `script` and `plotly` are set."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": percent, "points": signed, "number": number, "duration": duration}
    environment.globals |= {
        "style": Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        "script": Markup((TEMPLATES / "report.js").read_text(encoding="utf-8")),
        "plotly": Markup(get_plotlyjs()),
    }
    return environment.get_template(name)


def banner(notes: Iterable[str]) -> str:
    """What a page says above all else: that a study is smaller than what it stands for; empty if it is not."""
    return next((note for note in notes if note.startswith(SCALED)), "")


def panels(figures: Iterable[go.Figure]) -> list[Markup]:
    """Figures as JSON in a script element."""
    return [script(figure.to_json()) for figure in figures]


def script(text: str) -> Markup:
    """JSON to stand in a script element."""
    # Only "<" can end the element early; names come from folders.
    return Markup(text.replace("<", "\\u003c"))
