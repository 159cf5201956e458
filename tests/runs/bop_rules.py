"""What BOP's server checks of a results file before it scores it, written down again."""

import math
import re
from pathlib import Path

HEADER = "scene_id,im_id,obj_id,score,R,t,time"
SAME_TIME_S = 0.001
FILE_NAME = re.compile(r"[^_]+_[a-z]+-[a-z]+(-[a-z]+)?(_[^_]+)?\.csv")
"""METHOD_DATASET-SPLIT[-SPLITTYPE][_ID].csv"""


def complaints(path: Path) -> list[str]:
    """Why the server would refuse the file's content; nothing where it accepts it."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    found = [] if header == HEADER else [f"header {header}"]
    if not lines:
        found.append("empty")
    times_s: dict[tuple[int, int], float] = {}
    for number, line in enumerate(lines, start=2):
        fields = line.split(",")
        if len(fields) != 7:
            found.append(f"line {number}: {len(fields)} fields")
            continue
        scene_id, im_id, _ = map(int, fields[:3])
        score, time_s = float(fields[3]), float(fields[6])
        R, t_mm = ([float(number) for number in field.split()] for field in fields[4:6])
        if (len(R), len(t_mm)) != (9, 3):
            found.append(f"line {number}: R of {len(R)}, t of {len(t_mm)}")
        if not all(map(math.isfinite, [score, time_s, *R, *t_mm])):
            found.append(f"line {number}: not finite")
        if abs(times_s.setdefault((scene_id, im_id), time_s) - time_s) > SAME_TIME_S:
            found.append(f"line {number}: another time than its image's")
    return found
