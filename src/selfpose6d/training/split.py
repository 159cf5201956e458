"""Which instances are trained on, and which are held out to say how training goes.

Frames are held out in blocks of neighbours in time, since neighbours are near duplicates: one that is trained on makes
a held-out frame beside it say little. Every object is held out by itself and keeps training data.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

HELD_OUT_FRACTION = 0.05
MOST_HELD_OUT = 256
"""Instances that validation looks at; a mean over more costs time and says no more."""
_BLOCK_FRAMES, _MOST_BLOCKS = 8, 4
"""A scene is held out in several places only where each has this many frames (a third of a second at 30 Hz), so that
its two ends, which have neighbours in training, stay a small part of it; more than four places show nothing new."""
_GOLDEN = (5**0.5 - 1) / 2
"""Multiples of it, modulo 1, are spread evenly however many are taken."""


@dataclass(frozen=True)
class FrameSplit:
    """Indices of the instances on both sides, and what a log says of them."""

    training: Int[np.ndarray, " training"]
    held_out: Int[np.ndarray, " held_out"]
    block_frames: tuple[int, ...]
    """Number of frames of each held-out block."""
    instances_in_blocks: int
    """Instances of the held-out blocks; `held_out` has `MOST_HELD_OUT` of them at most."""
    on_both_sides: tuple[int, ...]
    """Objects of a single frame, which serves for both."""
    never_held_out: tuple[int, ...]
    """Objects whose frames are all needed to train on the others that are in them."""

    def describe(self) -> str:
        """One line for the log."""
        total = len(self.training) + self.instances_in_blocks
        blocks, frames = len(self.block_frames), sorted(set(self.block_frames))
        sizes = "-".join(map(str, dict.fromkeys((*frames[:1], *frames[-1:]))))
        text = f"held out: {len(self.held_out)} of {total} instances"
        if blocks:
            noun = "frame" if sizes == "1" else "frames"
            text += f", {blocks} {'block' if blocks == 1 else 'blocks'} of {sizes} {noun}"
        if self.instances_in_blocks > len(self.held_out):
            text += f" ({self.instances_in_blocks} instances, thinned evenly per object)"
        if not self.never_held_out:
            text += ", every object in both parts"
        if self.on_both_sides:
            text += f"; objects with one frame, which serves for both: {_list(self.on_both_sides)}"
        if self.never_held_out:
            text += f"; objects that are never held out: {_list(self.never_held_out)}"
        return text


def split_frames(
    keys: Int[np.ndarray, "instances 4"],
    fraction: float = HELD_OUT_FRACTION,
    most_instances: int = MOST_HELD_OUT,
) -> FrameSplit:
    """Hold out about `fraction` of every object's instances, in whole blocks of frames spread over the scenes.

    No frame gives instances to both sides, but that of an object that has no other frame. A block that has all
    of an object is cut in the middle of the object's frames. Without randomness: the same keys, the same split.

    Args:
        keys: scene_id, im_id, obj_id, inst_id of every instance.
        fraction: of the instances; an object gives at least one block where it can.
        most_instances: of the held-out blocks' instances, thinned evenly per object.
    """
    table = _Table.of(keys, fraction)
    held = _choose_blocks(table, fraction)
    in_block = held[table.block_of_instance]
    training, candidates = np.flatnonzero(~in_block), np.flatnonzero(in_block)
    single = [obj for obj in range(len(table.obj_ids)) if table.num_frames(obj) == 1]
    serves_both = np.flatnonzero(np.isin(table.object_of_instance, single))
    candidates = np.union1d(candidates, serves_both)
    held_out = candidates[_thin(table.object_of_instance[candidates], most_instances)]
    missing = np.setdiff1d(np.arange(len(table.obj_ids)), table.object_of_instance[candidates])
    return FrameSplit(
        training,
        held_out,
        tuple(np.bincount(table.block_of_frame, minlength=len(held))[held].tolist()),
        int(in_block.sum()),
        tuple(table.obj_ids[single].tolist()),
        tuple(table.obj_ids[missing].tolist()),
    )


@dataclass(frozen=True)
class _Table:
    """Instances, frames and blocks by index; frames and blocks in the order of scene and time."""

    obj_ids: Int[np.ndarray, " objects"]
    object_of_instance: Int[np.ndarray, " instances"]
    frame_of_instance: Int[np.ndarray, " instances"]
    block_of_frame: Int[np.ndarray, " frames"]
    scene_of_block: Int[np.ndarray, " blocks"]

    @classmethod
    def of(cls, keys: Int[np.ndarray, "instances 4"], fraction: float) -> "_Table":
        frames, frame = np.unique(keys[:, :2], axis=0, return_inverse=True)
        obj_ids, obj = np.unique(keys[:, 2], return_inverse=True)
        frame, obj = frame.reshape(-1), obj.reshape(-1)
        _, scene = np.unique(frames[:, 0], return_inverse=True)
        starts = _block_starts(scene, fraction)
        for index in range(len(obj_ids)):
            _split_only_block(starts, np.unique(frame[obj == index]))
        return cls(obj_ids, obj, frame, np.cumsum(starts) - 1, scene[starts])

    @property
    def block_of_instance(self) -> Int[np.ndarray, " instances"]:
        return self.block_of_frame[self.frame_of_instance]

    def num_frames(self, obj: int) -> int:
        return len(np.unique(self.frame_of_instance[self.object_of_instance == obj]))


def _block_starts(scene_of_frame: Int[np.ndarray, " frames"], fraction: float) -> Bool[np.ndarray, " frames"]:
    """Cut each scene into blocks of like length, of which one to four are `fraction` of it."""
    _, first, count = np.unique(scene_of_frame, return_index=True, return_counts=True)
    places = np.clip(fraction * count // _BLOCK_FRAMES, 1, _MOST_BLOCKS)
    blocks = np.minimum(count, np.ceil(places / fraction)).astype(int)[scene_of_frame]
    within = np.arange(len(scene_of_frame)) - first[scene_of_frame]
    block = within * blocks // count[scene_of_frame]
    return (within == 0) | (np.diff(block, prepend=-1) != 0)


def _split_only_block(starts: Bool[np.ndarray, " frames"], frames_of_object: Int[np.ndarray, " its"]) -> None:
    """Start a block in the middle of an object's frames where they are all in one block; in place."""
    first, last = frames_of_object[[0, -1]]
    if first < last and not starts[first + 1 : last + 1].any():
        starts[frames_of_object[(len(frames_of_object) + 1) // 2]] = True


def _choose_blocks(table: _Table, fraction: float) -> Bool[np.ndarray, " blocks"]:
    """Hold blocks out for one object after the other, the rarest first, until each has its fraction.

    A block may be taken as long as every object in it keeps half of its instances; for an object that gets none so, as
    long as every object keeps one.
    """
    content = _Content.of(table, _turns(table.scene_of_block))
    total = np.bincount(table.object_of_instance, minlength=len(table.obj_ids))
    left, held = total.copy(), np.zeros(len(table.scene_of_block), bool)
    for least, part in ((np.maximum(1, total // 2), fraction), (np.ones_like(total), 0.0)):
        for obj in np.argsort(total, kind="stable").tolist():
            wanted = max(1, round(part * int(total[obj])))
            for block, count in content.blocks_of(obj):
                out = total[obj] - left[obj]
                if out >= wanted:
                    break
                objects, counts = content.objects_of(block)
                too_many = out and out + count / 2 > wanted
                if not (held[block] or too_many or (left[objects] - counts < least[objects]).any()):
                    held[block] = True
                    left[objects] -= counts
    return held


def _turns(scene_of_block: Int[np.ndarray, " blocks"]) -> Float[np.ndarray, " blocks"]:
    """When each block's turn comes to be held out, 0-1: a part of all turns is that part of every scene.

    A scene's last block comes first, for it has one neighbour where others have two; then those far from it. Scenes of
    few blocks come at different times.
    """
    _, first, count = np.unique(scene_of_block, return_index=True, return_counts=True)
    from_end = (first + count - 1)[scene_of_block] - np.arange(len(scene_of_block))
    order = np.lexsort((from_end * _GOLDEN % 1, scene_of_block))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order)) - first[scene_of_block[order]]
    return (rank + scene_of_block * _GOLDEN % 1) / count[scene_of_block]


@dataclass(frozen=True)
class _Content:
    """How many instances of which object are in which block: pairs sorted by block, and by object and turn."""

    pairs: Int[np.ndarray, "pairs 3"]
    """Block, object, number of instances."""
    first_of_block: Int[np.ndarray, " block_ends"]
    by_turn: Int[np.ndarray, "pairs 3"]
    first_of_object: Int[np.ndarray, " object_ends"]

    @classmethod
    def of(cls, table: _Table, turn: Float[np.ndarray, " blocks"]) -> "_Content":
        both = np.stack([table.block_of_instance, table.object_of_instance], 1)
        unique, count = np.unique(both, axis=0, return_counts=True)
        pairs = np.concatenate([unique, count[:, None]], 1)
        by_turn = pairs[np.lexsort((turn[pairs[:, 0]], pairs[:, 1]))]
        blocks, objects = np.arange(len(turn) + 1), np.arange(len(table.obj_ids) + 1)
        firsts = np.searchsorted(pairs[:, 0], blocks), np.searchsorted(by_turn[:, 1], objects)
        return cls(pairs, firsts[0], by_turn, firsts[1])

    def objects_of(self, block: int) -> tuple[Int[np.ndarray, " its"], Int[np.ndarray, " its"]]:
        """The objects of a block, and how many instances of each."""
        part = self.pairs[self.first_of_block[block] : self.first_of_block[block + 1]]
        return part[:, 1], part[:, 2]

    def blocks_of(self, obj: int) -> Iterator[tuple[int, int]]:
        """The blocks of an object with its instances there, in their turn."""
        part = self.by_turn[self.first_of_object[obj] : self.first_of_object[obj + 1]]
        return ((int(block), int(count)) for block, _, count in part)


def _thin(object_of_sample: Int[np.ndarray, " samples"], most: int) -> Int[np.ndarray, " kept"]:
    """Indices of at most `most` samples, alike many of each object where there are enough, evenly spaced."""
    objects, counts = np.unique(object_of_sample, return_counts=True)
    left, kept = most, []
    for place, index in enumerate(np.argsort(counts, kind="stable")):
        quota = min(int(counts[index]), left // (len(objects) - place))
        left -= quota
        its = np.flatnonzero(object_of_sample == objects[index])
        kept.append(its[((np.arange(quota) + 0.5) * len(its) / max(quota, 1)).astype(int)])
    return np.sort(np.concatenate(kept)) if kept else np.empty(0, int)


def _list(obj_ids: Sequence[int]) -> str:
    return " ".join(map(str, obj_ids))
