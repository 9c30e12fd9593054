"""The bundled model before training: tokenizer, sizes and random weights in the checkpoint layout."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2 import Qwen2TokenizerFast  # type: ignore[attr-defined]

from got_models.constants import FAST
from got_models.diffusion.ssgm import SemanticSpatialGuidance
from got_models.mllm.prompts import SPECIAL_TOKENS, TokenIds, add_special_tokens, instruction
from got_models.weights.checkpoint import CheckpointSettings, Sizes, TaskSettings, write_settings

from ..world.edits import sample_edit
from ..world.language import plural, sample_generation
from ..world.scene import NEW_COLOR, NEW_SHAPE, PICTURE_SIZE
from ..world.vocabulary import shapes_vocabulary
from .rows import question
from .vae_initialization import pass_colors

VOCABULARY_SIZE = 640
HIDDEN = 192
POOLED = 64
VISION_SIZE = 224
PATCH_SIZE = 14
MERGE_SIZE = 2

UNREAD_WORDS = (NEW_COLOR, NEW_SHAPE, plural(NEW_SHAPE))
"""Words with a token of their own that this training never uses. LoRA training can teach them, as it can
teach a large model, which has a token for every word."""
QWEN_SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SPLIT_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""The regular expression by which Qwen2's tokenizer splits text before merging; every digit is separate.

transformers 5 rebuilds a Qwen2 tokenizer with this pattern and NFC whatever its file contains; 4 reads the
file.
"""

CHAT_TEMPLATE = """\
{%- set turns = namespace(system=false) -%}
{%- for message in messages -%}
{%- if message['role'] == 'system' -%}{%- set turns.system = true -%}{%- endif -%}
{%- endfor -%}
{%- if not turns.system -%}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{%- endif -%}
{%- for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' }}
{%- if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- elif part['type'] == 'text' -%}{{ part['text'] }}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{ '<|im_end|>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
"""


def initialize_checkpoint(path: Path, seed: int = 0) -> None:
    """Writes a checkpoint folder with the bundled model's sizes and random weights, in float32.

    Args:
        path: folder to write; created if missing.
        seed: for the weights of each part and for the text that the tokenizer is trained on.
    """
    path = Path(path)
    tokenizer = build_tokenizer(seed)
    processor = path / "processor"
    tokenizer.save_pretrained(processor)
    write_image_processor(processor)
    parts: dict[str, Callable[[], Any]] = {
        "mllm": partial(build_mllm, tokenizer),
        "unet": build_unet,
        "vae": build_vae,
    }
    for name, build in parts.items():
        torch.manual_seed(seed)
        build().save_pretrained(path / name)
    build_scheduler().save_pretrained(path / "scheduler")
    torch.manual_seed(seed)
    ssgm = SemanticSpatialGuidance(HIDDEN, HIDDEN, POOLED)
    save_file(ssgm.state_dict(), path / "projectors.safetensors")
    write_settings(path, bundled_settings())


def bundled_settings() -> CheckpointSettings:
    """The got.json of the bundled model."""
    side = PICTURE_SIZE
    return CheckpointSettings(
        vision_size=VISION_SIZE,
        max_new_tokens=384,
        sizes=Sizes(hidden=HIDDEN, cross_attention=HIDDEN, pooled=POOLED, image_tokens=64),
        tasks={
            "generate": TaskSettings(
                semantic=2.0, spatial=2.0, reference=1.0, steps=50, width=side, height=side
            ),
            "edit": TaskSettings(semantic=2.0, spatial=2.0, reference=2.0, steps=50, width=side, height=side),
        },
        speed=FAST,
        vocabulary=shapes_vocabulary(),
    )


def corpus(seed: int, rows: int = 2000) -> Iterator[str]:
    """Prompts, chains, questions and answers of the shapes world, for the tokenizer to learn words from."""
    rng = random.Random(seed)
    for row in range(rows):
        asked = question(seed, row, VISION_SIZE)
        yield asked.words
        yield asked.answer
        for example in (sample_generation(rng), sample_edit(rng)):
            yield instruction(example.task, example.prompt)
            yield example.chain.text


def build_tokenizer(seed: int) -> Qwen2TokenizerFast:
    """A byte-level BPE tokenizer of Qwen2's type with a small vocabulary and GoT's image tokens."""
    core = Tokenizer(models.BPE())
    core.normalizer = normalizers.NFC()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in QWEN_SPECIAL_TOKENS]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(QWEN_SPECIAL_TOKENS) - len(SPECIAL_TOKENS),
        special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words = ["You are a helpful assistant.", "system\n", "user\n", "assistant\n"] * 2000
    core.train_from_iterator([*corpus(seed), *words], trainer)
    tokenizer = Qwen2TokenizerFast(
        tokenizer_object=core,
        unk_token=None,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(QWEN_SPECIAL_TOKENS),
        model_max_length=4096,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    add_special_tokens(tokenizer)
    tokenizer.add_tokens([AddedToken(f" {word}", normalized=False) for word in UNREAD_WORDS])
    return tokenizer


def write_image_processor(folder: Path) -> None:
    """Writes preprocessor_config.json: Qwen2-VL's image processor with CLIP's mean and deviation."""
    settings = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "patch_size": PATCH_SIZE,
        "merge_size": MERGE_SIZE,
        "temporal_patch_size": 2,
        "min_pixels": VISION_SIZE**2,
        "max_pixels": VISION_SIZE**2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def build_mllm(tokenizer: Qwen2TokenizerFast) -> Qwen2_5_VLForConditionalGeneration:
    """Qwen2.5-VL with four decoder layers and a four-layer vision tower."""
    vocabulary = tokenizer.get_vocab()
    ids = TokenIds.of(tokenizer)
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": -(-len(tokenizer) // 32) * 32,
            "hidden_size": HIDDEN,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_theta": 10000.0,
            "rope_scaling": {"rope_type": "default", "type": "mrope", "mrope_section": [1] * 14 + [2]},
            "tie_word_embeddings": True,
            "use_sliding_window": False,
            "bos_token_id": ids.end_of_text,
            "eos_token_id": vocabulary["<|im_end|>"],
            "pad_token_id": ids.end_of_text,
        },
        vision_config={
            "depth": 4,
            "hidden_size": 128,
            "intermediate_size": 320,
            "num_heads": 4,
            "out_hidden_size": HIDDEN,
            "patch_size": PATCH_SIZE,
            "spatial_merge_size": MERGE_SIZE,
            "temporal_patch_size": 2,
            "window_size": 112,
            "fullatt_block_indexes": [0, 1, 2, 3],
        },
        image_token_id=ids.image_pad,
        video_token_id=vocabulary["<|video_pad|>"],
        vision_start_token_id=ids.vision_start,
        vision_end_token_id=vocabulary["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    mllm = Qwen2_5_VLForConditionalGeneration(config)
    mllm.generation_config = GenerationConfig(
        do_sample=False, eos_token_id=vocabulary["<|im_end|>"], pad_token_id=ids.end_of_text
    )
    return mllm


def build_unet() -> UNet2DConditionModel:
    """SDXL's block types on three levels, 12 input channels, one attention head dimension of 32."""
    return UNet2DConditionModel(
        sample_size=PICTURE_SIZE // 8,
        in_channels=12,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(96, 96, 96),
        layers_per_block=1,
        transformer_layers_per_block=1,
        attention_head_dim=(3, 3, 3),  # number of heads, as in SDXL's config
        cross_attention_dim=HIDDEN,
        use_linear_projection=True,
        norm_num_groups=32,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=POOLED + 6 * 256,
    )


def build_vae() -> AutoencoderKL:
    """Four levels, so a factor of 8; four latent channels. Training sets the scaling factor."""
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(64, 64, 96, 96),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=32,
        sample_size=PICTURE_SIZE,
    )
    pass_colors(vae, PICTURE_SIZE)
    return vae


def build_scheduler() -> DDPMScheduler:
    """SDXL base's noise schedule as DDPM, as in the published inference code."""
    return DDPMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        clip_sample=False,
        timestep_spacing="leading",
        steps_offset=1,
    )
