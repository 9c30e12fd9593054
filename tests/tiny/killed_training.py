"""A training that dies again and again, and one that does not. Run as a program of its own:

    python killed_training.py CONFIG UNDISTURBED SEED LIVES

Both files are configs of the same training. Every life is a fork of this process, which has imported all that
training needs and computed nothing; it runs the command line, and the kernel ends it with signal 9 at a point
that the seed chooses. Prints one JSON line for each death: its kind, the signal, and what lay in the folder.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

sys.path[0] = str(Path(__file__).parents[2])

import got_models.training.trainer  # noqa: E402, F401  # so that no life has to import it
from got_models.__main__ import main  # noqa: E402

Hook = Callable[[str, Any], None]


def die(after_seconds: float) -> None:
    threading.Timer(after_seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()


def in_a_step(rng: random.Random) -> Hook:
    """Up to a step's time after one of the next three steps has been logged."""
    left, delay = rng.randint(1, 3), rng.uniform(0, 0.2)

    def hook(event: str, arguments: Any) -> None:
        nonlocal left
        if event == "open" and str(arguments[0]).endswith("losses.jsonl") and arguments[1] == "a":
            left -= 1
            if left == 0:
                die(delay)

    return hook


def in_the_writing_of_a_state(rng: random.Random) -> Hook:
    """Between the making of its folder and the folder's final name, which it never gets."""
    delay = rng.uniform(0, 0.03)

    def hook(event: str, arguments: Any) -> None:
        path = Path(os.fsdecode(arguments[0])) if event in ("os.mkdir", "os.rename") else Path()
        if path.name.startswith("state-lora-") and path.suffix == ".part":
            if event == "os.mkdir":
                die(delay)
            else:
                time.sleep(60)

    return hook


def in_the_writing_of_the_adapter(rng: random.Random) -> Hook:
    """When the state has its name, and the adapter before or just after it has got its own."""
    delay = rng.uniform(0, 0.01)

    def hook(event: str, arguments: Any) -> None:
        if event == "os.rename" and str(arguments[1]).endswith("adapter.safetensors"):
            die(delay)

    return hook


def live(config: str, *arguments: str, hook: Hook | None = None) -> int:
    """One run of the command line; how it ended: an exit code, or minus the signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if hook is not None:
                sys.addaudithook(hook)
            code = main(["train", config, *arguments])
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(config: str, undisturbed: str, seed: str, lives: str) -> None:
    rng = random.Random(seed)
    kinds = [in_a_step, in_the_writing_of_a_state, in_a_step, in_the_writing_of_the_adapter]
    deaths = [kinds[number % len(kinds)] for number in range(int(lives))]
    rng.shuffle(deaths)
    folder = Path(yaml.safe_load(Path(config).read_text())["out"])
    for number, kind in enumerate(deaths):
        ended = live(config, *(["--resume"] if number else []), hook=kind(rng))
        left = sorted(path.name for path in folder.iterdir())
        print(json.dumps({"kind": kind.__name__, "ended": ended, "left": left}), flush=True)
    for arguments in ([config, "--resume"], [undisturbed]):
        if live(*arguments) != 0:
            sys.exit(f"{arguments} did not come to its end")


if __name__ == "__main__":
    run(*sys.argv[1:])
