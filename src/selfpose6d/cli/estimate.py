"""`selfpose6d estimate`: run a trained model on a data set."""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from selfpose6d.errors import DataError, UsageError
from selfpose6d.selection import Selection

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.inference.predictor import Predictor
    from selfpose6d.runs.folder import RunFolder


@dataclass(frozen=True)
class Command:
    """Run a trained model on every instance that has a mask; reads no pose.

    Writes predictions.csv and skipped.jsonl, with --verify certificates.jsonl. Ctrl-C is safe: the same command
    goes on where it stopped.
    """

    model: tyro.conf.Positional[Path]
    """A training run's folder, or a .safetensors file."""
    dataset: tyro.conf.Positional[Path]
    """BOP root, YCB-Video root or capture folder; never written to."""
    out: Path
    """The run's folder."""
    refine: Literal["none", "icp", "network", "network+icp"] = "none"
    """icp: resolver iterations from the estimator's pose; network: the refinement network; or one after the other.
    The poses after each step are written to steps/."""
    refine_steps: int | None = None
    """Steps of the refinement network (default: 2), or ICP iterations with icp alone (default: 20)."""
    verify: bool = False
    """Render and refine the hypotheses (where that leaves doubt, search as annotate does); take the pose that the image
    supports best, with its certificate."""
    split: str | None = None
    """The split to estimate (default: test, of a capture folder all)."""
    selection: tyro.conf.OmitArgPrefixes[Selection] = field(default_factory=Selection)
    models: Path | None = None
    """Folder of models (default: the data set's models/)."""
    model_unit: Literal["mm", "m"] | None = None
    """Unit of the models where the data set does not say it."""
    detections: Path | None = None
    """A BOP detections file whose masks are taken."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the network's layers; auto: bf16 on CUDA and on CPUs with AMX, else fp32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs."""
    seed: int = 0
    """Seed of the sampled pixels."""

    def run(self) -> int:
        """Estimate every frame that is not in the run yet, then write the result files."""
        from selfpose6d.cli.frames import process_frames
        from selfpose6d.cli.splits import resolve_split
        from selfpose6d.datasets.layouts import open_dataset

        split = resolve_split(self.dataset, self.split, "test")
        dataset = open_dataset(
            self.dataset, split, self.selection, self.models, self.model_unit, self.detections
        )
        predictor = self._load_predictor(dataset)
        run = self._open_run(dataset)
        process_frames(dataset, run, predictor.predict, "estimate")
        run.finalise(with_certificates=self.verify)
        if self.refine != "none":
            run.write_steps()
        run.write_frame_names(dataset.frame_names())
        self._print_summary(predictor)
        print(f"next: selfpose6d evaluate {self.out} {self.dataset} --split {split}")
        return 0

    def _load_predictor(self, dataset: "Dataset") -> "Predictor":
        from selfpose6d.cli.device import resolve_device
        from selfpose6d.inference.options import PredictOptions
        from selfpose6d.inference.precision import use_bf16
        from selfpose6d.inference.predictor import Predictor

        device = resolve_device(self.device)
        half = use_bf16(device, self.precision)
        options = PredictOptions(self.refine, self.refine_steps, self.verify, bf16=half, seed=self.seed)
        predictor = Predictor.load(self.model, dataset.models, options, device=device)
        known = predictor.network.objects.obj_ids
        if unknown := [obj_id for obj_id in self.selection.objects if obj_id not in known]:
            raise UsageError(
                f"--objects {' '.join(map(str, unknown))}: the model was trained on objects "
                f"{' '.join(map(str, known))}. Choose among these, or train a model for them."
            )
        return predictor

    def _open_run(self, dataset: "Dataset") -> "RunFolder":
        from selfpose6d.network.checkpoint import find_checkpoint
        from selfpose6d.runs.folder import RunFolder

        checkpoint = find_checkpoint(self.model)
        options = {
            "model": hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16],
            "refine": self.refine,
            "refine_steps": self.refine_steps,
            "verify": self.verify,
            "precision": self.precision,
            "seed": self.seed,
            "detections": self.detections,
        }
        options |= asdict(self.selection)
        context = {"dataset": self.dataset.resolve(), "model": checkpoint.resolve(), "device": self.device}
        return RunFolder.open(self.out, "estimate", options, dataset.fingerprint(), dataset.split, context)

    def _print_summary(self, predictor: "Predictor") -> None:
        from selfpose6d.runs.predictions import iterate_predictions, read_skipped

        estimated = sum(1 for _ in iterate_predictions(self.out / "predictions.csv"))
        reasons = Counter(item.reason for item in read_skipped(self.out / "skipped.jsonl"))
        if not estimated:
            shown = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
            raise DataError(
                f"no instance of {self.dataset} could be estimated: {shown or 'there is none'}. "
                f"Run selfpose6d validate {self.dataset}."
            )
        print(f"{self.out}: {estimated} poses, {reasons.total()} instances skipped (skipped.jsonl says why)")
        if predictor.instances:
            times = predictor.times.seconds.items()
            parts = (f"{stage} {1e3 * time_s / predictor.instances:.1f}" for stage, time_s in times)
            print(f"ms an instance: {', '.join(parts)}")
