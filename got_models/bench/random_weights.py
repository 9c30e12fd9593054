"""GoT-6B at full size with random weights: the size and speed of the published model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from ..constants import BUNDLED_CHECKPOINT
from ..diffusion.ssgm import SemanticSpatialGuidance
from ..errors import GoTError
from ..files.json_objects import read_json
from ..importing.convert import MAX_NEW_TOKENS, TASKS
from ..importing.plan import VISION_SIZE
from ..mllm.prompts import TokenIds
from ..mllm.reasoner import Reasoner
from ..pipeline import GoTModel
from ..weights.checkpoint import TIME_IDS, UNET_CHANNELS, CheckpointSettings, Sizes
from ..weights.loading import load_tokenizer
from ..weights.parts import ResidentParts
from ..weights.quantization import quantize_mllm, store_in_fp8

SIZES = Sizes(hidden=2048, cross_attention=2048, pooled=1280)
PARAMETERS = 6_412_582_635  # of all parts together
ACTIVATIONS = 6_000_000_000  # bytes; the peak is decoding 1024 x 1024 pixels


def free_memory(device: torch.device) -> int:
    """Free bytes on a GPU or for the CPU."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def check_memory(free: int, dtype: torch.dtype) -> None:
    """
    Raises:
        GoTError: `free` bytes are not enough for the weights and activations.
    """
    needed = PARAMETERS * dtype.itemsize + ACTIVATIONS
    if free < needed:
        least = PARAMETERS * torch.bfloat16.itemsize + ACTIVATIONS
        raise GoTError(
            f"GoT-6B with random weights in {str(dtype).removeprefix('torch.')} needs {needed / 1e9:.0f} GB "
            f"of free memory on the device, got {free / 1e9:.0f} GB. Use a GPU with {least / 1e9:.0f} GB "
            "and --dtype bfloat16, or --checkpoint tiny."
        )


def random_6b(
    device: torch.device, dtype: torch.dtype, mllm_bits: int | None = None, unet_fp8: bool = False
) -> GoTModel:
    """The parts of GoT-6B, created on the device. For text-to-image only: it has no image processor.

    The tokenizer is the bundled model's small one, so that no download is needed; its ids are among GoT-6B's.
    """
    settings = CheckpointSettings(VISION_SIZE, MAX_NEW_TOKENS, SIZES, TASKS)
    tokenizer = load_tokenizer(BUNDLED_CHECKPOINT / "processor")
    torch.manual_seed(0)
    with device, _default_dtype(dtype):
        mllm = _mllm(TokenIds.of(tokenizer), tokenizer.get_vocab()["<|video_pad|>"])
        ssgm = SemanticSpatialGuidance(SIZES.hidden, SIZES.cross_attention, SIZES.pooled)
        unet = _unet()
    with (
        device,
        _default_dtype(torch.float32 if dtype == torch.float16 else dtype),
    ):  # SDXL's VAE overflows in half precision
        vae = _vae()
    for part in (mllm, ssgm, unet, vae):
        part.eval().requires_grad_(False)
    if mllm_bits is not None:
        quantize_mllm(mllm, mllm_bits)
    if unet_fp8:
        store_in_fp8(unet)
    reasoner = Reasoner(mllm, tokenizer, None, VISION_SIZE, MAX_NEW_TOKENS)
    parts = {"reasoner": reasoner, "ssgm": ssgm, "unet": unet, "vae": vae}
    model = GoTModel(Path("random-6b"), settings, ResidentParts(parts.__getitem__, device, dtype))
    model.scheduler_config = read_json(BUNDLED_CHECKPOINT / "scheduler" / "scheduler_config.json")
    return model


def _mllm(ids: TokenIds, video_pad: int) -> Qwen2_5_VLForConditionalGeneration:
    """Qwen2.5-VL-3B-Instruct."""
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": 151_936,
            "hidden_size": SIZES.hidden,
            "intermediate_size": 11_008,
            "num_hidden_layers": 36,
            "num_attention_heads": 16,
            "num_key_value_heads": 2,
            "max_position_embeddings": 128_000,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000.0,
            "rope_scaling": {"rope_type": "default", "type": "mrope", "mrope_section": [16, 24, 24]},
            "tie_word_embeddings": True,
            "use_sliding_window": False,
            "bos_token_id": ids.end_of_text,
            "eos_token_id": ids.end_of_text,
            "pad_token_id": ids.end_of_text,
        },
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": SIZES.hidden,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
        },
        image_token_id=ids.image_pad,
        video_token_id=video_pad,
        vision_start_token_id=ids.vision_start,
        tie_word_embeddings=True,
    )
    mllm = Qwen2_5_VLForConditionalGeneration(config)
    mllm.generation_config = GenerationConfig(do_sample=False, pad_token_id=ids.end_of_text)
    return mllm


def _unet() -> UNet2DConditionModel:
    """SDXL base's, with 12 input channels."""
    return UNet2DConditionModel(
        sample_size=128,
        in_channels=UNET_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        layers_per_block=2,
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),  # number of heads, as in SDXL's config
        cross_attention_dim=SIZES.cross_attention,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=SIZES.pooled + TIME_IDS * 256,
    )


def _vae() -> AutoencoderKL:
    """SDXL's."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        sample_size=1024,
        scaling_factor=0.13025,
        force_upcast=True,
    )


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
