"""Speed of LoRA training with and without the cache of latents and vision features, in alternation."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..dataset.encoding import Cache, Encoder
from ..dataset.row_batches import RowBatch, RowBatches, batches_of_pass
from ..dataset.rows import read_dataset
from ..pipeline import GoTModel
from ..training.config import LoraTraining
from ..training.modules import LoraModules
from .measure import make_clock


@dataclass(frozen=True)
class Passes:
    """Seconds per pass through a dataset of `rows` rows: with a plain loop, and with everything cached."""

    rows: int
    plain: tuple[float, ...]
    cached: tuple[float, ...]

    @property
    def rows_per_second(self) -> tuple[float, float]:
        """Without and with the cache, from the medians."""
        return self.rows / statistics.median(self.plain), self.rows / statistics.median(self.cached)

    @property
    def ratio(self) -> float:
        """The speed-up of training by the cache."""
        return statistics.median(self.plain) / statistics.median(self.cached)


class NoCache(Cache):
    """Computes everything on every call, as a plain loop does."""

    def get(self, origin: object, compute: Callable[[], Tensor]) -> Tensor:
        """The tensor, on the CPU."""
        with torch.no_grad():
            return compute().cpu()


def compare_caching(
    config: LoraTraining, device: torch.device, rounds: int, *, processor_time: bool = False
) -> Passes:
    """Trains on the whole dataset repeatedly, alternating without and with the cache.

    Both sides train the same modules on the same batches. The first round is not counted: it fills the cache.

    Args:
        processor_time: measure the process's CPU time, which other programs do not affect.

    Raises:
        GoTError: the dataset or the checkpoint is invalid.
    """
    rows = read_dataset(config.dataset).usable(config.leave_out_bad_rows).rows
    dtype = torch.bfloat16 if config.precision == "bfloat16" else torch.float32
    frozen = GoTModel.from_pretrained(config.checkpoint, device, dtype)
    modules = LoraModules(GoTModel.from_pretrained(config.checkpoint, device, dtype), config)
    optimizer = torch.optim.AdamW(modules.parameter_groups())
    clock = make_clock(device, processor_time)
    with tempfile.TemporaryDirectory() as folder:
        sides = []
        for cache in (NoCache(Path(folder)), Cache(Path(folder))):
            encoder = Encoder(frozen, config.resolution_px, Path(folder))
            encoder.cache = cache
            sides.append(RowBatches(rows, encoder, frozen, config.batch_rows, config.seed))
        steps = len(batches_of_pass(tuple(sides[0].sizes), config.batch_rows, config.seed, 0))
        seconds: list[list[float]] = [[], []]
        for number in range(rounds + 1):
            for side, batches in enumerate(sides):
                begin = clock()
                for index in range(number * steps, (number + 1) * steps):
                    train(modules, optimizer, batches[index].to(device), index)
                if number:
                    seconds[side].append(clock() - begin)
    return Passes(len(rows), *map(tuple, seconds))


def train(modules: LoraModules, optimizer: torch.optim.Optimizer, batch: RowBatch, seed: int) -> None:
    """One optimizer step on one batch."""
    optimizer.zero_grad()
    losses = modules(batch, seed)
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()
