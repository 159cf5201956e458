"""Wrong files at every door: each reader gets thousands of them, and may answer with a result or one clear error.

    python benchmarks/fuzz_doors.py [--reader NAME ...] [--count 10000] [--seed 0] [--keep FOLDER] [--json]

Inputs follow `--seed`, the reader's name and the index alone. A fault is any other exception than `SelfPose6DError`,
more than 10 s, more than 1 GB of memory, a result that cannot be right, a file written or read outside the folder, a
program started, or code loaded from a file. `--keep` gets one input of each kind of fault.
"""

import argparse
import fnmatch
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provenance import print_provenance, provenance

MAX_S = 10.0
STUCK_S = 2 * MAX_S
"""Where compiled code keeps the alarm from being heard, the process is ended."""
TOO_LONG = "longer than 10 s"
MAX_GROWTH_BYTES = 1 << 30
LIMIT_BYTES = 3 << 30
"""Of address space, above that of the start: protects the machine, not the figure."""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "shutil.rmtree")
FORBIDDEN = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "pickle.find_class",
    "socket.connect",
)


class TooLongError(BaseException):
    """The alarm went off; no reader may catch it."""


@dataclass
class Watch:
    """What is looked at while a file is read, by the interpreter's own audit."""

    folder: Path
    on: bool = False
    seen: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note what a reader must not do."""
        if not self.on:
            return
        if event == "pickle.find_class" and str(arguments[0]).startswith("numba."):
            return  # its own cache of compiled code, the first time that a kernel is needed
        if event in FORBIDDEN:
            self.seen.append(f"{event} {arguments[:2]}")
        elif event == "open":
            path, mode, flags = arguments
            writes = bool((flags or 0) & WRITES) or any(letter in (mode or "") for letter in "wax+")
            self._note(path, "written" if writes else "read")
        elif event in CHANGES:
            self._note(arguments[0], event)

    def _note(self, path: Any, what: str) -> None:
        if not isinstance(path, str | bytes) or not os.fsdecode(path):
            return
        full = Path(os.path.abspath(os.fsdecode(path)))
        if what == "read":  # textures may lie beside a mesh's folder; Python's own files anywhere
            sandbox = self.folder.parents[1]
            is_allowed = full.is_relative_to(self.folder.parent) or not full.is_relative_to(sandbox)
            is_allowed = is_allowed and full != Path("/etc/passwd")
        else:
            is_allowed = full.is_relative_to(self.folder) or str(full).startswith(("/dev/", "/proc/"))
            # a module that is imported for the first time
            is_allowed = is_allowed or "__pycache__" in full.parts
        if not is_allowed:
            self.seen.append(f"{what} outside: {full}")


@dataclass(frozen=True)
class Outcome:
    """What one input came to: `ok`, `error` (a clear one) or `fault` with its kind."""

    index: int
    kind: str
    said: str = ""


class Sandbox:
    """A folder of valid files; one of them goes wrong at a time."""

    def __init__(self, name: str, root: Path, watch: Watch) -> None:
        from fuzz_readers import READERS

        self.name, self.reader, self.folder, self.watch = name, READERS[name], watch.folder, watch
        self.outside = root / "outside"
        self.outside.mkdir(parents=True, exist_ok=True)
        (self.outside / "secret.png").write_bytes(b"secret")
        os.chdir(root)  # the last reader's folder, which goes now, was the current one
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.reader.write(self.folder)
        self.valid = {path.relative_to(self.folder): path.read_bytes() for path in _files(self.folder)}
        named = [str(path) for path in self.valid]
        self.targets = sorted(Path(n) for n in named if any(fnmatch.fnmatch(n, p) for p in self.reader.files))
        os.chdir(self.folder)
        self.reader.read(self.folder)  # what is valid is read
        self._restore()

    def run(self, index: int, seed: int, keep: Path | None) -> Outcome:
        """Let one file go wrong and read it."""
        from fuzz_mutations import mutated, replace_by_other_kind

        rng = random.Random(f"{seed} {self.name} {index}")
        target = rng.choice(self.targets)
        if rng.random() < 0.02:
            done = replace_by_other_kind(self.folder / target, self.outside, rng)
        else:
            (self.folder / target).write_bytes(mutated(self.valid[target], target.name, rng))
            done = "bytes"
        kind, said = self._read()
        if said.startswith(TOO_LONG):  # the machine may have stood still: what is slow is slow again
            kind, said = self._read()
        if kind == "fault" and keep is not None:
            self._keep(keep, target, f"{self.name} {index} {done}: {said}")
        self._restore()
        return Outcome(index, kind, said)

    def _read(self) -> tuple[str, str]:
        from selfpose6d.errors import SelfPose6DError

        self.watch.seen.clear()
        before = _memory_bytes("VmRSS")
        _reset_peak()
        signal.setitimer(signal.ITIMER_REAL, MAX_S)
        self.watch.on = True
        kind, said = "ok", ""
        try:
            self.reader.read(self.folder)
        except SelfPose6DError as error:
            kind, said = "error", str(error)
        except TooLongError:
            kind, said = "fault", f"{TOO_LONG} at {_place(sys.exc_info()[2])}"
        except Exception as error:
            kind, said = (
                "fault",
                f"{type(error).__name__}: {str(error)[:200]} at {_place(error.__traceback__)}",
            )
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.watch.on = False
        if kind == "error" and len(said.splitlines()) > 1:
            kind, said = "fault", f"an error of more than one line: {said!r}"
        grown = _memory_bytes("VmHWM") - before
        if grown > MAX_GROWTH_BYTES:
            kind, said = "fault", f"{grown / 1e9:.1f} GB more memory ({said[:100]})"
        if self.watch.seen:
            kind, said = "fault", self.watch.seen[0]
        return kind, said

    def _restore(self) -> None:
        folders = {folder for name in self.valid for folder in name.parents}
        for path in sorted(self.folder.rglob("*"), reverse=True):
            name = path.relative_to(self.folder)
            if path.is_symlink() or not path.is_dir():
                if path.is_symlink() or name not in self.valid or not path.is_file():
                    path.unlink()
            elif name not in folders:
                shutil.rmtree(path)
        for name, content in self.valid.items():
            path = self.folder / name
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

    def _keep(self, keep: Path, target: Path, said: str) -> None:
        there = keep / self.name / f"{abs(hash(_fault_kind(said))) % 10**8:08d}"
        if not there.exists():
            shutil.copytree(
                self.folder, there, symlinks=True, ignore_dangling_symlinks=True, ignore=_no_pipes
            )
            (there / "FAULT.txt").write_text(f"{target}: {said}\n", errors="replace")


def _no_pipes(folder: str, names: list[str]) -> list[str]:
    paths = [Path(folder) / name for name in names]
    return [path.name for path in paths if not path.is_symlink() and not path.is_dir() and not path.is_file()]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _place(trace: Any) -> str:
    """Where it happened, and from where of the package it was called."""
    frames = traceback.extract_tb(trace)
    own = [frame for frame in frames if "selfpose6d" in frame.filename] or frames
    places = (f"{Path(frame.filename).name}:{frame.lineno}" for frame in (frames[-1], own[-1]))
    return " in ".join(dict.fromkeys(places))


def _fault_kind(said: str) -> str:
    """What a fault is counted by: the exception and its place, without what differs from input to input."""
    name = said.split(":")[0]
    return f"{name} at {said.rsplit(' at ', 1)[1]}" if " at " in said else said[:80]


def _memory_bytes(name: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(f"{name}:"))


def _reset_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _alarm(*_: object) -> None:
    raise TooLongError


def work(
    names: list[str], seed: int, indices: range, root: Path, keep: Path | None
) -> Iterator[tuple[str, Outcome]]:
    """In this process: read the inputs of these indices, reader by reader."""
    watch = Watch(root / "files" / "door")
    sys.addaudithook(watch)
    signal.signal(signal.SIGALRM, _alarm)
    for name in names:
        sandbox = Sandbox(name, root, watch)
        limit = _memory_bytes("VmSize") + LIMIT_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        for index in indices:
            yield name, sandbox.run(index, seed, keep)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _worker(arguments: argparse.Namespace) -> None:
    """Print an outcome a line; what readers print goes elsewhere."""
    with os.fdopen(os.dup(1), "w") as out, tempfile.TemporaryDirectory() as folder:
        os.dup2(2, 1)
        root = Path(folder).resolve()
        os.environ["XDG_CACHE_HOME"] = str(root / "files" / "door" / "user-cache")
        indices = range(arguments.first, arguments.count)
        for name, outcome in work(arguments.reader, arguments.seed, indices, root, arguments.keep):
            out.write(json.dumps({"reader": name, **vars(outcome)}) + "\n")
            out.flush()
        os.chdir("/")


def fuzz(name: str, arguments: argparse.Namespace) -> Iterator[Outcome]:
    """The outcomes of one reader; a worker that dies, or hangs twice, is replaced, and its input is a fault."""
    first = stuck_at = 0
    while first < arguments.count:
        command = [sys.executable, __file__, "--worker", "--reader", name, "--seed", str(arguments.seed)]
        command += ["--first", str(first), "--count", str(arguments.count)]
        command += ["--keep", str(arguments.keep)] if arguments.keep else []
        with tempfile.TemporaryFile() as printed:  # a pipe that nobody empties would stop the worker
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=printed)
            last = time.monotonic()
            for line in _lines(process):
                row = json.loads(line)
                yield Outcome(row["index"], row["kind"], row["said"])
                first, last = first + 1, time.monotonic()
            is_stuck = time.monotonic() - last >= STUCK_S
            if is_stuck:
                process.kill()
            process.wait()
            printed.seek(0)
            said = printed.read()
        if first < arguments.count:
            if b"Traceback" in said:
                raise SystemExit(f"{name}, input {first}: {said.decode(errors='replace')}")
            if is_stuck and stuck_at != first + 1:
                stuck_at = first + 1  # once more, as above
                continue
            yield Outcome(first, "fault", "hangs" if is_stuck else f"process died ({process.returncode})")
            first += 1


def _lines(process: subprocess.Popen) -> Iterator[bytes]:
    """Lines as they come; ends with the process, or where nothing comes for too long."""
    assert process.stdout is not None
    buffer, patience = b"", 120.0  # the first one waits for the imports
    while select.select([process.stdout], [], [], patience)[0]:
        some = os.read(process.stdout.fileno(), 1 << 16)
        if not some:
            return
        *lines, buffer = (buffer + some).split(b"\n")
        yield from lines
        patience = STUCK_S


def main() -> None:
    """Fuzz the readers and print a line for each, and one for each kind of fault."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reader", nargs="+", default=[], help="of which readers (default: all)")
    parser.add_argument("--count", type=int, default=10_000, help="inputs a reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for an input of each kind of fault")
    parser.add_argument("--show", type=int, default=0, help="print so many of the clear errors, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for name in ("--first", "--worker"):
        parser.add_argument(name, default=0, type=int, nargs="?", const=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.keep = arguments.keep and arguments.keep.resolve()
    if arguments.worker:
        _worker(arguments)
        return
    from fuzz_readers import READERS

    if not arguments.json:
        print_provenance()
        print(f"{'reader':16} {'inputs':>7} {'read':>7} {'error':>7} {'faults':>7} {'s':>6}")
    found = {}
    for name in arguments.reader or READERS:
        start_s, kinds, faults, errors = time.monotonic(), Counter(), Counter(), Counter()
        for outcome in fuzz(name, arguments):
            kinds[outcome.kind] += 1
            errors[re.sub(r"[0-9.]+", "N", outcome.said)] += outcome.kind == "error"
            if outcome.kind == "fault":
                faults[_fault_kind(outcome.said)] += 1
        spent_s = time.monotonic() - start_s
        found[name] = {**kinds, "seconds": round(spent_s, 1), "kinds": dict(faults)}
        if arguments.show:
            print(
                *(f"    {count:5} {said[:230]}" for said, count in errors.most_common(arguments.show)),
                sep="\n",
            )
        if not arguments.json:
            total = sum(kinds.values())
            print(f"{name:16} {total:7} {kinds['ok']:7} {kinds['error']:7} {kinds['fault']:7} {spent_s:6.0f}")
            for kind, count in faults.most_common():
                print(f"    {count:5} {kind}")
            sys.stdout.flush()
    if arguments.json:
        print(json.dumps(provenance() | {"seed": arguments.seed, "readers": found}))
    sys.exit(any(entry.get("fault") for entry in found.values()))


if __name__ == "__main__":
    main()
