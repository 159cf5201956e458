"""How large the page of `report` is with many instances, how long it takes to make, and how fast a browser opens it.

    python benchmarks/report_page.py RUN [--instances 1000] [--loads 5] [--page FILE] [--json]

RUN is an `annotate` run on a BOP root. Its scenes are repeated (as links) with their poses, certificates and true poses
until there are so many instances; every repetition has pictures of its own on the page. A headless Chromium
(playwright) opens the page; medians over the loads, each in a context of its own. Sorting and filtering are timed too.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from playwright.sync_api import sync_playwright

from provenance import print_provenance, provenance
from selfpose6d.datasets.options import DataOptions
from selfpose6d.reporting.contents import gather
from selfpose6d.reporting.page import write_report
from selfpose6d.reporting.run_sources import resolve_sources
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.config import new_config, read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.journal import finished_record
from selfpose6d.selection import FrameId
from selfpose6d.types import LabeledPose

NEXT_PAINT = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
TIMES_MS = """() => ({
  load_ms: performance.getEntriesByType("navigation")[0].loadEventEnd,
  first_paint_ms: performance.getEntriesByType("paint").find(one => one.name === "first-contentful-paint").startTime,
})"""
SORT_MS = f"""async () => {{ const start = performance.now();
  document.querySelector(".instances th:nth-child(4) button").click(); await {NEXT_PAINT};
  return performance.now() - start; }}"""
FILTER_MS = f"""async () => {{ const start = performance.now(), form = document.querySelector(".filters");
  form.text.value = "mug"; form.dispatchEvent(new Event("input")); await {NEXT_PAINT};
  return performance.now() - start; }}"""


def repeat_run(run: Path, folder: Path, instances: int) -> Path:
    """A run of so many instances (rounded up to whole repetitions) in `folder`, on links to its data set."""
    config = read_config(run)
    source, split = config.context.dataset, config.data.split
    labels, root = list(read_certificates(RunFiles(run).certificates)), folder / source.name
    scene_ids = sorted({label.key.scene_id for label in labels})
    (root / split).mkdir(parents=True)
    (root / "models").symlink_to(source / "models")
    frames: dict[FrameId, list[LabeledPose]] = {}
    for repetition in range(-(-instances // len(labels))):
        offset = repetition * (max(scene_ids) + 1)
        for scene_id in scene_ids:
            (root / split / f"{scene_id + offset:06d}").symlink_to(source / split / f"{scene_id:06d}")
        for label in labels:
            key = label.key._replace(scene_id=label.key.scene_id + offset)
            frames.setdefault(FrameId(*key[1:3]), []).append(replace(label, key=key))
    data = DataOptions(root, split)
    context = replace(config.context, dataset=root)
    dataset = data.open()
    made = RunFolder.open(
        folder / "run", new_config("annotate", data.config(dataset), config.options, context)
    )
    for frame_id, group in frames.items():
        made.journal.append(finished_record(frame_id, group, [], 0.0))
    made.finalise(names=dataset.object_names())
    return folder / "run"


def open_in_browser(page: Path, loads: int) -> dict[str, float]:
    """Median milliseconds from navigation to the first paint and to the load event, and of sorting and filtering."""
    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for _ in range(loads):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            tab = context.new_page()
            tab.goto(page.as_uri(), wait_until="load")
            tab.wait_for_timeout(200)
            times = tab.evaluate(TIMES_MS)
            rows.append(times | {"sort_ms": tab.evaluate(SORT_MS), "filter_ms": tab.evaluate(FILTER_MS)})
            context.close()
        browser.close()
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def main() -> None:
    """Make the page, open it; print lines or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--instances", type=int, default=1000)
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--page", type=Path, help="keep the page here")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run = repeat_run(arguments.run, Path(name).resolve(), arguments.instances)
        page = (arguments.page or run / "report.html").resolve()
        start_s = time.perf_counter()
        report = gather(resolve_sources(run), (), pictures=8)
        write_report(report, page)
        lines = report.instances.lines if report.instances else ()
        found = {
            "instances": len(lines),
            "with_thumbnail": sum(line.thumbnail is not None for line in lines),
            "size_mb": page.stat().st_size / 1e6,
            "made_in_s": time.perf_counter() - start_s,
            **open_in_browser(page, arguments.loads),
        }
    if arguments.json:
        print(json.dumps(provenance() | found))
        return
    print_provenance()
    print(*(f"{name:16} {value:.4g}" for name, value in found.items()), sep="\n")


if __name__ == "__main__":
    main()
