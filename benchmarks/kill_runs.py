"""Commands killed at random moments and started again must leave what an undisturbed run leaves.

    python benchmarks/kill_runs.py [--command all] [--kills 200] [--seed 0] [--work DIR] [--cold 0.1]

Each command works on a small rendered data set. It is killed (SIGKILL, its whole process group) at random moments, half
of them by the clock from the very start to the very end, half right after one of its writes, several times in one
run's life, then runs to its end. All files are compared byte by byte with those of a run that was never killed, but for
the values listed in `TIMES`; a file more or less is a difference. Starts are forked from a process that has the
libraries loaded; `--cold` is the fraction that starts an interpreter of its own.
"""

import argparse
import csv
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

TIMES = ("time", "time_s", "samples_per_s", "frames_per_s", "wall_time")
"""Columns, keys and TensorBoard tags whose values may differ: durations and rates."""
KILLS_A_LIFE = 8
"""Then a run is let go to its end."""
OBJECTS = (1, 5)
FRAMES = 4
FORMATS = ("bop", "bop-webdataset", "coco", "foundationpose")
PROGRESS = ("journal.jsonl", "last.state", ".import.jsonl", ".export-test.jsonl")
"""Files that say what is finished."""
_POLL_S = 0.002


@dataclass(frozen=True)
class Task:
    """A command to kill: `words(out)` start it, `prepare(out)` makes what it starts from."""

    name: str
    words: Callable[[Path], list[str]]
    prepare: Callable[[Path], object] = lambda out: None


@dataclass
class Count:
    """What came of one command."""

    kills: int = 0
    lives: int = 0
    identical: int = 0
    after_writes: int = 0
    longest_loss_s: float = 0.0
    """From the last note of progress (or the start) to a kill."""
    repeated: int = 0
    """Lines of a journal about a frame that it had already."""
    problems: list[str] = field(default_factory=list)


def main() -> int:
    """Kill, go on, compare, print a table; exit code 1 where anything differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--command", default="all", help="all, or some with commas between")
    parser.add_argument("--kills", type=int, default=200, help="over all commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", type=Path, help="folder to work in; kept, what is slow to make is taken from it"
    )
    parser.add_argument(
        "--cold", type=float, default=0.1, help="fraction of starts with an interpreter of its own"
    )
    arguments = parser.parse_args()
    _preload()
    if arguments.work is None:
        with tempfile.TemporaryDirectory() as folder:
            return _run(arguments, Path(folder))
    arguments.work.mkdir(parents=True, exist_ok=True)
    return _run(arguments, arguments.work.resolve())


def _run(arguments: argparse.Namespace, work: Path) -> int:
    print_origin()
    os.environ["XDG_CACHE_HOME"] = str(work / "cache")
    chooser = random.Random(arguments.seed)
    inputs = Inputs(work)
    wanted = list(TASKS) if arguments.command == "all" else arguments.command.split(",")
    counts = {}
    for index, name in enumerate(wanted):
        share = arguments.kills * (index + 1) // len(wanted) - arguments.kills * index // len(wanted)
        counts[name] = kill_often(TASKS[name](inputs), work / f"{name}-runs", share, arguments.cold, chooser)
        print(f"{name}: {counts[name].kills} kills, {len(counts[name].problems)} problems", flush=True)
    print(
        "| command | kills | right after a write | runs | identical | longest loss, s | frames done twice |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, count in counts.items():
        row = (
            count.kills,
            count.after_writes,
            count.lives,
            count.identical,
            f"{count.longest_loss_s:.1f}",
            count.repeated,
        )
        print(f"| {name} | {' | '.join(map(str, row))} |")
    problems = [f"{name}: {problem}" for name, count in counts.items() for problem in count.problems]
    print(*problems, sep="\n")
    return 1 if problems else 0


def kill_often(
    make_tasks: "Sequence[Task]", folder: Path, kills: int, cold: float, chooser: random.Random
) -> Count:
    """Run lives of the tasks in turn until there were so many kills."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    count, references = Count(), {}
    while count.kills < kills:
        task = make_tasks[count.lives % len(make_tasks)]
        if task.name not in references:
            references[task.name] = _reference(task, folder)
        whole, duration_s, writes = references[task.name]
        out = folder / f"{task.name}-killed"
        _renew(task, out)
        for _ in range(min(KILLS_A_LIFE, kills - count.kills)):
            moment = Moment.draw(chooser, duration_s, writes)
            process = start(task.words(out), out, is_cold=chooser.random() < cold)
            if not process.kill_at(moment, out):
                if process.exit_code != 0:
                    count.problems.append(
                        f"{task.name}: exit code {process.exit_code}: {process.last_line()}"
                    )
                break
            count.kills += 1
            count.after_writes += moment.writes is not None
            count.longest_loss_s = max(count.longest_loss_s, process.loss_s(out))
        process = start(task.words(out), out, is_cold=False)
        process.wait()
        count.lives += 1
        different = [f"exit code {process.exit_code}: {process.last_line()}"] if process.exit_code else []
        different += differences(whole, out)
        count.identical += not different
        count.problems += [f"{task.name}: {line}" for line in different]
        count.repeated += repeated_frames(out)
        if different:  # to be looked at
            shutil.copytree(out, folder / f"{task.name}-problem-{count.lives}", symlinks=True)
    return count


def _reference(task: Task, folder: Path) -> tuple[Path, float, int]:
    """A run that nothing disturbs, its seconds from a second call, and the writes that are seen in it."""
    whole = folder / f"{task.name}-whole"
    _renew(task, whole)
    process = start(task.words(whole), whole, is_cold=True)
    process.wait()
    if process.exit_code != 0:
        raise SystemExit(f"{task.name}: exit code {process.exit_code}: {process.last_line()}")
    again = folder / f"{task.name}-timed"
    _renew(task, again)
    process, start_s = start(task.words(again), again, is_cold=False), time.monotonic()
    seen = Writes(again)
    while process.is_running:
        seen.update()
        time.sleep(_POLL_S)
    duration_s = time.monotonic() - start_s
    if different := differences(whole, again):
        raise SystemExit(f"{task.name}: two undisturbed runs differ: {different}")
    return whole, duration_s, seen.count


def _renew(task: Task, out: Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
    for path in out.parent.glob(f".{out.name}*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    task.prepare(out)


@dataclass(frozen=True)
class Moment:
    """When to kill: after some seconds, or after so many writes have been seen."""

    after_s: float
    writes: int | None = None

    @classmethod
    def draw(cls, chooser: random.Random, duration_s: float, writes: int) -> "Moment":
        """A random one of either kind; also just before and after the end."""
        if writes and chooser.random() < 0.5:
            return cls(chooser.uniform(0, 0.01), chooser.randint(1, writes))
        return cls(chooser.uniform(0, 1.05 * duration_s))


class Writes:
    """Changes of a folder's files, as they are seen by looking again and again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._last, self.count = folder, self._state(folder), 0

    def update(self) -> None:
        """Look once more."""
        state = self._state(self._folder)
        self.count += state != self._last
        self._last = state

    @staticmethod
    def _state(out: Path) -> frozenset[tuple[str, int, int]]:
        found = []
        for folder in (out, *out.parent.glob(f".{out.name}*")):
            walked = os.walk(folder) if folder.is_dir() else [("", [], [str(folder)])]
            for path in (os.path.join(parent, name) for parent, _, names in walked for name in (*names, "")):
                try:
                    stat = os.lstat(path)
                except OSError:  # renamed between
                    continue
                found.append((path, stat.st_size, stat.st_mtime_ns))
        return frozenset(found)


class Started:
    """A command under way, in a process group of its own."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid, self._log, self.exit_code = pid, log, -1
        self._start_s, self._killed_s = time.time(), 0.0
        self._ended = False

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        if not self._ended:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._note(pid, status)
        return not self._ended

    def wait(self) -> None:
        """Until it ends."""
        if not self._ended:
            self._note(*os.waitpid(self.pid, 0))

    def kill_at(self, moment: Moment, out: Path) -> bool:
        """Kill the group at the moment; False: it had ended before."""
        seen = Writes(out)
        while self.is_running:
            if moment.writes is not None:
                seen.update()
            if moment.writes is not None and seen.count >= moment.writes:
                break
            if moment.writes is None and time.time() - self._start_s >= moment.after_s:
                break
            time.sleep(_POLL_S if moment.writes is not None else 0.001)
        if moment.writes is not None:
            time.sleep(moment.after_s)
        if not self.is_running:
            return False
        self._killed_s = time.time()
        os.killpg(self.pid, signal.SIGKILL)
        self.wait()
        while self._group_is_there():
            time.sleep(0.01)
        return True

    def loss_s(self, out: Path) -> float:
        """From the last note of progress, or the start, to the kill."""
        places = (out, out / "checkpoints", out.with_name(f".{out.name}.part"))
        paths = [place / name for place in places for name in PROGRESS]
        noted_s = [path.stat().st_mtime for path in paths if path.is_file()]
        return max(0.0, self._killed_s - max([self._start_s, *noted_s]))

    def last_line(self) -> str:
        """Of what it said."""
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _note(self, pid: int, status: int) -> None:
        if pid:
            self._ended, self.exit_code = True, os.waitstatus_to_exitcode(status)

    def _group_is_there(self) -> bool:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def start(words: Sequence[str], out: Path, is_cold: bool) -> Started:
    """Start a command, from this process with its libraries or as an interpreter of its own."""
    log = out.with_name(f"{out.name}.log")
    with log.open("a") as file:
        if is_cold:
            process = subprocess.Popen(
                [sys.executable, "-m", "selfpose6d", *words], stdout=file, stderr=file, start_new_session=True
            )
            return Started(process.pid, log)
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            return Started(pid, log)
        os.setsid()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        os._exit(_command(words))


def _command(words: Sequence[str]) -> int:
    """Run one command in this process, as its own interpreter would."""
    from selfpose6d.cli.main import main as command

    sys.argv = ["selfpose6d", *words]
    try:
        code = command(words)
        for child in multiprocessing.active_children():
            child.join()
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def print_origin() -> None:
    """Where the measurement comes from."""
    _own_process("from provenance import print_provenance; print_provenance()")


def _own_process(code: str, *words: object) -> None:
    """Run what would start threads here, after which forks are not safe."""
    command = [sys.executable, "-c", code, *map(str, words)]
    subprocess.run(command, cwd=Path(__file__).parent, check=True)


def _preload() -> None:
    """Load the libraries once; nothing is computed, so that forks are safe."""
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for name in ("annotate", "find", "train", "estimate", "evaluate", "export", "import_"):
        __import__(f"selfpose6d.cli.{name}")
    for name in (
        "inference.labeler", "finding.frame_finder", "inference.predictor", "training.session", "evaluation.evaluate",
        "export.export", "recordings.import_recording", "reporting.overlays", "reporting.found", "cli.frames",
        "reporting.run_summary", "reporting.console", "objects.of_dataset",
    ):  # fmt: skip
        __import__(f"selfpose6d.{name}")


# --- what the commands work on ---------------------------------------------------------------------------------------


class Inputs:
    """Data set, runs and model that the commands need, made once."""

    def __init__(self, work: Path) -> None:
        self._work = work

    @property
    def root(self) -> Path:
        """A BOP root of two objects, a few frames a split."""
        objects = [str(i) for i in OBJECTS]
        counts = ["--frames", str(2 * FRAMES), "--test-frames", str(FRAMES)]
        return self._made(
            "data", lambda out: ["synth", str(out), *counts, "--objects", *objects, "--seed", "3"]
        )

    @property
    def run(self) -> Path:
        """An annotated run."""
        return self._made("run", lambda out: annotate_words(self.root, out, 1))

    @property
    def model(self) -> Path:
        """A trained network."""
        return (
            self._made("model", lambda out: train_words(self.root, out)) / "checkpoints" / "last.safetensors"
        )

    @property
    def recording(self) -> Path:
        """A bag with the frames of the data set, twice."""
        path = self._work / "bag" / "bag.mcap"
        if not path.is_file():
            shutil.rmtree(path.parent, ignore_errors=True)
            code = "from recording_to_dataset import write_bag, Path; import sys; "
            code += f"write_bag(Path(sys.argv[1]), Path(sys.argv[2]), 'train', {2 * FRAMES})"
            _own_process(code, path.parent, self.root)
        return path

    def _made(self, name: str, words: Callable[[Path], list[str]]) -> Path:
        out = self._work / name
        done = self._work / f"{name}.done"
        if not done.is_file():
            shutil.rmtree(out, ignore_errors=True)
            process = start(words(out), out, is_cold=True)
            process.wait()
            if process.exit_code != 0:
                raise SystemExit(f"{name}: exit code {process.exit_code}: {process.last_line()}")
            done.touch()
        return out


def annotate_words(root: Path, out: Path, workers: int) -> list[str]:
    """The command line of `annotate`."""
    return [
        "annotate",
        str(root),
        "--out",
        str(out),
        "--workers",
        str(workers),
        "--overlays",
        "2",
        "--limit",
        "3",
    ]


def train_words(root: Path, out: Path) -> list[str]:
    """The command line of `train`; `--resume` begins where nothing is saved yet."""
    options = ["--max-steps", "20", "--batch", "2", "--device", "cpu", "--precision", "fp32", "--resume"]
    return ["train", str(root), "--out", str(out), *options]


def annotate_tasks(inputs: Inputs) -> list[Task]:
    """In one process and in two."""
    return [
        Task(f"annotate-{workers}", lambda out, workers=workers: annotate_words(inputs.root, out, workers))
        for workers in (1, 1, 2)
    ]


def find_tasks(inputs: Inputs) -> list[Task]:
    """Objects found without masks."""
    words = [
        "find",
        str(inputs.root),
        "--counts",
        "known",
        "--workers",
        "1",
        "--overlays",
        "1",
        "--limit",
        "2",
        "--out",
    ]
    return [Task("find", lambda out: [*words, str(out)])]


def train_tasks(inputs: Inputs) -> list[Task]:
    """Steps of a small network."""
    return [Task("train", lambda out: train_words(inputs.root, out))]


def estimate_tasks(inputs: Inputs) -> list[Task]:
    """With a step of refinement, whose poses are files of their own."""
    words = ["estimate", str(inputs.model), str(inputs.root), "--split", "train", "--refine", "icp", "--out"]
    return [Task("estimate", lambda out: [*words, str(out)])]


def evaluate_tasks(inputs: Inputs) -> list[Task]:
    """In a copy of the run."""

    def prepare(out: Path) -> None:
        shutil.copytree(inputs.run, out)

    return [Task("evaluate", lambda out: ["evaluate", str(out), str(inputs.root), "--bop"], prepare)]


def export_tasks(inputs: Inputs) -> list[Task]:
    """In every format."""
    words = ["export", str(inputs.run), "--status", "certified,ambiguous,rejected", "--format"]
    return [
        Task(f"export-{form}", lambda out, form=form: [*words, form, "--to", str(out)]) for form in FORMATS
    ]


def import_tasks(inputs: Inputs) -> list[Task]:
    """Of a bag."""
    return [Task("import", lambda out: ["import", str(inputs.recording), str(out)])]


TASKS: dict[str, Callable[[Inputs], list[Task]]] = {
    "annotate": annotate_tasks,
    "find": find_tasks,
    "train": train_tasks,
    "estimate": estimate_tasks,
    "evaluate": evaluate_tasks,
    "export": export_tasks,
    "import": import_tasks,
}


# --- comparing -------------------------------------------------------------------------------------------------------


def differences(whole: Path, killed: Path) -> list[str]:
    """Files that only one of the folders has, or whose contents differ, but for times."""
    there, here = (dict(_files(folder)) for folder in (whole, killed))
    lines = [f"{name}: only in the undisturbed run" for name in there.keys() - here.keys()]
    lines += [f"{name}: only in the killed run" for name in here.keys() - there.keys()]
    for name in sorted(there.keys() & here.keys()):
        if name == "tensorboard":
            same = _scalars(there[name]) == _scalars(here[name])
        else:
            contents = [_bytes(path, folder) for path, folder in ((there[name], whole), (here[name], killed))]
            same = (
                contents[0] == contents[1] or len({json.dumps(_timeless(name, one)) for one in contents}) == 1
            )
        lines += [] if same else [f"{name}: differs"]
    return lines


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """By relative name, also those aside of it; TensorBoard's files, whose names are times, as one."""
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if name.startswith("tensorboard"):
            if path == folder / "tensorboard":
                yield name, path
        elif not path.is_dir() or path.is_symlink():
            yield name, path
    yield from (
        (path.name.replace(folder.name, "OUT"), path) for path in folder.parent.glob(f".{folder.name}*")
    )


def _bytes(path: Path, folder: Path) -> bytes:
    """The content, with the folder's own name as `OUT`."""
    if path.is_dir():
        return b""
    content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
    return content if len(content) > 10**6 else content.replace(str(folder).encode(), b"OUT")


def _timeless(name: str, content: bytes) -> Any:
    """What a file says without the values that may differ."""
    if name.endswith(".csv"):
        rows = csv.DictReader(io.StringIO(content.decode()))
        return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]
    if name.endswith(".jsonl"):
        rows = [_without_times(json.loads(line)) for line in content.decode().splitlines()]
        if name != "journal.jsonl":
            return rows
        # its last line about a frame counts, and lines come in any order where several processes work
        return sorted({json.dumps(row["frame"]): row for row in rows}.items())
    if name.endswith(".json"):
        return _without_times(json.loads(content))
    return content.hex()


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(item) for key, item in value.items() if key not in TIMES}
    return [_without_times(item) for item in value] if isinstance(value, list) else value


def _scalars(folder: Path) -> dict[tuple[str, int], float]:
    """What TensorBoard would show: the last value of a step; rates left out."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: dict[tuple[str, int], float] = {}
    for path in sorted(folder.glob("events*"), key=lambda path: path.stat().st_mtime_ns):
        for event in EventFileLoader(str(path)).Load():
            if event.session_log.status == event.session_log.START and event.step:
                found = {key: value for key, value in found.items() if key[1] < event.step}
            for value in event.summary.value:
                if value.tag.rpartition("/")[2] not in TIMES:
                    number = value.tensor.float_val[0] if value.tensor.float_val else value.simple_value
                    found[value.tag, event.step] = float(np.float32(number))
    return found


def repeated_frames(out: Path) -> int:
    """Lines of the journal about a frame that it had already."""
    path = out / "journal.jsonl"
    if not path.is_file():
        return 0
    frames = [json.dumps(json.loads(line)["frame"]) for line in path.read_text().splitlines()]
    return len(frames) - len(set(frames))


if __name__ == "__main__":
    sys.exit(main())
