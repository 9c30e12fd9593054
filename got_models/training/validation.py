"""Validation of a training: plans and pictures for held-out rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import nn

from ..chain.chain import ReasoningChain
from ..chain.layout import draw_layout, side_by_side, stacked
from ..dataset.encoding import Encoder, open_unchanged
from ..dataset.rows import Row
from ..diffusion.settings import SamplingSettings
from ..mllm.settings import GenerationSettings
from ..pictures import open_picture
from .layout_iou import layout_iou

PICTURES = 4  # at most this many rows are drawn
LONGER_SIDE = 512  # of each picture on a strip, in pixels


@dataclass(frozen=True)
class Validation:
    """The model's results for held-out rows after `step` steps.

    `layout_iou`: from 0 to 1, how well the boxes that it plans match the rows' own; the mean over the rows
    that have boxes. `strip`: up to four pictures of the model, each with the model's plan drawn over it,
    above the rows' own with theirs.
    """

    step: int
    layout_iou: float
    strip: Image.Image


class Validator:
    """Lets the model in training plan and draw rows, as `GoTModel` does, without affecting the training.

    VAE and vision tower, which training needs only for what is not cached, are offloaded to the CPU.

    Args:
        encoder: of the model in training, whose MLLM still has its vision tower.
        rows: the held-out rows; at least one has boxes.
        steps: the number of denoising steps per picture.
        seed: the same for every picture, so that the strips of a run can be compared.

    Raises:
        GoTError: a row is smaller than the model can draw.
    """

    def __init__(self, encoder: Encoder, rows: Sequence[Row], steps: int, seed: int) -> None:
        self.encoder = encoder
        self.model = encoder.model
        self.rows = rows
        self.steps = steps
        self.seed = seed
        for row in rows[:PICTURES]:
            self.model.check_size(encoder.size(row))
        self.tower = self.model.parts.reasoner().mllm.model.visual.cpu()
        self.model.parts.vae().cpu()

    def validate(
        self, training: nn.Module, step: int, should_stop: Callable[[], bool] = lambda: False
    ) -> Validation:
        """
        Args:
            training: the trained modules; in eval mode for the duration of the call.
            should_stop: called before every token and every denoising step.

        Raises:
            GoTError: a picture has changed since the dataset was read.
            Interrupted: `should_stop` returned true.
        """
        with self._whole(training):
            plans = [self._plan(row, should_stop) for row in self.rows]
            drawn = list(zip(self.rows[:PICTURES], plans, strict=False))
            pictures = [self._draw(row, plan, should_stop) for row, plan in drawn]
        ious = [
            layout_iou(row.chain, plan)
            for row, plan in zip(self.rows, plans, strict=True)
            if row.chain.regions
        ]
        return Validation(step, sum(ious) / len(ious), make_strip(drawn, pictures))

    def _plan(self, row: Row, should_stop: Callable[[], bool]) -> ReasoningChain:
        """The model's most likely plan for a row."""
        source = open_unchanged(row.source) if row.source else None
        return self.model.reason(
            row.chain.prompt,
            source,
            row.chain.task,
            settings=GenerationSettings(temperature=0.0),
            should_stop=should_stop,
        )

    def _draw(self, row: Row, plan: ReasoningChain, should_stop: Callable[[], bool]) -> Image.Image:
        source = open_unchanged(row.source) if row.source else None
        guidance = self.model.encode(plan, source, self.encoder.size(row))
        return self.model.sample(
            guidance, SamplingSettings(seed=self.seed, steps=self.steps), should_stop=should_stop
        )

    @contextmanager
    def _whole(self, training: nn.Module) -> Iterator[None]:
        """Within this context the model is complete, on one device, in eval mode, with its own RNG state."""
        mllm = self.model.parts.reasoner().mllm
        vae: Any = self.model.parts.vae()
        device = mllm.device
        away = mllm.model.visual
        training.eval()
        mllm.model.visual = self.tower.to(device)
        vae.to(device)
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []):
                yield
        finally:
            self.model.parts.reasoner().cache.forget()  # its weights are about to change
            mllm.model.visual = away
            self.tower.cpu()
            vae.cpu()
            training.train()


def make_strip(planned: Sequence[tuple[Row, ReasoningChain]], pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures of the model with its plans over them, above the rows' own pictures with theirs."""
    columns = []
    for (row, plan), picture in zip(planned, pictures, strict=True):
        scale = min(1.0, LONGER_SIDE / max(picture.size))
        size = (round(picture.width * scale), round(picture.height * scale))
        own = open_picture(row.image.path)
        layouts = [
            draw_layout(chain, shown.resize(size, Image.Resampling.BICUBIC), size)
            for chain, shown in ((plan, picture), (row.chain, own))
        ]
        columns.append(stacked(*layouts))
    return side_by_side(*columns)
