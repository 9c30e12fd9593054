"""The loader: a checkpoint folder becomes a GOT_MODEL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._comfy import DTYPES, checkpoint_folder, checkpoint_names, choose_dtype, validate_checkpoint

if TYPE_CHECKING:
    from ._model import ManagedModel


class GoTModelLoader:
    DESCRIPTION = (
        "Opens a GoT checkpoint: a language model that plans the picture, and a diffusion model that draws "
        "it. The folder is checked at once; each part loads when it is first used, and leaves the graphics "
        "card when another model needs the room."
    )
    CATEGORY = "GoT"
    RETURN_TYPES = ("GOT_MODEL",)
    RETURN_NAMES = ("model",)
    OUTPUT_TOOLTIPS = ("The checkpoint, for GoT Reason, SSGM Encode and GoT Sampler.",)
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "checkpoint": (
                    checkpoint_names(),
                    {
                        "tooltip": "The bundled model draws simple shapes and runs anywhere. Others are "
                        "folders in models/got, each with a got.json inside."
                    },
                ),
                "dtype": (
                    DTYPES,
                    {
                        "tooltip": "Number format of the weights. auto: bfloat16 or float16 where the card "
                        "is good at it, else float32. float32 takes twice the memory and is the remedy for "
                        "black pictures."
                    },
                ),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, checkpoint: str | None) -> bool | str:
        return validate_checkpoint(checkpoint)

    def load(self, checkpoint: str, dtype: str) -> tuple[ManagedModel]:
        folder = checkpoint_folder(checkpoint)
        from ..got_models.checkpoint import check
        from ._model import ManagedModel

        return (ManagedModel(folder, check(folder), "cpu", choose_dtype(dtype)),)
