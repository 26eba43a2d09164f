"""MLflow's own pages in a real browser: the trials of a cell, selected and compared."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page
from servers import MLFLOW, browser, server
from trackers import connect, free_port, make_store, make_study, rows, trial
from trackers import finish as finish_trial

from lejepa_platform.tracking import sync

LAMBDAS, SEEDS = (0.01, 0.05, 0.2), (0, 1)
CELL = "resnet10t_w32 / digits"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the page of the runs of a study with one cell."""
    folder = tmp_path_factory.mktemp("store")
    make_store(folder)
    study = make_study(folder)
    for lambda_ in LAMBDAS:
        for seed in SEEDS:
            config = trial(lambda_=lambda_, seed=seed)
            ledger = study.trial(config.key).begin(config)
            ledger.write_metrics(rows(3))
            finish_trial(ledger, config, metrics={"test/linear_top1": accuracy(lambda_, seed)})
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with server(MLFLOW, str(folder), str(port), health=f"{uri}/health", log=folder / "log"):
        sync(study, uri)
        yield f"{uri}/#/experiments/{connect(uri).get_experiment_by_name('demo').experiment_id}/runs"


def accuracy(lambda_: float, seed: int) -> float:
    return 0.7 - abs(lambda_ - 0.05) + seed / 100


@pytest.fixture
def runs_page(address: str) -> Iterator[Page]:
    """The study's runs, those of the cell opened."""
    with browser() as (page, _):
        page.set_default_timeout(60_000)
        page.goto(address)
        table(page).filter(has_text=CELL).get_by_role("button").first.click()
        table(page).filter(has_text="λ=").nth(len(LAMBDAS) * len(SEEDS) - 1).wait_for()
        yield page


def table(page: Page) -> Locator:
    """Names of runs, a row each."""
    return page.locator(".ag-pinned-left-cols-container [role=row]")


def tick(row: Locator, *, through: bool = False) -> None:
    """Tick a row, or all from the last ticked one to this."""
    row.locator(".ag-checkbox-input").click(modifiers=["Shift"] if through else [])


def compare(page: Page, count: int) -> None:
    page.get_by_role("button", name="Compare", exact=True).click()
    page.get_by_text(f"Comparing {count} Runs").wait_for()


def axes(page: Page) -> list[str]:
    """Of the parallel coordinates, from the left."""
    page.locator(".axis-title").first.wait_for()
    return page.locator(".axis-title").all_text_contents()


def test_trials_of_a_cell_are_compared_over_lambda_and_accuracy(runs_page: Page) -> None:
    page = runs_page
    trials = table(page).filter(has_text="λ=")
    tick(trials.first)
    tick(trials.last, through=True)
    compare(page, 6)
    assert axes(page) == ["lambda", "seed", "hp/lambda"], "MLflow's first choice"

    page.get_by_role("combobox").nth(1).click()
    page.get_by_title("test/linear_top1").click()
    page.locator(".axis-title", has_text="test/linear_top1").wait_for()
    page.keyboard.press("Escape")

    page.get_by_role("tab", name="Scatter Plot").click()
    for axis, name in enumerate(("hp/lambda", "test/linear_top1")):
        page.get_by_role("combobox").nth(axis).click()
        page.get_by_role("option", name=name, exact=True).click()
        page.locator((".xtitle", ".ytitle")[axis], has_text=name).wait_for()
    drawn = page.evaluate(
        "document.querySelector('.xtitle').closest('.js-plotly-plot')"
        ".data.flatMap(trace => Array.from(trace.x).map((x, i) => [x, trace.y[i]]))"
    )
    wanted = [(lambda_, accuracy(lambda_, seed)) for lambda_ in LAMBDAS for seed in SEEDS]
    assert sorted(tuple(point) for point in drawn) == sorted(wanted)


def test_a_cell_that_is_ticked_with_its_trials_hides_nothing_that_they_differ_in(runs_page: Page) -> None:
    """MLflow ticks the trials with the cell, which is then one of the compared."""
    tick(table(runs_page).filter(has_text=CELL))
    compare(runs_page, 7)
    assert axes(runs_page) == ["lambda", "seed"]
