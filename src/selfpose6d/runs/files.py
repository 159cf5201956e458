"""The folder of a run: where everything lies. No other module knows the names."""

from dataclasses import dataclass
from pathlib import Path

from selfpose6d.errors import CheckpointError


@dataclass(frozen=True)
class RunFiles:
    """Paths in the folder of a run; which of them exist follows from the command that made it."""

    folder: Path

    @property
    def config(self) -> Path:
        """How the run was made."""
        return self.folder / "config.yaml"

    @property
    def journal(self) -> Path:
        """What is finished, frame by frame."""
        return self.folder / "journal.jsonl"

    @property
    def predictions(self) -> Path:
        """The best pose of every instance that has one, in BOP's form."""
        return self.folder / "predictions.csv"

    @property
    def certificates(self) -> Path:
        """The same poses with their evidence, and their whole keys."""
        return self.folder / "certificates.jsonl"

    @property
    def skipped(self) -> Path:
        """The instances without a pose, and why."""
        return self.folder / "skipped.jsonl"

    @property
    def annotations(self) -> Path:
        """Folder of the certified poses in BOP's form."""
        return self.folder / "annotations"

    @property
    def steps(self) -> Path:
        """Folder of the poses after each step of refinement."""
        return self.folder / "steps"

    @property
    def overlays(self) -> Path:
        """Folder of frames with their poses drawn in."""
        return self.folder / "overlays"

    @property
    def frame_names(self) -> Path:
        """Which file is which `im_id`, for data sets whose names do not say it."""
        return self.folder / "frames.json"

    @property
    def review(self) -> Path:
        """A person's verdicts."""
        return self.folder / "review.jsonl"

    @property
    def results(self) -> Path:
        """What `evaluate` found, in all."""
        return self.folder / "results.json"

    @property
    def instances(self) -> Path:
        """What `evaluate` found, by instance."""
        return self.folder / "instances.csv"

    @property
    def report(self) -> Path:
        """The page."""
        return self.folder / "report.html"

    def contact_sheet(self, kind: str) -> Path:
        """Pictures of the `worst` or the `rejected` instances."""
        return self.folder / f"contact_sheet_{kind}.png"

    @property
    def log(self) -> Path:
        """What a training said on its way."""
        return self.folder / "log.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The same for TensorBoard."""
        return self.folder / "tensorboard"

    @property
    def training_state(self) -> Path:
        """All that a training needs to go on."""
        return self.folder / "checkpoints" / "last.state"

    def network(self, name: str) -> Path:
        """The network that validated `best`, the `last` one, or that at the end of a stage."""
        return self.folder / "checkpoints" / f"{name}.safetensors"

    def existing_outputs(self) -> list[str]:
        """Names of the result files that are there."""
        outputs = (self.predictions, self.certificates, self.skipped, self.annotations, self.steps)
        return [path.name for path in outputs if path.exists()]


def find_checkpoint(model: Path) -> Path:
    """The checkpoint file that a MODEL argument means: itself, or the best (else the last) one of a run.

    Raises:
        CheckpointError: there is none.
    """
    if model.is_file():
        return model
    in_run = [RunFiles(model).network(name) for name in ("best", "last")]
    found = [path for path in (*in_run, *(model / path.name for path in in_run)) if path.is_file()]
    if not found:
        looked_for = " and ".join(f"{path.parent.name}/{path.name}" for path in in_run)
        raise CheckpointError(
            f"no checkpoint in {model}: looked for {looked_for}. "
            "Pass a training run's folder or a .safetensors file."
        )
    return found[0]
