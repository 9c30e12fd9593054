"""Mutated prompts: no error of Python's own, no dead worker, nothing that Stop does not end.

GOT_MUTATIONS is how many, GOT_MUTATIONS_SEED which ones.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from PIL import Image

from .conftest import Checkpoint, prepared
from .mutations import Mutations
from .place import ComfyUI
from .prompts import drawing
from .server import PACK, Server

COUNT = int(os.environ.get("GOT_MUTATIONS", "80"))
SEED = int(os.environ.get("GOT_MUTATIONS_SEED", "0"))
AT_ONCE = 20
BETWEEN_REFERENCES = 80
PATIENCE = 8.0  # seconds until Stop is pressed
STOP_LIMIT = 60.0  # seconds until what was stopped has to have ended
OUR_ERRORS = ("GoTError", "ChainError")


@dataclass
class Findings:
    """What went wrong, each with the mutation that did it, and how the runs ended."""

    faults: list[str] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)

    def count(self, end: str) -> None:
        self.ends[end] = self.ends.get(end, 0) + 1


@pytest.fixture(scope="module")
def mutated(
    comfyui: ComfyUI, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of its own: nobody else's is to suffer."""
    folder = prepared(tmp_path_factory.mktemp("mutated"), checkpoint)
    server = Server(comfyui, folder)
    yield server
    server.stop()


def test_mutated_prompts_end_in_results_or_in_messages(mutated: Server, checkpoint: Checkpoint) -> None:
    server, findings = mutated, Findings()
    reference = drawn(server, checkpoint)
    mutations = list(Mutations(SEED, server.get_json("/object_info"), checkpoint.name).draw(COUNT))
    for start in range(0, COUNT, AT_ONCE):
        run_all(server, mutations[start : start + AT_ONCE], findings)
        if (start + AT_ONCE) % BETWEEN_REFERENCES == 0:
            change = np.abs(drawn(server, checkpoint) - reference)
            if change.any():
                findings.faults.append(f"{start}: another picture by up to {change.max()} of 255 levels")
    print(findings.ends)
    assert findings.faults == [], "\n".join(findings.faults)
    assert findings.ends["finished"] > COUNT / 20


def drawn(server: Server, checkpoint: Checkpoint) -> np.ndarray:
    """The reference picture, drawn afresh; its file is what GoT Chain from Image reads."""
    server.run(drawing(checkpoint.name, steps=1, size=64, seed=3))
    run = server.run(drawing(checkpoint.name, steps=2, size=64, seed=4))
    assert "sampler" not in run.cached
    (file,) = run.outputs["save"]["images"]
    shutil.copy(server.folder / "output" / file["filename"], server.folder / "input" / "mutated.png")
    with Image.open(server.folder / "input" / "mutated.png") as picture:
        return np.asarray(picture.convert("RGB"), dtype=int)


def run_all(server: Server, mutations: list[tuple[str, dict[str, Any]]], findings: Findings) -> None:
    """Queues all of them, and looks at how each one ends."""
    queued = []
    for what, request in mutations:
        answer = server.post("/prompt", request) or {}
        if faults := raw_refusals(answer):
            findings.faults += [f"{what}: {fault}" for fault in faults]
        if "prompt_id" in answer:
            queued.append((what, answer["prompt_id"]))
        else:
            findings.count("refused")
    for what, identity in queued:
        record, stopped = wait_or_stop(server, identity)
        messages = dict(record["status"]["messages"])
        if fault := raw_error(messages.get("execution_error")):
            findings.faults.append(f"{what}: {fault}")
        if stopped:
            findings.count("stopped")
        else:
            findings.count("finished" if "execution_success" in messages else "failed")


def wait_or_stop(server: Server, identity: str) -> tuple[dict[str, Any], bool]:
    """The run's record, and whether it had to be stopped."""
    began, stopped = time.monotonic(), False
    while True:
        record = server.get_json(f"/history/{identity}").get(identity)
        if record:
            return record, stopped
        waited = time.monotonic() - began
        if waited > PATIENCE and not stopped:
            server.post("/interrupt", {})
            stopped = True
        if waited > PATIENCE + STOP_LIMIT or server.process.poll() is not None:
            raise TimeoutError(
                f"{identity} neither ends nor stops:\n{server.log.read_text(errors='replace')[-6000:]}"
            )
        time.sleep(0.02)


def raw_error(error: dict[str, Any] | None) -> str:
    """What a run says that failed in a node of ours, or in code of ours, without an error of ours."""
    if error is None or error["exception_type"].endswith(OUR_ERRORS):
        return ""
    if not error["node_type"].startswith("GoT") and not any(
        f"/{PACK}/" in line for line in error["traceback"]
    ):
        return ""
    where = "".join(error["traceback"][-2:])
    return f"{error['node_type']} {error['exception_type']} {error['exception_message']:.200} {where}"


def raw_refusals(answer: dict[str, Any]) -> list[str]:
    """Exceptions of our VALIDATE_INPUTS and INPUT_TYPES."""
    errors = [error for found in answer.get("node_errors", {}).values() for error in found["errors"]]
    return [
        f"{error['details']} {error['extra_info']['traceback'][-1]}"
        for error in errors
        if any(f"/{PACK}/" in line for line in error["extra_info"].get("traceback", []))
    ]
