"""The rules of the packages, read from the syntax tree: who may import whom, and how things are called."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vton_jax"
SCRIPTS = tuple(path for name in ("train", "invert", "render") if (path := ROOT / f"{name}.py").exists())
MODULES = tuple(sorted(PACKAGE.rglob("*.py")))
DATA = tuple(sorted((ROOT / "data").rglob("*.py")))
# Every package with those below it that it may import. `systems` reads inputs to make examples for training; the try-on
# path reaches no truth, which has a test of its own.
MAY_IMPORT = {
    "core": "",
    "command_line": "core",
    "media": "core",
    "models": "core",
    "reading": "core media models",
    "layout": "core",
    "warping": "core layout models",
    "compositing": "core media layout",
    "catalogue": "core command_line media",
    "inputs": "core media reading catalogue",
    "systems": "core media models reading layout warping compositing inputs",
    "training": "core command_line media",
    "tasks": "core media models layout warping systems inputs",
    "evaluate": "core command_line media models reading layout warping compositing catalogue inputs systems training",
    "benchmark": "core command_line media catalogue systems evaluate",
    "studio": "core command_line media layout systems",
    "study": "core command_line media",
}
# A training machine may lack these, so the package imports them inside functions.
LAZY = (
    "grain",
    "tensorflow_datasets",
    "array_record",
    "av",
    "tensorboardX",
    "tqdm",
    "sklearn",
    "ai_edge_litert",
    "dlib",
    "numba",
    "jax2onnx",
    "onnxruntime",
)


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _is_module(name: str) -> bool:
    at = ROOT.joinpath(*name.split("."))
    return at.with_suffix(".py").exists() or (at / "__init__.py").exists()


def _imported(path: Path, node: ast.AST) -> list[str]:
    """The dotted names that an import statement names; `from a import b` gives a.b, and a where b is no module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = node.module or ""
    if node.level:
        package = _name(path).split(".")
        package = package if path.name == "__init__.py" else package[:-1]
        package = package[: len(package) - node.level + 1]
        base = ".".join(package + ([base] if base else []))
    names = []
    for alias in node.names:
        whole = f"{base}.{alias.name}"
        names.append(whole if not base.startswith("vton_jax") or _is_module(whole) else base)
    return names


@functools.cache
def imports(path: Path) -> frozenset[str]:
    """All imports of a file, those inside functions too."""
    return frozenset(name for node in ast.walk(_tree(path)) for name in _imported(path, node))


@functools.cache
def imports_on_loading(path: Path) -> frozenset[str]:
    """The imports that run when the module is loaded: not those inside functions or `if TYPE_CHECKING`."""
    names, stack = set(), list(_tree(path).body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            stack.extend(node.orelse)
            continue
        names.update(_imported(path, node))
        stack.extend(ast.iter_child_nodes(node))
    return frozenset(names)


def _within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def _reachable(path: Path) -> dict[str, str]:
    """Every vton_jax module that a file reaches, with the chain of imports that leads there."""
    by_name = {_name(module): module for module in MODULES}
    chains, stack = {}, [(path, _name(path))]
    while stack:
        at, chain = stack.pop()
        for name in imports(at):
            if name in by_name and name not in chains:
                chains[name] = f"{chain} -> {name}"
                stack.append((by_name[name], chains[name]))
    return chains


def _is_entry_point(path: Path) -> bool:
    if path in SCRIPTS or path.name == "__main__.py" or path == ROOT / "data" / "build.py":
        return True
    return any(isinstance(node, ast.If) and "__main__" in ast.dump(node.test) for node in _tree(path).body)


def test_there_is_something_to_check():
    assert any(path.name == "geometry.py" for path in MODULES)
    assert "vton_jax.core.label_tables" in imports(PACKAGE / "evaluate" / "metrics.py")


def test_the_package_imports_neither_scripts_nor_data():
    for path in MODULES:
        wrong = [name for name in imports(path) if _within(name, "data", "train", "invert", "render", "tests")]
        assert not wrong, f"{_name(path)} imports {wrong}; imports run downward only"


def test_imports_run_downward():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == MAY_IMPORT.keys(), "the table of the packages is not theirs"
    below = list(MAY_IMPORT)
    for package, allowed in MAY_IMPORT.items():
        later = [name for name in allowed.split() if below.index(name) > below.index(package)]
        assert not later, f"{package} stands above {later}"
        names = [f"vton_jax.{name}" for name in (package, *allowed.split())]
        for path in sorted((PACKAGE / package).rglob("*.py")):
            wrong = [name for name in imports(path) if _within(name, "vton_jax") and not _within(name, *names)]
            assert not wrong, f"{_name(path)} imports {wrong}; {package} may import {allowed or 'nothing of ours'}"


def test_models_never_import_each_other():
    shared = ("vton_jax.core", *(f"vton_jax.models.{name}" for name in ("layers", "losses", "weights")))
    for path in sorted((PACKAGE / "models").glob("*.py")):
        wrong = [name for name in imports(path) if _within(name, "vton_jax") and not _within(name, *shared)]
        assert not wrong, f"{_name(path)} imports {wrong}; models share layers and losses alone"


def test_no_circles():
    graph = {
        _name(path): {name for name in imports_on_loading(path) if _within(name, "vton_jax")} - {_name(path)}
        for path in MODULES
    }
    while leaves := {name for name, needs in graph.items() if not needs & graph.keys()}:
        graph = {name: needs for name, needs in graph.items() if name not in leaves}
    assert not graph, f"these modules import each other in a circle: {sorted(graph)}"


@pytest.mark.parametrize(
    "name",
    [
        "render.py",
        "invert.py",
        "vton_jax/systems/job.py",
        "vton_jax/systems/batches.py",
        "vton_jax/systems/lab126/system.py",
    ],
)
def test_the_try_on_path_never_reaches_the_catalogue(name):
    reached = _reachable(ROOT / name)
    assert "vton_jax.core.types" in reached
    wrong = [chain for module, chain in reached.items() if _within(module, "vton_jax.catalogue", "vton_jax.inputs")]
    assert not wrong, f"real photos have no truth file: {wrong}"


def test_flags_are_read_only_at_entry_points():
    for path in MODULES + DATA:
        if path.name == "flag_utils.py" or _is_entry_point(path):
            continue
        wrong = [name for name in imports(path) if _within(name, "absl.flags", "absl.app")]
        assert not wrong, f"{_name(path)} imports {wrong}; pass values, not flags"


def test_only_models_know_flax_modules():
    for path in MODULES + SCRIPTS + DATA:
        if path.parent == PACKAGE / "models":
            continue
        wrong = [name for name in imports(path) if _within(name, "flax.linen", "flax.nnx")]
        assert not wrong, f"{_name(path)} imports {wrong}; networks live in models/"


def test_optional_libraries_are_imported_lazily():
    for path in MODULES:
        wrong = [name for name in imports_on_loading(path) if _within(name, *LAZY)]
        assert not wrong, f"{_name(path)} imports {wrong} on loading; import it inside the function that needs it"


def test_tensorflow_and_clu_are_never_imported():
    for path in MODULES + SCRIPTS + DATA:
        wrong = [name for name in imports(path) if _within(name, "tensorflow", "clu", "flax.metrics.tensorboard")]
        assert not wrong, f"{_name(path)} imports {wrong}"


def test_no_drawers():
    assert not [path for path in MODULES if path.stem in ("utils", "util", "helpers", "common", "misc")]
    for path in MODULES + SCRIPTS + DATA:
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= 600, f"{_name(path)} has {lines} lines; past 500 a file tends to be a drawer"


def test_every_module_says_what_it_is():
    for path in MODULES + SCRIPTS + DATA:
        assert ast.get_docstring(_tree(path)) or not _tree(path).body, f"{_name(path)} has no docstring"


def _public_functions(path: Path):
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and not member.name.startswith("_"):
                    yield member


def test_randomness_is_called_key():
    for path in MODULES:
        if path.stem in ("losses", "tasks", "train_state"):  # a loss is loss_fn(params, batch, rng)
            continue
        for function in _public_functions(path):
            arguments = function.args
            names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
            assert "rng" not in names, f"{_name(path)}.{function.name} takes rng; call it key"


def test_imports_are_seen_however_they_are_written(tmp_path):
    source = "import a.b\nfrom vton_jax.core import geometry\nif TYPE_CHECKING:\n    import c\n"
    source += "def f():\n    from d import e\n"
    path = tmp_path / "module.py"
    path.write_text(source)
    assert imports(path) == {"a.b", "vton_jax.core.geometry", "c", "d.e"}
    assert imports_on_loading(path) == {"a.b", "vton_jax.core.geometry"}
    relative = PACKAGE / "models" / "imagined.py"
    node = ast.parse("from .other import Model\nfrom ..core.geometry import warp").body
    assert _imported(relative, node[0]) == ["vton_jax.models.other"]
    assert _imported(relative, node[1]) == ["vton_jax.core.geometry"]
