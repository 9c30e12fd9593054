"""One checkpoint: its parts, loaded lazily, and the steps from a sentence to a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from .chain.chain import Box, ReasoningChain, Region
from .chain.notations import qwen
from .chain.notations.plan import LayoutPlan
from .chain.plan_check import check_picture, check_plan, leaves_unchanged
from .diffusion.guidance import MAX_SIDE, MIN_SIDE, VAE_FACTOR, Guidance
from .diffusion.settings import SAMPLING_DEFAULTS, GuidanceScales, SamplingSettings
from .diffusion.speed import Defaults, Distilled, resolved
from .errors import GoTError
from .files.json_objects import read_json
from .mllm.prompts import DESCRIBE, locating
from .mllm.settings import GENERATION_DEFAULTS, GenerationSettings
from .notes import Note
from .weights.adapter import special_token_ids
from .weights.adapting import change_parts
from .weights.checkpoint import CheckpointSettings, check
from .weights.configs import SCHEDULER
from .weights.distilled import check_distilled, distilled_of
from .weights.loading import part_config
from .weights.parts import PartLoader, Parts, ResidentParts

if TYPE_CHECKING:
    from .conversation import Conversation
    from .diffusion.sampler import Step
    from .mllm.kv_cache import Context
    from .weights.adapter import Adapter

MASKS_KEPT = 128
"""How many encoded masks are cached: those of the two largest chains; 256 kB each at 1024 x 1024."""
Mask = tuple[Box, str] | None
"""A box in its colour, or a black picture."""


class GoTModel:
    """The parts of one checkpoint, and the steps that use them. Create it with `from_pretrained`.

    Args:
        parts: provides each part, ready to run, whenever a step needs it.

    Attributes:
        vocabulary: what the model knows; None: everything, or unknown, as with an adapter.
        distilled: what an adapter has distilled the UNet for; None: it draws with all branches.
    """

    def __init__(self, path: Path, settings: CheckpointSettings, parts: Parts) -> None:
        self.path = path
        self.settings = settings
        self.parts = parts
        self.vocabulary = settings.vocabulary
        self.distilled: Distilled | None = None
        self._mask_cache: dict[tuple[Mask, tuple[int, int]], Tensor] = {}  # least recently used first

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
        """Check a checkpoint folder. Its weights load lazily, each part on first use.

        Args:
            device: where all parts run.
            dtype, mllm_bits, unet_fp8: as in `PartLoader`.

        Raises:
            GoTError: the folder is incomplete, damaged, or its parts do not fit together.
        """
        path = Path(path)
        settings = check(path)
        load = PartLoader(path, settings, dtype, mllm_bits=mllm_bits, unet_fp8=unet_fp8)
        return cls(path, settings, ResidentParts(load, device, dtype))

    @cached_property
    def scheduler_config(self) -> dict[str, Any]:
        """The noise schedule, from which every sampler's scheduler is built."""
        config = read_json(self.path / "scheduler" / "scheduler_config.json")
        return {key: value for key, value in config.items() if key in SCHEDULER}

    @property
    def vae_scaling_factor(self) -> float:
        """The factor by which the VAE's latents are multiplied for the UNet."""
        factor: float = part_config(self.path / "vae")["scaling_factor"]
        return factor

    def apply_adapter(self, adapter: Adapter, mllm_strength: float = 1.0, unet_strength: float = 1.0) -> None:
        """Apply an adapter to the weights in place. The projectors use the MLLM's strength.

        The model's vocabulary is unknown afterwards, unless the adapter only makes the model faster.

        Raises:
            GoTError: the adapter was trained on a checkpoint with other parts or widths, or distilled from
                other weights, or a strength is invalid; nothing is changed.
        """
        distilled = self.distilled_by(adapter, unet_strength)
        reasoner = self.parts.reasoner()
        weights = {"mllm": reasoner.mllm, "projectors": self.parts.ssgm(), "unet": self.parts.unet()}
        change_parts(weights, adapter, mllm_strength, unet_strength, special_token_ids(reasoner.tokenizer))
        reasoner.cache.forget()
        self.distilled = distilled or self.distilled
        if distilled is None:
            self.vocabulary = None

    def distilled_by(self, adapter: Adapter, unet_strength: float) -> Distilled | None:
        """What an adapter at this strength distils the UNet for; None if it does not.

        Raises:
            GoTError: it was distilled from another checkpoint, or is to be applied in part.
        """
        distilled = distilled_of(adapter) if unet_strength else None
        if distilled is None:
            return None
        check_distilled(distilled, self.path)
        if unet_strength != 1.0:
            raise GoTError(
                f"A distilled adapter draws well only as a whole: set its UNet strength to 1, got "
                f"{unet_strength:g}."
            )
        return distilled

    def sampling(self, settings: SamplingSettings, task: str) -> SamplingSettings:
        """Settings with the checkpoint's own in place of what was not given; errors as `speed.resolved`."""
        steps = self.settings.tasks[task].steps
        own = Defaults(self.default_scales(task), steps, self.settings.speed)
        return resolved(settings, task, own, self.distilled)

    def reason(
        self,
        prompt: str,
        image: Image.Image | None = None,
        task: str | None = None,
        settings: GenerationSettings = GENERATION_DEFAULTS,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> ReasoningChain:
        """Let the MLLM generate a reasoning chain. The task is "edit" if an image is given, else "generate".

        The MLLM's output never raises: what cannot be parsed is reported in the chain's warnings.

        Args:
            on_text, should_stop: as in `Reasoner.write`.

        Raises:
            GoTError: an invalid prompt or picture, or a region that cannot be locked.
            Interrupted: `should_stop` returned true.
        """
        if task is None:
            task = "generate" if image is None else "edit"
        text = self.parts.reasoner().write(
            task, prompt, image, settings, on_text=on_text, should_stop=should_stop
        )
        return ReasoningChain.read(text, task, prompt)

    def describe(
        self,
        image: Image.Image,
        settings: GenerationSettings = GENERATION_DEFAULTS,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> str:
        """Say what a picture shows. Arguments and errors as in `Reasoner.write`."""
        return (
            self.parts.reasoner()
            .answer(DESCRIBE, image, settings, on_text=on_text, should_stop=should_stop)
            .strip()
        )

    def locate(
        self,
        image: Image.Image,
        phrases: Sequence[str] | None = None,
        settings: GenerationSettings = GENERATION_DEFAULTS,
        *,
        on_text: Callable[[str], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> LayoutPlan:
        """Find things in a picture; the elements hold their names and boxes, the notes what was unreadable.

        Args:
            phrases: what to look for, such as "the red circle"; None: everything.

        Raises:
            GoTError: an answer that is no list of boxes, an invalid phrase, or as in `Reasoner.write`.
            Interrupted: `should_stop` returned true.
        """
        text = self.parts.reasoner().answer(
            locating(phrases), image, settings, on_text=on_text, should_stop=should_stop
        )
        return qwen.read_answer(text, (self.settings.vision_size, self.settings.vision_size))

    def remarks(self, chain: ReasoningChain, picture: Image.Image | None = None) -> list[Note]:
        """Remarks on a plan before it is drawn, and on the picture to edit."""
        said = check_plan(chain, self.vocabulary)
        return said if picture is None else [*said, *check_picture(picture, self.vocabulary)]

    def leaves_unchanged(self, chain: ReasoningChain) -> bool:
        """Whether an edit leaves its picture unchanged because the model cannot tell where to change it."""
        return leaves_unchanged(chain, self.vocabulary)

    @torch.no_grad()
    def encode(
        self,
        chain: ReasoningChain,
        reference: Image.Image | None = None,
        size: tuple[int, int] | None = None,
        context: Context | None = None,
    ) -> Guidance:
        """Turn a chain, and for editing the source picture, into guidance. The MLLM reads the text again.

        Args:
            reference: the picture to edit; None for generation (a black picture is used).
            size: (height, width) of the result in pixels; by default the checkpoint's for the task.
            context: the conversation that the chain belongs to, if it has more than prompt and picture.

        Raises:
            GoTError: an unsupported size, editing without a picture, or values that are not finite.
        """
        from .diffusion.ssgm import reference_latents
        from .finite import check_finite

        defaults = self.settings.tasks[chain.task]
        size = (defaults.height, defaults.width) if size is None else size
        self.check_size(size)
        if chain.task == "edit" and reference is None:
            raise GoTError("Editing needs the picture that is to be edited as the reference; none was given.")
        if chain.task == "generate" and reference is not None:
            raise GoTError("A reference picture was given, but the chain's task is 'generate'; leave it out.")
        # 1. Semantic guidance: prompt, chain and image tokens, read in blocks.
        reasoner = self.parts.reasoner()
        hidden = reasoner.read(chain, reference, context)
        check_finite(hidden, "What the language model has read of the plan", reasoner.mllm)
        ssgm = self.parts.ssgm()
        weight = ssgm.output_projector.projector.weight
        semantic, null_semantic, pooled = ssgm.semantic(hidden.to(weight.device, weight.dtype))
        whole = torch.cat([values.flatten() for values in (semantic, null_semantic, pooled)])
        check_finite(whole, "The semantic guidance", ssgm)  # once, since it synchronizes a GPU
        # 2. Spatial and reference guidance: boxes and source picture as unscaled latents.
        masks: list[Mask] = [(region.box, region.color) for region in chain.regions] or [None]
        spatial = torch.cat(self._mask_latents(masks, size)).mean(dim=0, keepdim=True)
        if reference is None:
            (source,) = self._mask_latents([None], size)
        else:
            vae = self.parts.vae(size)
            source = reference_latents(vae, reference, size)
            check_finite(source, "What the VAE has made of the picture to edit", vae)
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
        settings: SamplingSettings = SAMPLING_DEFAULTS,
        *,
        on_step: Callable[[Step], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        every_branch: bool = False,
    ) -> Tensor:
        """Denoise under guidance -> scaled latents [b, 4, h, w].

        Arguments and errors as in `denoise` and `sampling`.
        """
        from .diffusion.sampler import denoise

        settings = self.sampling(settings, guidance.task)
        return denoise(
            self.parts.unet(guidance.size),
            self.scheduler_config,
            guidance,
            settings,
            on_step=on_step,
            should_stop=should_stop,
            branches_at_once=self.parts.branches_at_once(guidance.size),
            every_branch=every_branch,
        )

    def sample(
        self,
        guidance: Guidance,
        settings: SamplingSettings = SAMPLING_DEFAULTS,
        *,
        on_step: Callable[[Step], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        every_branch: bool = False,
    ) -> Image.Image:
        """Denoise under guidance and decode the picture; arguments and errors as in `denoise`."""
        latents = self.sample_latents(
            guidance, settings, on_step=on_step, should_stop=should_stop, every_branch=every_branch
        )
        return self.decode(latents)

    def converse(self, prompt: str, image: Image.Image | None = None) -> Conversation:
        """Start a conversation of several pictures: each is drawn, looked at, and edited by the next chain.

        Raises:
            GoTError: an invalid prompt or picture.
        """
        from .conversation import Conversation

        return Conversation(self, prompt, image)

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Image.Image:
        """Scaled latents [1, 4, h, w], as the UNet sees them, -> the picture.

        Raises:
            GoTError: the picture has values that are not finite, or memory runs out even in tiles.
        """
        from .diffusion.vae import decode_scaled

        height, width = latents.shape[-2:]
        vae = self.parts.vae((height * VAE_FACTOR, width * VAE_FACTOR))
        levels = ((decode_scaled(vae, latents)[0].float() + 1.0) * 127.5).round().clamp(0, 255)
        return Image.fromarray(levels.to(torch.uint8).permute(1, 2, 0).cpu().numpy())

    def default_scales(self, task: str) -> GuidanceScales:
        """The checkpoint's guidance scales for a task."""
        defaults = self.settings.tasks[task]
        return GuidanceScales(defaults.semantic, defaults.spatial, defaults.reference)

    def check_size(self, size: tuple[int, int]) -> None:
        """Raises GoTError unless (height, width), in pixels, is a size that the model can draw at."""
        for name, side in zip(("height", "width"), size, strict=True):
            if side % VAE_FACTOR or not MIN_SIDE <= side <= MAX_SIDE:
                raise GoTError(
                    f"The {name} must be a multiple of {VAE_FACTOR} from {MIN_SIDE} to {MAX_SIDE}, "
                    f"got {side}."
                )

    def _mask_latents(self, masks: Sequence[Mask], size: tuple[int, int]) -> list[Tensor]:
        """The latents [1, 4, h, w] of each mask at size (H, W), on the CPU, cached or encoded.

        They are moved off the VAE's device together at the end, so that a GPU is synchronized only once.
        """
        from .diffusion.box_masks import draw_region_masks
        from .diffusion.ssgm import encode_pictures
        from .finite import check_finite

        kept, rule = self._mask_cache, self.settings.mask_rule
        unknown = [mask for mask in dict.fromkeys(masks) if (mask, size) not in kept]
        if unknown:
            vae = self.parts.vae(size)
            regions = [[Region("", *mask, (0, 0))] if mask else [] for mask in unknown]
            encoded = encode_pictures(vae, [draw_region_masks(one, size, rule)[0] for one in regions])
            check_finite(encoded, "What the VAE has made of the boxes", vae)
            for mask, latents in zip(unknown, encoded.cpu().split(1), strict=True):
                kept[mask, size] = latents.clone()  # which keeps no other in memory
        wanted = [kept[mask, size] for mask in masks]
        for mask in masks:
            kept[mask, size] = kept.pop((mask, size))
        while len(kept) > MASKS_KEPT:
            del kept[next(iter(kept))]
        return wanted
