"""The published folders at the smallest widths, under every naming, and what an import must make of them."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from got_models.diffusion.ssgm import SemanticSpatialGuidance

from ...published import RELEASED_LORA, older

ROOT = Path(__file__).parents[3]
QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|box_start|>", "<|box_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>"),
)
LETTERS = 256  # the bytes, which are the whole vocabulary but for the special tokens
STOCK_ROWS, ROWS = 272, 336  # of the embedding: Qwen's, and GoT-6B's, to which training has added
CHAT_TEMPLATE = "{% for message in messages %}{{ message.role }}{% endfor %}"
HIDDEN, CROSS_ATTENTION, POOLED = 32, 48, 16
QUERY = "mllm.base_model.model.model.layers.0.self_attn.q_proj"

State = dict[str, torch.Tensor]
Refused = Callable[..., str]

QWEN_CONFIG = {  # flat, as the publisher's
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "vocab_size": STOCK_ROWS,
    "hidden_size": HIDDEN,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "bos_token_id": LETTERS,
    "eos_token_id": LETTERS + 2,
    "vision_start_token_id": LETTERS + 5,
    "vision_end_token_id": LETTERS + 6,
    "image_token_id": LETTERS + 7,
    "vision_config": {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 40,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
    },
}
WIDER_VISION = {"depth": 1, "hidden_size": 32, "intermediate_size": 40, "num_heads": 2, "out_hidden_size": 64}
UNET_CONFIG = {
    "_class_name": "UNet2DConditionModel",
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [32, 32],
    "layers_per_block": 1,
    "cross_attention_dim": CROSS_ATTENTION,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": POOLED + 6 * 8,
}
VAE_CONFIG = {
    "_class_name": "AutoencoderKL",
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [32] * 4,
    "latent_channels": 4,
    "force_upcast": True,
    "scaling_factor": 0.13025,
}
TOKENIZER_CONFIG = {
    "tokenizer_class": "Qwen2Tokenizer",
    "added_tokens_decoder": {
        str(number): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for number, token in enumerate(QWEN_TOKENS, start=LETTERS)
    },
    "add_prefix_space": False,
    "bos_token": None,
    "clean_up_tokenization_spaces": False,
    "eos_token": "<|im_end|>",
    "errors": "replace",
    "model_max_length": 512,
    "pad_token": "<|endoftext|>",
    "split_special_tokens": False,
    "unk_token": None,
}
PREPROCESSOR_CONFIG = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "Qwen2VLImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "max_pixels": 12845056,
    "merge_size": 2,
    "min_pixels": 3136,
    "patch_size": 14,
    "processor_class": "Qwen2_5_VLProcessor",
    "temporal_patch_size": 2,
}


@cache
def trained(alpha: int = 4, head_trained: bool = False, released: bool = False) -> tuple[State, State]:
    """GoT-6B's state dict as named by PEFT and current transformers, and the same merged by PEFT.

    Args:
        released: with all that the released files have trained, and a VAE in half precision.
    """
    torch.manual_seed(1)
    config = Qwen2_5_VLConfig(**copy.deepcopy(QWEN_CONFIG) | {"vocab_size": ROWS})
    some = {"target_modules": r"(?!.*visual).*\.(q_proj|v_proj|down_proj)", "modules_to_save": ["lm_head"]}
    lora = LoraConfig(r=4, lora_alpha=alpha, init_lora_weights=False, **(RELEASED_LORA if released else some))
    mllm = get_peft_model(Qwen2_5_VLForConditionalGeneration(config).float(), lora)
    if head_trained:
        with torch.no_grad():
            mllm.base_model.model.lm_head.modules_to_save["default"].weight.add_(1.0)
    if released:
        with torch.no_grad():
            for name, parameter in mllm.named_parameters():
                if ".modules_to_save." in name:
                    parameter.add_(torch.randn_like(parameter))
    others = {
        "unet.": UNet2DConditionModel(**_arguments(UNET_CONFIG) | {"in_channels": 12}),
        "vae.": AutoencoderKL(**_arguments(VAE_CONFIG)),
        "": SemanticSpatialGuidance(HIDDEN, CROSS_ATTENTION, POOLED),
    }
    if released:
        others["vae."].half()
    rest = {f"{prefix}{key}": value for prefix, part in others.items() for key, value in tensors_of(part)}
    with_lora = {f"mllm.{key}": value for key, value in tensors_of(mllm)}
    merged = {f"mllm.{key}": value for key, value in tensors_of(mllm.merge_and_unload())}
    return with_lora | rest, merged | rest


def _arguments(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.startswith("_")}


def tensors_of(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(key, value.detach().clone()) for key, value in module.state_dict().items()]


def expected_parts(merged: State) -> dict[str, State]:
    """What the checkpoint must hold: folder or file -> name -> tensor, in float32."""
    parts: dict[str, State] = {"mllm": {}, "unet": {}, "vae": {}, "": {}}
    for key, value in older(merged).items():
        part, _, name = key.partition(".")
        if part in parts:
            parts[part][name] = value
        else:
            parts[""][key] = value
    if torch.equal(parts["mllm"]["lm_head.weight"], parts["mllm"]["model.embed_tokens.weight"]):
        del parts["mllm"]["lm_head.weight"]
    return parts


def written_parts(checkpoint: Path) -> dict[str, State]:
    parts: dict[str, State] = {}
    for part in ("mllm", "unet", "vae", ""):
        parts[part] = {}
        for file in sorted((checkpoint / part).glob("*.safetensors")):
            parts[part] |= load_file(file)
    return parts


def assert_same(received: dict[str, State], expected: dict[str, State]) -> None:
    for part in expected:
        assert received[part].keys() == expected[part].keys()
        different = [
            key for key, value in expected[part].items() if not torch.equal(received[part][key], value)
        ]
        assert different == []


def write_weights(folder: Path, state: State, suffix: str, shards: int) -> None:
    """One file, or shards with their index; as torch.save or safetensors write them."""
    stem = {".bin": "pytorch_model", ".safetensors": "model"}[suffix]
    save = torch.save if suffix == ".bin" else save_file
    folder.mkdir(parents=True, exist_ok=True)
    if shards == 1:
        save(state, folder / f"{stem}{suffix}")
        return
    total, before = sum(tensor.numel() for tensor in state.values()), 0
    own: list[State] = [{} for _ in range(shards)]
    for key, tensor in state.items():
        own[before * shards // total][key] = tensor
        before += tensor.numel()
    weight_map = {}
    for number, tensors in enumerate(own, 1):
        name = f"{stem}-{number:05d}-of-{shards:05d}{suffix}"
        save(tensors, folder / name)
        weight_map |= dict.fromkeys(tensors, name)
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def write_tree(source: Path, state: State, suffix: str = ".bin", shards: int = 3) -> None:
    """Writes the three published folders next to each other."""
    write_weights(source / "GoT-6B", state, suffix, shards)
    qwen = source / "Qwen2.5-VL-3B-Instruct"
    qwen.mkdir()
    core = Tokenizer(
        models.BPE(
            vocab={letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))},
            merges=[],
        )
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in QWEN_TOKENS])
    core.save(str(qwen / "tokenizer.json"))
    files: dict[str, Any] = {
        "config.json": QWEN_CONFIG,
        "generation_config.json": {"do_sample": True, "temperature": 1e-6, "repetition_penalty": 1.05},
        "tokenizer_config.json": TOKENIZER_CONFIG,
        "chat_template.json": {"chat_template": CHAT_TEMPLATE},
        "preprocessor_config.json": PREPROCESSOR_CONFIG,
    }
    for name, values in files.items():
        (qwen / name).write_text(json.dumps(values))
    sdxl = source / "stable-diffusion-xl-base-1.0"
    for part, config in (("unet", UNET_CONFIG), ("vae", VAE_CONFIG)):
        (sdxl / part).mkdir(parents=True)
        (sdxl / part / "config.json").write_text(json.dumps(config))
    EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    ).save_pretrained(sdxl / "scheduler")


def change_state(source: Path, change: Callable[[State], object]) -> None:
    """Rewrites the tree's weights as one file after a change of the state dict."""
    got = source / "GoT-6B"
    state = {
        key: value
        for file in sorted(got.glob("*.bin"))
        for key, value in torch.load(file, weights_only=True).items()
    }
    change(state)
    shutil.rmtree(got)
    write_weights(got, state, ".bin", 1)


def change_json(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))
