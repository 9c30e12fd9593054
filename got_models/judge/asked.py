"""What a plan asks of its picture, thing by thing. The plan of an edit says it in words, which are read here.

In the plan of an edit a box holds what was there before; what becomes of it is said behind the box, beside
it, or in the instruction: "It becomes green", "The object to add is a hat", "remove the dog".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..chain.chain import Box, ReasoningChain, Region
from ..chain.english import article
from ..chain.mentions import Name, is_determiner
from ..chain.notation import DETERMINERS

_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")
_CLAUSE = re.compile(
    r"[,;.!?\n]+\s*(?:and\s+|then\s+)*|\s+(?:and|then)\s+(?=\w+\s+(?:the|an?|its?|his|her|their)\b)"
)
_GONE = re.compile(
    r"\b(?:remov\w+|delet\w+|eras\w+|tak\w+\b.*\b(?:away|out|off)|disappear\w*|vanish\w*|gone|no longer"
    r"|get rid)\b",
    re.IGNORECASE,
)
_ADDED = re.compile(
    r"\b(?:add\w*|insert\w*|plac(?:e[sd]?|ing)|put|appear\w*|draw\w*|introduc\w+)\b", re.IGNORECASE
)
_MOVED = re.compile(r"\b(?:mov\w+|shift\w*|bring\w*|brought|relocat\w+)\b", re.IGNORECASE)
_INTO = re.compile(
    r"\b(?:(?:turn|chang|transform|convert)\w*\b.*?\b(?P<joint>into|to)|replac\w+\b.*?\b(?P<by>by|with)"
    r"|becom\w+|(?:is|are) now|turn(?:s|ed))\s+(?P<new>[^.!?;,]+)",
    re.IGNORECASE,
)
_MADE = r"\b(?:mak|made|(?:re)?paint|(?:re)?colou?r|dye|turn)\w*\b.*?\b{noun}\s+(?P<new>[^.!?;,]+)"
_MAX_SENTENCE = 400
_TRAILING = re.compile(r"\s+(?:in colou?r|instead|while|so that|to match)\b.*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """A thing that is to be in its box or, not `there`, to be gone from it."""

    phrase: str
    box: Box
    there: bool = True


def asked_of(chain: ReasoningChain) -> tuple[list[Asked], list[Region]]:
    """What is asked at each box, in the plan's order; and the boxes of an edit of which that is unclear.

    A thing that is changed is asked for twice: what it was is to be gone, what it becomes to be there.
    """
    if chain.task == "generate":
        return [Asked(region.phrase, region.box) for region in chain.regions], []
    changes = [_change(chain, index) for index in range(len(chain.regions))]
    asked: list[Asked] = []
    unclear: list[Region] = []
    for index, (region, change) in enumerate(zip(chain.regions, changes, strict=True)):
        following = changes[index + 1] if index + 1 < len(changes) else None
        moves_on = following == _Change("moved") and chain.regions[index + 1].phrase == region.phrase
        if change is None and not moves_on:
            unclear.append(region)
            continue
        arrives = (
            index > 0 and change == _Change("moved") and chain.regions[index - 1].phrase == region.phrase
        )
        there = not moves_on and (arrives or change == _Change("added"))
        asked.append(Asked(region.phrase, region.box, there))
        if not moves_on and change is not None and change.new:
            asked.append(Asked(change.new, region.box))
    return asked, unclear


@dataclass(frozen=True)
class _Change:
    """What becomes of a thing: "gone", "added", "moved", or "changed" into something `new`."""

    kind: str
    new: str = ""


def _change(chain: ReasoningChain, index: int) -> _Change | None:
    """What the plan, or else the instruction, says that becomes of a box's thing; None if that is unclear."""
    region = chain.regions[index]
    for sentence in _sentences_about(chain, index):
        change = _said(sentence[:_MAX_SENTENCE], region.phrase, chain)
        if change is not None:
            return change
    return None


def _sentences_about(chain: ReasoningChain, index: int) -> Iterator[str]:
    """Behind a box up to the next one, then beside it, then the instruction's clauses that name its thing."""
    region, regions = chain.regions[index], chain.regions
    end = regions[index + 1].span[0] if index + 1 < len(regions) else len(chain.text)
    yield from _SENTENCE.split(chain.text[region.span[1] : end])
    start = regions[index - 1].span[1] if index else 0
    yield _SENTENCE.split(chain.text[start : region.span[0]])[-1] + region.phrase
    named = re.compile(rf"\b{re.escape(_noun(region.phrase))}", re.IGNORECASE)
    yield from filter(named.search, _CLAUSE.split(chain.prompt))


def _said(sentence: str, phrase: str, chain: ReasoningChain) -> _Change | None:
    """What a sentence says that becomes of a thing."""
    noun = re.escape(_noun(phrase))
    if _GONE.search(sentence):
        return _Change("gone")
    match = _INTO.search(sentence) or re.search(_MADE.format(noun=noun), sentence, re.IGNORECASE)
    new = _TRAILING.sub("", match["new"]).strip() if match else ""
    if match and new:
        joint = match.groupdict().get("joint") or match.groupdict().get("by") or ""
        return _Change("changed", _new_phrase(phrase, new, joint, chain))
    if _MOVED.search(sentence):
        return _Change("moved")
    return _Change("added") if _ADDED.search(sentence) else None


def _new_phrase(phrase: str, new: str, joint: str, chain: ReasoningChain) -> str:
    """What a thing is called after a change: "green" makes "a blue square" into "a green square"."""
    words = new.split()
    if is_determiner(words[0]) or joint in ("into", "with", "by"):
        return _described(words[-1], phrase, chain) or new
    return f"{article(new)} {new} {_noun(phrase)}"


def _described(noun: str, phrase: str, chain: ReasoningChain) -> str:
    """How the plan calls a new thing where it describes the result; the one most like what it was."""
    starts = "|".join(sorted(DETERMINERS))
    pattern = re.compile(
        rf"\b(?:{starts}) (?:(?!(?:{starts}|and|or)\b)[\w-]+ ){{0,4}}?{re.escape(noun)}\b", re.IGNORECASE
    )
    before, after = chain.text[: chain.regions[0].span[0]], chain.text[chain.regions[-1].span[1] :]
    known = set(pattern.findall(before))
    found = pattern.findall(after)
    was = set(phrase.lower().split()) - DETERMINERS

    def likeness(words: str) -> tuple[int, bool, int]:
        return len(was & set(words.lower().split())), words not in known, len(words)

    return max(found, key=likeness, default="")


def _noun(phrase: str) -> str:
    """The last word of a thing's name."""
    words: Sequence[str] = Name.of(phrase).words
    return words[-1].split()[-1] if words else phrase
