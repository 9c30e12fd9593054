"""The reasoning chain: prose in which every important object is followed by a box.

The text is authoritative and the regions are a view of it. The text of a `ReasoningChain` is canonical: each
box is written as `phrase <|box_start|>(x1,y1),(x2,y2)<|box_end|> (color)`, the form that GoT-6B produces.
Other forms are parsed and rewritten: the datasets' plain `(x1,y1),(x2,y2)`, the in-context
`((x1, y1), (x2, y2))`, and phrases that GoT-R1 marks as `<|obj_start|>phrase<|obj_end|>` and Qwen as
`<|object_ref_start|>phrase<|object_ref_end|>`. GoT-R1's markers are kept where the phrase would be parsed
differently without them. All text is in Unicode's composed form (NFC), which is what the tokenizer expects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import GoTError, short_repr
from ..files.text_files import read_text
from ..notes import Note
from .characters import SPACES, clean, composed, place_in_original
from .details import DetailsError, Stated, details_from_json, details_to_json
from .english import with_article
from .lookalikes import coordinates_not_read
from .notation import (
    BOX_END,
    BOX_START,
    DETERMINERS,
    MASK_COLORS,
    MAX_REGIONS,
    OBJECT_END,
    OBJECT_START,
    SPECIAL_TOKEN,
    Found,
    Problem,
    box_markup,
    free_colors,
    holds_markup,
    marked,
    render,
    scan,
    unmarked,
    without,
)
from .region import GRID, Box, ChainError, Region, region_from_json, stated_details, with_details
from .sentences import with_objects

__all__ = [
    "BOX_END",
    "BOX_START",
    "DETERMINERS",
    "GRID",
    "MASK_COLORS",
    "MAX_FILE",
    "MAX_REGIONS",
    "OBJECT_END",
    "OBJECT_START",
    "SPECIAL_TOKEN",
    "TASKS",
    "Box",
    "ChainError",
    "ReasoningChain",
    "Region",
]

TASKS = ("generate", "edit")
JSON_VERSION = 1
MAX_FILE = 1_000_000  # bytes
_OPENING = "([{\uff08\uff3b\u300c\u300e\u300a\u3008\u3010"


@dataclass(frozen=True)
class ReasoningChain:
    """A plan for one picture. Make one with `parse` (a person's text) or `read` (a model's text).

    `warnings` describe what was lost when the original text was parsed; they are not part of the plan.
    """

    task: str
    prompt: str
    text: str
    regions: tuple[Region, ...]
    warnings: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", composed(self.prompt))

    @classmethod
    def parse(cls, text: str, task: str, prompt: str) -> ReasoningChain:
        """Parses a chain strictly: anything ambiguous is an error.

        Text that merely resembles coordinates gives a warning. A box without a mask colour is assigned one
        without a warning, since a person writing a chain by hand need not choose one.

        Raises:
            ChainError: points at the first place where the text is invalid.
        """
        _check_task(task)
        written, text = text, clean(text)
        found, problems = scan(text)
        if problems:
            problem = problems[0]
            excerpt = _excerpt(text, problem.start, problem.end)
            raise ChainError(problem.message, place_in_original(written, problem.start), excerpt)
        text, regions = render(text, found)
        return cls(task, prompt, text, regions, coordinates_not_read(text))

    @classmethod
    def read(cls, text: str, task: str, prompt: str, *, expects_colors: bool = True) -> ReasoningChain:
        """Parses a model's output leniently: what is invalid is fixed or dropped, with a warning each.

        `expects_colors`: whether to warn, once for all, about boxes without a mask colour.
        """
        _check_task(task)
        warnings: list[str] = []
        text = clean(text)
        found, problems = scan(text)
        while cuts := [problem for problem in problems if problem.cut]:
            warnings += [f"{cut.message} Left out: {_excerpt(text, cut.start, cut.end)!r}" for cut in cuts]
            text = without(text, cuts)
            found, problems = scan(text)
        warnings += [f"{p.message} Fixed: {_excerpt(text, p.start, p.end)!r}" for p in problems]
        text, regions = render(text, found)
        if expects_colors:
            warnings += _colorless(found, regions)
        warnings += coordinates_not_read(text)
        return cls(task, prompt, text, regions, tuple(warnings))

    @property
    def mllm_text(self) -> str:
        """The text as the MLLM reads it: without phrase markers, which are not tokens of its vocabulary."""
        return unmarked(self.text)

    @property
    def words(self) -> str:
        """The text without its boxes: the prompt of a plan that has none."""
        words, done = "", 0
        for region in self.regions:
            words += self.text[done : region.span[0]] + region.phrase
            done = region.span[1]
        return " ".join((words + self.text[done:]).split())

    def brief_warnings(self, most: int = 5) -> list[str]:
        """The first warnings and a count of the rest, so that a garbled output does not flood the screen."""
        more = len(self.warnings) - most
        return [*self.warnings[:most], *([Note("more_like_these", count=str(more))] if more > 0 else [])]

    def move_box(self, index: int, box: Box) -> ReasoningChain:
        """The same chain with one region moved."""
        region = self._region(index)
        start = self.text.rindex(BOX_START, *region.span)
        return self._rewritten(
            self.text[:start] + box_markup(box, region.color) + self.text[region.span[1] :]
        )

    def rename(self, index: int, phrase: str) -> ReasoningChain:
        """The same chain with one region's phrase replaced.

        Raises:
            ChainError: the phrase is empty or holds a line break, a box or markup.
        """
        region = self._region(index)
        phrase = with_article(_checked_phrase(phrase))
        start, end = region.span[0], self.text.rindex(BOX_START, *region.span)
        before = self.text[:start]
        if before and before[-1] not in f"{SPACES}\n{_OPENING}":
            before += " "
        regions = [*self.regions[:index], replace(region, phrase=phrase), *self.regions[index + 1 :]]
        return self._holding(f"{before}{marked(phrase)} {self.text[end:]}", regions)

    def remove(self, index: int) -> ReasoningChain:
        """The same chain without one object.

        Where its sentence needs the words to stay grammatical, they are kept and only the box is removed;
        they may then become part of the next phrase.
        """
        region = self._region(index)
        others = [*self.regions[:index], *self.regions[index + 1 :]]
        text, spans, words = self._marked()
        words[index] = []
        text, stay = with_objects(text, spans, words)
        if not stay:
            return self._holding(text, others)
        start, end = region.span
        if self.text.startswith(OBJECT_START, start):
            cut = Problem(start, end, "", keep=region.phrase)
        else:
            cut = Problem(self.text.rindex(BOX_START, start, end), end, "")
        return self._rewritten(without(self.text, [cut]))

    def add(self, phrase: str, box: Box) -> ReasoningChain:
        """The same chain with one more object, in the next free colour.

        In a list of objects it is inserted in reading order of the picture, otherwise at the end.

        Raises:
            ChainError: the chain is full, or the phrase is empty or holds a line break, a box or markup.
        """
        if len(self.regions) == MAX_REGIONS:
            raise ChainError(f"A chain holds at most {MAX_REGIONS} boxes. Remove one first.")
        phrase = with_article(_checked_phrase(phrase))
        color = free_colors([region.color for region in self.regions])[0]
        added = f"{marked(phrase)} {box_markup(box, color)}"
        later = (place for place, region in enumerate(self.regions) if box.is_read_before(region.box))
        text, _ = with_objects(*self._marked(), [(next(later, len(self.regions)), added)])
        if not self.text.strip(f"{SPACES}\n"):
            text = f"{added}."
        return self._holding(text, [*self.regions, Region(phrase, box, color, (0, 0))])

    def with_details(self, stated: Sequence[Stated]) -> ReasoningChain:
        """The same chain with other details; those that no box claims are left out."""
        return replace(self, regions=with_details(self.regions, stated))

    def with_details_of(self, other: ReasoningChain) -> ReasoningChain:
        """The same chain with the details of another one's boxes."""
        return self.with_details(stated_details(other.regions))

    def to_json(self) -> dict[str, Any]:
        details = details_to_json(stated_details(self.regions))
        return {
            "version": JSON_VERSION,
            "task": self.task,
            "prompt": self.prompt,
            "text": self.text,
            "regions": [
                {"phrase": r.phrase, "box": [r.box.x1, r.box.y1, r.box.x2, r.box.y2], "color": r.color}
                for r in self.regions
            ],
            **({"details": details} if details else {}),
        }

    @classmethod
    def from_json(cls, data: Any) -> ReasoningChain:
        """The inverse of `to_json`. The regions must agree with the text, which is authoritative.

        Raises:
            ChainError: a newer version, a missing or mistyped entry, or regions that are not in the text.
        """
        if not isinstance(data, dict):
            raise ChainError(f"A chain in JSON must be an object, got {type(data).__name__}.")
        version = data.get("version")
        if type(version) is not int or version < 1:
            raise ChainError(f'A chain in JSON needs "version": {JSON_VERSION}, got {short_repr(version)}.')
        if version > JSON_VERSION:
            raise ChainError(
                f"The chain has format version {short_repr(version)}, this program knows up to"
                f" {JSON_VERSION}. Use a newer version of the program."
            )
        for key, kind in {"task": str, "prompt": str, "text": str, "regions": list}.items():
            value = data.get(key)
            if not isinstance(value, kind):
                expected = "string" if kind is str else "list"
                raise ChainError(f'A chain in JSON needs "{key}" as a {expected}, got {short_repr(value)}.')
        if len(data["regions"]) > MAX_REGIONS:
            raise ChainError(f"A chain holds at most {MAX_REGIONS} boxes, got {len(data['regions'])}.")
        chain = cls.parse(data["text"], data["task"], data["prompt"])
        stated = [region_from_json(index, entry) for index, entry in enumerate(data["regions"])]
        if not _same_regions(chain.regions, stated):
            chain = chain._with_phrases_of(stated)
        if not _same_regions(chain.regions, stated):
            raise ChainError(
                f"The regions do not agree with the text, which is what counts: the text holds"
                f" {_describe(chain.regions)}, the regions are {_describe(stated)}. Change the text as well."
            )
        try:
            return chain.with_details(details_from_json(data["details"])) if "details" in data else chain
        except DetailsError as error:
            raise ChainError(str(error)) from error

    @classmethod
    def load(cls, path: str | Path, task: str | None = None, prompt: str | None = None) -> ReasoningChain:
        """Reads chain.json, or any other file as a bare chain text, which requires `task` and `prompt`.

        A given `prompt` replaces the one in a JSON file.

        Raises:
            ChainError: the file cannot be read, holds no chain, or was written for another task.
        """
        path = Path(path)
        is_json = path.suffix.lower() == ".json"
        try:
            text = read_text(path, MAX_FILE)
            data = json.loads(text) if is_json else None
        except GoTError as error:
            raise ChainError(f"Cannot read the chain: {error}") from error
        except (ValueError, RecursionError) as error:
            raise ChainError(f"{path} is not a chain: expected JSON, got: {error}") from error
        if not is_json:
            if task is None or prompt is None:
                raise ChainError(f"{path} holds only the chain's text: give its task and prompt as well.")
            text = re.sub(r"\r?\n\Z", "", text)  # the file's final line break, not the chain's
            return cls.parse(text, task, prompt)
        chain = cls.from_json(data)
        if task is not None and task != chain.task:
            raise ChainError(f"{path} was written for the task {chain.task!r}, but the task is {task!r}.")
        return chain if prompt is None else replace(chain, prompt=prompt)

    def _region(self, index: int) -> Region:
        if not 0 <= index < len(self.regions):
            raise ChainError(f"The chain has regions 0 to {len(self.regions) - 1}, got {index}.")
        return self.regions[index]

    def _rewritten(self, text: str) -> ReasoningChain:
        chain = self.parse(text, self.task, self.prompt).with_details_of(self)
        return replace(chain, warnings=tuple(dict.fromkeys((*self.warnings, *chain.warnings))))

    def _holding(self, text: str, regions: list[Region]) -> ReasoningChain:
        """The chain of `text`, which must hold exactly `regions`."""
        chain = self._rewritten(text)
        if not _same_regions(_by_color(chain.regions), _by_color(regions)):
            raise ChainError(
                f"The text would be read back with other regions: {_describe(chain.regions)}, not "
                f"{_describe(regions)}. Use simpler words."
            )
        return chain.with_details(stated_details(regions))

    def _marked(self) -> tuple[str, list[tuple[int, int]], list[list[str]]]:
        """The text with markers around every phrase, the spans of its objects, and their phrases' words."""
        text = ""
        spans: list[tuple[int, int]] = []
        done = 0
        for region in self.regions:
            text += self.text[done : region.span[0]]
            words = f"{marked(region.phrase)} " if region.phrase else ""
            words += box_markup(region.box, region.color)
            spans.append((len(text), len(text) + len(words)))
            text += words
            done = region.span[1]
        return text + self.text[done:], spans, [[text[start:end]] for start, end in spans]

    def _with_phrases_of(self, stated: list[Region]) -> ReasoningChain:
        """This chain with the stated phrases, where those also end right before their boxes.

        Keeps the phrases of chains saved under earlier rules for where a phrase begins.
        """
        text = self.text
        for region, other in reversed(list(zip(self.regions, stated, strict=False))):
            start = text.rindex(BOX_START, *region.span)
            before = text[:start].rstrip(SPACES)
            if region.phrase != other.phrase and _is_phrase(other.phrase) and before.endswith(other.phrase):
                text = f"{before.removesuffix(other.phrase)}{marked(other.phrase)} {text[start:]}"
        return self.parse(text, self.task, self.prompt)


def _colorless(found: list[Found], regions: tuple[Region, ...]) -> list[str]:
    """One warning for all boxes without a mask colour."""
    given = [region.color for item, region in zip(found, regions, strict=True) if item.colorless]
    if not given:
        return []
    listed = ", ".join(given[:3]) + (", ..." if len(given) > 3 else "")
    who = "A box" if len(given) == 1 else f"{len(given)} of the {len(found)} boxes"
    return [f"{who} came without a mask colour and got one: {listed}. As published, GoT draws no mask there."]


def _excerpt(text: str, start: int, end: int) -> str:
    return text[start:end] if end - start <= 60 else text[start : start + 60] + "..."


def _checked_phrase(phrase: str) -> str:
    phrase = clean(phrase).strip(f"{SPACES}\n")
    if not phrase:
        raise ChainError("The phrase is empty. Give the region a few words.")
    if not _is_phrase(phrase):
        raise ChainError(f"A phrase must not contain line breaks, boxes or markup, got {short_repr(phrase)}.")
    return phrase


def _is_phrase(text: str) -> bool:
    """Whether a clean text can be a phrase, with markers if necessary."""
    if not text or text != text.strip(f"{SPACES}\n") or "\n" in text:
        return False
    return "<|" not in text and "|>" not in text and not holds_markup(text)


def _check_task(task: str) -> None:
    if task not in TASKS:
        raise ChainError(f"Unknown task {short_repr(task)}: expected one of {', '.join(TASKS)}.")


def _same_regions(first: Sequence[Region], second: Sequence[Region]) -> bool:
    """Whether two chains hold the same regions, wherever they are in the text."""
    return [(r.phrase, r.box, r.color) for r in first] == [(r.phrase, r.box, r.color) for r in second]


def _by_color(regions: Sequence[Region]) -> list[Region]:
    return sorted(regions, key=lambda region: region.color)


def _describe(regions: tuple[Region, ...] | list[Region]) -> str:
    listed = [
        f"{short_repr(r.phrase)} ({r.box.x1},{r.box.y1}),({r.box.x2},{r.box.y2}) {short_repr(r.color)}"
        for r in regions[:3]
    ]
    return f"{len(regions)} ({'; '.join(listed)}{'; ...' if len(regions) > 3 else ''})"
