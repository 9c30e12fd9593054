"""``evaluate``: how a checkpoint plans and draws a file of prompts, such as GenEval's."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from ..diffusion.settings import SamplingSettings
from ..errors import GoTError, printable
from ..evaluation.figures import figures, table
from ..evaluation.prompts import Prompt, read_prompts
from ..files.json_objects import read_json
from ..files.whole_files import check_writable, write_files
from .options import (
    Subparsers,
    add_model_options,
    add_out_option,
    add_sampling_options,
    load_model,
    positive_integer,
    sampling_settings,
)
from .outputs import Drawing

if TYPE_CHECKING:
    from ..evaluation.trial import Trial
    from ..pipeline import GoTModel

KEYS = {"plan", "picture", "obeyed", "unseen"}


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser(
        "evaluate",
        help="measure plans and pictures on a file of prompts, such as GenEval's",
        description="Measures how a checkpoint plans and draws a file of prompts. The bundled model's own "
        "figures are measured by `python -m tiny_model evaluate`, in a clone of the repository. A run that "
        "was stopped goes on where it was, with the same options.",
    )
    parser.add_argument(
        "prompts", type=Path, metavar="PROMPTS.jsonl", help="a prompt on a line, in GenEval's metadata format"
    )
    parser.add_argument("--plans-only", action="store_true", help="draw nothing, and check the plans alone")
    parser.add_argument(
        "--samples",
        type=positive_integer,
        default=1,
        help="pictures of each prompt, of seeds that follow --seed (default 1; GenEval's figures are of 4)",
    )
    add_out_option(parser)
    add_model_options(parser)
    add_sampling_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    prompts = read_prompts(arguments.prompts)
    check_writable(arguments.out)
    settings = sampling_settings(arguments, None)
    model = load_model(arguments)
    options = {
        "checkpoint": str(arguments.checkpoint.resolve()),
        "adapter": str(arguments.adapter.resolve()) if arguments.adapter else None,
        "strengths": [arguments.mllm_strength, arguments.unet_strength],
        "speed": arguments.speed,
        "steps": arguments.steps,
        "scheduler": arguments.scheduler,
        "drawn": not arguments.plans_only,
    }
    rows = []
    samples = 1 if arguments.plans_only else arguments.samples
    for number, prompt in enumerate(tqdm(prompts, desc="prompts", leave=False)):
        for sample in range(samples):
            folder, seed = arguments.out / f"{number:05}", arguments.seed + sample
            made_with = options | {"prompt": prompt.prompt, "rules": prompt.rules, "seed": seed}
            row = done_before(folder / result_file(sample), made_with)
            if row is None:
                drawn = None if arguments.plans_only else replace(settings, seed=seed)
                row = measured(model, prompt, drawn, folder, sample, made_with)
            plan = row["plan"] if sample == 0 else None  # all samples have the same
            rows.append({**row, "tag": prompt.tag, "plan": plan})
    found = figures(rows)
    print(table(found))
    unseen = sum(bool(row["unseen"]) for row in rows)
    if unseen:
        print(f"warning: {unseen} pictures could not be looked at, and are left out", file=sys.stderr)
    write_files(arguments.out, {"figures.json": (json.dumps(found, indent=2) + "\n").encode()})
    print(arguments.out / "figures.json")


def result_file(sample: int) -> str:
    """Where the result of a prompt's picture is."""
    return f"result-{sample:04}.json" if sample else "result.json"


def done_before(file: Path, made_with: dict[str, Any]) -> dict[str, Any] | None:
    """The result of an earlier run with the same settings, which was stopped."""
    try:
        row = read_json(file)
    except (GoTError, OSError):
        return None
    return row if row.get("made_with") == made_with and row.keys() >= KEYS else None


def measured(
    model: GoTModel,
    prompt: Prompt,
    settings: SamplingSettings | None,
    folder: Path,
    sample: int,
    made_with: dict[str, Any],
) -> dict[str, Any]:
    """Tries a prompt, and writes its folder as GenEval's own evaluation expects it, with the result."""
    from ..evaluation.trial import tried

    trial = tried(model, prompt, settings)
    row = result_of(trial) | {"made_with": made_with}
    files = {
        "metadata.jsonl": (json.dumps(prompt.metadata) + "\n").encode(),
        result_file(sample): (json.dumps(row, indent=2) + "\n").encode(),
    }
    if trial.picture is not None:
        files[f"samples/{sample:04}.png"] = Drawing(trial.chain, trial.picture, made_with).files()[
            "image.png"
        ]
    write_files(folder, files)
    return row


def result_of(trial: Trial) -> dict[str, Any]:
    """What `figures` reads, and what a person wants to know."""
    return {
        "plan": trial.plan_met.all,
        "picture": trial.picture_met.all if trial.picture_met else None,
        "obeyed": trial.verdict.obeyed if trial.verdict else None,
        "score": trial.verdict.score if trial.verdict else None,
        "ended": trial.ended,
        "chain": trial.chain.text,
        "unseen": printable(trial.unseen),
        "seconds": {name: round(value, 3) for name, value in trial.seconds.items()},
    }
