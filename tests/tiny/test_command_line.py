"""The command line: what it writes, and that unusable input is told from a bug and leaves nothing behind."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from got_models.__main__ import main
from got_models.chain.chain import ReasoningChain
from got_models.constants import BUNDLED_CHECKPOINT
from got_models.edit_area import edited_area
from tiny_model.__main__ import main as make_tiny_model

ROOT = Path(__file__).parents[2]
PROMPT = "a red circle above a blue square"
CHAIN = "A red circle ((300, 100), (600, 400)) above a blue square (300,500),(600,800) on white."
MANY_BOXES = " and ".join(f"a dot ({10 * n},0),({10 * n + 5},9)" for n in range(65))
RESULTS = ["chain.json", "chain.txt", "image.png", "layout.png"]

Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refused:
    """Runs a command that must end with exit code 2 and nothing written; returns the message."""

    def run(*arguments: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        try:
            code: object = main([str(argument) for argument in arguments])
        except SystemExit as exit_by_argparse:
            code = exit_by_argparse.code
        output = capsys.readouterr()
        assert code == 2
        assert output.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        message = output.err.strip().splitlines()[-1]
        assert "error: " in message
        return message

    return run


def test_help_comes_without_the_heavy_libraries() -> None:
    code = (
        "import sys, got_models.__main__ as command_line\n"
        "command_line.build_parser().format_help()\n"
        "sys.exit(' '.join({'torch', 'transformers', 'diffusers', 'numpy'} & set(sys.modules)) or None)"
    )
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr


def test_a_user_mistake_ends_a_real_process_with_2_and_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "got_models", "generate", " ", "--out", str(tmp_path / "out")]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert process.returncode == 2
    assert process.stderr.startswith("error: The prompt is empty")
    assert "Traceback" not in process.stderr
    assert os.listdir(tmp_path) == []


def test_ctrl_c_ends_a_real_process_with_130_and_one_line(tmp_path: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    command = [sys.executable, "-m", "got_models", "generate", PROMPT, "--steps", "1000"]
    options = ["--out", str(tmp_path / "out")]
    process = subprocess.Popen(command + options, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    process.stderr.read(1)  # of the progress bar
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "stopped"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "130x128"], "multiples of 8"),
        (["--size", "128"], "multiples of 8"),
        (["--size", "128x"], "multiples of 8"),
        (["--size=-128x128"], "multiples of 8"),
        (["--steps", "0"], "at least 1"),
        (["--steps", "-3"], "at least 1"),
        (["--steps", "2.5"], "at least 1"),
        (["--seed", "-1"], "from 0"),
        (["--seed", str(2**63)], "from 0"),
        (["--semantic-scale", "nan"], "finite"),
        (["--spatial-scale", "inf"], "finite"),
        (["--reference-scale", "much"], "finite"),
        (["--scheduler", "heun"], "invalid choice"),
        (["--checkpoint", "/nowhere"], "There is no checkpoint folder /nowhere"),
    ],
)
def test_unusable_options_are_refused(
    options: list[str], message: str, refused: Refused, tmp_path: Path
) -> None:
    assert message in refused("generate", PROMPT, "--out", tmp_path / "out", *options)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [("", "empty"), (" \n", "empty"), ("red " * 25_000, "100000"), ("\udcff", "special")],
)
def test_unusable_prompts_are_refused(prompt: str, message: str, refused: Refused, tmp_path: Path) -> None:
    assert message in refused("generate", prompt, "--out", tmp_path / "out")
    assert message in refused("reason", prompt)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("chain.txt", b"a circle <|box_start|>(1,2),(3<|box_end|>", "character 9"),
        ("chain.txt", b"a circle (100,100),(400,1001)", "0 to 999"),
        ("chain.txt", b"a circle (100,100),(100,400)", "no area"),
        ("chain.txt", b"a circle (400,400),(100,100)", "swapped"),
        ("chain.txt", b"a circle <|box_start|>(1,1),(40,40)<|box_end|> (blurple)", "blurple"),
        ("chain.txt", MANY_BOXES.encode(), "64"),
        ("chain.txt", b"a gr\xf6\xdfe circle (100,100),(400,400)", "UTF-8"),
        ("chain.txt", b" " * 1_000_001, "more than 1,000,000 bytes"),
        ("chain.json", b"[" * 100_000, "not a chain"),
        ("chain.json", b'{"version": 99}', "version"),
        ("other.txt", b"", "Cannot read"),
    ],
)
def test_unusable_chains_are_refused(
    name: str, content: bytes, message: str, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / name.replace("other", "another")).write_bytes(content)
    assert message in refused("generate", PROMPT, "--chain", tmp_path / name, "--out", tmp_path / "out")


def test_the_prompt_follows_an_edited_chain(
    checkpoint: Path, refused: Refused, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after, out = tmp_path / "before.txt", tmp_path / "after.txt", tmp_path / "out"
    before.write_text("On a white background there is a large red circle (62,312),(438,688).")
    after.write_text("On a white background there is a large green star (62,312),(438,688).")
    options = ["--checkpoint", checkpoint, "--edited-from", before, "--out", out]
    assert "give the changed one to --chain" in refused("generate", "a red circle", *options)
    options += ["--chain", after, "--steps", 1, "--size", "64x64"]
    assert main([str(word) for word in ("generate", "a red circle", *options)]) == 0
    assert "prompt: a green star" in capsys.readouterr().err
    assert json.loads((out / "chain.json").read_text(encoding="utf-8"))["prompt"] == "a green star"


def test_a_chain_for_the_other_task_is_refused(refused: Refused, tmp_path: Path) -> None:
    chain = ReasoningChain.parse(CHAIN, "edit", "move the circle")
    (tmp_path / "chain.json").write_text(json.dumps(chain.to_json()), encoding="utf-8")
    message = refused("generate", PROMPT, "--chain", tmp_path / "chain.json", "--out", tmp_path / "out")
    assert "'edit'" in message and "'generate'" in message


def test_a_file_that_is_no_picture_is_refused(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_text("no picture")
    for picture in (tmp_path / "picture.png", tmp_path / "missing.png", tmp_path):
        assert "cannot open" in refused("edit", picture, "make it red", "--out", tmp_path / "out")
        assert "cannot open" in refused("reason", "make it red", "--image", picture)


@pytest.mark.parametrize("command", [["generate", PROMPT], ["demo"]])
def test_an_unwritable_folder_is_found_out_before_the_work(
    command: list[str], refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be written to" in refused(*command, "--out", tmp_path / "file")
    assert "cannot be written to" in refused(*command, "--out", tmp_path / "file/out")


@pytest.mark.parametrize("command", ["evaluate", "train", "lesson"])
def test_how_the_bundled_model_is_made_finds_it_out_too(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert make_tiny_model([command, "--out", str(tmp_path / "file")]) == 2
    assert "cannot be written to" in capsys.readouterr().err


def test_a_command_that_has_moved_says_where_it_is(refused: Refused) -> None:
    assert "python -m tiny_model train" in refused("train", "--preset", "shapes", "--out", "x")


@pytest.fixture
def damaged(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint for a test to damage."""
    return Path(shutil.copytree(checkpoint, tmp_path / "damaged"))


def test_a_checkpoint_with_a_part_missing_is_refused(damaged: Path, refused: Refused, tmp_path: Path) -> None:
    shutil.rmtree(damaged / "vae")
    assert "vae/config.json" in refused(
        "generate", PROMPT, "--checkpoint", damaged, "--out", tmp_path / "out"
    )


def test_a_truncated_checkpoint_is_refused(damaged: Path, refused: Refused, tmp_path: Path) -> None:
    weights = damaged / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert str(weights) in refused("generate", PROMPT, "--checkpoint", damaged, "--out", tmp_path / "out")


def test_a_wrong_width_is_named_with_both_shapes(damaged: Path, refused: Refused, tmp_path: Path) -> None:
    tensors = load_file(damaged / "projectors.safetensors")
    key = "output_projector.projector.weight"
    right = list(tensors[key].shape)
    tensors[key] = tensors[key][:, :-1].contiguous()
    save_file(tensors, damaged / "projectors.safetensors")
    message = refused("generate", PROMPT, "--checkpoint", damaged, "--out", tmp_path / "out")
    assert key in message and str(right) in message and str(list(tensors[key].shape)) in message


@pytest.mark.parametrize(
    ("part", "key", "value", "said"),
    [
        ("mllm/model", "model.norm.weight", math.nan, "What the language model has read of the plan"),
        ("projectors", "output_projector.projector.bias", math.inf, "The semantic guidance"),
        ("projectors", "output_projector_add.projector.weight", math.nan, "The semantic guidance"),
        ("unet/diffusion_pytorch_model", "conv_in.weight", math.inf, "What the UNet has predicted in step 1"),
        ("vae/diffusion_pytorch_model", "encoder.conv_out.bias", math.nan, "made of the boxes"),
        ("vae/diffusion_pytorch_model", "decoder.conv_out.bias", math.inf, "that the VAE has decoded"),
    ],
)
def test_weights_that_are_not_finite_are_named_and_no_picture_is_written(
    part: str, key: str, value: float, said: str, damaged: Path, refused: Refused, tmp_path: Path
) -> None:
    file = f"{part}.safetensors"
    tensors = load_file(damaged / file)
    key = next(name for name in tensors if name.endswith(key))
    tensors[key].flatten()[0] = value
    save_file(tensors, damaged / file, {"format": "pt"})
    (tmp_path / "chain.txt").write_text(CHAIN)
    options = ["--chain", tmp_path / "chain.txt", "--checkpoint", damaged, "--steps", 2, "--size", "64x64"]
    message = refused("generate", PROMPT, *options, "--out", tmp_path / "out")
    assert said in message and "copy or import the checkpoint again" in message
    assert key.rpartition(".")[2] in message


def test_a_language_model_that_computes_nan_is_refused_before_it_writes(
    damaged: Path, refused: Refused
) -> None:
    file = damaged / "mllm/model.safetensors"
    tensors = load_file(file)
    tensors[next(name for name in tensors if name.endswith("model.norm.weight"))][0] = math.nan
    save_file(tensors, file, {"format": "pt"})
    message = refused("reason", PROMPT, "--checkpoint", damaged)
    assert "What the language model gives for the next token holds NaN" in message


@pytest.mark.parametrize("option", ["--semantic-scale", "--spatial-scale", "--reference-scale"])
def test_scales_that_overflow_when_they_are_combined_are_refused(
    option: str, checkpoint: Path, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "chain.txt").write_text(CHAIN)
    options = ["--chain", tmp_path / "chain.txt", "--checkpoint", checkpoint, "--steps", 2, "--size", "64x64"]
    message = refused("generate", PROMPT, *options, option, "1e38", "--out", tmp_path / "out")
    assert "smaller guidance scales" in message


def test_what_only_the_checkpoint_can_refuse_is_refused(
    checkpoint: Path, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "chain.txt").write_text(CHAIN)
    options = ["--chain", tmp_path / "chain.txt", "--checkpoint", checkpoint, "--out", tmp_path / "out"]
    assert "multiple of 8" in refused("generate", PROMPT, *options, "--size", "32x128")
    assert "1001" in refused("generate", PROMPT, *options, "--steps", "1001")


def test_generate_writes_the_same_four_files_for_the_same_seed(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chain.txt").write_text(CHAIN)
    options = ["--checkpoint", checkpoint, "--chain", tmp_path / "chain.txt", "--steps", 2, "--size", "64x96"]
    chosen = [*options, "--scheduler", "euler", "--spatial-scale", "2.5"]
    for seed, out in (3, "first"), (3, "second"), (4, "other"):
        command = ["generate", PROMPT, *chosen, "--seed", seed, "--out", tmp_path / out]
        assert main([str(argument) for argument in command]) == 0
    first, second, other = tmp_path / "first", tmp_path / "second", tmp_path / "other"
    assert sorted(os.listdir(first)) == RESULTS
    for name in RESULTS:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    picture = Image.open(first / "image.png")
    assert picture.size == (64, 96)
    assert picture.tobytes() != Image.open(other / "image.png").tobytes()
    settings = json.loads(picture.info["got_settings"])
    scales = settings.pop("scales")
    assert settings == {
        "seed": 3,
        "steps": 2,
        "scheduler": "euler",
        "size": "64x96",
        "checkpoint": checkpoint.name,
    }
    task = json.loads((checkpoint / "got.json").read_text())["tasks"]["generate"]
    assert scales == {"semantic": task["semantic"], "spatial": 2.5, "reference": task["reference"]}
    chain = ReasoningChain.load(first / "chain.json")
    assert chain == ReasoningChain.parse(CHAIN, "generate", PROMPT)
    output = capsys.readouterr().out
    assert chain.text in output and str(first / "image.png") in output


@pytest.mark.parametrize("said", ["A red circle (250,250),(500,500).", "Nothing to outline."])
def test_an_edit_of_a_photo_keeps_its_size_and_every_byte_outside_the_boxes(
    said: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Image.effect_noise((600, 301), 90).convert("RGB")
    source.save(tmp_path / "source.png")
    (tmp_path / "chain.txt").write_text(said)
    options = ["--checkpoint", checkpoint, "--chain", tmp_path / "chain.txt", "--steps", 1, "--size", "64x64"]
    command = ["edit", tmp_path / "source.png", "make the cat red", *options, "--out", tmp_path / "out"]
    assert main([str(argument) for argument in command]) == 0
    drawn = Image.open(tmp_path / "out/image.png")
    chain = ReasoningChain.load(tmp_path / "out/chain.json")
    assert (chain.task, chain.prompt) == ("edit", "make the cat red")
    outside = (
        edited_area(chain.regions, (301, 600)).numpy() == 0 if chain.regions else np.full((301, 600), True)
    )
    assert (np.asarray(drawn)[outside] == np.asarray(source)[outside]).all()
    assert (drawn.tobytes() == source.tobytes()) == (not chain.regions)
    told = capsys.readouterr().err
    assert "warning: The bundled model has not learned: cat." in told
    assert "has not learned to look at pictures like this one" in told
    assert ("Drawn at 64 x 64 and enlarged to the picture's 600 x 301" in told) == bool(chain.regions)
    assert ("so the picture stays as it is" in told) == (not chain.regions)


@pytest.mark.parametrize("keep", [True, False])
def test_edit_draws_what_the_nodes_draw(keep: bool, checkpoint: Path, tmp_path: Path) -> None:
    """The same bytes, also where the source has another size than the picture and boxes have soft edges."""
    from got_pack.got_models.chain.chain import ReasoningChain as PackChain
    from got_pack.nodes._images import pictures_to_image
    from got_pack.nodes._model import ManagedModel
    from got_pack.nodes.guidance import GoTSSGMEncode
    from got_pack.nodes.sampling import GoTSampler

    source = Image.effect_noise((100, 70), 90).convert("RGB")
    source.save(tmp_path / "source.png")
    (tmp_path / "chain.txt").write_text(CHAIN)
    options = ["--checkpoint", checkpoint, "--chain", tmp_path / "chain.txt", "--steps", 2, "--size", "64x64"]
    command = ["edit", tmp_path / "source.png", "make it red", *options, "--scheduler", "euler", "--seed", 3]
    command += ["--out", tmp_path / "out", *([] if keep else ["--no-keep-outside-boxes"])]
    assert main([str(argument) for argument in command]) == 0
    drawn = Image.open(tmp_path / "out/image.png")
    assert json.loads(drawn.info["got_settings"])["keep_outside_boxes"] is keep

    got = ManagedModel.open(checkpoint)
    chain = PackChain.parse(CHAIN, "edit", "make it red")
    plan, *_ = GoTSSGMEncode().encode(got, chain, 64, 64, reference=pictures_to_image([source]))["result"]
    _, image = GoTSampler().sample(got, plan, 3, 2, "euler", -1.0, -1.0, -1.0, keep)["result"]
    saved = (255.0 * image[0].numpy()).clip(0, 255).astype(np.uint8)  # as ComfyUI's Save Image does
    assert np.array_equal(np.asarray(drawn), saved)
    kept = source.resize(drawn.size, Image.Resampling.LANCZOS)
    assert (drawn.crop((0, 0, 5, 5)).tobytes() == kept.crop((0, 0, 5, 5)).tobytes()) is keep


def test_reason_prints_what_the_model_writes(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from got_models.pipeline import GoTModel

    written: list[str] = []
    GoTModel.from_pretrained(checkpoint).reason(PROMPT, on_text=written.append)
    assert main(["reason", PROMPT, "--checkpoint", str(checkpoint)]) == 0
    assert capsys.readouterr().out == "".join(written) + "\n"


@pytest.mark.skipif(not (BUNDLED_CHECKPOINT / "got.json").is_file(), reason="needs the trained checkpoint")
def test_the_demo_generates_moves_and_edits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    output = capsys.readouterr().out
    chains = {}
    for name in ("generated", "moved", "edited"):
        assert sorted(os.listdir(tmp_path / "demo" / name)) == RESULTS
        assert str(tmp_path / "demo" / name / "image.png") in output
        chains[name] = ReasoningChain.load(tmp_path / "demo" / name / "chain.json")
        assert chains[name].text in output
    assert str(tmp_path / "demo/contact_sheet.png") in output
    before, after = chains["generated"].regions, chains["moved"].regions
    assert before[0].box.iou(after[0].box) == 0
    assert [region.box for region in before[1:]] == [region.box for region in after[1:]]
    assert chains["edited"].task == "edit"
