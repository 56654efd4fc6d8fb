"""Import LanceDB without the client of its cloud service, which takes more than half of the import."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_CLIENT = "lance_namespace_urllib3_client"


class _Placeholders(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the client's modules and gives them placeholders for every class."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != _CLIENT:
            return None
        return importlib.util.spec_from_loader(name, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__

        def placeholder(attribute: str) -> type:
            # A caller who does use the cloud in this process gets an object of the class itself.
            def new(_: type, *arguments: Any, **options: Any) -> Any:
                return getattr(importlib.import_module(name), attribute)(*arguments, **options)

            return type(attribute, (), {"__new__": new, "__module__": name})

        module.__getattr__ = placeholder  # type: ignore[method-assign]


def _import() -> None:
    os.environ.setdefault("LANCE_LOG", "error")  # its warnings are not meant for users of a command
    if "lancedb" in sys.modules or _CLIENT in sys.modules:
        return
    finder = _Placeholders()
    sys.meta_path.insert(0, finder)
    try:
        import lancedb  # noqa: F401
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.partition(".")[0] == _CLIENT]:
            del sys.modules[name]


_import()

import lancedb as lancedb  # noqa: E402
from lancedb.index import BTree as BTree  # noqa: E402
from lancedb.index import IvfSq as IvfSq  # noqa: E402
