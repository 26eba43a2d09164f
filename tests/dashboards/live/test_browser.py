"""The live page in a real browser, over MLflow's server, while runs are added."""

import signal
import socket
from pathlib import Path

from PIL import Image
from servers import DASHBOARD, MLFLOW, browser, server
from trackers import finish, free_port, make_store, rows, trial

from lejepa_platform.config import TrialConfig
from lejepa_platform.ledger import StudyLedger
from lejepa_platform.storage import write_json
from lejepa_platform.tracking import sync

CONFIGS = [trial(lambda_=lambda_, seed=seed) for seed in (0, 1) for lambda_ in (0.01, 0.05, 0.2)]


def add(study: StudyLedger, config: TrialConfig) -> None:
    ledger = study.trial(config.key).begin(config)
    ledger.write_metrics(rows(3))
    accuracy = 0.7 + config.lambda_ / 10 + config.seed / 50
    metrics = {"val/linear_top1": accuracy, "test/linear_top1": accuracy, "train/loss": 1 + config.lambda_}
    finish(ledger, config, metrics={**metrics, "floor/chance": 0.1, "floor/random_init_linear_top1": 0.4})


def test_a_browser_sees_figures_grow_without_an_error(tmp_path: Path) -> None:
    make_store(tmp_path)
    study = StudyLedger.at(tmp_path / "elsewhere", "live")
    planned = [config.key for config in CONFIGS]
    write_json(study.path / "study.json", {"name": "live", "config": {"search": "grid"}, "planned": planned})
    for config in CONFIGS[:3]:
        add(study, config)
    mlflow, port, log = free_port(), free_port(), tmp_path / "log"
    uri = f"http://127.0.0.1:{mlflow}"
    with server(MLFLOW, str(tmp_path), str(mlflow), health=f"{uri}/health", log=log):
        sync(study, uri)
        arguments = ["live", "--tracking-uri", uri, "--port", str(port), "--refresh", "2"]
        arguments += ["--storage", str(tmp_path / "empty")]
        address = f"http://127.0.0.1:{port}"
        with (
            server(DASHBOARD, *arguments, health=f"{address}/_stcore/health", log=log) as dashboard,
            browser(dark=True) as (page, errors),
        ):
            page.goto(address)
            page.wait_for_selector("text=/as of [0-9:]+, 3 of 6 done/", timeout=90_000)
            page.wait_for_selector(".js-plotly-plot .scatterlayer .point", timeout=60_000)
            before = page.locator(".js-plotly-plot .scatterlayer .point").count()
            for config in CONFIGS[3:]:
                add(study, config)
            sync(study, uri)
            page.wait_for_selector("text=/as of [0-9:]+, 6 of 6 done/", timeout=60_000)
            page.wait_for_function(
                f"document.querySelectorAll('.js-plotly-plot .scatterlayer .point').length > {before}", timeout=60_000
            )
            page.screenshot(path=tmp_path / "shot.png")
            assert errors == []
            dashboard.send_signal(signal.SIGTERM)
            assert dashboard.wait(30) == 0
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server ended with the command"
    image = Image.open(tmp_path / "shot.png").convert("RGB")
    assert sum(image.getpixel((5, 1200))) < 200, "dark, as the browser asked for"
    colours = {colour: n for n, colour in image.getcolors(maxcolors=1 << 24)}
    assert colours.get((0x2F, 0x7F, 0xC1), 0) > 30, "the first line of the first figure"
