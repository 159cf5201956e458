"""Time and memory of `import`: bags with the frames of a BOP scene, repeated, each import in a process of its own.

    python benchmarks/import_recordings.py ../shared/data/ycbv-sample [--frames 100] [--json]

Three recordings: depth registered to colour, the same with JPEG colour, and two cameras 15 mm apart whose colour has
lens distortion. CPU seconds (user and system) do not depend on how busy the machine is; memory is the largest resident
set.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from provenance import print_provenance, provenance
from selfpose6d.datasets.images import read_depth, read_rgb
from selfpose6d.meshes.units import METRES_PER_MM

CASES = ("registered", "jpeg", "aligned")
PERIOD_NS = 10**9 // 30
BASELINE_M = 0.015
DISTORTION = (0.1, -0.2, 0.001, -0.001, 0.0)
MB = 1e6
# the kernel's own count of the process: what a parent is told includes the parent's memory at the fork
IMPORT = """
import re, sys, time
from selfpose6d.cli.main import main
assert main(["import", *sys.argv[1:]]) == 0
print(time.process_time())
print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
"""


def main() -> None:
    """Write the bags, import them, print a table or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    rows = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            bag = write_bag(
                Path(folder) / "bag", arguments.dataset / "test" / "000000", case, arguments.frames
            )
            measure(bag, Path(folder) / "warm-up")  # compiles the kernels where they are not cached
            rows[case] = measure(bag, Path(folder) / "out")
    if arguments.json:
        print(json.dumps({**provenance(), "frames": arguments.frames, **rows}))
        return
    print_provenance()
    print(
        f"{arguments.frames} frames of 640x480\n\n| recording | CPU s | wall s | resident MB |\n|---|---|---|---|"
    )
    for case, row in rows.items():
        print(f"| {case} | {row['cpu_s']:.1f} | {row['wall_s']:.1f} | {row['resident_mb']:.0f} |")


def measure(bag: Path, out: Path) -> dict[str, float]:
    """CPU and wall time and the largest resident set of one import."""
    command = [sys.executable, "-c", IMPORT, str(bag), str(out)]
    start_s = time.perf_counter()
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    wall_s = time.perf_counter() - start_s
    return {"cpu_s": float(printed[-2]), "wall_s": wall_s, "resident_mb": float(printed[-1]) * 1024 / MB}


def write_bag(path: Path, scene: Path, case: str, frames: int) -> Path:
    """An MCAP file of the scene's frames in turn."""
    cameras = json.loads((scene / "scene_camera.json").read_text())
    images = sorted(map(int, cameras))
    K = np.reshape(cameras[str(images[0])]["cam_K"], 9).astype(np.float64)
    metres_per_unit = cameras[str(images[0])]["depth_scale"] * METRES_PER_MM
    depth_frame = "depth" if case == "aligned" else "colour"
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        send = Sender(writer)
        if case == "aligned":
            send.transform("colour", "depth")
        for index in range(frames):
            im_id = images[index % len(images)]
            rgb = read_rgb(next((scene / "rgb").glob(f"{im_id:06d}.*")))
            depth_m = read_depth(scene / "depth" / f"{im_id:06d}.png", metres_per_unit)
            depth_mm = np.rint(depth_m / METRES_PER_MM).astype(np.uint16)
            send.stamp_ns = 10**18 + index * PERIOD_NS
            send.camera("/camera/color/camera_info", "colour", K, DISTORTION if case == "aligned" else ())
            send.camera("/camera/depth/camera_info", depth_frame, K, ())
            if case == "jpeg":
                send.jpeg("/camera/color/image_raw/compressed", "colour", rgb)
            else:
                send.image("/camera/color/image_raw", "colour", rgb, "rgb8")
            send.image("/camera/depth/image_raw", depth_frame, depth_mm, "16UC1")
    return next(path.glob("*.mcap"))


class Sender:
    """Writes messages of one time."""

    def __init__(self, writer: Writer) -> None:
        self.stamp_ns = 10**18
        self._writer, self._store, self._connections = writer, get_typestore(Stores.ROS2_HUMBLE), {}

    def image(self, topic: str, frame_id: str, pixels: np.ndarray, encoding: str) -> None:
        """Uncompressed."""
        height, width = pixels.shape[:2]
        data, step = np.frombuffer(pixels.tobytes(), np.uint8), pixels[0].nbytes
        self._send(
            topic, "sensor_msgs/msg/Image", self._header(frame_id), height, width, encoding, 0, step, data
        )

    def jpeg(self, topic: str, frame_id: str, rgb: np.ndarray) -> None:
        """As image_transport compresses colour."""
        data = cv2.imencode(".jpg", rgb[..., ::-1])[1].ravel()
        kind, form = "sensor_msgs/msg/CompressedImage", "rgb8; jpeg compressed bgr8"
        self._send(topic, kind, self._header(frame_id), form, data)

    def camera(self, topic: str, frame_id: str, K: np.ndarray, distortion: tuple[float, ...]) -> None:
        """Of 640x480 pixels."""
        P = np.hstack([K.reshape(3, 3), np.zeros((3, 1))]).ravel()
        roi = self._type("sensor_msgs/msg/RegionOfInterest")(0, 0, 0, 0, False)
        fields = (480, 640, "plumb_bob", np.array(distortion), K, np.eye(3).ravel(), P, 0, 0, roi)
        self._send(topic, "sensor_msgs/msg/CameraInfo", self._header(frame_id), *fields)

    def transform(self, parent: str, child: str) -> None:
        """To the side, without rotation."""
        offset = self._type("geometry_msgs/msg/Vector3")(BASELINE_M, 0.0, 0.0)
        rotation = self._type("geometry_msgs/msg/Quaternion")(0.0, 0.0, 0.0, 1.0)
        transform = self._type("geometry_msgs/msg/Transform")(offset, rotation)
        stamped = self._type("geometry_msgs/msg/TransformStamped")(self._header(parent), child, transform)
        self._send("/tf_static", "tf2_msgs/msg/TFMessage", [stamped])

    def _header(self, frame_id: str) -> Any:
        time_type = self._type("builtin_interfaces/msg/Time")
        return self._type("std_msgs/msg/Header")(time_type(*divmod(self.stamp_ns, 10**9)), frame_id)

    def _type(self, kind: str) -> Any:
        return self._store.types[kind]

    def _send(self, topic: str, kind: str, *fields: Any) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, kind, typestore=self._store)
        raw = self._store.serialize_cdr(self._type(kind)(*fields), kind)
        self._writer.write(self._connections[topic], self.stamp_ns, raw)


if __name__ == "__main__":
    main()
