"""A chain without the boxes that are switched off, as it is drawn, and what is to be said about that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..errors import short_repr
from ..notes import Note
from .chain import BOX_START, ChainError, ReasoningChain
from .notation import Problem, without
from .notations.plan import listed
from .prompt_update import updated_prompt
from .region import Region


def without_switched_off(chain: ReasoningChain) -> ReasoningChain:
    """The chain without these boxes, their words and what the prompt says of them.

    Its warnings name them, and those whose words stay because their sentences cannot do without.

    Raises:
        ChainError: no box is left.
    """
    on, notes = switched_on(chain.regions)
    if not notes:
        return chain
    if not on:
        raise ChainError(Note("all_switched_off"))
    off = [region for region in chain.regions if not region.detail.on]
    left = chain
    for region in off:
        left = _without(left, region.color)
    update = updated_prompt(chain.prompt, chain, left)
    stay = [region for region in off if region.phrase and region.phrase in left.text]
    if stay:
        notes.append(Note("switched_off_stays", names=_named(stay)))
    return replace(left, prompt=update.prompt, warnings=(*left.warnings, *notes, *update.missed))


def drawn_part(chain: ReasoningChain) -> tuple[ReasoningChain, list[str]]:
    """`without_switched_off`, and the sentences with which its user says what was left out.

    Raises:
        ChainError: no box is left.
    """
    left = without_switched_off(chain)
    return left, [warning for warning in left.warnings if warning not in chain.warnings]


def switched_on(regions: Sequence[Region]) -> tuple[list[Region], list[Note]]:
    """The regions that are on, and a sentence that names the others, if there are any."""
    off = [region for region in regions if not region.detail.on]
    notes = [Note("switched_off", names=_named(off))] if off else []
    return [region for region in regions if region.detail.on], notes


def _named(regions: Sequence[Region]) -> dict[str, str]:
    return listed([short_repr(region.phrase or region.color) for region in regions])


def _without(chain: ReasoningChain, color: str) -> ReasoningChain:
    index = next(place for place, region in enumerate(chain.regions) if region.color == color)
    try:
        return chain.remove(index)
    except ChainError:  # its neighbours would be read otherwise
        start, end = chain.regions[index].span
        cut = Problem(chain.text.rindex(BOX_START, start, end), end, "")
        parsed = ReasoningChain.parse(without(chain.text, [cut]), chain.task, chain.prompt)
        return parsed.with_details_of(chain)
