"""GoT Regional Conditioning: a plan's words, each in its own box, for any ComfyUI checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.chain.notations import background as words_without_regions
from ..got_models.chain.switched_off import drawn_part
from ..got_models.errors import GoTError, short_repr
from ..got_models.notes import Note
from ._inputs import checked
from ._plans import notes_ui
from .chain import CHAIN_TOOLTIP

if TYPE_CHECKING:
    from ._native.regional import RegionalPainting, RegionalPrompt

LORAS = ("lora_1", "lora_2", "lora_3", "lora_4")
"""Inputs for the LoRAs of the first boxes."""

MOST_STRENGTH = 10.0


@checked
class GoTRegionalConditioning:
    DESCRIPTION = (
        "Draws a plan with any checkpoint: each object's words apply in its own box, and those of the "
        "background around them. With SD 1.5, SDXL and their relatives a step is hardly slower. Other models "
        "need one more pass for each box, and so does a LoRA for one box; the node says so."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        "regional",
        "regional prompt",
        "attention couple",
        "area conditioning",
        "layout to image",
    )
    RETURN_TYPES = ("MODEL", "CONDITIONING", "CONDITIONING")
    RETURN_NAMES = ("model", "positive", "negative")
    OUTPUT_TOOLTIPS = (
        "The model, with each region's words applied in its box: for the sampler.",
        "The prompt, for the sampler's positive input.",
        "The negative, for the sampler's negative input. Only a LoRA for one region changes it.",
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
                        "tooltip": "How much the words of the background still count inside the boxes. "
                        "Low: the regions dominate. High: they blend in, and may be ignored.",
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
            },
            "optional": {
                "region_strengths": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "How strongly each region's words apply, in the order of the boxes: 1, "
                        "0.5, 1.5. Below 1 the background keeps more, above 1 a region prevails where "
                        "boxes overlap. Empty: all 1.",
                    },
                ),
                "background": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "What the picture shows outside of the boxes, such as a sunlit kitchen. "
                        "Empty: what the plan says besides its objects, or the prompt if it says nothing.",
                    },
                ),
                "negative": (
                    "CONDITIONING",
                    {
                        "tooltip": "What the picture should not show, from CLIP Text Encode. Needed here "
                        "only with a LoRA for one region. Not connected: nothing."
                    },
                ),
                **{
                    name: (
                        "HOOKS",
                        {
                            "tooltip": f"A LoRA for the {place} box of the plan alone, from Create Hook "
                            "LoRA. Each takes one more pass in every step, for the prompt and for the "
                            "negative."
                        },
                    )
                    for name, place in zip(LORAS, ("first", "second", "third", "fourth"), strict=True)
                },
            },
        }

    def apply(
        self,
        model: Any,
        clip: Any,
        chain: ReasoningChain,
        region_words: str,
        base_share: float,
        feather: float,
        region_strengths: str = "",
        background: str = "",
        negative: Any = None,
        lora_1: Any = None,
        lora_2: Any = None,
        lora_3: Any = None,
        lora_4: Any = None,
    ) -> dict[str, Any]:
        if not chain.regions:
            raise GoTError(
                "The plan has no box, so there is no region to draw. Write a box after an object, such as "
                "a red circle (62,62),(438,438), or draw one in Edit Reasoning Chain."
            )
        from ._native.regional import RegionalPrompt, apply_regions

        boxes, loras = len(chain.regions), (lora_1, lora_2, lora_3, lora_4)
        strengths = read_strengths(region_strengths, boxes)
        by_box = [*loras, *[None] * boxes][:boxes]
        regions = [
            RegionalPrompt(
                ", ".join(filter(None, (region.phrase, region_words.strip()))),
                region.box,
                strength * region.detail.strength,
                lora,
            )
            for region, strength, lora in zip(chain.regions, strengths, by_box, strict=True)
            if region.detail.on
        ]
        chain, left_out = drawn_part(chain)
        prompt = chain.prompt or chain.words
        outside = background.strip() or words_without_regions(chain)
        painting = apply_regions(model, clip, prompt, outside, regions, base_share, feather, negative)
        result = (painting.model, painting.positive, painting.negative)
        notes = [*left_out, *remarks(painting, regions, loras, boxes)]
        return {"ui": notes_ui(notes), "result": result}


def remarks(
    painting: RegionalPainting, regions: Sequence[RegionalPrompt], loras: Sequence[Any], boxes: int
) -> list[Note]:
    """What the node says of the cost, and of what has no effect.

    `boxes`: how many the plan has, also those that are switched off.
    """
    notes = []
    if not painting.in_one_pass:
        notes.append(Note("regional_passes", passes=str(1 + len(regions))))
    used = sum(region.lora is not None for region in regions)
    if used:
        notes.append(Note("regional_loras", passes=str(used)))
    linked = [name for name, lora in zip(LORAS, loras, strict=True) if lora is not None]
    unused = [name for name in linked if name in LORAS[boxes:]]
    if unused:
        notes.append(Note("regional_unused_loras", names=", ".join(unused), boxes=str(boxes)))
    silent = [str(number) for number, region in enumerate(regions, start=1) if not region.words]
    if silent:
        notes.append(Note("regional_no_words", boxes=", ".join(silent)))
    return notes


def read_strengths(text: str, boxes: int) -> list[float]:
    """A number for each box, from 0; boxes that the text leaves out get 1.

    Raises:
        GoTError: something else than numbers in range, or more of them than boxes.
    """
    written = text.replace(",", " ").replace("\uff0c", " ").split()
    if len(written) > boxes:
        raise GoTError(f"'region_strengths' has {len(written)} numbers, but the plan has {boxes} boxes.")
    strengths = []
    for word in written:
        try:
            strength = float(word)
        except ValueError:
            strength = math.nan
        if not 0 <= strength <= MOST_STRENGTH:
            raise GoTError(
                f"'region_strengths' takes a number from 0 to {MOST_STRENGTH:g} for each box, such as "
                f"1, 0.5, 1.5; it received {short_repr(word)}."
            )
        strengths.append(strength)
    return strengths + [1.0] * (boxes - len(written))
