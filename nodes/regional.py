"""GoT Regional Conditioning: a plan's words, each in its own box, for any ComfyUI checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.errors import GoTError
from ..got_models.notes import Note
from ._inputs import checked
from ._plans import notes_ui
from .chain import CHAIN_TOOLTIP

if TYPE_CHECKING:
    pass


@checked
class GoTRegionalConditioning:
    DESCRIPTION = (
        "Draws a plan with any checkpoint: each object's words apply in its own box, and the prompt "
        "everywhere. With SD 1.5, SDXL and their relatives a step is hardly slower; other models need one "
        "more pass for each box, and the node says so."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        "regional",
        "regional prompt",
        "attention couple",
        "area conditioning",
        "layout to image",
    )
    RETURN_TYPES = ("MODEL", "CONDITIONING")
    RETURN_NAMES = ("model", "positive")
    OUTPUT_TOOLTIPS = (
        "The model, with each region's words applied in its box: for the sampler.",
        "The prompt, for the sampler's positive input. The negative is yours, as always.",
    )
    FUNCTION = "apply"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": (
                    "MODEL",
                    {"tooltip": "The checkpoint to draw with; LoRAs may come before or after."},
                ),
                "clip": ("CLIP", {"tooltip": "The text encoder of the same checkpoint."}),
                "chain": ("GOT_CHAIN", {"tooltip": CHAIN_TOOLTIP}),
                "region_words": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "Appended to the words of every region, such as the style: watercolour, "
                        "soft light.",
                    },
                ),
                "base_share": (
                    "FLOAT",
                    {
                        "default": 0.2,
                        "min": 0.0,
                        "max": 1.0,
                        "step": 0.05,
                        "tooltip": "How much the prompt still counts inside the boxes. Low: the regions "
                        "dominate. High: they blend in, and may be ignored.",
                    },
                ),
                "feather": (
                    "FLOAT",
                    {
                        "default": 0.05,
                        "min": 0.0,
                        "max": 0.5,
                        "step": 0.01,
                        "advanced": True,
                        "tooltip": "Softness of the boxes' edges, as a fraction of the picture's shorter "
                        "side.",
                    },
                ),
            }
        }

    def apply(
        self,
        model: Any,
        clip: Any,
        chain: ReasoningChain,
        region_words: str,
        base_share: float,
        feather: float,
    ) -> dict[str, Any]:
        if not chain.regions:
            raise GoTError(
                "The plan has no box, so there is no region to draw. Write a box after an object, such as "
                "a red circle (62,62),(438,438), or draw one in Edit Reasoning Chain."
            )
        from ._native.regional import apply_regions

        base = chain.prompt or chain.words
        prompts = [", ".join(filter(None, (region.phrase, region_words.strip()))) for region in chain.regions]
        patched, positive, passes = apply_regions(
            model, clip, base, prompts, chain.regions, base_share, feather
        )
        notes = [Note("regional_passes", passes=str(passes))] if passes > 1 else []
        return {"ui": notes_ui(notes), "result": (patched, positive)}
