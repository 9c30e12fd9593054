"""Constrained decoding: a new plan holds locked regions, phrases and boxes, exactly; the MLLM plans the rest.

The MLLM decodes as usual, with three exceptions:

1. Where it opens a box and a locked region would be nearly as likely as the phrase and box that it chose,
   the locked region is inserted instead.
2. Where it would end, or runs out of tokens, while one is missing, decoding backtracks to the box that the
   region replaces at the least cost, or appends the region, and generates the rest again.
3. A box that would repeat a locked region, or use the last space for one, is replaced by its most likely
   alternative.

The chain's own parser decides what a text holds, so that the same regions are found here as later. Where it
would truncate a locked phrase, markers are put around the phrase before parsing. The MLLM never sees those:
they are not in its vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ..chain.chain import BOX_END, BOX_START, MAX_REGIONS, Box, ReasoningChain, Region
from ..chain.notation import box_markup, holds_markup, marked
from ..errors import GoTError, short_repr
from .detokenizing import Detokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tokens = list[int]
Regret = Callable[[Tokens, Tokens], float]
"""Prefix of a chain, tokens to follow it -> by how much the most likely tokens beat these: the sum of the
differences of log-probabilities (natural logarithm); 0 under greedy decoding."""

SMALL_REGRET = 1.0
"""Up to this regret a locked region replaces the MLLM's choice at once, without regard to what follows."""

JOINTS = (" and ", ", ", ". ")
"""Separators between a text and a region inserted after it; the first that preserves its phrase is used."""


class LockedRegions:
    """The regions to hold, in the order in which missing ones are inserted. Texts and tokens are the chain's.

    Raises:
        GoTError: a phrase that does not survive the parser or the tokenizer; more regions than a chain holds;
            regions that alone take more than max_new_tokens, the message says how many.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, regions: Sequence[Region], max_new_tokens: int
    ) -> None:
        self.tokenizer = tokenizer
        self._text = Detokenizer.of(tokenizer).text
        self._settled_text = Detokenizer.of(tokenizer).text
        self.regions = {(region.phrase, region.box): region for region in regions}
        self._marks = [
            (_written(region), f"{marked(region.phrase)} {_corners(region)}")
            for region in sorted(self.regions.values(), key=lambda region: -len(region.phrase))
            if not _reads_back(_written(region), region)
        ]
        self._check()
        self._costs = {
            place: max(len(self._encode(joint + _written(region))) for joint in JOINTS)
            for place, region in self.regions.items()
        }
        self._settled = 0  # this many tokens are final, even while regions are missing
        self._options: list[_Option] = []
        if self.cost(regions) > max_new_tokens:
            raise GoTError(
                f"The {len(self.regions)} locked regions take {self.cost(regions)} tokens, but the chain may "
                f"have {max_new_tokens}. Raise max_new_tokens or unlock some."
            )

    def __bool__(self) -> bool:
        return bool(self.regions)

    def _check(self) -> None:
        """Checks, before anything is written, that every region can be held at all."""
        if len(self.regions) > MAX_REGIONS:
            raise GoTError(f"A chain holds at most {MAX_REGIONS} boxes, {len(self.regions)} are locked.")
        for region in self.regions.values():
            if not _is_readable(region.phrase) or not _reads_back(self.marked(_written(region)), region):
                raise GoTError(
                    f"The locked phrase {short_repr(region.phrase)} cannot be used in a chain. Change it."
                )
            for joint in JOINTS:
                given_back = self._text(self._encode(joint + _written(region)))
                if not given_back.endswith(_written(region)):
                    raise GoTError(
                        f"The locked phrase {short_repr(region.phrase)} cannot be held: the checkpoint's "
                        f"tokenizer returns {short_repr(given_back)}. Use other words, or unlock it."
                    )

    def marked(self, text: str) -> str:
        """A text prepared for parsing: with markers around the locked phrases that need them."""
        for written, with_markers in self._marks:
            text = text.replace(written, with_markers)
        return text

    def missing(self, text: str) -> list[Region]:
        """The locked regions that a text does not hold yet."""
        held = set(_held(self.marked(text))) if self.regions else set()
        return [region for place, region in self.regions.items() if place not in held]

    def cost(self, regions: Collection[Region]) -> int:
        """At most how many tokens it takes to insert these locked regions."""
        return sum(self._costs[place] for place in {(region.phrase, region.box) for region in regions})

    def open_box(self, tokens: Tokens, box_start: int, regret: Regret) -> Tokens:
        """Decides what to write where the MLLM has written tokens and would now open a box.

        Either tokens and box_start, or a locked region in place of the phrase that tokens end with.
        """
        text = self._text(tokens)
        phrase = _held(f"{text}{BOX_START}(0,0),(1,1){BOX_END}")[-1][0]
        words = text.rstrip(" \t")
        if phrase and words.endswith(marked(phrase)):
            phrase = marked(phrase)
        if not words.endswith(phrase):  # the phrase contains something that the parser removes
            return [*tokens, box_start]
        before = words.removesuffix(phrase)
        options = [
            self._option(tokens, before, before + _written(region), region, regret)
            for region in self.missing(text)
            if _reads_back(self.marked(before + _written(region)), region)
        ]
        self._options += options
        best = min(options, key=lambda option: option.regret, default=None)
        if best is None or best.regret > SMALL_REGRET or best.region in self.missing(self._text(best.tokens)):
            return [*tokens, box_start]
        return best.tokens

    def insert_missing(self, tokens: Tokens, regret: Regret) -> Tokens:
        """Inserts a missing region where the MLLM has written tokens and would end: tokens up to that region.

        Of the missing regions, each at its best position, it is the first one.

        Raises:
            GoTError: no text with the region appended would be parsed back to it.
        """
        text = self._text(tokens)
        end = text.rfind(BOX_START) if text.rfind(BOX_START) > text.rfind(BOX_END) else len(text)
        before = text[:end].rstrip(" \t\n.,;:")  # without a full stop or an incomplete box
        best = []
        for region in self.missing(text):
            earlier = [
                option
                for option in self._options
                if option.region is region
                and option.start >= self._settled
                and option.tokens[: option.start] == tokens[: option.start]
            ]
            joined = self._joined(before, region)
            last = self._option(tokens, before, joined, region, regret if earlier else _no_regret)
            best.append(min([*earlier, last], key=lambda option: option.regret))
        first = min(best, key=lambda option: (option.start, option.regret))
        self._settled = len(first.tokens)
        return first.tokens

    def certain(self, tokens: Tokens) -> str:
        """The prefix of the text of unfinished tokens that can no longer change."""
        text = self._text(tokens)
        if self.missing(text):
            return self.marked(self._settled_text(tokens[: self._settled]))
        text = self.marked(text)
        text = text[: _last_box(text)]  # it may still repeat a locked region
        return text[: min([_beginning(text, written) for written, _ in self._marks], default=len(text))]

    def _option(self, tokens: Tokens, before: str, text: str, region: Region, regret: Regret) -> _Option:
        """Continuing from the part of tokens that says `before` to `text`, which ends with a region."""
        kept, rest = self._cut(tokens, len(before.rstrip(" \t")))
        following = self._encode(rest + text[len(before.rstrip(" \t")) :])
        return _Option(region, regret(kept, following), len(kept), [*kept, *following])

    def refuses(self, text: str) -> bool:
        """Whether a text repeats a locked region, or leaves no space for the missing ones."""
        held = _held(self.marked(text))
        once = {place: held.count(place) for place in self.regions}
        return max(once.values()) > 1 or len(held) + list(once.values()).count(0) > MAX_REGIONS

    def without_last_box(self, tokens: Tokens) -> Tokens:
        """The tokens up to the box that the last token completes."""
        return self._cut(tokens[:-1], _last_box(self._text(tokens)))[0]

    def _joined(self, before: str, region: Region) -> str:
        """A text with a region appended, its mask colour left open."""
        joints = JOINTS if before else ("",)
        for joint in joints:
            joined = f"{before}{joint}{_written(region)}"
            if _reads_back(self.marked(joined), region):
                return joined
        raise _cannot_join(region)

    def _cut(self, tokens: Tokens, length: int) -> tuple[Tokens, str]:
        """The longest prefix of tokens with at most length characters, and the text missing from it."""
        text = self._text(tokens)[:length]
        while not text.startswith(self._text(tokens)):
            tokens = tokens[:-1]
        return tokens, text[len(self._text(tokens)) :]

    def _encode(self, text: str) -> Tokens:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])


@dataclass(frozen=True)
class _Option:
    """A locked region at a position: `tokens` up to its end, of which the first `start` already existed."""

    region: Region
    regret: float
    start: int
    tokens: Tokens


def only_regions(chain: ReasoningChain, colors: Collection[str]) -> ReasoningChain:
    """A chain that holds only the regions with these colours."""
    kept = [
        f"{_words(region)} {box_markup(region.box, region.color)}".lstrip(" ")
        for region in chain.regions
        if region.color in colors
    ]
    return ReasoningChain.parse(", ".join(kept), chain.task, chain.prompt)


def _no_regret(tokens: Tokens, following: Tokens) -> float:
    """For when there is only one option."""
    return 0.0


@lru_cache(maxsize=4)  # of one text it is asked several times after each token
def _held(text: str) -> tuple[tuple[str, Box], ...]:
    """Phrase and box of every region in a text."""
    return tuple((region.phrase, region.box) for region in ReasoningChain.read(text, "generate", "").regions)


def _reads_back(text: str, region: Region) -> bool:
    """Whether a text ends with this region."""
    held = ReasoningChain.read(text, "generate", "").regions
    return bool(held) and (held[-1].phrase, held[-1].box) == (region.phrase, region.box)


def _is_readable(phrase: str) -> bool:
    """Whether words can be a phrase at all: one line, without boxes or special tokens."""
    return "\n" not in phrase and not holds_markup(phrase)


def _words(region: Region) -> str:
    """The phrase as it must be written after a comma: in markers if it would be truncated without."""
    return region.phrase if _reads_back(_written(region), region) else marked(region.phrase)


def _written(region: Region) -> str:
    return f"{region.phrase} {_corners(region)}".lstrip(" ")


def _corners(region: Region) -> str:
    box = region.box
    return f"{BOX_START}({box.x1},{box.y1}),({box.x2},{box.y2}){BOX_END}"


def _last_box(text: str) -> int:
    """Where the box begins that a text ends with, complete or not; the end of the text if there is none."""
    words = text.removesuffix(BOX_END).rstrip("-0123456789.,() \t\n")
    return len(words.removesuffix(BOX_START).rstrip(" \t"))


def _beginning(text: str, of: str) -> int:
    """Where in a text a suffix begins that is a prefix of another text; its end if there is none."""
    lengths = range(min(len(of), len(text)), 0, -1)
    return len(text) - next((length for length in lengths if text.endswith(of[:length])), 0)


def _cannot_join(region: Region) -> GoTError:
    return GoTError(
        f"The locked phrase {short_repr(region.phrase)} fits nowhere in what the model wrote. Unlock it, or "
        "use other words."
    )
