"""Plans in other notations: from other nodes' boxes, and for other models."""

from __future__ import annotations

from typing import Any

from ..got_models.chain.chain import TASKS, ReasoningChain
from ..got_models.chain.notations import (
    WRITTEN,
    background,
    bounding_boxes,
    elements,
    plan_of,
    plan_to_chain,
    read_boxes,
    write_plan,
)
from ..got_models.chain.plan_check import check_plan
from ..got_models.chain.switched_off import drawn_part
from ..got_models.errors import GoTError
from ..got_models.mllm.prompts import check_prompt
from ._inputs import ANY_BOXES, checked, received
from ._plans import notes_ui, plans_ui
from .chain import CHAIN_TOOLTIP, TEXT_TOOLTIP, notation_inputs, size


@checked
class GoTChainFromBoxes:
    DESCRIPTION = (
        "A plan from boxes that other nodes have found or drawn: SAM3, RT-DETR, Create Bounding Boxes, "
        "or the answer of a language model. The node shows the plan, and what could not be kept."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        *("boxes to plan", "bounding box to plan", "detections to layout", "detect", "json to layout"),
        *("elements to plan", "qwen boxes", "layout", "regional"),
    )
    RETURN_TYPES = ("GOT_CHAIN", "STRING")
    RETURN_NAMES = ("chain", "text")
    OUTPUT_TOOLTIPS = (CHAIN_TOOLTIP, TEXT_TOOLTIP)
    OUTPUT_NODE = True
    FUNCTION = "read"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "boxes": (
                    ANY_BOXES,
                    {
                        "forceInput": True,
                        "tooltip": "Bounding boxes in pixels, elements, a caption as JSON, or text in any "
                        "notation that GoT Chain from Text reads.",
                    },
                ),
                "task": (
                    list(TASKS),
                    {"tooltip": "generate: a new picture. edit: a change of a picture given to SSGM Encode."},
                ),
                "prompt": (
                    "STRING",
                    {
                        "multiline": True,
                        "default": "",
                        "tooltip": "The sentence that the plan is for. Empty: that of the boxes, or their "
                        "words.",
                    },
                ),
            },
            "optional": {
                "labels": (
                    "STRING",
                    {
                        "multiline": True,
                        "default": "",
                        "tooltip": "Words for boxes that have none, one a line, in the order of the boxes.",
                    },
                ),
                **notation_inputs(),
            },
        }

    def read(
        self,
        boxes: Any,
        task: str,
        prompt: str,
        labels: str = "",
        notation: str = "auto",
        width: int = 0,
        height: int = 0,
    ) -> dict[str, Any]:
        names = [line.strip() for line in labels.splitlines()]
        try:
            plan = read_boxes(boxes, notation=notation, size=size(width, height), labels=names)
        except GoTError as error:
            raise GoTError(f"'boxes' cannot be read. {error}") from error
        chain = plan_to_chain(plan, task, prompt)
        if not chain.regions:
            why = " ".join(chain.brief_warnings())
            raise GoTError(f"'boxes' holds no box that could be read: {received(boxes)}. {why}")
        check_prompt(chain.prompt)
        return {"ui": plans_ui((chain, check_plan(chain))), "result": (chain, chain.text)}


@checked
class GoTChainToJSON:
    DESCRIPTION = (
        "The plan for other models: as a caption of Ideogram 4 and Krea 2, as elements for Build JSON "
        "Prompt, in the notation of your choice, and box by box."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        *("export layout", "plan to json", "ideogram", "krea", "caption json", "elements", "bbox_2d", "qwen"),
        *("gligen", "eligen", "consistcompose", "florence", "single bounding box"),
    )
    RETURN_TYPES = ("STRING", "STRING", "ARRAY", "STRING", "BOUNDING_BOX", "STRING")
    RETURN_NAMES = ("caption", "json", "elements", "background", "box", "phrase")
    OUTPUT_IS_LIST = (False, False, False, False, True, True)
    OUTPUT_TOOLTIPS = (
        "A caption for Ideogram 4 and Krea 2, in one line: for the text encoder.",
        "The plan in the chosen notation.",
        "The boxes with their words, for Build JSON Prompt (Ideogram).",
        "What the plan says about the picture besides its boxes.",
        "One bounding box at a time, in pixels: the next node runs once for each. A plan without boxes gives "
        "the whole picture.",
        "The words of each box, in the same order.",
    )
    FUNCTION = "write"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        side = {"default": 1024, "min": 8, "max": 16384, "step": 8}
        return {
            "required": {
                "chain": ("GOT_CHAIN", {"tooltip": CHAIN_TOOLTIP}),
                "notation": (
                    list(WRITTEN),
                    {"tooltip": "How 'json' is written. The other outputs are the same for all."},
                ),
                "width": ("INT", {**side, "tooltip": "Width of the picture, for boxes in pixels."}),
                "height": ("INT", {**side, "tooltip": "Height of the picture, for boxes in pixels."}),
            }
        }

    def write(self, chain: ReasoningChain, notation: str, width: int, height: int) -> dict[str, Any]:
        chain, left_out = drawn_part(chain)
        plan = plan_of(chain)
        boxes = bounding_boxes(plan, (width, height))
        result = (
            write_plan(chain, "ideogram"),
            write_plan(chain, notation, (width, height)),
            elements(plan),
            background(chain),
            boxes or [{"x": 0, "y": 0, "width": width, "height": height}],
            [region.phrase for region in chain.regions] or [""],
        )
        return {"ui": notes_ui(left_out), "result": result}
