"""GOT_MODEL: a checkpoint whose parts ComfyUI moves between devices, and which adapters change meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..got_models.adapter import Adapter, check_strengths, special_token_ids
from ..got_models.changing import Reversible
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
ADAPTER_PARTS = {"reasoner": "mllm", "ssgm": "projectors", "unet": "unet"}


class Applied(NamedTuple):
    """An adapter and the strength at which a part has taken it up."""

    adapter: Adapter
    strength: float


class ManagedPart:
    """A part of a checkpoint in memory, which all models of the checkpoint share.

    Its weights are those of the model that has asked for it last. Adapters change it on its device, and what
    they change is kept in the CPU's memory as it was, until another model asks or the part leaves its device.
    """

    def __init__(self, part: Any, name: str) -> None:
        self.part = part
        self.module = part.mllm if name == "reasoner" else part
        kind = name if name in ("unet", "vae") else "language"
        self.patcher = _comfy.managed(self.module, kind)
        self._weights = Reversible(self.module)
        self._applied: list[Applied] = []
        self._device: torch.device | None = None  # where they were applied

    def bring(self, working_memory: int) -> None:
        """To its device, with room for so many bytes."""
        _comfy.bring(self.patcher, working_memory)

    def become(self, part: str, applied: list[Applied], special_tokens: list[int]) -> bool:
        """Take up these adapters, in this order, and no others; whether that changed anything."""
        if applied == self._applied:
            return False
        self.give_back()
        for adapter, strength in applied:
            self._weights.take_up(adapter.changes(part, strength, special_tokens))
        self._applied, self._device = applied, self._now_on()
        return True

    def give_back(self) -> None:
        """The weights of the checkpoint."""
        self._applied = []
        self._weights.give_back()

    def give_back_if_moved(self) -> None:
        """Where another part has taken its place on the device, keep in memory no weight twice."""
        if self._applied and self._now_on() != self._device:
            self.give_back()

    def _now_on(self) -> torch.device:
        device: torch.device = next(self.module.parameters()).device
        return device


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
        self._parts: dict[str, ManagedPart] = {}
        self._pixels = 0

    def make_room_for(self, size: tuple[int, int]) -> None:
        """Say at which (height, width), in pixels, the parts will work next."""
        self._pixels = size[0] * size[1]

    @property
    def reasoner(self) -> Reasoner:
        reasoner: Reasoner = self.part("reasoner")
        return reasoner

    @property
    def ssgm(self) -> SemanticSpatialGuidance:
        ssgm: SemanticSpatialGuidance = self.part("ssgm")
        return ssgm

    @property
    def unet(self) -> UNet2DConditionModel:
        unet: UNet2DConditionModel = self.part("unet")
        return unet

    @property
    def vae(self) -> AutoencoderKL:
        vae: AutoencoderKL = self.part("vae")
        return vae

    @property
    def patcher(self) -> Any:
        """Tells ComfyUI's cache that a GOT_MODEL holds weights: outputs that it drops first in need."""
        return next((part.patcher for part in self._parts.values()), None)

    def part(self, name: str, *adapted: AdaptedModel) -> Any:
        """A part on its device, as it is after the adapters of these models, one after the other.

        Args:
            name: "reasoner", "ssgm", "unet" or "vae".
        """
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = ManagedPart(getattr(super(), name), name)
        part.bring(self._working_memory(name, part.module))
        for other in self._parts.values():
            other.give_back_if_moved()
        if "reasoner" in self._parts:  # it may have had to leave the card: then what it has read goes too
            self._parts["reasoner"].part.cache.release_if_moved()
        if name != "vae" and self._change(name, part, adapted) and name == "reasoner":
            part.part.cache.forget()
        return part.part

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

    def _working_memory(self, name: str, module: Any) -> int:
        values = {"unet": UNET_VALUES * len(BRANCHES), "vae": VAE_VALUES}.get(name, 0)
        return values * self._pixels * int(module.dtype.itemsize) if values else 0

    def _change(self, name: str, part: ManagedPart, adapted: tuple[AdaptedModel, ...]) -> bool:
        owner = ADAPTER_PARTS[name]
        applied = [model.applied(owner) for model in adapted if model.changes(owner)]
        tokens = special_token_ids(part.part.tokenizer) if applied and name == "reasoner" else []
        return part.become(owner, applied, tokens)


class AdaptedModel(ManagedModel):
    """A checkpoint that has taken up an adapter; the model it is made from stays as it is.

    Both share the parts in memory, which change when the other one asks for them. The base may be adapted
    itself.

    Raises:
        GoTError: a strength cannot be used.
    """

    def __init__(
        self, base: ManagedModel, adapter: Adapter, mllm_strength: float, unet_strength: float
    ) -> None:
        check_strengths(adapter, mllm_strength, unet_strength)
        super().__init__(
            base.path,
            base.settings,
            base.device,
            base.dtype,
            mllm_bits=base.mllm_bits,
            unet_fp8=base.unet_fp8,
        )
        self.vocabulary = None  # the adapter may have taught it more than the checkpoint says
        self.base = base
        self.adapter = adapter
        self.strengths = {"mllm": mllm_strength, "projectors": mllm_strength, "unet": unet_strength}
        self._kept_masks = base._kept_masks  # no adapter changes the VAE

    def make_room_for(self, size: tuple[int, int]) -> None:
        self.base.make_room_for(size)

    @property
    def patcher(self) -> Any:
        return self.base.patcher

    def part(self, name: str, *adapted: AdaptedModel) -> Any:
        return self.base.part(name, self, *adapted)

    @property
    def scaling_factor(self) -> float:
        return self.base.scaling_factor

    def changes(self, part: str) -> bool:
        """Whether the adapter changes a part, "mllm", "projectors" or "unet"."""
        return self.strengths[part] != 0 and any(name.startswith(f"{part}.") for name in self.adapter.tensors)

    def applied(self, part: str) -> Applied:
        """The adapter at the part's strength."""
        return Applied(self.adapter, self.strengths[part])
