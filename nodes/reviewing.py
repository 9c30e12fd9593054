"""GoT Review Dataset: a person steps through the rows of a dataset in the page's chain editor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..got_models.annotation.output import REJECTED_FILE, REVIEW_FILE
from ..got_models.dataset.rows import DATA_FILE
from ._inputs import checked, state, time_and_size
from ._review import ACCEPTED, DOUBTFUL, allow, reviewed_folder


@checked
class GoTReviewDataset:
    DESCRIPTION = (
        "Steps through the rows of a dataset in the chain editor, with the picture behind the boxes: accept, "
        "change or reject each with a key. Every decision is written at once."
    )
    CATEGORY = "GoT/training"
    SEARCH_ALIASES = ("review", "review dataset", "annotation review", "label pictures", "check captions")
    RETURN_TYPES = ("STRING", "STRING", "INT", "INT")
    RETURN_NAMES = ("folder", "report", "doubtful", "accepted")
    OUTPUT_TOOLTIPS = (
        "The folder, for GoT Dataset.",
        "How many rows are left to decide on, and the first of them with the reasons.",
        "How many rows of review.jsonl nobody has decided on.",
        "How many rows data.jsonl holds; several prompts for one plan count as one.",
    )
    FUNCTION = "review"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "folder": (
                    "STRING",
                    {
                        "default": "dataset",
                        "tooltip": "The folder of the dataset: its name in ComfyUI's input folder, or a full "
                        "path.",
                    },
                ),
                "rows": (
                    [DOUBTFUL, ACCEPTED],
                    {
                        "default": DOUBTFUL,
                        "tooltip": "Which rows to step through. doubtful: those in review.jsonl, which wait "
                        "for a decision. accepted: those in data.jsonl, which are trained on.",
                    },
                ),
            }
        }

    @classmethod
    def IS_CHANGED(cls, folder: str | None, **_: Any) -> str:
        """Decisions change the files while the inputs stay the same."""
        return state(_times_and_sizes, folder)

    def review(self, folder: str, rows: str) -> dict[str, Any]:
        from ..got_models.annotation.review import report, review
        from ..got_models.annotation.revision import revision

        path = reviewed_folder(folder)
        allow(folder)
        with review(path) as current:
            doubtful = sum(1 for _ in current.rows())
        with revision(path) as accepted_rows:
            accepted = sum(1 for _ in accepted_rows.rows())
        said = f"{doubtful} doubtful, {accepted} accepted.\n{report(path)}".strip()
        return {"ui": {"reviewed": [folder]}, "result": (str(path), said, doubtful, accepted)}


def _times_and_sizes(folder: str) -> list[tuple[int, int]]:
    files = [Path(reviewed_folder(folder), name) for name in (DATA_FILE, REVIEW_FILE, REJECTED_FILE)]
    return [time_and_size(file) for file in files if file.is_file()]
