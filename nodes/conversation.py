"""Edit Image in Turns: the model plans, draws, looks at its picture, and edits it again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.mllm.prompts import check_prompt
from ..got_models.notes import Note
from ._comfy.feedback import progress_bar, show_text, stop_if_interrupted
from ._inputs import checked, seed_input
from ._plans import plans_ui
from ._png import store_chain
from ._speed import AUTO, sampling_settings, scheduler_widget, speed_widget, steps_widget
from .guidance import given_scales, scale_widgets
from .sampling import previews

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ..got_models.diffusion.sampler import Step
    from ._model import ManagedModel

MAX_TURNS = 16


@checked
class GoTConverse:
    DESCRIPTION = (
        "Several steps in one conversation: the model plans and draws, looks at the result and changes "
        "it, until it has nothing to add. The bundled model was taught single turns and stops "
        "after the first."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("multi-turn edit", "multi-step edit", "converse", "iterative editing", "edit image")
    RETURN_TYPES = ("IMAGE", "GOT_CHAIN", "STRING")
    RETURN_NAMES = ("images", "chains", "text")
    OUTPUT_IS_LIST = (False, True, False)
    OUTPUT_TOOLTIPS = (
        "The picture of every turn, from the first to the last.",
        "The plan of every turn, as a list.",
        "All plans as text, separated by empty lines.",
    )
    OUTPUT_NODE = True  # so that every run shows the plans, even when they are cached
    FUNCTION = "converse"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {**_conversation_inputs(), **_drawing_inputs()},
            "optional": {
                "image": (
                    "IMAGE",
                    {
                        "tooltip": "The picture to edit; of a batch the first one. Without it, the first "
                        "turn draws a new picture."
                    },
                ),
                **speed_widget(),
            },
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def converse(
        self,
        model: ManagedModel,
        prompt: str,
        turns: int,
        seed: int,
        steps: int,
        scheduler: str,
        semantic_scale: float,
        spatial_scale: float,
        reference_scale: float,
        keep_outside_boxes: bool,
        width: int,
        height: int,
        image: Tensor | None = None,
        speed: str = AUTO,
        unique_id: str | None = None,
        extra_pnginfo: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        from ._images import image_to_pictures, pictures_to_image

        check_prompt(prompt)  # before the weights load
        picture = None if image is None else image_to_pictures(image)[0]
        defaults = model.settings.tasks["generate" if picture is None else "edit"]
        size = (height or defaults.height, width or defaults.width)
        model.check_size(size)
        plans: list[tuple[ReasoningChain, list[Note]]] = []
        pictures: list[Image.Image] = []
        model = model.at_speed(speed)
        drawing = sampling_settings(None, seed, steps, scheduler, speed)
        changed = given_scales(semantic_scale, spatial_scale, reference_scale)
        first = "generate" if picture is None else "edit"
        chosen = replace(model.default_scales(first), **changed)
        each = model.sampling(replace(drawing, scales=chosen), first).steps or 0
        update, preview = progress_bar(turns * each), previews(model, size)
        pieces: list[str] = []

        def on_text(piece: str) -> None:
            pieces.append(piece)
            show_text("".join(pieces), unique_id)

        def on_step(step: Step) -> None:
            update(len(pictures) * each + step.index, preview(step.predicted))

        for turn in model.converse(prompt, picture).turns(
            turns,
            size=size,
            scales=changed,
            drawing=drawing,
            keep_outside=keep_outside_boxes,
            on_step=on_step,
            should_stop=stop_if_interrupted,
            on_text=on_text,
        ):
            plans.append((turn.chain, model.remarks(turn.chain, turn.source)))
            store_chain(turn.chain, extra_pnginfo, unique_id)
            pictures.append(turn.picture)
            pieces.append("\n\n")
        update(turns * each, None)
        chains = [chain for chain, _ in plans]
        text = "\n\n".join(chain.text for chain in chains)
        return {"ui": plans_ui(*plans), "result": (pictures_to_image(pictures), chains, text)}


def _conversation_inputs() -> dict[str, Any]:
    """The inputs for the conversation's subject and its maximum length."""
    return {
        "model": ("GOT_MODEL", {"tooltip": "The checkpoint, from GoT Model Loader."}),
        "prompt": (
            "STRING",
            {
                "multiline": True,
                "default": "make the blue square green, then remove the star",
                "tooltip": "Everything that should be done or, without a picture, what the picture should "
                "show. The model divides it into turns itself.",
            },
        ),
        "turns": (
            "INT",
            {
                "default": 4,
                "min": 1,
                "max": MAX_TURNS,
                "tooltip": "Maximum number of pictures. The model may stop earlier.",
            },
        ),
        "seed": seed_input("The same seed gives the same pictures; all turns start from the same noise."),
        **steps_widget("Denoising steps of each picture."),
    }


def _drawing_inputs() -> dict[str, Any]:
    """The inputs for drawing each of its pictures."""
    side = {"default": 0, "min": 0, "max": 2048, "step": 8, "advanced": True}
    own = "0: the checkpoint's own for the first task."
    return {
        **scheduler_widget(advanced=True),
        **scale_widgets(advanced=True),
        "keep_outside_boxes": (
            "BOOLEAN",
            {
                "default": True,
                "tooltip": "Everything outside a plan's boxes is taken from the previous picture, with a "
                "soft edge.",
            },
        ),
        "width": ("INT", {**side, "tooltip": f"Width to draw at, in pixels: a multiple of 8. {own}"}),
        "height": (
            "INT",
            {**side, "tooltip": f"Height to draw at, in pixels: a multiple of 8. {own}"},
        ),
    }
