"""GOT_MODEL: a checkpoint whose parts are moved by ComfyUI and changed by adapters."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from ..got_models.constants import FASTEST
from ..got_models.diffusion.guidance import BRANCHES
from ..got_models.errors import GoTError
from ..got_models.pipeline import GoTModel
from ..got_models.weights.adapter import Adapter, special_token_ids
from ..got_models.weights.adapter_files import load_adapter
from ..got_models.weights.adapting import check_strengths, check_variable
from ..got_models.weights.checkpoint import check
from ..got_models.weights.distilled import OWN_FILE, distilled_of
from ..got_models.weights.parts import Load, PartLoader, PartName, Size, weights_of
from ..got_models.weights.patching import ReversiblePatches
from ._comfy import memory

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from ..got_models.diffusion.ssgm import SemanticSpatialGuidance
    from ..got_models.mllm.reasoner import Reasoner

# A part's working memory: values per pixel of the picture, as ComfyUI estimates for SDXL.
UNET_VALUES = 132  # per branch
VAE_VALUES = 2178
ADAPTER_PARTS = {"reasoner": "mllm", "ssgm": "projectors", "unet": "unet"}


class Applied(NamedTuple):
    """An adapter and the strength at which it is applied to a part."""

    adapter: Adapter
    strength: float


class ManagedPart:
    """A part of a checkpoint in memory, shared by all models of the checkpoint.

    Its weights are those of the model that used it last. Adapters are applied on its device, and the original
    weights are kept in CPU memory until another model uses the part or it leaves its device.
    """

    def __init__(self, part: Any, name: str) -> None:
        self.part = part
        self.module = weights_of(part)
        kind = name if name in ("unet", "vae") else "language"
        self.patcher = memory.managed(self.module, kind)
        self._weights = ReversiblePatches(self.module)
        self._applied: list[Applied] = []
        self._device: torch.device | None = None  # where they were applied

    def load_to_device(self, working_memory: int) -> None:
        """Load onto its device, with space for this many bytes."""
        memory.load_to_device(self.patcher, working_memory)

    def become(self, part: str, applied: list[Applied], special_tokens: list[int]) -> bool:
        """Apply exactly these adapters, in this order; returns whether that changed anything."""
        if applied == self._applied:
            return False
        self.restore()
        for adapter, strength in applied:
            self._weights.apply(adapter.changes(part, strength, special_tokens))
        self._applied, self._device = applied, self._now_on()
        return True

    def restore(self) -> None:
        """Restore the checkpoint's weights."""
        self._applied = []
        self._weights.restore()

    def restore_if_moved(self) -> None:
        """Restore them if the part was offloaded, so that no weight is stored twice."""
        if self._applied and self._now_on() != self._device:
            self.restore()

    def _now_on(self) -> torch.device:
        device: torch.device = next(self.module.parameters()).device
        return device


class SharedParts:
    """The parts of one checkpoint in memory, moved between devices by ComfyUI.

    Nothing else keeps them on their device: ComfyUI offloads a part when another model needs the space, for
    instance the MLLM while the UNet draws.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self.parts: dict[PartName, ManagedPart] = {}

    def ready(self, name: PartName, working_values: int, adapters: Sequence[StrongAdapter]) -> Any:
        """A part on its device, with these adapters applied one after the other.

        Args:
            working_values: how many values the part needs besides its weights.
        """
        if name not in self.parts:
            self.parts[name] = ManagedPart(self._load(name), name)
        part = self.parts[name]
        part.load_to_device(working_values * int(part.module.dtype.itemsize) if working_values else 0)
        for other in self.parts.values():
            other.restore_if_moved()
        if "reasoner" in self.parts:  # it may have been offloaded: then its cache is freed too
            self.parts["reasoner"].part.cache.release_if_moved()
        if name != "vae" and self._change(name, part, adapters) and name == "reasoner":
            part.part.cache.forget()
        return part.part

    def _change(self, name: PartName, part: ManagedPart, adapters: Sequence[StrongAdapter]) -> bool:
        owner = ADAPTER_PARTS[name]
        applied = [adapter.applied(owner) for adapter in adapters if adapter.changes(owner)]
        tokens = special_token_ids(part.part.tokenizer) if applied and name == "reasoner" else []
        return part.become(owner, applied, tokens)


class StrongAdapter:
    """An adapter with the strengths set by a node.

    Raises:
        GoTError: an invalid strength.
    """

    def __init__(self, adapter: Adapter, mllm_strength: float, unet_strength: float) -> None:
        check_strengths(adapter, mllm_strength, unet_strength)
        self.adapter = adapter
        self.strengths = {"mllm": mllm_strength, "projectors": mllm_strength, "unet": unet_strength}

    def changes(self, part: str) -> bool:
        """Whether the adapter changes a part, "mllm", "projectors" or "unet"."""
        return self.strengths[part] != 0 and any(name.startswith(f"{part}.") for name in self.adapter.tensors)

    def applied(self, part: str) -> Applied:
        """The adapter at the part's strength."""
        return Applied(self.adapter, self.strengths[part])


class ManagedParts:
    """The `Parts` of a GoTModel inside ComfyUI: shared parts with some adapters applied."""

    def __init__(
        self, shared: SharedParts, dtype: torch.dtype, adapters: tuple[StrongAdapter, ...] = ()
    ) -> None:
        self.shared = shared
        self.dtype = dtype
        self.adapters = adapters

    def reasoner(self) -> Reasoner:
        reasoner: Reasoner = self.shared.ready("reasoner", 0, self.adapters)
        return reasoner

    def ssgm(self) -> SemanticSpatialGuidance:
        ssgm: SemanticSpatialGuidance = self.shared.ready("ssgm", 0, self.adapters)
        return ssgm

    def unet(self, size: Size | None = None) -> UNet2DConditionModel:
        values = UNET_VALUES * len(BRANCHES) * _pixels(size)
        unet: UNet2DConditionModel = self.shared.ready("unet", values, self.adapters)
        return unet

    def vae(self, size: Size | None = None) -> AutoencoderKL:
        vae: AutoencoderKL = self.shared.ready("vae", VAE_VALUES * _pixels(size), self.adapters)
        return vae

    def branches_at_once(self, size: Size) -> int:
        """As many as fit into memory, given what is on the UNet's device already."""
        unet = self.unet(size)
        each = UNET_VALUES * _pixels(size) * unet.dtype.itemsize
        return int(max(1, min(len(BRANCHES), memory.free_memory(unet.device) / each)))

    def release(self, name: PartName) -> None:
        self.shared.parts.pop(name, None)


class ManagedModel(GoTModel):
    """GOT_MODEL: a checkpoint with parts managed by ComfyUI."""

    parts: ManagedParts

    @classmethod
    def open(
        cls,
        path: Path,
        dtype: torch.dtype = torch.float32,
        *,
        mllm_bits: int | None = None,
        unet_fp8: bool = False,
    ) -> ManagedModel:
        """Check a checkpoint folder; arguments and errors as in `GoTModel.from_pretrained`."""
        settings = check(path)
        load = PartLoader(path, settings, dtype, mllm_bits=mllm_bits, unet_fp8=unet_fp8)
        return cls(path, settings, ManagedParts(SharedParts(load), dtype))

    def with_adapter(self, adapter: Adapter, mllm_strength: float, unet_strength: float) -> ManagedModel:
        """The same checkpoint with one more adapter; this model is unchanged.

        Both share the parts in memory, which are changed whenever the other one uses them.

        Raises:
            GoTError: an invalid strength, or a distilled adapter of another checkpoint.
        """
        distilled = self.distilled_by(adapter, unet_strength)
        added = StrongAdapter(adapter, mllm_strength, unet_strength)
        model = copy.copy(self)  # including the cached masks: no adapter changes the VAE
        model.parts = ManagedParts(self.parts.shared, self.parts.dtype, (*self.parts.adapters, added))
        if distilled is None:
            model.vocabulary = None  # the adapter may have extended it
        model.distilled = distilled or self.distilled
        return model

    def check_variable(self, unet_strengths: Sequence[float]) -> None:
        """Checks strengths for `with_unet_strength`.

        Raises:
            GoTError: no adapter of this model could vary so.
        """
        check_variable(self.parts.adapters[self._variable()].adapter, unet_strengths)

    def with_unet_strength(self, strength: float) -> ManagedModel:
        """The same checkpoint with the last adapter that is not distilled at another strength in pictures.

        Raises:
            GoTError: there is none, or the strength is invalid.
        """
        number, adapters = self._variable(), list(self.parts.adapters)
        before = adapters[number]
        adapters[number] = StrongAdapter(before.adapter, before.strengths["mllm"], strength)
        model = copy.copy(self)
        model.parts = ManagedParts(self.parts.shared, self.parts.dtype, tuple(adapters))
        return model

    def _variable(self) -> int:
        """The place of the last adapter that is not distilled."""
        for number, applied in reversed(list(enumerate(self.parts.adapters))):
            if distilled_of(applied.adapter) is None:
                return number
        raise GoTError(
            "The model has no adapter whose strength could vary. Connect GoT LoRA Loader to 'model', or vary "
            "something else."
        )

    def at_speed(self, speed: str) -> ManagedModel:
        """The model that draws at a speed: for `fastest`, with the checkpoint's own distilled adapter.

        This model is returned where it has none, or has been given one.

        Raises:
            GoTError: the checkpoint's adapter is damaged, or was distilled from other weights.
        """
        file = self.path / OWN_FILE
        if speed != FASTEST or self.distilled or not file.exists():
            return self
        return self.with_adapter(_own_adapter(file, file.stat().st_mtime_ns), 1.0, 1.0)

    @property
    def patcher(self) -> Any:
        """Tells ComfyUI's cache that a GOT_MODEL holds weights, to be dropped first when memory is short."""
        return next((part.patcher for part in self.parts.shared.parts.values()), None)


@lru_cache(maxsize=2)
def _own_adapter(file: Path, time: int) -> Adapter:
    """One object per file, so that the UNet is not changed anew for every picture."""
    return load_adapter(file)


def _pixels(size: Size | None) -> int:
    return 0 if size is None else size[0] * size[1]
