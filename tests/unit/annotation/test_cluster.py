"""Annotating on a Ray cluster: without Ray, and with two workers on this machine where Ray is installed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from got_models.__main__ import main
from got_models.annotation.annotator import PIXELS
from got_models.annotation.cluster import host_and_port
from got_models.annotation.output import LOCK_FILE, REVIEW_FILE
from got_models.annotation.run import annotate_folder
from got_models.annotation.server import ServerAnnotator
from got_models.dataset.rows import DATA_FILE

from .chat_server import MODEL, ChatServer, serving
from .folders import is_complete, rows, write_folder
from .looking import Looking

ROOT = Path(__file__).parents[3]
NOT_TESTED = '--engine ray is not tested: pip install "ray[data]"'
KEY = "sk-very-secret-7391"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures, one of which nobody can read, and two pairs."""
    target = write_folder(tmp_path / "folder", 6, 2, side=128)
    (target / "drawn" / "002.png").write_bytes(b"no picture")
    return target


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of this machine with two workers' worth of processors."""
    found = pytest.importorskip("ray", reason=NOT_TESTED)
    monkeypatch.setenv("GOT_API_KEY", KEY)
    found.init(num_cpus=2, address="local", log_to_driver=False)
    yield found
    found.shutdown()


def options(folder: Path, server: ChatServer, *more: str) -> list[str]:
    asked = ["--server", server.address, "--model", MODEL, "--coordinates", PIXELS]
    return ["dataset", "annotate", str(folder), *asked, "--engine", "ray", "--workers", "2", *more]


def test_without_ray_the_extra_is_named_and_nothing_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    before = sorted(folder.iterdir())
    assert main(["dataset", "annotate", str(folder), "--engine", "ray"]) == 2
    assert 'Install the extra ray: pip install ".[ray]"' in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "here:there", "127.0.0.1:99999"])
def test_a_cluster_that_cannot_be_reached_is_told_at_once_and_nothing_written(
    address: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason=NOT_TESTED)
    monkeypatch.setenv("RAY_ADDRESS", address)
    before = sorted(folder.iterdir())
    assert main(["dataset", "annotate", str(folder), "--engine", "ray"]) == 2
    said = capsys.readouterr().err
    assert "No Ray cluster can be reached" in said and address in said
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("ray://[::1]:10001", ("::1", 10001)),
        ("ray://[fe80::1]", ("fe80::1", 10001)),
        ("[::1]:6379", ("::1", 6379)),
        ("2001:db8::7:6379", ("2001:db8::7", 6379)),
        ("ray://head.example:10001/", ("head.example", 10001)),
        ("ray://10.0.0.1", ("10.0.0.1", 10001)),
        ("10.0.0.1:6379", ("10.0.0.1", 6379)),
        ("auto", None),
        ("local", None),
        ("", None),
    ],
)
def test_addresses_of_a_cluster_are_understood_in_all_their_forms(
    address: str, found: tuple[str, int] | None
) -> None:
    assert host_and_port(address) == found


@pytest.mark.parametrize("address", ["10.0.0.1:99999", "here:there", "ray://[::1:10001"])
def test_what_is_no_address_is_none(address: str) -> None:
    with pytest.raises(ValueError):
        host_and_port(address)


def test_two_workers_of_a_cluster_write_the_same_files_and_go_on_the_same(
    folder: Path, ray: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def taken() -> list[bytes]:
        return [(folder / name).read_bytes() for name in (DATA_FILE, REVIEW_FILE)]

    with serving(Looking(PIXELS)) as server:
        annotate_folder(folder, ServerAnnotator(server.address, MODEL, PIXELS))
        local = taken()
        for name in (DATA_FILE, REVIEW_FILE):
            (folder / name).unlink()
        server.connections.clear()
        server.requests.clear()
        assert main(options(folder, server)) == 0
        assert taken() == local
        assert len(server.connections) >= 2 and server.keys == {f"Bearer {KEY}"}
        assert f"{107 * len(server.requests)} tokens" in capsys.readouterr().out
        whole = (folder / DATA_FILE).read_bytes().splitlines(keepends=True)
        (folder / DATA_FILE).write_bytes(b"".join(whole[:-2]) + whole[-2][:30])
        assert main(options(folder, server)) == 0
        assert taken() == local
    assert not (folder / LOCK_FILE).exists()


def test_an_annotator_of_no_use_stops_the_workers_and_writes_nothing(
    folder: Path, ray: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Looking(PIXELS)) as server:
        assert main(options(folder, server, "--coordinates", "thousandths")) == 2
    assert "--coordinates pixels" in capsys.readouterr().err
    assert not (folder / DATA_FILE).exists() and not (folder / REVIEW_FILE).exists()


def test_nothing_is_lost_doubled_or_torn_when_it_is_killed(folder: Path, ray: Any) -> None:
    environment = {**os.environ, "RAY_ADDRESS": ray.get_runtime_context().gcs_address}
    rng = random.Random(7)
    with serving(Looking(PIXELS), trouble=lambda number: 0.02) as server:
        program = [sys.executable, "-m", "got_models", *options(folder, server)]
        for kill in (True, True, False):
            last = len(server.requests) + rng.randint(8, 25)
            process = subprocess.Popen(
                program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            while kill and len(server.requests) < last and process.poll() is None:
                time.sleep(0.002)
            if kill:
                process.kill()
            output = process.communicate()[0]
        assert process.returncode == 0, output
    assert is_complete(folder)
    assert [row["image"] for row in rows(folder / REVIEW_FILE)] == ["drawn/002.png"]
    assert KEY.encode() not in output
