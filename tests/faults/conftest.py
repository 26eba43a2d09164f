"""What rows share: an undisturbed study to compare with, and the table that they make in the end."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_rows import TPE, TWO_WORKERS, Row, kill
from toys import write_folder

TABLE = pytest.StashKey[list[tuple[str, str, float | None]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table, in the form that a page or an issue takes it in."""
    if rows := config.stash[TABLE]:
        terminalreporter.section("faults")
        terminalreporter.line("| fault | | seconds until it goes on |")
        terminalreporter.line("|---|---|---|")
        for name, outcome, seconds in rows:
            terminalreporter.line(f"| {name} | {outcome} | {'' if seconds is None else f'{seconds:.1f}'} |")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        row = item.funcargs.get("row")  # type: ignore[attr-defined]
        name = item.name.removeprefix("test_").replace("_", " ")
        item.config.stash[TABLE].append((name, report.outcome, row.seconds if row else None))


@pytest.fixture(scope="session", autouse=True)
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the table beside the studies as well."""
    yield
    path = tmp_path_factory.getbasetemp() / "faults.json"
    path.write_text(json.dumps(request.config.stash[TABLE], indent=1))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("images") / "stripes", per_class=40)


@pytest.fixture(scope="session")
def new_row(images: Path) -> Iterator[Callable[..., Row]]:
    """Makes rows; what is left of their processes is ended, and of Ray's files removed."""
    rows: list[Row] = []

    def make(folder: Path, *arguments: str) -> Row:
        rows.append(Row(folder, Path(tempfile.mkdtemp(prefix="lf-")), images, arguments))
        return rows[-1]

    yield make
    for row in rows:
        kill(row.processes())
        shutil.rmtree(row.ray, ignore_errors=True)


@pytest.fixture
def row(tmp_path: Path, new_row: Callable[..., Row]) -> Iterator[Row]:
    made = new_row(tmp_path)
    yield made
    kill(made.processes())


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, new_row: Callable[..., Row]) -> Path:
    return finished(new_row(tmp_path_factory.mktemp("undisturbed")))


@pytest.fixture(scope="session")
def undisturbed_search(tmp_path_factory: pytest.TempPathFactory, new_row: Callable[..., Row]) -> Path:
    return finished(new_row(tmp_path_factory.mktemp("search"), *TPE))


@pytest.fixture(scope="session")
def undisturbed_pairs(tmp_path_factory: pytest.TempPathFactory, new_row: Callable[..., Row]) -> Path:
    """Trials of two processes each."""
    return finished(new_row(tmp_path_factory.mktemp("pairs"), *TWO_WORKERS))


def finished(row: Row) -> Path:
    row.complete()
    return row.storage
