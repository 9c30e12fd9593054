"""Run by ComfyUI's own Python: runs the native nodes in ComfyUI and records the results.

    python native_probe.py COMFYUI CHECKPOINT FACTS.json [DYNAMIC.json]

Without the second file, only what depends on how ComfyUI loads a checkpoint. The second file holds the same
of a ComfyUI that loads as it does with dynamic VRAM, on the CPU.

No server is started: ComfyUI's node classes are called as its executor would call them.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

COMFYUI, CHECKPOINT, *FILES = map(Path, sys.argv[1:])
ROOT = Path(__file__).parents[2]
sys.path[0] = str(COMFYUI)  # and not this folder, except for the simulation
sys.path.append(str(Path(__file__).parent))
sys.argv = [str(COMFYUI / "main.py")]

import comfy.cli_args  # noqa: E402

comfy.cli_args.args.cpu = True
comfy.cli_args.args.preview_method = comfy.cli_args.LatentPreviewMethod.Latent2RGB
importlib.import_module("utils.install_util")  # before nodes.py hides this folder behind comfy/utils.py
importlib.import_module("server")  # by this the pack sees that it is in ComfyUI

import comfy.latent_formats  # noqa: E402
import comfy.model_base  # noqa: E402
import comfy.model_detection  # noqa: E402
import comfy.model_management  # noqa: E402
import comfy.model_patcher  # noqa: E402
import comfy.samplers  # noqa: E402
import comfy.supported_models  # noqa: E402
import comfy.utils  # noqa: E402
import folder_paths  # noqa: E402
import latent_preview  # noqa: E402
import torch  # noqa: E402
from comfy_api import torch_helpers as torch_compile  # noqa: E402
from comfy_extras import nodes_custom_sampler as custom  # noqa: E402
from PIL import Image, ImageDraw  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from torch import Tensor  # noqa: E402

import nodes as comfy_nodes  # noqa: E402

# The pack under a name of its own, as ComfyUI imports it, but without registering with a server.
pack = types.ModuleType("pack")
pack.__path__ = [str(ROOT)]
sys.modules["pack"] = pack
native = importlib.import_module("pack.nodes.native")
native_configs = importlib.import_module("pack.nodes._native.configs")
native_guider = importlib.import_module("pack.nodes._native.guider")
native_sdxl = importlib.import_module("pack.nodes._native.sdxl")
encode = importlib.import_module("pack.nodes.guidance")
managed = importlib.import_module("pack.nodes._model")
adapter = importlib.import_module("pack.nodes._comfy.memory")
library = importlib.import_module("pack.got_models.pipeline")
guidance_of = importlib.import_module("pack.got_models.diffusion.guidance")
chains = importlib.import_module("pack.got_models.chain.chain")
errors = importlib.import_module("pack.got_models.errors")
adapters = importlib.import_module("pack.got_models.weights.adapter")
adapter_files = importlib.import_module("pack.got_models.weights.adapter_files")
adapting = importlib.import_module("pack.got_models.weights.adapting")
settings = importlib.import_module("pack.got_models.diffusion.settings")
unet_lora = importlib.import_module("pack.got_models.training.unet_lora")

STEPS = 4
SEED = 7
EULER = settings.SamplingSettings(seed=SEED, steps=STEPS, scheduler="euler")
SIZE = (104, 160)  # height and width differ, so that no test passes with the two exchanged
SMALL = (64, 72)  # where the picture does not matter
TEXT = (
    "A red circle <|box_start|>(102,203),(398,497)<|box_end|> (red) stands to the left of "
    "a blue square <|box_start|>(570,250),(890,700)<|box_end|> (green) on a white background."
)
OTHER_TEXT = "A green star <|box_start|>(602,503),(898,897)<|box_end|> (red) stands on a black background."
ATTENTION = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"


def source_picture() -> Image.Image:
    picture = Image.new("RGB", (200, 144), "white")
    ImageDraw.Draw(picture).ellipse((30, 30, 90, 90), fill=(230, 25, 25))
    return picture


def plan_for(model: Any, task: str, size: tuple[int, int] = SIZE, text: str = TEXT) -> Any:
    source = source_picture() if task == "edit" else None
    chain = chains.ReasoningChain.parse(text, task, "a red circle to the left of a blue square")
    return encode.EncodedPlan(model.encode(chain, source, size), chain, None, model.default_scales(task))


def load(weight_dtype: str = "default", checkpoint: Path = CHECKPOINT) -> tuple[Any, Any]:
    folder_paths.add_model_folder_path("got", str(checkpoint.parent))
    return native.GoTNativeModelLoader().load(checkpoint.name, weight_dtype)


def latent(size: tuple[int, int] = SIZE, batch: int = 1) -> dict[str, Tensor]:
    return {"samples": torch.zeros(batch, 4, size[0] // 8, size[1] // 8)}


def draw(
    model: Any,
    plan: Any,
    scales: tuple[float, float, float] = (-1.0, -1.0, -1.0),
    steps: int = STEPS,
    sampler: str = "euler",
    scheduler: str = "ddim_uniform",
    start: dict[str, Tensor] | None = None,
    noise: Any = None,
) -> Tensor:
    """SamplerCustomAdvanced with GoT Guider -> latents, unscaled."""
    guider, *_ = native.GoTGuider().guide(model, plan, *scales)
    samples, _ = custom.SamplerCustomAdvanced().sample(
        noise or custom.Noise_RandomNoise(SEED),
        guider,
        comfy.samplers.sampler_object(sampler),
        sigmas(model, scheduler, steps),
        start or latent(plan.guidance.size),
    )
    return samples["samples"]


def sigmas(model: Any, scheduler: str, steps: int) -> Tensor:
    return comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), scheduler, steps)


class LibraryNoise(custom.Noise_RandomNoise):
    """The same noise scaled as in diffusers: by sqrt(1 + sigma^2), where ComfyUI uses sigma."""

    def __init__(self, sigma: Tensor) -> None:
        super().__init__(SEED)
        self.factor = (1 + sigma**2).sqrt() / sigma

    def generate_noise(self, input_latent: dict[str, Tensor]) -> Tensor:
        return super().generate_noise(input_latent) * self.factor


def picture(vae: Any, latents: Tensor) -> Tensor:
    (image,) = comfy_nodes.VAEDecode().decode(vae, {"samples": latents})
    return image[0]


def pixels(image: Image.Image) -> Tensor:
    return torch.tensor(list(image.tobytes())).view(image.height, image.width, 3) / 255


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * torch.log10((one.float() - other.float()).square().mean().clamp(min=1e-12)))


def message(action: Callable[[], object]) -> str:
    try:
        action()
    except errors.GoTError as error:
        return str(error)
    return ""


def weights(model: Any) -> str:
    """A digest of the UNet's bytes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.model.diffusion_model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def counting(model: Any) -> tuple[Any, list[int]]:
    """The model, and a list to which every evaluation of its UNet appends its batch size."""
    counted, batches = model.clone(), []

    def count(apply: Any, given: dict[str, Any]) -> Tensor:
        batches.append(given["input"].shape[0])
        return apply(given["input"], given["timestep"], **given["c"])

    counted.set_model_unet_function_wrapper(count)
    return counted, batches


def forward(got: Any, model: Any) -> dict[str, Any]:
    """One evaluation of the UNet with every input in use, in the library's classes and in ComfyUI's."""
    guidance = plan_for(got, "edit").guidance
    height, width = guidance.size
    generator = torch.Generator().manual_seed(SEED)
    noisy = torch.randn(guidance.reference.shape, generator=generator)
    theirs = got.parts.unet()(
        torch.cat([noisy, guidance.reference, guidance.spatial], dim=1),
        321,
        encoder_hidden_states=guidance.semantic,
        added_cond_kwargs={
            "text_embeds": guidance.pooled,
            "time_ids": torch.tensor([[height, width, 0, 0, height, width]]),
        },
    ).sample
    entries = native_guider.branch_conditioning(guidance, "full")[0][1]
    conds = model.model.extra_conds(
        **entries, cross_attn=guidance.semantic, noise=noisy, device=torch.device("cpu")
    )
    ours = model.model.diffusion_model(
        torch.cat([noisy, conds["c_concat"].cond], dim=1),
        torch.tensor([321.0]),
        context=conds["c_crossattn"].cond,
        y=conds["y"].cond,
    )
    return {"difference": float((theirs - ours).abs().max()), "largest": float(theirs.abs().max())}


def parity(got: Any, model: Any, vae: Any) -> dict[str, Any]:
    """Library and ComfyUI draw the same picture, from the same seed."""
    facts = {}
    for task in ("generate", "edit"):
        plan, other = plan_for(got, task), plan_for(got, task, text=OTHER_TEXT)
        latents = got.sample_latents(plan.guidance, EULER)
        theirs = pixels(got.decode(latents))
        start = LibraryNoise(sigmas(model, "ddim_uniform", STEPS)[0])
        exact = model.model.process_latent_in(draw(model, plan, noise=start))
        facts[task] = {
            "psnr": psnr(picture(vae, draw(model, plan)), theirs),
            "latents from the same start": float((exact - latents).abs().max() / latents.abs().max()),
            "psnr of another seed and plan": psnr(
                pixels(got.decode(got.sample_latents(other.guidance, replace(EULER, seed=SEED + 1)))),
                theirs,
            ),
        }
    return facts


def vae_parity(got: Any, vae: Any) -> dict[str, Any]:
    encoding = importlib.import_module("pack.got_models.diffusion.vae")
    image = pixels(source_picture().resize((SIZE[1], SIZE[0])))
    theirs = encoding.encode_unscaled(got.parts.vae(), (image.permute(2, 0, 1)[None] * 2 - 1))
    ours = comfy_nodes.VAEEncode().encode(vae, image[None])[0]["samples"]
    return {"difference": float((theirs - ours).abs().max()), "largest": float(theirs.abs().max())}


def counted_as_a_model() -> list[bool]:
    """Whether the cache of ComfyUI sees weights in a GOT_MODEL, before and after it has loaded a part."""
    seen = getattr(comfy.model_patcher, "is_model_patcher_output", None)  # newer than 0.3.64
    if seen is None:
        return []
    model = managed.ManagedModel.open(CHECKPOINT)
    before = seen(model)
    _ = model.parts.vae()
    return [before, seen(model)]


@contextmanager
def with_a_card(memory: float, vram_state: str) -> Iterator[None]:
    """ComfyUI with a simulated card of this many bytes, which is PyTorch's meta device."""
    card, rest = torch.device("meta"), torch.device("cpu")
    with mock.patch.multiple(
        comfy.model_management,
        vram_state=comfy.model_management.VRAMState[vram_state],
        get_torch_device=lambda: card,
        text_encoder_device=lambda: card,
        unet_offload_device=lambda: rest,
        text_encoder_offload_device=lambda: rest,
        get_free_memory=lambda *_, torch_free_too=False: (memory, 0.0) if torch_free_too else memory,
        get_total_memory=lambda *_, **__: memory,
    ):
        yield


def parts_with_novram() -> list[str]:
    """Where the UNet and the language model are after they were requested once, and twice."""
    devices = []
    with with_a_card(1e12, "NO_VRAM"):
        for part in ("unet", "language"):
            module = torch.nn.Linear(2, 2)
            patcher = adapter.managed(module, part)
            for _ in range(2):
                adapter.load_to_device(patcher, 0)
                devices.append(str(module.weight.device))
    return devices


def parts_too_large_for_the_card() -> dict[str, str]:
    """Where parts of 1.6 GB run on a card of 2 GB, some of which ComfyUI reserves."""
    with torch.device("meta"):
        module = torch.nn.Linear(20_000, 20_000)
    with with_a_card(2e9, "NORMAL_VRAM"):
        return {part: str(adapter.managed(module, part).load_device) for part in ("unet", "language")}


def branches(got: Any, model: Any) -> dict[str, Any]:
    """How many branches each evaluation holds."""
    plan = plan_for(got, "edit")
    facts = {}
    for name, scales in {
        "all four": (4.0, 3.0, 1.5),
        "reference 1": (4.0, 3.0, 1.0),
        "semantic and reference 1": (1.0, 3.0, 1.0),
        "all 1": (1.0, 1.0, 1.0),
    }.items():
        counted, batches = counting(model)
        draw(counted, plan, scales, steps=3)
        facts[name] = batches
    counted, batches = counting(model)
    draw(counted, plan_for(got, "generate"), steps=2, start=latent(batch=2))
    facts["generation by default, two pictures"] = batches
    return facts


def speeds(got: Any, model: Any, vae: Any) -> dict[str, Any]:
    """GoT Guider's own sampler and steps, against the library's at the same speed."""
    plan = plan_for(got, "generate", SMALL)
    levels = {}
    for speed in ("exact", "fast"):
        guider, sampler, levels[speed] = native.GoTGuider().guide(model, plan, -1.0, -1.0, -1.0, speed)
    samples, _ = custom.SamplerCustomAdvanced().sample(
        LibraryNoise(levels["fast"][0]), guider, sampler, levels["fast"], latent(SMALL)
    )
    fast = settings.SamplingSettings(seed=SEED, speed="fast")
    return {
        "steps": {speed: len(values) - 1 for speed, values in levels.items()},
        "psnr": psnr(
            picture(vae, samples["samples"]), pixels(got.decode(got.sample_latents(plan.guidance, fast)))
        ),
        "fastest without a LoRA": message(
            lambda: native.GoTGuider().guide(model, plan, -1.0, -1.0, -1.0, "fastest")
        ),
    }


def plain_ksampler(got: Any, model: Any) -> dict[str, Any]:
    """KSampler with positive and negative conditioning is the guider with three equal scales."""
    plan = plan_for(got, "edit")
    positive, negative = encode.conditioning(plan.guidance)
    (drawn,) = comfy_nodes.KSampler().sample(
        model, SEED, STEPS, 3.0, "euler", "ddim_uniform", positive, negative, latent()
    )
    guided = draw(model, plan, (3.0, 3.0, 3.0))
    bare = [[states, {**entries, "got_reference": None, "got_spatial": None}] for states, entries in negative]
    (without,) = comfy_nodes.KSampler().sample(
        model, SEED, 2, 1.0, "euler", "ddim_uniform", bare, bare, latent()
    )
    (zeros,) = comfy_nodes.KSampler().sample(
        model, SEED, 2, 1.0, "euler", "ddim_uniform", negative, negative, latent()
    )
    return {
        "difference": float((drawn["samples"] - guided).abs().max() / guided.abs().max()),
        "absent latents are zeros": torch.equal(without["samples"], zeros["samples"]),
    }


def batch_of_guidance(got: Any, model: Any) -> dict[str, Any]:
    """Guidance for two pictures on a batch of four: rows 0 and 2 see the first, 1 and 3 the second."""
    plans = [plan_for(got, "edit"), plan_for(got, "edit")]
    other = encode.replace(plans[1].guidance, reference=plans[1].guidance.reference.flip(-1))
    joined = encode.replace(plans[0], guidance=encode.join([plans[0].guidance, other]))
    guider, *_ = native.GoTGuider().guide(model, joined, 4.0, 3.0, 1.5)
    noise = torch.randn(1, 4, SIZE[0] // 8, SIZE[1] // 8, generator=torch.Generator().manual_seed(SEED))
    drawn = guider.sample(
        noise.repeat(4, 1, 1, 1),
        torch.zeros(4, *noise.shape[1:]),
        comfy.samplers.sampler_object("euler"),
        sigmas(model, "ddim_uniform", 4),
    )
    return {
        "first and third": float((drawn[0] - drawn[2]).abs().max()),
        "second and fourth": float((drawn[1] - drawn[3]).abs().max()),
        "first and second": float((drawn[0] - drawn[1]).abs().max()),
    }


def lora(got: Any, model: Any, vae: Any) -> dict[str, Any]:
    """An SDXL LoRA file through ComfyUI's own loader, against the same change made to the library's UNet."""
    plan = plan_for(got, "generate")
    plain_bytes, plain = weights(model), draw(model, plan)
    changed_unet = copy.deepcopy(got.parts.unet())
    weight = changed_unet.get_submodule(ATTENTION).weight
    generator = torch.Generator().manual_seed(SEED)
    up = torch.randn(weight.shape[0], 4, generator=generator)
    down = torch.randn(4, weight.shape[1], generator=generator)
    weight.data += 0.8 * (up @ down)
    styled = with_lora(model, up, down)
    drawn, styled_bytes = draw(styled, plan), weights(styled)
    changed = library.GoTModel.from_pretrained(CHECKPOINT)
    changed.parts.loaded["unet"] = changed_unet
    theirs = pixels(changed.decode(changed.sample_latents(plan.guidance, EULER)))
    again = draw(model, plan)
    return {
        "psnr against the merged weights": psnr(picture(vae, drawn), theirs),
        "psnr against no LoRA": psnr(picture(vae, drawn), picture(vae, plain)),
        "bytes differ while it is applied": styled_bytes != plain_bytes,
        "bytes are restored": weights(model) == plain_bytes,
        "picture is restored": torch.equal(again, plain),
    }


def with_lora(model: Any, up: Tensor, down: Tensor) -> Any:
    """The model with a LoRA for one attention layer, at strength 0.8."""
    prefix = f"lora_unet_{ATTENTION.replace('.', '_')}"
    with tempfile.TemporaryDirectory() as folder:
        save_file(
            {
                f"{prefix}.lora_up.weight": up,
                f"{prefix}.lora_down.weight": down,
                f"{prefix}.alpha": torch.tensor(4.0),
            },
            Path(folder) / "style.safetensors",
        )
        folder_paths.add_model_folder_path("loras", folder)
        (styled,) = comfy_nodes.LoraLoaderModelOnly().load_lora_model_only(model, "style.safetensors", 0.8)
    return styled


def unet_half_of_an_adapter(got: Any, model: Any) -> dict[str, Any]:
    """The file that a training writes for ComfyUI's own loader, against the adapter in the library's UNet."""
    generator = torch.Generator().manual_seed(SEED)
    tensors = {}
    for name in trained_layers(name for name, _ in got.parts.unet().named_modules()):
        out, *inputs = got.parts.unet().get_submodule(name).weight.shape
        tensors[f"unet.{name}.lora_A"] = torch.randn(4, *inputs, generator=generator)
        tensors[f"unet.{name}.lora_B"] = torch.randn(out, 4, *[1 for _ in inputs[1:]], generator=generator)
    adapter = adapters.Adapter(tensors, 1.0, 0.125, {})
    merged = copy.deepcopy(got.parts.unet())
    adapting.change_part("unet", merged, adapter, 1.0, [])
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    with tempfile.TemporaryDirectory() as folder:
        adapter_files.save_unet_lora(Path(folder) / "unet_lora.safetensors", adapter)
        folder_paths.add_model_folder_path("loras", folder)
        (changed,) = comfy_nodes.LoraLoaderModelOnly().load_lora_model_only(
            model, "unet_lora.safetensors", 1.0
        )
    draw(changed, plan_for(got, "generate"), steps=1)
    logging.getLogger().removeHandler(complaints)
    native_weights = changed.model.diffusion_model.state_dict()
    names = comfy.utils.unet_to_diffusers(changed.model.model_config.unet_config)
    plain, expected = got.parts.unet().state_dict(), merged.state_dict()
    differences = {
        name: float((native_weights[names[name]] - weight).abs().max()) for name, weight in expected.items()
    }
    moved = {name for name, weight in expected.items() if not torch.equal(weight, plain[name])}
    return {
        "layers": len(tensors) // 2,
        "weights that change": len(moved),
        "largest difference": max(differences.values()),
        "smallest change": min(float((expected[name] - plain[name]).abs().max()) for name in moved),
        "complaints": complaints.messages,
    }


def trained_layers(names: Iterable[str]) -> list[str]:
    """The layers of a diffusers UNet that a LoRA training can change."""
    pattern = unet_lora.UNET_LAYERS + unet_lora.UNET_CONVOLUTIONS
    return [name for name in names if re.fullmatch(pattern, name)]


class Complaints(logging.Handler):
    """What ComfyUI logs about unknown LoRA keys, and its errors."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or "lora key not loaded" in record.getMessage():
            self.messages.append(record.getMessage())


def compiled(got: Any, model: Any) -> dict[str, float]:
    """What ComfyUI's TorchCompileModel does, with a backend that needs no C++ compiler."""
    plan = plan_for(got, "edit")
    faster = model.clone()
    torch_compile.set_torch_compile_wrapper(model=faster, backend="eager")
    plain = draw(model, plan, steps=2)
    return {"difference": float((draw(faster, plan, steps=2) - plain).abs().max() / plain.abs().max())}


def weight_types(got: Any, vae: Any) -> dict[str, Any]:
    plan = plan_for(got, "generate")
    theirs = pixels(got.decode(got.sample_latents(plan.guidance, EULER)))
    facts = {}
    for name in native.WEIGHT_DTYPES:
        model, _ = load(name)
        facts[name] = {
            "stored as": str(model.model.diffusion_model.get_submodule("input_blocks.0.0").weight.dtype),
            "psnr": psnr(picture(vae, draw(model, plan)), theirs),
        }
    return facts


def every_sampler(got: Any, model: Any) -> dict[str, list[str]]:
    """The samplers and schedulers of ComfyUI that do not give finite latents in three steps."""
    plan, one_branch = plan_for(got, "edit", SMALL), (1.0, 1.0, 1.0)
    failed: dict[str, list[str]] = {"samplers": [], "schedulers": []}
    for name in comfy.samplers.SAMPLER_NAMES:
        if not draw(model, plan, one_branch, 3, sampler=name, scheduler="normal").isfinite().all():
            failed["samplers"].append(name)
    for name in comfy.samplers.SCHEDULER_NAMES:
        if not draw(model, plan, one_branch, 3, scheduler=name).isfinite().all():
            failed["schedulers"].append(name)
    return failed


def previews(model: Any, vae: Any) -> dict[str, Any]:
    """The preview of a finished picture against that picture, one pixel for every 8 x 8."""
    image = source_picture().resize((SIZE[1], SIZE[0]))
    encoded = comfy_nodes.VAEEncode().encode(vae, pixels(image)[None])[0]["samples"]
    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    plain = latent_preview.get_previewer(model.load_device, comfy.latent_formats.SDXL())
    latents = model.model.process_latent_in(encoded)
    _, shown, _ = previewer.decode_latent_to_preview_image("JPEG", latents)
    _, unfitted, _ = plain.decode_latent_to_preview_image("JPEG", latents)
    small = pixels(image.resize(shown.size, Image.Resampling.BOX))
    return {
        "size": list(shown.size),
        "difference": float((pixels(shown) - small).abs().mean()),
        "difference in SDXL's colours": float((pixels(unfitted) - small).abs().mean()),
    }


def messages(got: Any, model: Any) -> dict[str, str]:
    plan = plan_for(got, "edit")
    with torch.device("meta"):
        config = comfy.supported_models.SDXL({**model.model.model_config.unet_config, "in_channels": 4})
        config.unet_config["num_head_channels"] = 32
        other = comfy.model_base.SDXL(config)
    stranger = model.clone()
    stranger.model = other
    wide = guidance_of.Guidance(
        *(torch.zeros(1, 64, 2048) for _ in range(2)),
        torch.zeros(1, 1280),
        *(torch.zeros(1, 4, SIZE[0] // 8, SIZE[1] // 8) for _ in range(2)),
        SIZE,
        "edit",
    )
    return {
        "another MODEL": message(lambda: native.GoTGuider().guide(stranger, plan, -1.0, -1.0, -1.0)),
        "another size": message(lambda: draw(model, plan, steps=1, start=latent((128, 128)))),
        "another checkpoint's guidance": message(
            lambda: draw(model, encode.replace(plan, guidance=wide), steps=1)
        ),
        "a path as name": str(native.GoTNativeModelLoader.VALIDATE_INPUTS("../../etc")),
        **{name: message(lambda change=change: load_changed(change)) for name, change in CHANGES.items()},
        **nan_in_the_unet(plan),
    }


def nan_in_the_unet(plan: Any) -> dict[str, str]:
    """The samplers' errors where black pictures would result."""
    damaged, _ = load()
    damaged.model.diffusion_model.out[2].bias[0] = torch.nan
    positive, negative = encode.conditioning(plan.guidance)
    ksampler = (damaged, SEED, 1, 3.0, "euler", "normal", positive, negative, latent())
    return {
        "KSampler, NaN in the UNet": message(lambda: comfy_nodes.KSampler().sample(*ksampler)),
        "GoT Guider, NaN in the UNet": message(lambda: draw(damaged, plan, steps=1)),
    }


def load_changed(change: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        copied = Path(folder) / "changed"
        shutil.copytree(CHECKPOINT, copied)
        change(copied)
        native_sdxl.load(copied, "default")


def change_tensors(part: str, change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / part / "diffusion_pytorch_model.safetensors"
        tensors = load_file(file)
        change(tensors)
        save_file(tensors, file)

    return apply


def change_config(name: str, **entries: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / name
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **entries}))

    return apply


CHANGES: dict[str, Callable[[Path], None]] = {
    "a UNet tensor is missing": change_tensors("unet", lambda tensors: tensors.pop(f"{ATTENTION}.weight")),
    "a UNet tensor too many": change_tensors("unet", lambda tensors: tensors.update(extra=torch.zeros(1))),
    "a UNet tensor of another shape": change_tensors(
        "unet", lambda tensors: tensors.update({f"{ATTENTION}.weight": torch.zeros(2, 2)})
    ),
    "a VAE tensor is missing": change_tensors("vae", lambda tensors: tensors.pop("quant_conv.weight")),
    "NaN in the VAE": change_tensors("vae", lambda tensors: tensors["quant_conv.bias"].fill_(torch.nan)),
    "another activation": change_config("unet/config.json", act_fn="gelu"),
    "heads of two widths": change_config("unet/config.json", attention_head_dim=[3, 3, 2]),
    "another prediction": change_config("scheduler/scheduler_config.json", prediction_type="v_prediction"),
}


def sdxl_size() -> dict[str, Any]:
    """A GoT-6B sized UNet, on the meta device: no memory, but every name and every shape."""
    from diffusers import UNet2DConditionModel

    config = {
        "in_channels": 12,
        "out_channels": 4,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "mid_block_type": "UNetMidBlock2DCrossAttn",
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "block_out_channels": [320, 640, 1280],
        "layers_per_block": 2,
        "transformer_layers_per_block": [1, 2, 10],
        "attention_head_dim": [5, 10, 20],
        "num_attention_heads": None,
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
        "norm_num_groups": 32,
        "norm_eps": 1e-05,
        "act_fn": "silu",
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(config))
        ours = native_configs.unet_config(file)
    with torch.device("meta"):
        theirs = UNet2DConditionModel(**config).state_dict()
        native_unet = comfy.model_base.UNetModel(**ours).state_dict()
    names = comfy.utils.unet_to_diffusers(ours)
    placed = {names[name]: list(tensor.shape) for name, tensor in theirs.items()}
    stock = comfy.model_detection.unet_config_from_diffusers_unet(
        {name: tensor for name, tensor in theirs.items() if name != "conv_in.weight"}
        | {"conv_in.weight": torch.empty(320, 4, 3, 3, device="meta")}
    )
    layers = trained_layers(name.removesuffix(".weight") for name in theirs if name.endswith(".weight"))
    return {
        "LoRA layers": len(layers),
        "LoRA layers without a place": [name for name in layers if f"{name}.weight" not in names],
        "every tensor has its place": placed
        == {name: list(tensor.shape) for name, tensor in native_unet.items()},
        "differs from ComfyUI's SDXL in": sorted(
            key for key in stock if key != "dtype" and key != "use_checkpoint" and stock[key] != ours[key]
        ),
    }


class WordsOfPlans:
    """A CLIP whose words are the semantic guidance that a plan of the text has."""

    def __init__(self, got: Any) -> None:
        self.got = got

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, text: str) -> Any:
        chain = chains.ReasoningChain.parse(f"{text} (250,250),(750,750)", "generate", text)
        return encode.conditioning(self.got.encode(chain, size=SIZE))[0]


def regional(got: Any, model: Any) -> dict[str, Any]:
    """Regional prompts in ComfyUI's own samplers, with a batch of two, CFG and a LoRA."""
    regions = importlib.import_module("pack.nodes._native.regional")
    clip, box = WordsOfPlans(got), chains.Box
    negative = regions.encode(clip, "a gray square")

    def sample(patched: Any, positive: Any, cfg: float = 3.0) -> Tensor:
        given = latent(batch=2)
        (drawn,) = comfy_nodes.KSampler().sample(
            patched, SEED, 2, cfg, "euler", "normal", positive, negative, given
        )
        return drawn["samples"]

    def apply(to: Any, share: float, *boxes: Any) -> tuple[Any, Any]:
        stars = [regions.RegionalPrompt("a blue star", place) for place in boxes]
        painting = regions.apply_regions(to, clip, "a red circle", "", stars, share, 0.0, negative)
        assert painting.in_one_pass
        return painting.model, painting.positive

    ((_, base),), ((words, _),) = (regions.encode(clip, text) for text in ("a red circle", "a blue star"))

    def as_masks() -> float:
        """What a model without cross-attention gets, here on one that has it."""
        with mock.patch.object(regions, "has_cross_attention", return_value=False):
            star = regions.RegionalPrompt("a blue star", everywhere)
            painting = regions.apply_regions(model, clip, "a red circle", "", [star], 0.0, 0.0, negative)
        assert not painting.in_one_pass and len(painting.positive) == 2
        drawn = sample(model, painting.positive)
        return float((drawn - sample(model, regions.encode(clip, "a blue star"))).abs().max())

    circle = sample(model, regions.encode(clip, "a red circle"))
    star = sample(model, [[words, base]])  # the pooled embedding is the base prompt's
    everywhere = box(0, 0, 999, 999)
    left = sample(*apply(model, 0.0, box(0, 0, 500, 999)))
    styled = with_lora(model, torch.ones(96, 1), torch.ones(1, 96))
    return {
        "one region over all": float((sample(*apply(model, 0.0, everywhere)) - star).abs().max()),
        "no share for regions": float((sample(*apply(model, 1.0, everywhere)) - circle).abs().max()),
        "half": [float((left - other).abs().max()) for other in (circle, star)],
        "a lora's own": float((sample(*apply(styled, 0.0, everywhere)) - star).abs().max()),
        "as masked conditioning": as_masks(),
        "largest": float(star.abs().max()),
        "model untouched": float((sample(model, regions.encode(clip, "a red circle")) - circle).abs().max()),
    }


@torch.inference_mode()
def measure(got: Any, file: Path, only_loading: bool) -> None:
    model, vae = load()
    facts = {
        "forward": forward(got, model),
        "vae": vae_parity(got, vae),
        "parity": parity(got, model, vae),
        "speeds": speeds(got, model, vae),
        "lora": {
            "default": lora(got, model, vae),
            "fp8_e4m3fn": lora(got, load("fp8_e4m3fn")[0], vae),
        },
        "weight types": weight_types(got, vae),
        "counted as a model": counted_as_a_model(),
        "parts with --novram": parts_with_novram(),
        "parts too large": parts_too_large_for_the_card(),
        "messages": messages(got, model),
    }
    if not only_loading:
        facts |= {
            "branches": branches(got, model),
            "ksampler": plain_ksampler(got, model),
            "batch": batch_of_guidance(got, model),
            "unet half of an adapter": unet_half_of_an_adapter(got, model),
            "compiled": compiled(got, model),
            "preview": previews(model, vae),
            "failed": every_sampler(got, model),
            "sdxl size": sdxl_size(),
            "regional": regional(got, model),
        }
    file.write_text(json.dumps(facts, indent=2), encoding="utf-8")


@torch.inference_mode()
def loaded_library() -> Any:
    got = library.GoTModel.from_pretrained(CHECKPOINT)
    for part in (got.parts.reasoner, got.parts.unet, got.parts.vae):
        part()
    return got


def main() -> None:
    comfy.utils.set_progress_bar_enabled(False)
    got = loaded_library()
    if len(FILES) == 1:
        measure(got, FILES[0], only_loading=True)
    elif simulation := os.fork():  # which changes ComfyUI for good, and so is a process of its own
        measure(got, FILES[0], only_loading=False)
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(simulation, 0)[1]))
    else:
        importlib.import_module("dynamic_vram").simulate()
        measure(got, FILES[1], only_loading=True)


main()
