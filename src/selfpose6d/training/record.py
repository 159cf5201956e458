"""What a training run leaves behind: log rows, progress, checkpoints. Only the first process writes."""

from torch import Tensor

from selfpose6d.network.checkpoint import save_network
from selfpose6d.runs.files import RunFiles
from selfpose6d.training.checkpoint import TrainingState, save_state
from selfpose6d.training.log import RunLog, StepProgress
from selfpose6d.training.plan import FitPlan
from selfpose6d.training.step import StepLoss
from selfpose6d.training.validation import Validation

_LOG_EVERY_STEPS = 10


class RunRecord:
    """Writes for one run; does nothing in processes other than the first."""

    def __init__(self, plan: FitPlan, first_process: bool, first_step: int) -> None:
        self._plan, self._active = plan, first_process
        self._log = RunLog(plan.folder, first_step) if first_process else None
        self._progress = StepProgress(first_process)

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
        """A row every few steps; reading the numbers waits for the device, so not at every one."""
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

    def save(self, state: TrainingState) -> None:
        """The latest network, and the full state to resume from."""
        if self._active:
            self._save_network("last", state)
            save_state(self._plan.folder, state)

    def save_best(self, state: TrainingState) -> None:
        """The network that validated best so far."""
        if self._active:
            self._save_network("best", state)

    def save_stage(self, state: TrainingState) -> None:
        """The network at the end of a stage, named after it, so that stages can be compared."""
        if self._active:
            self._save_network(self._plan.context.recipe.stages[state.stage].name, state)

    def _save_network(self, name: str, state: TrainingState) -> None:
        metadata = {
            "recipe": self._plan.context.recipe.name,
            "step": state.step,
            "stage": self._plan.context.recipe.stages[state.stage].name,
            "validation": state.best,
            "seed": self._plan.seed,
        }
        path = RunFiles(self._plan.folder).network(name)
        save_network(path, self._plan.network, metadata)
