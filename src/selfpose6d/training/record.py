"""What a training run leaves behind and says while it runs: log rows, progress, checkpoints."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from selfpose6d.files import replacing
from selfpose6d.network.checkpoint import save_network
from selfpose6d.network.confidence import Confidence
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines, to_line
from selfpose6d.training.checkpoint import TrainingState, save_state
from selfpose6d.training.plan import FitPlan
from selfpose6d.training.step import StepLoss
from selfpose6d.training.validation import Validation

_LOG_EVERY_STEPS = 10
"""Reading a row's values waits for the device."""
_LINE_EVERY_S = 10.0
"""Where there is no terminal."""


class RunRecord:
    """Writes for one run; does nothing in processes other than the first."""

    def __init__(self, plan: FitPlan, first_process: bool, first_step: int) -> None:
        self._plan = plan
        self._log = RunLog(plan.folder, first_step) if first_process else None
        self._progress = StepProgress(first_process)
        if self._log is not None and plan.held_out_note:
            self._log.note(first_step, "held out", plan.held_out_note)
            print(plan.held_out_note, flush=True)

    def __enter__(self) -> "RunRecord":
        self._progress.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.__exit__(*error)
        if self._log is not None:
            self._log.close()

    def wants_norms(self, step: int) -> bool:
        """Whether the row of this step shall have the gradient norms of the joint loss's terms."""
        return self._log is not None and step % _LOG_EVERY_STEPS == 0

    def note_step(
        self,
        step: int,
        total: int | None,
        stage: str,
        loss: StepLoss,
        norm: Tensor,
        rate: float,
        samples_per_s: float,
    ) -> None:
        """A row every few steps."""
        if self._log is None or not (step % _LOG_EVERY_STEPS == 0 or step == total):
            return
        values = {"loss": loss.total.item()}
        values |= {name: value.mean().item() for name, value in loss.measures.items()}
        values |= {f"gradient_of_{name}": value for name, value in loss.gradient_norms.items()}
        values |= {"gradient_norm": norm.item(), "learning_rate": rate, "samples_per_s": samples_per_s}
        self._log.add(step, "train", values, stage)
        monitored = values[loss.monitored]
        shown = f"{monitored:.4f}" if loss.monitored == "joint" else f"{1e3 * monitored:.1f} mm"
        note = f"loss {values['loss']:.4f}, {shown}, {samples_per_s:.0f} samples/s"
        self._progress.update(stage, step, total, note)

    def note_validation(self, step: int, stage: str, found: Validation) -> None:
        """A row of its own kind."""
        if self._log is not None:
            self._log.add(step, "validation", {**found.measures, "instances": found.instances}, stage)

    def save(self, state: TrainingState, confidence: Confidence) -> None:
        """The latest network, with what its rating was worth when last measured, and the state to resume from."""
        self.save_network("last", state, confidence)
        if self._log is not None:
            save_state(self._plan.folder, state)

    def save_network(self, name: str, state: TrainingState, confidence: Confidence) -> None:
        """The network as it is now: `last`, the `best` so far, or named after the stage that ends with it."""
        if self._log is None:
            return
        recipe = self._plan.context.recipe
        metadata = {
            "recipe": recipe.name,
            "step": state.step,
            "stage": recipe.stages[state.stage].name,
            "validation": state.best,
            "seed": self._plan.seed,
            "confidence": confidence.to_json(),
        }
        save_network(RunFiles(self._plan.folder).network(name), self._plan.network, metadata)


class RunLog:
    """Rows of numbers by step, to `log.jsonl` and TensorBoard."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Rows of a later step than `first_step`, written before a crash, are dropped: they are made again."""
        self._path = RunFiles(folder).log
        self._notes: set[str] = set()
        earlier = read_lines(self._path, may_be_torn=True) if self._path.is_file() and first_step else ()
        kept = [row for _, row in earlier if row["step"] <= first_step]
        self._notes.update(row["note"] for row in kept if "note" in row)
        with replacing(self._path) as file:
            file.writelines(map(to_line, kept))
        self._board = SummaryWriter(str(RunFiles(folder).tensorboard), purge_step=first_step + 1)

    def add(self, step: int, kind: str, values: Mapping[str, float], stage: str) -> None:
        """Write one row; `kind` is `train` or `validation`, `step` the number of steps done."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(to_line({"step": step, "kind": kind, "stage": stage, **values}))
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def note(self, step: int, kind: str, text: str) -> None:
        """Write one row of words, once."""
        if text in self._notes:
            return
        self._notes.add(text)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(to_line({"step": step, "kind": kind, "note": text}))

    def close(self) -> None:
        """Flush TensorBoard's file."""
        self._board.close()


class StepProgress:
    """A progress bar with loss, rate and time left; plain lines every few seconds where there is no terminal."""

    def __init__(self, enabled: bool) -> None:
        self._enabled, self._last_line_s = enabled, 0.0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, disable=not (enabled and sys.stdout.isatty()))
        self._task = self._bar.add_task("training", total=None, note="")

    def __enter__(self) -> "StepProgress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, stage: str, step: int, total: int | None, note: str) -> None:
        """Show that `step` of `total` steps are done."""
        self._bar.update(self._task, description=stage, completed=step, total=total, note=note)
        now_s = time.monotonic()
        due = now_s - self._last_line_s > _LINE_EVERY_S or step == total
        if self._enabled and self._bar.disable and due:
            self._last_line_s = now_s
            print(f"{stage}: step {step} of {total or '?'}, {note}", flush=True)
