"""Studies that begin from weights of the hub: which weights these are is part of what a study is."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from lejepa_platform.ledger import StudyLedger
from sweeps.lambda_stability import main
from sweeps.planning import DataSettings, resolve
from sweeps.recipes import quick

FIRST, SECOND = "1" * 40, "2" * 40
RECIPE = replace(
    quick(), architectures=("efficientnet_micro",), datasets=("digits",), lambdas=(0.1,), seeds=(0,),
    shared={**quick().shared, "limit_train": None, "image_size": 32, "pretrained": True},
)  # fmt: skip
ARGUMENTS = ["--pretrained", "--architectures", *RECIPE.architectures, "--datasets", *RECIPE.datasets, "--lambdas",
             "0.1", "--seeds", "1", "--image-size", "32"]  # fmt: skip


def cache_weights(cache: Path, revision: str) -> None:
    """Weights in the local cache of the hub's client, as its newest."""
    config = timm.get_pretrained_cfg("test_efficientnet")
    folder = cache / f"models--timm--{config.architecture}.{config.tag}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(revision)
    (folder / "snapshots" / revision).mkdir(parents=True)
    torch.manual_seed(int(revision[0]))
    save_file(
        timm.create_model("test_efficientnet").state_dict(), folder / "snapshots" / revision / "model.safetensors"
    )


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    cache_weights(tmp_path / "hub", FIRST)
    return tmp_path / "hub"


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """A hub on this machine that knows what it has and hands out nothing; `asked[0]` is its address."""
    paths: list[str] = []

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            known = self.path.startswith("/api/models/timm/")
            body = json.dumps({"id": "timm/test", "sha": SECOND, "siblings": []}).encode() if known else b""
            self.send_response(200 if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        paths.append(f"http://127.0.0.1:{server.server_port}")
        yield paths
        server.shutdown()


def test_other_weights_under_the_same_name_are_refused(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = tmp_path / "studies"
    data = DataSettings(cache=storage / ".cache", root=None, labelled=True)
    plan = resolve(RECIPE, data, study="s")
    assert plan.config.weights == {"efficientnet_micro": FIRST}
    StudyLedger(storage / "s").path.mkdir(parents=True)
    StudyLedger(storage / "s").save(plan.config, sources=plan.sources, planned=plan.config.grid())
    stored = (storage / "s" / "study.json").read_bytes()
    again = [*ARGUMENTS, "--storage", str(storage), "--study", "s"]
    assert main([*again, "--dry-run"]) == 0
    assert plan.config.grid()[0].key in capsys.readouterr().out
    cache_weights(cache, SECOND)
    for arguments in (again, [*again, "--extend"]):
        assert main(arguments) == 2
        (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error: ")]
        assert "weights of efficientnet_micro" in line
    assert (storage / "s" / "study.json").read_bytes() == stored


def test_a_dry_run_asks_which_weights_there_are_and_fetches_none(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", asked.pop())
    assert main([*ARGUMENTS, "--dry-run", "--storage", str(tmp_path / "studies")]) == 0
    assert "1 trials" in capsys.readouterr().out
    (path,) = [path for path in asked if not path.startswith("/api/agent-harnesses")]
    assert path.startswith("/api/models/timm/test_efficientnet")
    assert list(tmp_path.rglob("*.safetensors")) == []
