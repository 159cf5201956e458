"""What predictions are compared with in a recipe: for the data set's own frames, and for rendered ones beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

from selfpose6d.crops.joined import Crops, JoinedCrops
from selfpose6d.crops.store import CropStore
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.geometry.symmetric_poses import Symmetries
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.rendered import RenderedObjects
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.objects.symmetries import NO_SYMMETRY, load_symmetries, stack_symmetries
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.training.known_poses import ground_truth_poses, label_poses
from selfpose6d.training.part_targets import PartTargets
from selfpose6d.training.recipe import Recipe
from selfpose6d.training.synthetic import SyntheticFrames
from selfpose6d.training.targets import IterativeAnnotationResolver, PoseTable, TargetSource
from selfpose6d.training.teacher import Teacher
from selfpose6d.types import InstanceKey, LabeledPose


@dataclass(frozen=True)
class Sources:
    """Of training and of validation; the teacher is in the former."""

    training: TargetSource
    held_out: TargetSource
    teacher: Teacher | None = None


def make_sources(
    recipe: Recipe,
    dataset: Dataset,
    labels: Mapping[InstanceKey, LabeledPose],
    store: CropStore,
    synthetic: SyntheticFrames | None,
    network: PoseNetwork,
    shapes: ObjectShapes,
    rendered: RenderedObjects | None,
) -> Sources:
    """The recipe's sources. Those of a training with `synthetic` frames are for both stores joined.

    What a teacher's student is measured by is the distance to its own resolved poses: the distance to a teacher that
    follows it is least where it has learned nothing yet.
    """
    if recipe.symmetric_targets:
        symmetries = load_symmetries(dataset.models.folder, store.obj_ids, dataset.load_mesh)
    else:
        symmetries = stack_symmetries([NO_SYMMETRY] * len(store.obj_ids))
    symmetries = symmetries.to(shapes.points_m.device)
    own = make_target_source(recipe, dataset, labels, store, shapes, symmetries)
    if synthetic is None:
        return Sources(own, own)
    T_cam_obj, weight = ground_truth_poses(synthetic.dataset, synthetic.store.keys)
    truth = PoseTable(T_cam_obj, weight, symmetries, shapes)
    held_out = PartTargets(own, truth, len(store))
    if not recipe.has_teacher:
        return Sources(held_out, held_out)
    assert rendered is not None
    teacher = Teacher(network, rendered, shapes, symmetries, recipe.refine_steps, recipe.least_agreement)
    return Sources(PartTargets(teacher, truth, len(store)), held_out, teacher)


def make_target_source(
    recipe: Recipe,
    dataset: Dataset,
    labels: Mapping[InstanceKey, LabeledPose],
    store: CropStore,
    shapes: ObjectShapes,
    symmetries: Symmetries,
) -> TargetSource:
    """What the data set's own frames are compared with; the resolver also where a teacher is to come."""
    if recipe.target in ("resolver", "teacher"):
        options = ResolverOptions(iterations=recipe.resolver_iterations, direction=recipe.direction)
        return IterativeAnnotationResolver(shapes, options, symmetries if recipe.symmetric_targets else None)
    if recipe.target == "labels":
        T_cam_obj, weight = label_poses(labels, store.keys)
    else:
        T_cam_obj, weight = ground_truth_poses(dataset, store.keys)
    return PoseTable(T_cam_obj, weight, symmetries, shapes)


def join(store: CropStore, synthetic: SyntheticFrames | None) -> Crops:
    """The crops that a training reads: the data set's own, and behind them the rendered ones."""
    return store if synthetic is None else JoinedCrops(store, synthetic.store)
