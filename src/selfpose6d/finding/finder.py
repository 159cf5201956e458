"""Objects of a frame without masks: `Finder(models)(frame, counts)`.

frame -> scene (surface, planes, colours) -> pieces -> sorted by size and colour -> glances -> search and certify
-> what is explained is taken away -> again, until nothing new is certified.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from selfpose6d.errors import UsageError
from selfpose6d.finding.attempts import LEAST_LIKENESS, certify_piece
from selfpose6d.finding.consistency import MAX_INSIDE, MAX_THROUGH_PLANE, inside_of, through_support
from selfpose6d.finding.found import Attempt, Finding, shared
from selfpose6d.finding.glance import Glance, glance
from selfpose6d.finding.identity import colour_likeness, doubt
from selfpose6d.finding.looks import Looks
from selfpose6d.finding.outline import continues_beyond
from selfpose6d.finding.prompts import Prompt, prompted_pieces
from selfpose6d.finding.proposals import Proposal, cut_surface, unite
from selfpose6d.finding.scene import Scene
from selfpose6d.finding.sorting import Pair, sort_pairs
from selfpose6d.geometry.camera import projected_box
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.types import Frame, Instance, InstanceKey, LabeledPose

MAX_ROUNDS = 4
"""Of explaining and taking away; most frames take two."""
GLANCES = 6
"""Pieces that are glanced at for each object and round, and objects for each piece."""
FIRST_GLANCES, CLEAR_RANK = 3, 1.5
"""Of them, those that come before the rest, and from which rank on they are searched at once: of certified poses nine
in ten came of an object's three likeliest pieces, and then the object, or the piece, need not be glanced at again."""
OBJECT_FAILS, PIECE_FAILS = 3, 2
"""Searches in a round that lead to nothing certified, for each object and at each place: each costs half a second, and
pairs come by falling rank. In later rounds an object that has failed as often gets one more: of 35 such searches one
led to a certified pose."""
FRAME_FAILS = {False: 4, True: 10}
"""The same in all, of objects of which nobody says that they are there, and of those of which somebody does."""
OBJECT_GAP, PIECE_GAP = 0.5, 0.4
"""Behind the object's best glance, and the piece's, within which a piece is searched for an object."""
LEAST_RANK = {False: 0.9, True: 0.2}
"""Of a glance that is worth a search, where nobody says that the object is there, and where somebody does: of those
that are right, 5 % have less than 1.0 and 1 % less than 0.3 (docs/results.md)."""
NAMED = 0.3
"""What it is worth, in rank, that the piece's source says that it is this object."""
MAX_GLANCE_BEYOND = 0.55
"""Of a glance's outline, beyond which the surface may go on, where nobody says that the object is there: of right
glances 1 % have more, of wrong ones that were searched for 60 % (docs/results.md)."""
SHARED = 0.3
"""Of a piece, or of an object's visible pixels, that another object may have taken already."""
OWNED = 0.1
"""Of a piece, that an object explains: less is an outline that is a little off."""
CONTESTED = 0.1
"""Of rank, behind the object that a piece was given to, within which another one is tried there too."""
SAME_PLACE = 0.7
"""Of a piece that an earlier attempt explains."""
WORTH_LISTING = 0.1
"""Least confidence of an uncertified pose that is reported where nobody says that the object is there."""

Counts = Mapping[int, int | None]
"""Of each object that may be there how many there are; None where that is unknown."""


class Finder:
    """Finds objects in one frame after the other; what is constant about the objects is made once."""

    def __init__(self, models: Mapping[int, ObjectModel], options: AnnotateOptions | None = None) -> None:
        """`options`: how pieces are searched and certified. Its `attempts` do not count: what one search misses is
        tried on another piece.
        """
        self.models = models
        self.options = options or AnnotateOptions()
        self._looks: dict[int, Looks] = {}

    def looks(self, obj_id: int) -> Looks:
        """What the object looks like from anywhere."""
        if obj_id not in self._looks:
            self._looks[obj_id] = Looks.of(self.models[obj_id])
        return self._looks[obj_id]

    def box_of(self, pose: LabeledPose, scene: Scene) -> tuple[int, int, int, int]:
        """The whole object's box in the image (x, y, width, height in pixels), hidden parts too, as BOP has it."""
        vertices_m = self.models[pose.key.obj_id].mesh.vertices_m
        return projected_box(vertices_m, pose.T_cam_obj, scene.seen.frame.K)

    def __call__(self, frame: Frame, counts: Counts, prompts: Sequence[Prompt] = ()) -> Finding:
        """Find objects; instances of the frame are not looked at. `prompts`: where a user says that there are some.

        Raises:
            UsageError: no object may be there, or one has no model.
        """
        missing = [obj_id for obj_id in counts if obj_id not in self.models]
        if missing or not counts:
            names = " ".join(map(str, missing)) or "none is named"
            raise UsageError(f"no model of the objects to find: {names}. Choose among the models.")
        return _FrameSearch(self, frame, counts, prompts).run()


class _FrameSearch:
    """One frame's state: what is explained, and what was looked at."""

    def __init__(self, finder: Finder, frame: Frame, counts: Counts, prompts: Sequence[Prompt]) -> None:
        self.prompts = prompts
        self.models, self.options = finder.models, replace(finder.options, attempts=1)
        self.counts, self.frame = counts, replace(frame, instances=(), skipped=())
        self.looks = {obj_id: finder.looks(obj_id) for obj_id in counts}
        self.largest_m = max(look.diameter_m for look in self.looks.values())
        self.scene = Scene.of(self.frame, self.largest_m, self.options.depth_noise_m)
        self.taken = np.zeros(self.scene.surface.known.shape, bool)
        self.accepted: list[Attempt] = []
        self.cut_off: list[Attempt] = []
        self.attempts: dict[tuple[int, bytes], Attempt] = {}
        self.glances: dict[tuple[int, bytes], Glance | None] = {}
        self.proposals: list[Proposal] = []
        self.failed = Counter[int]()

    def run(self) -> Finding:
        """Rounds until nothing new is certified, then the best of the rest."""
        for _ in range(MAX_ROUNDS):
            if not self._round():
                break
        found = [*self.accepted, *self._uncertified()]
        chosen = {id(one) for one in found}
        rest = [
            one.without(one.turned_away or one.pose.reason or one.pose.certificate.reason)
            for one in self.attempts.values()
            if id(one) not in chosen
        ]
        return Finding(found, rest, self.proposals, self.scene)

    def _round(self) -> bool:
        """Look at every piece of what is not explained yet; whether anything new was certified."""
        looks = {obj_id: look for obj_id, look in self.looks.items() if self._may_be_more(obj_id)}
        scene = self.scene
        pieces = cut_surface(scene.surface, scene.on_plane, self.taken, scene.lab, self.largest_m)
        pieces = unite(prompted_pieces(self.prompts, scene, self.taken) + pieces)
        self.proposals = unite(self.proposals + pieces)
        any_new, failed, failed_at = False, Counter[int](), np.zeros(self.taken.shape, int)
        most_fails = FRAME_FAILS[all(count is not None for count in self.counts.values())]
        most_of = {obj_id: max(1, OBJECT_FAILS - self.failed[obj_id]) for obj_id in looks}
        for pair, look in self._in_turn(sort_pairs(pieces, looks, scene)):
            obj_id, piece = pair.obj_id, pair.proposal.mask
            if pair.key in self.attempts:
                continue  # what failed in an earlier round fails again
            tried_enough = failed[obj_id] >= most_of[obj_id] or np.median(failed_at[piece]) >= PIECE_FAILS
            # of pieces that are hardly like the object one is tried
            unlikely = pair.alike < LEAST_LIKENESS and failed[obj_id] + self.failed[obj_id] > 0
            if tried_enough or unlikely or not self._may_be_more(obj_id):
                continue
            if not self._is_free(pair, look.rank) or self._is_open_there(pair):
                continue
            attempt = self._search(pair, look)
            if attempt.certified and not attempt.turned_away:
                attempt = self._settled(attempt)
            self.attempts[pair.key] = attempt
            if attempt.certified and not attempt.turned_away:
                any_new = True
                self.accepted.append(attempt)
                visible = [self.scene.surface.from_image(one.visible) for one in self.accepted]
                self.taken = np.logical_or.reduce(visible)
                continue
            if attempt.cut_off and not any(shared(attempt, one) > SHARED for one in self.cut_off):
                self.cut_off.append(attempt)
            failed[obj_id] += 1
            failed_at[piece] += 1
            if failed.total() >= most_fails:
                break
        self.failed += failed
        return any_new

    def _in_turn(self, pairs: list[Pair]) -> Iterator[tuple[Pair, Glance]]:
        """Pairs to search: those that look clear among each object's likeliest, then all of what is left."""
        for pair, look in self._worth_searching(pairs, FIRST_GLANCES):
            if look.rank > CLEAR_RANK:
                yield pair, look
        left = [pair for pair in pairs if self._may_be_more(pair.obj_id) and not self._is_owned(pair)]
        yield from self._worth_searching(left, GLANCES)

    def _is_owned(self, pair: Pair) -> bool:
        """Whether an accepted object explains the piece, and it was not looked at for this one."""
        return pair.key not in self.glances and self._is_taken(pair)

    def _is_taken(self, pair: Pair) -> bool:
        """Whether what is explained has more than a share of the piece."""
        piece = pair.proposal.mask
        return bool((piece & self.taken).sum() > SHARED * piece.sum())

    def _is_free(self, pair: Pair, rank: float) -> bool:
        """Whether the piece is not explained yet, or by other objects that looked hardly better than this one."""
        piece = pair.proposal.mask
        if not self._is_taken(pair):
            return True
        owners = [one for one in self.accepted if (one.on_grid & piece).sum() > OWNED * piece.sum()]
        return all(one.obj_id != pair.obj_id and one.rank < rank + CONTESTED for one in owners)

    def _is_open_there(self, pair: Pair) -> bool:
        """Whether the object was found to fit in several ways where this piece is: another piece would not decide."""
        piece = pair.proposal.mask
        return any(
            one.obj_id == pair.obj_id
            and one.pose.certificate.status == "ambiguous"
            and (one.on_grid & piece).sum() > SAME_PLACE * piece.sum()
            for one in self.attempts.values()
        )

    def _may_be_more(self, obj_id: int) -> bool:
        count = self.counts[obj_id]
        if count is None:
            return True
        return sum(one.obj_id == obj_id for one in self.accepted + self.cut_off) < count

    def _worth_searching(self, pairs: list[Pair], glances: int) -> Iterator[tuple[Pair, Glance]]:
        """Pairs whose glance is about as good as the best of the object and the best of the piece, by falling rank."""
        of_object, of_piece, looked = Counter[int](), Counter[int](), []
        for pair in pairs:
            piece = id(pair.proposal)
            if of_object[pair.obj_id] < glances and of_piece[piece] < GLANCES:
                of_object[pair.obj_id] += 1
                of_piece[piece] += 1
                if (look := self._glance(pair)) is not None:
                    looked.append((pair, look))
        ranked = [
            (look.rank + NAMED * (pair.proposal.says == pair.obj_id), pair, look) for pair, look in looked
        ]
        best: dict[int, float] = defaultdict(lambda: -np.inf)
        for rank, pair, _ in ranked:
            for group in (-pair.obj_id, id(pair.proposal)):
                best[group] = max(best[group], rank)
        for rank, pair, look in sorted(ranked, key=lambda one: -one[0]):
            is_there = self.counts[pair.obj_id] is not None
            # what is there is searched for, however little the quick look saw of it
            floor = min(LEAST_RANK[True], best[-pair.obj_id] - 1e-6) if is_there else LEAST_RANK[False]
            enough = max(best[-pair.obj_id] - OBJECT_GAP, best[id(pair.proposal)] - PIECE_GAP, floor)
            if rank > enough and (is_there or self._ends(look)):
                yield pair, look

    def _ends(self, look: Glance) -> bool:
        """Whether the surface may end where the object does, as far as a glance can tell."""
        visible = look.shown_at(look.T_cam_obj[0])
        return (
            continues_beyond(self.scene.surface, self.scene.surface.from_image(visible)) < MAX_GLANCE_BEYOND
        )

    def _glance(self, pair: Pair) -> Glance | None:
        key = pair.key
        if key not in self.glances:
            generator = np.random.default_rng([self.options.seed, pair.obj_id])
            mask, model = self.scene.mask_of(pair.proposal.mask), self.models[pair.obj_id]
            self.glances[key] = glance(self.scene.seen, mask, model, generator)
        return self.glances[key]

    def _search(self, pair: Pair, look: Glance) -> Attempt:
        """Search and certify as the annotator does, the piece as mask; turned away where it cannot be."""
        frame = self.frame
        key = InstanceKey(frame.split, frame.scene_id, frame.im_id, pair.obj_id, len(self.attempts))
        instance = Instance(key, self.scene.mask_of(pair.proposal.mask))
        start_s = time.perf_counter()
        is_there = self.counts[pair.obj_id] is not None
        model, seen = self.models[pair.obj_id], self.scene.seen
        pose = certify_piece(seen, instance, model, look.T_cam_obj, self.options, is_there, pair.alike)
        pose = replace(pose, time_s=time.perf_counter() - start_s)
        visible = np.zeros(instance.mask.shape, bool)
        if pose.valid:
            visible = look.shown_at(self._T(pose))
        surface = self.scene.surface
        on_grid = surface.from_image(visible) & surface.known
        attempt = Attempt(pose, pair.proposal, visible, on_grid, look.rank)
        strong = pose.valid and pose.certificate.score >= self.options.certificate.threshold.score
        if attempt.certified or (strong and pose.certificate.status == "rejected"):
            attempt = self._doubted(attempt)
        if attempt.certified:
            through = through_support(self.scene, on_grid, model, self._T(pose), look.observation.lengths)
            if through > MAX_THROUGH_PLANE:
                attempt = attempt.without(f"{through:.0%} of its surface lies behind what supports it")
        return attempt

    def _T(self, pose: LabeledPose) -> Float[torch.Tensor, "4 4"]:
        return torch.from_numpy(pose.T_cam_obj).to(self.models[pose.key.obj_id].device, torch.float32)

    def _doubted(self, attempt: Attempt) -> Attempt:
        """The attempt, its evidence strong enough; not certified any more, where it may be another object."""
        pose, model = attempt.pose, self.models[attempt.obj_id]
        likeness = colour_likeness(self.scene, attempt.on_grid, model, self._T(pose))
        beyond = continues_beyond(self.scene.surface, attempt.on_grid)
        reason = doubt(pose, likeness, beyond, self.counts[attempt.obj_id] is not None)
        if not reason:
            return replace(attempt, cut_off=not attempt.certified)
        if not attempt.certified:
            return attempt
        certificate = replace(pose.certificate, status="rejected", reason=reason)
        return replace(attempt, pose=replace(pose, certificate=certificate))

    def _settled(self, attempt: Attempt) -> Attempt:
        """The attempt, turned away if it cannot be beside what was accepted; where its certificate is the better one,
        that is turned away instead.
        """
        others = [
            (other, reason) for other in self.accepted if (reason := self._why_not_both(attempt, other))
        ]
        for other, reason in others:
            if not attempt.pose.certificate.score > other.pose.certificate.score:
                return attempt.without(f"{reason}, whose certificate is no worse")
        stay = [one for one in self.accepted if all(one is not other for other, _ in others)]
        explained = sum((attempt.on_grid & one.on_grid).sum() for one in stay) / max(attempt.on_grid.sum(), 1)
        if explained > SHARED:
            return attempt.without(f"{explained:.0%} of its pixels are explained by other objects")
        for other, _ in others:
            key = next(key for key, one in self.attempts.items() if one is other)
            self.attempts[key] = other.without(
                f"object {attempt.obj_id} explains its pixels or its place better"
            )
        self.accepted = stay
        return attempt

    def _why_not_both(self, one: Attempt, other: Attempt) -> str:
        """Why two poses cannot be together; nothing where they can."""
        common = shared(one, other)
        if common > SHARED:
            return f"shares {common:.0%} of its pixels with object {other.obj_id}"
        (model, T), (other_model, T_other) = ((self.models[a.obj_id], self._T(a.pose)) for a in (one, other))
        # the smaller object's tolerance, whichever comes first
        lengths = Lengths(
            min(model.diameter_m, other_model.diameter_m),
            min(one.pose.certificate.noise_m, other.pose.certificate.noise_m),
        )
        inside = max(
            inside_of(model, T, other_model, T_other, lengths),
            inside_of(other_model, T_other, model, T, lengths),
        )
        return (
            f"{inside:.0%} of it and of object {other.obj_id} pass through each other"
            if inside > MAX_INSIDE
            else ""
        )

    def _uncertified(self) -> Iterator[Attempt]:
        """What fits beside the certified ones, by falling confidence: as many as there are, or what may be right."""
        taken, count = self.taken.copy(), Counter(one.obj_id for one in self.accepted)
        left = [one for one in self.attempts.values() if one.pose.valid and not one.certified]
        for one in sorted(left, key=lambda one: -one.pose.confidence):
            most = self.counts[one.obj_id]
            enough = one.pose.confidence < WORTH_LISTING if most is None else count[one.obj_id] >= most
            if enough or (one.on_grid & taken).sum() > SHARED * max(one.on_grid.sum(), 1):
                continue
            taken |= one.on_grid
            count[one.obj_id] += 1
            yield one
