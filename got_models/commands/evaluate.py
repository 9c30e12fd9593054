"""``evaluate``: how often plans and pictures obey the prompt, on held-out prompts of the shapes world."""

from __future__ import annotations

import argparse

from .options import Subparsers, add_model_options, add_out_option, load_model, positive_integer
from .outputs import check_writable


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("evaluate", help="measure how well plans and pictures obey the prompt")
    parser.add_argument(
        "--n", type=positive_integer, default=500, help="number of held-out prompts (default 500)"
    )
    parser.add_argument(
        "--ablate", action="store_true", help="also without the chain and without spatial guidance"
    )
    add_out_option(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out)
    model = load_model(arguments)
    from ..shapes.evaluation import evaluate

    evaluate(model, n=arguments.n, ablate=arguments.ablate, out=arguments.out)
