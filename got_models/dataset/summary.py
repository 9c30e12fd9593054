"""A dataset in figures, and as a sheet of pictures with their plans."""

from __future__ import annotations

from collections import Counter
from statistics import mean

from PIL import Image

from ..chain.layout import contact_sheet, draw_layout, side_by_side
from ..pictures import open_picture
from .buckets import nearest_bucket
from .rows import Dataset, Row


def statistics(dataset: Dataset, resolution_px: int) -> dict[str, str]:
    """Name -> figure, in display order."""
    rows = dataset.rows
    boxes = [len(row.chain.regions) for row in rows]
    contents = Counter((row.image.digest, row.chain.prompt, row.chain.text) for row in rows)
    buckets = Counter(nearest_bucket(row.image.width, row.image.height, resolution_px) for row in rows)
    figures = {
        "usable rows": str(len(rows)),
        "bad rows": str(len(dataset.invalid)),
        "generations": str(sum(row.source is None for row in rows)),
        "edits": str(sum(row.source is not None for row in rows)),
        "rows that repeat another": str(len(rows) - len(contents)),
        "content digest": dataset.digest[:16],
    }
    if rows:
        figures |= {
            "boxes per chain": f"{min(boxes)} to {max(boxes)}, mean {mean(boxes):.1f}",
            "chains without boxes": str(boxes.count(0)),
            "characters per prompt": f"mean {mean(len(row.chain.prompt) for row in rows):.0f}",
            "characters per chain": f"mean {mean(len(row.chain.text) for row in rows):.0f}",
            "shorter side of the pictures": f"{min(short_side(row) for row in rows)} pixels at least",
        }
    for (height, width), count in sorted(buckets.items()):
        figures[f"trained at {width} x {height}"] = str(count)
    return figures


def short_side(row: Row) -> int:
    """The short side of the picture to draw, in pixels."""
    return min(row.image.width, row.image.height)


def preview(dataset: Dataset, count: int) -> Image.Image:
    """A sheet of the first `count` rows: each picture under its plan, in edits next to the source."""
    cells = []
    for row in dataset.rows[:count]:
        layout = draw_layout(row.chain, open_picture(row.image.path), (row.image.width, row.image.height))
        picture = side_by_side(open_picture(row.source.path), layout) if row.source else layout
        cells.append((row.chain.prompt, picture))
    return contact_sheet(cells)
