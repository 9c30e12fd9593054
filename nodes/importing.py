"""Importing the published GoT-6B: its folders, downloaded if requested, become a checkpoint in models/got."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..got_models.constants import STORED_DTYPES
from ._comfy.feedback import progress_bar, show_text, stop_if_interrupted
from ._comfy.folders import new_checkpoint_folder, published_folder
from ._inputs import ExternalChanges, checked, state

imports = ExternalChanges(lambda name: new_checkpoint_folder(name).is_dir())


@checked
class GoTImportCheckpoint:
    DESCRIPTION = (
        "Imports GoT-6B, the large general-purpose model: downloads it if requested, and assembles a "
        "checkpoint from its parts. Run it once; if it is stopped, run it again and it resumes. Then "
        "refresh the page and choose the checkpoint in GoT Model Loader."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("convert checkpoint", "download model", "install model", "got-6b")
    RETURN_TYPES = ("STRING",)
    RETURN_NAMES = ("checkpoint",)
    OUTPUT_TOOLTIPS = ("The checkpoint's name, as GoT Model Loader lists it.",)
    FUNCTION = "import_checkpoint"
    OUTPUT_NODE = True

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "source": (
                    "STRING",
                    {
                        "default": "downloads",
                        "tooltip": "The folder that holds GoT-6B, Qwen2.5-VL-3B-Instruct and "
                        "stable-diffusion-xl-base-1.0: its name in models/got, or a full path.",
                    },
                ),
                "name": (
                    "STRING",
                    {
                        "default": "GoT-6B-imported",
                        "tooltip": "The name of the new checkpoint: its folder in models/got.",
                    },
                ),
                "dtype": (
                    list(STORED_DTYPES),
                    {
                        "default": STORED_DTYPES[0],
                        "tooltip": "Number format of the weights on disk. bfloat16 and float16: about 13 GB. "
                        "float32: twice as much, and as published.",
                    },
                ),
                "download": (
                    "BOOLEAN",
                    {
                        "default": False,
                        "tooltip": "First download what is missing in the source folder from "
                        "huggingface.co: 28 GB. The source must then be a name in models/got.",
                    },
                ),
            },
            "optional": {
                "qwen": (
                    "STRING",
                    {
                        "default": "",
                        "advanced": True,
                        "tooltip": "Where Qwen2.5-VL-3B-Instruct is, if not in the source folder.",
                    },
                ),
                "sdxl": (
                    "STRING",
                    {
                        "default": "",
                        "advanced": True,
                        "tooltip": "Where stable-diffusion-xl-base-1.0 is, if not in the source folder.",
                    },
                ),
            },
            "hidden": {"node_id": "UNIQUE_ID"},
        }

    @classmethod
    def IS_CHANGED(cls, name: str | None, **_: Any) -> str:
        """Detects that the checkpoint has been deleted, so that it is imported again."""
        return state(imports.count, name)

    def import_checkpoint(
        self,
        source: str,
        name: str,
        dtype: str,
        download: bool,
        qwen: str = "",
        sdxl: str = "",
        node_id: str | None = None,
    ) -> tuple[str]:
        destination = new_checkpoint_folder(name)
        # A workflow may come from anywhere: its downloads must stay in the folder for models.
        folder = new_checkpoint_folder(source) if download else published_folder(source)
        others = [published_folder(text) if text else None for text in (qwen, sdxl)]
        from ..got_models.files.staging import is_imported
        from ..got_models.importing.convert import import_checkpoint
        from ..got_models.importing.download import download as fetch
        from ..got_models.importing.folders import find_folders

        if not is_imported(destination, dtype):
            if download:
                fetch(folder, _reporter("Downloading", node_id))
            folders = find_folders(folder, *others)
            import_checkpoint(folders, destination, dtype, on_progress=_reporter("Importing", node_id))
        imports.done(name)
        show_text(f"{name} is ready: refresh the page and choose it in GoT Model Loader.", node_id)
        return (name,)


def _reporter(work: str, node_id: str | None) -> Callable[[int, int], None]:
    """Shows the progress in bytes on the node, and stops the work when the user asks."""
    bar: Callable[[int, Any], None] | None = None

    def report(done: int, total: int) -> None:
        nonlocal bar
        stop_if_interrupted()
        bar = bar or progress_bar(total)
        bar(done, None)
        show_text(f"{work}: {done / 1e9:.1f} of {total / 1e9:.1f} GB", node_id)

    return report
