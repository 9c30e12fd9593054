"""GOT_MODEL: a checkpoint whose parts ComfyUI moves between devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..got_models.checkpoint import CheckpointSettings
from ..got_models.guidance import BRANCHES
from ..got_models.model import GoTModel
from . import _comfy

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from ..got_models.reasoner import Reasoner
    from ..got_models.ssgm import SemanticSpatialGuidance

# What a part needs besides its weights: values per pixel of the picture, as ComfyUI reckons for SDXL.
UNET_VALUES = 132  # for each branch
VAE_VALUES = 2178


class ManagedModel(GoTModel):
    """A GoTModel whose parts are brought to their device whenever they are asked for.

    Nothing else keeps them there: ComfyUI takes a part off the card when another model needs the room, for
    instance the MLLM while the UNet draws.
    """

    def __init__(
        self,
        path: Path,
        settings: CheckpointSettings,
        device: torch.device | str,
        dtype: torch.dtype,
        **savings: Any,
    ) -> None:
        super().__init__(path, settings, device, dtype, **savings)
        self._patchers: dict[str, Any] = {}
        self._pixels = 0

    def make_room_for(self, size: tuple[int, int]) -> None:
        """Say at which (height, width), in pixels, the parts will work next."""
        self._pixels = size[0] * size[1]

    @property
    def reasoner(self) -> Reasoner:
        reasoner = super().reasoner
        self._bring("reasoner", "language", reasoner.mllm)
        return reasoner

    @property
    def ssgm(self) -> SemanticSpatialGuidance:
        return self._bring("ssgm", "language", super().ssgm)

    @property
    def unet(self) -> UNet2DConditionModel:
        unet = super().unet
        values = UNET_VALUES * len(BRANCHES) * self._pixels
        return self._bring("unet", "unet", unet, values * unet.dtype.itemsize)

    @property
    def vae(self) -> AutoencoderKL:
        vae = super().vae
        return self._bring("vae", "vae", vae, VAE_VALUES * self._pixels * vae.dtype.itemsize)

    def branches_at_once(self, size: tuple[int, int]) -> int:
        """As many as there is memory for, beside what is on the UNet's device already."""
        unet = self.unet
        each = UNET_VALUES * size[0] * size[1] * unet.dtype.itemsize
        return int(max(1, min(len(BRANCHES), _comfy.free_memory(unet.device) / each)))

    @property
    def scaling_factor(self) -> float:
        """The VAE's, which stays where it is."""
        factor: float = super().vae.config["scaling_factor"]
        return factor

    def _bring(self, name: str, part: str, module: Any, working_memory: int = 0) -> Any:
        if name not in self._patchers:
            self._patchers[name] = _comfy.managed(module, part)
        _comfy.bring(self._patchers[name], working_memory)
        if "reasoner" in vars(self):  # it may have had to leave the card: then what it has read goes too
            super().reasoner.cache.release_if_moved()
        return module
