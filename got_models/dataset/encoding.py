"""The frozen parts' encodings of a dataset's pictures: latents and vision features, each computed once.

They are cached in files named by digests of everything that they depend on: the picture's bytes and how it is
opened, the boxes and how they are drawn, the size, the part's weights and the dtype. So the cache is never
stale, several runs and datasets may share it, and it may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..diffusion.ssgm import reference_latents, spatial_latents
from ..errors import GoTError
from ..files.whole_files import whole_file, writing
from ..mllm.kv_cache import vision_features
from ..mllm.reasoner import picture_patches
from ..pictures import OPENED_AS, open_picture
from ..weights.fingerprints import Fingerprints
from .buckets import nearest_bucket
from .rows import Picture, Row

if TYPE_CHECKING:
    from ..pipeline import GoTModel


@dataclass(frozen=True)
class Encoded:
    """A row for the UNet and the MLLM.

    Unscaled latents [1, 4, h, w] of the picture, of the source (or of black) and of the boxes; vision
    features [tokens, hidden] of the source, None for a generation; ``size``: (height, width) in pixels of the
    row's bucket.
    """

    size: tuple[int, int]
    target: Tensor
    reference: Tensor
    spatial: Tensor
    vision: Tensor | None


class Encoder:
    """Encodes rows with a model's VAE and vision tower, which load only if something is not cached.

    Args:
        resolution_px: side of the square whose area every bucket has.
        folder: the cache; created if missing.
        fingerprints: of the model's weights; by default in the same folder.

    Raises:
        GoTError: the cache cannot be written to.
        Interrupted: the fingerprints' `should_stop` returned true.
    """

    def __init__(
        self, model: GoTModel, resolution_px: int, folder: Path, fingerprints: Fingerprints | None = None
    ) -> None:
        self.model = model
        self.resolution_px = resolution_px
        self.cache = Cache(folder)
        fingerprints = fingerprints or Fingerprints(folder)
        self._vae = [fingerprints.weights(model.path / "vae"), str(model.parts.dtype)]
        self._tower = [fingerprints.weights(model.path / "mllm", "visual."), str(model.parts.dtype)]

    def size(self, row: Row) -> tuple[int, int]:
        """The (height, width) in pixels at which a row is trained."""
        return nearest_bucket(row.image.width, row.image.height, self.resolution_px)

    def encode(self, row: Row) -> Encoded:
        """A row's latents and vision features, on the CPU.

        Raises:
            GoTError: a picture has changed since the dataset was read, or the cache cannot be written.
        """
        size = self.size(row)
        regions = [[*vars(region.box).values(), region.color] for region in row.chain.regions]
        rule = self.model.settings.mask_rule
        spatial = self.cache.get(
            ["spatial", self._vae, size, regions, rule],
            lambda: spatial_latents(self.model.parts.vae(), row.chain.regions, size, rule),
        )
        return Encoded(
            size=size,
            target=self._latents(row.image, size),
            reference=self._latents(row.source, size),
            spatial=spatial,
            vision=None if row.source is None else self._vision(row.source),
        )

    def _latents(self, picture: Picture | None, size: tuple[int, int]) -> Tensor:
        return self.cache.get(
            ["picture", self._vae, size, [picture.digest, OPENED_AS] if picture else None],
            lambda: reference_latents(
                self.model.parts.vae(), open_unchanged(picture) if picture else None, size
            ),
        )

    def _vision(self, picture: Picture) -> Tensor:
        reasoner = self.model.parts.reasoner()

        def compute() -> Tensor:
            patches = picture_patches(
                reasoner.image_processor, open_unchanged(picture), self.model.settings.vision_size
            )
            return vision_features(reasoner.mllm, *patches)

        origin = ["vision", self._tower, self.model.settings.vision_size, picture.digest, OPENED_AS]
        return self.cache.get(origin, compute)


class Cache:
    """Tensors in files, named by a digest of what they were computed from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, origin: object, compute: Callable[[], Tensor]) -> Tensor:
        """The tensor computed from ``origin`` (JSON); as `get_all`."""
        return self.get_all(origin, ("tensor",), lambda: {"tensor": compute()})["tensor"]

    @torch.no_grad()
    def get_all(
        self, origin: object, names: Sequence[str], compute: Callable[[], Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """The tensors of these names computed from ``origin`` (JSON), on the CPU.

        An unreadable file is recomputed.

        Raises:
            GoTError: the folder cannot be written to, or a tensor is not finite.
        """
        key = hashlib.sha256(json.dumps(origin).encode()).hexdigest()
        file = self.folder / key[:2] / f"{key}.safetensors"
        try:
            kept = load_file(file)
            return {name: kept[name].clone() for name in names}  # not mapped: it may have to be rewritten
        except (OSError, SafetensorError, KeyError):
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in compute().items()}
        if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
            raise GoTError(
                "What the checkpoint makes of a picture or its boxes holds NaN or infinite values. Train "
                "with precision float32, or, if that is it, copy the checkpoint again."
            )
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(file, within=self.folder) as temporary:
            save_file(tensors, temporary)
        return tensors


def open_unchanged(picture: Picture) -> Image.Image:
    """The picture, provided that its file has not changed since the dataset was read.

    Raises:
        GoTError: the file has changed since.
    """
    if hashlib.sha256(picture.path.read_bytes()).hexdigest() != picture.digest:
        raise GoTError(f"{picture.path} has changed since the dataset was read. Start again.")
    return open_picture(picture.path)
