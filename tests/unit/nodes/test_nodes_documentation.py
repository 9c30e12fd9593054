"""What surrounds the nodes: help pages, translations, and what the ComfyUI registry reads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import got_pack
import pytest
import yaml
from got_pack.got_models.__main__ import build_parser
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.nodes.chain import KEEP_MINE, choose_chain
from PIL import Image

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "web" / "docs"
METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RAW_FILES = "https://raw.githubusercontent.com/comfyui-got/ComfyUI-GoT/main/"

# What the Chinese texts keep in Latin letters: names, values that a widget shows, and the example of a box.
NOT_TRANSLATED = set(
    """ComfyUI GoT JSON KSampler LoRA PNG SDXL SD CLIP SSGM SamplerCustomAdvanced UNet VAE Latent
    Gemma Ministral Load LLM none Create Hook
    auto exact fast fastest generate edit keep mine take new ddpm euler dpm m unipc default float bfloat fp
    circle square triangle star a red models got json x y k box start end
    Qwen VL B Instruct stable diffusion xl base huggingface co GB bit bitsandbytes
    data pairs review jsonl doubtful accepted stop leave out
    Ideogram Krea HiDream O Florence Omost SAM RT DETR
    output training go on with changed pictures docs lora md ema decay loras from Train""".split()  # noqa: SIM905
)

every_form = pytest.mark.parametrize(
    "file", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda file: file.stem
)
every_node = pytest.mark.parametrize("name", sorted(got_pack.NODE_CLASS_MAPPINGS))


def inputs(name: str) -> dict[str, Any]:
    types = got_pack.NODE_CLASS_MAPPINGS[name].INPUT_TYPES()
    return {**types["required"], **types.get("optional", {})}


# Help pages


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def entries(name: str, title: str) -> dict[str, str]:
    """The list under a title of the page: the name that an entry begins with -> what it says."""
    section = page(name).split(f"## {title}\n")[1].split("\n## ")[0]
    found = re.findall(r"^- `(\w+)`: (.*(?:\n  .*)*)", section, re.MULTILINE)
    return {key: " ".join(text.split()) for key, text in found}


def values(kind: Any, options: dict[str, Any]) -> list[str]:
    """What a page has to say of the values of an input."""
    if isinstance(kind, list):
        default = options.get("default", next(iter(kind), None))
        return [f"`{option}`" + (" (default)" if option == default else "") for option in kind]
    if kind in ("INT", "FLOAT"):
        low, high, default = (plans_ui(options[key]) for key in ("min", "max", "default"))
        return [f"{low} to {high}, default {default}"]
    if kind == "BOOLEAN":
        return [f"on or off, default {'on' if options['default'] else 'off'}"]
    return ["text" if kind == "STRING" else kind]


def plans_ui(number: float) -> str:
    return "2^64 - 1" if number == 2**64 - 1 else f"{number:g}"


def fenced(language: str) -> list[str]:
    """The examples of all pages in one language."""
    text = "\n".join(page(name) for name in got_pack.NODE_CLASS_MAPPINGS)
    return re.findall(rf"^```{language}\n(.*?)\n```", text, re.DOTALL | re.MULTILINE)


def test_there_is_a_page_for_each_node_and_nothing_else() -> None:
    assert {path.name for path in PAGES.iterdir()} == {f"{name}.md" for name in got_pack.NODE_CLASS_MAPPINGS}


@every_node
def test_a_page_has_the_nodes_name_an_example_and_common_mistakes(name: str) -> None:
    text = page(name)
    assert text.startswith(f"# {got_pack.NODE_DISPLAY_NAME_MAPPINGS[name]}\n")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == ["Inputs", "Outputs", "Example", "Common mistakes"]


@every_node
def test_a_page_names_every_input_with_its_range_and_default(name: str) -> None:
    listed = entries(name, "Inputs")
    assert list(listed) == list(inputs(name))
    for key, (kind, options) in inputs(name).items():
        assert [value for value in values(kind, options) if value not in listed[key]] == [], key
    optional = got_pack.NODE_CLASS_MAPPINGS[name].INPUT_TYPES().get("optional", {})
    assert {key for key, text in listed.items() if "optional" in text} == set(optional)


@every_node
def test_a_page_names_every_output_with_its_type(name: str) -> None:
    node = got_pack.NODE_CLASS_MAPPINGS[name]
    listed = {key: text.partition(".")[0] for key, text in entries(name, "Outputs").items()}
    assert listed == dict(zip(node.RETURN_NAMES, node.RETURN_TYPES, strict=True))


@every_node
def test_a_page_has_no_table_which_the_narrow_panel_would_cut(name: str) -> None:
    assert not re.search(r"^\|", page(name), re.MULTILINE)


def test_the_plans_that_the_pages_show_can_be_read() -> None:
    plans = fenced("text")
    assert plans
    assert all(ReasoningChain.parse(plan, "generate", "a prompt").regions for plan in plans)


def test_the_edited_chains_that_the_pages_show_can_be_read() -> None:
    examples = fenced("json")
    assert examples
    for example in examples:
        given = json.loads(example)
        upstream = ReasoningChain.parse(given["upstream"], given["chain"]["task"], given["chain"]["prompt"])
        assert upstream.text == given["upstream"]
        assert choose_chain(upstream, example, KEEP_MINE)[0].text == given["chain"]["text"] != upstream.text


# Translations


def translation(language: str, file: str) -> Any:
    return json.loads((ROOT / "locales" / language / file).read_text(encoding="utf-8"))


def strings(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a translation with the path of keys that leads to it."""
    if isinstance(data, str):
        yield path, data
        return
    for key, value in data.items():
        yield from strings(value, f"{path}/{key}")


def plain(text: str) -> str:
    """A message as the frontend shows it: {'|'} stands for a bar, which alone would separate plural forms."""
    return re.sub(r"\{'(.)'\}", r"\1", text)


def both_files(language: str) -> dict[str, str]:
    return dict(strings({file: translation(language, file) for file in ("main.json", "nodeDefs.json")}))


@every_node
def test_english_is_what_the_node_says(name: str) -> None:
    node = got_pack.NODE_CLASS_MAPPINGS[name]
    outputs = enumerate(zip(node.RETURN_NAMES, node.OUTPUT_TOOLTIPS, strict=True))
    said = {
        "display_name": got_pack.NODE_DISPLAY_NAME_MAPPINGS[name],
        "description": node.DESCRIPTION,
        "inputs": {key: {"name": key, "tooltip": entry[1]["tooltip"]} for key, entry in inputs(name).items()},
        "outputs": {str(index): {"name": key, "tooltip": tooltip} for index, (key, tooltip) in outputs},
    }
    written = {path: plain(text) for path, text in strings(translation("en", "nodeDefs.json")[name])}
    assert written == dict(strings(said))


def test_only_the_packs_nodes_are_translated() -> None:
    assert translation("en", "nodeDefs.json").keys() == got_pack.NODE_CLASS_MAPPINGS.keys()


def test_categories_and_types_are_translated() -> None:
    nodes = got_pack.NODE_CLASS_MAPPINGS.values()
    general = translation("en", "main.json")
    assert set(general["nodeCategories"]) == {part for node in nodes for part in node.CATEGORY.split("/")}
    assert set(general["dataTypes"]) == {
        kind for node in nodes for kind in node.RETURN_TYPES if kind.startswith("GOT_")
    }


def test_chinese_has_the_same_keys_as_english() -> None:
    assert both_files("zh").keys() == both_files("en").keys()


def test_chinese_is_chinese() -> None:
    left = {
        path: words
        for path, text in both_files("zh").items()
        if (words := set(re.findall(r"[A-Za-z]+", plain(text))) - NOT_TRANSLATED)
    }
    assert left == {}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_frontend_finds_no_message_syntax_in_a_translation(language: str) -> None:
    texts = both_files(language)
    bare = {path for path, text in texts.items() if re.search(r"[|@{}]", re.sub(r"\{'.'\}", "", text))}
    assert bare == set()


# What the registry reads


def test_the_dependencies_are_the_requirements_with_lower_bounds_only() -> None:
    requirements = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert METADATA["project"]["dependencies"] == requirements
    assert [line for line in requirements if not re.fullmatch(r"\w+>=[\d.]+", line)] == []


def test_the_registry_finds_the_fields_that_it_needs() -> None:
    project, comfy = METADATA["project"], METADATA["tool"]["comfy"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", project["version"])
    assert "comfyui" not in project["name"].lower()
    assert {"Repository", "Documentation", "Bug Tracker"} <= set(project["urls"])
    assert comfy["PublisherId"] and comfy["DisplayName"]
    assert re.fullmatch(r">=\d+\.\d+\.\d+", comfy["requires-comfyui"])


def test_the_icon_is_a_square_of_at_most_400_pixels() -> None:
    address = METADATA["tool"]["comfy"]["Icon"]
    assert address.startswith(RAW_FILES)
    with Image.open(ROOT / address.removeprefix(RAW_FILES)) as icon:
        width, height = icon.size
    assert width == height <= 400


def left_out(paths: list[str], folder: Path) -> list[str]:
    """Those paths that .comfyignore keeps out of the archive: its patterns are git's."""
    (folder / ".gitignore").write_bytes((ROOT / ".comfyignore").read_bytes())
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    answer = subprocess.run(
        ["git", "-C", folder, "check-ignore", "--stdin"],
        input="\n".join(paths),
        capture_output=True,
        text=True,
    )
    assert answer.returncode in (0, 1), answer.stderr
    return answer.stdout.split("\n")[:-1]


def test_the_archive_holds_all_that_runs(tmp_path: Path) -> None:
    files = ["__init__.py", "README.md", "LICENSE", "CHANGELOG.md", "requirements.txt", "pyproject.toml"]
    files += ["got_models/tiny/got.json", "got_models/tiny/unet/config.json", "workflows/example.json"]
    for folder in ("lessons", "got_models", "nodes", "web", "locales", "workflows", "subgraphs"):
        files += [path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*.*")]
    assert left_out(files, tmp_path) == []


def published_code(folder: Path) -> dict[str, str]:
    """The Python files of the archive, by their paths."""
    answer = subprocess.run(["git", "-C", ROOT, "ls-files", "*.py"], capture_output=True, text=True)
    paths = answer.stdout.split()
    if not paths:
        pytest.skip("this copy is no git repository")
    kept = set(paths) - set(left_out(paths, folder))
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in kept}


def test_windows_consoles_can_show_all_code_of_the_archive(tmp_path: Path) -> None:
    """As comfy-test's syntax level asks: other characters stand there as escapes."""
    odd = {
        path: sorted({character for character in code if not character.encode("cp1252", "ignore")})
        for path, code in published_code(tmp_path).items()
    }
    assert {path: characters for path, characters in odd.items() if characters} == {}


def test_no_code_of_the_archive_names_what_comfy_test_forbids(tmp_path: Path) -> None:
    """A device by its name, autocast over all of torch, and layers by the name that ComfyUI's own replace."""
    forbidden = re.compile(
        r"""\.cuda\s*\(|\.to\s*\(\s*(?:torch\.device\s*\(\s*)?["']cuda|torch\.(?:cuda\.)?(?:amp\.)?autocast\b"""
        r"""|(?<![\w.])(?:torch\.)?nn\.(?:Linear|Conv(?:Transpose)?[123]d|LayerNorm|GroupNorm|Embedding)\s*\("""
    )
    found = {
        path: [line for line in code.splitlines() if forbidden.search(line.partition("#")[0])]
        for path, code in published_code(tmp_path).items()
    }
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_the_archive_leaves_out_what_only_developers_need(tmp_path: Path) -> None:
    files = [
        ".ci/run",
        ".github/ISSUE_TEMPLATE/problem.yml",
        "Makefile",
        "constraints.txt",
        "requirements-dev.txt",
        "docs/architecture.md",
    ]
    files += [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")]
    assert left_out(files, tmp_path) == files


# What GitHub reads


@every_form
def test_an_issue_form_asks_for_a_report_by_a_command_that_is_there(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    form = yaml.safe_load(text)
    assert form["name"] and form["description"] and form.keys() <= {"name", "description", "title", "body"}
    questions = [entry for entry in form["body"] if entry["type"] != "markdown"]
    assert len({entry["id"] for entry in questions}) == len(questions)
    assert all(entry["attributes"]["label"] for entry in questions)
    commands = re.findall(r"(?:got_models|main\(\)\") (report \S+ --out \w+)", text)
    assert [build_parser().parse_args(command.split()).out for command in commands]
