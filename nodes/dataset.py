"""GoT Dataset: a folder of the user's pictures with their plans."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ..got_models.dataset.rows import CACHE_FOLDER, DATA_FILE
from ..got_models.files.linked_files import files_below
from ._comfy.feedback import stop_if_interrupted
from ._comfy.folders import dataset_folder
from ._inputs import checked, state

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from ..got_models.dataset.rows import Dataset

STOP, LEAVE_OUT = "stop", "leave out"


@checked
class GoTDataset:
    DESCRIPTION = (
        "Opens your own pictures for training: a folder with pictures and a file data.jsonl that gives each "
        "one a prompt and a plan. Every row is checked, and the report names the rows that cannot be used."
    )
    CATEGORY = "GoT/training"
    SEARCH_ALIASES = ("dataset", "training data")
    RETURN_TYPES = ("GOT_DATASET", "STRING", "IMAGE")
    RETURN_NAMES = ("dataset", "report", "preview")
    OUTPUT_TOOLTIPS = (
        "The rows that can be used.",
        "How many rows can be used, and for each of the others its line and the reason.",
        "The first pictures, each with its plan drawn over it.",
    )
    FUNCTION = "open"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "folder": (
                    "STRING",
                    {
                        "default": "dataset",
                        "tooltip": "The folder that holds data.jsonl and the pictures: its name in ComfyUI's "
                        "input folder, or a full path.",
                    },
                ),
                "bad_rows": (
                    [STOP, LEAVE_OUT],
                    {
                        "default": STOP,
                        "tooltip": "What to do with rows that cannot be used. stop: report which and why, "
                        "and stop. leave out: continue with the others.",
                    },
                ),
                "preview_rows": (
                    "INT",
                    {
                        "default": 12,
                        "min": 1,
                        "max": 64,
                        "tooltip": "How many pictures the preview shows.",
                    },
                ),
            }
        }

    @classmethod
    def IS_CHANGED(cls, folder: str | None, **_: Any) -> str:
        """Pictures may change while the inputs stay the same."""
        return state(lambda folder: times_and_sizes(dataset_folder(folder)), folder)

    def open(self, folder: str, bad_rows: str, preview_rows: int) -> tuple[Dataset, str, Tensor]:
        from ..got_models.dataset.rows import read_dataset
        from ..got_models.dataset.summary import preview
        from ._images import pictures_to_image

        def on_row(rows: int) -> None:
            stop_if_interrupted()

        dataset = read_dataset(dataset_folder(folder), on_row)
        dataset = dataset.usable(leave_out_bad_rows=bad_rows == LEAVE_OUT)
        return dataset, dataset.report(), pictures_to_image([preview(dataset, preview_rows)])


def times_and_sizes(folder: Path) -> str:
    """A digest of all files' times and sizes in a dataset's folder, except for the encoding cache.

    Empty for a folder that is not a dataset, which could be a whole disk.
    """
    if not (folder / DATA_FILE).is_file():
        return ""
    files = [path for path in files_below(folder) if CACHE_FOLDER not in path.parts]
    content = [f"{path} {path.stat().st_mtime_ns} {path.stat().st_size}" for path in files]
    return hashlib.sha256("\n".join(content).encode(errors="backslashreplace")).hexdigest()
