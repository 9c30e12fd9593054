"""Multi-guidance: four named branches and their weighted sum (paper eq. 1). Pure functions and frozen values.

Shape letters used throughout the library: b batch, n image tokens (64), H and W the picture's height and
width in pixels, h = H/8, w = W/8, Dc the UNet's cross-attention width, Dp the width of the pooled embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import GoTError
from .settings import GuidanceScales

LATENT_CHANNELS = 4
VAE_FACTOR = 8
MIN_SIDE, MAX_SIDE = 64, 2048  # pixels, of a picture to draw
BRANCHES = ("full", "semantic", "reference", "null")


@dataclass(frozen=True)
class Guidance:
    """The UNet's complete conditioning.

    semantic and null_semantic are [b, n, Dc], pooled is [b, Dp] (shared by all branches), spatial and
    reference are [b, 4, h, w] unscaled VAE latents, size is (H, W) in pixels, task is "generate" or "edit".

    Raises:
        GoTError: inconsistent shapes, or values that are not finite.
    """

    semantic: Tensor
    null_semantic: Tensor
    pooled: Tensor
    spatial: Tensor
    reference: Tensor
    size: tuple[int, int]
    task: str

    def __post_init__(self) -> None:
        if self.semantic.ndim != 3:
            raise GoTError(f"Semantic guidance must be [b, n, Dc], got {list(self.semantic.shape)}.")
        if self.null_semantic.shape != self.semantic.shape:
            raise GoTError(
                f"Null semantic guidance must have the shape of the semantic guidance "
                f"{list(self.semantic.shape)}, got {list(self.null_semantic.shape)}."
            )
        batch = self.semantic.shape[0]
        if self.pooled.ndim != 2 or self.pooled.shape[0] != batch:
            raise GoTError(f"The pooled embedding must be [{batch}, Dp], got {list(self.pooled.shape)}.")
        height, width = self.size
        latent_shape = (batch, LATENT_CHANNELS, height // VAE_FACTOR, width // VAE_FACTOR)
        for name in ("spatial", "reference"):
            shape = tuple(getattr(self, name).shape)
            if shape != latent_shape:
                raise GoTError(
                    f"{name.capitalize()} guidance for a picture {height} high and {width} wide must be "
                    f"{list(latent_shape)}, got {list(shape)}."
                )
        names = ("semantic", "null_semantic", "pooled", "spatial", "reference")
        finite = torch.stack([torch.isfinite(getattr(self, name)).all() for name in names])
        if not finite.all():  # asked once, since it synchronizes a GPU
            name = names[finite.tolist().index(False)]
            raise GoTError(f"The guidance tensor {name!r} holds NaN or infinite values; try dtype float32.")
        if self.task not in ("generate", "edit"):
            raise GoTError(f"A task is 'generate' or 'edit', got {self.task!r}.")


def branch_coefficients(scales: GuidanceScales) -> dict[str, float]:
    """Paper eq. 1 collected per branch. The four coefficients sum to 1."""
    return {
        "full": scales.spatial,
        "semantic": scales.semantic - scales.spatial,
        "reference": scales.reference - scales.semantic,
        "null": 1.0 - scales.reference,
    }


def active_branches(scales: GuidanceScales) -> tuple[str, ...]:
    """The branches to evaluate: those with a non-zero coefficient."""
    coefficients = branch_coefficients(scales)
    return tuple(branch for branch in BRANCHES if abs(coefficients[branch]) >= 1e-12)


def branch_inputs(guidance: Guidance, branch: str) -> tuple[Tensor, Tensor, Tensor]:
    """One branch's inputs: cross-attention states [b, n, Dc], spatial and reference latents [b, 4, h, w].

    full = (Gt, Gs, Gr), semantic = (Gt, 0, Gr), reference = (0, 0, Gr), null = (0, 0, 0), where a semantic 0
    is the null semantic guidance and a spatial or reference 0 is a latent of zeros.
    """
    no_latent = torch.zeros_like(guidance.spatial)
    if branch == "full":
        return guidance.semantic, guidance.spatial, guidance.reference
    if branch == "semantic":
        return guidance.semantic, no_latent, guidance.reference
    if branch == "reference":
        return guidance.null_semantic, no_latent, guidance.reference
    if branch == "null":
        return guidance.null_semantic, no_latent, no_latent
    raise GoTError(f"A guidance branch is one of {', '.join(BRANCHES)}; got {branch!r}.")


def combine(predictions: dict[str, Tensor], scales: GuidanceScales) -> Tensor:
    """Weighted sum of the branches' predictions, all of one shape (noise or, since the weights sum to 1, x0).

    Computed in float32 or higher: the coefficients are large and of both signs, so lower precision would lose
    the difference between branches.

    Raises:
        GoTError: a branch with a non-zero coefficient is missing.
    """
    coefficients = branch_coefficients(scales)
    active = active_branches(scales)
    missing = [branch for branch in active if branch not in predictions]
    if missing:
        raise GoTError(f"These scales need the branches {', '.join(active)}; missing: {', '.join(missing)}.")
    dtype = torch.promote_types(predictions[active[0]].dtype, torch.float32)
    weighted = [coefficients[branch] * predictions[branch].to(dtype) for branch in active]
    return torch.stack(weighted).sum(dim=0)
