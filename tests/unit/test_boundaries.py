"""The walls between the rooms: what the library may import and may never run, and what a user installs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "got_models"
FILES = sorted(LIBRARY.rglob("*.py"))
NODES = sorted((ROOT / "nodes").rglob("*.py"))
TINY_MODEL = sorted((ROOT / "tiny_model").rglob("*.py"))
COMFYUI = {
    "comfy",
    "comfy_api",
    "comfy_execution",
    "comfy_extras",
    "execution",
    "folder_paths",
    "nodes",
    "server",
}
PICKLING = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
HEAVY = {"accelerate", "diffusers", "peft", "torch", "transformers"}
LIGHT = [
    "annotation.editing",
    "annotation.generation",
    "annotation.run",
    "annotation.server",
    "errors",
    "chain.chain",
    "chain.label_places",
    "chain.layout",
    "chain.notations",
    "chain.plan_check",
    "chain.prompt_update",
    "chain.vocabulary",
    "dataset.published",
    "dataset.rows",
    "dataset.summary",
    "files.png",
    "importing.download",
    "mllm.constrained_decoding",
    "mllm.prompts",
    "notes",
    "pictures",
    "weights.quantization",
]
LIGHT_WORLD = ["scene", "language", "edits", "scoring"]
OPTIONAL = {"bitsandbytes", "httpx2", "pyarrow", "ray"}  # used where the user has them
# Ground floor first. A room imports from itself and from lower floors only.
FLOORS = [
    {"constants", "errors"},
    {"files", "finite", "notes", "startup"},
    {"chain", "pictures"},
    {"diffusion", "mllm"},
    {"edit_area", "saved_plans", "weights"},
    {"conversation", "importing"},
    {"pipeline"},
    {"judge", "sweep"},
    {"evaluation"},
    {"dataset"},
    {"annotation", "training"},
    {"bench"},
    {"commands"},
    {"__main__"},
]

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(LIBRARY)))


def imports(source: str, folder: tuple[str, ...] = ()) -> Iterator[str]:
    """Everything imported anywhere in `source`, which lies in `folder` of the library.

    Imports inside the library start with a dot (`.dataset.rows`), those that climb out of it with two.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module)
        elif isinstance(node, ast.ImportFrom):
            up = node.level - 1
            start = (
                ".." if up > len(folder) else "." + "".join(f"{part}." for part in folder[: len(folder) - up])
            )
            yield from (
                start + module for module in ([node.module] if node.module else [n.name for n in node.names])
            )


def dangers(source: str) -> Iterator[str]:
    """What can run data as code, or vanishes under `python -O`."""
    for name in imports(source):
        if name.split(".")[0] in PICKLING:
            yield f"import of {name}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert):
            yield f"assert in line {node.lineno}"
        if isinstance(node, ast.Call):
            call = ast.unparse(node.func)
            safe = "weights_only=True" in map(ast.unparse, node.keywords)
            if call in {"eval", "exec"} or (call == "torch.load" and not safe):
                yield f"{call} in line {node.lineno}"


def library_imports(file: Path) -> list[str]:
    return list(imports(file.read_text(encoding="utf-8"), file.relative_to(LIBRARY).parts[:-1]))


def without_types(source: str) -> str:
    """The source without what it imports for type checkers alone."""
    tree = ast.parse(source)
    kept = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    return ast.unparse(ast.Module(kept, []))


def room(file: Path) -> str:
    """The module or folder directly under `got_models/` that a file belongs to."""
    return file.relative_to(LIBRARY).parts[0].removesuffix(".py")


def requirements(lines: list[str]) -> dict[str, str]:
    """Package name in lower case -> the rest of its line."""
    found = (re.fullmatch(r"([\w.-]+)(.*)", line.strip()) for line in lines)
    return {match[1].lower(): match[2] for match in found if match}


def project_dependencies() -> list[str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]


@every_file
def test_the_library_knows_nothing_of_comfyui(file: Path) -> None:
    assert [
        name for name in library_imports(file) if name.split(".")[0] in COMFYUI or name.startswith("..")
    ] == []


@every_file
def test_the_library_imports_itself_relatively_because_comfyui_gives_it_another_name(file: Path) -> None:
    assert [name for name in library_imports(file) if name.split(".")[0] == "got_models"] == []


@pytest.mark.parametrize("file", [*FILES, *NODES], ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_that_an_artist_installs_knows_how_the_bundled_model_is_made(file: Path) -> None:
    assert not re.search(r"(from|import) +\.*tiny_model", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", NODES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nodes_do_not_lean_on_the_command_line(file: Path) -> None:
    assert not re.search(r"got_models\.commands", file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", TINY_MODEL, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_bundled_model_is_made_with_the_library_alone(file: Path) -> None:
    for name in imports(file.read_text(encoding="utf-8"), file.relative_to(ROOT / "tiny_model").parts[:-1]):
        assert name.split(".")[0] not in COMFYUI, name


@pytest.mark.parametrize("file", [*FILES, *NODES], ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_in_the_library_or_the_nodes_runs_data_as_code_or_relies_on_assert(file: Path) -> None:
    assert list(dangers(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def load():\n    import comfy.utils", ["comfy.utils"]),
        ("from folder_paths import get_full_path", ["folder_paths"]),
        ("from .rows import Row", [".dataset.rows"]),
        ("from . import rows, buckets", [".dataset.rows", ".dataset.buckets"]),
        ("from ..chain import Box", [".chain"]),
        ("from .. import chain", [".chain"]),
        ("from ...nodes import loaders", ["..nodes"]),
    ],
)
def test_the_import_reader_sees_every_form_of_import(source: str, names: list[str]) -> None:
    assert list(imports(source, ("dataset",))) == names


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "assert width > 0",
        "eval(text)",
        "exec(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
    ],
)
def test_the_danger_reader_sees_each_danger(source: str) -> None:
    assert len(list(dangers(source))) == 1


@pytest.mark.parametrize("file", [*FILES, *NODES], ids=lambda file: str(file.relative_to(ROOT)))
def test_no_message_builds_a_whole_repr_to_cut_it(file: Path) -> None:
    """Of nested data from outside it may be larger than the memory; `short_repr` is there for it."""
    assert (
        re.findall(r"\{[^{}]*!r:\.\d+\}", file.read_text(encoding="utf-8").replace('f"{value!r:.60}"', ""))
        == []
    )


def test_the_danger_reader_lets_harmless_look_alikes_pass() -> None:
    assert list(dangers("model.eval()\ntorch.load(path, weights_only=True)\nevaluate(text)")) == []


@pytest.mark.parametrize("file", [*FILES, *NODES], ids=lambda file: str(file.relative_to(ROOT)))
def test_picture_files_are_opened_in_one_place(file: Path) -> None:
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    assert "Image.open" not in calls or file.name == "pictures.py"


def test_imports_inside_the_library_point_one_way() -> None:
    floor = {name: height for height, names in enumerate(FLOORS) for name in names}
    wrong = [
        f"{file.relative_to(LIBRARY)} imports {name}"
        for file in FILES
        if room(file) in floor
        for name in imports(
            without_types(file.read_text(encoding="utf-8")), file.relative_to(LIBRARY).parts[:-1]
        )
        if name.startswith(".")
        and name.split(".")[1] != room(file)
        and floor[name.split(".")[1]] >= floor[room(file)]
    ]
    assert wrong == []


def test_every_room_of_the_library_has_its_floor() -> None:
    assert {room(file) for file in FILES} == {"__init__"}.union(*FLOORS)


def test_requirements_mirror_the_project_dependencies() -> None:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert requirements(lines) == requirements(project_dependencies())


def test_dependencies_are_lower_bounds_and_leave_torch_to_comfyui() -> None:
    dependencies = requirements(project_dependencies())
    assert not {"torch", "torchvision", "torchaudio"} & set(dependencies)
    assert all(re.fullmatch(r">=[\d.]+", bound) for bound in dependencies.values()), dependencies


def test_every_third_party_import_is_a_declared_dependency() -> None:
    declared = {*requirements(project_dependencies()), "pil", "torch", "yaml"}  # pyyaml is imported as yaml
    imported = {name.split(".")[0] for file in FILES for name in library_imports(file)}
    assert {name.lower() for name in imported - {""} - set(sys.stdlib_module_names) - OPTIONAL} <= declared


@pytest.mark.parametrize(
    "module",
    [*(f"got_models.{name}" for name in LIGHT), *(f"tiny_model.world.{name}" for name in LIGHT_WORLD)],
)
def test_plans_downloads_and_the_drawable_world_need_no_heavy_library(module: str) -> None:
    program = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == ""


def test_the_public_names_are_there_and_bring_nothing_heavy_until_they_are_used() -> None:
    program = (
        "import sys, got_models; got_models.ReasoningChain, got_models.Box; "
        f"print(*sorted({HEAVY!r} & set(sys.modules))); "
        "[getattr(got_models, name) for name in got_models.__all__]"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == ""
