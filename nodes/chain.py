"""Plans between the nodes: edited, from text, from a picture, and as masks."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ..got_models.chain.chain import TASKS, ChainError, ReasoningChain
from ..got_models.chain.characters import clean
from ..got_models.chain.details import PLAIN
from ..got_models.chain.layout import draw_layout
from ..got_models.chain.notations import (
    NOTATIONS,
    bounding_boxes,
    notation_of,
    plan_of,
    plan_to_chain,
    read_plan,
)
from ..got_models.chain.plan_check import check_plan
from ..got_models.chain.region import stated_details
from ..got_models.chain.switched_off import drawn_part, without_switched_off
from ..got_models.errors import GoTError, printable, short_repr
from ..got_models.mllm.constrained_decoding import only_regions
from ..got_models.mllm.prompts import check_prompt
from ..got_models.saved_plans import read_chain
from ._comfy.folders import input_file, input_files
from ._inputs import checked, rejection, state, time_and_size
from ._plans import notes_ui, plans_ui

KEEP_MINE, TAKE_NEW = "keep mine", "take new"
LAYOUT_SIZE = (512, 512)

CHAIN_TOOLTIP = "The plan of the picture, in words and boxes."
TEXT_TOOLTIP = "The plan as text, with each box right after its words."


@checked
class GoTEditChain:
    DESCRIPTION = (
        "Lets you change the plan before it is drawn: move, add, rename, lock or remove boxes, or rewrite "
        "the words. Without changes the plan passes through. With nothing connected, the plan is the one "
        "that you draw and write in the editor."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        "edit layout",
        "edit plan",
        "layout editor",
        "box editor",
        "boxes",
        "bounding box",
        "regional",
        "omost canvas",
    )
    RETURN_TYPES = ("GOT_CHAIN", "STRING", "IMAGE", "GOT_CHAIN")
    RETURN_NAMES = ("chain", "text", "layout", "locked")
    OUTPUT_TOOLTIPS = (
        "The plan with your changes.",
        f"{TEXT_TOOLTIP} Boxes that are switched off are left out.",
        "The boxes with their words, on an empty background.",
        "The locked boxes with their words alone, for the input 'locked' of another GoT Reason.",
    )
    OUTPUT_NODE = True  # so that every run sends the chain to the editor, even when everything else is cached
    FUNCTION = "edit"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "edited_chain": (
                    "STRING",
                    {
                        "default": "",
                        "multiline": True,
                        "tooltip": "Your version, written by the editor: JSON with the plan and the text "
                        "of the plan it was made from. Empty it to start again from the incoming one.",
                    },
                ),
                "when_upstream_changes": (
                    [KEEP_MINE, TAKE_NEW],
                    {
                        "tooltip": "What to use once the incoming plan is no longer the one you changed. "
                        "keep mine: your version. take new: the incoming plan, until you change that one.",
                    },
                ),
            },
            "optional": {
                "chain": (
                    "GOT_CHAIN",
                    {
                        "tooltip": "The plan to change, usually from GoT Reason. Without one, the plan is "
                        "yours alone: draw boxes in the editor and write what they hold."
                    },
                ),
            },
        }

    def edit(
        self, edited_chain: str, when_upstream_changes: str, chain: ReasoningChain | None = None
    ) -> dict[str, Any]:
        from ._images import pictures_to_image

        chosen, locked = choose_chain(chain, edited_chain, when_upstream_changes)
        drawn = without_switched_off(chosen)
        layout = pictures_to_image([draw_layout(drawn, None, LAYOUT_SIZE)])
        return {
            # For the editor: the incoming chain, and the outgoing one.
            "ui": {
                "text": (printable(chosen.text),),
                **({"upstream_chain": (chain.to_json(),)} if chain else {}),
                "chain": (chosen.to_json(),),
            },
            "result": (chosen, drawn.text, layout, only_regions(chosen, locked)),
        }


def choose_chain(
    upstream: ReasoningChain | None, edited: str, when_upstream_changes: str
) -> tuple[ReasoningChain, list[str]]:
    """The edited chain or the upstream one, and the colours of its locked boxes.

    Args:
        upstream: None if not connected; then only the edited chain is available.
        edited: empty, or a JSON object: "upstream" is the text of the chain that was edited, "chain" the
            result as returned by `ReasoningChain.to_json`; "locked" may list the colours of locked boxes.
            With "replan": true a different upstream chain is used once it arrives, with the same boxes locked
            in it.
        when_upstream_changes: which of the two to use when the upstream text has changed since.

    Raises:
        ChainError: there is no chain, or the edited one cannot be read, is empty, or is to be kept although
            it was made for another task.
    """
    if not edited.strip():
        if upstream is None:
            raise ChainError(
                "There is no plan yet. Draw a box in the editor or write what the picture shows, or connect "
                "a plan to 'chain'."
            )
        return upstream, []
    remedy = "Fix the edited chain, or empty it to start again from the incoming one."
    try:
        data = json.loads(edited)
    except (ValueError, RecursionError) as error:
        raise ChainError(f"The edited chain is not readable as JSON ({error}). {remedy}") from error
    if not isinstance(data, dict) or not isinstance(data.get("upstream"), str):
        raise ChainError(
            f'The edited chain must be JSON with "upstream" and "chain", got {short_repr(edited)}. {remedy}'
        )
    if upstream and clean(data["upstream"]) != upstream.text and when_upstream_changes == TAKE_NEW:
        return upstream, []
    try:
        mine = ReasoningChain.from_json(data.get("chain"))
    except ChainError as error:
        raise ChainError(f"{error} {remedy}") from error
    locked = data.get("locked", [])
    if not isinstance(locked, list) or not all(isinstance(color, str) for color in locked):
        raise ChainError(
            f'"locked" must list the colours of the locked boxes, got {short_repr(locked)}. {remedy}'
        )
    if upstream and data.get("replan") is True and clean(data["upstream"]) != upstream.text:
        held = [region for region in mine.regions if region.color in locked]
        kept = {(region.phrase, region.box) for region in held}
        details = [each for each in stated_details([*held, *upstream.regions]) if each.detail != PLAIN]
        return upstream.with_details(details), [
            region.color for region in upstream.regions if (region.phrase, region.box) in kept
        ]
    if not mine.text.strip():
        raise ChainError(
            "The plan in the editor is empty, so there is nothing to draw. Write what the picture shows, or "
            "bring the incoming plan back."
        )
    if upstream and mine.task != upstream.task:
        raise ChainError(
            f"The edited chain was made to {mine.task}, but the incoming one is to {upstream.task}. Choose "
            f"'{TAKE_NEW}', or empty the edited chain."
        )
    return mine if mine.prompt.strip() else replace(mine, prompt=mine.words), locked


def notation_inputs() -> dict[str, Any]:
    """The widgets that say how a plan from elsewhere is to be read."""
    side = {"default": 0, "min": 0, "max": 16384}
    return {
        "notation": (
            list(NOTATIONS),
            {
                "tooltip": "How the boxes are written. auto finds out, and the node says what it assumed. "
                "got: as in a chain. json: any list of boxes with words."
            },
        ),
        "width": (
            "INT",
            {
                **side,
                "tooltip": "Width in pixels of the picture that the boxes were made for. Only boxes in "
                "pixels need it; 0: not known.",
            },
        ),
        "height": (
            "INT",
            {
                **side,
                "tooltip": "Height in pixels of the picture that the boxes were made for. Only boxes in "
                "pixels need it; 0: not known.",
            },
        ),
    }


def size(width: int, height: int) -> tuple[int, int] | None:
    """The size of a picture from widgets that are 0 where it is not known.

    Raises:
        GoTError: only one of them is known.
    """
    if (width == 0) != (height == 0):
        raise GoTError(f"Give both the width and the height, or leave both at 0; got {width} x {height}.")
    return (width, height) if width else None


@checked
class GoTChainFromText:
    DESCRIPTION = (
        "A plan that you write yourself, or paste from a language model. After the words for each object "
        "comes its box, as the top left and the bottom right corner in thousandths of the picture: a red "
        "circle (100,200),(400,500). Boxes of Qwen, Ideogram, Florence, Omost and others are read too."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        *("layout", "boxes", "bounding box", "regional prompt", "plan", "manual layout"),
        *("paste layout", "json to layout", "bbox_2d", "ideogram json", "omost", "florence"),
    )
    RETURN_TYPES = ("GOT_CHAIN",)
    RETURN_NAMES = ("chain",)
    OUTPUT_TOOLTIPS = (CHAIN_TOOLTIP,)
    OUTPUT_NODE = True
    FUNCTION = "parse"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "task": (
                    list(TASKS),
                    {"tooltip": "generate: a new picture. edit: a change of a picture given to SSGM Encode."},
                ),
                "prompt": (
                    "STRING",
                    {
                        "multiline": True,
                        "default": "a red circle",
                        "tooltip": "The sentence that the plan is for; the model reads both. Empty: that of "
                        "a pasted plan, or its words.",
                    },
                ),
                "text": (
                    "STRING",
                    {
                        "multiline": True,
                        "default": "On a white background there is a large red circle (312,312),(688,688).",
                        "tooltip": "The plan. Corners are whole numbers from 0 to 999, x before y; a mask "
                        "colour in brackets may follow a box, such as (red).",
                    },
                ),
            },
            "optional": notation_inputs(),
        }

    def parse(
        self, task: str, prompt: str, text: str, notation: str = "auto", width: int = 0, height: int = 0
    ) -> dict[str, Any]:
        if not text.strip():
            raise GoTError("The plan's text is empty. Describe the picture, with a box after each object.")
        if (notation_of(text) if notation == "auto" else notation) == "got":
            check_prompt(prompt)
            chain = ReasoningChain.parse(text, task, prompt)
        else:
            chain = plan_to_chain(read_plan(text, notation=notation, size=size(width, height)), task, prompt)
            check_prompt(chain.prompt)
        return {"ui": plans_ui((chain, check_plan(chain))), "result": (chain,)}


@checked
class GoTChainFromImage:
    DESCRIPTION = (
        "Reads the plan back from a picture that was drawn from it: a PNG saved by a workflow with SSGM "
        "Encode, or by this pack's command line."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("read layout", "plan from image")
    RETURN_TYPES = ("GOT_CHAIN", "STRING")
    RETURN_NAMES = ("chain", "text")
    OUTPUT_TOOLTIPS = ("The plan that the picture was drawn from.", TEXT_TOOLTIP)
    OUTPUT_NODE = True
    FUNCTION = "read"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "image": (
                    input_files(".png"),
                    {
                        "image_upload": True,
                        "tooltip": "A PNG in ComfyUI's input folder. Upload the saved file itself: a copy "
                        "made by another program may have lost the plan.",
                    },
                ),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, image: str | None) -> bool | str:
        return rejection(input_file, image)

    @classmethod
    def IS_CHANGED(cls, image: str | None) -> str:
        """The file's time and size: another picture may replace it under the same name."""
        return state(lambda image: time_and_size(input_file(image)), image)

    def read(self, image: str) -> dict[str, Any]:
        chain = read_chain(input_file(image))
        return {"ui": plans_ui((chain, check_plan(chain))), "result": (chain, chain.text)}


@checked
class GoTChainToMasks:
    DESCRIPTION = (
        "The boxes of a plan for inpainting, regional prompts and detailers: as masks, as bounding boxes in "
        "pixels, and with their words."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        *("region", "regional", "region masks", "boxes", "bounding box", "box to mask", "layout"),
        "hidream layout",
    )
    RETURN_TYPES = ("MASK", "BOUNDING_BOX", "STRING", "IMAGE", "IMAGE")
    RETURN_NAMES = ("masks", "boxes", "phrases", "layout", "hidream_layout")
    OUTPUT_IS_LIST = (False, False, True, False, False)
    OUTPUT_TOOLTIPS = (
        "One mask per box, in the plan's order; one that lies behind another ends where that begins. A plan "
        "without boxes gives one empty mask.",
        "All boxes of the picture in pixels: x and y of the top left corner, width, height; and their words "
        "and mask colours, for Create Bounding Boxes.",
        "The words of each box, as a list. A plan without boxes gives one empty text.",
        "The boxes with their words, on an empty background.",
        "HiDream-O1's layout picture: the five largest boxes as coloured outlines on black. Connect it as "
        "the last picture of HiDream-O1 Reference Images.",
    )
    FUNCTION = "convert"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        side = {"default": 1024, "min": 8, "max": 16384, "step": 8}
        return {
            "required": {
                "chain": ("GOT_CHAIN", {"tooltip": CHAIN_TOOLTIP}),
                "width": ("INT", {**side, "tooltip": "Width of the masks, in pixels."}),
                "height": ("INT", {**side, "tooltip": "Height of the masks, in pixels."}),
            }
        }

    def convert(self, chain: ReasoningChain, width: int, height: int) -> dict[str, Any]:
        from ._images import box_masks, hidream_layout, pictures_to_image

        chain, left_out = drawn_part(chain)
        masks = box_masks(chain.regions, (height, width))
        boxes = bounding_boxes(plan_of(chain), (width, height))
        phrases = [region.phrase for region in chain.regions] or [""]
        layout = pictures_to_image([draw_layout(chain, None, (width, height))])
        hidream = hidream_layout(chain.regions, (height, width))
        return {"ui": notes_ui(left_out), "result": (masks, [boxes], phrases, layout, hidream)}
