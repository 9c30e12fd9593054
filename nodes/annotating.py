"""GoT Annotate: a folder of pictures becomes a dataset, written by a model that looks at them."""

from __future__ import annotations

import hashlib
import os
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..got_models.errors import GoTError
from ..got_models.files.linked_files import each_file_below
from ..got_models.notes import Note
from ._comfy.feedback import progress_bar, stop_if_interrupted
from ._comfy.folders import dataset_folder, language_model_folder, language_model_names
from ._comfy.language_model import CAN_LOOK, write
from ._inputs import ExternalChanges, checked, rejection, state
from ._plans import notes_ui
from .planning import NONE

if TYPE_CHECKING:
    from PIL import Image

    from ..got_models.annotation.annotator import Annotator
    from ..got_models.annotation.run import Progress
    from ..got_models.chain.planner import Size
    from ._model import ManagedModel

MOST_FILES = 20_000
"""How many files are looked at to see whether a folder has changed, which could be a whole disk."""
LONGEST_ANSWER = 1024  # tokens


@checked
class GoTAnnotate:
    DESCRIPTION = (
        "Makes a dataset out of a folder of pictures: a model that looks at them writes a prompt and a plan "
        "for each. What is doubtful is kept apart, with the reasons. Stop it whenever you like: the next run "
        "goes on where it was."
    )
    CATEGORY = "GoT/training"
    SEARCH_ALIASES = ("annotate", "caption", "auto caption", "tagger", "label pictures", "grounding", "coco")
    RETURN_TYPES = ("STRING", "STRING", "INT", "INT")
    RETURN_NAMES = ("folder", "report", "annotated", "doubtful")
    OUTPUT_TOOLTIPS = (
        "The folder, for GoT Dataset.",
        "How many pictures were annotated, and the first doubtful ones with the reasons.",
        "How many pictures and pairs this run has put into data.jsonl.",
        "How many pictures and pairs this run has put into review.jsonl.",
    )
    FUNCTION = "annotate"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "folder": (
                    "STRING",
                    {
                        "default": "dataset",
                        "tooltip": "The folder that holds the pictures: its name in ComfyUI's input folder, "
                        "or a full path. Pairs of an edit are listed in its pairs.jsonl.",
                    },
                ),
            },
            "optional": {
                "model": (
                    "GOT_MODEL",
                    {"tooltip": "A GoT checkpoint that was taught to describe and to locate."},
                ),
                "clip": (
                    "CLIP",
                    {"tooltip": f"In place of 'model', a language model that can look: {CAN_LOOK}."},
                ),
                "language_model": (
                    [NONE, *language_model_names()],
                    {
                        "tooltip": "In place of 'model' and 'clip': a whole folder of Qwen2.5-VL or "
                        "Qwen3-VL, as published, in models/LLM. 'none': the one that is connected."
                    },
                ),
            },
        }

    @classmethod
    def VALIDATE_INPUTS(cls, language_model: str | None = NONE) -> bool | str:
        """Declares a single input: ComfyUI repeats the error for each declared input."""
        return language_model == NONE or rejection(language_model_folder, language_model)

    @classmethod
    def IS_CHANGED(cls, folder: str | None, **_: Any) -> str:
        """Detects new pictures, and that rows have been changed or removed."""
        return state(annotated.count, folder)

    def annotate(
        self, folder: str, model: ManagedModel | None = None, clip: Any = None, language_model: str = NONE
    ) -> dict[str, Any]:
        from ..got_models.annotation.review import report
        from ..got_models.annotation.run import annotate_folder

        path = dataset_folder(folder)
        annotator = self._annotator(model, clip, language_model)
        done = annotate_folder(path, annotator, on_progress=_Bar())
        annotated.done(folder)
        kept = done.done - done.doubtful
        said = f"{done.done} annotated, {done.doubtful} of them doubtful.\n{report(path)}".strip()
        notes = [Note("annotated", done=str(done.done), doubtful=str(done.doubtful))]
        return {"ui": notes_ui(notes), "result": (str(path), said, kept, done.doubtful)}

    def _annotator(self, model: ManagedModel | None, clip: Any, language_model: str) -> Annotator:
        """The one model that is given.

        Raises:
            GoTError: there is none, or there are two.
        """
        given = (model is not None) + (clip is not None) + (language_model != NONE)
        if given != 1:
            raise GoTError(
                f"{'Several models are' if given else 'No model is'} given to annotate. Connect either "
                f"'model' or 'clip' ({CAN_LOOK}), or choose a folder in 'language_model'."
            )
        from ..got_models.annotation.local import CheckpointAnnotator, StockAnnotator

        if model is not None:
            return CheckpointAnnotator(model, stop_if_interrupted)
        if clip is not None:
            return ClipAnnotator(clip)
        from ._stock import held

        self._stock = held(language_model_folder(language_model))  # held by the node, as in GoT Plan
        return StockAnnotator(self._stock.ready(), language_model, stop_if_interrupted)


class ClipAnnotator:
    """A language model of ComfyUI's that looks. All that can, and that locate, count thousandths."""

    name = "the language model of 'clip'"
    coordinates = "thousandths"
    follows_instructions = True
    tokens = 0

    def __init__(self, clip: Any) -> None:
        self._clip = clip

    def size_shown(self, picture: Image.Image) -> Size:
        return picture.size

    def answer(self, question: str, picture: Image.Image | None = None) -> str:
        from ._images import pictures_to_image

        return write(
            self._clip,
            question,
            None if picture is None else pictures_to_image([picture]),
            seed=0,
            temperature=0.0,
            max_new_tokens=LONGEST_ANSWER,
            on_text=lambda text: None,
        )


class _Bar:
    """Shows how far the annotation is, and stops it between two pictures."""

    def __call__(self, progress: Progress) -> None:
        stop_if_interrupted()
        if progress.total:
            progress_bar(progress.total)(progress.done, None)


def _files(folder: str) -> str:
    """A digest of the times and sizes of a folder's first files, without hidden ones."""
    digest = hashlib.sha256()
    for path in islice(each_file_below(dataset_folder(folder)), MOST_FILES):
        if not os.path.basename(path).startswith("."):
            status = os.stat(path)
            digest.update(f"{path} {status.st_mtime_ns} {status.st_size}\n".encode(errors="backslashreplace"))
    return digest.hexdigest()


annotated = ExternalChanges(_files)
