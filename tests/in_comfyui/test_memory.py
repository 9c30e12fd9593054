"""Run after run, the server takes no more memory."""

from __future__ import annotations

from .conftest import Checkpoint
from .prompts import changed, everything
from .server import Server

RUNS, SETTLED = 25, 5
MAX_GROWTH = 25.0  # MiB


def test_many_runs_with_changing_prompts_leave_memory_flat(server: Server, checkpoint: Checkpoint) -> None:
    resident = []
    for number in range(RUNS):
        prompt = everything(checkpoint.name, prompt=f"{number} red circles and a blue star")
        prompt = changed(prompt, "sampler", steps=1)
        run = server.run(changed(prompt, "encode", width=64, height=64))
        assert run.succeeded
        assert run.cached <= {"loader"}
        resident.append(server.memory())
    assert resident[-1] - resident[SETTLED - 1] < MAX_GROWTH, resident
