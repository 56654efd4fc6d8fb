"""Connect to a Ray cluster, or start Ray on this machine."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from reelscore.errors import ConfigError, InputError, missing_extra

from .local import available_cores

_CONNECT_S = 10.0
_OBJECT_STORE_BYTES = 512 << 20  # of a local instance; values are taken out as they arrive


@contextmanager
def connected(
    address: str | None, *, workers: int | None = None, gpus: float = 0.0, encoders: int | None = None
) -> Iterator[Any]:
    """Connect to a cluster, or start Ray on this machine, and yield the module; raises as `ray.run_all`.

    A connection that exists is used and kept.
    """
    try:
        import ray
    except ImportError as error:
        raise missing_extra("the engine ray needs Ray", "scale") from error
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address is not None:
        _check_reachable(address)
    if ray.is_initialized():
        _check_gpus(ray, gpus, encoders)
        yield ray
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        # Its processes are those of the user, and its dashboard is not needed.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        options |= {
            "address": "local",
            "num_cpus": workers or available_cores(),
            "object_store_memory": _OBJECT_STORE_BYTES,
            "include_dashboard": False,
        }
    else:
        options["address"] = address
    # Ray would replace the environment of each worker by one that `uv` makes, where that is how this process started.
    os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    try:
        ray.init(**options)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise _unreachable(address or "this machine", " ".join(str(error).split())[:200]) from error
    try:
        _check_gpus(ray, gpus, encoders)
        yield ray
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    if address in ("auto", "local"):
        return
    parts = urlsplit(address if "://" in address else f"//{address}")
    if parts.scheme not in ("", "ray"):
        raise InputError(
            f"the address of the Ray cluster is {address!r}, expected host:6379 or ray://host:10001; correct --address"
        )
    try:
        port = parts.port or (10001 if parts.scheme else 6379)
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S):
            pass
    except (OSError, ValueError) as error:
        raise _unreachable(address, str(error)) from error


def _check_gpus(ray: Any, gpus: float, encoders: int | None) -> None:
    """Raise `ConfigError` if a cluster has too few GPUs for the encoders; Ray would wait for them."""
    shares = gpu_shares(ray.nodes(), gpus) if gpus else 0
    if gpus and shares < (encoders or 1):
        raise ConfigError(
            f"each encoder asks for {gpus:g} GPUs, but the cluster has {ray.cluster_resources().get('GPU', 0.0):g}, "
            f"enough for {shares} of {encoders or 1} encoders; add nodes with GPUs, or lower --gpus or --encoders"
        )


def gpu_shares(nodes: Sequence[Mapping[str, Any]], gpus: float) -> int:
    """Return how many encoders with `gpus` each fit on the `ray.nodes`; one uses GPUs of one node, or part of one."""
    found = [int(node["Resources"].get("GPU", 0)) for node in nodes if node["Alive"]]
    return sum(number * int(1 / gpus + 1e-9) if gpus < 1 else int(number / gpus) for number in found)


def _unreachable(address: str, reason: str) -> InputError:
    return InputError(
        f"the Ray cluster at {address} cannot be reached: {reason}. Start it (ray start --head), correct --address or "
        "RAY_ADDRESS, or give --engine local"
    )
