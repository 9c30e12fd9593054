"""``bench``: speed and memory compared with the reference pipeline, on the same weights."""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..constants import BUNDLED_CHECKPOINT, STORED_DTYPES
from ..errors import GoTError
from ..files.whole_files import check_writable, write_files
from .options import DEVICES, Subparsers, choose_device, positive_integer, size

if TYPE_CHECKING:
    from ..bench.measure import Comparison, Report
    from ..pipeline import GoTModel

TINY, RANDOM = "tiny", "random-6b"
RESULT = "bench.json"


def add_parser(subcommands: Subparsers) -> None:
    parser = subcommands.add_parser("bench", help="measure speed and memory against the reference pipeline")
    parser.add_argument(
        "--checkpoint",
        default=TINY,
        metavar="tiny|DIR|random-6b",
        help="the bundled model (default), a checkpoint folder, or random weights of GoT-6B's size",
    )
    parser.add_argument("--device", choices=DEVICES, default="auto", help="auto uses the GPU if there is one")
    parser.add_argument(
        "--dtype", choices=STORED_DTYPES, help="default: bfloat16 on a GPU, float32 elsewhere"
    )
    parser.add_argument(
        "--mllm-bits", type=int, choices=(8, 4), help="round the MLLM's weights; 4 bits with bitsandbytes"
    )
    parser.add_argument("--unet-fp8", action="store_true", help="keep the UNet's weights in fp8")
    parser.add_argument(
        "--rounds", type=positive_integer, default=5, help="number of timed rounds (default 5)"
    )
    parser.add_argument("--steps", type=positive_integer, help="denoising steps (default: the checkpoint's)")
    parser.add_argument(
        "--size", type=size, metavar="WxH", help="of the pictures (default: the checkpoint's)"
    )
    parser.add_argument(
        "--training",
        type=Path,
        metavar="CONFIG",
        help="measure instead how much faster this LoRA training is with its cache; of the others only "
        "--device, --rounds, --processor-time and --out count",
    )
    parser.add_argument(
        "--speeds",
        action="store_true",
        help="measure instead how long a picture takes at each speed, and in the published order",
    )
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="measure CPU time, which other programs affect less; not with a GPU",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help=f"write all figures to {RESULT} in this folder"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    if arguments.out:
        check_writable(arguments.out)
    device = choose_device(arguments.device)
    if arguments.processor_time and device == "cuda":
        raise GoTError("--processor-time does not see what a GPU does. Leave it out, or add --device cpu.")
    if arguments.training:
        run_training(arguments, device)
        return
    model = load(arguments.checkpoint, device, arguments.dtype, arguments.mllm_bits, arguments.unet_fp8)
    task = model.settings.tasks["generate"]
    height, width = arguments.size or (task.height, task.width)
    model.check_size((height, width))
    if arguments.speeds:
        run_speeds(arguments, model, (height, width))
        return
    steps, most = arguments.steps or task.steps, model.scheduler_config["num_train_timesteps"]
    if steps > most:
        raise GoTError(f"--steps may be at most {most} with this checkpoint, got {steps}.")

    from ..bench.measure import compare

    report = compare(model, arguments.rounds, steps, (height, width), processor_time=arguments.processor_time)
    settings = {
        "checkpoint": arguments.checkpoint,
        "device": device_name(device),
        "dtype": str(model.parts.dtype).removeprefix("torch."),
        "MLLM": f"{arguments.mllm_bits} bits" if arguments.mllm_bits else "full",
        "UNet": "fp8" if arguments.unet_fp8 else "full",
        "size": f"{width}x{height}",
        "steps": steps,
        "rounds": arguments.rounds,
        "clock": "processor time" if arguments.processor_time else "wall time",
    }
    print(", ".join(f"{name} {value}" for name, value in settings.items()), end="\n\n")
    print(table(report))
    if arguments.out:
        write_files(
            arguments.out, {RESULT: json.dumps(settings | figures(report), indent=2).encode() + b"\n"}
        )
        print(arguments.out / RESULT)


def run_speeds(arguments: argparse.Namespace, model: GoTModel, size: tuple[int, int]) -> None:
    from ..bench.speeds import compare_speeds, speed_table

    seconds = compare_speeds(model, arguments.rounds, size, processor_time=arguments.processor_time)
    print(speed_table(seconds))
    if arguments.out:
        content = json.dumps({"seconds": seconds}, indent=2).encode() + b"\n"
        write_files(arguments.out, {RESULT: content})
        print(arguments.out / RESULT)


def run_training(arguments: argparse.Namespace, device: str) -> None:
    import torch

    from ..bench.caching import compare_caching
    from ..training.config import read_config

    config = read_config(arguments.training)
    passes = compare_caching(
        config, torch.device(device), arguments.rounds, processor_time=arguments.processor_time
    )
    plain, cached = passes.rows_per_second
    print(f"rows per second: {plain:.2f} without the cache, {cached:.2f} with it; ratio {passes.ratio:.2f}")
    if arguments.out:
        report = {"rows": passes.rows, "seconds": {"plain": passes.plain, "cached": passes.cached}}
        write_files(
            arguments.out, {RESULT: json.dumps(report | {"ratio": passes.ratio}, indent=2).encode() + b"\n"}
        )
        print(arguments.out / RESULT)


def load(checkpoint: str, device: str, dtype: str | None, mllm_bits: int | None, unet_fp8: bool) -> GoTModel:
    """The model selected by --checkpoint.

    Raises:
        GoTError: there is no such checkpoint, or not enough memory for one of GoT-6B's size.
    """
    print(f"loading {checkpoint}", file=sys.stderr)
    import torch
    from transformers.utils import logging

    from ..pipeline import GoTModel

    logging.disable_progress_bar()
    number_type: torch.dtype = getattr(torch, dtype or ("bfloat16" if device == "cuda" else "float32"))
    if checkpoint == RANDOM:
        from ..bench.random_weights import check_memory, free_memory, random_6b

        check_memory(free_memory(torch.device(device)), number_type)
        return random_6b(torch.device(device), number_type, mllm_bits, unet_fp8)
    folder = BUNDLED_CHECKPOINT if checkpoint == TINY else Path(checkpoint)
    return GoTModel.from_pretrained(folder, device, number_type, mllm_bits=mllm_bits, unet_fp8=unet_fp8)


def device_name(device: str) -> str:
    """The device's name in JSON and tables: a GPU's own, a CPU's with the number of threads."""
    import torch

    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"cpu with {torch.get_num_threads()} thread(s)"


def table(report: Report) -> str:
    """Medians of both sides, and the library's advantage; below, whether the pictures agree."""
    heading = f"{'':34}{'published order':>17}{'this library':>17}{'ratio':>9}"
    lines = [heading, *(row(name, seconds, 1e3, "ms") for name, seconds in report.seconds.items())]
    lines += [row(f"memory, {name}", memory, 1e-9, "GB") for name, memory in report.memory.items()]
    worst = min(report.decibels)
    agreement = "the same in every pixel" if math.isinf(worst) else f"equal to {worst:.1f} dB or more"
    rates = tokens_per_second(report)
    lines += ["", f"Tokens per second: {rates['published']:.1f} and {rates['library']:.1f}."]
    lines += [f"The pictures of both sides, {len(report.decibels)} seeds, are {agreement}."]
    if report.moving:
        lines.append(
            "Times are with all weights on the GPU. The library's memory is with only those that a stage"
            f" uses; moving them took {report.moving:.1f} s."
        )
    return "\n".join(lines)


def tokens_per_second(report: Report) -> dict[str, float]:
    writing = report.seconds["writing, a token"]
    return {
        "published": 1.0 / statistics.median(writing.published),
        "library": 1.0 / statistics.median(writing.library),
    }


def row(name: str, compared: Comparison, factor: float, unit: str) -> str:
    published, library = (factor * statistics.median(side) for side in (compared.published, compared.library))
    return f"{name:34}{published:14.2f} {unit}{library:14.2f} {unit}{compared.ratio:9.2f}"


def figures(report: Report) -> dict[str, Any]:
    """The report as JSON; decibels are null where two pictures are equal."""

    def entry(compared: Comparison) -> dict[str, Any]:
        return {"ratio": compared.ratio, "published": compared.published, "library": compared.library}

    return {
        "seconds": {name: entry(seconds) for name, seconds in report.seconds.items()},
        "tokens_per_second": tokens_per_second(report),
        "bytes": {name: entry(memory) for name, memory in report.memory.items()},
        "seconds_of_moving": report.moving,
        "decibels": [None if math.isinf(value) else value for value in report.decibels],
    }
