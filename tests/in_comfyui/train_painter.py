"""Trains the painter on the CPU, in about an hour.

    python train_painter.py COMFYUI FOLDER pictures [COUNT]     pictures, encoded by the bundled VAE
    python train_painter.py COMFYUI FOLDER train [STEPS]        continues where it was stopped

Run by ComfyUI's own Python, both at the same time: training begins with the first pictures. When all steps
are done, `train` writes `tests/fixtures/painter/painter.safetensors`.
"""

from __future__ import annotations

import inside  # isort: skip

import math
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import comfy.clip_model
import numpy as np
import painter as painters
import painter_world
import torch
from painter import TOKENS
from torch import Tensor, nn

from tiny_model.world.scene import draw

FOLDER, DO = Path(inside.ARGUMENTS[0]), inside.ARGUMENTS[1]
NUMBER = [int(text) for text in inside.ARGUMENTS[2:3]]
CHUNK = 256
LARGEST = 128 * 128
BATCH = 16
"""Of the largest pictures; of smaller ones as many more."""
RATE, WARM_UP = 2e-3, 200
NO_CAPTION, OTHER_POOLED = 0.1, 0.5
SAVE_EVERY = 500


def make_pictures(count: int) -> None:
    vae = painters.load_vae()
    for chunk in range(count // CHUNK):
        file = FOLDER / f"pictures-{chunk:03}.pt"
        if file.exists():
            continue
        rng = random.Random(f"painter {chunk}")
        size = width, height = painter_world.SIZES[chunk % len(painter_world.SIZES)]
        scenes, captions = zip(*(painter_world.sample(rng, *size) for _ in range(CHUNK)), strict=True)
        with torch.no_grad():
            latents = [vae.encode(as_pixels(scene)[None, :height, :width]) for scene in scenes]
        encoded = {"size": size, "latents": torch.cat(latents).half(), "captions": list(captions)}
        torch.save(encoded, file.with_suffix(".part"))
        file.with_suffix(".part").rename(file)


def as_pixels(scene: painter_world.Scene) -> Tensor:
    return torch.from_numpy(np.asarray(draw(scene), dtype=np.float32) / 255)


class Pictures:
    """What has been encoded, by size: latents [pictures, 4, height, width] and tokens [pictures, TOKENS]."""

    def __init__(self, tokens_of: Callable[[str], list[int]]) -> None:
        self.tokens_of, self.files = tokens_of, set[Path]()
        self.by_size = {
            (width, height): (torch.empty(0, 4, height // 8, width // 8), torch.empty(0, TOKENS).long())
            for width, height in painter_world.SIZES
        }

    def __len__(self) -> int:
        return sum(len(tokens) for _, tokens in self.by_size.values())

    def refresh(self) -> None:
        for file in sorted(set(FOLDER.glob("pictures-*.pt")) - self.files):
            chunk = torch.load(file)
            self.files.add(file)
            rng = random.Random(file.name)
            captions = [caption + rng.choice(("", "", ".")) for caption in chunk["captions"]]
            latents, tokens = self.by_size[chunk["size"]]
            more = torch.tensor([self.tokens_of(caption) for caption in captions])
            self.by_size[chunk["size"]] = (
                torch.cat([latents, chunk["latents"].float()]),
                torch.cat([tokens, more]),
            )

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A batch of one size."""
        size = painter_world.SIZES[int(torch.randint(len(painter_world.SIZES), (), generator=generator))]
        latents, tokens = self.by_size[size]
        count = BATCH * LARGEST // math.prod(size)
        rows = torch.randint(len(tokens), (count,), generator=generator)
        return latents[rows], tokens[rows]


def initialize(model: nn.Module) -> None:
    """ComfyUI's layers are created empty: weights as PyTorch draws them, and none at the ends of branches."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear):
            nn.Linear.reset_parameters(layer)
        elif isinstance(layer, nn.Conv2d):
            nn.Conv2d.reset_parameters(layer)
        elif isinstance(layer, nn.LayerNorm | nn.GroupNorm):
            nn.init.ones_(layer.weight)
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Embedding):
            nn.init.normal_(layer.weight, std=0.5 if "token" in name else 0.1)
        if name.endswith(("out_layers.3", "proj_out", "out.2")):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


def layer_forward(layer: nn.Module, x: Tensor, mask: Tensor, optimized_attention: Callable) -> Tensor:
    """ComfyUI's adds in place, which training cannot."""
    x = x + layer.self_attn(layer.layer_norm1(x), mask, optimized_attention)
    return x + layer.mlp(layer.layer_norm2(x))


class Training:
    def __init__(self, steps: int) -> None:
        self.steps, self.step = steps, 0
        self.painter = painters.empty()
        self.unet = self.painter.unet.requires_grad_(True)
        self.encoder = self.painter.encoder.clip_g.transformer.requires_grad_(True)
        self.pictures = Pictures(self.tokens_of)
        torch.manual_seed(0)
        initialize(self.unet)
        initialize(self.painter.encoder)
        self.sizes = self.unet.label_emb[0][0].weight
        nn.init.zeros_(self.sizes[:, painters.WORDS :].detach())
        self.vocabulary = self.find_vocabulary()
        self.places = torch.zeros(49408, dtype=torch.long)
        self.places[self.vocabulary] = torch.arange(len(self.vocabulary))
        whole = self.encoder.get_input_embeddings().weight.requires_grad_(False)
        self.rows = nn.Parameter(whole[self.vocabulary].detach().clone())
        names = [name for name, _ in self.encoder.named_parameters() if "token_embedding" not in name]
        trained = dict(self.encoder.named_parameters())
        self.parameters = [*self.unet.parameters(), *(trained[name] for name in names), self.rows]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=RATE, betas=(0.9, 0.99), weight_decay=0.01)
        self.alphas = self.painter.model.model.model_sampling.sigmas.square().add(1).reciprocal()
        self.nothing = torch.tensor([self.tokens_of("")])

    def tokens_of(self, text: str) -> list[int]:
        (tokens,) = self.painter.clip.tokenize(text)["g"]
        return [int(token) for token, _ in tokens]

    def find_vocabulary(self) -> Tensor:
        rng = random.Random("vocabulary")
        captions = ["", ".", *(painter_world.sample(rng, *painter_world.SIZES[0])[1] for _ in range(2000))]
        return torch.tensor(sorted({token for caption in captions for token in self.tokens_of(caption)}))

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """As SDXLClipG does: the words before the last layer, and the pooled text."""
        ends = (tokens == 49407).int().argmax(dim=1) + 1
        _, words, pooled, _ = self.encoder(
            None,
            embeds=self.rows[self.places[tokens]],
            num_tokens=ends.tolist(),
            intermediate_output=-2,
            final_layer_norm_intermediate=False,
        )
        return words, pooled

    def loss(self, generator: torch.Generator) -> Tensor:
        latents, tokens = self.pictures.draw(generator)
        batch = len(latents)
        tokens = torch.where(torch.rand(batch, 1, generator=generator) < NO_CAPTION, self.nothing, tokens)
        times = torch.randint(1000, (batch,), generator=generator)
        noise = torch.randn(latents.shape, generator=generator)
        alphas = self.alphas[times].view(-1, 1, 1, 1)
        noisy = alphas.sqrt() * latents + (1 - alphas).sqrt() * noise
        other = torch.rand(batch, 1, generator=generator) < OTHER_POOLED
        with torch.autocast("cpu", torch.bfloat16):
            words, pooled = self.encode(tokens)
            pooled = torch.where(other, pooled.roll(1, dims=0), pooled)
            given = nn.functional.pad(pooled.float(), (0, painters.SIZES))
            guessed = self.unet(noisy, times.float(), context=words.float(), y=given)
        return (guessed.float() - noise).square().mean()

    def run(self, state: Path) -> None:
        began = time.monotonic()
        losses: list[float] = []
        while self.step < self.steps:
            if self.step % 100 == 0:
                self.pictures.refresh()
            rate = RATE * min(1.0, (self.step + 1) / WARM_UP)
            rate *= 0.5 + 0.5 * math.cos(math.pi * self.step / self.steps)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            loss = self.loss(torch.Generator().manual_seed(self.step))
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self.optimizer.step()
            self.step += 1
            losses.append(loss.item())
            if self.step % 100 == 0:
                seconds = (time.monotonic() - began) / len(losses)
                recent = sum(losses[-100:]) / len(losses[-100:])
                print(
                    f"{self.step} loss {recent:.4f}, {seconds:.2f} s a step, {len(self.pictures)}",
                    flush=True,
                )
            if self.step % SAVE_EVERY == 0 or self.step == self.steps:
                self.save(state)

    def save(self, state: Path) -> None:
        kept = {
            "step": self.step,
            "parameters": [parameter.detach() for parameter in self.parameters],
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(kept, state.with_suffix(".part"))
        state.with_suffix(".part").rename(state)
        self.export(state.with_name(painters.WEIGHTS.name))

    def export(self, file: Path) -> None:
        with torch.no_grad():
            self.encoder.get_input_embeddings().weight[self.vocabulary] = self.rows
        painters.save(self.painter, self.vocabulary, file)

    def resume(self, state: Path) -> None:
        kept = torch.load(state)
        self.step = kept["step"]
        with torch.no_grad():
            for parameter, value in zip(self.parameters, kept["parameters"], strict=True):
                parameter.copy_(value)
        self.optimizer.load_state_dict(kept["optimizer"])


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    if DO == "pictures":
        make_pictures(*NUMBER or [6144])
        return
    comfy.clip_model.CLIPLayer.forward = layer_forward
    training, state = Training(*NUMBER or [10000]), FOLDER / "state.pt"
    if state.is_file():
        training.resume(state)
    training.run(state)
    painters.FOLDER.mkdir(exist_ok=True)
    training.export(painters.WEIGHTS)


if DO in ("pictures", "train"):
    main()
else:
    sys.exit(__doc__)
