"""A calibration from annotated scenes: half of them teach the score, the other half say what it is worth."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.calibration.learn import fit_probability, fit_score
from selfpose6d.calibration.scenes import SCENES_PER_SET, CalibrationObject, SceneResult, scene_annotator
from selfpose6d.calibration.thresholds import choose_thresholds, fewest_without_error
from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.errors import UsageError
from selfpose6d.files import whole_lines
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.calibration import Calibration
from selfpose6d.labeling.settings import calibrated_settings
from selfpose6d.labeling.terms import group_of
from selfpose6d.meshes.primitives.catalogue import ARTWORK_SEED, CATALOGUE
from selfpose6d.processes import default_workers, map_in_processes
from selfpose6d.runs.json_lines import read_lines, to_line
from selfpose6d.version import __version__

BUILTIN_ARTWORKS = 2
"""Versions of each built-in object, with other labels: the calibration must not rest on one print."""
BUILTIN_ID_STEP = 100
"""Ids of a built-in object's versions are this far apart."""
LEARN_EVERY = 2
"""One set of scenes in so many teaches the score; with a third, rare faults were learned too late (docs/results.md)."""
MIN_SCENES = 200
"""Fewer teach no score."""


@dataclass(frozen=True)
class CalibrateOptions:
    """What a calibration is made from; the same options give the same calibration."""

    models: ModelFiles | None = None
    """None: the built-in objects."""
    objects: tuple[int, ...] = ()
    """Ids of those to use; empty: all."""
    scenes: int = 2000
    """Rendered; one instance is annotated in each."""
    seed: int = 0
    """All scenes follow it."""
    annotate: AnnotateOptions = field(default_factory=AnnotateOptions)
    """How they are annotated: what the calibration will hold for."""

    def __post_init__(self) -> None:
        if self.scenes < MIN_SCENES:
            raise UsageError(
                f"--scenes must be at least {MIN_SCENES}, got {self.scenes}. A risk of 1 % takes about "
                f"{4 * fewest_without_error(0.01)} and more."
            )
        if self.seed < 0:
            raise UsageError(f"--seed must be 0 or more, got {self.seed}. Pass for example --seed 0.")

    def record(self) -> dict[str, Any]:
        """What the scenes follow, as JSON."""
        names = None
        if self.models is not None:
            names = {str(i): self.models.find(i).path.name for i in self.models.object_ids}
        return {
            "version": __version__,
            "models": names,
            "objects": list(self.objects),
            "seed": self.seed,
            "settings": calibrated_settings(self.annotate),
        }


def calibration_objects(options: CalibrateOptions) -> tuple[CalibrationObject, ...]:
    """The objects that the scenes show, with their declared symmetries.

    Raises:
        UsageError: an id of `--objects` is not among them.
        MeshError: a model is unreadable.
    """
    if options.models is None:
        unknown = set(options.objects) - set(CATALOGUE)
        if unknown:
            raise UsageError(
                f"--objects {' '.join(map(str, sorted(unknown)))}: no such built-in object, expected ids of "
                f"{', '.join(map(str, CATALOGUE))}. Correct them, or pass --models DIR."
            )
        return tuple(
            CalibrationObject(
                obj_id + BUILTIN_ID_STEP * k,
                CATALOGUE[obj_id].mesh(ARTWORK_SEED + k),
                CATALOGUE[obj_id].symmetry,
            )
            for obj_id in options.objects or tuple(CATALOGUE)
            for k in range(BUILTIN_ARTWORKS)
        )
    declared = read_symmetries(options.models.folder)
    return tuple(
        CalibrationObject(obj_id, options.models.load(obj_id), declared.get(obj_id))
        for obj_id in options.objects or options.models.object_ids
    )


def annotate_scenes(
    options: CalibrateOptions, journal: Path, workers: int = 0, advance: Callable[[], None] = lambda: None
) -> list[SceneResult]:
    """Every scene's result; those that `journal` holds are not made again, the others are written to it as they come.

    Raises:
        UsageError: the journal is of other options, or an id of `--objects` is not among the objects.
        MeshError: a model is unreadable.
    """
    header = options.record()
    there = _read_journal(journal, header)
    left = [index for index in range(options.scenes) if index not in there]
    for _ in range(options.scenes - len(left)):
        advance()
    workers = workers or default_workers()
    objects = calibration_objects(options) if left else ()  # here: an error in a process is no line
    make = partial(scene_annotator, objects, options.annotate, options.seed)
    results = map(make(), left) if workers == 1 else map_in_processes(make, left, workers)
    with journal.open("a", encoding="utf-8") as file:
        if not journal.stat().st_size:
            file.write(to_line(header))
        for index, result in zip(left, results, strict=True):
            row = {"scene": index} if result is None else result.to_json()
            file.write(to_line(row))
            file.flush()
            there[index] = result
            advance()
    return [result for index in range(options.scenes) if (result := there.get(index)) is not None]


def make_calibration(options: CalibrateOptions, results: Sequence[SceneResult]) -> Calibration:
    """Fit the score to half of the scenes, and measure it on the others.

    Scenes that share their meshes' imperfections stay together.
    """
    posed = [one for one in results if one.quality is not None]
    teaches = [one.scene // SCENES_PER_SET % LEARN_EVERY == 0 for one in posed]
    learn = [one for one, is_chosen in zip(posed, teaches, strict=True) if is_chosen]
    test = [one for one, is_chosen in zip(posed, teaches, strict=True) if not is_chosen]
    fitted = [one for one in learn if one.may_certify]
    if min(len(learn), len(test)) < MIN_SCENES // 4 or not fitted:
        raise UsageError(
            f"only {len(posed)} of {options.scenes} scenes gave a pose to calibrate with, {len(fitted)} of them one to "
            "fit the score to. Render more: --scenes."
        )
    made_from = options.record() | {
        "scenes": options.scenes,
        "learned_from": len(learn),
        "tested_on": len(test),
        "right": int(_right(posed).sum()),
    }
    settings = made_from.pop("settings")
    return replace(calibrate_on(learn, test), settings=settings, made_from=made_from)


def calibrate_on(learn: Sequence[SceneResult], test: Sequence[SceneResult]) -> Calibration:
    """Score from the first scenes, probability and thresholds from the others; says nothing of what it is made from.

    All have a pose; of the first at least one may be certified.
    """
    fitted = [one for one in learn if one.may_certify]
    score = fit_score(_terms(fitted), [_group(one) for one in fitted], _right(fitted))
    unrated = Calibration({}, score.knots, score.rises, score.offsets, (0.0, 1.0), (0.0, 1.0), (), {})
    rated, right = rate(unrated, test), _right(test)
    scores, probabilities = fit_probability(rated, right)
    may = np.array([one.may_certify for one in test], bool)
    thresholds = choose_thresholds(rated[may], right[may], rate(unrated, fitted))
    return replace(unrated, scores=scores, probabilities=probabilities, thresholds=thresholds)


def rate(calibration: Calibration, results: Sequence[SceneResult]) -> Float[np.ndarray, " results"]:
    """The scores of scenes that gave a pose."""
    return calibration.rate_all(_terms(results), [_group(one) for one in results])


def _read_journal(journal: Path, header: dict[str, Any]) -> dict[int, SceneResult | None]:
    if not journal.is_file() or not whole_lines(journal):
        return {}
    rows: Iterator[tuple[str, dict[str, Any]]] = read_lines(journal)
    _, first = next(rows)
    if first != json.loads(to_line(header)):
        raise UsageError(f"{journal} holds scenes of other options. Remove it, or choose another --out.")
    return {row["scene"]: SceneResult.from_json(row) if "terms" in row else None for _, row in rows}


def _terms(results: Sequence[SceneResult]) -> np.ndarray:
    return np.array([one.vector() for one in results])


def _right(results: Sequence[SceneResult]) -> Bool[np.ndarray, " results"]:
    return np.array([one.right for one in results], bool)


def _group(result: SceneResult) -> str:
    assert result.quality is not None
    return group_of(result.quality, result.coloured)
