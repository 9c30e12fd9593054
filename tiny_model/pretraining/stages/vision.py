"""The vision tower learns what is at each visual token, and how far it extends."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from got_models.pipeline import GoTModel

from ..config import TrainingConfig
from ..optimizers import Learning
from ..readout import ContentReadout, PlaceReadout
from ..rows import shown_picture
from .language import collator


class LinearPatches(nn.Module):
    """Qwen2.5-VL's patch embedding as the matrix product that it is equivalent to.

    Its convolution never overlaps, and in bfloat16 on a CPU its backward pass is forty times slower.
    The weight keeps its name, ``proj.weight``.
    """

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        self.proj: nn.Conv3d = embedding.proj

    def forward(self, patches: Tensor) -> Tensor:
        """[patches, values of a patch] -> [patches, width]"""
        return nn.functional.linear(patches, self.proj.weight.flatten(1))


class VisionModules(nn.Module):
    """The MLLM's vision tower, and a readout of its features."""

    def __init__(self, model: GoTModel) -> None:
        super().__init__()
        self.mllm = model.parts.reasoner().mllm.requires_grad_(False)
        self.mllm.model.visual.requires_grad_(True)
        self.mllm.model.visual.patch_embed = LinearPatches(self.mllm.model.visual.patch_embed)
        torch.manual_seed(0)  # loading the MLLM leaves the generator anywhere
        self.content_readout = ContentReadout(model.settings.sizes.hidden)
        self.place_readout = PlaceReadout(model.settings.sizes.hidden)

    def visual_tokens(self, pixel_values: Tensor, image_grid_thw: Tensor) -> Tensor:
        """[pictures * visual tokens, hidden]"""
        features = self.mllm.model.get_image_features(pixel_values, image_grid_thw)
        return torch.cat(getattr(features, "pooler_output", features))


class VisionStage:
    """The vision tower learns what is at each visual token, and how far it extends from there."""

    name = "vision"

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.config = config
        self.settings = config.vision
        model = GoTModel.from_pretrained(folder)
        self.module = VisionModules(model)
        self.collate = collator(model)
        self.steps, self.warmup_steps = self.settings.steps, self.settings.warmup_steps
        rates = self.settings.learning_rate, self.settings.matrix_learning_rate
        self.learning = [Learning.of([self.module], rates[0], [self.module.mllm.model.visual], rates[1])]
        self.averaged: list[nn.Parameter] = []

    def losses(self, module: VisionModules, step: int) -> dict[str, Tensor]:
        """The readout's, on scenes that no earlier step has seen."""
        rng = random.Random(f"vision {self.config.seed} {step}")
        shown = [shown_picture(rng) for _ in range(self.settings.pictures_per_batch)]
        pixel_values, grids, targets = self.collate.pictures(shown)
        device = module.mllm.device
        features = module.visual_tokens(pixel_values.to(device), grids.to(device))
        targets = from_token(targets.to(device)).flatten(0, 1)
        return {
            "content": module.content_readout(features, targets),
            "place": module.place_readout(features, targets),
        }

    def save(self, folder: Path) -> None:
        """Writes mllm/."""
        self.module.mllm.save_pretrained(folder / "mllm")


def from_token(targets: Tensor) -> Tensor:
    """Readout targets [b, tokens, 7] with boxes relative to each visual token's own corner.

    The vision tower knows only distances; a token's position in the picture is given by the MLLM's positions.
    """
    side = math.isqrt(targets.shape[1])
    edges = torch.arange(side, device=targets.device) / side
    top, left = (corner.flatten() for corner in torch.meshgrid(edges, edges, indexing="ij"))
    moved = targets.clone()
    moved[..., 3:] -= torch.stack([left, top, left, top], dim=-1)
    return moved
