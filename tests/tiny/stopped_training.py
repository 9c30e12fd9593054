"""A training that stops after three steps and goes on. Run by accelerate, in each of its processes:

accelerate launch ... stopped_training.py CONFIG
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[2])

from got_models.__main__ import main  # noqa: E402

for arguments in (["--stop-after-steps", "3"], ["--resume"]):
    if main(["train", sys.argv[1], *arguments]) != 0:
        sys.exit(f"{arguments} did not come to its end")
