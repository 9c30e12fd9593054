"""An independent implementation of the method from its description: of the library only the chain.

All four branches in four UNet calls, the sum as paper eq. 1 prints it, one full pass over the whole sequence
with all hidden states and hand-made 3D positions, own masks, own picture patches, and DDPM written out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer, Qwen2_5_VLForConditionalGeneration

INSTRUCTIONS = {
    "generate": "Follow the caption to generate an image through a chain of thought process: ",
    "edit": "Follow the instruction to edit the given image through a chain of thought process: ",
}
COLORS = {"red": (255, 0, 0), "green": (0, 128, 0), "blue": (0, 0, 255), "yellow": (255, 255, 0)}


class Reference:
    """A checkpoint folder in float32, read with the libraries' own loaders."""

    def __init__(self, folder: Path) -> None:
        self.mllm: Any = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder / "mllm", torch_dtype=torch.float32
        ).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder / "processor")
        self.unet: Any = UNet2DConditionModel.from_pretrained(folder / "unet").eval()
        self.vae: Any = AutoencoderKL.from_pretrained(folder / "vae").eval()
        self.projectors = {
            key: weight.float() for key, weight in load_file(folder / "projectors.safetensors").items()
        }
        settings = json.loads((folder / "got.json").read_text())
        self.vision_size = settings["vision_size"]
        self.masks = settings.get("mask_rule", "published")
        self.picture = json.loads((folder / "processor" / "preprocessor_config.json").read_text())
        self.noise = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())

    @torch.no_grad()
    def latents(
        self,
        chain: Any,
        source: Image.Image | None,
        size: tuple[int, int],
        scales: tuple[float, float, float],
        seed: int,
        steps: int,
    ) -> Tensor:
        """The final scaled latents [1, 4, h, w] for a chain; size is (H, W), scales are (a_t, a_s, a_r)."""
        height, width = size
        hidden = self.hidden_states(chain, source)
        semantic = self.project("output_projector", hidden)
        nothing = self.project("output_projector", torch.zeros_like(hidden))
        pooled = self.project("output_projector_add", hidden).mean(1)
        spatial = self.spatial(chain, size)
        black = Image.new("RGB", (width, height), "black")
        picture = black if source is None else source.resize((width, height), Image.Resampling.BICUBIC)
        reference = self.encode(picture)
        zeros = torch.zeros_like(spatial)
        time_ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32)

        def predict(noisy: Tensor, time: int, text: Tensor, boxes: Tensor, picture: Tensor) -> Tensor:
            added = {"text_embeds": pooled, "time_ids": time_ids}
            stacked = torch.cat([noisy, picture, boxes], 1)
            return self.unet(stacked, time, encoder_hidden_states=text, added_cond_kwargs=added).sample

        a_t, a_s, a_r = scales
        betas = (
            torch.linspace(self.noise["beta_start"] ** 0.5, self.noise["beta_end"] ** 0.5, 1000).double() ** 2
        )
        kept = torch.cumprod(1 - betas, 0)  # the share of the signal's variance that is left at each time
        stride = 1000 // steps
        generator = torch.Generator("cpu").manual_seed(seed)
        x = torch.randn(spatial.shape, generator=generator)
        for time in range((steps - 1) * stride + 1, 0, -stride):
            null = predict(x, time, nothing, zeros, zeros)
            only_reference = predict(x, time, nothing, zeros, reference)
            no_boxes = predict(x, time, semantic, zeros, reference)
            full = predict(x, time, semantic, spatial, reference)
            e = (
                null
                + a_t * (no_boxes - only_reference)
                + a_s * (full - no_boxes)
                + a_r * (only_reference - null)
            )
            now = kept[time]
            before = kept[time - stride] if time >= stride else torch.tensor(1.0, dtype=torch.float64)
            clean = (x.double() - (1 - now).sqrt() * e) / now.sqrt()
            alpha = now / before
            mean = (
                before.sqrt() * (1 - alpha) / (1 - now) * clean + alpha.sqrt() * (1 - before) / (1 - now) * x
            )
            deviation = ((1 - before) / (1 - now) * (1 - alpha)).clamp(min=1e-20).sqrt()
            x = (mean + deviation * torch.randn(x.shape, generator=generator)).float()
        return x

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Scaled latents [1, 4, h, w] -> the picture's levels [H, W, 3]."""
        pixels = self.vae.decode(latents / self.vae.config.scaling_factor).sample
        levels = (pixels[0].permute(1, 2, 0).numpy() / 2 + 0.5).clip(0, 1) * 255
        return levels.round().astype(np.uint8)

    def project(self, name: str, hidden: Tensor) -> Tensor:
        weight, bias = (self.projectors[f"{name}.projector.{kind}"] for kind in ("weight", "bias"))
        return hidden @ weight.T + bias

    def encode(self, picture: Image.Image) -> Tensor:
        pixels = torch.tensor(np.array(picture.convert("RGB")), dtype=torch.float32).permute(2, 0, 1)[None]
        mean, _ = self.vae.quant_conv(self.vae.encoder(pixels / 255 * 2 - 1)).chunk(2, dim=1)
        return mean

    def spatial(self, chain: Any, size: tuple[int, int]) -> Tensor:
        height, width = size
        latents = []
        for region in chain.regions:
            pixels = np.zeros((height, width, 3), dtype=np.uint8)
            box = region.box
            if self.masks == "published":
                rows = slice(int(box.y1 / 1000 * height), int(box.y2 / 1000 * height) + 1)
                columns = slice(int(box.x1 / 1000 * width), int(box.x2 / 1000 * width) + 1)
            else:
                rows = slice(int(box.y1 / 1000 * height + 0.5), int(box.y2 / 1000 * height + 0.5))
                columns = slice(int(box.x1 / 1000 * width + 0.5), int(box.x2 / 1000 * width + 0.5))
            pixels[rows, columns] = COLORS[region.color]
            latents.append(self.encode(Image.fromarray(pixels)))
        return sum(latents) / len(latents) if latents else self.encode(Image.new("RGB", (width, height)))

    def hidden_states(self, chain: Any, source: Image.Image | None) -> Tensor:
        """Prompt, chain, <|im_gen_start|> and the image tokens, tokenized as one text, read in one pass."""
        inputs: dict[str, Tensor] = {}
        side = 0
        if source is not None:
            patches, grid = self.patches(source)
            side = int(grid[0, 1]) // self.picture["merge_size"]
            inputs = {"pixel_values": patches, "image_grid_thw": grid}
        picture = [{"type": "image"}] if source is not None else []
        words = {"type": "text", "text": INSTRUCTIONS[chain.task] + chain.prompt}
        text = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": [*picture, words]}], tokenize=False, add_generation_prompt=True
        )
        text = text.replace("<|image_pad|>", "<|image_pad|>" * side**2) + chain.mllm_text + "<|im_gen_start|>"
        text += "".join(f"<|im_gen_{index:04d}|>" for index in range(64))
        ids = self.tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        positions = self.positions(ids[0].tolist(), side)
        outputs = self.mllm(input_ids=ids, position_ids=positions, output_hidden_states=True, **inputs)
        return outputs.hidden_states[-1][:, -64:]

    def positions(self, ids: list[int], side: int) -> Tensor:
        """Time, row and column of each token [3, 1, length]; words count on all three."""
        pad = self.tokenizer.convert_tokens_to_ids("<|image_pad|>")
        first = ids.index(pad) if side else len(ids)
        rows = [[index] * 3 for index in range(first)]
        rows += [[first, first + row, first + column] for row in range(side) for column in range(side)]
        rest = len(ids) - len(rows)
        rows += [[first + side + index] * 3 for index in range(rest)]
        return torch.tensor(rows).T[:, None]

    def patches(self, picture: Image.Image) -> tuple[Tensor, Tensor]:
        """The picture cut into patches, 2 x 2 neighbours together, each doubled in time."""
        size, patch, merge = self.vision_size, self.picture["patch_size"], self.picture["merge_size"]
        square = picture.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        pixels = np.array(square).astype(np.float64) / 255
        pixels = (pixels - self.picture["image_mean"]) / self.picture["image_std"]
        rows = []
        block = patch * merge
        for y in range(0, size, block):
            for x in range(0, size, block):
                for dy in range(0, block, patch):
                    for dx in range(0, block, patch):
                        tile = pixels[y + dy : y + dy + patch, x + dx : x + dx + patch].transpose(2, 0, 1)
                        rows.append(np.stack([tile, tile], axis=1).reshape(-1))
        side = size // patch
        return torch.tensor(np.array(rows), dtype=torch.float32), torch.tensor([[1, side, side]])
