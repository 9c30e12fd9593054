"""Remarks on a plan before it is drawn: what the checkpoint has not learned, and what looks wrong.

Each remark is a sentence for people (see `notes`). A plan with nothing to remark on gets none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any

from PIL import Image, ImageColor

from ..notes import Note
from .chain import Box, ReasoningChain, Region
from .english import plural
from .vocabulary import PictureKind, Vocabulary

_DETAILS = {
    "lettering": "\u6587\u5b57",
    "colours": "\u989c\u8272",
    "strength": "\u5f3a\u5ea6",
    "order": "\u5c42\u6b21",
}
"""What a box says besides, in English and Chinese."""
SAME_PLACE = 0.8
"""Intersection over union above which two boxes count as one place."""
COVERED = 0.25
"""Share of the smaller box above which two boxes overlap, for a model trained only on separate objects."""
TOO_CLOSE = 30.0
"""Distance in RGB below which two mask colours, or one and the black background, look alike."""
MAX_NAMED = 8  # words in one sentence
CHECKED_SIDE = 256  # pixels, to which a picture is reduced before its colours are counted

_TOKEN = re.compile(r"\d+[^\W\d_]*|[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_BOX = re.compile(r"<\|box_start\|>.*?<\|box_end\|> \(\w+\)|<\|\w+\|>")
_NUMBER_WORDS = """one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty""".split()  # noqa: SIM905
NUMBERS = {"a": 1, "an": 1, "dozen": 12} | {word: count for count, word in enumerate(_NUMBER_WORDS, 1)}
NOTHING_TO_DRAW = frozenset(
    """a an and are as at be by can could create do for from generate give has have i image in into is it its
    just let like make me my need of on one or our paint please show some that the their them then there these
    this those to us want we which will with would you your""".split()  # noqa: SIM905
)
"""Function words: it does no harm if a model has not learned them."""


def words_of(text: str) -> list[str]:
    """The words and numbers of a prompt or plan, in lower case and without its boxes."""
    return _TOKEN.findall(_BOX.sub(" ", text).casefold())


def check_plan(chain: ReasoningChain, vocabulary: Vocabulary | None = None) -> list[Note]:
    """
    Args:
        vocabulary: what the checkpoint that will draw it knows; None: everything, or unknown.
    """
    remarks: list[Note | None] = []
    if vocabulary is not None:
        remarks += [
            _unknown_words(chain, vocabulary),
            _capitals(chain, vocabulary),
            _counts(chain, vocabulary),
        ]
    remarks += [_no_box(chain, vocabulary), _overlap(chain, vocabulary), _masks(chain.regions)]
    return [remark for remark in remarks if remark is not None]


def details_left_aside(chain: ReasoningChain) -> list[Note]:
    """A remark on what the boxes say that GoT's own model cannot obey: it reads words and boxes alone."""
    pairs = combinations(chain.regions, 2)
    given = {
        "lettering": any(region.detail.text for region in chain.regions),
        "colours": any(region.detail.palette for region in chain.regions),
        "strength": any(region.detail.strength != 1 for region in chain.regions),
        "order": any(
            one.detail.order != other.detail.order and one.box.iou(other.box) > 0 for one, other in pairs
        ),
    }
    names = [name for name, is_given in given.items() if is_given]
    if not names:
        return []
    return [
        Note("details", what={"en": listed(names), "zh": "\u3001".join(_DETAILS[name] for name in names)})
    ]


def check_picture(picture: Image.Image, vocabulary: Vocabulary | None) -> list[Note]:
    """The same for a picture that is to be edited."""
    if vocabulary is None or _is_known(picture, vocabulary.pictures):
        return []
    return [Note("unknown_picture", name=vocabulary.name, objects=listed(_plurals(vocabulary)))]


def _is_known(picture: Image.Image, kind: PictureKind) -> bool:
    import numpy as np

    small = picture.convert("RGB")
    small.thumbnail((CHECKED_SIDE, CHECKED_SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, dtype=np.float32).reshape(-1, 1, 3)  # [n, 1, 3]

    def near(colors: Sequence[str]) -> Any:
        """Which pixels are within reach of each colour: [n, m]."""
        known = np.array([ImageColor.getrgb(color) for color in colors], dtype=np.float32)  # [m, 3]
        return ((pixels - known) ** 2).sum(-1) <= kind.reach**2

    colored = near(kind.colors).any(-1)  # [n]
    grounds = near(kind.grounds) & ~colored[:, None]
    ground = grounds[:, grounds.sum(0).argmax()]
    strays = grounds.any(-1) & ~ground
    return bool((colored | ground).mean() >= kind.share and strays.mean() <= kind.strays)


def leaves_unchanged(chain: ReasoningChain, vocabulary: Vocabulary | None) -> bool:
    """Whether an edit leaves its picture unchanged because the checkpoint cannot tell where to change it."""
    needs_box = vocabulary is not None and vocabulary.edits_need_boxes
    return needs_box and chain.task == "edit" and not chain.regions


def things_asked_for(prompt: str, vocabulary: Vocabulary) -> int | None:
    """How many objects a prompt asks for; None where that is unclear, as with "the circles"."""
    things = {*vocabulary.objects, *_plurals(vocabulary)}
    total, count = 0, None
    for word in words_of(prompt):
        if word in NUMBERS or word.isdecimal():
            count = NUMBERS[word] if word in NUMBERS else int(word[:9])
        elif word in things:
            if count is None:
                return None
            total, count = total + count, None
    return total or None


def _unknown_words(chain: ReasoningChain, vocabulary: Vocabulary) -> Note | None:
    """In the prompt or, if all words of that are known, in the plan, which may have been edited."""
    written = [word for word in words_of(chain.text) if not word.isdecimal()]  # edits number their steps
    words = _unknown(chain, words_of(chain.prompt), vocabulary) or _unknown(chain, written, vocabulary)
    if not words:
        return None
    named = ", ".join(words[:MAX_NAMED]) + (", ..." if len(words) > MAX_NAMED else "")
    colors = f" in {listed(vocabulary.colors)}" if vocabulary.colors else ""
    things = {
        "en": listed(_plurals(vocabulary)) + colors,
        "zh": ", ".join((*vocabulary.objects, *vocabulary.colors)),
    }
    return Note("unknown_words", name=vocabulary.name, words=named, things=things)


def _unknown(chain: ReasoningChain, words: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    """The content words that the checkpoint has not learned, each once."""
    known = {*vocabulary.objects, *vocabulary.colors, *vocabulary.words, *NOTHING_TO_DRAW}
    if chain.task == "generate":
        known |= NUMBERS.keys()  # handled by `_counts`
    return list(dict.fromkeys(word for word in words if word not in known))


def _capitals(chain: ReasoningChain, vocabulary: Vocabulary) -> Note | None:
    """The vocabulary is in lower case, as in the model's training data."""
    return None if chain.prompt == chain.prompt.lower() else Note("capitals", name=vocabulary.name)


def _counts(chain: ReasoningChain, vocabulary: Vocabulary) -> Note | None:
    asked = things_asked_for(chain.prompt, vocabulary) if chain.task == "generate" else None
    if asked is None:
        return None
    if asked > vocabulary.most_objects:
        return Note("too_many", name=vocabulary.name, asked=str(asked), most=str(vocabulary.most_objects))
    boxes = len(chain.regions)
    if boxes in (0, asked) or _unknown(chain, words_of(chain.prompt), vocabulary):
        return None
    return Note("another_count", asked=str(asked), boxes=str(boxes))


def _no_box(chain: ReasoningChain, vocabulary: Vocabulary | None) -> Note | None:
    if chain.regions:
        return None
    if leaves_unchanged(chain, vocabulary):
        return Note("left_as_it_is")
    return Note("no_box_to_edit" if chain.task == "edit" else "no_box")


def _overlap(chain: ReasoningChain, vocabulary: Vocabulary | None) -> Note | None:
    """For plans of new pictures only: an edit has one box before and one after the change."""
    pairs = list(combinations(chain.regions, 2)) if chain.task == "generate" else []
    for one, other in pairs:
        if one.box.iou(other.box) >= SAME_PLACE:
            return Note("same_place", one=_label(one), other=_label(other))
    if vocabulary is None:
        return None
    for one, other in pairs:
        if _covered(one.box, other.box) > COVERED:
            return Note("overlap", one=_label(one), other=_label(other), name=vocabulary.name)
    return None


def _covered(one: Box, other: Box) -> float:
    """The share of the smaller box that is inside the other."""
    return one.shared_area(other) / min(one.area, other.area)


def _masks(regions: Sequence[Region]) -> Note | None:
    """Indistinguishable masks: each is a box in its colour on black."""
    colors = [ImageColor.getrgb(region.color)[:3] for region in regions]
    for region, color in zip(regions, colors, strict=True):
        if math.dist(color, (0, 0, 0)) < TOO_CLOSE:
            return Note("dark_mask", one=_label(region), color=region.color)
    for (one, color), (other, near) in combinations(zip(regions, colors, strict=True), 2):
        if math.dist(color, near) < TOO_CLOSE:
            labels = {"one": _label(one), "other": _label(other)}
            return Note("alike_masks", color=one.color, near=other.color, **labels)
    return None


def _plurals(vocabulary: Vocabulary) -> list[str]:
    return list(map(plural, vocabulary.objects))


def _label(region: Region) -> str:
    """A box in a sentence: its phrase, or its colour if it has none."""
    return f'"{region.phrase}"' if region.phrase else f"({region.color})"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), *words[-1:]]) if len(words) > 1 else "".join(words)
