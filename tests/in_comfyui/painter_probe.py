"""Run by ComfyUI's own Python: draws the painter's plans with GoT Regional Conditioning.

    python painter_probe.py COMFYUI FOLDER SERIES COUNT VARIANT ...

Writes FOLDER/VARIANT-NUMBER.png. ComfyUI's node classes are called as its executor would call them.
"""

from __future__ import annotations

import inside  # isort: skip

import importlib
from dataclasses import dataclass, replace
from pathlib import Path

import comfy.cldm.cldm
import comfy.controlnet
import comfy.sd
import comfy.utils
import numpy as np
import painter as painters
import torch
from painter_plans import PainterPlan, sample_plans
from PIL import Image
from torch import Tensor

import nodes as comfy_nodes

regional = importlib.import_module("pack.nodes.regional")
chains = importlib.import_module("pack.got_models.chain.chain")

STEPS, SAMPLER, SCHEDULER = 24, "euler", "normal"
HINT = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(0))
ENCODER = painters.UNET.keys() - {"out_channels", "transformer_depth_output"}


@dataclass(frozen=True)
class Variant:
    """How the plans are drawn."""

    regions: bool = True
    moved: bool = False
    batch: int = 1
    cfg: float = 7.0
    lora: float = 0.0
    dtype: torch.dtype = torch.float32
    base_share: float = 0.0
    feather: float = 0.05
    control: bool = False

    def background(self, plan: PainterPlan) -> str:
        """What applies outside of the regions; where it has all the share, the plan's whole prompt."""
        return plan.prompt if self.base_share == 1.0 else f"a {plan.background} background"


PLAIN = Variant()
VARIANTS = {
    "regions": PLAIN,
    "no regions": replace(PLAIN, regions=False),
    "moved": replace(PLAIN, moved=True),
    "batch": replace(PLAIN, batch=2),
    "cfg": replace(PLAIN, cfg=5.0),
    "lora": replace(PLAIN, lora=0.2),
    "lora, no regions": replace(PLAIN, lora=0.2, regions=False),
    "lora, no share": replace(PLAIN, lora=0.2, base_share=1.0),
    "control": replace(PLAIN, control=True),
    "control, no regions": replace(PLAIN, control=True, regions=False),
    "control, no share": replace(PLAIN, control=True, base_share=1.0),
    "fp8": replace(PLAIN, dtype=torch.float8_e4m3fn),
    "all": replace(PLAIN, batch=2, lora=0.2, control=True, dtype=torch.float8_e4m3fn),
}


def draw(painter: painters.Painter, plan: PainterPlan, variant: Variant) -> list[Image.Image]:
    """Load LoRA -> GoT Regional Conditioning -> KSampler -> VAE Decode."""
    model, clip = painter.model, painter.clip
    (negative,) = comfy_nodes.CLIPTextEncode().encode(clip, "")
    if variant.regions:
        chain = chains.ReasoningChain.parse(plan.text, "generate", plan.prompt)
        applied = regional.GoTRegionalConditioning().apply(
            model, clip, chain, "", variant.base_share, variant.feather, "", variant.background(plan)
        )
        model, positive, _ = applied["result"]
    else:
        (positive,) = comfy_nodes.CLIPTextEncode().encode(clip, plan.prompt)
    if variant.control:
        apply = comfy_nodes.ControlNetApplyAdvanced().apply_controlnet
        positive, negative = apply(positive, negative, control_net(painter), HINT, 1.0, 0.0, 1.0)
    start = {"samples": torch.zeros(variant.batch, 4, 16, 16)}
    (drawn,) = comfy_nodes.KSampler().sample(
        model, plan.seed, STEPS, variant.cfg, SAMPLER, SCHEDULER, positive, negative, start
    )
    (pictures,) = comfy_nodes.VAEDecode().decode(painter.vae, drawn)
    return [as_image(picture) for picture in pictures]


def as_image(pixels: Tensor) -> Image.Image:
    return Image.fromarray((255 * pixels).round().clamp(0, 255).numpy().astype(np.uint8))


def control_net(painter: painters.Painter) -> comfy.controlnet.ControlNet:
    """A ControlNet that begins with the UNet's weights, as a real one does, and already says something."""
    config = {key: value for key, value in painters.UNET.items() if key in ENCODER}
    net = comfy.cldm.cldm.ControlNet(hint_channels=3, dtype=torch.float32, **config)
    generator = torch.Generator().manual_seed(0)
    own = {
        name: 0.03 * torch.randn(weight.shape, generator=generator)
        for name, weight in net.state_dict().items()
    }
    net.load_state_dict(own | {k: v for k, v in painter.unet.state_dict().items() if k in own})
    return comfy.controlnet.ControlNet(net, load_device=torch.device("cpu"))


def with_lora(painter: painters.Painter, strength: float) -> painters.Painter:
    """With a LoRA of random weights on all attention layers, through ComfyUI's own loader."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, weight in painter.unet.state_dict().items():
        if "attn" in name and name.endswith(".weight"):
            key = "lora_unet_" + name.removesuffix(".weight").replace(".", "_")
            up, down = (torch.randn(side, 4, generator=generator) for side in weight.shape)
            scale = float(weight.float().norm() / (up @ down.T).norm())
            tensors |= {f"{key}.lora_up.weight": scale * up, f"{key}.lora_down.weight": down.T.contiguous()}
    model, _ = comfy.sd.load_lora_for_models(painter.model, painter.clip, tensors, strength, 0.0)
    return replace(painter, model=model)


@torch.inference_mode()
def main(folder: Path, series: str, count: int, names: list[str]) -> None:
    comfy.utils.set_progress_bar_enabled(False)
    for name in names:
        variant = VARIANTS[name]
        painter = painters.load(variant.dtype)
        if variant.lora:
            painter = with_lora(painter, variant.lora)
        for number, plan in enumerate(sample_plans(series, count)):
            pictures = draw(painter, plan.moved() if variant.moved else plan, variant)
            for index, picture in enumerate(pictures):
                picture.save(folder / f"{name}-{number}-{index}.png")


if __name__ == "__main__":
    main(Path(inside.ARGUMENTS[0]), inside.ARGUMENTS[1], int(inside.ARGUMENTS[2]), inside.ARGUMENTS[3:])
