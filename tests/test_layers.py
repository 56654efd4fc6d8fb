"""Import rules: ranks, no cycles, owners of heavy libraries, a light start."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "reelscore"

RANKS: tuple[tuple[str, ...], ...] = (
    ("errors", "types", "config", "files", "objects", "workers", "features"),
    ("media", "losses", "evaluation", "library.storage"),
    ("encoders", "models"),
    ("text", "analysis"),
    ("pipeline", "data"),
    ("training", "library"),
    ("matching",),
    ("render",),
    ("demo", "service"),
    ("cli",),
    ("__init__", "__main__"),
)
"""A package imports only packages of lower ranks; those of rank 0 may import each other. Docs: architecture.md."""

OWNERS = {
    "av": {"media"},
    "lancedb": {"library.storage"},
    "lance": {"library.storage"},
    "obstore": {"objects"},
    "ray": {"workers.cluster", "workers.ray"},
    "onnxruntime": {"encoders.pack", "analysis.voice"},
    # The files that the mgsv data set publishes were written by torch.
    "torch": {
        "losses",
        "models.towers",
        *(
            f"training.{name}"
            for name in (
                "auto",
                "distributed",
                "encode",
                "gradient",
                "launch",
                "loop",
                "network",
                "optimizer",
                "resume",
            )
        ),
        "data.datasets.mgsv",
        "encoders.hub",
        "encoders.export",
    },
    "transformers": {"encoders.hub.loading"},
    "huggingface_hub": {"encoders.hub.download"},
    "rapidocr": {"text.ocr"},
    "charset_normalizer": {"text.encoding"},
    "fastapi": {"service"},
    "starlette": {"service"},
    "uvicorn": {"service.server"},
    "dbos": {"service.dbos_jobs"},
    "prometheus_client": {"service.metrics"},
    "httpx2": {"service.client", "service.client_calls"},
    "typer": {"cli"},
    "rich": {"cli"},
}
"""The packages or modules that may import a library, at any place in their code."""


def dotted(module: Path) -> str:
    """Return a module's name below the package, such as ``media.audio``; a package's own is its folder's."""
    name = ".".join(module.relative_to(PACKAGE).with_suffix("").parts)
    return name.removesuffix(".__init__")


MODULES = {dotted(p): p for p in sorted(PACKAGE.rglob("*.py"))}


def rank(name: str) -> int:
    """Return the rank of a module; ``library.storage`` has a row of its own, above ``library``."""
    rows = [(len(row), i) for i, rows in enumerate(RANKS) for row in rows if within(name, row)]
    assert rows, (
        f"{name} belongs to no rank; add its package to RANKS and to docs/explanation/architecture.md"
    )
    return max(rows)[1]


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def imports(name: str, *, for_types: bool = True) -> list[str]:
    """Return the dotted names that a module imports; the package's own start with a dot."""
    path = MODULES[name]
    parents = path.relative_to(PACKAGE).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if not for_types and isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = node.module or ""
            if node.level:
                above = ("reelscore", *parents)[: len(parents) + 2 - node.level]
                stem = ".".join((*above, stem)).rstrip(".")
            if stem.split(".")[0] == "reelscore":
                found += [f"{stem}.{alias.name}" for alias in node.names]
            else:
                found.append(stem)
    return ["." + n.removeprefix("reelscore.") if within(n, "reelscore") else n for n in found]


def target_of(imported: str) -> str | None:
    """Return the module that a name of the package lies in; None for the package's own ``__version__``."""
    name = imported.removeprefix(".")
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_lower_ranks(name: str) -> None:
    package = name.split(".")[0]
    for imported in imports(name):
        if imported.startswith("."):
            target = target_of(imported)
            if target is None or (target.split(".")[0] == package and rank(target) <= rank(name)):
                continue
            assert rank(target) < rank(name) or rank(name) == 0 == rank(target), (
                f"{name} (rank {rank(name)}) imports {target} (rank {rank(target)})"
            )
        else:
            owners = OWNERS.get(imported.split(".")[0])
            assert owners is None or any(within(name, owner) for owner in owners), (
                f"{name} imports {imported}, which belongs to {', '.join(sorted(owners or ()))}"
            )


def test_no_modules_import_each_other_in_a_cycle() -> None:
    graph = {
        name: {
            target
            for imported in imports(name, for_types=False)
            if imported.startswith(".") and (target := target_of(imported)) is not None
        }
        - {name}
        for name in MODULES
    }
    while leaves := {name for name, targets in graph.items() if not targets & set(graph)}:
        graph = {name: targets for name, targets in graph.items() if name not in leaves}
    # What is left after leaves and roots are taken off is on a cycle.
    while roots := set(graph) - {target for targets in graph.values() for target in targets}:
        graph = {name: targets for name, targets in graph.items() if name not in roots}
    assert not graph, {name: sorted(targets & set(graph)) for name, targets in graph.items()}


def test_the_root_holds_only_what_every_package_needs() -> None:
    at_root = {path.stem for path in PACKAGE.glob("*.py")}
    assert at_root == {"__init__", "__main__", "errors", "types", "config", "files", "objects"}


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("MODULES", 1)[1].split())


def test_onnx_runtime_reports_nothing_to_its_maker(tmp_path: Path) -> None:
    # With telemetry it keeps an identifier of the device in the user's folders, or warns that it cannot.
    code = "import reelscore, onnxruntime"
    environment = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert list(tmp_path.rglob("*")) == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_after("import reelscore") & {"torch", "lancedb", "av", "onnxruntime", "numpy", "scipy"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['reelscore', '--help']\n"
        "from reelscore.cli.app import run\n"
        "try: run()\n"
        "except SystemExit: pass"
    )
    assert not loaded_after(code) & {"torch", "lancedb", "av", "onnxruntime", "numpy", "scipy", "rich"}


def test_naming_a_hub_encoder_loads_nothing_heavy() -> None:
    code = (
        "from reelscore.encoders.spec import EncoderSpec\n"
        "import reelscore.pipeline.pipeline, reelscore.encoders.factory, reelscore.cli.app\n"
        "EncoderSpec('hub', video_model='a/b', music_model='c/d')"
    )
    assert not loaded_after(code) & {"torch", "transformers", "huggingface_hub"}


def test_the_public_sets_load_what_reads_their_files_only_with_a_file() -> None:
    loaded = loaded_after("import reelscore.data.datasets")
    assert not loaded & {"torch", "google.protobuf", "google_crc32c", "pyarrow"}


def test_training_and_the_settings_of_a_network_load_no_torch() -> None:
    code = "import reelscore.training.evaluate, reelscore.cli.commands.train, reelscore.losses"
    assert not loaded_after(code) & {"torch", "lancedb", "av", "scipy"}


def test_the_losses_load_torch_and_nothing_of_media_or_the_library() -> None:
    loaded = loaded_after("from reelscore.losses import InterIntraLoss")
    assert "torch" in loaded
    assert not loaded & {"av", "lancedb", "onnxruntime", "pyarrow", "scipy"}
