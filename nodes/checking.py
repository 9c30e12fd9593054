"""GoT Check and GoT Pick Best: whether a picture obeys its plan, and drawing until one does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.chain.chain import ReasoningChain
from ..got_models.chain.notations import read_boxes
from ..got_models.chain.plan_check import listed
from ..got_models.chain.switched_off import drawn_part
from ..got_models.errors import GoTError, printable
from ..got_models.notes import Note
from ._comfy.feedback import stop_if_interrupted
from ._inputs import ANY_BOXES, checked, seed_input
from ._plans import notes_ui
from ._speed import AUTO, scheduler_widget, speed_widget, steps_widget
from .chain import CHAIN_TOOLTIP
from .guidance import EncodedPlan, scale_widgets
from .sampling import GoTSampler

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ..got_models.judge.verdict import Verdict
    from ._model import ManagedModel

MOST_ATTEMPTS = 64


@checked
class GoTCheck:
    DESCRIPTION = (
        "Says whether a picture obeys its plan: looks for every phrase of the plan in the picture, with the "
        "model or with a detector's boxes, and compares where it is with where it was planned. For an edit: "
        "whether what was to change has changed, and nothing else."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("did it obey", "evaluate picture", "score image", "verify layout", "geneval", "judge")
    RETURN_TYPES = ("FLOAT", "BOOLEAN", "STRING", "IMAGE")
    RETURN_NAMES = ("score", "obeyed", "report", "checked")
    OUTPUT_IS_LIST = (True, True, True, False)
    OUTPUT_TOOLTIPS = (
        "From 0 to 1, one for each picture: how well the objects fill their boxes. What is missing, and what "
        "is there too often, counts as 0.",
        "Whether every object is in its place and nothing is there too often, one for each picture. Also "
        "off where that cannot be told.",
        "What was found, object by object, one text for each picture.",
        "The pictures with the plan's boxes and, dashed, what was found: green in place, red elsewhere, "
        "amber in doubt.",
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
                "source": (
                    "IMAGE",
                    {
                        "tooltip": "For the plan of an edit: the picture before it, which shows what has "
                        "changed outside the boxes. One for all pictures, or one for each."
                    },
                ),
            },
        }

    def check(
        self,
        chain: ReasoningChain,
        image: Tensor,
        model: ManagedModel | None = None,
        boxes: Any = None,
        source: Tensor | None = None,
    ) -> dict[str, Any]:
        from ..got_models.judge.looking import check_plan, judge, judge_sightings
        from ..got_models.judge.report import draw_verdict, report
        from ._images import image_to_pictures, pictures_to_image

        chain, left_out = drawn_part(chain)
        pictures = image_to_pictures(image)
        if (model is None) == (boxes is None):
            raise GoTError("Connect either 'model', which looks at the picture, or 'boxes' of a detector.")
        sources = _sources(source, len(pictures))
        check_plan(chain, sources[0])
        if model is not None:
            verdicts = [
                judge(model, chain, picture, before, should_stop=stop_if_interrupted)
                for picture, before in zip(pictures, sources, strict=True)
            ]
        elif len(pictures) == 1:
            found = read_boxes(boxes, notation="auto", size=pictures[0].size, labels=[])
            verdicts = [judge_sightings(chain, found.elements, pictures[0], sources[0])]
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
        notes: list[Note] = []
        for number, verdict in enumerate(verdicts, start=1):
            notes += [Note("picture_number", number=str(number))] if len(verdicts) > 1 else []
            notes += said(verdict)
        return {"ui": notes_ui([*notes, *left_out]), "result": result}


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
                        "tooltip": "The most pictures to draw; fewer if one obeys sooner.",
                    },
                ),
                "seed": seed_input("Of the first picture; the next have seed + 1, seed + 2 and so on."),
                **steps_widget("Denoising steps of each picture."),
                **scheduler_widget(),
                **scale_widgets(advanced=True),
            },
            "optional": speed_widget(),
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
        speed: str = AUTO,
    ) -> dict[str, Any]:
        from ..got_models.judge.best import best_of
        from ..got_models.judge.looking import check_plan, judge
        from ..got_models.judge.report import report
        from ._images import image_to_pictures

        chain = guidance.chain
        source = one_source(guidance)
        check_plan(chain, source)
        scales = (semantic_scale, spatial_scale, reference_scale)
        verdicts: list[Verdict] = []

        def draw(with_seed: int) -> tuple[Any, Tensor]:
            drawn: tuple[Any, Tensor] = GoTSampler().sample(
                model, guidance, with_seed, steps, scheduler, *scales, keep_outside_boxes=True, speed=speed
            )["result"]
            return drawn

        def look(drawn: tuple[Any, Tensor]) -> Verdict:
            picture = image_to_pictures(drawn[1])[0]
            verdicts.append(judge(model, chain, picture, source, should_stop=stop_if_interrupted))
            return verdicts[-1]

        best = best_of([(seed + number) % 2**64 for number in range(attempts)], draw, look)
        notes = [Note("picked", drawn=str(len(verdicts)), seed=str(best.seed)), *said(best.verdict)]
        result = (*best.drawn, best.verdict.score, best.seed, printable(report(best.verdict)))
        return {"ui": notes_ui(notes), "result": result}


def said(verdict: Verdict) -> list[Note]:
    """A verdict in sentences: how many objects are as planned and, of an edit, what else has changed."""
    certain = [judged for judged in verdict.objects if judged.label is None]
    numbers = {
        "there": str(sum(judged.in_place for judged in certain)),
        "planned": str(len(verdict.objects) + len(verdict.unclear)),
        "score": f"{verdict.score:.2f}",
    }
    if all(judged.there for judged in verdict.objects) and not verdict.unclear:
        notes = [Note("checked", extra=str(len(verdict.extras)), **numbers)]
    else:
        notes = [Note("checked_edit", **numbers)]
    if len(certain) < len(verdict.objects):
        doubtful = [judged.phrase for judged in verdict.objects if judged.label is not None]
        notes.append(Note("not_told_apart", names=listed(list(dict.fromkeys(doubtful)))))
    if verdict.unclear:
        notes.append(Note("unclear_change", names=listed(verdict.unclear)))
    if verdict.changed_outside is not None:
        notes.append(Note("changed_outside", share=f"{100 * verdict.changed_outside:.1f}"))
    return notes


def one_source(guidance: EncodedPlan) -> Image.Image | None:
    """The picture that is edited, if one is.

    Raises:
        GoTError: there are several.
    """
    from ._images import image_to_pictures

    if guidance.source is None:
        return None
    if len(guidance.source) > 1:
        raise GoTError("The guidance is of a batch of pictures, and one is needed here. Take one of them.")
    return image_to_pictures(guidance.source)[0]


def _sources(source: Tensor | None, count: int) -> list[Image.Image | None]:
    """The source of each picture: one for all, or one for each."""
    from ._images import image_to_pictures

    if source is None:
        return [None] * count
    pictures = image_to_pictures(source)
    if len(pictures) not in (1, count):
        raise GoTError(
            f"'source' holds {len(pictures)} pictures and 'image' {count}. Give one source, or one for each."
        )
    return [*pictures] if len(pictures) == count else [pictures[0]] * count
