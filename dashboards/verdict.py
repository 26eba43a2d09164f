"""Sentences made from the numbers: the verdict, its key figures, and what a reader must be warned of."""

from dataclasses import dataclass

from dashboards.floor import floor_words
from dashboards.formats import percent, plus, signed
from dashboards.summary import Json

CELLS = "for these cells"
"""What intervals are for: other seeds and test images, the same architectures and data sets."""
MISSING = ("pending", "stopped", "oom", "timeout", "error")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyFigure:
    """One number at the top of the page."""

    value: str
    label: str
    detail: str


def verdict(numbers: Json) -> str:
    """What the study found, in one sentence, with how sure that is.

    Args:
        numbers: From `summary.numbers`.
    """
    if not numbers["cells"]:
        return _without_accuracies(numbers)
    if numbers["search"] != "grid":
        return f"{_scope(numbers)}, {_gain(numbers)}; {_search_cells(numbers)}; {_ended(numbers)}."
    parts = [f"{_scope(numbers)}, {_gain(numbers)}", _window(numbers), _fixed(numbers), _matters(numbers)]
    parts.append(_ended(numbers))
    return "; ".join(part for part in parts if part) + "."


def _scope(numbers: Json) -> str:
    values = numbers["lambdas"]["values"]
    if len(values) == 1:
        return f"At the only λ, {values[0]:g}"
    verb = "Searching" if numbers["search"] != "grid" else "Over"
    return f"{verb} λ {values[0]:.3g}–{values[-1]:.3g} ({numbers['lambdas']['decades'] or 0:.1f} decades)"


def _gain(numbers: Json) -> str:
    gain = numbers["gain"]
    if gain is None:
        best = [cell["test"] for cell in numbers["cells"]]
        return f"the λ chosen on validation reaches {percent(sum(best) / len(best))} on test (no floor was measured)"
    points, floor = gain["mean_points"], floor_words(numbers["pretrained"]).backbone
    does = f"beats {floor} by {points:.1f}" if points >= 0 else f"stays {-points:.1f}"
    what = "points" if points >= 0 else f"points below {floor}"
    subject = "the model" if len(numbers["lambdas"]["values"]) == 1 else "the λ chosen on validation"
    return f"{subject} {does} {what} on test ({interval(numbers)})"


def interval(numbers: Json) -> str:
    """The interval of the gain, or why there is none."""
    gain = numbers["gain"]
    if gain["low_points"] is None:
        return str(gain["note"])
    return f"95 % CI {signed(gain['low_points'])} to {signed(gain['high_points'])}, {CELLS}{_some(gain)}"


def _some(found: Json) -> str:
    return f", from {found['n']} of {found['cells']} cells" if found["n"] < found["cells"] else ""


def _fixed(numbers: Json) -> str:
    fixed = numbers["fixed"]
    if not fixed or fixed["cells"] < 2 or len(numbers["lambdas"]["values"]) < 2:
        return ""
    regret, most = fixed["regret"], signed(fixed["max_regret_points"])
    # Each cell's λ is chosen on validation: on test, the shared one may happen to do better.
    verb = "loses" if regret["value"] > -0.05 else "gains"
    regret = regret if verb == "loses" else _turned(regret)
    change = f"{verb} {signed(regret['value'])} points on average"
    if "n" not in regret:
        return f"one λ = {fixed['lambda']:g} for all {fixed['cells']} cells {change} and loses at most {most}"
    n, cells = regret["n"], regret["cells"]
    return (
        f"one λ for {f'all {n}' if n == cells else f'{n} of {cells}'} cells, chosen on other seeds, {change}"
        f"{_beside(regret)}; over all seeds it is {fixed['lambda']:g}, which loses at most {most} in a cell"
    )


def _turned(regret: Json) -> Json:
    """A loss as a gain, its interval and its null with it."""
    ends = {"value": "value", "low": "high", "high": "low", "null_mean": "null_mean"}
    return regret | {to: -regret[name] for to, name in ends.items() if regret.get(name) is not None}


def _window(numbers: Json) -> str:
    window = numbers["window"]
    if not window or len(numbers["lambdas"]["values"]) < 2:
        return ""
    width = f"{window['value']:.1f} decades"
    return f"the widest run of λ that lose at most {window['eps_points']:g} point spans {width}{_beside(window)}"


def _beside(found: Json) -> str:
    """An interval, or why there is none, and what it would be if λ did nothing, in brackets."""
    if "note" not in found:
        return ""
    low, high, null = found["low"], found["high"], found["null_mean"]
    parts = [found["note"] if low is None or high is None else f"95 % CI {signed(low)} to {signed(high)}{_some(found)}"]
    parts += [] if null is None else [f"{signed(null)} if λ did nothing"]
    return f" ({'; '.join(parts)})"


def _matters(numbers: Json) -> str:
    worst = numbers["worst"]
    if not worst or len(numbers["lambdas"]["values"]) < 2:
        return ""
    text = f"the worst λ costs {signed(worst['value'])} points"
    if worst.get("null_mean") is None:
        return f"{text} (one seed a cell: no telling how much of that is noise)"
    expected = f"{signed(worst['null_mean'])} if λ did nothing, p = {worst['p']:.2g}"
    if worst["low"] is not None and worst["high"] is not None:
        expected = f"95 % CI {signed(worst['low'])} to {signed(worst['high'])}{_some(worst)}; {expected}"
    return f"{text} ({expected})" if worst["p"] <= 0.05 else f"{text}, no more than noise would ({expected})"


def _search_cells(numbers: Json) -> str:
    cells = numbers["cells"]
    if len(cells) == 1:
        return f"best λ from search: {cells[0]['lambda']:.3g}"
    lambdas = [cell["lambda"] for cell in cells]
    return f"best λ from search: {min(lambdas):.3g} to {max(lambdas):.3g} over {len(cells)} cells"


def _without_accuracies(numbers: Json) -> str:
    total = sum(numbers["counts"].values())
    if numbers["unlabelled_datasets"]:
        return (
            f"{_scope(numbers)}, no accuracy can be measured, since the images have no labels; "
            f"the page shows the loss terms and the effective rank instead; {_ended(numbers)}."
        )
    if numbers["counts"].get("pending", 0) == total:
        return f"No trial has finished yet: 0 of {total}."
    return f"No trial has an accuracy to report; {_ended(numbers)}."


def _ended(numbers: Json) -> str:
    counts = numbers["counts"]
    total, fine = sum(counts.values()), counts.get("ok", 0)
    others = ", ".join(f"{n} {name}" for name, n in counts.items() if name != "ok")
    return f"{fine} of {total} trials ended ok" + (f" ({others})" if others else "")


def key_figures(numbers: Json) -> list[KeyFigure]:
    """The numbers to see first; fewer when there is less to say."""
    figures = []
    gain, several = numbers["gain"], len(numbers["lambdas"]["values"]) > 1
    if numbers["window"] and several:
        figures.append(_window_figure(numbers["window"]))
    if numbers["default_lambda"]:
        figures.append(_default_figure(numbers["default_lambda"]))
    if gain:
        label = f"over {floor_words(numbers['pretrained']).label}"
        value = f"{plus(gain['mean_points'], 1)} pts"
        figures.append(KeyFigure(value=value, label=label, detail=interval(numbers)))
    if numbers["cells"]:
        figures.append(_chosen_figure(numbers))
    if numbers["worst"] and several:
        worst = numbers["worst"]
        label = "lost with the worst λ, mean over cells"
        figures.append(KeyFigure(value=f"{signed(worst['value'])} pts", label=label, detail=detail(worst)))
    if numbers["stability"]:
        phi = numbers["stability"]["phi"]
        figures.append(
            KeyFigure(value=signed(phi["value"], 2), label="sensitivity Φ; 0: one λ fits all", detail=detail(phi, 2))
        )
    counts = numbers["counts"]
    total = sum(counts.values())
    others = ", ".join(f"{n} {name}" for name, n in counts.items() if name != "ok")
    figures.append(KeyFigure(value=f"{counts.get('ok', 0)} / {total}", label="trials ok", detail=others))
    return figures


def _window_figure(window: Json) -> KeyFigure:
    return KeyFigure(
        value=f"{window['value']:.1f} decades",
        label=f"the widest run of λ that lose at most {window['eps_points']:g} point, median cell",
        detail=detail(window),
    )


def _default_figure(default: Json) -> KeyFigure:
    near, cells = default["within_one_point"], default["cells"]
    which = f"λ = {default['lambda']:g}" + (
        "" if default["lambda"] == default["published"] else f", nearest to the published {default['published']:g},"
    )
    label = f"of cells in which {which} is within 1 point of the best"
    return KeyFigure(value=f"{100 * near / cells:.0f} %" if cells else "–", label=label, detail=f"{near} of {cells}")


def detail(found: Json, digits: int = 1) -> str:
    """An interval, or why there is none, and what it would be if λ did nothing.

    Args:
        found: An estimate of a summary.
        digits: Behind the point.
    """
    if "note" not in found:
        return "one seed a cell: no telling from noise"
    low, high, null = (found[name] for name in ("low", "high", "null_mean"))
    ends = found["note"]
    if low is not None and high is not None:
        ends = f"95 % CI {signed(low, digits)} to {signed(high, digits)}{_some(found)}"
    return ends if null is None else f"{ends}; {signed(null, digits)} if λ did nothing"


def _chosen_figure(numbers: Json) -> KeyFigure:
    lambdas = sorted({cell["lambda"] for cell in numbers["cells"]})
    value = f"{lambdas[0]:.3g}" if len(lambdas) == 1 else f"{lambdas[0]:.3g} – {lambdas[-1]:.3g}"
    edges = sum(cell["edge"] is not None for cell in numbers["cells"])
    at_edge = f", {edges} at the edge of the grid" if edges and numbers["search"] == "grid" else ""
    n = len(numbers["cells"])
    return KeyFigure(value=value, label="best λ", detail=f"{n} cell{'s' * (n != 1)}{at_edge}")


def warnings(numbers: Json) -> list[str]:
    """What limits the conclusions, most limiting first; empty if nothing does."""
    cells, counts = numbers["cells"], numbers["counts"]
    found = []
    if numbers["search"] != "grid":
        found.append("λ was searched: this is the best λ from search; stability claims come from a grid.")
    if numbers["seeds"] == 1 and cells:
        found.append("There is one seed: nothing here tells an effect of λ from the luck of a run.")
    elif numbers["gain"] and numbers["gain"]["low_points"] is None:
        found.append(f"No interval of the gain: {numbers['gain']['note']}.")
    edges = [cell for cell in cells if cell["edge"]]
    if edges and numbers["search"] == "grid":
        found.append(
            f"In {len(edges)} of {len(cells)} cells the best λ is at the edge of the grid: "
            "a better one may lie outside."
        )
    collapsed_best = sum(cell["collapsed"] > 0 for cell in cells)
    if counts.get("diverged"):
        found.append(f"{counts['diverged']} trials diverged; they count as chance accuracy and as the worst loss.")
    if counts.get("collapsed"):
        best = f" ({collapsed_best} cell{'s' * (collapsed_best != 1)} chose such a λ)" if collapsed_best else ""
        found.append(f"{counts['collapsed']} trials collapsed{best}; they keep the accuracy that was measured.")
    missing = [f"{counts[name]} {name}" for name in MISSING if counts.get(name)]
    if missing:
        found.append(f"Values are missing: {', '.join(missing)}. Holes are drawn as holes, with n beside them.")
    if cells and numbers["unlabelled_datasets"]:
        found.append(f"Without labels, so without accuracies: {', '.join(numbers['unlabelled_datasets'])}.")
    return found
