"""``speeds``: how well pictures obey at each speed, and how long they take."""

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
from got_models.constants import SPEEDS
from got_models.files.whole_files import check_writable


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("speeds", help="measure how well pictures obey at each speed")
    parser.add_argument(
        "--n", type=positive_integer, default=300, help="number of plans of each kind (default 300)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, help="seed of the prompts and of the noise (default 0)"
    )
    parser.add_argument("--speeds", nargs="+", choices=SPEEDS, help="default: all that the checkpoint has")
    add_out_option(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    check_writable(arguments.out)
    model = load_model(arguments)
    from ..evaluation.speeds import evaluate_speeds

    evaluate_speeds(model, arguments.n, arguments.out, seed=arguments.seed, speeds=arguments.speeds or ())
