"""Annotates the lesson's pictures in place of its hand-made rows, and writes a config that trains on them.

    python tests/tiny/annotated_lesson.py FOLDER
    python -m got_models train FOLDER/train.yaml

The annotator stands in for a large model behind a server. It reads pixels, knows brown and crosses, and words
what it sees as the bundled model was taught: sizes, the background, how two things lie.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit")]

import tiny_model.world.scene as scene  # noqa: E402

scene.COLORS[scene.NEW_COLOR] = scene.ALL_COLORS[scene.NEW_COLOR]  # before anything looks at pixels
scene.SHAPES = scene.ALL_SHAPES

from annotation.chat_server import serving  # noqa: E402
from annotation.looking import Looking, pair, things  # noqa: E402

from got_models.annotation import prompts  # noqa: E402
from got_models.annotation.items import PAIRS_FILE  # noqa: E402
from tiny_model.world.found_objects import Found, find_background, intersection_over_union  # noqa: E402
from tiny_model.world.language import COUNT_WORDS, RELATION_WORDS, listed, name, plural  # noqa: E402

LESSON = ROOT / "lessons" / "brown_crosses"
NAMED = re.compile(
    rf"(?:an? |the )?(?:({'|'.join(scene.SIZES)}) )?({'|'.join(scene.COLORS)}) ({'|'.join(scene.SHAPES)})\b"
)
OTHER_VERBS = {
    "remove": ("delete", "take away"),
    "take away": ("remove", "delete"),
    "add": ("put", "draw"),
    "put": ("add", "draw"),
    "draw": ("add", "put"),
    "shift": ("move", "bring"),
}
MOVES = ("move", "shift", "bring")


class Wording(Looking):
    """Words pictures as the captions and chains of the shapes world do."""

    def truth(self, question: str, picture: Image.Image | None) -> str:
        if picture is None:
            return self._about_text(question)
        if question == prompts.ASK_DESCRIPTION:
            return described(picture)
        if question == prompts.ASK_PROMPT:
            return asked_for(picture)
        if question.startswith("Locate"):
            named = NAMED.findall(question)
            return self.boxes(
                [thing for thing in things(picture) if not named or fits(thing, named)], picture
            )
        if question.startswith("Does this picture show"):
            ((_, *asked),) = NAMED.findall(question)
            return "Yes." if tuple(asked) in map(pair, things(picture)) else "No."
        return super().truth(question, picture)

    def boxes(self, found: list[Found], picture: Image.Image) -> str:
        entries = json.loads(super().boxes(found, picture).strip("`").removeprefix("json"))
        labelled = [
            {**entry, "label": sized(thing, None)} for entry, thing in zip(entries, found, strict=True)
        ]
        return json.dumps(labelled)

    def _about_text(self, question: str) -> str:
        if question.startswith("Which objects"):
            return json.dumps([match[0] for match in NAMED.finditer(question.partition("Text: ")[2])])
        instruction = question.split('"')[1]
        verbs = [verb for verb in OTHER_VERBS if instruction.startswith(verb)]
        others = [instruction.replace(verb, other, 1) for verb in verbs for other in OTHER_VERBS[verb]]
        polite = [f"please {instruction}", f"{instruction} please", f"{instruction}, please"]
        return json.dumps([*others, *polite][:3])

    def _about_edit(self, question: str, picture: Image.Image) -> str:
        half = picture.width // 2
        before, after = (
            things(picture.crop(side)) for side in ((0, 0, half, picture.height), (half, 0, *picture.size))
        )
        instruction = question.split('"')[1]
        if not question.startswith("The left half is a detail"):
            edits = edited(before, after)
            edits.sort(key=lambda edit: instruction.find(" ".join(pair(edit[1]))))
            return json.dumps([{"object": sized(thing), "edit": kind} for kind, thing in edits])
        if instruction.startswith(MOVES):
            return "It moves there."
        if not before or not after:
            return "It is removed." if before else "It is added."
        (_, shape), (new_color, new_shape) = pair(before[0]), pair(after[0])
        return f"It becomes {new_color}." if shape == new_shape else f"It becomes a {new_shape}."


def edited(before: list[Found], after: list[Found]) -> list[tuple[str, Found]]:
    """The kinds of edits, each with the thing before it, or with what is added."""
    old, new = {pair(thing): thing for thing in before}, {pair(thing): thing for thing in after}
    gone = {key: thing for key, thing in old.items() if key not in new}
    come = {key: thing for key, thing in new.items() if key not in old}
    changed = {key: other for key in gone for other in come if same_place(gone[key], come[other])}
    edits = [("change", gone[key]) for key in changed]
    edits += [("remove", thing) for key, thing in gone.items() if key not in changed]
    edits += [("add", thing) for key, thing in come.items() if key not in changed.values()]
    edits += [("move", old[key]) for key in old if key in new and not same_place(old[key], new[key])]
    return edits


def same_place(one: Found, other: Found) -> bool:
    return intersection_over_union(one.box, other.box) > 0.8


def fits(thing: Found, named: list[tuple[str, str, str]]) -> bool:
    return any(pair(thing) == (color, shape) and size in ("", size_of(thing)) for size, color, shape in named)


def size_of(thing: Found) -> str:
    left, top, right, bottom = thing.box
    return min(scene.SIZES, key=lambda size: abs(scene.SIZES[size] - max(right - left, bottom - top)))


def sized(thing: Found, article: str | None = "a") -> str:
    return name(*pair(thing), size_of(thing), article)


def in_reading_order(picture: Image.Image) -> list[Found]:
    return sorted(things(picture), key=lambda one: (middle(one)[1] >= picture.height / 2, middle(one)[0]))


def middle(thing: Found) -> tuple[float, float]:
    left, top, right, bottom = thing.box
    return (left + right) / 2, (top + bottom) / 2


def relation(one: Found, other: Found) -> str:
    """How the first of two things lies to the second, in words."""
    across, down = (there - here for here, there in zip(middle(one), middle(other), strict=True))
    sideways = "left of" if across > 0 else "right of"
    return RELATION_WORDS[sideways if abs(across) > abs(down) else "above" if down > 0 else "below"][0]


def related(here: list[Found]) -> bool:
    return len(here) == 2 and pair(here[0]) != pair(here[1])


def described(picture: Image.Image) -> str:
    """Such as "On a white background there is a small red cross, and below it a large brown star."."""
    here = in_reading_order(picture)
    opening = f"On a {find_background(picture)} background there"
    if related(here):
        return f"{opening} is {sized(here[0])}, and {relation(here[1], here[0])} it {sized(here[1])}."
    return f"{opening} {'is' if len(here) == 1 else 'are'} {listed([sized(thing) for thing in here])}."


def asked_for(picture: Image.Image) -> str:
    """Such as "three small brown squares and a medium green cross on a black background"."""
    here = in_reading_order(picture)
    if related(here):
        words = f"{sized(here[0])} {relation(*here)} {sized(here[1])}"
    else:
        counts = Counter(sized(thing, None) for thing in here)
        words = listed([counted(kind, count) for kind, count in counts.items()])
    return f"{words} on a {find_background(picture)} background"


def counted(kind: str, count: int) -> str:
    return f"{COUNT_WORDS[count - 1]} {plural(kind)}" if count > 1 else f"a {kind}"


def main(folder: Path) -> None:
    pictures = folder / "data"
    pictures.mkdir(parents=True)
    for file in LESSON.glob("*.png"):
        shutil.copy(file, pictures)
    lines = (LESSON / "data.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = [row for row in map(json.loads, lines) if "source" in row]
    kept = [{key: row[key] for key in ("source", "image", "prompt")} for row in pairs]
    (pictures / PAIRS_FILE).write_text("".join(f"{json.dumps(row)}\n" for row in kept), encoding="utf-8")
    config = (LESSON / "train.yaml").read_text(encoding="utf-8")
    changed = {"preserved_rows": 128, "steps": 1800}  # every edit is four rows here: more has to be kept
    places = {"checkpoint": ROOT / "got_models/tiny", "dataset": "data", "out": "out", "cache": "cache"}
    for key, value in {**places, **changed}.items():
        config = re.sub(rf"^{key}: .*$", f"{key}: {value}", config, flags=re.MULTILINE)
    (folder / "train.yaml").write_text(config, encoding="utf-8")
    with serving(Wording()) as server:
        command = [
            sys.executable,
            "-m",
            "got_models",
            "dataset",
            "annotate",
            pictures,
            "--model",
            "wording-vl",
        ]
        subprocess.run([*command, "--server", server.address, "--workers", "2"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
