"""Table III: a training step with the resolver against one with the renderer; time and memory, a process each.

The estimator's step by the Iterative Annotation Resolver (decode, augment, forward, 20 iterations, backward, Adam) and
the refiner's by the joint loss (decode, estimator and refiner forward, render, compare, backward, Adam), the same batch
for both. Also the target alone: resolving a batch's poses, or rendering and comparing the refiner's, with gradient.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from selfpose6d.errors import UsageError
from selfpose6d.network.config import Size
from selfpose6d.reporting.tables import TextTable
from selfpose6d.reproduction.parts import Part
from selfpose6d.reproduction.printed import TABLE_3

Kind = Literal["resolver", "renderer"]
KINDS: tuple[Kind, ...] = ("resolver", "renderer")
TITLES: Mapping[Kind, str] = {"resolver": "Iterative Annotation Resolver", "renderer": "Render"}
WARM_UP, MEASURED = 5, 30
"""Steps before and while the median is taken: the first ones compile kernels and fill caches."""
BATCH = 8
MB = 1e6
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Cost:
    """Milliseconds of a step and of its target alone; most resident memory, whole and above that after importing."""

    step_ms: float
    target_ms: float
    peak_mb: float
    above_import_mb: float
    poses: int
    """Poses that a step resolves, or renders."""


def measure_costs(part: Part, size: Size, batch: int = BATCH) -> dict[Kind, Cost]:
    """Both kinds on the same instances, each in a process of its own.

    Raises:
        UsageError: a process failed; its last line says why.
    """
    task = {"part": _part_to_json(part), "size": size, "batch": batch}
    found: dict[Kind, Cost] = {}
    for kind in KINDS:
        command = [sys.executable, "-m", __name__, json.dumps(task | {"kind": kind})]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UsageError(f"table3: measuring the {kind} failed: {reason}")
        found[kind] = Cost(**json.loads(done.stdout.splitlines()[-1]))
    return found


def cost_table(costs: Mapping[Kind, Cost]) -> TextTable:
    """The two rows of Table III and their ratio, the paper's figures last."""
    rows = []
    for kind in KINDS:
        cost, printed = costs[kind], TABLE_3[kind]
        ours = (f"{cost.step_ms:.1f}", f"{cost.target_ms:.1f}", f"{cost.target_ms / cost.poses:.3f}")
        memory = (f"{cost.peak_mb:.0f}", f"{cost.above_import_mb:.0f}")
        rows.append((TITLES[kind], *ours, *memory, f"{printed.time_ms:.3f}", f"{printed.memory_mb:.0f}"))
    rows.append(("Render / Resolver", *(f"{ratio:.2f}" for ratio in ratios(costs).values())))
    headings = (
        "training with", "step\nms", "target\nms", "target\nms a pose", "memory\nMB", "above imports\nMB",
        "paper\nms", "paper\nMB",
    )  # fmt: skip
    return TextTable(headings, tuple(rows), 1, COST_NOTE)


COST_NOTE = (
    "Step: a whole training step; target: resolving the batch's poses, or rendering and comparing them with gradient. "
    "Memory: most resident memory of a process that takes such steps. The paper: PyTorch3D on an RTX 2080 Ti, of "
    "how many poses it does not say; compare the ratios."
)


def ratios(costs: Mapping[Kind, Cost]) -> dict[str, float]:
    """Renderer over resolver, column by column."""
    resolver, renderer = costs["resolver"], costs["renderer"]
    names = ("step_ms", "target_ms", "peak_mb", "above_import_mb")
    found = {name: getattr(renderer, name) / max(getattr(resolver, name), 1e-9) for name in names}
    a_pose = (renderer.target_ms / renderer.poses) / (resolver.target_ms / resolver.poses)
    printed = TABLE_3["renderer"], TABLE_3["resolver"]
    return {
        "step_ms": found["step_ms"],
        "target_ms": found["target_ms"],
        "target_ms_a_pose": a_pose,
        "peak_mb": found["peak_mb"],
        "above_import_mb": found["above_import_mb"],
        "paper_ms": printed[0].time_ms / printed[1].time_ms,
        "paper_mb": printed[0].memory_mb / printed[1].memory_mb,
    }


def measure_in_this_process(task: Mapping[str, Any]) -> Cost:
    """One kind; the process that calls this should do nothing else."""
    import torch

    from selfpose6d.reproduction.training_step import OneStep

    imported_mb = _status_mb("VmRSS")
    with tempfile.TemporaryDirectory() as cache:
        part = _part_from_json(task["part"])
        setting = OneStep.prepare(part, task["size"], task["batch"], Path(cache))
        _forget_peak()
        optimiser = torch.optim.Adam(setting.network.parameters(), lr=1e-4, fused=True)
        step_ms = _median_ms(lambda step: setting.step(task["kind"], optimiser, step))
        step_peak_mb = _status_mb("VmHWM")
        target, poses = setting.target(task["kind"])
        target_ms = _median_ms(lambda _: target())
    return Cost(step_ms, target_ms, step_peak_mb, step_peak_mb - imported_mb, poses)


def _median_ms(run: Callable[[int], object]) -> float:
    times_s = []
    for index in range(WARM_UP + MEASURED):
        start_s = time.perf_counter()
        run(index)
        times_s.append(time.perf_counter() - start_s)
    return 1e3 * float(np.median(times_s[WARM_UP:]))


def _status_mb(name: str) -> float:
    """Resident memory now (VmRSS) or at most (VmHWM), MB; the most so far where the system does not say it."""
    from selfpose6d.reproduction.pilot import peak_mb

    if not _STATUS.is_file():
        return peak_mb()
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / MB


def _forget_peak() -> None:
    """Let VmHWM begin anew: cutting crops and indexing meshes takes more than a step may, and is no part of it."""
    with suppress(OSError):  # not on every system; then the whole process's peak stands
        Path("/proc/self/clear_refs").write_text("5")


def _part_to_json(part: Part) -> dict[str, Any]:
    paths = {"root": str(part.root), "models": str(part.models) if part.models else None}
    return {"split": part.split, "model_unit": part.model_unit, "selection": asdict(part.selection), **paths}


def _part_from_json(stored: Mapping[str, Any]) -> Part:
    from selfpose6d.selection import Selection

    models = Path(stored["models"]) if stored["models"] else None
    part = Part(Path(stored["root"]), stored["split"], Selection(), models, stored["model_unit"])
    return part.restored(stored["selection"])


if __name__ == "__main__":
    print(json.dumps(asdict(measure_in_this_process(json.loads(sys.argv[1])))))
