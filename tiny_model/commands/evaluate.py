"""``evaluate``: how often plans and pictures follow the prompt, on held-out prompts of the shapes world."""

from __future__ import annotations

import argparse

from got_models.commands.options import (
    Subparsers,
    add_model_options,
    add_out_option,
    load_model,
    positive_integer,
    seed,
)
from got_models.constants import EXACT, FAST, SCHEDULERS
from got_models.errors import GoTError
from got_models.files.whole_files import check_writable


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("evaluate", help="measure how well plans and pictures follow the prompt")
    parser.add_argument("--n", type=positive_integer, help="number of held-out prompts (default 500, or 60)")
    parser.add_argument(
        "--ablate", action="store_true", help="also evaluate without the chain and without spatial guidance"
    )
    parser.add_argument(
        "--lesson", action="store_true", help="only evaluate brown things and crosses, which lessons/ teaches"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="seed of the prompts and of the noise (default 0)"
    )
    parser.add_argument("--speed", choices=(EXACT, FAST), help="default: the checkpoint's own")
    parser.add_argument("--steps", type=positive_integer, help="denoising steps (default: by the speed)")
    parser.add_argument("--scheduler", choices=SCHEDULERS, help="default: by the speed")
    add_out_option(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    if arguments.lesson and arguments.ablate:
        raise GoTError("--ablate does not go with --lesson. Leave one of them out.")
    check_writable(arguments.out)
    model = load_model(arguments)
    if arguments.lesson:
        from ..evaluation.lesson import evaluate_lesson

        evaluate_lesson(model, n=arguments.n or 60, out=arguments.out, seed=arguments.seed)
    else:
        from got_models.diffusion.settings import SamplingSettings

        from ..evaluation.run import evaluate

        evaluate(
            model,
            n=arguments.n or 500,
            ablate=arguments.ablate,
            out=arguments.out,
            seed=arguments.seed,
            sampling=SamplingSettings(
                steps=arguments.steps, scheduler=arguments.scheduler, speed=arguments.speed
            ),
        )
