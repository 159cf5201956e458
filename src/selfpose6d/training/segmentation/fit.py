"""The training loop of a segmentation network: one stage, one loss; it can stop and go on at any step."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int

from selfpose6d.errors import DataError, SelfPose6DError
from selfpose6d.network.checkpoint import save_segmentation
from selfpose6d.network.segmentation import SegmentationNetwork, lay_out_as_images
from selfpose6d.runs.files import RunFiles
from selfpose6d.training.checkpoint import TrainingState, load_state, save_state
from selfpose6d.training.interrupt import stop_on_interrupt
from selfpose6d.training.loader import Order, ProcessPart, RecordLoader, step_generator
from selfpose6d.training.optimiser import Muon
from selfpose6d.training.parallel import sharing_weights
from selfpose6d.training.record import RunLog, StepProgress
from selfpose6d.training.schedule import Limit, SpeedMeter, warmup_cosine
from selfpose6d.training.segmentation.batch import make_batch
from selfpose6d.training.segmentation.frames import FrameStore
from selfpose6d.training.segmentation.loss import (
    SegmentationLoss,
    confusion,
    mean_iou,
    segmentation_loss,
)

BATCH = 8
"""Windows a step."""
LEARNING_RATE, WARM_UP_STEPS, MAX_GRAD_NORM = 2e-3, 100, 1.0
VALIDATIONS, SAVE_EVERY_S, LOG_EVERY_STEPS = 10, 45.0, 10
"""In a whole training, at even intervals; seconds of training that a kill loses at most; rows of the log."""
STAGE = "segment"


@dataclass(frozen=True)
class SegmentPlan:
    """What a segmentation network is fitted to, and for how long."""

    network: SegmentationNetwork
    frames: FrameStore
    order: Order
    held_out: Int[np.ndarray, " frames"]
    """Frames that are not trained on."""
    limit: Limit
    seed: int
    folder: Path
    device: torch.device
    resume: bool = False


@dataclass(frozen=True)
class SegmentResult:
    """What came of it: steps, and the best mean IoU of the held-out frames."""

    steps: int
    mean_iou: float
    frames_per_s: float


def fit_segmentation(plan: SegmentPlan) -> SegmentResult:
    """Train to the end of the plan, from its start or from the state that was saved last.

    Raises:
        KeyboardInterrupt: Ctrl-C; the state after the last whole step was saved.
        DataError: the loss is not finite.
    """
    trainer = _Trainer(plan)
    with stop_on_interrupt() as stop:
        trainer.run(stop.is_set)
    if stop.is_set():
        raise KeyboardInterrupt
    return SegmentResult(trainer.step, 1 - trainer.best, trainer.frames_per_s)


class _Trainer:
    """Network, optimiser and counters."""

    def __init__(self, plan: SegmentPlan) -> None:
        self.plan = plan
        lay_out_as_images(plan.network.train())
        self.optimiser = Muon((plan.network,), LEARNING_RATE)
        self.step, self.total, self.best = 0, plan.limit.max_steps, float("inf")
        self.schedule_start, self.iou = 0, float("nan")
        if plan.resume:
            self._restore(load_state(plan.folder))
        # layers of a small network are too small to be divided among cores: each has a part of the batch
        threads = torch.get_num_threads() if plan.device.type == "cpu" else 1
        self.parts = [ProcessPart(rank, threads) for rank in range(min(threads, BATCH))]
        self.twins = [plan.network, *(sharing_weights(plan.network) for _ in self.parts[1:])]
        self.pool = ThreadPoolExecutor(len(self.parts), initializer=partial(torch.set_num_threads, 1))
        self._first_step, self._started_s = self.step, time.perf_counter()

    @property
    def frames_per_s(self) -> float:
        """Windows a second since the start of this process's training."""
        return (self.step - self._first_step) * BATCH / max(time.perf_counter() - self._started_s, 1e-9)

    def run(self, stopped) -> None:
        """All remaining steps; validation at even intervals; the state is saved with it and on every way out."""
        log, loader = RunLog(self.plan.folder, self.step), RecordLoader(self.plan.frames, self.plan.order)
        meter = None
        if self.total is None and self.plan.limit.max_minutes is not None:
            start_s = time.perf_counter()
            self._mean_iou()
            meter = SpeedMeter(
                self.plan.limit.max_minutes, (VALIDATIONS + 1) * (time.perf_counter() - start_s)
            )
        self._started_s = saved_s = time.perf_counter()
        try:
            with StepProgress(True) as progress:
                while not stopped() and (self.total is None or self.step < self.total):
                    self._one_step(loader, log, progress)
                    if self.total is None and meter is not None and (step_s := meter.note_step()) is not None:
                        self.total = self.step + max(1, int(meter.left_s / step_s))
                    due = self._validation_due()
                    if due:
                        self._validate(log)
                    if due or time.perf_counter() - saved_s > SAVE_EVERY_S:
                        saved_s = time.perf_counter()
                        self._save()
        except SelfPose6DError:
            self._save()
            raise
        finally:
            loader.close()
            self.pool.shutdown()
            log.close()
        self._save()

    def _one_step(self, loader: RecordLoader, log: RunLog, progress: StepProgress) -> None:
        left = (self.total or 1 << 30) - self.schedule_start
        rate = warmup_cosine(self.step - self.schedule_start, left, LEARNING_RATE, WARM_UP_STEPS)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        records = loader.load(self.step).records
        losses = [*self.pool.map(partial(self._gradients, records), self.twins, self.parts)]
        loss = SegmentationLoss(*(torch.stack(values).mean() for values in zip(*losses, strict=True)))
        self._collect()
        norm = torch.nn.utils.clip_grad_norm_(self.plan.network.parameters(), MAX_GRAD_NORM)
        if not (loss.total.isfinite() and norm.isfinite()):
            raise DataError(
                f"step {self.step}: the loss is {float(loss.total)}, its gradient {float(norm)}. Run selfpose6d "
                "validate on the frames, or train again with another --seed."
            )
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        if self.step % LOG_EVERY_STEPS and self.step != self.total:
            return
        values = {name: float(value) for name, value in loss._asdict().items()}
        log.add(self.step, "train", values | {"gradient_norm": float(norm), "learning_rate": rate}, STAGE)
        progress.update(
            STAGE, self.step, self.total, f"loss {values['total']:.3f}, {self.frames_per_s:.1f} frames/s"
        )

    def _gradients(
        self, records: np.ndarray, network: SegmentationNetwork, part: ProcessPart
    ) -> SegmentationLoss:
        own = records[part.of(len(records)).start : part.of(len(records)).stop]
        generator = step_generator(self.plan.seed, self.step, part, self.plan.device)
        batch = make_batch(own, network.obj_ids, generator)
        loss = segmentation_loss(network(batch.image.contiguous(memory_format=torch.channels_last)), batch)
        (loss.total / part.world).backward()
        return SegmentationLoss(*(value.detach() for value in loss))

    def _collect(self) -> None:
        """The gradients of all parts, in the first network."""
        for own, *others in zip(*(network.parameters() for network in self.twins), strict=True):
            for other in others:
                own.grad, other.grad = own.grad + other.grad, None

    def _validation_due(self) -> bool:
        if self.total is None:
            return False
        return self.step % max(1, self.total // VALIDATIONS) == 0 or self.step == self.total

    def _validate(self, log: RunLog) -> None:
        iou = self.iou = self._mean_iou()
        log.add(self.step, "validation", {"mean_iou": iou, "frames": len(self.plan.held_out)}, STAGE)
        if not 1 - iou >= self.best:
            self.best = 1 - iou
            self._save_network("best")

    @torch.inference_mode()
    def _mean_iou(self) -> float:
        counts = 0
        for batch in self._held_out_batches():
            image = batch.image.contiguous(memory_format=torch.channels_last)
            counts = counts + confusion(self.plan.network(image), batch)
        return mean_iou(counts) if torch.is_tensor(counts) else float("nan")

    def _held_out_batches(self) -> Iterator:
        generator = torch.Generator(self.plan.device)
        for first in range(0, len(self.plan.held_out), BATCH):
            records = self.plan.frames.read(self.plan.held_out[first : first + BATCH])
            yield make_batch(records, self.plan.network.obj_ids, generator, changed=False)

    def _save_network(self, name: str) -> None:
        facts = {"step": self.step, "mean_iou": self.iou, "seed": self.plan.seed}
        save_segmentation(RunFiles(self.plan.folder).network(name), self.plan.network, facts)

    def _save(self) -> None:
        self._save_network("last")
        weights = self.plan.network.state_dict(), self.optimiser.state_dict()
        counters = self.step, self.total, 0, self.best, 0, self.schedule_start, 0
        save_state(self.plan.folder, TrainingState(*counters, *weights))

    def _restore(self, state: TrainingState) -> None:
        self.plan.network.load_state_dict(state.network)
        self.optimiser.load_state_dict(state.optimiser)
        self.step, self.best, self.schedule_start = state.step, state.best, state.schedule_start
        self.total = state.total_steps or self.total
        asked = self.plan.limit.max_steps
        if state.total_steps is not None and asked is not None and asked > state.total_steps:
            # steps that are added have a schedule of their own
            self.total, self.schedule_start = asked, self.step
