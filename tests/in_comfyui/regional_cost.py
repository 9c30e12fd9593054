"""What regional prompts cost: processor time of a step with four regions, against a plain step.

    OMP_NUM_THREADS=1 python regional_cost.py COMFYUI [PAIRS]

Run by ComfyUI's own Python. UNets of random weights, with a positive and a negative prompt; the two kinds of
step take turns. Prints the median of the ratios, and the lowest and the highest.
"""

from __future__ import annotations

import inside  # isort: skip

import importlib
import statistics
import time
from typing import Any

import comfy.model_base
import comfy.model_patcher
import comfy.samplers
import comfy.supported_models
import torch

regional = importlib.import_module("pack.nodes._native.regional")
Box = importlib.import_module("pack.got_models.chain.region").Box

PAIRS = int(inside.ARGUMENTS[0]) if inside.ARGUMENTS else 7
QUARTERS = [Box(0, 0, 500, 500), Box(500, 0, 999, 500), Box(0, 500, 500, 999), Box(500, 500, 999, 999)]
SPREAD = [Box(50, 100, 400, 600), Box(450, 50, 950, 500), Box(100, 650, 500, 950), Box(550, 550, 900, 950)]


class Words:
    """A CLIP whose words are random, but always the same for a text."""

    def __init__(self, width: int, pooled: int) -> None:
        self.width, self.pooled = width, pooled

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, text: str) -> Any:
        generator = torch.Generator().manual_seed(sum(map(ord, text)))
        words = torch.randn(1, 77, self.width, generator=generator)
        return [[words, {"pooled_output": torch.randn(1, self.pooled, generator=generator)}]]


def unet(channels: int, widths: list[int], depths: list[int], words: int, pooled: int, resnets: int) -> Any:
    config = {
        "image_size": 32,
        "in_channels": 4,
        "out_channels": 4,
        "model_channels": channels,
        "channel_mult": widths,
        "num_res_blocks": [resnets] * len(widths),
        "transformer_depth": [depth for depth in depths for _ in range(resnets)],
        "transformer_depth_middle": depths[-1],
        "transformer_depth_output": [depth for depth in depths for _ in range(resnets + 1)],
        "num_heads": -1,
        "num_head_channels": 32,
        "context_dim": words,
        "adm_in_channels": pooled + 6 * 256,
        "num_classes": "sequential",
        "use_spatial_transformer": True,
        "use_linear_in_transformer": True,
        "use_temporal_attention": False,
        "use_temporal_resblock": False,
        "legacy": False,
    }
    supported = comfy.supported_models.SDXL({})
    supported.unet_config = config
    supported.set_inference_dtype(torch.float32, None)
    model = comfy.model_base.SDXL(supported)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return comfy.model_patcher.ModelPatcher(model, torch.device("cpu"), torch.device("cpu"))


UNETS = {
    "the bundled size": (96, [1, 1, 1], [0, 1, 1], 192, 64, 1),
    "320 channels, one transformer": (320, [1, 2, 4], [0, 1, 1], 2048, 1280, 1),
    "SDXL's depths at 0.4 of its width": (128, [1, 2, 4], [0, 2, 10], 819, 512, 2),
}


def step(model: Any, positive: Any, negative: Any, side: int, steps: int) -> float:
    """Processor seconds of one step, with guidance, in a run of some steps."""
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(5.0)
    noise = torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(0))
    sigmas = torch.linspace(9.0, 1.0, steps + 1)
    begun = time.process_time()
    euler = comfy.samplers.sampler_object("euler")
    guider.sample(noise, torch.zeros_like(noise), euler, sigmas, disable_pbar=True)
    return (time.process_time() - begun) / steps


@torch.inference_mode()
def main() -> None:
    for name, shape in UNETS.items():
        plain, clip = unet(*shape), Words(shape[3], shape[4])
        negative = regional.encode(clip, "negative")
        small = name == "the bundled size"
        for side in (16, 32) if small else (32, 64):
            for where, boxes in (("quarters", QUARTERS), ("apart", SPREAD)):
                regions = [regional.RegionalPrompt(f"region {box}", box) for box in boxes]
                made = regional.apply_regions(plain, clip, "base", "background", regions, 0.2, 0.05)
                kinds = [(plain, regional.encode(clip, "base")), (made.model, made.positive)]
                times = [
                    tuple(step(*kind, negative, side, 10 if small else 2) for kind in kinds)
                    for _ in range(PAIRS + 1)
                ][1:]
                ratios = sorted(other / alone for alone, other in times)
                print(
                    f"{name}, {side} x {side} latents, four regions {where}: "
                    f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}), "
                    f"plain {statistics.median(alone for alone, _ in times):.3f} s",
                    flush=True,
                )


main()
