"""Which pictures stand on the page of `report`, in which order, and what is said of them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from selfpose6d.errors import SelfPose6DError
from selfpose6d.image_files import write_png
from selfpose6d.reporting.changed_gallery import changed_gallery
from selfpose6d.reporting.instances import MOST_LISTED, RunInstance
from selfpose6d.reporting.page import Gallery, Layout, Picture, PictureGroup, of_all
from selfpose6d.reporting.pictures import (
    MM_PER_M,
    RunRenderer,
    alternative_tiles,
    frame_picture,
    instance_tiles,
    mask_picture,
    open_renderer,
    outcome,
    sheet_entry,
    thumbnail,
)
from selfpose6d.reporting.run_sources import RunSources
from selfpose6d.selection import FrameId, spread_evenly
from selfpose6d.threads import map_in_threads
from selfpose6d.viz.contact_sheet import draw_contact_sheet

MOST_ALTERNATIVES = 8
"""Tiles of one instance; an object that looks the same all the way round has dozens of poses."""
THUMBNAIL_BYTES = 4_500_000
"""Of all thumbnails together, before encoding as text (a third more): the rest of the page needs 2 to 3 MB of 10."""
STRIP_NOTE = "Photo, rendering at the estimated pose, its outline."


@dataclass(frozen=True)
class RunPictures:
    """The galleries of a page, thumbnails by instance, and what could not be drawn."""

    galleries: Sequence[Gallery] = ()
    thumbnails: Mapping[int, Picture] = field(default_factory=dict)
    """By index of the instance."""
    anchors: Mapping[int, str] = field(default_factory=dict)
    """Of the instance's own group of pictures, by index of the instance."""
    notes: Sequence[str] = ()


def draw_pictures(
    sources: RunSources,
    runs: Mapping[str, Sequence[RunInstance]],
    symmetric_ids: tuple[int, ...],
    count: int,
) -> RunPictures:
    """The pictures of the first of the `runs` (by title, with their instances), and of what differs in the others.

    `count` are the frames and instances of each gallery. Contact sheets of the worst and the doubtful ones are written
    beside the page.
    """
    instances = next(iter(runs.values()))
    if sources.data is None or not count or not any(one.T_cam_obj is not None for one in instances):
        return RunPictures()
    chosen = _chosen(instances)
    shown = [instances[i] for rows in chosen.values() for i in rows[:count]]
    everything = [one for some in runs.values() for one in some]
    try:
        dataset = sources.open_dataset()
        renderer = open_renderer(dataset, everything, shown if len(runs) == 1 else everything)
    except SelfPose6DError as error:
        return RunPictures(notes=[f"No pictures: {error}"])
    changed = changed_gallery(renderer, runs, symmetric_ids, count)
    galleries = [*changed, *_frame_galleries(sources, renderer, instances, count)]
    anchors: dict[int, str] = {}
    for kind, rows in chosen.items():
        groups = []
        for i in rows[:count]:
            with suppress(SelfPose6DError):
                anchor = "" if i in anchors else f"instance-{i}"
                groups.append(_group(renderer, instances[i], kind, anchor))
                anchors.setdefault(i, anchor)
        if groups:
            title, note, layout = _GALLERIES[kind]
            galleries.append(Gallery(title, f"{note} {of_all(len(groups), len(rows))}", groups, layout))
    _write_sheets(sources, renderer, instances, chosen, count)
    return RunPictures(galleries, _thumbnails(renderer, instances), anchors)


_GALLERIES: dict[str, tuple[str, str, Layout]] = {
    "ambiguous": (
        "Ambiguous instances",
        "More than one pose fits: the photo, then the outline at each, with its confidence; the first is the one that "
        "counts.",
        "rows",
    ),
    "rejected": ("Rejected instances", STRIP_NOTE, "cards"),
    "worst": ("Farthest from the truth", STRIP_NOTE, "cards"),
    "doubtful": ("Least confident instances", STRIP_NOTE, "cards"),
}


def _chosen(instances: Sequence[RunInstance]) -> dict[str, list[int]]:
    """Indices of the instances by gallery, in the order in which they are shown."""
    posed = [i for i, one in enumerate(instances) if one.T_cam_obj is not None]
    chosen = {s: [i for i in posed if instances[i].status == s] for s in ("ambiguous", "rejected")}
    scored = [i for i in posed if np.isfinite(instances[i].add_or_adds_m)]
    chosen["worst"] = sorted(scored, key=lambda i: -instances[i].add_or_adds_m)
    if not any(chosen.values()):
        chosen["doubtful"] = posed
    return chosen


def _group(renderer: RunRenderer, one: RunInstance, kind: str, anchor: str) -> PictureGroup:
    lines = [f"{one.where}: {outcome(one)}"]
    if kind == "ambiguous" and one.alternatives:
        pictures = alternative_tiles(renderer, one, MOST_ALTERNATIVES)
        if (left := len(one.alternatives) - MOST_ALTERNATIVES) > 0:
            lines.append(f"{left} less likely poses are left out")
    else:
        pictures = instance_tiles(renderer, one)
    lines += [one.reason] if one.reason else []
    return PictureGroup(pictures, one.name, lines, one.status, anchor, one.place.obj_id)


def _frame_galleries(
    sources: RunSources, renderer: RunRenderer, instances: Sequence[RunInstance], count: int
) -> list[Gallery]:
    frames: dict[FrameId, list[RunInstance]] = {}
    for one in instances:
        frames.setdefault(FrameId(one.place.scene_id, one.place.im_id), []).append(one)
    groups = []
    for frame_id in spread_evenly(sorted(frames), count):
        with suppress(SelfPose6DError):
            picture, counts = frame_picture(renderer, frame_id, frames[frame_id]), _counts(frames[frame_id])
            groups.append(
                PictureGroup([picture], f"scene {frame_id.scene_id}, image {frame_id.im_id}", [counts])
            )
    note = f"{of_all(len(groups), len(frames))[:-1]}, spread evenly over the run." if groups else ""
    galleries = [Gallery("Frames", note, groups, "frames")] if groups else []
    paths = sorted(sources.files.masks.glob("*.png"))
    masks = []
    for path in spread_evenly(paths, count):
        with suppress(SelfPose6DError, ValueError):
            scene, image = map(int, path.stem.split("_"))
            masks.append(PictureGroup([mask_picture(path)], f"scene {scene}, image {image}"))
    if masks:
        note = f"Grey boxes: tried and turned away. {of_all(len(masks), len(paths))}"
        galleries.append(Gallery("What was found", note, masks, "frames"))
    return galleries


def _counts(instances: Iterable[RunInstance]) -> str:
    counts: dict[str, int] = {}
    for one in instances:
        counts[one.status or "estimated"] = counts.get(one.status or "estimated", 0) + 1
    return ", ".join(f"{count} {status}" for status, count in counts.items())


def _thumbnails(renderer: RunRenderer, instances: Sequence[RunInstance]) -> dict[int, Picture]:
    """A small picture of every listed instance with a pose, drawn frame by frame; as many of the first as may be."""

    def draw(i: int) -> Picture | None:
        with suppress(SelfPose6DError):
            return thumbnail(renderer, instances[i])
        return None

    with_pose = [i for i, one in enumerate(instances[:MOST_LISTED]) if one.T_cam_obj is not None]
    by_frame = sorted(with_pose, key=lambda i: instances[i].place)
    drawn = zip(by_frame, map_in_threads(draw, by_frame), strict=True)
    pictures = {i: picture for i, picture in drawn if picture is not None}
    kept, size = {}, 0
    for i in sorted(pictures):
        size += len(pictures[i].image)
        if size > THUMBNAIL_BYTES:
            break
        kept[i] = pictures[i]
    return kept


def _write_sheets(
    sources: RunSources,
    renderer: RunRenderer,
    instances: Sequence[RunInstance],
    chosen: Mapping[str, list[int]],
    count: int,
) -> None:
    sheets = {"worst": chosen["worst"], "rejected": [*chosen["rejected"], *chosen["ambiguous"]]}
    for name, rows in sheets.items():
        entries = []
        for i in rows[:count]:
            with suppress(SelfPose6DError):
                one = instances[i]
                lines = [f"ADD-S {MM_PER_M * one.adds_m:.1f} mm, ADD {MM_PER_M * one.add_m:.1f} mm"]
                reason = [one.reason] if one.reason else []
                entries.append(
                    sheet_entry(renderer, one, [*(lines if np.isfinite(one.add_m) else []), *reason])
                )
        if entries:
            # a run's folder that cannot be written: the page goes elsewhere, by --out
            with suppress(OSError):
                write_png(sources.files.contact_sheet(name), draw_contact_sheet(renderer.meshes, entries))
