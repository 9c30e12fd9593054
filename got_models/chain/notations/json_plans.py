"""Plans in JSON: found in a language model's reply, or passed as data."""

from __future__ import annotations

import numbers
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ...errors import GoTError, short_repr
from ...notes import Note
from ..chain import ReasoningChain
from ..characters import SPACES, clean
from ..sentences import SENTENCE_MARK
from .alternatives import chosen
from .coordinates import PIXELS, Reading, Size, four_numbers
from .from_chain import plan_of
from .inline import placed
from .json_entries import Entry, entries, gather, is_entry
from .json_names import PARALLEL_WORDS
from .lines import lists_in_prose
from .picture_size import stated_size, without_ids
from .plan import Gathering, LayoutPlan
from .tolerant_json import MAX_DEPTH, MAX_VALUES, Found, find_json

# In Chinese: background, caption, scene.
PROMPTS = ("prompt", "high_level_description", "global_prompt", "user_prompt", "\u63d0\u793a\u8bcd")
PROSE = (
    *"""caption description summary scene global_description background bg setting
    global_caption overall_description""".split(),  # noqa: SIM905
    *("\u80cc\u666f", "\u63cf\u8ff0", "\u573a\u666f", "\u573a\u666f\u63cf\u8ff0", "\u753b\u9762\u63cf\u8ff0"),
)
_EXAMPLE = '{"bbox_2d": [100, 200, 400, 500], "label": "a cat"}'
_EMPHASIS = re.compile(r"(\*\*|__)(?=\S)([^\n*_]{1,200})(?<=\S)\1")
_HAN = re.compile("[\u3400-\u9fff]\\Z")
_KNOWN = {"elements", "compositional_deconstruction", "aspect_ratio", "version", "importsig", *PARALLEL_WORDS}


def read_json(text: str, reading: Reading, size: Size | None) -> LayoutPlan:
    """The plan in a reply: everything in its JSON, and surrounding words that name the same objects.

    Raises:
        GoTError: there is no JSON, or nothing in it that could be read; or pixels come without a size.
    """
    found = find_json(text)
    in_prose = all(isinstance(item.value, list) and four_numbers(item.value) for item in found)
    plain = _EMPHASIS.sub(r"\2", text)
    if in_prose and (places := lists_in_prose(plain)):
        return placed(plain, places, reading, size, lines=True)
    if not found:
        raise _nothing_in(short_repr(text.strip()))
    found, others = chosen(text, found)
    values = [without_ids(item.value) for item in found]
    if len(values) == 1 and (chain := _saved_chain(values[0])):
        return plan_of(chain)
    if inner := _texts_with_json(values):
        return read_json("\n".join(inner), reading, size)
    gathering = Gathering()
    if others:
        gathering.note(others)
    if size is None and (size := stated_size(values)):
        reading = replace(reading, unit=reading.unit or _unit_in(values, size, gathering))
    if not all(item.complete for item in found):
        gathering.note(Note("ends_in_the_middle"))
    plan = _plan(values, reading, size, gathering)
    around = _around(text, found)
    if not around:
        return plan
    named = [element.phrase for element in plan.elements]
    if not plan.prose and named and all(phrase and phrase.lower() in around.lower() for phrase in named):
        return LayoutPlan(plan.elements, _naming(around, named), plan.prompt, plan.notes)
    note = Note("words_around", words=short_repr(around, 120))
    return LayoutPlan(plan.elements, plan.prose, plan.prompt, (*plan.notes, note))


def _unit_in(values: Sequence[Any], size: Size, gathering: Gathering) -> str | None:
    """Pixels, if all boxes lie in a picture whose size the plan states; None: to be inferred."""
    boxes = [entry.box for entry in all_entries(values) if entry.box]
    numbers = [abs(value) for box in boxes for value in box.values if not box.percent]
    if not numbers or max(numbers) <= 1 or max(numbers) > max(size) * 1.1:
        return None
    gathering.note(Note("size_is_stated", size=f"{size[0]} x {size[1]}"))
    return PIXELS


def _saved_chain(value: Any) -> ReasoningChain | None:
    """The chain that this program has saved, or kept in its editor."""
    chain = value.get("chain", value) if isinstance(value, dict) else None
    if not isinstance(chain, dict) or not {"version", "text", "regions"} <= chain.keys():
        return None
    return ReasoningChain.from_json(chain)


def _texts_with_json(values: Sequence[Any]) -> list[str]:
    """Texts that hold a plan where the values themselves hold none, as in the answer of a web service."""
    if all_entries(values):
        return []
    texts: list[str] = []
    for value in values:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        texts += [
            text
            for text in inner
            if isinstance(text, str) and all_entries([f.value for f in find_json(text)])
        ]
        texts += _texts_with_json([entry for entry in inner if isinstance(entry, (dict, list))])
    return texts


def read_data(data: Any, reading: Reading, size: Size | None, labels: Sequence[str] = ()) -> LayoutPlan:
    """The plan in lists and dictionaries, such as ComfyUI's BOUNDING_BOX.

    Args:
        labels: words for the boxes, in their order; they count where a box has none.

    Raises:
        GoTError: nothing could be read, or pixels come without a size.
    """
    return _plan([_plain(data, 0, [0])], reading, size, Gathering(), labels)


def all_entries(values: Sequence[Any]) -> list[Entry]:
    return [entry for value in values for entry in entries(value)]


def _plan(
    values: Sequence[Any],
    reading: Reading,
    size: Size | None,
    gathering: Gathering,
    labels: Sequence[str] = (),
) -> LayoutPlan:
    found = all_entries(values)
    for entry, label in zip(found, labels, strict=False):
        entry.phrase = entry.phrase or label
    if len(labels) > len(found):
        gathering.note(Note("more_labels", labels=str(len(labels)), boxes=str(len(found))))
    prompt, prose = _words(values, gathering)
    if not found and not prose:
        received = short_repr(values[0] if len(values) == 1 else values)
        raise _nothing_in(received)
    gather(found, reading, size, gathering)
    return gathering.plan(prose, prompt)


def _nothing_in(received: str) -> GoTError:
    return GoTError(Note("no_words_with_box", received=received, example=_EXAMPLE))


def _words(values: Sequence[Any], gathering: Gathering) -> tuple[str, str]:
    """The prompt and the prose of a plan, next to its entries; other words there are noted."""
    prompt = ""
    prose: list[str] = []
    for value in values:
        if not isinstance(value, dict) or is_entry(value):
            continue
        inner = value.get("compositional_deconstruction")
        for key, entry in [*value.items(), *(inner.items() if isinstance(inner, dict) else ())]:
            name = key.lower().strip()
            is_text = isinstance(entry, str) and bool(entry.strip())
            if is_text and name in PROSE and entry.strip() not in prose:
                prose.append(entry.strip())
            if is_text and name in PROMPTS:
                prompt = prompt or entry.strip()
            elif name not in PROSE and name not in _KNOWN and _says_something(entry):
                gathering.note(Note("left_out", name=short_repr(key)[1:-1], words=short_repr(entry, 100)))
    return prompt, _joined(prose)


def _says_something(entry: Any) -> bool:
    """Whether a value contains words that belong to no entry."""
    if isinstance(entry, str):
        return bool(entry.strip())
    if isinstance(entry, list):
        texts = bool(entry) and all(isinstance(text, str) for text in entry)
        return texts and not all_entries([entry])
    if isinstance(entry, dict):
        return not any(True for _ in entries(entry)) and any(
            isinstance(text, str) and text for text in entry.values()
        )
    return False


def _joined(sentences: Sequence[str]) -> str:
    ends = (".", "!", "?", "\u3002", "\uff01", "\uff1f")
    stops = ("" if text.endswith(ends) else "\u3002" if _HAN.search(text) else "." for text in sentences)
    return " ".join(text + stop for text, stop in zip(sentences, stops, strict=True))


def _around(text: str, found: Sequence[Found]) -> str:
    """The text before, between and after the JSON, without its code fences."""
    pieces, done = [], 0
    for item in found:
        pieces.append(text[done : item.start])
        done = item.end
    pieces.append(text[done:])
    words = [line.strip() for piece in pieces for line in piece.splitlines()]
    kept = [
        line
        for line in words
        if not line.startswith("```") and line.strip("`,;[](){}.: \t").lower() != "json"
    ]
    return clean(" ".join(line for line in kept if line.strip("`,;[](){}\"' \t"))).strip(f"{SPACES}\n")


def _naming(around: str, phrases: Sequence[str]) -> str:
    """The sentences that contain any of the phrases."""
    ends = [0, *(mark.end() for mark in SENTENCE_MARK.finditer(around)), len(around)]
    sentences = [around[start:end].strip() for start, end in pairwise(ends)]
    return " ".join(text for text in sentences if any(phrase.lower() in text.lower() for phrase in phrases))


def _plain(data: Any, depth: int, count: list[int]) -> Any:
    """Data from another node as plain lists, dictionaries, texts and numbers, within limits."""
    count[0] += 1
    if depth > MAX_DEPTH or count[0] > MAX_VALUES:
        raise GoTError("The boxes are nested too deep, or there are too many. Connect boxes of one picture.")
    if isinstance(data, dict):
        return {str(key): _plain(value, depth + 1, count) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(value, depth + 1, count) for value in data]
    if isinstance(data, (str, bool)) or data is None:
        return data
    if isinstance(data, numbers.Integral):
        return int(data) if abs(int(data)) < 10**15 else float("inf")
    return float(data) if isinstance(data, numbers.Real) else None
