"""A predictor takes the same arrays as `Frame`, and says of others what was expected.

In a process of its own, where no test hook checks the types before the package does.
"""

import json
import subprocess
import sys
from pathlib import Path

CALLS = """
import json, sys
sys.path[:0] = sys.argv[1:]
import numpy as np, torch
from networks import build_both
from small_roots import CAM_K, cube, depth_image_mm, masks
from selfpose6d.errors import SelfPose6DError
from selfpose6d.inference.predictor import Predictor
from selfpose6d.objects.table import object_table

predictor = Predictor(build_both(objects=object_table((1, 2), [cube(), cube()]), seed=3))
rgb = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
depth_m, both = depth_image_mm().astype(np.float32) / 1e3, [mask > 0 for mask in masks()]
K = np.array(CAM_K).reshape(3, 3)
plain = dict(rgb=rgb, depth_m=depth_m, K=K, masks=both, obj_ids=[2, 1])
same = {
    "tensors": dict(rgb=torch.from_numpy(rgb).permute(2, 0, 1) / 255, depth_m=torch.from_numpy(depth_m)[None],
                    K=torch.from_numpy(K), masks=torch.from_numpy(np.stack(both)), obj_ids=torch.tensor([2, 1])),
    "lists": dict(rgb=rgb.tolist(), depth_m=depth_m.tolist(), K=K.ravel().tolist(),
                  masks=[mask.tolist() for mask in both], obj_ids=(2, 1)),
    "arrays": dict(rgb=rgb / 255, depth_m=depth_m[..., None].astype(float), K=np.c_[K, np.zeros(3)],
                   masks=np.stack(both).astype(np.uint8) * 255, obj_ids=np.array([2, 1])),
}
refused = {
    "one mask": dict(masks=both[0]), "too few ids": dict(obj_ids=[2]), "one id": dict(obj_ids=2),
    "names": dict(obj_ids=["mug", "box"]), "mm": dict(depth_m=depth_m * 1000), "K": dict(K=K.T),
    "size": dict(rgb=rgb[::2, ::2]), "mask size": dict(masks=[mask[::2, ::2] for mask in both]),
    "no image": dict(rgb=None),
}
want = predictor(**plain)
found = {}
for name, given in same.items():
    pairs = list(zip(predictor(**given), want))
    found[name] = [p.key == q.key and bool(np.allclose(p.T_cam_obj, q.T_cam_obj, atol=1e-5)) for p, q in pairs]
for name, given in refused.items():
    try:
        found[name] = repr(predictor(**(plain | given)))
    except SelfPose6DError as error:
        found[name] = str(error)
found["unknown"] = predictor(**(plain | {"obj_ids": [2, 9]}))[1].reason
print(json.dumps(found))
"""


def test_a_predictor_takes_what_can_mean_one_thing_only():
    folders = [str(Path(__file__).parents[1] / folder) for folder in ("datasets", "network")]
    done = subprocess.run([sys.executable, "-c", CALLS, *folders], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    for name in ("tensors", "lists", "arrays"):
        assert found.pop(name) == [True, True], name
    expected = {
        "one mask": "masks must be a list of masks, one for each object id, got an array of bool, 48 x 64",
        "too few ids": "masks and obj_ids must have the same length, got 2 and 1",
        "one id": "obj_ids must be a list with one whole number for each mask, got 2",
        "names": "obj_ids must be a list with one whole number for each mask, got ['mug', 'box']",
        "mm": "depth_m must be in metres: median",
        "K": "K must have rows (fx 0 cx), (0 fy cy), (0 0 1)",
        "size": "depth_m must have the 32x24 pixels of rgb, got 64x48 pixels",
        "mask size": "mask of object 2 must have the 64x48 pixels of the image, got 32x24 pixels",
        "no image": "rgb must be an RGB image, height x width x 3, of 8 bits, got None",
        "unknown": "object 9 is unknown to the model (1 2)",
    }
    assert found.keys() == expected.keys()
    for name, start in expected.items():
        assert found[name].startswith(start), found[name]
        assert "\n" not in found[name]
