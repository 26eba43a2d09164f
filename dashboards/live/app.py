"""The live page: Streamlit's shell over the figures of the report. Run by `lejepa dashboard`."""

import html
import sys
from collections.abc import Iterable

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
import tyro

from dashboards.figures.accuracy import accuracy_data, draw_accuracy
from dashboards.figures.proxy import draw_proxy, proxy_data
from dashboards.figures.regret import draw_regret, regret_data
from dashboards.figures.terms import LOSS_TERMS, draw_terms, terms_data
from dashboards.floor import floor_words
from dashboards.live.command import Arguments
from dashboards.live.latest import Latest, Reading, studies
from dashboards.places import Place
from dashboards.report import TRIAL_COLUMNS, legend
from dashboards.results import PENDING, Results
from dashboards.verdict import key_figures
from lejepa_core.errors import LejepaError


@st.cache_resource(max_entries=8, show_spinner=False)
def latest(place: Place, study: str) -> Latest:
    """The last reading of a study, the same for all pages."""
    return Latest(place, study)


def page(arguments: Arguments) -> None:
    """Draw the page; the part below the picker is drawn again every `refresh` seconds."""
    st.set_page_config(page_title="LeJEPA sweeps", layout="wide")
    try:
        names = studies(arguments.place)
    except LejepaError as error:
        st.error(str(error))
        return
    if not names:
        st.info("There is no study yet.")
        return
    index = names.index(arguments.study) if arguments.study in names else 0
    study = st.selectbox("Study", names, index=index)
    st.fragment(run_every=arguments.refresh)(_live)(arguments.place, study, arguments.refresh)


def _live(place: Place, study: str, refresh: float) -> None:
    try:
        # A little less than the interval, since whoever comes a moment early wants a new reading too.
        variants = latest(place, study).variants(0.8 * refresh)
        variant = st.selectbox("Variant", variants) if len(variants) > 1 else variants[0]
        reading = latest(place, study).get(0.8 * refresh, variant)
    except LejepaError as error:
        st.error(str(error))
        return
    _head(reading)
    _figures(reading)
    _tables(reading.results)


def _head(reading: Reading) -> None:
    summary = reading.summary
    st.caption(reading.progress)
    st.progress(reading.done / max(reading.total, 1))
    st.markdown(f"### {_plain(summary['verdict'])}")
    figures = key_figures(summary)
    for place, figure in zip(st.columns(len(figures)), figures, strict=True):
        place.metric(figure.label, figure.value, help=_plain(figure.detail) or None)
    for text in (*summary["warnings"], *summary["notes"]):
        st.warning(_plain(text))


def _figures(reading: Reading) -> None:
    results, summary = reading.results, reading.summary
    trials, floor = results.trials, floor_words(results.pretrained)
    datasets = sorted(trials["dataset"].unique())
    if not datasets:
        return
    shown = datasets[0] if len(datasets) == 1 else st.selectbox("Data set", datasets)
    own = trials[trials["dataset"] == shown]
    _legend(own)
    accuracy = (draw_accuracy(panel, floor) for panel in accuracy_data(own, results.searched))
    _section("How does accuracy depend on λ?", "accuracy", accuracy)
    if len(summary["regret_per_lambda"]) > 1:
        _section("What does one λ for all cost?", "regret", [draw_regret(regret_data(trials))], columns=1)
    _section("Does the loss tell the accuracy?", "proxy", (draw_proxy(panel) for panel in proxy_data(own)))
    unlabelled = tuple(summary["unlabelled_datasets"])
    terms = (
        draw_terms(panel) for panel in terms_data(own, unlabelled, {**LOSS_TERMS, "train/sigreg": results.regularizer})
    )
    _section("How do the terms of the loss depend on λ?", "terms", terms)


def _legend(trials: pd.DataFrame) -> None:
    marks = (f'<span style="color:{entry["colour"]}">━</span> {html.escape(entry["name"])}' for entry in legend(trials))
    st.html(" &emsp; ".join(marks))


def _section(title: str, name: str, figures: Iterable[go.Figure], columns: int = 2) -> None:
    drawn = list(figures)
    if not drawn:
        return
    st.subheader(title)
    places = st.columns(min(columns, len(drawn)))
    for index, figure in enumerate(drawn):
        with places[index % len(places)]:
            st.plotly_chart(figure, key=f"{name}-{index}", config={"displaylogo": False})


def _tables(results: Results) -> None:
    columns = {name: title for name, title in TRIAL_COLUMNS.items() if name in results.trials}
    failed = results.trials[~results.trials["outcome"].isin(["ok", PENDING])]
    if len(failed):
        st.subheader("What did not end well?")
        about = ["architecture", "dataset", "lambda", "seed", "outcome", "reason"]
        st.dataframe(failed[about], hide_index=True, key="failed")
    st.subheader("All trials")
    st.dataframe(results.trials[list(columns)].rename(columns=columns), hide_index=True, key="trials")


def _plain(text: str) -> str:
    """A sentence as Markdown that says just that: names come from folders."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]#<>$:~|" else letter for letter in text)


if __name__ == "__main__":
    page(tyro.cli(Arguments, args=sys.argv[1:], prog="lejepa dashboard"))
