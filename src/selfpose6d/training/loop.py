"""The training loop: steps, validation, checkpoints; it can stop and go on at any step."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from lightning_fabric import Fabric

from selfpose6d.data.crop_store import CropStore
from selfpose6d.errors import DataError
from selfpose6d.network.estimator import PoseEstimator
from selfpose6d.training.checkpoint import TrainingState, load_state
from selfpose6d.training.loader import BatchOrder, RecordLoader, Share, step_generator
from selfpose6d.training.record import RunRecord
from selfpose6d.training.schedule import Limit, SpeedMeter, learning_rate
from selfpose6d.training.step import StepContext, require_finite, training_loss
from selfpose6d.training.validation import validate

VALIDATIONS = 10
_SAVE_EVERY_S = 300.0


@dataclass(frozen=True)
class FitPlan:
    """One training run, ready to start."""

    network: PoseEstimator
    context: StepContext
    store: CropStore
    training: Int[np.ndarray, "training"]
    held_out: Int[np.ndarray, "held_out"]
    limit: Limit
    seed: int
    folder: Path
    resume: bool


@dataclass(frozen=True)
class FitResult:
    """What a finished training amounts to; the rate is that of this process's steps, all included."""

    steps: int
    best_m: float
    samples_per_s: float


def fit(plan: FitPlan, fabric: Fabric) -> FitResult:
    """Train to the end of the plan, from its start or from the state that was saved last.

    Raises:
        KeyboardInterrupt: Ctrl-C; the state after the last whole step was saved.
        DataError: the loss is not finite; names the instance. The state before that step was saved.
    """
    trainer = _Trainer(plan, fabric)
    if plan.resume:
        trainer.restore(load_state(plan.folder))
    with _stop_on_interrupt() as stop, RunRecord(plan, fabric.is_global_zero, trainer.step) as record:
        trainer.run(record, stop)
    if stop.is_set():
        raise KeyboardInterrupt
    return FitResult(trainer.step, trainer.best_m, trainer.samples_per_s)


class _Trainer:
    """Network, optimiser and counters."""

    def __init__(self, plan: FitPlan, fabric: Fabric) -> None:
        self.plan, self.fabric, self.recipe = plan, fabric, plan.context.recipe
        optimiser = torch.optim.Adam(plan.network.parameters(), lr=self.recipe.learning_rate, fused=True)
        self.module, self.optimiser = fabric.setup(plan.network, optimiser)
        self.share = Share(fabric.global_rank, fabric.world_size)
        order = BatchOrder(plan.training, self.recipe.batch, plan.seed, self.share)
        self.loader = RecordLoader(plan.store, order)
        self.step, self.total, self.best_m = 0, plan.limit.max_steps, float("inf")
        self._first_step, self._started_s = 0, time.perf_counter()

    @property
    def samples_per_s(self) -> float:
        """Instances a second since the start of this process's training."""
        samples = (self.step - self._first_step) * self.recipe.batch
        return samples / max(time.perf_counter() - self._started_s, 1e-9)

    def state(self) -> TrainingState:
        """What is needed to go on from here."""
        network, optimiser = self.plan.network.state_dict(), self.optimiser.state_dict()
        return TrainingState(self.step, self.total, self.best_m, network, optimiser)

    def restore(self, state: TrainingState) -> None:
        """Go on from a saved state."""
        self.plan.network.load_state_dict(state.network)
        self.optimiser.load_state_dict(state.optimiser)
        self.step = self._first_step = state.step
        self.total, self.best_m = state.total_steps or self.total, state.best_m

    def run(self, record: RunRecord, stop: threading.Event) -> None:
        """All remaining steps, with validation at even intervals.

        The state is saved with it and on every way out.
        """
        meter = self._meter(record)
        self._started_s = saved_s = time.perf_counter()
        try:
            while not stop.is_set() and (self.total is None or self.step < self.total):
                self._one_step(record)
                if meter is not None and self.total is None:
                    self.total = self.fabric.broadcast(meter.note_step())
                if self._validation_due():
                    self._validate(record)
                if self._validation_due() or time.perf_counter() - saved_s > _SAVE_EVERY_S:
                    saved_s = time.perf_counter()
                    record.save(self.state())
        except DataError:
            record.save(self.state())
            raise
        finally:
            self.loader.close()
        record.save(self.state())

    def _one_step(self, record: RunRecord) -> None:
        rate = learning_rate(self.step, self.total, self.recipe.learning_rate, self.recipe.warm_up_steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        number, records = self.loader.load(self.step)
        loss = training_loss(self.module, self.plan.context, records, number, self._generator())
        require_finite(loss.instance, number, self.plan.store, self.step)
        self.fabric.backward(loss.total)
        norm = self.fabric.clip_gradients(
            self.module, self.optimiser, max_norm=self.recipe.largest_gradient, error_if_nonfinite=False
        )
        norm = torch.as_tensor(norm)
        require_finite(norm.expand(len(number)), number, self.plan.store, self.step)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.step += 1
        record.note_step(self.step, self.total, loss, norm, rate, self.samples_per_s)

    def _generator(self) -> torch.Generator:
        generator = step_generator(self.plan.seed, self.step, self.share, self.fabric.device)
        # dropout draws from torch's own generator: seeded by the step as well, so that a resumed run
        # repeats it
        torch.manual_seed(generator.initial_seed())
        return generator

    def _meter(self, record: RunRecord) -> SpeedMeter | None:
        """A meter where minutes are still to be turned into steps.

        A first validation shows what one costs.
        """
        if self.total is not None or self.plan.limit.max_minutes is None:
            return None
        start_s = time.perf_counter()
        self._validate(record)
        reserved_s = (VALIDATIONS + 1) * (time.perf_counter() - start_s)
        return SpeedMeter(self.plan.limit.max_minutes, reserved_s)

    def _validation_due(self) -> bool:
        if self.total is None:
            return False
        return self.step % max(1, self.total // VALIDATIONS) == 0 or self.step == self.total

    def _validate(self, record: RunRecord) -> None:
        """Rank 0 measures; the best network so far is kept."""
        if not self.fabric.is_global_zero or not len(self.plan.held_out):
            return
        plan, precision = self.plan, self.fabric.autocast
        found = validate(plan.network, plan.context, plan.store, plan.held_out, plan.seed, precision)
        record.note_validation(self.step, found)
        if found.distance_m < self.best_m:
            self.best_m = found.distance_m
            record.save_best(self.state())


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C sets the event, so that the step at hand is finished; a second one stops at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(_signal: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
