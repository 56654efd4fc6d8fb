"""The house's walls: who may import whom, read from the syntax tree, and what a light start may load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "reelscore"
GROUND = {"errors", "domain", "sampling", "pooling", "scaling", "files", "config"}
ALLOWED: dict[str, set[str]] = {
    **dict.fromkeys(GROUND, GROUND),
    "media": GROUND,
    "losses": GROUND,
    "evaluation": GROUND,
    "models": GROUND,
    "library": GROUND,
    "features": GROUND | {"media"},
    "data": GROUND | {"features.cache"},
    "training": GROUND | {"data", "models", "losses", "evaluation"},
    "extraction": GROUND | {"features", "media", "data"},
    "bridging": GROUND | {"features", "models"},
    "pipeline": GROUND | {"bridging", "features", "media", "models"},
    "choosing": GROUND | {"pipeline", "features", "models"},
    "indexing": GROUND | {"pipeline", "features", "media", "models", "library"},
    "reopening": GROUND | {"choosing", "pipeline", "library"},
    "catalogue": GROUND
    | {"reopening", "extraction", "indexing", "choosing", "pipeline", "features", "library"},
    "matching": GROUND | {"catalogue", "pipeline", "features", "media", "models", "library"},
}
ALLOWED["experiments"] = ALLOWED["training"] | {"training", "extraction.pool"}
EVERYTHING_BELOW_DEMO = set(ALLOWED)
ALLOWED["demo"] = EVERYTHING_BELOW_DEMO
ALLOWED["cli"] = EVERYTHING_BELOW_DEMO | {"demo"}
ALLOWED["__main__"] = {"cli"}

OWNERS = {
    "av": {"media"},
    "lancedb": {"library"},
    "lance": {"library"},
    "onnxruntime": {"features"},
    # The published files of mgsv are torch's own; nothing else in data may know torch, and in features
    # only what runs the models of the hub.
    "torch": {
        "losses",
        "models",
        "training",
        "experiments",
        "data.sets.mgsv",
        "features.hub_model",
        "features.hub_parts",
        "features.hub_sentence",
        "features.hub_tracing",
    },
    "transformers": {"features.hub_model"},
    "huggingface_hub": {"features.hub_loading"},
    "rapidocr": {"features.on_screen"},
    "typer": {"cli"},
    "rich": {"cli"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(module: Path) -> list[str]:
    """Dotted names that the module imports; the package's own start with a dot and are absolute below it."""
    package = module.relative_to(PACKAGE).parent.parts
    names: list[str] = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [
                "." + n.name.removeprefix("reelscore.") if n.name.startswith("reelscore.") else n.name
                for n in node.names
            ]
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                above = package[: len(package) - (node.level - 1)]
                stem = ".".join([*above, *([origin] if origin else [])])
                names += ["." + (f"{stem}.{n.name}" if stem else n.name) for n in node.names]
            elif origin == "reelscore" or origin.startswith("reelscore."):
                stem = origin.removeprefix("reelscore").lstrip(".")
                names += ["." + (f"{stem}.{n.name}" if stem else n.name) for n in node.names]
            else:
                names.append(origin)
    return names


@pytest.mark.parametrize("module", modules(), ids=lambda m: str(m.relative_to(PACKAGE)))
def test_a_module_imports_only_what_its_room_may(module: Path) -> None:
    room = room_of(module)
    for name in imports(module):
        if name.startswith("."):
            target = name[1:]
            if room == "__init__":
                continue  # the public names; the light-start tests below hold how it loads them
            if target.split(".")[0] == room or (room == "cli" and target == "__version__"):
                continue
            allowed = ALLOWED[room]
            assert any(target == a or target.startswith(a + ".") for a in allowed), (
                f"{module.relative_to(PACKAGE)} imports {target}; {room} may import {sorted(allowed)}"
            )
        else:
            owner = OWNERS.get(name.split(".")[0])
            dotted = ".".join(module.relative_to(PACKAGE).with_suffix("").parts)
            assert owner is None or owner & {room, dotted}, (
                f"{module.relative_to(PACKAGE)} imports {name}, which belongs to {sorted(owner or ())}"
            )


def test_every_room_has_its_row() -> None:
    assert {room_of(m) for m in modules()} - {"__init__"} <= set(ALLOWED)


def loaded_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("MODULES", 1)[1].split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_after("import reelscore") & {"torch", "lancedb", "av", "onnxruntime", "numpy", "scipy"}


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['reelscore', '--help']\n"
        "from reelscore.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass"
    )
    assert not loaded_after(code) & {"torch", "lancedb", "av", "onnxruntime", "scipy"}


def test_naming_a_hub_encoder_loads_nothing_heavy() -> None:
    code = (
        "from reelscore.features.spec import EncoderSpec\n"
        "import reelscore.pipeline, reelscore.features.hub, reelscore.cli.main\n"
        "EncoderSpec('hub', video_model='a/b', music_model='c/d')"
    )
    assert not loaded_after(code) & {"torch", "transformers", "huggingface_hub"}


def test_the_public_sets_load_what_reads_their_files_only_with_a_file() -> None:
    loaded = loaded_after("import reelscore.data.sets")
    assert not loaded & {"torch", "google.protobuf", "google_crc32c", "pyarrow"}


def test_the_losses_load_torch_and_nothing_of_media_or_the_library() -> None:
    loaded = loaded_after("from reelscore.losses import InterIntraLoss")
    assert "torch" in loaded
    assert not loaded & {"av", "lancedb", "onnxruntime", "pyarrow"}
