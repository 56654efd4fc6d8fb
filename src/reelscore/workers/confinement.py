"""Confine a worker process: memory, CPU time, file size, files and network."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on all architectures
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

_READ = 1 << 2 | 1 << 3  # files, folders
_READ_FILE = 1 << 2
_WRITE_FILE = 1 << 1
# Write, remove and create files and folders; no devices, sockets, pipes or links.
_WRITE = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8
_TRUNCATE = 1 << 14
# What each version of Landlock can deny: version 1 the first 13 rights, then rename between folders, truncate, ioctl.
_ALL_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL_NEWEST = (1 << 16) - 1

# Modules that are imported late, shared libraries, and what numeric libraries ask about the processor.
_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime",
           "/sys/devices/system/cpu", "/proc/cpuinfo", "/proc/meminfo", "/dev/null", "/dev/urandom")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Confinement:
    """What a worker may use for one item.

    Attributes
    ----------
    read, write : tuple of str
        Files and folders; everything else is denied where the kernel has Landlock.
    memory_bytes : int
        Address space beyond what the prepared process has.
    cpu_s : int
        Processor time.
    file_bytes : int
        Size of a written file.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    memory_bytes: int = 2 << 30
    cpu_s: int = 600
    file_bytes: int = 8 << 30

    def apply(self) -> None:
        """Confine this process and the threads that it starts from now on. It cannot be undone."""
        with Path("/proc/self/statm").open() as file:
            used_bytes = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _lower(resource.RLIMIT_AS, used_bytes + self.memory_bytes)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        _lower(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + self.cpu_s)
        _lower(resource.RLIMIT_FSIZE, self.file_bytes)
        _lower(resource.RLIMIT_CORE, 0)  # a core file would hold the contents of the upload
        python = (sys.prefix, sys.base_prefix, *(path for path in sys.path if path))
        deny_files([*_SYSTEM, *python, *self.read], self.write)


def deny_network() -> None:
    """Move this process to a network namespace without interfaces, where the system lets users do that.

    Call it before the process starts threads.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def landlock_version() -> int:
    """Return the version of Landlock in this kernel; 0 for none."""
    if sys.platform != "linux":
        return 0
    version: int = ctypes.CDLL(None).syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    return max(0, version)


def deny_files(read: Iterable[str], write: Iterable[str]) -> bool:
    """Deny this thread all other files, programs and, from version 4 on, TCP; return whether the kernel can."""
    version = landlock_version()
    if not version:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    handled = _ALL_BY_VERSION.get(version, _ALL_NEWEST)
    network = 3 if version >= 4 else 0
    scoped = 3 if version >= 6 else 0  # abstract sockets, and signals to processes outside
    attributes = struct.pack("QQQ", handled, network, scoped)[
        : 24 if version >= 6 else 16 if version >= 4 else 8
    ]
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        for path in read:
            _allow(libc, ruleset, path, _READ & handled)
        for path in write:
            _allow(libc, ruleset, path, (_READ | _WRITE | _TRUNCATE) & handled)
        _allow(libc, ruleset, "/dev/null", (_READ_FILE | _WRITE_FILE) & handled)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    finally:
        os.close(ruleset)
    return True


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what does not exist needs no right
    try:
        if not Path(path).is_dir():
            rights &= _READ_FILE | _WRITE_FILE | _TRUNCATE
        rule = struct.pack("=Qi", rights, descriptor)
        if libc.syscall(_LANDLOCK_ADD, ruleset, 1, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), "landlock_add_rule", path)
    finally:
        os.close(descriptor)


def _lower(limit: int, value: int) -> None:
    """Lower both the soft and the hard limit."""
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(limit, (value, value))
