"""The classes of tasks of GenEval (arXiv 2310.11513), by its names, on pictures of the shapes world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PIL import Image

from ..world.found_objects import find_objects
from ..world.language import Example
from ..world.scoring import relation_shown
from .report import Figures, rate


def geneval_figures(examples: Sequence[Example], pictures: Sequence[Image.Image]) -> Figures:
    """How often a picture shows what its caption asks for, whatever its plan says.

    An object is a shape, its attribute the colour. Two objects are any two, color_attr is of their colours.
    As in GenEval, other things may be there too, except where things are counted.
    """
    hits: dict[str, list[bool]] = {
        name: [] for name in ("single_object", "two_object", "counting", "colors", "position", "color_attr")
    }
    for example, picture in zip(examples, pictures, strict=True):
        patches = find_objects(picture)
        shown = Counter((patch.color, patch.shape) for patch in patches)
        shapes = Counter(patch.shape for patch in patches)
        objects = example.request.objects
        asked = Counter((wanted.color, wanted.shape) for wanted in objects)
        has_shapes = Counter(wanted.shape for wanted in objects) <= shapes
        if example.kind == "single":
            hits["single_object"].append(has_shapes)
            hits["colors"].append(asked <= shown)
        elif example.kind == "count":
            hits["counting"].append(all(shown[pair] == count for pair, count in asked.items()))
        elif example.request.relation is not None:
            hits["position"].append(relation_shown(picture, example.request))
        if len(asked) == len(objects) == 2:
            hits["two_object"].append(has_shapes)
            hits["color_attr"].append(asked <= shown)
    return {name: rate(of_name) for name, of_name in hits.items()}
