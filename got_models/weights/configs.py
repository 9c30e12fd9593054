"""Validation of the parts' config files: every entry that shapes a part, with its type and range.

The libraries do not validate: a wrong type fails deep inside them, a huge size takes hours, and a missing
entry silently gets another default. So everything is checked here before a library sees it. The attention
implementation, and whether code or weights come from elsewhere, is decided by the program, not by a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..diffusion.guidance import VAE_FACTOR
from ..errors import GoTError, short_repr
from ..files.entries import (
    FLAG,
    NOTHING,
    OBJECT,
    TEXT,
    Config,
    check_entries,
    either,
    list_of,
    number,
    one_of,
    whole,
)

OURS = (
    *("attn_implementation", "_attn_implementation", "attn_implementation_internal", "trust_remote_code"),
    *("_attn_implementation_internal", "_attn_implementation_autoset", "auto_map", "_name_or_path"),
)
"""Entries that are ignored because the program decides."""
WIDTH = whole(1, 1 << 16)
COUNT = whole(1, 256)
SMALL = number(1e-12, 0.1)
SHARE = number(0, 1)
TOKEN = whole(0, 1 << 21)
DTYPE = one_of("float32", "float16", "bfloat16", None)
TOKENS = either(TOKEN, list_of(TOKEN), NOTHING)

MLLM = {
    "model_type": one_of("qwen2_5_vl"),
    "architectures": either(list_of(one_of("Qwen2_5_VLForConditionalGeneration"), 1, 1), NOTHING),
    "image_token_id": TOKEN,
    "video_token_id": TOKEN,
    "vision_start_token_id": TOKEN,
    "vision_end_token_id": TOKEN,
    "vision_token_id": TOKEN,
    "vision_config": OBJECT,
    "text_config": OBJECT,
    "tie_word_embeddings": FLAG,
    "dtype": DTYPE,
    "torch_dtype": DTYPE,
}
MLLM_TEXT = {
    "model_type": one_of("qwen2_5_vl_text", "qwen2_5_vl"),
    "hidden_size": WIDTH,
    "intermediate_size": whole(1, 1 << 18),
    "num_hidden_layers": COUNT,
    "num_attention_heads": whole(1, 1024),
    "num_key_value_heads": whole(1, 1024),
    "head_dim": either(whole(2, 1024), NOTHING),
    "vocab_size": whole(1, 1 << 21),
    "max_position_embeddings": whole(256, 1 << 24),
    "rms_norm_eps": SMALL,
    "hidden_act": one_of("silu"),
    "rope_theta": number(1, 1e12),
    "rope_scaling": either(OBJECT, NOTHING),
    "rope_parameters": OBJECT,
    "tie_word_embeddings": FLAG,
    "use_cache": FLAG,
    "use_sliding_window": FLAG,
    "sliding_window": either(whole(1, 1 << 24), NOTHING),
    "max_window_layers": whole(0, 1 << 16),
    "layer_types": either(list_of(one_of("full_attention", "sliding_attention")), NOTHING),
    "attention_dropout": SHARE,
    "initializer_range": number(0, 10),
    "bos_token_id": TOKENS,
    "eos_token_id": TOKENS,
    "pad_token_id": TOKENS,
    "dtype": DTYPE,
    "torch_dtype": DTYPE,
}
MLLM_ROPE = {
    "rope_type": one_of("default", "mrope"),
    "type": one_of("default", "mrope"),
    "rope_theta": number(1, 1e12),
    "mrope_section": list_of(whole(0, 1024), 1),
}
MLLM_VISION = {
    "model_type": one_of("qwen2_5_vl_vision", "qwen2_5_vl"),
    "depth": COUNT,
    "hidden_size": WIDTH,
    "intermediate_size": whole(1, 1 << 18),
    "num_heads": whole(1, 1024),
    "out_hidden_size": WIDTH,
    "patch_size": whole(1, 256),
    "spatial_patch_size": whole(1, 256),
    "spatial_merge_size": whole(1, 16),
    "temporal_patch_size": whole(1, 16),
    "in_channels": one_of(3),
    "in_chans": one_of(3),
    "window_size": whole(1, 1 << 14),
    "fullatt_block_indexes": list_of(whole(0, 255)),
    "tokens_per_second": number(0.01, 1000),
    "hidden_act": one_of("silu"),
    "initializer_range": number(0, 10),
    "dtype": DTYPE,
    "torch_dtype": DTYPE,
}
GENERATION = {
    "bos_token_id": TOKENS,
    "eos_token_id": TOKENS,
    "pad_token_id": TOKENS,
    "do_sample": FLAG,
    "temperature": either(number(0, 100), NOTHING),
    "top_p": either(SHARE, NOTHING),
    "top_k": either(whole(0, 1 << 21), NOTHING),
    "repetition_penalty": either(number(0.01, 100), NOTHING),
    "max_length": either(whole(1, 1 << 24), NOTHING),
    "max_new_tokens": either(whole(1, 1 << 24), NOTHING),
    "use_cache": either(FLAG, NOTHING),
}
PROCESSOR = {
    "image_mean": list_of(number(-10, 10), 3, 3),
    "image_std": list_of(number(1e-3, 100), 3, 3),
    "rescale_factor": number(1e-6, 1),
    "patch_size": whole(1, 256),
    "merge_size": whole(1, 16),
    "temporal_patch_size": whole(1, 16),
    "min_pixels": either(whole(1, 1 << 40), NOTHING),
    "max_pixels": either(whole(1, 1 << 40), NOTHING),
    "size": either(OBJECT, NOTHING),
    "do_rescale": one_of(True),
    "do_normalize": one_of(True),
    "do_convert_rgb": FLAG,
    "do_resize": FLAG,
    "resample": either(whole(0, 5), NOTHING),
}
TOKENIZER = {
    "tokenizer_class": one_of("Qwen2Tokenizer", "Qwen2TokenizerFast", "PreTrainedTokenizerFast"),
    "model_max_length": number(1, 1e40),
    "add_prefix_space": either(FLAG, NOTHING),
    "clean_up_tokenization_spaces": either(FLAG, NOTHING),
    "split_special_tokens": FLAG,
    "added_tokens_decoder": OBJECT,
    "chat_template": either(TEXT, NOTHING),
}
PER_LEVEL = either(COUNT, list_of(COUNT, 1, 16))
PER_LEVEL_KEYS = (
    *("down_block_types", "up_block_types", "layers_per_block", "transformer_layers_per_block"),
    *("attention_head_dim", "num_attention_heads"),
)
UNET = {
    "_class_name": one_of("UNet2DConditionModel"),
    "block_out_channels": list_of(WIDTH, 1, 16),
    "down_block_types": list_of(one_of("DownBlock2D", "CrossAttnDownBlock2D"), 1, 16),
    "up_block_types": list_of(one_of("UpBlock2D", "CrossAttnUpBlock2D"), 1, 16),
    "mid_block_type": one_of("UNetMidBlock2DCrossAttn"),
    "layers_per_block": PER_LEVEL,
    "transformer_layers_per_block": PER_LEVEL,
    "reverse_transformer_layers_per_block": NOTHING,
    "attention_head_dim": PER_LEVEL,
    "num_attention_heads": either(PER_LEVEL, NOTHING),
    "cross_attention_dim": WIDTH,
    "out_channels": one_of(4),
    "addition_time_embed_dim": whole(2, 1 << 12),
    "addition_embed_type_num_heads": whole(1, 1024),
    "act_fn": one_of("silu", "swish"),
    "norm_eps": SMALL,
    "norm_num_groups": whole(1, 1024),
    "conv_in_kernel": one_of(3),
    "conv_out_kernel": one_of(3),
    "downsample_padding": one_of(1),
    "dropout": SHARE,
    "freq_shift": number(-10, 10),
    "flip_sin_to_cos": FLAG,
    "center_input_sample": FLAG,
    "use_linear_projection": FLAG,
    "upcast_attention": either(FLAG, NOTHING),
    "dual_cross_attention": one_of(False),
    "only_cross_attention": one_of(False),
    "mid_block_only_cross_attention": either(FLAG, NOTHING),
    "mid_block_scale_factor": number(1e-3, 1000),
    "resnet_out_scale_factor": number(1e-3, 1000),
    "resnet_time_scale_shift": one_of("default", "scale_shift"),
    "resnet_skip_time_act": FLAG,
    "class_embeddings_concat": one_of(False),
    "attention_type": one_of("default"),
    "time_embedding_type": one_of("positional"),
    "sample_size": either(WIDTH, list_of(WIDTH, 2, 2), NOTHING),
    **dict.fromkeys(
        ("class_embed_type", "encoder_hid_dim", "encoder_hid_dim_type", "num_class_embeds"), NOTHING
    ),
    **dict.fromkeys(("time_cond_proj_dim", "time_embedding_act_fn", "timestep_post_act"), NOTHING),
    **dict.fromkeys(("cross_attention_norm", "time_embedding_dim"), NOTHING),
}
VAE = {
    "_class_name": one_of("AutoencoderKL"),
    "block_out_channels": list_of(WIDTH, 1, 16),
    "down_block_types": list_of(one_of("DownEncoderBlock2D"), 1, 16),
    "up_block_types": list_of(one_of("UpDecoderBlock2D"), 1, 16),
    "layers_per_block": COUNT,
    "scaling_factor": number(1e-3, 1000),
    "shift_factor": either(number(-1000, 1000), NOTHING),
    "latents_mean": NOTHING,
    "latents_std": NOTHING,
    "in_channels": one_of(3),
    "out_channels": one_of(3),
    "norm_num_groups": whole(1, 1024),
    "act_fn": one_of("silu", "swish"),
    "force_upcast": FLAG,
    "mid_block_add_attention": FLAG,
    "use_quant_conv": FLAG,
    "use_post_quant_conv": FLAG,
    "sample_size": either(WIDTH, NOTHING),
}
BETA = number(1e-8, 0.999)
SCHEDULER = {
    "num_train_timesteps": whole(1, 100_000),
    "beta_start": BETA,
    "beta_end": BETA,
    "beta_schedule": one_of("linear", "scaled_linear", "squaredcos_cap_v2"),
    "trained_betas": either(list_of(BETA, 1, 100_000), NOTHING),
    "prediction_type": one_of("epsilon", "v_prediction"),
    "timestep_spacing": one_of("leading", "linspace", "trailing"),
    "steps_offset": whole(0, 100),
    "variance_type": one_of("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log"),
    "clip_sample": FLAG,
    "clip_sample_range": number(0, 1000),
    "thresholding": FLAG,
    "dynamic_thresholding_ratio": SHARE,
    "sample_max_value": number(0, 1000),
    "rescale_betas_zero_snr": FLAG,
    "use_karras_sigmas": either(FLAG, NOTHING),
    "set_alpha_to_one": FLAG,
    "skip_prk_steps": FLAG,
    "interpolation_type": one_of("linear", "log_linear"),
}


def without_program_choices(config: Config) -> dict[str, Any]:
    """A config without the entries, at any depth, that the program decides."""
    return {
        key: without_program_choices(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in OURS
    }


def known_mllm(config: Config) -> dict[str, Any]:
    """The entries of an MLLM's config that `check_mllm` validates: others could change its behaviour."""
    outer = MLLM if "text_config" in config else {**MLLM_TEXT, **MLLM}
    known = {key: value for key, value in config.items() if key in outer}
    for name, kinds in (("text_config", MLLM_TEXT), ("vision_config", MLLM_VISION)):
        if name in known:
            known[name] = {key: value for key, value in known[name].items() if key in kinds}
    return known


def check_mllm(file: Path, config: Config, hidden: int) -> None:
    """mllm/config.json; `hidden`: the width that the other parts require.

    Raises:
        GoTError: an invalid entry, or several that contradict each other.
    """
    check_entries(file, config, MLLM, ("model_type", "vision_config"))
    text, vision = config.get("text_config", config), config["vision_config"]
    check_entries(
        file,
        text,
        MLLM_TEXT,
        ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size"),
    )
    check_entries(file, vision, MLLM_VISION, ("depth", "hidden_size", "num_heads"))
    heads, key_heads, layers = (
        text[key] for key in ("num_attention_heads", "num_key_value_heads", "num_hidden_layers")
    )
    _check(file, text["hidden_size"] == hidden, f"hidden_size must be {hidden}, as the other parts need")
    _check(file, hidden % heads == 0, f"{heads} attention heads must share {hidden} channels evenly")
    _check(file, heads % key_heads == 0, f"{heads} attention heads must share {key_heads} key heads evenly")
    types = text.get("layer_types")
    _check(file, types is None or len(types) == layers, f"layer_types must name {layers} layers")
    width = text.get("head_dim") or hidden // heads
    ropes = [text[key] for key in ("rope_scaling", "rope_parameters") if text.get(key)]
    for rope in ropes:
        check_entries(file, rope, MLLM_ROPE)
    fits = all(2 * sum(rope.get("mrope_section", ())) == width for rope in ropes)
    wanted = f"rope_scaling must hold an mrope_section that adds up to half of a head's {width} channels"
    _check(file, bool(ropes) and fits, wanted)
    tower, heads = vision["hidden_size"], vision["num_heads"]
    _check(file, tower % heads == 0, f"{heads} heads of the vision tower must share {tower} channels evenly")
    out = vision.get("out_hidden_size", hidden)
    _check(file, out == hidden, f"out_hidden_size of the vision tower must be {hidden}")
    patch = vision.get("patch_size", 14) * vision.get("spatial_merge_size", 2)
    _check(file, vision.get("window_size", 112) >= patch, f"window_size must be at least {patch}")


def check_processor(file: Path, config: Config, vision: Config, vision_size: int) -> None:
    """preprocessor_config.json, against the vision tower's config and its picture size.

    Raises:
        GoTError: as `check_mllm`.
    """
    check_entries(file, config, PROCESSOR)
    names = {"patch_size": ("patch_size", 14), "merge_size": ("spatial_merge_size", 2)}
    names["temporal_patch_size"] = ("temporal_patch_size", 2)
    for key, (other, default) in names.items():
        wanted = vision.get(other, default)
        _check(file, config.get(key, default) == wanted, f"{key} must be {wanted}, as the vision tower needs")
    side = vision.get("patch_size", 14) * vision.get("spatial_merge_size", 2)
    _check(file, vision_size % side == 0, f"vision_size in got.json must be a multiple of {side}")


def check_unet(file: Path, config: Config) -> None:
    """unet/config.json.

    Raises:
        GoTError: as `check_mllm`.
    """
    required = ("block_out_channels", "down_block_types", "up_block_types")
    check_entries(file, config, UNET, (*required, "cross_attention_dim", "addition_time_embed_dim"))
    _check_levels(file, config)
    heads = config.get("num_attention_heads") or config.get("attention_head_dim", 8)
    for level, width in enumerate(config["block_out_channels"]):
        count = heads[level] if isinstance(heads, list) else heads
        _check(file, width % count == 0, f"{count} attention heads must share {width} channels evenly")


def check_vae(file: Path, config: Config) -> None:
    """vae/config.json.

    Raises:
        GoTError: as `check_mllm`.
    """
    required = ("block_out_channels", "down_block_types", "up_block_types", "scaling_factor")
    check_entries(file, config, VAE, required)
    factor = 2 ** (len(config["block_out_channels"]) - 1)
    needed = f"the other parts of the checkpoint need {VAE_FACTOR}"
    _check(file, factor == VAE_FACTOR, f"downsampling factor is {factor}, but {needed}")
    _check_levels(file, config)


def check_scheduler(file: Path, config: Config) -> None:
    """scheduler_config.json.

    Raises:
        GoTError: as `check_mllm`.
    """
    check_entries(file, config, SCHEDULER, ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule"))
    _check(file, config["beta_start"] <= config["beta_end"], "beta_start must not be larger than beta_end")
    betas, steps = config.get("trained_betas"), config["num_train_timesteps"]
    _check(file, betas is None or len(betas) == steps, f"trained_betas must be {steps} numbers")


def _check_levels(file: Path, config: Config) -> None:
    widths, groups = config["block_out_channels"], config.get("norm_num_groups", 32)
    for key, value in config.items():
        if key in PER_LEVEL_KEYS and isinstance(value, list):
            entries = f"{len(widths)} entries, one for each level"
            _check(file, len(value) == len(widths), f"{key} must have {entries}")
    evenly = all(width % groups == 0 for width in widths)
    _check(file, evenly, f"norm_num_groups must divide all of {short_repr(widths)}, got {groups}")


def _check(file: Path, fits: bool, wanted: str) -> None:
    if not fits:
        raise GoTError(f"{file}: {wanted}.")
