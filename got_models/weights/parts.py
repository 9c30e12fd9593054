"""The four parts of a checkpoint: how each is loaded, and who places it on which device.

A pipeline requests a part whenever it is about to use it, and `Parts` returns one that is ready to run. The
device, and how long a part stays there, is up to the implementation: `ResidentParts` keeps everything on one
device, ComfyUI's nodes pass in parts that ComfyUI moves.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch

from ..diffusion.guidance import BRANCHES
from ..startup import collector_paused
from .checkpoint import PROJECTORS_FILE, CheckpointSettings
from .loading import (
    check_tokens,
    load_image_processor,
    load_part,
    load_projectors,
    load_tokenizer,
    part_config,
)

if TYPE_CHECKING:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    from ..diffusion.ssgm import SemanticSpatialGuidance
    from ..mllm.reasoner import Reasoner

PartName = Literal["reasoner", "ssgm", "unet", "vae"]
Load = Callable[[PartName], Any]
"""Reads a part from disk onto the CPU."""
Size = tuple[int, int]
"""(height, width) of a picture in pixels."""


class Parts(Protocol):
    """Parts that are ready to run; `size` is the size of the picture, where memory depends on it.

    Attributes:
        dtype: the dtype that the weights were cast to on loading.
    """

    dtype: torch.dtype

    def reasoner(self) -> Reasoner:
        """The MLLM with its tokenizer and image processor."""

    def ssgm(self) -> SemanticSpatialGuidance:
        """The two projectors."""

    def unet(self, size: Size | None = None) -> UNet2DConditionModel:
        """The SDXL UNet with 12 input channels."""

    def vae(self, size: Size | None = None) -> AutoencoderKL:
        """The VAE. Unless its config says otherwise, it stays in float32 where float16 would overflow."""

    def branches_at_once(self, size: Size) -> int:
        """How many branches of guidance the UNet evaluates in one batch."""

    def release(self, name: PartName) -> None:
        """Free a part's memory; it is loaded again on next use."""


_READING = Lock()
"""Held while a part is made: meanwhile the libraries make every new module of the process empty."""


class ResidentParts:
    """Parts on one device: each is loaded on first use and stays until it is released.

    Attributes:
        loaded: the parts that are in memory.
    """

    def __init__(self, load: Load, device: torch.device | str, dtype: torch.dtype) -> None:
        self.device = torch.device(device)
        self.dtype = dtype
        self.loaded: dict[PartName, Any] = {}
        self._load = load
        self._coming: dict[PartName, Future[Any]] = {}

    def reasoner(self) -> Reasoner:
        reasoner: Reasoner = self._part("reasoner")
        return reasoner

    def ssgm(self) -> SemanticSpatialGuidance:
        ssgm: SemanticSpatialGuidance = self._part("ssgm")
        return ssgm

    def unet(self, size: Size | None = None) -> UNet2DConditionModel:
        unet: UNet2DConditionModel = self._part("unet")
        return unet

    def vae(self, size: Size | None = None) -> AutoencoderKL:
        vae: AutoencoderKL = self._part("vae")
        return vae

    def branches_at_once(self, size: Size) -> int:
        return len(BRANCHES)

    def release(self, name: PartName) -> None:
        self._coming.pop(name, None)
        self.loaded.pop(name, None)

    def load_ahead(self, *names: PartName) -> None:
        """Begin to read parts on another thread; whoever needs one waits for it, or gets its error."""
        reader = ThreadPoolExecutor(1)
        for name in names:
            if name not in self.loaded and name not in self._coming:
                self._coming[name] = reader.submit(self._read, name)
        reader.shutdown(wait=False)

    def _part(self, name: PartName) -> Any:
        if name not in self.loaded:
            coming = self._coming.pop(name, None)
            part = coming.result() if coming else self._read(name)
            weights_of(part).to(self.device)
            self.loaded[name] = part
        return self.loaded[name]

    def _read(self, name: PartName) -> Any:
        with _READING, collector_paused():
            return self._load(name)


class PartLoader:
    """Loads the parts of a checkpoint folder, each onto the CPU.

    Args:
        settings: the folder's, as returned by `check`.
        dtype: what the weights are cast to.
        mllm_bits: 8 or 4 for a quantized MLLM (see `quantization`).
        unet_fp8: store the UNet's weights in fp8; it still computes in `dtype`.
    """

    def __init__(
        self,
        path: Path,
        settings: CheckpointSettings,
        dtype: torch.dtype,
        *,
        mllm_bits: int | None = None,
        unet_fp8: bool = False,
    ) -> None:
        self.path = path
        self.settings = settings
        self.dtype = dtype
        self.mllm_bits = mllm_bits
        self.unet_fp8 = unet_fp8

    def __call__(self, name: PartName) -> Any:
        load = {"reasoner": self._reasoner, "ssgm": self._ssgm, "unet": self._unet, "vae": self._vae}
        return load[name]()

    def _reasoner(self) -> Reasoner:
        from transformers import Qwen2_5_VLForConditionalGeneration

        from ..mllm.reasoner import Reasoner
        from .quantization import quantize_mllm

        mllm = load_part(Qwen2_5_VLForConditionalGeneration, self.path / "mllm", self.dtype)
        tokenizer = load_tokenizer(self.path / "processor")
        check_tokens(self.path, mllm.config, tokenizer)
        if self.mllm_bits is not None:
            quantize_mllm(mllm, self.mllm_bits)
        processor = load_image_processor(self.path / "processor")
        return Reasoner(mllm, tokenizer, processor, self.settings.vision_size, self.settings.max_new_tokens)

    def _ssgm(self) -> SemanticSpatialGuidance:
        return load_projectors(self.path / PROJECTORS_FILE, self.settings.sizes).to(self.dtype)

    def _unet(self) -> UNet2DConditionModel:
        from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

        from .quantization import store_in_fp8

        unet: UNet2DConditionModel = load_part(UNet2DConditionModel, self.path / "unet", self.dtype)
        if self.unet_fp8:
            store_in_fp8(unet)
        return unet

    def _vae(self) -> AutoencoderKL:
        from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

        config = part_config(self.path / "vae")
        overflows = self.dtype == torch.float16 and config.get("force_upcast", True)
        dtype = torch.float32 if overflows else self.dtype
        vae: AutoencoderKL = load_part(AutoencoderKL, self.path / "vae", dtype)
        return vae


def weights_of(part: Any) -> torch.nn.Module:
    """The module that holds a part's weights: the reasoner's MLLM, or the part itself."""
    weights: torch.nn.Module = part if isinstance(part, torch.nn.Module) else part.mllm
    return weights
