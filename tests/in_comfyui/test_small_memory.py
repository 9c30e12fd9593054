"""Weights in fewer bits, in ComfyUI: nearly the same picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from .conftest import Checkpoint
from .prompts import changed, drawing
from .server import Server


def difference(first: Image.Image, second: Image.Image) -> float:
    """Peak signal-to-noise ratio in dB."""
    error = (np.asarray(first.convert("RGB"), float) - np.asarray(second.convert("RGB"), float)) ** 2
    return float(10 * np.log10(255**2 / max(error.mean(), 1e-9)))


@pytest.mark.parametrize("saving", [{"unet_weights": "fp8"}, {"language_model": "8-bit"}])
def test_fewer_bits_draw_nearly_the_same_picture(
    server: Server, checkpoint: Checkpoint, saving: dict[str, str]
) -> None:
    full = drawing(checkpoint.name)
    (expected,) = server.pictures(server.run(full), "save")
    run = server.run(changed(full, "loader", **saving))
    assert run.succeeded, run.error
    (received,) = server.pictures(run, "save")
    assert 25 <= difference(expected, received) < 80
