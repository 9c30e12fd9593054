"""The bundled datasets, which are read and never changed: the next update would mix with what was written."""

from __future__ import annotations

import os
from pathlib import Path

from ..constants import LESSONS
from ..errors import GoTError


def check_not_bundled(place: Path) -> None:
    """
    Args:
        place: a file or a folder that is to be written to.

    Raises:
        GoTError: it `is_bundled`.
    """
    if is_bundled(place):
        raise GoTError(
            f"{place} is bundled with this pack and is not to be changed. Copy its folder, in ComfyUI into "
            "the input folder, and name the copy."
        )


def is_bundled(place: Path) -> bool:
    """Whether a file or a folder, which need not exist, is among the bundled datasets, also by a link."""
    real = Path(os.path.realpath(place))
    return any(_is_same(folder, LESSONS) for folder in (real, *real.parents))


def _is_same(one: Path, other: Path) -> bool:
    """Also where a system takes capitals and small letters for the same."""
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)
