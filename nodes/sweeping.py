"""GoT Sweep: one plan drawn with many settings, on a labelled grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._comfy.feedback import progress_bar, stop_if_interrupted
from ._inputs import checked, seed_input
from ._speed import AUTO, sampling_settings, scheduler_widget, steps_widget
from .checking import one_source
from .guidance import EncodedPlan, scale_widgets
from .sampling import previews

if TYPE_CHECKING:
    from PIL import Image

    from ..got_models.diffusion.sampler import Step
    from ..got_models.diffusion.settings import SamplingSettings
    from ._model import ManagedModel

SETTINGS = ("semantic", "spatial", "reference", "steps", "seed", "adapter")
NOTHING = "nothing"


@checked
class GoTSweep:
    DESCRIPTION = (
        "Draws one plan with many settings, on a labelled grid: what the words, the boxes and the source "
        "picture each do. A second picture shows where each of them changes the drawing, step by step."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("xy plot", "grid", "x/y plot", "compare settings", "guidance x-ray", "ablation")
    RETURN_TYPES = ("IMAGE", "IMAGE", "IMAGE")
    RETURN_NAMES = ("grid", "images", "branches")
    OUTPUT_TOOLTIPS = (
        "All pictures on one sheet, with their settings beside them.",
        "The pictures alone, row by row.",
        "Where words, boxes and the source picture change what is drawn, at some of the steps: black not at "
        "all, yellow most. Drawn with the settings on the node, without those that vary.",
    )
    FUNCTION = "sweep"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        values = {"default": "0, 1, 2, 4", "tooltip": "Its values, up to 12, separated by commas."}
        return {
            "required": {
                "model": ("GOT_MODEL", {"tooltip": "The checkpoint that made the guidance."}),
                "guidance": ("GOT_GUIDANCE", {"tooltip": "What to draw, from SSGM Encode."}),
                "across": (
                    list(SETTINGS),
                    {
                        "default": "spatial",
                        "tooltip": "What varies from left to right. adapter: the strength in pictures of the "
                        "adapter from the last GoT LoRA Loader.",
                    },
                ),
                "across_values": ("STRING", values),
                "down": (
                    [NOTHING, *SETTINGS],
                    {"tooltip": "What varies from top to bottom; nothing makes a single row."},
                ),
                "down_values": ("STRING", {**values, "default": "1, 4"}),
                "seed": seed_input("The same seed gives the same picture."),
                "check": (
                    "BOOLEAN",
                    {
                        "default": False,
                        "tooltip": "Let the model look at each picture, and write below it how well it obeys "
                        "the plan, from 0 to 1.",
                    },
                ),
                **steps_widget("Denoising steps of each picture.", advanced=True),
                **scheduler_widget("euler", advanced=True),
                **scale_widgets(advanced=True),
                "keep_outside_boxes": (
                    "BOOLEAN",
                    {
                        "default": True,
                        "advanced": True,
                        "tooltip": "When editing: everything outside the plan's boxes is taken from the "
                        "source. Off: the whole pictures are redrawn. No effect when generating.",
                    },
                ),
            }
        }

    def sweep(
        self,
        model: ManagedModel,
        guidance: EncodedPlan,
        across: str,
        across_values: str,
        down: str,
        down_values: str,
        seed: int,
        check: bool,
        steps: int,
        scheduler: str,
        semantic_scale: float,
        spatial_scale: float,
        reference_scale: float,
        keep_outside_boxes: bool = True,
    ) -> tuple[Any, Any, Any]:
        from ..got_models.edit_area import finish_edit
        from ..got_models.judge.looking import check_plan, judge
        from ..got_models.sweep.axes import ADAPTER, read_axis
        from ..got_models.sweep.branches import BranchRecorder
        from ..got_models.sweep.drawing import check_axes, sweep
        from ._images import pictures_to_image

        columns = read_axis(across, across_values)
        rows = None if down == NOTHING else read_axis(down, down_values)
        check_axes(columns, rows)
        for axis in (columns, rows):
            if axis is not None and axis.name == ADAPTER:
                model.check_variable(axis.values)
        plan, size = guidance, guidance.guidance.size
        source = one_source(plan)
        if check:
            check_plan(plan.chain, source)
        scales = plan.scales(semantic_scale, spatial_scale, reference_scale)
        given = sampling_settings(scales, seed, steps, scheduler, AUTO)
        settings = model.sampling(given, plan.chain.task)
        steps = settings.steps or 0
        recorder, preview = BranchRecorder(), previews(model, size)
        count = 1 + len(columns.values) * (len(rows.values) if rows else 1)
        update, done = progress_bar(count * steps), 0
        adapted = model

        def set_strength(strength: float) -> None:
            nonlocal adapted
            adapted = model.with_unet_strength(strength)

        def draw(with_settings: SamplingSettings, record: bool = False) -> Image.Image:
            nonlocal done

            def on_step(step: Step) -> None:
                share = round(steps * step.index / step.total)
                update(done * steps + share, preview(step.predicted))
                if record:
                    recorder.record(step)

            picture = adapted.sample(
                plan.guidance,
                with_settings,
                on_step=on_step,
                should_stop=stop_if_interrupted,
                every_branch=record,
            )
            done += 1
            if source is None:
                return picture
            return finish_edit(picture, source, plan.chain, keep_outside=keep_outside_boxes)

        def score(picture: Image.Image) -> str:
            verdict = judge(model, plan.chain, picture, source, should_stop=stop_if_interrupted)
            return f"score {verdict.score:.2f}"

        draw(settings, record=True)
        branches = recorder.picture()  # where nothing can be compared, that is said before the grid is drawn
        swept = sweep(draw, settings, columns, rows, score if check else None, set_strength)
        pictures = [picture for row in swept.pictures for picture in row]
        return (
            pictures_to_image([swept.sheet()]),
            pictures_to_image(pictures),
            pictures_to_image([branches]),
        )
