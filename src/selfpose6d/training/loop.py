"""The training loop: steps, validation, checkpoints; it can stop and go on at any step."""

import threading
import time

import torch
from lightning_fabric import Fabric

from selfpose6d.errors import SelfPose6DError, UsageError
from selfpose6d.network.confidence import Confidence
from selfpose6d.training.checkpoint import TrainingState, load_state
from selfpose6d.training.interrupt import stop_on_interrupt
from selfpose6d.training.loader import (
    BatchOrder,
    MixedOrder,
    Order,
    ProcessPart,
    RecordLoader,
    Samples,
    step_generator,
)
from selfpose6d.training.optimiser import optimiser_of
from selfpose6d.training.parallel import ThreadedStep, useful_threads
from selfpose6d.training.plan import FitPlan, FitResult
from selfpose6d.training.recipe import Stage
from selfpose6d.training.record import RunRecord
from selfpose6d.training.schedule import (
    Continuation,
    SpeedMeter,
    affordable_steps,
    learning_rate,
    least_steps,
    part_rates,
    too_few_steps,
)
from selfpose6d.training.step import StepLoss, require_finite, step_loss
from selfpose6d.training.teacher import teacher_decay
from selfpose6d.training.validation import validate

VALIDATIONS = 10
"""In a whole training, at even intervals: enough for the rule of patience to act within a stage."""
_SAVE_EVERY_S = 45.0
"""A kill loses these seconds of training, and the step or the validation under way; together less than a minute."""


def fit(plan: FitPlan, fabric: Fabric) -> FitResult:
    """Train to the end of the plan, from its start or from the state that was saved last.

    Raises:
        KeyboardInterrupt: Ctrl-C; the state after the last whole step was saved.
        DataError: the loss is not finite; names the instance. The state before that step was saved.
        UsageError: the minutes have no room for the recipe's whole epochs. The state was saved.
    """
    trainer = _Trainer(plan, fabric)
    if plan.resume:
        trainer.restore(load_state(plan.folder))
    with stop_on_interrupt() as stop, RunRecord(plan, fabric.is_global_zero, trainer.step) as record:
        trainer.run(record, stop)
    if stop.is_set():
        raise KeyboardInterrupt
    return FitResult(trainer.step, trainer.best, trainer.samples_per_s)


class _Trainer:
    """Network, optimiser and counters."""

    def __init__(self, plan: FitPlan, fabric: Fabric) -> None:
        self.plan, self.fabric, self.recipe = plan, fabric, plan.context.recipe
        self.module, self.optimiser = fabric.setup(plan.network, optimiser_of(self.recipe, plan.network))
        self.part = ProcessPart(fabric.global_rank, fabric.world_size)
        self.step, self.total = 0, plan.limit.max_steps
        self.stage_index, self.best, self.validations_without_improvement = 0, float("inf"), 0
        self.continuation, self.confidence = Continuation(), Confidence()
        self.loader, self.threaded = (
            RecordLoader(plan.store, self._order(self.stage)),
            self._thread(self.stage),
        )
        self._begin_teaching()
        self._first_step, self._started_s = 0, time.perf_counter()

    @property
    def stage(self) -> Stage:
        """The stage at hand."""
        return self.recipe.stages[self.stage_index]

    @property
    def ends(self) -> tuple[int, ...] | None:
        """The step before which each stage ends; None while their number is not known."""
        if self.total is None:
            return None
        return self.continuation.ends(self.recipe.stages, self.total, self.plan.steps_per_epoch)

    @property
    def samples_per_s(self) -> float:
        """Instances a second since the start of this process's training."""
        samples = (self.step - self._first_step) * self.recipe.batch
        return samples / max(time.perf_counter() - self._started_s, 1e-9)

    def state(self) -> TrainingState:
        """What is needed to go on from here."""
        counters = (self.step, self.total, self.stage_index, self.best, self.validations_without_improvement)
        begun = (self.continuation.start, self.continuation.stage)
        teacher = self.plan.teacher.state() if self.plan.teacher is not None else None
        weights = (self.plan.network.state_dict(), self.optimiser.state_dict(), teacher)
        return TrainingState(*counters, *begun, *weights, self.confidence.to_json())

    def restore(self, state: TrainingState) -> None:
        """Go on from a saved state, with more steps where more are asked for than it had."""
        self.plan.network.load_state_dict(state.network)
        self.optimiser.load_state_dict(state.optimiser)
        self.step = self._first_step = state.step
        self.total = state.total_steps or self.total
        self.stage_index, self.best = state.stage, state.best
        self.validations_without_improvement = state.validations_without_improvement
        self.confidence = Confidence.from_json(state.confidence)
        self.continuation = Continuation(state.schedule_start, state.schedule_stage)
        asked = self.plan.limit.max_steps
        if self.plan.teacher is not None and state.teacher is not None:
            self.plan.teacher.become(state.teacher)
        if state.total_steps is not None and asked is not None and asked > state.total_steps:
            self._add_steps(asked)
        self._read_for_stage()

    def _add_steps(self, total: int) -> None:
        self.total = total
        self.continuation = Continuation.after(self.step, self.stage_index, self.recipe.stages)
        self.validations_without_improvement = 0
        if self.continuation.stage != self.stage_index:  # another stage has another measure
            self.stage_index, self.best = self.continuation.stage, float("inf")

    def run(self, record: RunRecord, stop: threading.Event) -> None:
        """All remaining steps, with validation at even intervals; the state is saved with it and on every way out."""
        meter = self._meter(record)
        self._started_s = saved_s = time.perf_counter()
        try:
            while not stop.is_set() and (self.total is None or self.step < self.total):
                self._one_step(record)
                if meter is not None and self.total is None:
                    self._fix_total(meter)
                due = self._validation_due()
                if due:
                    self._validate(record)
                self._change_stage(record)
                if due or time.perf_counter() - saved_s > _SAVE_EVERY_S:
                    saved_s = time.perf_counter()
                    record.save(self.state(), self.confidence)
        except SelfPose6DError:
            record.save(self.state(), self.confidence)
            raise
        finally:
            self._close()
        record.save(self.state(), self.confidence)

    def _one_step(self, record: RunRecord) -> None:
        rate = learning_rate(self.step, self.ends, self.recipe, self.continuation.start)
        for group, own in zip(
            self.optimiser.param_groups, part_rates(rate, self.stage, self.recipe), strict=True
        ):
            group["lr"] = own
        samples = self.loader.load(self.step)
        loss = self._gradients(samples, self.stage, self.threaded, record.wants_norms(self.step + 1))
        require_finite(loss.instance, samples, self.plan.store, self.step)
        norm = self.fabric.clip_gradients(
            self.module, self.optimiser, max_norm=self.recipe.max_grad_norm, error_if_nonfinite=False
        )
        norm = torch.as_tensor(norm)
        require_finite(norm.expand(len(samples)), samples, self.plan.store, self.step)
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.plan.teacher is not None and self.recipe.is_taught(self.stage):
            self.plan.teacher.follow(self.plan.network, self._teacher_decay())
        self.step += 1
        record.note_step(self.step, self.total, self.stage.name, loss, norm, rate, self.samples_per_s)

    def _gradients(
        self, samples: Samples, stage: Stage, threaded: ThreadedStep | None, with_norms: bool = False
    ) -> StepLoss:
        """The loss of a step, whose gradients lie in the network."""
        context = self.plan.context
        if threaded is not None:
            return threaded(
                lambda network, own, part: step_loss(network, context, stage, own, self._generator(part)),
                samples,
            )
        loss = step_loss(
            self.module, context, stage, samples, self._generator(self.part), with_norms=with_norms
        )
        if loss.instance.isfinite().all():  # else the caller says which are not
            self.fabric.backward(loss.total)
        return loss

    def _thread(self, stage: Stage) -> ThreadedStep | None:
        """A stage's threads, None where one is enough."""
        plan, fabric = self.plan, self.fabric
        threads = useful_threads(plan.network, self.recipe, stage, fabric.device, fabric.world_size)
        return ThreadedStep(plan.network, threads, fabric.autocast) if threads > 1 else None

    def _generator(self, part: ProcessPart) -> torch.Generator:
        generator = step_generator(self.plan.seed, self.step, part, self.fabric.device)
        # dropout draws from torch's own generator: seeded by the step as well, so that a resumed run repeats it
        torch.manual_seed(generator.initial_seed())
        return generator

    def _change_stage(self, record: RunRecord) -> None:
        """Go on to the next stage when this one's steps are used up or, in the first, its target is met or missed.

        The next stage starts from the network as it is, and that is the first that it measures.
        """
        ends = self.ends
        if ends is None or self.step >= ends[-1]:
            return
        last = len(self.recipe.stages) - 1
        while self.stage_index < last and (
            self.step >= ends[self.stage_index] or (self.stage_index == 0 and self._first_is_over())
        ):
            record.save_network(self.stage.name, self.state(), self.confidence)
            self.stage_index += 1
            self.best, self.validations_without_improvement = float("inf"), 0
            self._read_for_stage()
            self._begin_teaching()
            self._validate(record)

    def _order(self, stage: Stage) -> Order:
        """Which samples the steps of a stage see: the data set's own, rendered ones, or both."""
        plan, count = self.plan, self.recipe.synthetic_instances(stage)
        if plan.synthetic is None or stage.synthetic == 0:
            return BatchOrder(plan.training, self.recipe.batch, plan.seed, self.part)
        if stage.synthetic == 1:
            return BatchOrder(plan.synthetic.training, self.recipe.batch, plan.seed, self.part)
        parts = (plan.training, plan.synthetic.training)
        return MixedOrder(*parts, self.recipe.batch, count, plan.seed, self.part)

    def _read_for_stage(self) -> None:
        """Batches of the stage at hand from here on; what was read ahead for another one is dropped."""
        self._close()
        self.loader, self.threaded = (
            RecordLoader(self.plan.store, self._order(self.stage)),
            self._thread(self.stage),
        )

    def _close(self) -> None:
        self.loader.close()
        if self.threaded is not None:
            self.threaded.close()

    def _begin_teaching(self) -> None:
        """At the start of the student's stage the teacher is what was learned so far."""
        if self.plan.teacher is not None and self.recipe.is_taught(self.stage):
            self.plan.teacher.become(self.plan.network.state_dict())

    def _teacher_decay(self) -> float:
        if self.recipe.teacher_decay is not None:
            return self.recipe.teacher_decay
        ends = self.ends
        if ends is None:
            return teacher_decay(None)
        begin = ends[self.stage_index - 1] if self.stage_index else 0
        return teacher_decay(ends[self.stage_index] - begin)

    def _first_is_over(self) -> bool:
        until_m, patience = self.stage.until_m, self.stage.patience
        met = until_m is not None and self.best < until_m
        missed = patience is not None and self.validations_without_improvement >= patience
        return self._validation_due() and (met or missed) and self.recipe.stages[1].loss == "targets"

    def _meter(self, record: RunRecord) -> SpeedMeter | None:
        """A meter where minutes are still to be turned into steps; a first validation shows what one costs."""
        if self.total is not None or self.plan.limit.max_minutes is None:
            return None
        start_s = time.perf_counter()
        self._validate(record)
        changes = len(self.recipe.stages) - 1
        reserved_s = (VALIDATIONS + 1 + changes) * (time.perf_counter() - start_s)
        return SpeedMeter(self.plan.limit.max_minutes, reserved_s)

    def _fix_total(self, meter: SpeedMeter) -> None:
        """Once a step's time is known, measure the other stages' steps too and count what the minutes allow."""
        step_s = self.fabric.broadcast(meter.note_step())
        if step_s is None:
            return
        trial_s = [self._trial_s(stage) for stage in self.recipe.stages]
        all_s = [step_s * trial / trial_s[0] for trial in trial_s]
        affordable = affordable_steps(meter.left_s, self.recipe.stages, all_s, self.plan.steps_per_epoch)
        total = self.step + self.fabric.broadcast(affordable)
        if total < (least := least_steps(self.recipe.stages, self.plan.steps_per_epoch)):
            raise UsageError(too_few_steps(self.recipe.stages, total, least, self.plan.steps_per_epoch))
        self.total = total

    def _trial_s(self, stage: Stage) -> float:
        """Seconds of a step of a stage that changes nothing; the second one, the first may compile."""
        duration_s, threaded = 0.0, self._thread(stage)
        for _ in range(2):
            index = self._order(stage).indices(self.step)
            samples = Samples(index, self.plan.store.read(index))
            start_s = time.perf_counter()
            self._gradients(samples, stage, threaded)
            self.optimiser.zero_grad()
            duration_s = time.perf_counter() - start_s
        if threaded is not None:
            threaded.close()
        return duration_s

    def _validation_due(self) -> bool:
        if self.total is None:
            return False
        return self.step % max(1, self.total // VALIDATIONS) == 0 or self.step == self.total

    def _validate(self, record: RunRecord) -> None:
        """Rank 0 measures; the best network of the stage so far is kept. All processes know the outcome."""
        plan, stage = self.plan, self.stage
        held_out = plan.held_out_of(stage)
        if not len(held_out):
            return
        value = float("inf")
        if self.fabric.is_global_zero:
            found = validate(
                plan.network, plan.context, stage, plan.store, held_out, plan.seed, self.fabric.autocast
            )
            record.note_validation(self.step, stage.name, found)
            value, self.confidence = found.value, found.confidence
        value = self.fabric.broadcast(value)
        if value < self.best:
            self.best, self.validations_without_improvement = value, 0
            record.save_network("best", self.state(), self.confidence)
        else:
            self.validations_without_improvement += 1
