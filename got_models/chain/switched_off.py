"""A chain without the boxes that are switched off, as it is drawn."""

from __future__ import annotations

from dataclasses import replace

from .chain import BOX_START, ChainError, ReasoningChain
from .notation import Problem, without
from .prompt_update import updated_prompt


def without_switched_off(chain: ReasoningChain) -> ReasoningChain:
    """The chain without these boxes, their words and what the prompt says of them.

    Words that its sentences cannot do without stay, with a warning.

    Raises:
        ChainError: no box is left.
    """
    off = [region for region in chain.regions if not region.detail.on]
    if not off:
        return chain
    if len(off) == len(chain.regions):
        raise ChainError("All boxes of the plan are switched off. Switch one on in Edit Reasoning Chain.")
    left = chain
    for region in off:
        left = _without(left, region.color)
    update = updated_prompt(chain.prompt, chain, left)
    stay = [region.phrase for region in off if region.phrase and region.phrase in left.text]
    warnings = [f"'{phrase}' is switched off, but its words stay in the text." for phrase in stay]
    return replace(left, prompt=update.prompt, warnings=(*left.warnings, *warnings, *update.missed))


def _without(chain: ReasoningChain, color: str) -> ReasoningChain:
    index = next(place for place, region in enumerate(chain.regions) if region.color == color)
    try:
        return chain.remove(index)
    except ChainError:  # its neighbours would be read otherwise
        start, end = chain.regions[index].span
        cut = Problem(chain.text.rindex(BOX_START, start, end), end, "")
        parsed = ReasoningChain.parse(without(chain.text, [cut]), chain.task, chain.prompt)
        return parsed.with_details_of(chain)
