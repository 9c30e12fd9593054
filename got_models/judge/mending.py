"""The next edit of a picture that does not obey its plan: an instruction and its own plan, written by rule.

One fault at a time: something that is missing is added, something elsewhere is moved to its box, something
that is too much is removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..chain.chain import Box, ReasoningChain
from ..chain.notation import DETERMINERS, MASK_COLORS, box_markup, marked
from ..chain.plan_check import listed
from ..chain.region import GRID
from ..chain.sentences import BACKGROUND
from .looking import definite
from .verdict import Verdict

_MIDDLE = 0.1
"""The distance from the middle, as a share of the picture, up to which a place has no name."""
Thing = tuple[str, Box]


def next_edit(chain: ReasoningChain, verdict: Verdict) -> ReasoningChain | None:
    """The plan of an edit that mends the first fault; None if there is none that an edit could mend.

    Args:
        chain: the plan of the generated picture.
        verdict: on the picture as it is now.
    """
    shown: list[Thing] = [(judged.phrase, judged.found) for judged in verdict.objects if judged.found]
    shown += verdict.extras
    for judged in verdict.objects:
        if judged.found is None:
            return _adding(chain, (judged.phrase, judged.planned), shown)
    for judged in verdict.objects:
        if judged.found and not judged.in_place:
            return _moving(chain, judged.phrase, judged.found, judged.planned, shown)
    return _removing(chain, verdict.extras[0], shown) if verdict.extras else None


def _adding(chain: ReasoningChain, thing: Thing, shown: Sequence[Thing]) -> ReasoningChain:
    phrase, box = _inside(thing[0]), thing[1]
    where = _corner(box)
    steps = [f"The object to add is {phrase}", _area(phrase, box), "It is added"]
    instruction = f"add {phrase} in the {where}" if where else f"add {phrase}"
    return _edit(chain, instruction, shown, steps, [*shown, thing])


def _moving(
    chain: ReasoningChain, phrase: str, found: Box, planned: Box, shown: Sequence[Thing]
) -> ReasoningChain:
    phrase = _inside(phrase)
    where = _corner(planned) or "middle"
    steps = [f"The object to edit is {phrase}", _area(phrase, found, planned), "It moves there"]
    after = [(phrase, planned) if box == found else (words, box) for words, box in shown]
    return _edit(chain, f"move {definite(phrase)} to the {where}", shown, steps, after)


def _removing(chain: ReasoningChain, thing: Thing, shown: Sequence[Thing]) -> ReasoningChain:
    phrase, box = _inside(thing[0]), thing[1]
    steps = [f"The object to edit is {phrase}", _area(phrase, box), "It is removed"]
    after = [other for other in shown if other != thing]
    return _edit(chain, f"remove {definite(phrase)}", shown, steps, after)


def _edit(
    chain: ReasoningChain,
    instruction: str,
    before: Sequence[Thing],
    steps: Sequence[str],
    after: Sequence[Thing],
) -> ReasoningChain:
    """The numbered plan: what the picture shows, the steps, what the result shows."""
    background = BACKGROUND.search(chain.text) or BACKGROUND.search(chain.prompt)
    ground = f" {background[0].strip().lower()}" if background else ""
    sentences = [f"The picture shows {_described(before)}{ground}", *steps]
    sentences.append(f"The result shows {_described(after)}{ground}")
    text = " ".join(f"{number}. {sentence}." for number, sentence in enumerate(sentences, start=1))
    return ReasoningChain.parse(text, "edit", instruction)


def _described(things: Sequence[Thing]) -> str:
    """The things from the left, in words."""
    from_left = sorted(things, key=lambda thing: thing[1].center)
    return listed([_inside(phrase) for phrase, _ in from_left]) or "nothing"


def _area(phrase: str, *boxes: Box) -> str:
    """The thing with its box, or with the box where it is and the one where it is to be."""
    regions = zip(boxes, MASK_COLORS, strict=False)
    return "The area is " + " and then ".join(f"{marked(phrase)} {box_markup(*region)}" for region in regions)


def _inside(phrase: str) -> str:
    """A phrase as it is written inside a sentence: "A dog" as "a dog"."""
    first = phrase.split(" ", 1)[0]
    return phrase[0].lower() + phrase[1:] if first.lower() in DETERMINERS else phrase


def _corner(box: Box) -> str:
    """The quarter of the picture that the middle of a box is in; empty near the middle of the picture."""
    x, y = (value / GRID - 0.5 for value in box.center)
    if max(abs(x), abs(y)) <= _MIDDLE:
        return ""
    return f"{'top' if y < 0 else 'bottom'} {'left' if x < 0 else 'right'}"
