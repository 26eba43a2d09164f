from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from trackers import free_port, make_store

from dashboards.live import command
from dashboards.live.command import main
from dashboards.live.latest import Latest
from dashboards.places import Place
from lejepa_platform.errors import PlatformError, StudyError, TrackingError
from lejepa_platform.tracking import default_uri

APP = Path(command.__file__).with_name("app.py")


@pytest.fixture
def storage(tmp_path: Path, make_trial, write_study) -> Path:
    for name, architectures in (("first", ["a"]), ("second", ["a", "b<i>"])):
        trials = [
            make_trial(a, dataset, lam, seed, val=0.5 + lam, test=0.6, outcome=None if seed == 2 else "ok")
            for a in architectures for dataset in ("digits", "dtd") for lam in (0.1, 0.2) for seed in (0, 1, 2)
        ]  # fmt: skip
        write_study(trials, name=name).rename(tmp_path / name)
    return tmp_path


def opened(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> AppTest:
    monkeypatch.setattr("sys.argv", ["app.py", *arguments])
    return AppTest.from_file(str(APP), default_timeout=60).run()


def charts(app: AppTest) -> int:
    return len(app.get("plotly_chart"))


def test_the_page_draws_the_reports_figures_and_says_how_far_the_study_is(storage: Path, monkeypatch):
    app = opened(monkeypatch, "second", "--storage", str(storage))
    assert not app.exception
    assert app.caption[0].value.endswith(", 16 of 24 done")
    assert charts(app) == 3  # accuracy, regret and proxy
    assert len(app.dataframe[0].value) == 24
    assert "beats" in app.markdown[0].value


def test_the_picker_changes_the_study(storage: Path, monkeypatch):
    app = opened(monkeypatch, "--storage", str(storage))
    assert (app.selectbox[0].value, app.caption[0].value[-12:]) == ("first", " 8 of 12 done"[1:])
    app.selectbox[0].set_value("second").run()
    assert app.caption[0].value.endswith("16 of 24 done")


def test_a_picker_changes_the_variant_of_a_study_that_has_some(
    tmp_path: Path, make_trial, write_study, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [
        make_trial("a", "digits", lam, val=0.5 + lam, test=0.6, config={"views_global": views})
        for lam in (0.1, 0.2) for views in (2, 4) if views == 2 or lam == 0.1
    ]  # fmt: skip
    variants = {f"views={n}": {"settings": {"views_global": n}, "lambdas": None} for n in (2, 4)}
    write_study(trials, name="s", config={"variants": variants, "lambdas": [0.1, 0.2]}).rename(tmp_path / "s")
    app = opened(monkeypatch, "s", "--storage", str(tmp_path))
    assert [box.label for box in app.selectbox] == ["Study", "Variant"]
    assert app.caption[0].value.endswith("2 of 2 done")
    app.selectbox[1].set_value("views=4").run()
    assert not app.exception
    assert app.caption[0].value.endswith("1 of 1 done")


def test_what_goes_wrong_is_one_line_on_the_page(storage: Path, monkeypatch):
    (storage / "first" / "study.json").write_text("{")
    app = opened(monkeypatch, "first", "--storage", str(storage))
    assert not app.exception
    assert "study.json is damaged" in app.error[0].value


def test_a_reading_follows_the_study_and_is_summed_up_only_if_it_changed(storage: Path):
    latest = Latest(Place("ledger", storage), "first")
    first = latest.get(0)
    again = latest.get(0)
    assert again.summary is first.summary
    assert again.at >= first.at
    (storage / "first" / "trials" / first.results.trials["key"][0] / "result.json").unlink()
    assert latest.get(1000).done == first.done
    assert latest.get(0).done == first.done - 1


def test_the_total_of_a_search_is_what_it_will_try(make_trial, write_study):
    axes = {"search": "tpe", "trials": 5, "architectures": ["a"], "datasets": ["digits"], "seeds": [0, 1]}
    study = write_study([make_trial("a", val=0.5, test=0.5)], config=axes)
    assert Latest(Place("ledger", study.parent), study.name).get(0).total == 10


def test_the_command_refuses_in_one_line(storage: Path, tmp_path: Path):
    with pytest.raises(StudyError, match="no study 'third'; there are: first second"):
        main(["third", "--storage", str(storage)])
    with pytest.raises(StudyError, match="holds no study"):
        main(["--storage", str(tmp_path / "nowhere")])
    with pytest.raises(TrackingError, match="connection refused"):
        main(["--tracking-uri", f"http://127.0.0.1:{free_port()}"])
    with pytest.raises(PlatformError, match="at least 1 second"):
        main(["--storage", str(storage), "--refresh", "0"])
    make_store(tmp_path)
    with pytest.raises(StudyError, match="holds no study"):
        main(["--tracking-uri", default_uri(tmp_path)])
