"""Options of `synth`: wrong ones are one line that says what to do."""

from pathlib import Path
from typing import Any

import pytest

from selfpose6d.errors import UsageError
from selfpose6d.synthetic.options import FRAMES_PER_SCENE, SynthOptions


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train_frames": -1}, "--frames and --test-frames must be 0 or more"),
        ({"train_frames": 0, "test_frames": 0}, "not both 0"),
        ({"seed": -3}, "--seed must be 0 or more, got -3"),
        ({"objects": (2, 77)}, "--objects 77: no such built-in object, expected ids of 1 label_box"),
        ({"preset": "single-upright", "objects": (2,)}, "takes neither --models nor --objects"),
        ({"preset": "single-upright", "models": Path("models")}, "takes neither --models nor --objects"),
    ],
)
def test_wrong_options(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        SynthOptions(**wrong)
    assert "\n" not in str(caught.value)


def test_scene_lengths_add_up() -> None:
    options = SynthOptions(train_frames=2 * FRAMES_PER_SCENE + 3, test_frames=0)
    assert options.scene_lengths("train") == [FRAMES_PER_SCENE, FRAMES_PER_SCENE, 3]
    assert options.scene_lengths("test") == []


def test_objects_of_a_folder_are_not_checked_against_the_built_in_ones() -> None:
    assert SynthOptions(models=Path("models"), objects=(77,)).objects == (77,)


def test_the_record_names_sensor_and_masks_where_they_are_not_the_usual_ones() -> None:
    assert not {"sensor", "masks"} & set(SynthOptions().record())
    varied = SynthOptions(sensor="mixed", masks="box").record()
    assert varied["sensor"] == "mixed"
    assert varied["masks"] == "box"
