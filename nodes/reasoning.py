"""GoT Reason: turns a prompt, and for editing a picture, into a plan."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import TASKS, ChainError, ReasoningChain, Region
from ..got_models.chain.switched_off import switched_on
from ..got_models.errors import GoTError, short_repr
from ..got_models.mllm.prompts import check_prompt
from ._comfy.feedback import encodable, progress_bar, show_text, stop_if_interrupted
from ._inputs import checked, seed_input
from ._plans import plans_ui
from .chain import CHAIN_TOOLTIP, TEXT_TOOLTIP

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ._model import ManagedModel

VARIED = 1.0  # the temperature of further plans if the first is decoded greedily


@checked
class GoTReason:
    DESCRIPTION = (
        "Plans the picture before it is drawn: the model describes in plain words what will be in it and "
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
    OUTPUT_NODE = True  # so that every run shows the plan, even when it is cached
    FUNCTION = "reason"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {**_prompt_inputs(), **_decoding_inputs()},
            "optional": _optional_inputs(),
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
        from ..got_models.mllm.settings import GenerationSettings
        from ._images import image_to_pictures

        check_prompt(prompt)  # before the weights load
        picture = None if image is None else image_to_pictures(image)[0]
        task = _task(task, picture, locked)
        held, left_out = switched_on(locked.regions if locked else ())
        held += _regions_in(locked_objects, task)
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
            settings = GenerationSettings(
                max_new_tokens=limit,
                temperature=warmth if warmth >= 0 else None,
                top_p=top_p if warmth >= 0 else None,
                seed=(seed + number) % 2**64,
                locked=held,
            )
            chain = model.reason(prompt, picture, task, settings, on_text=on_text, should_stop=after_token)
            update((number + 1) * limit, None)
            return chain

        chain, *others = [write(number) for number in range(variants)]
        notes = [*left_out, *model.remarks(chain, picture)]
        if picture is not None and not model.leaves_unchanged(chain):
            own = model.settings.tasks["edit"]
            notes += enlargement((own.height, own.width), (picture.height, picture.width), "draws_smaller")
        ui = plans_ui((chain, notes))
        if others:
            ui["variants"] = encodable([plan.to_json() for plan in (chain, *others)])
        return {"ui": ui, "result": (chain, chain.text)}


def _task(chosen: str, picture: Image.Image | None, locked: ReasoningChain | None) -> str:
    """The task: the chosen one or, with "auto", "edit" if there is a picture.

    Raises:
        GoTError: the picture or the locked objects belong to the other task.
    """
    task = chosen
    if chosen == "auto":
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
    return task


def _prompt_inputs() -> dict[str, Any]:
    """The inputs for the plan's subject."""
    return {
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
            {"advanced": True, "tooltip": "auto: edit if a picture is connected, otherwise generate."},
        ),
    }


def _decoding_inputs() -> dict[str, Any]:
    """The inputs for decoding."""
    return {
        "max_new_tokens": (
            "INT",
            {
                "default": 0,
                "min": 0,
                "max": 4096,
                "advanced": True,
                "tooltip": "Maximum length of the plan, in tokens (a few letters each). 0: the "
                "checkpoint's own limit.",
            },
        ),
        "temperature": (
            "FLOAT",
            {
                "default": -1.0,
                "min": -1.0,
                "max": 2.0,
                "step": 0.05,
                "tooltip": "-1: the checkpoint's own settings. 0: always the most likely word. Higher: "
                "more varied plans, a different one for each seed.",
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
                "tooltip": "With a temperature above 0: choose only among the most likely words that "
                "together have this probability. Lower is safer, 1 allows every word.",
            },
        ),
        "seed": seed_input(
            "With a temperature above 0, a different seed gives a different plan; "
            "otherwise it has no effect.",
            control_after_generate=False,
        ),
    }


def _optional_inputs() -> dict[str, Any]:
    """The optional inputs of GoT Reason."""
    return {
        "image": (
            "IMAGE",
            {
                "tooltip": "The picture to edit. Of a batch only the first is used: there is one plan, "
                "which SSGM Encode can apply to the whole batch."
            },
        ),
        "locked": (
            "GOT_CHAIN",
            {
                "tooltip": "Objects that the plan must hold with exactly these words and boxes; "
                "the rest is planned around them. From the output 'locked' of Edit Reasoning Chain "
                "after another GoT Reason, or from GoT Chain from Text."
            },
        ),
        "variants": (
            "INT",
            {
                "default": 1,
                "min": 1,
                "max": 9,
                "tooltip": "How many plans to write, each with the next seed. The first is passed on, and "
                "Edit Reasoning Chain shows all of them to choose from. Without a temperature "
                "above 0 the others are written at 1.",
            },
        ),
        "locked_objects": (
            "STRING",
            {
                "default": "",
                "tooltip": "More locked objects as text, each with its box: a large red circle "
                "(62,62),(438,438). 'Replan around locked' in Edit Reasoning Chain writes them here; "
                "empty it to plan freely again.",
            },
        ),
    }


def _regions_in(locked_objects: str, task: str) -> tuple[Region, ...]:
    """The objects with boxes written by a person or by the editor."""
    try:
        regions = ReasoningChain.parse(locked_objects, task, "").regions
    except ChainError as error:
        raise ChainError(f"locked_objects cannot be read: {error}") from error
    if locked_objects.strip() and not regions:
        raise ChainError(
            f"locked_objects holds no box, got {short_repr(locked_objects)}. Put a box after each object, "
            "such as a red circle (62,62),(438,438), or empty it."
        )
    return regions
