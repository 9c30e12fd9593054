"""``dataset annotate``: pictures, and pairs of them, become rows of a dataset."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..annotation.annotator import COORDINATES, THOUSANDTHS, Annotator
from ..annotation.items import PAIRS_FILE
from ..annotation.output import REVIEW_FILE
from ..annotation.server import KEY_VARIABLE, ServerAnnotator
from ..dataset.rows import DATA_FILE
from ..errors import GoTError
from .options import Subparsers, add_model_options, choose_device, choose_dtype, load_model, positive_integer

if TYPE_CHECKING:
    from ..annotation.run import Engine, Progress

LOCAL, RAY = "local", "ray"
BAR = "annotating: {n_fmt} of {total_fmt} [{elapsed}, {remaining} left]{postfix}"


def add_action(actions: Subparsers) -> argparse.ArgumentParser:
    """Adds ``annotate``; its folder is added by the caller, as for the other actions."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "annotate",
        help="write data.jsonl for a folder of pictures",
        description=f"Writes a prompt and a plan for every picture of a folder, and for every pair of "
        f"{PAIRS_FILE}, into {DATA_FILE}; what is doubtful goes to {REVIEW_FILE}, with the reasons. It may "
        "be stopped and run again: what is done is not done twice.",
    )
    add_model_options(parser)
    parser.add_argument(
        "--language-model", type=Path, metavar="DIR", help="a folder of Qwen2.5-VL or Qwen3-VL, as published"
    )
    parser.add_argument(
        "--server",
        metavar="URL",
        help="a server that speaks OpenAI's protocol, such as http://localhost:8000/v1; its key comes from "
        f"the environment variable {KEY_VARIABLE}",
    )
    parser.add_argument("--model", metavar="NAME", help="the model to ask for on the server")
    parser.add_argument(
        "--coordinates",
        choices=COORDINATES,
        default=THOUSANDTHS,
        help="what the server's model writes boxes in: thousandths, as Qwen3-VL (default), or pixels, as "
        "Qwen2.5-VL",
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        default=1,
        help="how many pictures are annotated at once, with a server or Ray (default 1)",
    )
    parser.add_argument(
        "--engine",
        choices=(LOCAL, RAY),
        default=LOCAL,
        help="where the workers are: in this process (default), or on the machines of a Ray cluster, each "
        "with a model of its own; needs the extra ray",
    )
    parser.set_defaults(run=run)
    return parser


def run(arguments: argparse.Namespace) -> None:
    from ..annotation.run import Threads, annotate_by

    if arguments.server and not arguments.model:
        raise GoTError("--server needs --model NAME: the model to ask for there.")
    if arguments.server and arguments.language_model:
        raise GoTError("Give --server or --language-model, not both.")
    if arguments.workers > 1 and not arguments.server and arguments.engine == LOCAL:
        raise GoTError(
            "--workers needs --server or --engine ray: a model in this process looks at one picture at a "
            "time."
        )
    with ExitStack() as stack:
        bar = stack.enter_context(closing(Bar()))
        engine: Engine
        if arguments.engine == RAY:
            engine = _cluster(arguments)
        else:
            annotator = make_annotator(arguments)
            if isinstance(annotator, ServerAnnotator):
                stack.enter_context(closing(annotator))
            engine = Threads(annotator, arguments.workers)
        progress = annotate_by(engine, arguments.folder, bar)
    report(progress, arguments.folder)


def make_annotator(arguments: argparse.Namespace) -> Annotator:
    """The annotator that the options describe."""
    if arguments.server:
        return ServerAnnotator(arguments.server, arguments.model, arguments.coordinates)
    from ..annotation.local import CheckpointAnnotator, StockAnnotator

    if not arguments.language_model:
        return CheckpointAnnotator(load_model(arguments))
    from ..weights.stock import load_stock

    device = choose_device(arguments.device)
    model = load_stock(arguments.language_model, choose_dtype(arguments.dtype, device))
    model.mllm.to(device)
    return StockAnnotator(model, arguments.language_model.name)


def _cluster(arguments: argparse.Namespace) -> Engine:
    from ..annotation.cluster import Cluster

    paths = {name: value.resolve() for name, value in vars(arguments).items() if isinstance(value, Path)}
    make = partial(make_annotator, argparse.Namespace(**vars(arguments) | paths))
    return Cluster(make, arguments.workers, on_gpu=not arguments.server and arguments.device != "cpu")


class Bar:
    """A progress bar with the time left, what went to review, and the tokens spent."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None

    def __call__(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = tqdm(total=progress.total, bar_format=BAR, mininterval=1)
        said = {"to review": progress.doubtful} | ({"tokens": progress.tokens} if progress.tokens else {})
        self._bar.set_postfix(said, refresh=False)
        self._bar.update(progress.done - self._bar.n)

    def close(self) -> None:
        """Leaves the bar on the screen as it is."""
        if self._bar is not None:
            self._bar.close()


def report(progress: Progress, folder: Path) -> None:
    """Says what this run has done, and what to do next."""
    print(f"{progress.done} annotated: {progress.done - progress.doubtful} into {folder / DATA_FILE}.")
    if progress.doubtful:
        print(f"{progress.doubtful} are doubtful, and wait in {folder / REVIEW_FILE}, each with the reasons.")
    if progress.tokens:
        print(f"{progress.tokens} tokens were spent.")
