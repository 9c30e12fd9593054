"""The size of the picture, where a plan in JSON says it; and COCO's annotations, which always do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .coordinates import Size
from .json_entries import is_entry

_NAMES = ("image_size", "imagesize", "picture_size", "canvas_size", "canvas", "image", "resolution", "size")


def stated_size(values: Sequence[Any]) -> Size | None:
    """(width, height) in pixels."""
    for value in values:
        if not isinstance(value, dict) or is_entry(value):
            continue
        lower = {key.lower().strip(): entry for key, entry in value.items()}
        pictures = lower.get("images")
        first = pictures[0] if isinstance(pictures, list) and pictures else None
        for entry in (lower, *(lower.get(name) for name in _NAMES), first):
            if size := _size(entry):
                return size
    return None


def _size(entry: Any) -> Size | None:
    if isinstance(entry, dict):
        entry = [entry.get("width", entry.get("w")), entry.get("height", entry.get("h"))]
    if not isinstance(entry, (list, tuple)) or len(entry) != 2:
        return None
    width, height = entry
    if not all(type(side) in (int, float) and 16 <= side <= 100_000 for side in entry):
        return None
    return round(width), round(height)


def without_ids(value: Any) -> Any:
    """COCO's annotations as objects with words and boxes; any other value as it is."""
    if not isinstance(value, dict) or not isinstance(value.get("annotations"), list):
        return value
    categories = value.get("categories")
    names = {
        entry.get("id"): entry.get("name")
        for entry in (categories if isinstance(categories, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("id"), (int, str))
    }
    things = [_thing(entry, names) for entry in value["annotations"]]
    return {"images": value.get("images"), "objects": things}


def _thing(entry: Any, names: dict[Any, Any]) -> Any:
    if not isinstance(entry, dict):
        return entry
    box = entry.get("bbox")
    thing = {key: said for key, said in entry.items() if key not in ("bbox", "segmentation")}
    if isinstance(box, list) and len(box) == 4:
        thing |= dict(zip(("x", "y", "width", "height"), box, strict=True))
    number = entry.get("category_id")
    name = names.get(number) if isinstance(number, (int, str)) else None
    if isinstance(name, str):
        thing["label"] = name
        del thing["category_id"]
    return thing
