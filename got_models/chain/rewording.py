"""Changes to a plan's words outside its boxes, such as its background, applied to the prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from .chain import ReasoningChain
from .characters import SPACES
from .english import capital_like
from .mentions import SMALL_WORDS, WORD, Word, words_of
from .sentences import BACKGROUND, SENTENCE_MARK

_OBJECT = "\n"  # placeholder for an object among words, never a word itself
_TOKEN = re.compile(rf"{WORD.pattern}|[^{SPACES}]")
_MAX_COMPARISONS = 1_000_000


def reworded(
    prompt: str, before: ReasoningChain, after: ReasoningChain, objects: Sequence[tuple[int, int]]
) -> tuple[str, list[str]]:
    """The prompt with the changes between a plan's boxes applied, and the changes that it does not reflect.

    Words change where the prompt has them once, with the same word after them or the same two before. A
    background that the prompt does not mention is added at the end of its sentence.

    Args:
        objects: where the prompt mentions objects; those spans are kept.
    """
    words = words_of(prompt)
    for start, end in objects:
        words = [replace(word, lower="") if start < word.end and word.start < end else word for word in words]
    old, new = _tokens(before), _tokens(after)
    edits: list[tuple[int, int, str]] = []
    missed: list[str] = []
    for (gone_from, gone_to), (come_from, come_to) in _differences(old, new):
        gone, come = old[gone_from:gone_to], new[come_from:come_to]
        if not all(WORD.fullmatch(word) for word in gone + come) or SMALL_WORDS.issuperset(
            _lower(gone + come)
        ):
            continue
        while True:
            left, right = _lower(old[max(gone_from - 2, 0) : gone_from]), _lower(old[gone_to : gone_to + 1])
            places = _places(words, left, _lower(gone), right)
            if places or not (
                gone and come and gone[0].lower() in SMALL_WORDS and come[0].lower() in SMALL_WORDS
            ):
                break
            gone, come, gone_from = gone[1:], come[1:], gone_from + 1
        if len(places) == 1:
            edits.append(_edit(words, places[0], len(gone), come))
        elif gone and all(any(word.lower == other.lower() for word in words) for other in gone):
            missed.append(
                f"The prompt still says '{' '.join(gone)}'. Change it by hand if it should change too."
            )
    for start, end, text in sorted(edits, reverse=True):
        prompt = prompt[:start] + text + prompt[end:]
    if before.task == "generate":
        prompt = _with_background(prompt, before, after)
    return prompt, missed


def _tokens(chain: ReasoningChain) -> list[str]:
    """The words and punctuation of a chain's text, with one placeholder for each object."""
    tokens: list[str] = []
    done = 0
    for start, end in [*(region.span for region in chain.regions), (len(chain.text), len(chain.text))]:
        tokens += [*_TOKEN.findall(chain.text[done:start]), _OBJECT]
        done = end
    return tokens


def _differences(old: list[str], new: list[str]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The ranges in which two lists differ, by their longest common subsequence."""
    first, second = _lower(old), _lower(new)
    start = 0
    while start < min(len(first), len(second)) and first[start] == second[start]:
        start += 1
    ends = (len(first), len(second))
    while min(ends) > start and first[ends[0] - 1] == second[ends[1] - 1]:
        ends = (ends[0] - 1, ends[1] - 1)
    rows, columns = ends[0] - start, ends[1] - start
    if rows * columns > _MAX_COMPARISONS:
        return []
    common = [[0] * (columns + 1) for _ in range(rows + 1)]  # longest common subsequences from there on
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            same = first[start + i] == second[start + j]
            common[i][j] = common[i + 1][j + 1] + 1 if same else max(common[i + 1][j], common[i][j + 1])
    ranges: list[tuple[tuple[int, int], tuple[int, int]]] = []
    i = j = 0
    while i < rows or j < columns:
        from_i, from_j = i, j
        while (i < rows or j < columns) and not (
            i < rows and j < columns and first[start + i] == second[start + j]
        ):
            if j == columns or (i < rows and common[i + 1][j] >= common[i][j + 1]):
                i += 1
            else:
                j += 1
        if (i, j) != (from_i, from_j):
            ranges.append(((start + from_i, start + i), (start + from_j, start + j)))
        else:
            i, j = i + 1, j + 1
    return ranges


def _places(words: Sequence[Word], left: list[str], gone: list[str], right: list[str]) -> list[int]:
    """Positions of the removed words in a prompt, between the same neighbours."""
    places: list[int] = []
    for place in range(len(words) - len(gone) + 1):
        end = place + len(gone)
        if [word.lower for word in words[place:end]] != gone or not all(
            word.joined for word in words[place + 1 : end]
        ):
            continue
        behind = end < len(words) and words[end].joined and [words[end].lower] == right
        nearest = words[place - 2 : place] if place > 1 else words[:place]
        joined = all(word.joined for word in [*nearest[1:], *words[place : place + 1]])
        before = joined and [word.lower for word in nearest] == left
        just_before = (
            place > 0 and end < len(words) and words[place].joined and [words[place - 1].lower] == left[-1:]
        )
        if (behind or (before and len(left) == 2)) if gone else (behind and just_before):
            places.append(place)
    return places


def _edit(words: Sequence[Word], place: int, gone: int, come: list[str]) -> tuple[int, int, str]:
    """The range of a prompt to replace, and its new text."""
    text = " ".join(come)
    if not gone:
        return words[place].start, words[place].start, f"{text} "
    last = words[place + gone - 1]
    if come:
        return words[place].start, last.end, capital_like(text, words[place].text)
    follows = place + gone < len(words) and words[place + gone].joined
    if follows:
        return words[place].start, words[place + gone].start, ""
    return (words[place - 1].end if place else words[place].start), last.end, ""


def _with_background(prompt: str, before: ReasoningChain, after: ReasoningChain) -> str:
    """The prompt with the background of a plan, if that is new and the prompt mentions none."""
    old, new = BACKGROUND.search(before.mllm_text), BACKGROUND.search(after.mllm_text)
    if not new or (old and old[0].lower() == new[0].lower()) or "background" in prompt.lower():
        return prompt
    words = new[0].strip(SPACES)
    mark = SENTENCE_MARK.search(prompt)
    end = mark.start() if mark else len(prompt.rstrip(SPACES))
    return f"{prompt[:end]} {words[:1].lower()}{words[1:]}{prompt[end:]}"


def _lower(words: Sequence[str]) -> list[str]:
    return [word.lower() for word in words]
