"""`selfpose6d estimate`: run a trained model on a data set."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Command:
    """Run a trained model on every instance that has a mask; reads no pose.

    Writes predictions.csv and skipped.jsonl. Ctrl-C is safe: the same command goes on where it stopped.
    """

    model: Positional[Path]
    """A training run's folder, or a .safetensors file."""
    dataset: Positional[Path]
    """BOP root, YCB-Video root or capture folder; never written to."""
    out: Path
    """The run's folder."""
    refine: Literal["none", "icp"] = "none"
    """icp: resolver iterations from the network's pose."""
    refine_steps: int = 20
    """ICP iterations."""
    verify: bool = False
    """Render and refine the hypotheses; take the best if it scores higher than the network's pose."""
    split: str = "test"
    """The split to estimate."""
    scenes: tuple[int, ...] = ()
    """Scene ids (default: all)."""
    frames: tuple[int, ...] = ()
    """Image ids, in every selected scene (default: all)."""
    objects: tuple[int, ...] = ()
    """Object ids (default: all that the model knows)."""
    limit: int | None = None
    """At most this many frames, the first ones (default: no limit)."""
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
        from rich.progress import track

        from selfpose6d.data.journal import finished_record, unreadable_record
        from selfpose6d.errors import DataError

        dataset = self._open()
        predictor = self._load(dataset)
        run = self._open_run(dataset)
        left = [frame_id for frame_id in dataset.frame_ids() if frame_id not in run.journal]
        for frame_id in track(left, "estimating"):
            try:
                frame = dataset.load_frame(frame_id)
            except DataError as error:
                print(f"skipped: {error}")
                run.journal.append(unreadable_record(frame_id, dataset.instance_keys(frame_id), str(error)))
                continue
            start_s = time.perf_counter()
            poses = predictor.predict(frame)
            elapsed_s = time.perf_counter() - start_s
            run.journal.append(finished_record(frame_id, poses, frame.skipped, elapsed_s))
        run.finalise(with_certificates=False)
        return self._summarise(run, predictor)

    def _open(self):
        from selfpose6d.data.dataset import open_dataset
        from selfpose6d.data.selection import Selection

        selection = Selection(self.scenes, self.frames, self.objects, self.limit)
        return open_dataset(
            self.dataset, self.split, selection, self.models, self.model_unit, self.detections
        )

    def _load(self, dataset):
        from selfpose6d.errors import UsageError
        from selfpose6d.inference.devices import resolve_device, use_bf16
        from selfpose6d.inference.options import PredictOptions
        from selfpose6d.inference.predictor import Predictor
        from selfpose6d.network.checkpoint import load_network

        device = resolve_device(self.device)
        known = load_network(self.model)[0].objects.obj_ids
        if unknown := [obj_id for obj_id in self.objects if obj_id not in known]:
            raise UsageError(
                f"--objects {' '.join(map(str, unknown))}: the model was trained on objects "
                f"{' '.join(map(str, known))}. Choose among these, or train a model for them."
            )
        half = use_bf16(device, self.precision)
        options = PredictOptions(self.refine, self.refine_steps, self.verify, bf16=half, seed=self.seed)
        meshes = {
            obj_id: dataset.load_mesh(obj_id) for obj_id in dataset.models.object_ids if obj_id in known
        }
        if not meshes:
            meshes = dataset.models.folder
        return Predictor.load(self.model, meshes, options, self.model_unit, device)

    def _open_run(self, dataset):
        import hashlib

        from selfpose6d.data.run_folder import RunFolder
        from selfpose6d.network.checkpoint import find_checkpoint

        checkpoint = find_checkpoint(self.model)
        options = {
            "model": hashlib.sha256(checkpoint.read_bytes()).hexdigest()[:16],
            "refine": self.refine,
            "refine_steps": self.refine_steps,
            "verify": self.verify,
            "seed": self.seed,
            "scenes": self.scenes,
            "frames": self.frames,
            "objects": self.objects,
            "limit": self.limit,
        }
        context = {"data_set": str(self.dataset.resolve()), "model_path": str(checkpoint.resolve())}
        context |= {"device": self.device, "precision": self.precision}
        run = RunFolder.open(self.out, "estimate", options, dataset.fingerprint(), self.split, context)
        run.write_frame_names(dataset.frame_names())
        return run

    def _summarise(self, run, predictor) -> int:
        from collections import Counter

        from selfpose6d.data.predictions import iterate_predictions, read_skipped
        from selfpose6d.errors import DataError

        estimated = sum(1 for _ in iterate_predictions(self.out / "predictions.csv"))
        reasons = Counter(item.reason for item in read_skipped(self.out / "skipped.jsonl"))
        if not estimated:
            shown = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
            raise DataError(
                f"no instance of {self.dataset} could be estimated: {shown or 'none has a mask'}."
            )
        print(f"{self.out}: {estimated} poses, {reasons.total()} instances skipped (skipped.jsonl says why)")
        if predictor.instances:
            parts = (
                f"{stage} {1e3 * s / predictor.instances:.1f}" for stage, s in predictor.times.seconds.items()
            )
            print(f"ms an instance: {', '.join(parts)}")
        print(f"next: selfpose6d evaluate {self.out} {self.dataset} --split {self.split}")
        return 0
