"""One checkpoint: its parts, loaded when first used, and the walk from a sentence to a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from .chain import Box, ReasoningChain, Region
from .checkpoint import PROJECTORS_FILE, CheckpointSettings, check
from .configs import SCHEDULER
from .errors import GoTError
from .guidance import BRANCHES, LARGEST_SIDE, SMALLEST_SIDE, VAE_FACTOR, Guidance, GuidanceScales
from .json_objects import read_json
from .loading import check_tokens, load_image_processor, load_part, load_tokenizer, loading, part_config
from .notes import Note
from .plan_check import check_picture, check_plan, stays_as_it_is

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from .conversation import Conversation
    from .reading import Context
    from .reasoner import Reasoner
    from .sampler import Step
    from .ssgm import SemanticSpatialGuidance

MASKS_KEPT = 128
"""How many encoded masks a model remembers: those of the two largest chains; 256 kB each at 1024 x 1024."""
Mask = tuple[Box, str] | None
"""A box in its colour, or a black picture."""


class GoTModel:
    """The parts of one checkpoint. Build it with `from_pretrained`.

    The parts are separate: each loads on its first use and may be moved to another device than the others.

    Args:
        device, dtype: where the parts go and what their weights are cast to when they load.
        mllm_bits: 8 or 4 for an MLLM whose weights are rounded when it loads (see `quantization`).
        unet_fp8: keep the UNet's weights in fp8; it computes in `dtype` all the same.

    Attributes:
        vocabulary: what the model knows; None: everything, or that is not known, as with an adapter.
    """

    def __init__(
        self,
        path: Path,
        settings: CheckpointSettings,
        device: torch.device | str,
        dtype: torch.dtype,
        *,
        mllm_bits: int | None = None,
        unet_fp8: bool = False,
    ) -> None:
        self.path = path
        self.settings = settings
        self.device = torch.device(device)
        self.dtype = dtype
        self.mllm_bits = mllm_bits
        self.unet_fp8 = unet_fp8
        self.vocabulary = settings.vocabulary
        self._kept_masks: dict[tuple[Mask, tuple[int, int]], Tensor] = {}  # the latest last

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        *,
        mllm_bits: int | None = None,
        unet_fp8: bool = False,
    ) -> GoTModel:
        """Check a checkpoint folder; its weights load later.

        Raises:
            GoTError: the folder is incomplete, damaged, or its parts do not fit together.
        """
        return cls(Path(path), check(path), device, dtype, mllm_bits=mllm_bits, unet_fp8=unet_fp8)

    @cached_property
    def reasoner(self) -> Reasoner:
        """The MLLM with its tokenizer and image processor."""
        from transformers import Qwen2_5_VLForConditionalGeneration

        from .quantization import quantize_mllm
        from .reasoner import Reasoner

        mllm = self._load(Qwen2_5_VLForConditionalGeneration, "mllm", self.dtype)
        tokenizer = load_tokenizer(self.path / "processor")
        check_tokens(self.path, mllm.config, tokenizer)
        if self.mllm_bits is not None:
            quantize_mllm(mllm, self.mllm_bits)
        return Reasoner(
            mllm.to(self.device),
            tokenizer,
            load_image_processor(self.path / "processor"),
            self.settings.vision_size,
            self.settings.max_new_tokens,
        )

    @cached_property
    def ssgm(self) -> SemanticSpatialGuidance:
        """The two projectors."""
        return self._load_projectors().to(self.device, self.dtype)

    @cached_property
    def unet(self) -> UNet2DConditionModel:
        """The SDXL UNet with 12 input channels."""
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        from .quantization import store_in_fp8

        unet = self._load(UNet2DConditionModel, "unet", self.dtype)
        if self.unet_fp8:
            store_in_fp8(unet)
        return unet.to(self.device)

    @cached_property
    def vae(self) -> AutoencoderKL:
        """The VAE. Unless its config says otherwise, it stays in float32 where float16 would overflow."""
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        config = part_config(self.path / "vae")
        overflows = self.dtype == torch.float16 and config.get("force_upcast", True)
        return self._load(AutoencoderKL, "vae", torch.float32 if overflows else self.dtype).to(self.device)

    @cached_property
    def scheduler_config(self) -> dict[str, Any]:
        """The noise schedule, from which every sampler's scheduler is built."""
        config = read_json(self.path / "scheduler" / "scheduler_config.json")
        return {key: value for key, value in config.items() if key in SCHEDULER}

    def reason(
        self,
        prompt: str,
        image: Image.Image | None = None,
        task: str | None = None,
        *,
        max_new_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        seed: int | None = None,
        locked: Sequence[Region] = (),
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> ReasoningChain:
        """Let the MLLM write a reasoning chain. The task is "edit" when an image is given, else "generate".

        The keyword arguments are those of `Reasoner.write`. What the MLLM writes never raises: what cannot be
        read is reported in the chain's warnings.

        Raises:
            GoTError: an unusable prompt, picture or decoding setting.
            Interrupted: `should_stop` said so.
        """
        if task is None:
            task = "generate" if image is None else "edit"
        text = self.reasoner.write(
            task,
            prompt,
            image,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            locked=locked,
            on_text=on_text,
            should_stop=should_stop,
        )
        return ReasoningChain.read(text, task, prompt)

    def remarks(self, chain: ReasoningChain, picture: Image.Image | None = None) -> list[Note]:
        """What is to be said about a plan before it is drawn, and about the picture to edit."""
        said = check_plan(chain, self.vocabulary)
        return said if picture is None else [*said, *check_picture(picture, self.vocabulary)]

    def leaves_as_it_is(self, chain: ReasoningChain) -> bool:
        """Whether an edit leaves its picture alone, because the model cannot tell where to change it."""
        return stays_as_it_is(chain, self.vocabulary)

    @torch.no_grad()
    def encode(
        self,
        chain: ReasoningChain,
        reference: Image.Image | None = None,
        size: tuple[int, int] | None = None,
        context: Context | None = None,
    ) -> Guidance:
        """A chain, and for editing the source picture, become guidance. The MLLM reads the text again.

        Args:
            reference: the picture to edit; for generation none (a black picture stands for it).
            size: (height, width) of the result in pixels; by default the checkpoint's for the task.
            context: the conversation that the chain belongs to, if that has more than prompt and picture.

        Raises:
            GoTError: a size that does not fit, editing without a picture, or values that are not finite.
        """
        from .finite import check_finite
        from .ssgm import reference_latents

        defaults = self.settings.tasks[chain.task]
        size = (defaults.height, defaults.width) if size is None else size
        self.check_size(size)
        if chain.task == "edit" and reference is None:
            raise GoTError("Editing needs the picture that is to be edited as the reference; none was given.")
        if chain.task == "generate" and reference is not None:
            raise GoTError("A reference picture was given, but the chain's task is 'generate'; leave it out.")
        # 1. Semantic guidance: prompt, chain and image tokens, read in blocks.
        reasoner = self.reasoner
        hidden = reasoner.read(chain, reference, context)
        check_finite(hidden, "What the language model has read of the plan", reasoner.mllm)
        ssgm = self.ssgm
        weight = ssgm.output_projector.projector.weight
        semantic, null_semantic, pooled = ssgm.semantic(hidden.to(weight.device, weight.dtype))
        for values in (semantic, null_semantic, pooled):
            check_finite(values, "The semantic guidance", ssgm)
        # 2. Spatial and reference guidance: boxes and source picture as unscaled latents.
        masks: list[Mask] = [(region.box, region.color) for region in chain.regions] or [None]
        spatial = torch.cat(self._mask_latents(masks, size)).mean(dim=0, keepdim=True)
        if reference is None:
            (source,) = self._mask_latents([None], size)
        else:
            source = reference_latents(self.vae, reference, size)
            check_finite(source, "What the VAE has made of the picture to edit", self.vae)
        return Guidance(
            semantic,
            null_semantic,
            pooled,
            spatial.to(semantic),
            source.to(semantic, copy=True),
            size,
            chain.task,
        )

    @torch.no_grad()
    def sample_latents(
        self,
        guidance: Guidance,
        scales: GuidanceScales | None = None,
        seed: int = 0,
        steps: int | None = None,
        scheduler: str = "ddpm",
        on_step: Callable[[Step], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Tensor:
        """Denoise under guidance -> scaled latents [b, 4, h, w]; arguments and errors as in `denoise`."""
        from .sampler import denoise

        return denoise(
            self.unet,
            self.scheduler_config,
            guidance,
            self.default_scales(guidance.task) if scales is None else scales,
            seed,
            self.settings.tasks[guidance.task].steps if steps is None else steps,
            scheduler,
            self.unet.device,
            on_step,
            should_stop,
            self.branches_at_once(guidance.size),
        )

    def branches_at_once(self, size: tuple[int, int]) -> int:
        """How many branches the UNet evaluates together for a picture of `size` (H, W); here all of them."""
        return len(BRANCHES)

    def sample(
        self,
        guidance: Guidance,
        scales: GuidanceScales | None = None,
        seed: int = 0,
        steps: int | None = None,
        scheduler: str = "ddpm",
        on_step: Callable[[Step], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Image.Image:
        """Denoise under guidance and decode the picture.

        By default with the checkpoint's scales and steps for the task. Arguments and errors as in `denoise`.
        """
        return self.decode(
            self.sample_latents(guidance, scales, seed, steps, scheduler, on_step, should_stop)
        )

    def converse(self, prompt: str, image: Image.Image | None = None) -> Conversation:
        """Begin a conversation of several pictures: each is drawn, looked at, and changed by the next chain.

        Raises:
            GoTError: an unusable prompt or picture.
        """
        from .conversation import Conversation

        return Conversation(self, prompt, image)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Image.Image:
        """Scaled latents [1, 4, h, w], as the UNet sees them, -> the picture.

        Raises:
            GoTError: the picture has values that are not finite, or memory is too short even in tiles.
        """
        from .vae import decode_scaled

        levels = ((decode_scaled(self.vae, latents)[0].float() + 1.0) * 127.5).round().clamp(0, 255)
        return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).cpu().numpy())

    def default_scales(self, task: str) -> GuidanceScales:
        """The checkpoint's guidance scales for a task."""
        defaults = self.settings.tasks[task]
        return GuidanceScales(defaults.semantic, defaults.spatial, defaults.reference)

    def check_size(self, size: tuple[int, int]) -> None:
        """Raises GoTError unless (height, width), in pixels, is a size that the model can draw at."""
        for name, side in zip(("height", "width"), size, strict=True):
            if side % VAE_FACTOR or not SMALLEST_SIDE <= side <= LARGEST_SIDE:
                raise GoTError(
                    f"The {name} must be a multiple of {VAE_FACTOR} from {SMALLEST_SIDE} to {LARGEST_SIDE}, "
                    f"got {side}."
                )

    def _mask_latents(self, masks: Sequence[Mask], size: tuple[int, int]) -> list[Tensor]:
        """The latents [1, 4, h, w] of each mask at size (H, W), on the CPU, encoded where they are not known.

        They leave the VAE's device when all are there, so that a GPU need not wait after each of them.
        """
        from .finite import check_finite
        from .ssgm import spatial_latents

        kept, rule = self._kept_masks, self.settings.mask_rule
        unknown = [mask for mask in dict.fromkeys(masks) if (mask, size) not in kept]
        encoded = [
            spatial_latents(self.vae, [Region("", *mask, (0, 0))] if mask else [], size, rule)
            for mask in unknown
        ]
        if encoded:
            check_finite(torch.cat(encoded), "What the VAE has made of the boxes", self.vae)
        kept |= {(mask, size): latents.cpu() for mask, latents in zip(unknown, encoded, strict=True)}
        wanted = [kept[mask, size] for mask in masks]
        for mask in masks:
            kept[mask, size] = kept.pop((mask, size))
        while len(kept) > MASKS_KEPT:
            del kept[next(iter(kept))]
        return wanted

    def _load_projectors(self) -> SemanticSpatialGuidance:
        from safetensors.torch import load_file

        from .ssgm import SemanticSpatialGuidance

        sizes = self.settings.sizes
        projectors = SemanticSpatialGuidance(sizes.hidden, sizes.cross_attention, sizes.pooled)
        with loading(self.path / PROJECTORS_FILE):
            projectors.load_state_dict(load_file(self.path / PROJECTORS_FILE))
        return projectors.eval().requires_grad_(False)

    def _load(self, part_class: Any, name: str, dtype: torch.dtype) -> Any:
        return load_part(part_class, self.path / name, dtype)


def resize_result(picture: Image.Image, source_size: tuple[int, int], short_side: int) -> Image.Image:
    """Give an edited picture its source's aspect (source_size: width, height) and a short side, in pixels."""
    width, height = source_size
    scale = short_side / min(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)


def finish_edit(
    picture: Image.Image, source: Image.Image, chain: ReasoningChain, *, keep_outside: bool
) -> Image.Image:
    """An edited picture: its source with the boxes drawn anew or, where nothing of it is to be kept, one with
    its source's aspect and the short side that was drawn."""
    from .edit_area import keep_outside_boxes

    if keep_outside:
        return keep_outside_boxes(picture, source, chain.regions)
    return resize_result(picture, source.size, min(picture.size))


def enlargement(drawn: tuple[int, int], source: tuple[int, int], sentence: str = "enlarged") -> list[Note]:
    """What is to be said where an edit is drawn smaller than its source; both (height, width) in pixels."""
    if min(drawn) >= min(source):
        return []
    sizes = {"drawn": f"{drawn[1]} x {drawn[0]}", "size": f"{source[1]} x {source[0]}"}
    return [Note(sentence, **sizes)]
