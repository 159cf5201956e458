"""A run's accepted poses as a data set that other tools read."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, cast

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import MALFORMED, DataError, UsageError
from selfpose6d.export.files import copy_image, link_image
from selfpose6d.export.formats import FORMATS, Format, FormatName, Row, Target
from selfpose6d.export.frames import ExportedFrame, ExportedObjects, exported_frame, object_categories
from selfpose6d.export.labels import ExportedStatus, FrameLabels, LeftOut, read_frame_labels
from selfpose6d.export.models import model_hashes
from selfpose6d.export.progress import (
    MODELS,
    FrameRow,
    close_progress,
    current_models,
    forget_split,
    is_being_removed,
    labels_hash,
    open_progress,
    read_records,
)
from selfpose6d.json_files import read_json
from selfpose6d.json_stream import json_list
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.frame_lines import FrameLines
from selfpose6d.selection import FrameId, Selection
from selfpose6d.threads import map_in_threads

INCOMPLETE_NAME = "incomplete_frames.json"
FRAMES_AT_ONCE = 8
"""In threads that work ahead: each takes a few megabytes."""
_COUNTS = ("frames", "poses", "ignored", "incomplete")


@dataclass(frozen=True)
class ExportOptions:
    """What is exported, and how."""

    form: FormatName = "bop"
    statuses: tuple[ExportedStatus, ...] = ("certified", "reviewed")
    complete_frames: bool = False
    """Leave out frames that show an instance without an accepted label."""
    link: bool = False
    """Link images instead of copying them."""
    overwrite: bool = False
    """Export a split anew that is finished, or was begun from other labels or with other options."""

    def __post_init__(self) -> None:
        if not self.statuses:
            raise UsageError(
                "--status names nothing: expected some of certified, reviewed, ambiguous, rejected."
            )


@dataclass(frozen=True)
class Exported:
    """What came of an export."""

    split: str
    frames: int
    poses: int
    ignored: int
    """Instances without an accepted label, in frames that are exported."""
    incomplete: int
    """Frames with such instances; with `complete_frames` they were left out."""
    unreadable: tuple[str, ...] = ()
    """What is wrong with each frame that could not be read."""

    def counts(self) -> dict[str, Any]:
        """The numbers, for the record of a finished export."""
        return {name: getattr(self, name) for name in _COUNTS} | {"unreadable": list(self.unreadable)}

    @classmethod
    def of_record(cls, split: str, record: dict[str, Any]) -> "Exported":
        """What came of an export that is finished."""
        counts = {name: record[name] for name in _COUNTS}
        return cls(split, **counts, unreadable=tuple(record["unreadable"]))


def export_labels(
    run: Path,
    dataset: Dataset,
    to: Path,
    options: ExportOptions,
    advance: Callable[[], None] = lambda: None,
) -> Exported:
    """Write the data set of a run's labels, or what is missing of it after an interruption.

    Args:
        run: a finished run of `annotate`, `find`, or `estimate --verify`.
        dataset: what it was made on, with its masks and selection, of all objects.
        to: the folder to write; may hold other splits of the same format.
        options: what is exported.
        advance: called after each frame.

    Raises:
        UsageError: the run is unfinished or of another data set, or the folder holds something else.
        DataError: a file of the run is broken.
        MeshError: a mesh is unreadable.
    """
    form, split = FORMATS[options.form], split_name(dataset)
    record = {
        "format": options.form,
        "run": run.resolve().name,
        "labels": labels_hash(run),
        "data": require_data_of(run, dataset),
        "status": sorted(options.statuses),
        "complete_frames": options.complete_frames,
        "images": "linked" if options.link else "copied",
        MODELS: model_hashes(dataset),
    }
    labels = frame_labels(run, dataset, options)
    first = list(islice(labels, 1))  # an unfinished run is refused before anything is written
    target = Target(to, split, object_categories(dataset))
    current = (
        set() if form.write_models is None else current_models(to, split, record[MODELS], options.overwrite)
    )
    if options.overwrite or is_being_removed(to, split):
        forget_split(to, split, record, lambda name: FORMATS[cast(FormatName, name)].outputs(target))
    progress = open_progress(to, split, record)
    if progress is None:
        form.tidy(target)
        return Exported.of_record(split, read_records(to)[split])
    if form.write_models is not None:
        form.write_models(dataset, dataset.models.object_ids, to / "models", current)
    objects = ExportedObjects(dataset)

    def prepare(labels: FrameLabels) -> ExportedFrame | DataError:
        try:
            return exported_frame(dataset, objects, labels)
        except DataError as error:
            return error

    frames = chain(first, labels)
    while block := list(islice(frames, FRAMES_AT_ONCE)):
        left = [frame for frame in block if frame.frame_id not in progress]
        for frame, prepared in zip(left, map_in_threads(prepare, left), strict=True):
            progress.append(_exported_row(frame, prepared, form, target, options))
        for _ in block:
            advance()
    form.finish(target, _rows(progress))
    _write_incomplete(to, split, progress)
    exported = _summary(split, progress)
    if not exported.unreadable:  # else the same command tries those frames again
        close_progress(to, split, record | exported.counts())
        form.tidy(target)
    return exported


def require_data_of(run: Path, dataset: Dataset) -> str:
    """The fingerprint of the run's data.

    Images and meshes that are not those the run was made on are refused: its poses would be another mesh's.

    Raises:
        UsageError: it is another data set, or the run does not say its own.
    """
    data, files = read_config(run).data, RunFiles(run)
    made_on = data.fingerprint
    got = dataset.fingerprint(with_masks=not files.detections.is_file())
    if got != made_on:
        raise UsageError(
            f"{run} was made on another data set than {dataset.root} is now (fingerprint {made_on}, got {got}): "
            "images, names or sizes of meshes, or masks differ. Restore it, or annotate it again."
        )
    if data.has_other_meshes(dataset.models.content):
        raise UsageError(
            f"{run} was made on another data set than {dataset.root} is now: the files in {dataset.models.folder} "
            "(meshes, textures, models_info.json) are not those of the run. Restore them, or annotate it again."
        )
    return made_on


def split_name(dataset: Dataset) -> str:
    """The split's name in the exported data set: `train` for the one split of a capture folder."""
    return "train" if dataset.split == "all" else dataset.split


def frame_labels(run: Path, dataset: Dataset, options: ExportOptions) -> Iterator[FrameLabels]:
    """The labels of every selected frame, also of those in which the run has no instance; sorted by frame.

    Raises:
        UsageError: the run is unfinished, or has frames that the data set has not.
        DataError: a file of it is broken.
    """
    labelled = read_frame_labels(run, options.statuses)
    following = next(labelled, None)
    for frame_id in dataset.frame_ids():
        if following is not None and following.frame_id < frame_id:
            raise _unknown_frame(run, dataset, following)
        if following is not None and following.frame_id == frame_id:
            yield following
            following = next(labelled, None)
        else:
            yield FrameLabels(frame_id)
    if following is not None:
        raise _unknown_frame(run, dataset, following)


def _unknown_frame(run: Path, dataset: Dataset, labels: FrameLabels) -> UsageError:
    return UsageError(
        f"{run} labels scene {labels.frame_id.scene_id}, image {labels.frame_id.im_id}, which {dataset.root} does "
        "not have. Pass the data set that the run was made on with --dataset."
    )


def without_objects(selection: Selection) -> Selection:
    """The same frames with all of their objects: those that a run did not look at have no label, and are not absent."""
    return replace(selection, objects=())


def _exported_row(
    labels: FrameLabels,
    frame: ExportedFrame | DataError,
    form: Format,
    target: Target,
    options: ExportOptions,
) -> FrameRow:
    """Write a frame that could be read; how formats place files depends on those before it."""
    place = link_image if options.link else copy_image
    if isinstance(frame, DataError):
        return FrameRow(labels.frame_id, missing=_missing(labels.left_out, target.names), error=str(frame))
    missing = _missing(tuple(row.left_out for row in frame.ignored), target.names)
    if missing and options.complete_frames:
        return FrameRow(labels.frame_id, missing=missing)
    return FrameRow(labels.frame_id, form.write_frame(target, frame, place), missing, len(frame.instances))


def _missing(left_out: tuple[LeftOut, ...], names: Mapping[int, str]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "obj_id": row.key.obj_id,
            "name": names.get(row.key.obj_id),
            "inst_id": row.key.inst_id,
            "reason": row.reason,
        }
        for row in left_out
    )


def _rows(progress: FrameLines[FrameRow]) -> Iterator[tuple[FrameId, Row]]:
    return ((record.frame_id, record.row) for record in progress.records() if record.row is not None)


def _write_incomplete(to: Path, split: str, progress: FrameLines[FrameRow]) -> None:
    """List the frames with instances that have no label, and those that could not be read, beside other splits'."""
    path = to / INCOMPLETE_NAME
    others = _incomplete_there(path)
    with json_list(path) as rows:
        for row in others:
            if row["split"] != split:
                rows.add(row)
        for record in progress.records():
            if record.missing or record.error:
                row = {"split": split, "scene_id": record.frame_id.scene_id, "im_id": record.frame_id.im_id}
                row |= {"exported": record.row is not None, "instances": list(record.missing)}
                rows.add(row | ({"error": record.error} if record.error else {}))


def _incomplete_there(path: Path) -> list[dict[str, Any]]:
    try:
        rows = read_json(path) if path.is_file() else []
        return [{"split": row["split"], **row} for row in rows]
    except (OSError, *MALFORMED) as error:
        raise UsageError(f"{path} is broken ({error}). Remove it, or choose another --to.") from None


def _summary(split: str, progress: FrameLines[FrameRow]) -> Exported:
    frames = poses = ignored = incomplete = 0
    unreadable = []
    for record in progress.records():
        incomplete += bool(record.missing)
        if record.error:
            unreadable.append(record.error)
        elif record.row is not None:
            frames += 1
            poses += record.poses
            ignored += len(record.missing)
    return Exported(split, frames, poses, ignored, incomplete, tuple(unreadable))
