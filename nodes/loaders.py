"""The loader: a checkpoint folder becomes a GOT_MODEL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..got_models.constants import DTYPES
from ..got_models.weights.quantization import check_library
from ._comfy.folders import checkpoint_folder, checkpoint_names
from ._comfy.memory import choose_dtype
from ._inputs import checked, rejection

if TYPE_CHECKING:
    from ._model import ManagedModel

FULL = "full"
LANGUAGE_MODELS = {FULL: None, "8-bit": 8, "4-bit": 4}
UNET_WEIGHTS = {FULL: False, "fp8": True}


@checked
class GoTModelLoader:
    DESCRIPTION = (
        "Opens a GoT checkpoint: a language model that plans the picture, and a diffusion model that "
        "draws it. The folder is checked at once; each part loads on first use, and is offloaded when "
        "another model needs the graphics memory."
    )
    CATEGORY = "GoT"
    SEARCH_ALIASES = ("got", "chain of thought", "layout model")
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
                        "folders in models/got, each with a got.json inside; GoT Import Checkpoint gets "
                        "GoT-6B."
                    },
                ),
                "dtype": (
                    list(DTYPES),
                    {
                        "advanced": True,
                        "tooltip": "Number format of the weights. auto: bfloat16 or float16 if the "
                        "graphics card supports it well, otherwise float32. float32 takes twice the "
                        "memory and fixes black pictures.",
                    },
                ),
            },
            "optional": {
                "language_model": (
                    list(LANGUAGE_MODELS),
                    {
                        "advanced": True,
                        "tooltip": "How the language model's weights are stored in memory. 8-bit needs "
                        "little more than half the memory, 4-bit a third, but requires the library "
                        "bitsandbytes. Plans get slightly worse, and 8-bit is slower.",
                    },
                ),
                "unet_weights": (
                    list(UNET_WEIGHTS),
                    {
                        "advanced": True,
                        "tooltip": "How the UNet's weights are stored in memory. fp8 needs half the "
                        "memory of bfloat16, is a little slower, and costs a little quality.",
                    },
                ),
            },
        }

    @classmethod
    def VALIDATE_INPUTS(cls, checkpoint: str | None) -> bool | str:
        """Declares a single input: ComfyUI repeats the error for each declared input."""
        return rejection(checkpoint_folder, checkpoint)

    def load(
        self, checkpoint: str, dtype: str, language_model: str = FULL, unet_weights: str = FULL
    ) -> tuple[ManagedModel]:
        folder, bits = checkpoint_folder(checkpoint), LANGUAGE_MODELS[language_model]
        if bits:
            check_library(bits)
        from ._model import ManagedModel

        fp8 = UNET_WEIGHTS[unet_weights]
        return (ManagedModel.open(folder, choose_dtype(dtype), mllm_bits=bits, unet_fp8=fp8),)
