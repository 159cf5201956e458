"""What a synthetic data set is made from; the same options give the same bytes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from selfpose6d.errors import UsageError
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.meshes.units import Unit

Preset = Literal["tabletop", "single-upright"]
Split = Literal["train", "test"]
SensorOption = Literal["simple", "structured-light", "stereo", "time-of-flight", "mixed"]
MaskOption = Literal["exact", "eroded", "dilated", "shifted", "foreign", "box", "mixed"]
FRAMES_PER_SCENE = 8
FORMAT_VERSION = 1


@dataclass(frozen=True)
class SynthOptions:
    """Options of `synth`. `objects` empty means all; `models` None means the built-in objects.

    `sensor` and `masks`: "mixed" draws a sensor per scene, a mask kind per instance.
    """

    preset: Preset = "tabletop"
    train_frames: int = 200
    test_frames: int = 50
    models: Path | None = None
    model_unit: Unit | None = None
    objects: tuple[int, ...] = ()
    seed: int = 0
    sensor: SensorOption = "simple"
    masks: MaskOption = "exact"

    def __post_init__(self) -> None:
        if self.train_frames < 0 or self.test_frames < 0 or self.train_frames + self.test_frames == 0:
            raise UsageError(
                f"--frames and --test-frames must be 0 or more and not both 0, got {self.train_frames} and "
                f"{self.test_frames}. Pass for example --frames 200 --test-frames 50."
            )
        if self.seed < 0:
            raise UsageError(f"--seed must be 0 or more, got {self.seed}. Pass for example --seed 0.")
        if self.preset == "single-upright" and (self.models is not None or self.objects):
            raise UsageError(
                "--preset single-upright has its own box and takes neither --models nor --objects. "
                "Leave them out, or pass --preset tabletop."
            )
        unknown = [obj_id for obj_id in self.objects if obj_id not in CATALOGUE]
        if unknown and self.models is None:
            raise UsageError(
                f"--objects {' '.join(map(str, unknown))}: no such built-in object, expected ids of "
                f"{', '.join(f'{i} {builtin.name}' for i, builtin in CATALOGUE.items())}."
            )

    def scene_lengths(self, split: Split) -> list[int]:
        """Frames of each scene; all but the last have `FRAMES_PER_SCENE`."""
        frames = self.train_frames if split == "train" else self.test_frames
        whole, rest = divmod(frames, FRAMES_PER_SCENE)
        return [FRAMES_PER_SCENE] * whole + ([rest] if rest else [])

    def record(self) -> dict[str, Any]:
        """The options as JSON, to recognise the data set by; sensor and masks where they are not the usual ones."""
        varied = {"sensor": self.sensor} if self.sensor != "simple" else {}
        varied |= {"masks": self.masks} if self.masks != "exact" else {}
        return {
            "format_version": FORMAT_VERSION,
            "preset": self.preset,
            "frames": self.train_frames,
            "test_frames": self.test_frames,
            "models": None if self.models is None else str(self.models.resolve()),
            "model_unit": self.model_unit,
            "objects": list(self.objects),
            "seed": self.seed,
            **varied,
        }
