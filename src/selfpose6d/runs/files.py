"""The folder of a run: where everything lies. No other module knows the names."""

from dataclasses import dataclass
from pathlib import Path

from selfpose6d.errors import CheckpointError


class _Inside:
    """The path of one file or folder of a run."""

    def __init__(self, *parts: str) -> None:
        self._parts = parts

    def __get__(self, run: "RunFiles", _: type) -> Path:
        return run.folder.joinpath(*self._parts)


@dataclass(frozen=True)
class RunFiles:
    """Paths in the folder of a run; which of them exist follows from the command that made it."""

    folder: Path

    config = _Inside("config.yaml")
    """How the run was made."""
    journal = _Inside("journal.jsonl")
    """What is finished, frame by frame."""
    predictions = _Inside("predictions.csv")
    """The best pose of every instance that has one, in BOP's form."""
    certificates = _Inside("certificates.jsonl")
    """The same poses with their evidence, and their whole keys."""
    skipped = _Inside("skipped.jsonl")
    """The instances without a pose, and why."""
    manifest = _Inside("manifest.json")
    """Of a run in shards: what all of them are made of."""
    shards = _Inside("shards")
    """Folder of what workers have finished, until it is merged."""
    slurm = _Inside("slurm")
    """Folder of what SLURM jobs said."""
    detections = _Inside("detections.json")
    """Masks of the objects that were found, in BOP's form."""
    turned_away = _Inside("turned_away.jsonl")
    """What was tried where objects were found, and why it is not among them."""
    steps = _Inside("steps")
    """Folder of the poses after each step of refinement."""
    masks = _Inside("masks")
    """Folder of frames with the masks of what was found drawn in."""
    overlays = _Inside("overlays")
    """Folder of frames with their poses drawn in."""
    frame_names = _Inside("frames.json")
    """Which file is which `im_id`, for data sets whose names do not say it."""
    review = _Inside("review.jsonl")
    """A person's verdicts."""
    results = _Inside("results.json")
    """What `evaluate` found, in all."""
    instances = _Inside("instances.csv")
    """What `evaluate` found, by instance."""
    report = _Inside("report.html")
    """The page."""
    log = _Inside("log.jsonl")
    """What a training said on its way."""
    tensorboard = _Inside("tensorboard")
    """The same for TensorBoard."""
    rounds = _Inside("rounds.jsonl")
    """What came of each round of self-training."""
    rounds_folder = _Inside("rounds")
    """Folder of the rounds' labels and of all their trainings but the last."""
    training_state = _Inside("checkpoints", "last.state")
    """All that a training needs to go on."""

    def contact_sheet(self, kind: str) -> Path:
        """Pictures of the `worst` or the `rejected` instances."""
        return self.folder / f"contact_sheet_{kind}.png"

    def network(self, name: str) -> Path:
        """The network that validated `best`, the `last` one, or that at the end of a stage."""
        return self.folder / "checkpoints" / f"{name}.safetensors"

    def existing_outputs(self) -> list[str]:
        """Names of the result files that are there."""
        outputs = (
            self.predictions,
            self.certificates,
            self.skipped,
            self.detections,
            self.steps,
        )
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
