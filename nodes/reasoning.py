"""The chain: written by the MLLM, edited, typed in, read from a picture, turned into masks."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import TASKS, ChainError, ReasoningChain, Region
from ..got_models.chain.characters import clean
from ..got_models.chain.layout import draw_layout
from ..got_models.chain.plan_check import check_plan
from ..got_models.errors import GoTError, printable, short_repr
from ..got_models.mllm.constrained_decoding import only_regions
from ..got_models.mllm.prompts import check_prompt
from ._comfy import encodable, progress_bar, show_text, stop_if_interrupted
from ._folders import input_file, input_files
from ._inputs import checked, refusal, state, time_and_size
from ._plans import shown
from ._png import read_chain

if TYPE_CHECKING:
    from torch import Tensor

    from ._model import ManagedModel

KEEP_MINE, TAKE_NEW = "keep mine", "take new"
LAYOUT_SIZE = (512, 512)
VARIED = 1.0  # the temperature of further plans where the first is the likeliest one

CHAIN_TOOLTIP = "The plan of the picture, in words and boxes."
TEXT_TOOLTIP = "The plan as text, with each box right behind its words."


@checked
class GoTReason:
    DESCRIPTION = (
        "Plans the picture before it is drawn: the model writes down in plain words what will be in it and "
        "where, with a box for every object. The plan appears on the node as it is written."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        "plan",
        "prompt planner",
        "layout",
        "layout planner",
        "chain of thought",
        "llm prompt",
        "bounding box",
        "omost",
        "ideogram",
    )
    RETURN_TYPES = ("GOT_CHAIN", "STRING")
    RETURN_NAMES = ("chain", "text")
    OUTPUT_TOOLTIPS = (CHAIN_TOOLTIP, TEXT_TOOLTIP)
    OUTPUT_NODE = True  # so that every run shows the plan, also when it comes from the cache
    FUNCTION = "reason"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": ("GOT_MODEL", {"tooltip": "The checkpoint, from GoT Model Loader."}),
                "prompt": (
                    "STRING",
                    {
                        "multiline": True,
                        "default": "a red circle to the left of a blue square",
                        "tooltip": "What the picture should show or, with a picture connected, how it should "
                        "change. The bundled model knows circles, squares, triangles and stars.",
                    },
                ),
                "task": (
                    ["auto", *TASKS],
                    {"advanced": True, "tooltip": "auto: edit when a picture is connected, else generate."},
                ),
                "max_new_tokens": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 4096,
                        "advanced": True,
                        "tooltip": "Longest plan, in tokens (a few letters each). "
                        "0: the checkpoint's own limit.",
                    },
                ),
                "temperature": (
                    "FLOAT",
                    {
                        "default": -1.0,
                        "min": -1.0,
                        "max": 2.0,
                        "step": 0.05,
                        "tooltip": "-1: write as the checkpoint's own settings say. 0: always the likeliest "
                        "word. Higher: more varied plans, another one for each seed.",
                    },
                ),
                "top_p": (
                    "FLOAT",
                    {
                        "default": 1.0,
                        "min": 0.01,
                        "max": 1.0,
                        "step": 0.01,
                        "advanced": True,
                        "tooltip": "With a temperature above 0: choose only among the likeliest words that "
                        "together have this probability. Lower is safer, 1 allows every word.",
                    },
                ),
                "seed": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 0xFFFFFFFFFFFFFFFF,
                        "control_after_generate": False,
                        "tooltip": "With a temperature above 0, another seed gives another plan; else it has "
                        "no effect.",
                    },
                ),
            },
            "optional": {
                "image": (
                    "IMAGE",
                    {
                        "tooltip": "The picture to edit. Of a batch the first one is looked at: there is one "
                        "plan, which SSGM Encode can apply to the whole batch."
                    },
                ),
                "locked": (
                    "GOT_CHAIN",
                    {
                        "tooltip": "Objects that the plan must hold with exactly these words and boxes; "
                        "the rest is planned around them. From the output 'locked' of Edit Reasoning Chain "
                        "behind another GoT Reason, or from GoT Chain from Text."
                    },
                ),
                "variants": (
                    "INT",
                    {
                        "default": 1,
                        "min": 1,
                        "max": 9,
                        "tooltip": "How many plans to write, each with the next seed. The first goes on, and "
                        "Edit Reasoning Chain shows all of them to choose from. Without a temperature "
                        "above 0 the others are written at 1.",
                    },
                ),
                "locked_objects": (
                    "STRING",
                    {
                        "default": "",
                        "tooltip": "More of them in words, each with its box: a large red circle "
                        "(62,62),(438,438). 'Replan around locked' in Edit Reasoning Chain writes them here; "
                        "empty it to plan freely again.",
                    },
                ),
            },
            "hidden": {"unique_id": "UNIQUE_ID"},
        }

    def reason(
        self,
        model: ManagedModel,
        prompt: str,
        task: str,
        max_new_tokens: int,
        temperature: float,
        top_p: float,
        seed: int,
        image: Tensor | None = None,
        locked: ReasoningChain | None = None,
        variants: int = 1,
        locked_objects: str = "",
        unique_id: str | None = None,
    ) -> dict[str, Any]:
        from ..got_models.edit_area import enlargement
        from ._images import image_to_pictures

        check_prompt(prompt)  # before the weights load
        picture = None if image is None else image_to_pictures(image)[0]
        if task == "auto":
            task = "generate" if picture is None else "edit"
        if task == "edit" and picture is None:
            raise GoTError("The task is 'edit', but no picture is connected to 'image'. Connect one.")
        if task == "generate" and picture is not None:
            raise GoTError(
                "A picture is connected, but the task is 'generate'. Disconnect it or set the task to 'auto'."
            )
        if locked is not None and locked.task != task:
            raise GoTError(
                f"The locked objects are from a plan to {locked.task}, but this one is to {task}. Connect "
                "objects of a plan for the same task."
            )
        held = [*(locked.regions if locked else ()), *_regions_in(locked_objects, task)]
        limit = max_new_tokens or model.settings.max_new_tokens
        update = progress_bar(limit * variants)

        def write(number: int) -> ReasoningChain:
            pieces: list[str] = []
            tokens = count(number * limit + 1)

            def on_text(piece: str) -> None:
                pieces.append(piece)
                show_text("".join(pieces), unique_id)

            def after_token() -> bool:
                update(next(tokens), None)
                return stop_if_interrupted()

            warmth = VARIED if number and temperature <= 0 else temperature
            chain = model.reason(
                prompt,
                picture,
                task,
                max_new_tokens=limit,
                temperature=warmth if warmth >= 0 else None,
                top_p=top_p if warmth >= 0 else None,
                seed=(seed + number) % 2**64,
                locked=held,
                on_text=on_text,
                should_stop=after_token,
            )
            update((number + 1) * limit, None)
            return chain

        chain, *others = [write(number) for number in range(variants)]
        notes = model.remarks(chain, picture)
        if picture is not None and not model.leaves_as_it_is(chain):
            own = model.settings.tasks["edit"]
            notes += enlargement((own.height, own.width), (picture.height, picture.width), "draws_smaller")
        ui = shown((chain, notes))
        if others:
            ui["variants"] = encodable([plan.to_json() for plan in (chain, *others)])
        return {"ui": ui, "result": (chain, chain.text)}


def _regions_in(locked_objects: str, task: str) -> tuple[Region, ...]:
    """The objects with boxes that a person or the editor has written down."""
    try:
        regions = ReasoningChain.parse(locked_objects, task, "").regions
    except ChainError as error:
        raise ChainError(f"locked_objects cannot be read: {error}") from error
    if locked_objects.strip() and not regions:
        raise ChainError(
            f"locked_objects holds no box, got {short_repr(locked_objects)}. Put a box behind each object, "
            "such as a red circle (62,62),(438,438), or empty it."
        )
    return regions


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
        TEXT_TOOLTIP,
        "The boxes with their words, on an empty ground.",
        "The locked boxes with their words alone, for the input 'locked' of another GoT Reason.",
    )
    OUTPUT_NODE = True  # so that every run tells the editor its chain, also when all else is cached
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
                        "tooltip": "Your version, written by the editor: JSON that holds the plan and the "
                        "text of the plan it was made from. Empty it to start again from the incoming one.",
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
        layout = pictures_to_image([draw_layout(chosen, None, LAYOUT_SIZE)])
        return {
            # What the editor shows: the incoming chain, and the one that goes on.
            "ui": {
                "text": (printable(chosen.text),),
                **({"upstream_chain": (chain.to_json(),)} if chain else {}),
                "chain": (chosen.to_json(),),
            },
            "result": (chosen, chosen.text, layout, only_regions(chosen, locked)),
        }


def choose_chain(
    upstream: ReasoningChain | None, edited: str, when_upstream_changes: str
) -> tuple[ReasoningChain, list[str]]:
    """The edited chain or the upstream one, and the colours of its locked boxes.

    Args:
        upstream: None where nothing comes in; then the edited chain is all there is.
        edited: empty, or a JSON object: "upstream" is the text of the chain that was edited, "chain" the
            result as `ReasoningChain.to_json` gives it; "locked" may list the colours of locked boxes. With
            "replan": true another upstream chain counts once it comes, with the same boxes locked in it.
        when_upstream_changes: which of the two counts when the upstream text is another by now.

    Raises:
        ChainError: there is no chain, or the edited one cannot be read, is empty, or was made for another
            task and is to be kept.
    """
    if not edited.strip():
        if upstream is None:
            raise ChainError(
                "There is no plan yet. Draw a box in the editor or write what the picture shows, or connect "
                "a plan to 'chain'."
            )
        return upstream, []
    remedy = "Mend the edited chain, or empty it to start again from the incoming one."
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
        held = {(region.phrase, region.box) for region in mine.regions if region.color in locked}
        return upstream, [region.color for region in upstream.regions if (region.phrase, region.box) in held]
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
    return mine if mine.prompt.strip() else replace(mine, prompt=_words(mine)), locked


def _words(chain: ReasoningChain) -> str:
    """The chain's text without its boxes, which serves as the prompt of a plan that has none."""
    words, done = "", 0
    for region in chain.regions:
        words += chain.text[done : region.span[0]] + region.phrase
        done = region.span[1]
    return " ".join((words + chain.text[done:]).split())


@checked
class GoTChainFromText:
    DESCRIPTION = (
        "A plan that you write yourself. After the words for each object comes its box, as the top left and "
        "the bottom right corner in thousandths of the picture: a red circle (100,200),(400,500)."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("layout", "boxes", "bounding box", "regional prompt", "plan", "manual layout")
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
                        "tooltip": "The sentence that the plan is for; the model reads both.",
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
        }

    def parse(self, task: str, prompt: str, text: str) -> dict[str, Any]:
        check_prompt(prompt)
        if not text.strip():
            raise GoTError("The plan's text is empty. Describe the picture, with a box after each object.")
        chain = ReasoningChain.parse(text, task, prompt)
        return {"ui": shown((chain, check_plan(chain))), "result": (chain,)}


@checked
class GoTChainFromImage:
    DESCRIPTION = (
        "Takes the plan out of a picture that was drawn from one: a PNG that a workflow with SSGM Encode, or "
        "this pack's command line, has saved."
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
        return refusal(input_file, image)

    @classmethod
    def IS_CHANGED(cls, image: str | None) -> str:
        """The file's time and size: another picture may take its name."""
        return state(lambda image: time_and_size(input_file(image)), image)

    def read(self, image: str) -> dict[str, Any]:
        chain = read_chain(input_file(image))
        return {"ui": shown((chain, check_plan(chain))), "result": (chain, chain.text)}


@checked
class GoTChainToMasks:
    DESCRIPTION = (
        "The boxes of a plan for inpainting, regional prompts and detailers: as masks, as bounding boxes in "
        "pixels, and with their words."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("region", "regional", "region masks", "boxes", "bounding box", "box to mask", "layout")
    RETURN_TYPES = ("MASK", "BOUNDING_BOX", "STRING", "IMAGE")
    RETURN_NAMES = ("masks", "boxes", "phrases", "layout")
    OUTPUT_IS_LIST = (False, False, True, False)
    OUTPUT_TOOLTIPS = (
        "One mask per box, in the plan's order. A plan without boxes gives one empty mask.",
        "All boxes of the picture in pixels: x and y of the top left corner, width, height.",
        "The words of each box, as a list. A plan without boxes gives one empty text.",
        "The boxes with their words, on an empty ground.",
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

    def convert(
        self, chain: ReasoningChain, width: int, height: int
    ) -> tuple[Tensor, list[list[dict[str, int]]], list[str], Tensor]:
        from ._images import box_masks, pictures_to_image

        masks = box_masks(chain.regions, (height, width))
        corners = [region.box.to_pixels(width, height) for region in chain.regions]
        boxes = [
            {"x": left, "y": top, "width": right - left, "height": bottom - top}
            for left, top, right, bottom in corners
        ]
        phrases = [region.phrase for region in chain.regions] or [""]
        layout = pictures_to_image([draw_layout(chain, None, (width, height))])
        return masks, [boxes], phrases, layout
