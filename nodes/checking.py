"""GoT Check and GoT Pick Best: whether a picture obeys its plan, and drawing until one does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.chain.notations import read_boxes
from ..got_models.chain.switched_off import without_switched_off
from ..got_models.constants import SCHEDULERS
from ..got_models.errors import GoTError, printable
from ..got_models.notes import Note
from ._comfy.feedback import stop_if_interrupted
from ._inputs import ANY_BOXES, checked, seed_input
from ._plans import notes_ui
from .chain import CHAIN_TOOLTIP
from .guidance import EncodedPlan, scale_widgets
from .sampling import GoTSampler

if TYPE_CHECKING:
    from torch import Tensor

    from ..got_models.judge.verdict import Verdict
    from ._model import ManagedModel

MOST_ATTEMPTS = 64


@checked
class GoTCheck:
    DESCRIPTION = (
        "Says whether a picture obeys its plan: looks for every phrase of the plan in the picture, with the "
        "model or with a detector's boxes, and compares where it is with where it was planned."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("did it obey", "evaluate picture", "score image", "verify layout", "geneval", "judge")
    RETURN_TYPES = ("FLOAT", "BOOLEAN", "STRING", "IMAGE")
    RETURN_NAMES = ("score", "obeyed", "report", "checked")
    OUTPUT_IS_LIST = (True, True, True, False)
    OUTPUT_TOOLTIPS = (
        "From 0 to 1, one for each picture: how well the objects fill their boxes. What is missing, and what "
        "is there too often, counts as 0.",
        "Whether every object is in its place and nothing is there too often, one for each picture.",
        "What was found, object by object, one text for each picture.",
        "The pictures with the plan's boxes and, dashed, what was found: green in place, red elsewhere.",
    )
    OUTPUT_NODE = True
    FUNCTION = "check"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "chain": ("GOT_CHAIN", {"tooltip": CHAIN_TOOLTIP}),
                "image": ("IMAGE", {"tooltip": "The pictures to look at, all drawn from this plan."}),
            },
            "optional": {
                "model": (
                    "GOT_MODEL",
                    {"tooltip": "The checkpoint that looks at the pictures. Not needed with boxes."},
                ),
                "boxes": (
                    ANY_BOXES,
                    {
                        "forceInput": True,
                        "tooltip": "What a detector has found in the picture, such as SAM3 or RT-DETR, in "
                        "place of the model; for one picture.",
                    },
                ),
            },
        }

    def check(
        self, chain: ReasoningChain, image: Tensor, model: ManagedModel | None = None, boxes: Any = None
    ) -> dict[str, Any]:
        from ..got_models.judge.looking import check_plan, judge
        from ..got_models.judge.report import draw_verdict, report
        from ..got_models.judge.sightings import boxes_by_phrase
        from ..got_models.judge.verdict import compare
        from ._images import image_to_pictures, pictures_to_image

        chain = without_switched_off(chain)
        check_plan(chain)
        pictures = image_to_pictures(image)
        if (model is None) == (boxes is None):
            raise GoTError("Connect either 'model', which looks at the picture, or 'boxes' of a detector.")
        if model is not None:
            verdicts = [judge(model, chain, one, should_stop=stop_if_interrupted) for one in pictures]
        elif len(pictures) == 1:
            found = read_boxes(boxes, notation="auto", size=pictures[0].size, labels=[])
            verdicts = [compare(chain.regions, boxes_by_phrase(chain.regions, found.elements))]
        else:
            raise GoTError(
                f"'boxes' are of one picture, but 'image' holds {len(pictures)}. Check them one by one."
            )
        drawn = [draw_verdict(chain, one, verdict) for one, verdict in zip(pictures, verdicts, strict=True)]
        result = (
            [verdict.score for verdict in verdicts],
            [verdict.obeyed for verdict in verdicts],
            [printable(report(verdict)) for verdict in verdicts],
            pictures_to_image(drawn),
        )
        return {"ui": notes_ui([said(verdict) for verdict in verdicts]), "result": result}


@checked
class GoTPickBest:
    DESCRIPTION = (
        "Draws with one seed after another until a picture obeys its plan, and keeps the best: the model "
        "looks at each."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("best of n", "best seed", "reroll", "retry", "rejection sampling", "generate image")
    RETURN_TYPES = ("LATENT", "IMAGE", "FLOAT", "INT", "STRING")
    RETURN_NAMES = ("latent", "image", "score", "best_seed", "report")
    OUTPUT_TOOLTIPS = (
        "The best picture as latents.",
        "The best picture.",
        "From 0 to 1: how well its objects fill their boxes.",
        "The seed that it was drawn with.",
        "What was found in it, object by object.",
    )
    FUNCTION = "pick"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": ("GOT_MODEL", {"tooltip": "The checkpoint that draws and looks."}),
                "guidance": ("GOT_GUIDANCE", {"tooltip": "What to draw, from SSGM Encode."}),
                "attempts": (
                    "INT",
                    {
                        "default": 4,
                        "min": 1,
                        "max": MOST_ATTEMPTS,
                        "tooltip": "The most pictures to draw; fewer if one obeys before.",
                    },
                ),
                "seed": seed_input("Of the first picture; the next have seed + 1, seed + 2 and so on."),
                "steps": (
                    "INT",
                    {
                        "default": 0,
                        "min": 0,
                        "max": 1000,
                        "tooltip": "Denoising steps of each picture. 0: the checkpoint's own.",
                    },
                ),
                "scheduler": (
                    list(SCHEDULERS),
                    {
                        "tooltip": "How noise is removed. ddpm needs about 50 steps; euler, dpm++2m and "
                        "unipc need only 20 to 30."
                    },
                ),
                **scale_widgets(advanced=True),
            }
        }

    def pick(
        self,
        model: ManagedModel,
        guidance: EncodedPlan,
        attempts: int,
        seed: int,
        steps: int,
        scheduler: str,
        semantic_scale: float,
        spatial_scale: float,
        reference_scale: float,
    ) -> dict[str, Any]:
        from ..got_models.judge.best import best_of
        from ..got_models.judge.looking import check_plan, judge
        from ..got_models.judge.report import report
        from ._images import image_to_pictures

        chain = guidance.chain
        check_plan(chain)
        scales = (semantic_scale, spatial_scale, reference_scale)
        verdicts: list[Verdict] = []

        def draw(with_seed: int) -> tuple[Any, Tensor]:
            drawn: tuple[Any, Tensor] = GoTSampler().sample(
                model, guidance, with_seed, steps, scheduler, *scales, keep_outside_boxes=True
            )["result"]
            return drawn

        def look(drawn: tuple[Any, Tensor]) -> Verdict:
            picture = image_to_pictures(drawn[1])[0]
            verdicts.append(judge(model, chain, picture, should_stop=stop_if_interrupted))
            return verdicts[-1]

        best = best_of([(seed + number) % 2**64 for number in range(attempts)], draw, look)
        notes = [Note("picked", drawn=str(len(verdicts)), seed=str(best.seed)), said(best.verdict)]
        result = (*best.drawn, best.verdict.score, best.seed, printable(report(best.verdict)))
        return {"ui": notes_ui(notes), "result": result}


def said(verdict: Verdict) -> Note:
    """A verdict in one sentence."""
    there = sum(judged.in_place for judged in verdict.objects)
    return Note(
        "checked",
        there=str(there),
        planned=str(len(verdict.objects)),
        extra=str(len(verdict.extras)),
        score=f"{verdict.score:.2f}",
    )
