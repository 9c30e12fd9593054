"""GoT with ComfyUI's own samplers: the UNet as a MODEL, the VAE as a VAE, the multi-guidance as a GUIDER.

Code that needs ComfyUI is in `_native/`, imported when a node runs.
"""

from __future__ import annotations

from typing import Any

from ..got_models.constants import SPEEDS
from ._comfy.folders import checkpoint_folder, checkpoint_names
from ._inputs import checked, rejection
from ._speed import AUTO, sampling_settings
from .guidance import EncodedPlan, scale_widgets

WEIGHT_DTYPES = ("default", "float32", "float16", "bfloat16", "fp8_e4m3fn", "fp8_e5m2")


@checked
class GoTNativeModelLoader:
    """A checkpoint's UNet and VAE, in ComfyUI's own classes."""

    CATEGORY = "GoT/native"
    SEARCH_ALIASES = ("got unet", "layout model")
    DESCRIPTION = (
        "Loads a GoT checkpoint's UNet and VAE the way ComfyUI loads SDXL, so that its samplers, schedulers, "
        "LoRA loaders and previews work with them. Draw with GoT Guider and SamplerCustomAdvanced, "
        "or with KSampler and the conditioning of SSGM Encode."
    )
    RETURN_TYPES = ("MODEL", "VAE")
    RETURN_NAMES = ("model", "vae")
    OUTPUT_TOOLTIPS = (
        "The UNet: for LoRA loaders, GoT Guider and any sampler.",
        "The VAE: for VAE Decode and VAE Encode.",
    )
    FUNCTION = "load"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "checkpoint": (
                    checkpoint_names(),
                    {"tooltip": "A folder in models/got, or the small model that comes with the pack."},
                ),
                "weight_dtype": (
                    list(WEIGHT_DTYPES),
                    {
                        "default": WEIGHT_DTYPES[0],
                        "advanced": True,
                        "tooltip": "How the UNet's weights are stored in memory. default: ComfyUI's "
                        "choice for this card. The fp8 types need half the memory of float16 and cost a "
                        "little quality.",
                    },
                ),
            }
        }

    @classmethod
    def VALIDATE_INPUTS(cls, checkpoint: str | None) -> bool | str:
        return rejection(checkpoint_folder, checkpoint)

    def load(self, checkpoint: str, weight_dtype: str) -> tuple[Any, Any]:
        from ._native.sdxl import load

        return load(checkpoint_folder(checkpoint), weight_dtype)


@checked
class GoTGuider:
    """The four branches of GoT's multi-guidance, for ComfyUI's custom samplers."""

    CATEGORY = "GoT/native"
    SEARCH_ALIASES = ("cfg guider", "multi guidance", "native")
    DESCRIPTION = (
        "Guides ComfyUI's custom samplers by the plan's meaning, by its boxes and by the reference "
        "picture, each with its own strength. Only what the strengths need is computed. Connect it to "
        "SamplerCustomAdvanced."
    )
    RETURN_TYPES = ("GUIDER", "SAMPLER", "SIGMAS")
    RETURN_NAMES = ("guider", "sampler", "sigmas")
    OUTPUT_TOOLTIPS = (
        "For SamplerCustomAdvanced.",
        "The sampler of the speed, for SamplerCustomAdvanced; or use another.",
        "The steps of the speed, for SamplerCustomAdvanced; or use another scheduler's.",
    )
    FUNCTION = "guide"

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {
            "required": {
                "model": (
                    "MODEL",
                    {"tooltip": "From GoT Native Model Loader; LoRA loaders may come in between."},
                ),
                "guidance": ("GOT_GUIDANCE", {"tooltip": "From SSGM Encode, of the same checkpoint."}),
                **scale_widgets(),
            },
            "optional": {
                "speed": (
                    [AUTO, *SPEEDS],
                    {
                        "default": AUTO,
                        "tooltip": "What the outputs sampler and sigmas hold, and when the guider compares "
                        "branches. exact: as published, 50 steps of ddpm. fast: 8 steps of euler, the last "
                        "two of one branch. fastest: 4 steps of euler, all of one branch, with a distilled "
                        "LoRA on the model. auto: the checkpoint's own speed.",
                    },
                )
            },
        }

    def guide(
        self,
        model: Any,
        guidance: EncodedPlan,
        semantic_scale: float,
        spatial_scale: float,
        reference_scale: float,
        speed: str = AUTO,
    ) -> tuple[Any, Any, Any]:
        from ._native.guider import make_guider, sampler_and_sigmas, settings_of

        scales = guidance.scales(semantic_scale, spatial_scale, reference_scale)
        settings = settings_of(model, guidance, sampling_settings(scales, 0, 0, AUTO, speed))
        guider = make_guider(model, guidance.guidance, settings)
        return (guider, *sampler_and_sigmas(model, settings))
