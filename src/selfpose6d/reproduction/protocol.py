"""In words: how what was measured here differs from what the paper printed."""

from collections.abc import Sequence

from selfpose6d.network.config import SIZES
from selfpose6d.reproduction.columns import Workshop
from selfpose6d.reproduction.data import TableData
from selfpose6d.reproduction.measured import MeasuredColumn, TrainingFacts
from selfpose6d.reproduction.printed import TABLE_2_OBJECTS
from selfpose6d.reproduction.shares import Shares


def protocol_lines(
    shop: Workshop, columns: Sequence[MeasuredColumn], left_out: Sequence[str]
) -> tuple[str, ...]:
    """Every difference, one sentence or two each; what holds for the whole table first."""
    common = (
        _frames(shop.data, shop.shares),
        _objects(shop),
        _synthetic(shop.data),
        _masks(shop.data),
        _network(shop),
        _training(shop),
        "Metric: exact area under the accuracy curve up to 10 cm; the paper's is the one of YCB-Video's toolbox, which "
        "is higher for few instances (by 0.1 for 1,000, by 3.9 for 10; results.json of every column has both). "
        "Every target counts, also one without an estimate.",
    )
    return (*filter(None, common), *_labels(shop), *filter(None, map(_column, columns)), *left_out)


def _frames(data: TableData, shares: Shares) -> str:
    (train, all_train), (test, all_test) = shares.train_counts, shares.test_counts
    counts = f"{test} of {all_test} test frames (split {shares.test.split}, about {shares.test_instances} instances)"
    if all_train:
        instances = round(train * shares.train_per_frame)
        trained = (
            f"{train} of {all_train} train frames (split {shares.train.split}, about {instances} instances)"
        )
        counts = f"{trained}, {counts}"
    where = "rendered scenes" if data.rendered else str(data.test.root)
    paper = "The paper: YCB-Video's real frames (130,000) and synthetic ones (80,000), its test split."
    unlike = " Rendered scores say nothing of real ones." if data.rendered else ""
    return f"Data: {where}, {counts}. {paper}{unlike}"


def _synthetic(data: TableData) -> str:
    if data.synthetic is None:
        return ""
    frames = len(data.synthetic.open().frame_ids())
    own = data.synthetic.root == data.test.root
    made = "the data set's own" if own else "rendered here from the same meshes, of other scenes"
    return f"Synthetic frames: {frames}, {made}. The paper: YCB-Video's 80,000."


def _objects(shop: Workshop) -> str:
    objects, plan = shop.data.objects, shop.plan
    known = sum(row.ycb_id is not None for row in objects)
    papers = len(plan.ycb_ids) or 21
    if not known:
        return f"Objects: {len(objects)} that are none of the paper's, so that no printed figure stands beside them."
    others = plan.ycb_ids == TABLE_2_OBJECTS and {row.ycb_id for row in objects} != set(TABLE_2_OBJECTS)
    which = ", not the five of the paper's table" if others else ""
    return (
        f"Objects: {len(objects)}{which}, {known} of them YCB-Video's; the paper has {papers} in this table."
    )


def _masks(data: TableData) -> str:
    if data.rendered:
        return "Masks: exact visible masks of the rendering. The paper: BOP's masks of YCB-Video."
    return "Masks: the data set's visible masks, in training and in tests, as in the paper."


def _network(shop: Workshop) -> str:
    if not shop.plan.trainings:
        return ""
    config = SIZES[shop.request.size]
    one = "One network for all objects of the table, with outputs of its own for each."
    if shop.request.size == "paper":
        return f"Network: DenseFusion's widths as in the paper. {one} {_refiner(shop.request.literal)}"
    return (
        f"Network: size {shop.request.size}, {config.crop_px} px crops and {config.num_points} points (paper: "
        f"{SIZES['paper'].crop_px} px and {SIZES['paper'].num_points} points, wider layers). {one} "
        f"{_refiner(shop.request.literal)}"
    )


def _refiner(literal: bool) -> str:
    if literal:
        return "Recipe paper is trained literally: its refinement network has the paper's input, no liberty is taken."
    return (
        "Its refinement network is also told the nearest model point of each point, which the paper's is not."
    )


def _training(shop: Workshop) -> str:
    if not shop.plan.trainings:
        return ""
    request = shop.request
    if request.max_steps is not None:
        length = f"{request.max_steps} steps for each network"
    elif request.budget_minutes is not None:
        length = (
            f"equal minutes for each network, out of a budget of {request.budget_minutes:g} minutes in all; one that "
            "takes longer shortens those after it"
        )
    else:
        return "Training: none, every column is taken from a finished run."
    return f"Training: {length} on {request.device}. The paper does not say how long it trained."


def _labels(shop: Workshop) -> tuple[str, ...]:
    if shop.shares.labels is None:
        return ()
    return (
        f"Certified labels come from about {shop.shares.label_frames} of the {shop.shares.train_counts[0]} train "
        "frames; the other recipes learn from all of these.",
    )


def _column(measured: MeasuredColumn) -> str:
    column = measured.column
    parts = [column.note] if column.note else []
    if measured.predictions_from is not None:
        parts.append(f"poses were taken from {measured.predictions_from} and scored on that run's own frames")
    facts: TrainingFacts | None = measured.training
    if facts is not None and facts.taken_from is not None:
        steps = "" if facts.steps is None else f", {facts.steps} steps"
        parts.append(
            f"its network was taken from {facts.taken_from} (recipe {facts.recipe}, {facts.size}{steps})"
        )
    if measured.missing_because:
        parts.append(measured.missing_because)
    return f"{column.title}: {'; '.join(parts)}." if parts else ""
