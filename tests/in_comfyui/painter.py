"""The painter: a text-to-image model of the shapes world, in ComfyUI's own SDXL and CLIP classes.

It knows nothing of regions: it was trained on pictures and captions alone, by `train_painter.py`. It draws in
the latents of the bundled VAE. Only for ComfyUI's own Python.
"""

from __future__ import annotations

import hashlib
import importlib
import types
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import comfy.model_base
import comfy.model_patcher
import comfy.sd
import comfy.sdxl_clip
import comfy.supported_models
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

FOLDER = Path(__file__).parents[1] / "fixtures" / "painter"
WEIGHTS = FOLDER / "painter.safetensors"
VAE = Path(__file__).parents[2] / "got_models" / "tiny" / "vae"

WORDS = 64
"""Width of the text encoder."""
TOKENS = 32
"""The longest caption, with its start and end."""
SIZES = 6 * 256
"""Numbers that tell SDXL the picture's size; the painter does not use them, so they are not in the file."""

UNET = {
    "image_size": 32,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 64,
    "channel_mult": [1, 1],
    "num_res_blocks": [1, 1],
    "transformer_depth": [1, 1],
    "transformer_depth_middle": 1,
    "transformer_depth_output": [1, 0, 1, 0],
    "num_heads": -1,
    "num_head_channels": 32,
    "context_dim": WORDS,
    "adm_in_channels": WORDS + SIZES,
    "num_classes": "sequential",
    "use_spatial_transformer": True,
    "use_linear_in_transformer": True,
    "use_temporal_attention": False,
    "use_temporal_resblock": False,
    "legacy": False,
}
CLIP = {
    "hidden_size": WORDS,
    "intermediate_size": 4 * WORDS,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "max_position_embeddings": TOKENS,
}
EMBEDDING = "clip_g.transformer.text_model.embeddings.token_embedding.weight"
POOLED = "label_emb.0.0.weight"


@dataclass(frozen=True)
class Painter:
    """ComfyUI's MODEL, CLIP and VAE; an empty painter has no VAE."""

    model: Any
    clip: Any
    vae: Any = None

    @property
    def unet(self) -> torch.nn.Module:
        return self.model.model.diffusion_model

    @property
    def encoder(self) -> torch.nn.Module:
        return self.clip.cond_stage_model


def empty(dtype: torch.dtype = torch.float32) -> Painter:
    """A painter whose weights are still to be filled in, in float32; `dtype`: that of its UNet."""
    cpu = torch.device("cpu")
    config = comfy.supported_models.SDXL({})
    config.unet_config = dict(UNET)
    config.latent_format.scale_factor = 1.0
    config.set_inference_dtype(dtype, None if dtype == torch.float32 else torch.float32)
    model = comfy.model_patcher.ModelPatcher(comfy.model_base.SDXL(config), cpu, cpu)

    target = types.SimpleNamespace(
        params={}, clip=comfy.sdxl_clip.SDXLRefinerClipModel, tokenizer=comfy.sdxl_clip.SDXLTokenizer
    )
    clip = comfy.sd.CLIP(
        target,
        tokenizer_data={"clip_g_max_length": TOKENS},
        model_options={"clip_g_model_config": CLIP, "dtype": torch.float32},
    )
    return Painter(model, clip)


def load(dtype: torch.dtype = torch.float32, file: Path = WEIGHTS) -> Painter:
    """The trained painter."""
    with safe_open(file, "pt") as kept:
        learned = kept.metadata()["vae"]
    if learned != vae_digest():
        raise RuntimeError("The bundled VAE has changed since: train the painter anew with train_painter.py.")
    painter, tensors = empty(dtype), load_file(file)
    unet = {name: tensor.float() for name, tensor in parts(tensors, "unet.").items()}
    unet[POOLED] = torch.nn.functional.pad(unet[POOLED], (0, SIZES))
    painter.unet.load_state_dict({name: tensor.to(dtype) for name, tensor in unet.items()})
    encoder = {name: tensor.float() for name, tensor in parts(tensors, "encoder.").items()}
    rows = encoder.pop("rows")
    encoder[EMBEDDING] = torch.zeros_like(painter.encoder.state_dict()[EMBEDDING])
    encoder[EMBEDDING][tensors["tokens"].long()] = rows
    painter.encoder.load_state_dict(encoder)
    return replace(painter, vae=load_vae())


def load_vae() -> Any:
    """The bundled VAE."""
    return importlib.import_module("pack.nodes._native.sdxl").load_vae(VAE)


def vae_digest() -> str:
    """Tells the VAE whose latents a painter has learned."""
    return hashlib.sha256((VAE / "diffusion_pytorch_model.safetensors").read_bytes()).hexdigest()


def save(painter: Painter, tokens: Tensor, file: Path = WEIGHTS) -> None:
    """Its weights in float16, without the rows of tokens that no caption has."""
    unet, encoder = painter.unet.state_dict(), painter.encoder.state_dict()
    unet[POOLED] = unet[POOLED][:, :WORDS]
    encoder["rows"] = encoder.pop(EMBEDDING)[tokens]
    weights = {f"unet.{name}": tensor for name, tensor in unet.items()}
    weights |= {f"encoder.{name}": tensor for name, tensor in encoder.items()}
    halves = {name: tensor.detach().half().contiguous() for name, tensor in weights.items()}
    save_file({**halves, "tokens": tokens.int()}, file, {"vae": vae_digest()})


def parts(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
