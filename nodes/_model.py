"""GOT_MODEL: a checkpoint whose parts ComfyUI moves between devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..got_models.adapter import Adapter, change_part, special_token_ids
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


class AdaptedModel(ManagedModel):
    """A checkpoint that has taken up an adapter; the model it is made from stays as it is.

    The parts that the adapter changes are its own, loaded when they are first used. All others, and those
    whose strength is 0, are the base's, so that they are in memory once. The base may be adapted itself.
    """

    def __init__(
        self, base: ManagedModel, adapter: Adapter, mllm_strength: float, unet_strength: float
    ) -> None:
        super().__init__(
            base.path,
            base.settings,
            base.device,
            base.dtype,
            mllm_bits=base.mllm_bits,
            unet_fp8=base.unet_fp8,
        )
        self.base = base
        self.adapter = adapter
        self.strengths = {"mllm": mllm_strength, "projectors": mllm_strength, "unet": unet_strength}

    def make_room_for(self, size: tuple[int, int]) -> None:
        super().make_room_for(size)
        self.base.make_room_for(size)

    @property
    def reasoner(self) -> Reasoner:
        return super().reasoner if self._owns("mllm") else self.base.reasoner

    @property
    def ssgm(self) -> SemanticSpatialGuidance:
        return super().ssgm if self._owns("projectors") else self.base.ssgm

    @property
    def unet(self) -> UNet2DConditionModel:
        return super().unet if self._owns("unet") else self.base.unet

    @property
    def vae(self) -> AutoencoderKL:
        return self.base.vae

    @property
    def scaling_factor(self) -> float:
        return self.base.scaling_factor

    def _owns(self, part: str) -> bool:
        return self.strengths[part] != 0 and any(name.startswith(f"{part}.") for name in self.adapter.tensors)

    def _load(self, part_class: Any, name: str, dtype: torch.dtype) -> Any:
        """Whole and changed, before it is rounded to fewer bits."""
        return self._changed(name, self.base._load(part_class, name, dtype))

    def _load_projectors(self) -> SemanticSpatialGuidance:
        projectors: SemanticSpatialGuidance = self._changed("projectors", self.base._load_projectors())
        return projectors

    def _changed(self, part: str, module: Any) -> Any:
        if not self._owns(part):
            return module
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.path / "processor", local_files_only=True)
        change_part(part, module, self.adapter, self.strengths[part], special_token_ids(tokenizer))
        return module
