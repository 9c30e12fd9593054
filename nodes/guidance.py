"""SSGM Encode: turns a chain, and for editing a picture, into guidance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.chain.plan_check import details_left_aside
from ..got_models.chain.switched_off import drawn_part
from ..got_models.constants import EXACT
from ._comfy.feedback import progress_bar, stop_if_interrupted
from ._comfy.memory import result_device
from ._inputs import checked
from ._plans import notes_ui
from ._png import store_chain

if TYPE_CHECKING:
    from torch import Tensor

    from ..got_models.diffusion.guidance import Guidance
    from ..got_models.diffusion.settings import GuidanceScales
    from ._model import ManagedModel

Conditioning = list[list[Any]]

TENSORS = ("semantic", "null_semantic", "pooled", "spatial", "reference")


@dataclass(frozen=True, eq=False)
class EncodedPlan:
    """GOT_GUIDANCE: guidance, and its sources.

    `source` is the IMAGE [b, H, W, 3] to be edited, at its own size; None when generating. `default_scales`
    are the checkpoint's for the task, and so are `steps` and `speed`.
    """

    guidance: Guidance
    chain: ReasoningChain
    source: Tensor | None
    default_scales: GuidanceScales
    steps: int = 50
    speed: str = EXACT

    def scales(self, semantic: float, spatial: float, reference: float) -> GuidanceScales:
        """The scales from the three widgets: a negative one selects the task's default."""
        return replace(self.default_scales, **given_scales(semantic, spatial, reference))


def given_scales(semantic: float, spatial: float, reference: float) -> dict[str, float]:
    """Those of the three widgets that are not negative: the others stand for the task's default."""
    scales = {"semantic": semantic, "spatial": spatial, "reference": reference}
    return {name: scale for name, scale in scales.items() if scale >= 0}


def scale_widgets(advanced: bool = False) -> dict[str, Any]:
    """The three guidance scales as shown by the nodes that draw; `advanced` ones are collapsed."""
    scales = {
        "semantic_scale": _scale(
            "How strongly the words pull.",
            "not at all. The boxes still steer with their own scale; their pull is measured with the words "
            "in view.",
        ),
        "spatial_scale": _scale("How strongly objects are held in their boxes.", "the boxes are ignored."),
        "reference_scale": _scale(
            "How strongly an edit keeps to its source; when generating, to a black picture.",
            "it does not pull. Words and boxes are still measured with it in view.",
        ),
    }
    return {name: (kind, {**options, "advanced": advanced}) for name, (kind, options) in scales.items()}


@checked
class GoTSSGMEncode:
    DESCRIPTION = (
        "Turns the plan into guidance for drawing: its words, its boxes, and the picture to edit. SSGM is "
        "GoT's Semantic-Spatial Guidance Module."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        "encode plan",
        "regional conditioning",
        "layout conditioning",
        "box conditioning",
        "spatial guidance",
    )
    RETURN_TYPES = ("GOT_GUIDANCE", "CONDITIONING", "CONDITIONING", "IMAGE")
    RETURN_NAMES = ("guidance", "positive", "negative", "spatial_masks")
    OUTPUT_TOOLTIPS = (
        "All three kinds of guidance, for GoT Sampler or GoT Guider.",
        "Full guidance, for KSampler with the MODEL of GoT Native Model Loader.",
        "No guidance, the counterpart for KSampler.",
        "What the model sees of the boxes: one black picture per box, the box filled with its colour.",
    )
    FUNCTION = "encode"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        side = {"default": 0, "min": 0, "max": 2048, "step": 8}
        return {
            "required": {
                "model": ("GOT_MODEL", {"tooltip": "The checkpoint, from GoT Model Loader."}),
                "chain": ("GOT_CHAIN", {"tooltip": "The plan, from GoT Reason or Edit Reasoning Chain."}),
                "width": (
                    "INT",
                    {
                        **side,
                        "tooltip": "Width to draw at, in pixels: a multiple of 8, at least 64. "
                        "0: the checkpoint's own for the task, at which it draws best.",
                    },
                ),
                "height": (
                    "INT",
                    {
                        **side,
                        "tooltip": "Height to draw at, in pixels: a multiple of 8, at least 64. "
                        "0: the checkpoint's own for the task, at which it draws best.",
                    },
                ),
            },
            "optional": {
                "reference": (
                    "IMAGE",
                    {
                        "tooltip": "The picture to edit; required if the plan is for an edit. The model "
                        "sees it stretched to width x height. A batch gives a batch of guidance."
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def encode(
        self,
        model: ManagedModel,
        chain: ReasoningChain,
        width: int,
        height: int,
        reference: Tensor | None = None,
        unique_id: str | None = None,
        extra_pnginfo: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        from ._images import image_to_pictures, region_masks

        store_chain(chain, extra_pnginfo, unique_id)
        drawn, left_out = drawn_part(chain)
        notes = [*left_out, *details_left_aside(drawn)]
        defaults = model.settings.tasks[chain.task]
        size = (height or defaults.height, width or defaults.width)
        model.check_size(size)
        pictures = [None] if reference is None else image_to_pictures(reference)
        update = progress_bar(len(pictures))
        encoded = []
        for picture in pictures:
            stop_if_interrupted()
            encoded.append(model.encode(drawn, picture, size))
            update(len(encoded), None)
        guidance = join(encoded)
        source = None if reference is None else reference[..., :3].detach().float().cpu()
        scales = model.default_scales(chain.task)
        plan = EncodedPlan(guidance, drawn, source, scales, defaults.steps, model.settings.speed)
        masks = region_masks(drawn.regions, size, model.settings.mask_rule)
        return {"ui": notes_ui(notes), "result": (plan, *conditioning(guidance), masks)}


def join(parts: Sequence[Guidance]) -> Guidance:
    """Guidance for several pictures of one size as one batch, in float32, on the device for results."""
    import torch

    device = result_device()
    joined: dict[str, Any] = {
        name: torch.cat([getattr(part, name) for part in parts]).to(device, torch.float32) for name in TENSORS
    }
    return replace(parts[0], **joined)


def split(guidance: Guidance) -> list[Guidance]:
    """The inverse of `join`: guidance for each picture of a batch."""
    return [
        replace(guidance, **{name: getattr(guidance, name)[row : row + 1] for name in TENSORS})
        for row in range(guidance.semantic.shape[0])
    ]


def conditioning(guidance: Guidance) -> tuple[Conditioning, Conditioning]:
    """Positive (the full branch) and negative (the null branch), as ComfyUI's samplers expect them.

    `got_reference` and `got_spatial` are unscaled latents [b, 4, h, w], which the native MODEL stacks behind
    the noisy ones; for the null branch they are zeros. The pooled embedding is the same for both.
    """
    import torch

    height, width = guidance.size
    positive = {
        "pooled_output": guidance.pooled,
        "width": width,
        "height": height,
        "target_width": width,
        "target_height": height,
        "crop_w": 0,
        "crop_h": 0,
        "got_reference": guidance.reference,
        "got_spatial": guidance.spatial,
    }
    nothing = torch.zeros_like(guidance.spatial)
    negative = {**positive, "got_reference": nothing, "got_spatial": nothing}
    return [[guidance.semantic, positive]], [[guidance.null_semantic, negative]]


def _scale(effect: str, off: str) -> tuple[str, dict[str, Any]]:
    number = {"default": -1.0, "min": -1.0, "max": 30.0, "step": 0.1}
    return "FLOAT", {**number, "tooltip": f"{effect} -1: the checkpoint's default for the task. 0: {off}"}
