"""NaN and infinite values: detected where they leave a part, and reported with advice."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .errors import GoTError


def check_finite(values: Tensor, what: str, part: nn.Module) -> None:
    """Check that a part's output is finite; on a GPU this synchronizes.

    Args:
        what: names the values at the start of a sentence, such as "The VAE's picture".
        part: the module that computed them.

    Raises:
        GoTError: there are NaN or infinite values; see `not_finite`.
    """
    if not torch.isfinite(values).all():
        raise not_finite(what, part)


def not_finite(what: str, part: nn.Module) -> GoTError:
    """The error to raise for values that are not finite.

    The advice depends on the part's weights: they are damaged, or their dtype is too small, or else the
    factors applied to them are too large.
    """
    damaged = first_not_finite(part.named_parameters())
    if damaged is not None:
        remedy = (
            f"So does the weight {damaged}: copy or import the checkpoint again. If an adapter is in use, "
            "its strength is too large, or its file is damaged."
        )
    elif any(weight.dtype != torch.float32 for weight in part.parameters()):
        remedy = "Load the model with dtype float32, which holds larger numbers."
    else:
        remedy = "Choose smaller guidance scales, or a smaller strength of the adapter."
    return GoTError(f"{what} holds NaN or infinite values and cannot be used. {remedy}")


def first_not_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor with NaN or infinite values."""
    return next((name for name, tensor in tensors if not torch.isfinite(tensor.float()).all()), None)
