"""`selfpose6d synth`: render an unannotated RGB-D data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from selfpose6d.cli.output import add_result
from selfpose6d.meshes.units import Unit
from selfpose6d.options import Several, Unset


@dataclass(frozen=True)
class Command:
    """Render an unannotated RGB-D data set as a BOP root: train/, test/, models/ with models_info.json.

    640x480 with YCB-Video's intrinsics; camera distances, table and clutter follow the objects' size.
    True poses are written for `evaluate`; nothing else reads them.
    The same options give the same bytes; a run that was stopped continues with the same command.
    """

    out: Positional[Path]
    """Folder to write, new or made by the same options."""
    preset: Literal["tabletop", "single-upright"] = "tabletop"
    """tabletop: about five objects on a table among distractors. single-upright: one textured box standing,
    seen from all around, up to half occluded in every second frame; its label follows --seed."""
    frames: int = 200
    """Images of the train split, 8 a scene."""
    test_frames: int = 50
    """Images of the test split; its scenes are others than those of train."""
    models: Unset[Path] = None
    """Folder of meshes (default: the built-in objects): obj_NNNNNN.ply (BOP), or PLY, OBJ, GLB, STL, OFF, STEP."""
    model_unit: Unset[Unit] = None
    """Unit of the meshes in --models; obj_NNNNNN.ply is in mm unless said otherwise."""
    objects: Several[int] = ()
    """Ids of the objects to use (default: all)."""
    seed: int = 0
    """Arrangement, light, camera path and noise all follow it."""
    sensor: Literal["simple", "structured-light", "stereo", "time-of-flight", "mixed"] = "simple"
    """Depth noise: simple (grows with the square of the distance), structured-light (Kinect v1, Xtion), stereo
    (RealSense), time-of-flight (Azure Kinect); mixed draws one of the last three per scene."""
    masks: Literal["exact", "eroded", "dilated", "shifted", "foreign", "box", "mixed"] = "exact"
    """What mask_visib/ holds: the visible pixels, or what a detector makes of them; mixed draws a kind per
    instance and notes it as mask_kind in scene_gt_info.json."""
    workers: int = 0
    """Processes; 0: one a core, as memory allows. Does not change the result."""

    def run(self) -> int:
        """Render with a progress bar."""
        from selfpose6d.reporting.console import progress_bar
        from selfpose6d.runs.in_use import claimed, lock_beside
        from selfpose6d.synthetic.generate import check_folder, prepare, render_all
        from selfpose6d.synthetic.options import SynthOptions

        options = SynthOptions(
            self.preset,
            self.frames,
            self.test_frames,
            self.models,
            self.model_unit,
            self.objects,
            self.seed,
            self.sensor,
            self.masks,
        )
        check_folder(self.out, options)
        with claimed(lock_beside(self.out), f"data set {self.out}", "OUT"):
            tasks = prepare(self.out, options)
            with progress_bar() as progress:
                bar = progress.add_task("rendering", total=self.frames + self.test_frames)
                for scene in render_all(tasks, self.workers):
                    progress.advance(bar, scene.frames)
        split = "test" if self.test_frames else "train"
        add_result(out=self.out, train_frames=self.frames, test_frames=self.test_frames)
        print(f"{self.out}: {self.frames} train and {self.test_frames} test images")
        print(f"next: selfpose6d annotate {self.out} --split {split} --out RUN")
        return 0
