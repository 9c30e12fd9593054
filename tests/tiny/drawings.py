"""Drawings that no part of the project made, edits of them, and a judge of the results.

Nothing is imported from the shapes world: shapes are inequalities, colours are CSS's, and results are judged
by hue, connected parts and how they fill their boxes. As a script it measures a checkpoint:

    python tests/tiny/drawings.py --checkpoint got_models/tiny --n 300
"""

from __future__ import annotations

import argparse
import math
import random
import re
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

CSS = {
    "red": (255, 0, 0),
    "green": (0, 128, 0),
    "blue": (0, 0, 255),
    "yellow": (255, 255, 0),
    "purple": (128, 0, 128),
    "orange": (255, 165, 0),
    "cyan": (0, 255, 255),
    "pink": (255, 192, 203),
}
GROUNDS = {"white": 255, "light gray": 211, "dark gray": 80, "black": 0}
HUES = {
    "red": (345, 14),
    "orange": (14, 45),
    "yellow": (45, 75),
    "green": (75, 160),
    "cyan": (160, 205),
    "blue": (205, 258),
    "purple": (258, 310),
    "pink": (310, 345),
}
"""From this hue up to that one, in degrees; where a tone is pale, red is pink."""
SHAPES = ("circle", "square", "triangle", "star")
CORNERS = {"top left": (0, 0), "top right": (1, 0), "bottom left": (0, 1), "bottom right": (1, 1)}
SIDES = (128, 200, 256, 384, 512)
SAMPLES = 4
"""Points per pixel and axis at which a shape is tested, for smooth edges."""

SMALLEST_PART = 0.0035
"""Of the picture's pixels, below which a coloured part is a speck."""

Place = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the picture."""


@dataclass(frozen=True)
class Mark:
    """One shape: its middle and half its width as fractions of the picture."""

    color: str
    shape: str
    x: float
    y: float
    reach: float

    @property
    def words(self) -> str:
        return f"{self.color} {self.shape}"

    @property
    def place(self) -> Place:
        """The box around what is drawn."""
        low, high = {"triangle": (-0.75, 0.75), "star": (-1.0, 0.809)}.get(self.shape, (-1.0, 1.0))
        wide = 0.951 if self.shape == "star" else 0.866 if self.shape == "triangle" else 1.0
        return (
            self.x - wide * self.reach,
            self.y + low * self.reach,
            self.x + wide * self.reach,
            self.y + high * self.reach,
        )


# --- drawing --------------------------------------------------------------------------------------


def inside(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether points lie in the shape around 0, 0 that reaches up to 1."""
    if shape == "circle":
        return x * x + y * y <= 1
    if shape == "square":
        return np.maximum(abs(x), abs(y)) <= 1
    if shape == "triangle":  # equilateral, between -0.75 and 0.75
        return (y <= 0.75) & (abs(x) * math.sqrt(3) <= y + 0.75)
    # The five-pointed star: points inside at least four of its five half planes, or in the pentagon of all.
    distance = math.cos(math.radians(72))
    turned = [math.radians(90 + 72 * corner) for corner in range(5)]
    behind = [x * math.cos(angle) - y * math.sin(angle) <= distance for angle in turned]
    return sum(part.astype(int) for part in behind) >= 4


def paint(marks: Sequence[Mark], ground: str, side: int) -> Image.Image:
    """The marks on a background, with smooth edges."""
    points = (np.arange(side * SAMPLES) + 0.5) / (side * SAMPLES)
    x, y = np.meshgrid(points, points)
    picture = np.full((side, side, 3), GROUNDS[ground], dtype=np.float64)
    for mark in marks:
        hit = inside(mark.shape, (x - mark.x) / mark.reach, (y - mark.y) / mark.reach)
        cover = hit.reshape(side, SAMPLES, side, SAMPLES).mean(axis=(1, 3))[..., None]
        picture = picture * (1 - cover) + cover * np.array(CSS[mark.color])
    return Image.fromarray(picture.round().astype(np.uint8))


def sample_marks(rng: random.Random, count: int) -> list[Mark]:
    """Marks of different words anywhere in a picture, whose boxes do not overlap."""
    while True:
        marks: list[Mark] = []
        for _ in range(count):
            for _ in range(60):
                reach = rng.uniform(0.09, 0.22)
                x, y = (rng.uniform(reach, 1 - reach) for _ in range(2))
                mark = Mark(rng.choice(list(CSS)), rng.choice(SHAPES), x, y, reach)
                if all(apart(mark, other) and mark.words != other.words for other in marks):
                    marks.append(mark)
                    break
        if len(marks) == count:
            return marks


def apart(first: Mark, second: Mark, gap: float = 0.015) -> bool:
    """Whether a strip lies free between two marks, across the picture or down."""
    a, b = first.place, second.place
    return max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3]) >= gap


# --- edits ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """An instruction about a picture. ``kept``: marks of the result; ``placed``: others' words and corner."""

    before: list[Mark]
    ground: str
    instruction: str
    kept: list[Mark]
    placed: list[tuple[str, str]]


def sample_task(rng: random.Random, steps: int) -> Task:
    """An instruction of so many steps, each about another mark."""
    while True:
        before = sample_marks(rng, rng.choice((2, 3, 3, 4)))
        ground = rng.choice(list(GROUNDS))
        kept, untouched = list(before), list(before)
        placed: list[tuple[str, str]] = []
        said: list[str] = []
        for _ in range(steps):
            step = sample_step(rng, kept, untouched, placed)
            if step is None:
                break
            said.append(step)
        words = [mark.words for mark in kept] + [words for words, _ in placed]
        if len(said) == steps and len(set(words)) == len(words) > 0:
            return Task(before, ground, joined(rng, said), kept, placed)


def joined(rng: random.Random, said: list[str]) -> str:
    """The steps as one sentence."""
    return rng.choice((" and ", ", then ")).join(said)


def sample_step(
    rng: random.Random, kept: list[Mark], untouched: list[Mark], placed: list[tuple[str, str]]
) -> str | None:
    """One step, made on the lists; None if there is nothing left to do it to."""
    if not untouched:
        return None
    mark = rng.choice(untouched)
    kind = rng.choice(("recolor", "recolor", "reshape", "remove", "add", "move"))
    if kind in ("add", "move"):
        corner = rng.choice([corner for corner in CORNERS if is_free(corner, kept, placed)] or [None])
        if corner is None:
            return None
        words = mark.words
        if kind == "add":
            words = f"{rng.choice(list(CSS))} {rng.choice(SHAPES)}"
        else:
            kept.remove(mark)
            untouched.remove(mark)
        placed.append((words, corner))
        article = "an" if words[0] in "aeiou" else "a"
        return (
            f"add {article} {words} in the {corner}" if kind == "add" else f"move the {words} to the {corner}"
        )
    untouched.remove(mark)
    at = kept.index(mark)
    if kind == "remove":
        kept.pop(at)
        return f"remove the {mark.words}"
    if kind == "recolor":
        kept[at] = replace(mark, color=rng.choice([color for color in CSS if color != mark.color]))
        return f"make the {mark.words} {kept[at].color}"
    kept[at] = replace(mark, shape=rng.choice([shape for shape in SHAPES if shape != mark.shape]))
    return f"turn the {mark.words} into a {kept[at].shape}"


def is_free(corner: str, kept: list[Mark], placed: list[tuple[str, str]]) -> bool:
    """Whether nothing reaches into a quarter of the picture."""
    right, down = CORNERS[corner]
    quarter = (right / 2, down / 2, right / 2 + 0.5, down / 2 + 0.5)
    return all(overlap(mark.place, quarter) == 0 for mark in kept) and all(c != corner for _, c in placed)


def overlap(a: Place, b: Place) -> float:
    """The intersection over union of two boxes."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)


# --- judging --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """One coloured part of a picture."""

    color: str
    shape: str
    place: Place


def see(picture: Image.Image) -> list[Seen]:
    """The coloured parts of a picture, by hue and by how they fill their boxes."""
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float64) / 255
    high, low = pixels.max(-1), pixels.min(-1)
    strength = high - low
    mask = (strength > 0.16) & (high > 0.35)
    found = []
    for rows, columns in parts(mask):
        core = strength[rows, columns] > 0.7 * np.quantile(strength[rows, columns], 0.9)
        names = np.array([color_of(rgb) for rgb in pixels[rows, columns]])
        colors, counts = np.unique(names[core], return_counts=True)
        # Two marks that nearly touch are one part; the rims of one have other hues too, but few pixels.
        large = colors[counts >= 0.2 * counts.sum()]
        for color in large:
            own = names == color if len(large) > 1 else np.ones(len(rows), dtype=bool)
            if own.sum() >= SMALLEST_PART * mask.size:
                found.append(seen_part(str(color), rows[own], columns[own], mask.shape))
    return found


def seen_part(color: str, rows: np.ndarray, columns: np.ndarray, size: tuple[int, int]) -> Seen:
    """A part of this colour at these pixels of a picture of this height and width."""
    top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    filled = np.zeros((bottom - top, right - left), dtype=bool)
    filled[rows - top, columns - left] = True
    return Seen(color, shape_of(filled), (left / size[1], top / size[0], right / size[1], bottom / size[0]))


def parts(mask: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The rows and columns of each connected part."""
    left = mask.copy()
    found = []
    for start in zip(*np.nonzero(mask), strict=True):
        if not left[start]:
            continue
        left[start] = False
        queue, members = deque([start]), []
        while queue:
            row, column = queue.popleft()
            members.append((row, column))
            for near in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1] and left[near]:
                    left[near] = False
                    queue.append(near)
        rows, columns = np.array(members).T
        found.append((rows, columns))
    return found


def color_of(rgb: np.ndarray) -> str:
    """What one would call a colour."""
    red, green, blue = rgb
    high, low = rgb.max(), rgb.min()
    strength = high - low
    if high == red:
        hue = (green - blue) / strength % 6
    elif high == green:
        hue = (blue - red) / strength + 2
    else:
        hue = (red - green) / strength + 4
    hue *= 60
    name = next(name for name, (a, b) in HUES.items() if (a <= hue < b if a < b else hue >= a or hue < b))
    return "pink" if name == "red" and strength / high < 0.6 else name


def shape_of(filled: np.ndarray) -> str:
    """The shape that is most like a part that fills its box."""
    height, width = filled.shape
    y, x = np.mgrid[0:height, 0:width]
    x, y = (x + 0.5) / width * 2 - 1, (y + 0.5) / height * 2 - 1
    ideals = {
        "circle": x * x + y * y <= 1,
        "square": np.ones_like(filled),
        "triangle": abs(x) * 2 <= y + 1,
        "star": inside("star", x * 0.951, (y + 1) / 2 * 1.809 - 1),
    }
    return max(ideals, key=lambda shape: (filled & ideals[shape]).sum() / (filled | ideals[shape]).sum())


def happened(task: Task, picture: Image.Image) -> bool:
    """Whether a picture shows just what an instruction leaves of another."""
    left = see(picture)
    for mark in task.kept:
        match = next(
            (s for s in left if f"{s.color} {s.shape}" == mark.words and overlap(s.place, mark.place) >= 0.5),
            None,
        )
        if match is None:
            return False
        left.remove(match)
    for words, corner in task.placed:
        match = next((s for s in left if f"{s.color} {s.shape}" == words and in_corner(s, corner)), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def in_corner(seen: Seen, corner: str) -> bool:
    """Whether the middle of a part is in a quarter of the picture."""
    x, y = (seen.place[0] + seen.place[2]) / 2, (seen.place[1] + seen.place[3]) / 2
    return (int(x >= 0.5), int(y >= 0.5)) == CORNERS[corner]


def described(text: str, marks: Sequence[Mark]) -> bool:
    """Whether a text names just these marks."""
    named = re.findall(rf"\b({'|'.join(CSS)}) ({'|'.join(SHAPES)})\b", text)
    return sorted(" ".join(words) for words in named) == sorted(mark.words for mark in marks)


def located(found: Sequence[tuple[str, Place]], marks: Sequence[Mark]) -> bool:
    """Whether there is just one box for each mark, under its words, and around it."""
    left = list(marks)
    for phrase, place in found:
        match = next((m for m in left if phrase.endswith(m.words) and overlap(m.place, place) >= 0.5), None)
        if match is None:
            return False
        left.remove(match)
    return not left


# --- measuring ------------------------------------------------------------------------------------


def measure(checkpoint: Path, n: int, seed: int, out: Callable[[str], None]) -> None:
    """Prints how often each kind of task is done, one picture at a time, with the checkpoint's defaults."""
    import torch

    from got_models.diffusion.settings import SamplingSettings
    from got_models.edit_area import finish_edit
    from got_models.pipeline import GoTModel

    torch.set_num_threads(1)
    model = GoTModel.from_pretrained(checkpoint)
    rng = random.Random(seed)
    shown = [(sample_marks(rng, rng.choice((1, 2, 3, 4))), rng.choice(list(GROUNDS))) for _ in range(n)]
    pictures = [paint(marks, ground, rng.choice(SIDES)) for marks, ground in shown]
    told = [described(model.describe(picture), m) for picture, (m, _) in zip(pictures, shown, strict=True)]
    out(f"described: {np.mean(told):.3f} of {n}")
    answers = [model.locate(picture) for picture in pictures]
    places = [[(e.phrase, e.box or (0.0, 0.0, 0.0, 0.0)) for e in answer.elements] for answer in answers]
    right = [located(place, marks) for place, (marks, _) in zip(places, shown, strict=True)]
    out(f"all located: {np.mean(right):.3f} of {n}")
    for count in (1, 2, 3):
        tasks = [sample_task(random.Random(f"{seed} {count} {row}"), count) for row in range(n)]
        done = []
        for row, task in enumerate(tasks):
            picture = paint(task.before, task.ground, random.Random(row).choice(SIDES))
            chain = model.reason(task.instruction, picture)
            guidance = model.encode(chain, picture)
            drawn = model.sample(guidance, SamplingSettings(seed=row))
            done.append(happened(task, finish_edit(drawn, picture, chain, keep_outside=True)))
        out(f"edits of {count} step{'s' * (count > 1)}: {np.mean(done):.3f} of {n}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--n", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    measure(given.checkpoint, given.n, given.seed, lambda line: print(line, flush=True))
