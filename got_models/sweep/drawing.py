"""Drawing one plan with every pair of values of two axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image

from ..diffusion.settings import SamplingSettings
from ..errors import GoTError
from .axes import ADAPTER, Axis
from .grid import labelled_grid

MOST_PICTURES = 100


@dataclass(frozen=True)
class Swept:
    """The pictures by row, and the captions below them."""

    across: Axis
    down: Axis | None
    pictures: list[list[Image.Image]]
    captions: list[list[str]]

    def sheet(self) -> Image.Image:
        """All pictures on one sheet, with the values beside them."""
        rows = self.down.labels if self.down else [""]
        return labelled_grid(self.pictures, self.across.labels, rows, self.captions)


def sweep(
    draw: Callable[[SamplingSettings], Image.Image],
    settings: SamplingSettings,
    across: Axis,
    down: Axis | None = None,
    caption: Callable[[Image.Image], str] | None = None,
    set_strength: Callable[[float], None] | None = None,
) -> Swept:
    """Draws with every value of one or two axes.

    Args:
        settings: the rest; with scales.
        caption: what is written below a picture, such as the judge's score.
        set_strength: gives the adapter another strength, for what is drawn from then on; None: there is none.

    Raises:
        GoTError: the same setting on both axes, too many pictures, or no adapter to vary.
    """
    check_axes(across, down)

    def each(axis: Axis | None, settings: SamplingSettings) -> Iterator[SamplingSettings]:
        if axis is None:
            yield settings
            return
        for number, value in enumerate(axis.values):
            if axis.name == ADAPTER:
                if set_strength is None:
                    raise GoTError("There is no adapter whose strength could vary.")
                set_strength(value)
            yield axis.applied(number, settings)

    pictures, captions = [], []
    for row in each(down, settings):
        drawn = [draw(one) for one in each(across, row)]
        pictures.append(drawn)
        captions.append([caption(picture) if caption else "" for picture in drawn])
    return Swept(across, down, pictures, captions)


def check_axes(across: Axis, down: Axis | None) -> None:
    """Raises a GoTError if two axes cannot make a grid together."""
    if down is None:
        return
    if down.name == across.name:
        raise GoTError(f"Both axes vary {across.name}: choose another setting for one of them.")
    count = len(across.values) * len(down.values)
    if count > MOST_PICTURES:
        raise GoTError(f"A grid has at most {MOST_PICTURES} pictures; these values make {count}.")
