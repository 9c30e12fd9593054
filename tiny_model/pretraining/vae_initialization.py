"""An initial VAE that already passes colours, so that training only has to learn the edges.

GroupNorm with 32 groups on 64 channels removes the level and the scale of every pair of channels: a small VAE
with random weights takes very long to learn to distinguish a white background from a gray one. Here each
colour travels as a pair of channels (+x, -x), the first of a group, through the residual path. Before the two
norms on that path a fixed pattern of large amplitude at the picture's border is added to the pair: the
pattern sets the norm's scale, and the pair survives it, since silu(u) - silu(-u) = u. A further pair holds
the pattern alone.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

GROUPS = 32
COLORS = 3
CONSTANT, PATTERN = 3, 4
"""Pairs of channels: 0 to 2 carry red, green and blue; one is constantly 1, one the border pattern alone."""

AMPLITUDE = 100.0


@torch.no_grad()
def pass_colors(vae: Any, picture_size: int) -> None:
    """Rewrites a random AutoencoderKL so that it keeps the mean colour of every 8 x 8 square."""
    for module in vae.modules():
        if getattr(module, "conv_shortcut", None) is not None:
            set_pairs(module.conv_shortcut, {(pair, pair): torch.ones(1, 1) for pair in range(PATTERN + 1)})
        if hasattr(module, "conv2"):  # residual blocks start as the identity
            nn.init.zeros_(module.conv2.weight)
            nn.init.zeros_(module.conv2.bias)
        if hasattr(module, "to_out"):  # and so does the attention
            nn.init.zeros_(module.to_out[0].weight)
            nn.init.zeros_(module.to_out[0].bias)
    for coder in (vae.encoder, vae.decoder):
        set_pairs(coder.conv_in, {(color, color): center() for color in range(COLORS)}, from_pairs=False)
        plus, minus = channels(CONSTANT, len(coder.conv_in.bias))
        coder.conv_in.weight[[plus, minus]] = 0.0
        coder.conv_in.bias[plus], coder.conv_in.bias[minus] = 1.0, -1.0

    mean = torch.zeros(3, 3)
    mean[:2, :2] = 0.25
    downsamplers = [block.downsamplers[0].conv for block in vae.encoder.down_blocks if block.downsamplers]
    for conv in downsamplers:
        set_pairs(conv, {(pair, pair): mean for pair in (*range(COLORS), CONSTANT)})
    right_and_bottom = torch.zeros(3, 3)  # this convolution is padded on these two sides only
    right_and_bottom[1, 2], right_and_bottom[2, 1] = -1.0, 1.0
    add_pattern(downsamplers[-1], right_and_bottom)
    side = picture_size // 8
    read_pairs(vae.encoder.conv_out, AMPLITUDE * math.sqrt(2 * (side - 1) / side**2))

    weights = torch.tensor([0.25, 0.5, 0.25])
    smooth = torch.outer(
        weights, weights
    )  # turns the nearest neighbours into a linear slope, which is easily sharpened
    upsamplers = [block.upsamplers[0].conv for block in vae.decoder.up_blocks if block.upsamplers]
    for conv in upsamplers:
        set_pairs(conv, {(pair, pair): smooth for pair in range(COLORS)} | {(CONSTANT, CONSTANT): center()})
    left_and_right = torch.zeros(3, 3)
    left_and_right[1, 0], left_and_right[1, 2] = 1.0, -1.0
    add_pattern(upsamplers[-1], left_and_right)
    read_pairs(vae.decoder.conv_out, AMPLITUDE * math.sqrt(2 / picture_size))
    for conv in (vae.quant_conv, vae.post_quant_conv):
        nn.init.eye_(conv.weight[:, :, 0, 0])
        nn.init.zeros_(conv.bias)


def channels(pair: int, width: int) -> tuple[int, int]:
    """The two channels of a pair among ``width``: the first of a group."""
    first = pair * (width // GROUPS)
    return first, first + 1


def center() -> torch.Tensor:
    """The 3 x 3 identity kernel."""
    kernel = torch.zeros(3, 3)
    kernel[1, 1] = 1.0
    return kernel


def set_pairs(conv: Any, kernels: dict[tuple[int, int], torch.Tensor], from_pairs: bool = True) -> None:
    """For each (a, b): output pair a becomes kernel * input pair (without ``from_pairs``: channel) b."""
    width, width_before = conv.weight.shape[:2]
    for (target, source), kernel in kernels.items():
        for sign, channel in zip((1.0, -1.0), channels(target, width), strict=True):
            conv.weight[channel].zero_()
            conv.bias[channel] = 0.0
            read = channels(source, width_before)[0] if from_pairs else source
            conv.weight[channel, read] = sign * kernel


def add_pattern(conv: Any, border: torch.Tensor) -> None:
    """Adds the border pattern, made from the constant pair, to the colours' pairs and to its own."""
    width, width_before = conv.weight.shape[:2]
    set_pairs(conv, {(PATTERN, CONSTANT): AMPLITUDE * border})
    constant = channels(CONSTANT, width_before)[0]
    for pair in range(COLORS):
        plus, minus = channels(pair, width)
        conv.weight[plus, constant] += AMPLITUDE * border
        conv.weight[minus, constant] -= AMPLITUDE * border


def read_pairs(conv: Any, deviation: float) -> None:
    """Output channels 0 to 2 become the colours: their pairs minus the pattern, at the original scale.

    ``deviation``: the pattern's; the norm before has divided a pair by it, less where its group is larger.
    """
    width = conv.weight.shape[1]
    scale = deviation * math.sqrt(2 / (width // GROUPS))
    conv.weight[:COLORS].zero_()
    conv.bias[:COLORS] = 0.0
    for color in range(COLORS):
        for sign, pair in ((scale, color), (-scale, PATTERN)):
            plus, minus = channels(pair, width)
            conv.weight[color, plus, 1, 1], conv.weight[color, minus, 1, 1] = sign, -sign
