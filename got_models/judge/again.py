"""Look again: see the picture, write the next edit where something is wrong, draw it, until it obeys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from ..chain.chain import ReasoningChain
from ..errors import GoTError
from .looking import check_generated
from .mending import next_edit
from .report import summary
from .verdict import Verdict


@dataclass(frozen=True)
class Turn:
    """A picture and the verdict on it. `edit`: the plan that led to it; None for the picture as it came."""

    edit: ReasoningChain | None
    picture: Image.Image
    verdict: Verdict


@dataclass(frozen=True)
class Mended:
    """All turns, the first with the picture as it came; `asked`: how many edits were allowed."""

    turns: list[Turn]
    asked: int

    @property
    def best(self) -> Turn:
        """The turn that obeys or else has the highest score; of equal ones the first."""
        return max(self.turns, key=lambda turn: (turn.verdict.obeyed, turn.verdict.score))


def look_again(
    chain: ReasoningChain,
    picture: Image.Image,
    most: int,
    draw: Callable[[ReasoningChain, Image.Image, int], Image.Image],
    look: Callable[[Image.Image], Verdict],
) -> Mended:
    """Mends a picture by at most `most` edits, each of the best picture so far, until it obeys its plan.

    Args:
        chain: the plan of the generated picture, by which every turn is judged.
        draw: makes an edit: its plan, the picture to edit, and the number of the turn, from 1. The number
            is for the seed: an edit that has failed is tried again with another one.
        look: the verdict on a picture.

    Raises:
        GoTError: less than one turn, a plan without boxes, or of an edit.
    """
    check_generated(chain)
    if most < 1:
        raise GoTError(f"Looking again takes at least 1 turn, got {most}. Each turn is one edit.")
    mended = Mended([Turn(None, picture, look(picture))], most)
    for number in range(1, most + 1):
        best = mended.best
        edit = None if best.verdict.obeyed else next_edit(chain, best.verdict)
        if edit is None:
            break
        drawn = draw(edit, best.picture, number)
        mended.turns.append(Turn(edit, drawn, look(drawn)))
    return mended


def told(mended: Mended) -> str:
    """A line for every turn, and one for how it ended."""
    lines = [
        f"{f'turn {number}, {turn.edit.prompt}' if turn.edit else 'as it came'}: {summary(turn.verdict)}"
        for number, turn in enumerate(mended.turns)
    ]
    best, edits = mended.best, len(mended.turns) - 1
    kept = f"kept: turn {mended.turns.index(best)}" if best.edit else "kept: the picture as it came"
    if best.verdict.obeyed:
        end = "it obeys its plan"
    elif edits < mended.asked:
        end = "it does not obey its plan, and no edit could be written that would mend it"
    else:
        end = f"it does not obey its plan after {edits} turn{'s' * (edits > 1)}"
    return "\n".join([*lines, f"{end}; {kept}"])
