"""COCO's JSON of boxes, which labelling tools such as CVAT and Label Studio read and write.

Each picture's entry also holds its prompts and its chain. What a tool that keeps them has changed is changed
in the chain; of one that drops them, the chain is made of the words alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..chain.chain import Box, ReasoningChain
from ..chain.notations import Element, LayoutPlan, plan_to_chain
from ..chain.notations.to_chain import NAMELESS
from ..chain.region import GRID
from ..errors import GoTError, short_repr
from ..files.whole_files import write_whole
from .bundled import check_not_bundled
from .rows import Dataset, Row

PARTS = ("images", "annotations", "categories")
MAX_SIDE = 1_000_000  # pixels


@dataclass
class _Entry:
    """A picture with boxes on it, and all prompts that share its chain."""

    row: Row
    prompts: list[str] = field(default_factory=list)


def export_coco(dataset: Dataset, file: Path) -> int:
    """Writes the boxes of a dataset. Returns how many pictures have been written.

    The boxes of an edit are those of its source, so that is the picture they are written for.

    Raises:
        GoTError: the file cannot be written, or would lie among the bundled datasets.
    """
    check_not_bundled(file)
    entries: dict[tuple[Path, str, Path | None], _Entry] = {}
    for row in dataset.rows:
        key = (row.image.path, row.chain.text, row.source.path if row.source else None)
        entries.setdefault(key, _Entry(row)).prompts.append(row.chain.prompt)
    categories: dict[str, int] = {}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for entry in entries.values():
        images.append(_image(entry, len(images) + 1, dataset.folder))
        for region in entry.row.chain.regions:
            name = region.phrase or NAMELESS
            category = categories.setdefault(name, len(categories) + 1)
            annotations.append(_annotation(region.box, len(annotations) + 1, category, images[-1]))
    named = [{"id": number, "name": name} for name, number in categories.items()]
    content = {"images": images, "annotations": annotations, "categories": named}
    write_whole(file, json.dumps(content, ensure_ascii=False, indent=1).encode())
    return len(images)


def _image(entry: _Entry, number: int, folder: Path) -> dict[str, Any]:
    row = entry.row
    shown = row.source or row.image
    image = {
        "id": number,
        "file_name": _name(shown.path, folder),
        "width": shown.width,
        "height": shown.height,
        "prompts": entry.prompts,
        "chain": row.chain.text,
    }
    return image | ({"result": _name(row.image.path, folder)} if row.source else {})


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(os.path.abspath(folder)).as_posix()


def _annotation(box: Box, number: int, category: int, image: dict[str, Any]) -> dict[str, Any]:
    width, height = image["width"] / GRID, image["height"] / GRID
    sides = [box.x1 * width, box.y1 * height, (box.x2 - box.x1) * width, (box.y2 - box.y1) * height]
    return {
        "id": number,
        "image_id": image["id"],
        "category_id": category,
        "bbox": [round(side, 4) for side in sides],
        "area": round(sides[2] * sides[3], 4),
        "iscrowd": 0,
    }


# Import


def is_coco(values: Any) -> bool:
    """Whether a value is an object with COCO's three lists."""
    return isinstance(values, dict) and all(isinstance(values.get(part), list) for part in PARTS)


def coco_rows(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(where, row) for each picture; a GoTError where a row cannot be made.

    Raises:
        GoTError: an entry has no usable id, and so nothing can be put together.
    """
    names = {_id(entry): entry.get("name") for entry in values["categories"]}
    boxes: dict[int, list[Any]] = {}
    for entry in values["annotations"]:
        if not isinstance(entry, dict) or type(entry.get("image_id")) is not int:
            raise GoTError(f"Expected an annotation with an image_id, got {short_repr(entry)}.")
        boxes.setdefault(entry["image_id"], []).append(entry)
    for image in values["images"]:
        where = f"image {_id(image)}"
        try:
            yield where, _row(image, boxes.get(_id(image), []), names)
        except GoTError as error:
            yield where, error


def _id(entry: Any) -> int:
    if not isinstance(entry, dict) or type(entry.get("id")) is not int:
        raise GoTError(f"Expected an entry with an id, a whole number, got {short_repr(entry)}.")
    return int(entry["id"])


def _row(image: dict[str, Any], annotations: list[Any], names: dict[int, Any]) -> dict[str, Any]:
    if not isinstance(image.get("file_name"), str):
        raise GoTError(f"Expected an image with a file_name, got {short_repr(image)}.")
    found = [_found(annotation, image, names) for annotation in annotations]
    result = image.get("result")
    task = "edit" if isinstance(result, str) else "generate"
    given = image.get("chain")
    if isinstance(given, str) and given.strip():
        chain = _changed(ReasoningChain.read(given, task, "", expects_colors=False), found)
    elif found:
        elements = tuple(Element(name, _fractions(box)) for name, box in found)
        chain = plan_to_chain(LayoutPlan(elements), task)
    else:
        raise GoTError("The picture has neither a box nor a chain.")
    prompts = image.get("prompts") or [chain.words]
    pictures = (
        {"image": result, "source": image["file_name"]} if task == "edit" else {"image": image["file_name"]}
    )
    return {**pictures, "prompt": prompts, "chain": chain.text}


def _found(annotation: dict[str, Any], image: dict[str, Any], names: dict[int, Any]) -> tuple[str, Box]:
    """The name and the box of an annotation."""
    width: Any = image.get("width")
    height: Any = image.get("height")
    if not all(type(side) is int and 0 < side <= MAX_SIDE for side in (width, height)):
        raise GoTError(f"Expected a width and a height in pixels, got {short_repr((width, height))}.")
    sides = annotation.get("bbox")
    numbers = isinstance(sides, list) and len(sides) == 4 and all(_is_number(side) for side in sides)
    if not isinstance(sides, list) or not numbers or min(sides[2:]) <= 0:
        raise GoTError(f"Expected a bbox of x, y, width and height in pixels, got {short_repr(sides)}.")
    category = annotation.get("category_id")
    name = names.get(category) if type(category) is int else None
    if not isinstance(name, str) or not name.strip():
        raise GoTError(f"There is no category {short_repr(category)} with a name.")
    left, top, wide, high = sides
    if left >= width or top >= height or left + wide <= 0 or top + high <= 0:
        raise GoTError(f"The bbox {short_repr(sides)} is outside the picture of {width} x {height} pixels.")
    return name, Box.from_pixels(left, top, left + wide, top + high, width, height)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= MAX_SIDE  # which nan is not


def _fractions(box: Box) -> tuple[float, float, float, float]:
    return box.x1 / GRID, box.y1 / GRID, box.x2 / GRID, box.y2 / GRID


def _changed(chain: ReasoningChain, found: list[tuple[str, Box]]) -> ReasoningChain:
    """A chain with the boxes of a tool: moved where a name has another box, removed, and added."""
    left = list(found)
    moved: list[Box | None] = []
    for region in chain.regions:
        name = region.phrase or NAMELESS
        same = [entry for entry in left if entry[0] == name]
        exact = (name, region.box)
        entry = exact if exact in left else next(iter(same), None)
        if entry:
            left.remove(entry)
        moved.append(entry[1] if entry else None)
    for index in reversed(range(len(moved))):
        box = moved[index]
        if box is None:
            chain = chain.remove(index)
        elif box != chain.regions[index].box:
            chain = chain.move_box(index, box)
    for name, box in left:
        chain = chain.add(name, box)
    return chain
