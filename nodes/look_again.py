"""GoT Look Again: sees the picture, edits what does not obey the plan, and looks again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.chain.switched_off import drawn_part
from ..got_models.errors import GoTError, printable
from ..got_models.notes import Note
from ._comfy.feedback import progress_bar, stop_if_interrupted
from ._inputs import checked, seed_input
from ._plans import notes_ui
from ._png import store_chain
from ._speed import AUTO, sampling_settings, scheduler_widget, speed_widget, steps_widget
from .chain import CHAIN_TOOLTIP
from .checking import said
from .guidance import given_scales, scale_widgets
from .sampling import previews

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ..got_models.diffusion.sampler import Step
    from ..got_models.judge.verdict import Verdict
    from ._model import ManagedModel

MOST_TURNS = 16


@checked
class GoTLookAgain:
    DESCRIPTION = (
        "Mends a picture until it obeys its plan: the model looks for every phrase; for what is missing, out "
        "of place or there too often an edit is written, drawn and looked at again. The best picture is kept."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = (
        "self correct",
        "refine layout",
        "repair",
        "iterate",
        "reflection",
        "fix missing object",
    )
    RETURN_TYPES = ("IMAGE", "FLOAT", "BOOLEAN", "STRING", "IMAGE")
    RETURN_NAMES = ("image", "score", "obeyed", "report", "turns")
    OUTPUT_TOOLTIPS = (
        "The best picture: one that obeys, or else the one with the highest score.",
        "From 0 to 1: how well its objects fill their boxes.",
        "Whether every object is in its place and nothing is there too often.",
        "What each turn did and what was found after it, a line for each.",
        "The picture as it came, and that of every turn.",
    )
    FUNCTION = "look_again"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": ("GOT_MODEL", {"tooltip": "The checkpoint that looks, and draws the edits."}),
                "chain": ("GOT_CHAIN", {"tooltip": CHAIN_TOOLTIP}),
                "image": ("IMAGE", {"tooltip": "The picture, drawn from this plan."}),
                "turns": (
                    "INT",
                    {
                        "default": 3,
                        "min": 1,
                        "max": MOST_TURNS,
                        "tooltip": "The most edits to make; fewer if the picture obeys sooner.",
                    },
                ),
                "seed": seed_input("Of the first edit; the next have seed + 1, seed + 2 and so on."),
                **steps_widget("Denoising steps of each edit."),
                **scheduler_widget(),
                **scale_widgets(advanced=True),
            },
            "optional": speed_widget(),
            "hidden": {"unique_id": "UNIQUE_ID", "extra_pnginfo": "EXTRA_PNGINFO"},
        }

    def look_again(
        self,
        model: ManagedModel,
        chain: ReasoningChain,
        image: Tensor,
        turns: int,
        seed: int,
        steps: int,
        scheduler: str,
        semantic_scale: float,
        spatial_scale: float,
        reference_scale: float,
        speed: str = AUTO,
        unique_id: str | None = None,
        extra_pnginfo: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        from dataclasses import replace

        from ..got_models.edit_area import finish_edit
        from ..got_models.judge.again import look_again, told
        from ..got_models.judge.looking import judge
        from ._images import image_to_pictures, pictures_to_image

        store_chain(chain, extra_pnginfo, unique_id)
        chain, left_out = drawn_part(chain)
        pictures = image_to_pictures(image)
        if len(pictures) != 1:
            raise GoTError(
                f"'image' holds {len(pictures)} pictures, and one is mended here. Take one of them."
            )
        given = given_scales(semantic_scale, spatial_scale, reference_scale)
        scales = replace(model.default_scales("edit"), **given)
        defaults = model.settings.tasks["edit"]
        model = model.at_speed(speed)
        settings = model.sampling(sampling_settings(scales, seed, steps, scheduler, speed), "edit")
        each = settings.steps or 0
        update, preview = progress_bar(turns * each), previews(model, (defaults.height, defaults.width))

        def draw(edit: ReasoningChain, picture: Image.Image, turn: int) -> Image.Image:
            def on_step(step: Step) -> None:
                update((turn - 1) * each + step.index, preview(step.predicted))

            with_seed = replace(settings, seed=(seed + turn - 1) % 2**64)
            guidance = model.encode(edit, picture)
            drawn = model.sample(guidance, with_seed, on_step=on_step, should_stop=stop_if_interrupted)
            return finish_edit(drawn, picture, edit, keep_outside=True)

        def look(picture: Image.Image) -> Verdict:
            return judge(model, chain, picture, should_stop=stop_if_interrupted)

        mended = look_again(chain, pictures[0], turns, draw, look)
        update(turns * each, None)
        best = mended.best
        notes = [Note("looked_again", edits=str(len(mended.turns) - 1)), *said(best.verdict), *left_out]
        result = (
            pictures_to_image([best.picture]),
            best.verdict.score,
            best.verdict.obeyed,
            printable(told(mended)),
            pictures_to_image([turn.picture for turn in mended.turns]),
        )
        return {"ui": notes_ui(notes), "result": result}
