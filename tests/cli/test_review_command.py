"""`selfpose6d review`: in a headless browser with single keys; what is written, and that a second start goes on."""

import json
import time
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import pytest
from browser import open_page, served
from scored_run import make_run

from selfpose6d.cli.main import main
from selfpose6d.errors import DataError
from selfpose6d.reporting.review_queue import ReviewFilter
from selfpose6d.reporting.review_session import CORRECTED, ReviewSession, filter_of
from selfpose6d.reporting.run_sources import resolve_sources
from selfpose6d.runs.certificates import read_certificates, reviewed_labels
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.review import read_review
from selfpose6d.viz.viewer import Viewer

EVIL = "<img src=x onerror=\"document.title='owned'\">"
WAIT_MS = 120_000
READY = "!document.body.classList.contains('busy')"
VIEW_READY = "document.getElementById('view').contentDocument?.readyState === 'complete'"


@pytest.fixture
def run(ycbv_sample: Path, tmp_path: Path) -> RunFiles:
    """Two frames: an ambiguous mug of two poses, a rejected mug and two certified boxes."""
    files = RunFiles(make_run(ycbv_sample, tmp_path / "run"))
    rows = [json.loads(line) for line in files.certificates.read_text().splitlines()]
    mug = next(row for row in rows if row["obj_id"] == 14)
    other = {"R": np.diag([-1.0, -1.0, 1.0]).reshape(-1).tolist(), "t_mm": mug["t_mm"], "confidence": 0.4}
    winner = {"R": mug["R"], "t_mm": mug["t_mm"], "confidence": 0.6}
    mug |= {"status": "ambiguous", "alternatives": [winner, other]}
    files.certificates.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return files


@pytest.fixture
def models(ycbv_sample: Path, tmp_path: Path) -> Path:
    """The sample's models, one of them with a name that is HTML."""
    folder = tmp_path / "models"
    folder.mkdir()
    for path in (ycbv_sample / "models").iterdir():
        if path.name != "models_info.json":
            (folder / path.name).symlink_to(path)
    info = json.loads((ycbv_sample / "models" / "models_info.json").read_text())
    info["8"]["name"] = EVIL
    (folder / "models_info.json").write_text(json.dumps(info))
    return folder


def lines(run: RunFiles) -> list[dict]:
    if not run.review.is_file():
        return []
    return [json.loads(line) for line in run.review.read_text().splitlines()]


def press(page, key: str, shown: str) -> None:
    """Press a key when the page takes one, and wait until it says what came of it."""
    page.wait_for_function(READY, timeout=WAIT_MS)
    page.keyboard.press(key)
    page.wait_for_function("text => document.body.innerText.includes(text)", arg=shown, timeout=WAIT_MS)


def test_single_keys_decide_and_a_second_start_goes_on(run, models, tmp_path):
    command = ("review", str(run.folder), "--models", str(models), "--port", "18200")
    with served(tmp_path / "log", *command) as url, open_page(url) as page:
        page.wait_for_function("document.getElementById('name').textContent === '025_mug'", timeout=WAIT_MS)
        assert "0 of 4 decided, 4 left" in page.inner_text("#progress")
        assert page.inner_text("#status") == "ambiguous"
        assert page.locator("#tiles figure").count() == 2
        page.wait_for_function("document.getElementById('rendering').naturalWidth === 720", timeout=WAIT_MS)

        press(page, "2", "1 of 4 decided")
        assert [row["verdict"] for row in lines(run)] == ["alternative"]
        assert lines(run)[0]["alternative"] == 1
        page.wait_for_function("document.getElementById('status').innerText === 'rejected'", timeout=WAIT_MS)
        press(page, "a", "2 of 4 decided")
        press(page, "r", "3 of 4 decided")
        press(page, "u", "2 of 4 decided")
        assert [row["verdict"] for row in lines(run)] == ["alternative", "accept"]
        assert page.inner_text("#name") == EVIL
        assert page.title() != "owned"

        page.evaluate(
            "document.getElementById('view').contentWindow.focus()"
        )  # keys in the 3-D view count too
        page.evaluate(
            "document.getElementById('view').contentWindow.document.body.dispatchEvent("
            "new KeyboardEvent('keydown', {key: 'r', bubbles: true}))"
        )
        page.wait_for_function(
            "document.getElementById('progress').textContent.startsWith('3 of 4')", timeout=WAIT_MS
        )
        assert lines(run)[-1]["verdict"] == "reject"

    assert "3 of 4 decided" in (tmp_path / "log").read_text()
    with served(tmp_path / "log", *command) as url, open_page(url) as page:
        page.wait_for_function("document.getElementById('name').textContent", timeout=WAIT_MS)
        assert page.inner_text("#progress").startswith("3 of 4 decided, 1 left")
        assert page.inner_text("#where").startswith("4 of 4")
        press(page, "a", "all of these are decided")
    assert [label.certificate.status for label in reviewed_labels(run)].count("certified") == 3


def test_a_pose_is_moved_refined_and_written(run, tmp_path):
    command = ("review", str(run.folder), "--status", "certified", "--port", "18200")
    with served(tmp_path / "log", *command) as url, open_page(url) as page:
        page.wait_for_function(
            "document.getElementById('name').textContent === '009_gelatin_box'", timeout=WAIT_MS
        )
        assert page.inner_text("#progress").startswith("0 of 2 decided, 2 left")
        press(page, "e", "0.0 mm, 0.0° from the start")
        press(page, "ArrowLeft", "2.0 mm, 0.0° from the start")
        press(page, "Shift+ArrowUp", "2.0° from the start")
        press(page, "Shift+ArrowUp", "4.0° from the start")
        press(page, "u", "2.0° from the start")
        press(page, "f", "refined: ")
        press(page, "a", "1 of 2 decided")
    (row,) = lines(run)
    assert row["verdict"] == "pose"
    (label,) = [one for one in read_certificates(run.certificates) if one.key in read_review(run.review)]
    true_x_m = label.T_cam_obj[0, 3] - 0.005  # the run's poses are 5 mm off
    assert abs(row["t_mm"][0] / 1e3 - true_x_m) < 0.002


def test_another_page_cannot_write_verdicts(run, tmp_path):
    with served(tmp_path / "log", "review", str(run.folder), "--port", "18200") as url:
        with open_page("data:text/html,<p>another page</p>") as page:
            answered = page.evaluate(
                """async (url) => {
                    const body = JSON.stringify({index: 0, kind: "accept"});
                    const tries = [{mode: "no-cors"}, {headers: {"X-Selfpose6d-Token": "guess"}}, {mode: "cors"}];
                    const seen = [];
                    for (const options of tries) {
                        await fetch(url + "api/decide", {method: "POST", body, ...options})
                            .then((answer) => seen.push(answer.status), () => seen.push("blocked"));
                    }
                    return seen;
                }""",
                url,
            )
        assert 200 not in answered
        time.sleep(0.2)
    assert lines(run) == []


@pytest.fixture
def session(run) -> ReviewSession:
    session = ReviewSession(resolve_sources(run.folder), ReviewFilter())
    return session


def test_pictures_differ_by_pose_and_kind(session):
    mug = session.queue.select(ReviewFilter())[0]
    kinds = ("photo", "rendering", "outlines", "depth")
    pictures = [
        session.picture({"index": str(mug), "pose": pose, "kind": kind}).body
        for pose in ("0", "1")
        for kind in kinds
    ]
    assert all(picture.startswith(b"\xff\xd8") for picture in pictures)
    assert pictures[0] == pictures[4]  # the photo
    assert len(set(pictures)) == 7


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"index": "99", "kind": "photo"}, "no instance 99: there are 4"),
        ({"index": "x", "kind": "photo"}, "index must be a whole number from 0, got 'x'"),
        ({"index": "0", "kind": "x"}, "no picture 'x': expected photo, rendering, outlines, depth"),
        ({"index": "0", "pose": "7", "kind": "rendering"}, "there is no alternative 8"),
        ({"index": "0", "pose": CORRECTED, "kind": "rendering"}, "no pose was corrected"),
    ],
)
def test_requests_that_make_no_sense(session, query, message):
    with pytest.raises(Exception, match=message):
        session.picture(query)


def test_decisions_that_make_no_sense(session, run):
    for request, message in [
        ({"index": 0, "kind": "maybe"}, "no verdict 'maybe'"),
        ({"index": 0, "kind": "alternative", "alternative": 5}, "there is no alternative 6"),
        ({"index": 0, "kind": "pose"}, "no pose was corrected"),
        ({"index": -1, "kind": "accept"}, "whole number from 0, got -1"),
    ]:
        with pytest.raises(Exception, match=message):
            session.decide(request)
    with pytest.raises(Exception, match="move_mm must be three numbers"):
        session.correct({"index": 0, "move_mm": [1, 2]})
    assert lines(run) == []


def test_the_first_alternative_is_the_pose_itself(session, run):
    mug = session.queue.select(ReviewFilter())[0]
    session.decide({"index": mug, "kind": "alternative", "alternative": 0})
    assert lines(run)[0]["verdict"] == "accept"


def test_a_corrected_pose_is_shown_after_another_start(session, run):
    session.correct({"index": 0, "pose": "0", "move_mm": [0, 0, 50]})
    session.decide({"index": 0, "kind": "pose"})
    again = ReviewSession(resolve_sources(run.folder), ReviewFilter())
    query = {"index": "0", "kind": "rendering"}
    shown = again.picture(query | {"pose": CORRECTED}).body
    assert shown == session.picture(query | {"pose": CORRECTED}).body
    assert shown != again.picture(query | {"pose": "0"}).body


def test_a_pose_that_is_dragged_in_3d_is_the_corrected_one(session):
    viewer = MagicMock(spec=Viewer)
    session.viewer = viewer
    session.show({"index": 0, "pose": "0"})
    assert viewer.show.call_count == 1
    assert not viewer.add_gizmo.called
    session.correct({"index": 0, "pose": "0"})
    session.show({"index": 0, "pose": CORRECTED, "correcting": True})
    T_cam_centre, _, on_move = viewer.add_gizmo.call_args.args
    dragged = T_cam_centre.copy()
    dragged[:3, 3] += 0.01, 0, 0
    on_move(dragged)
    index, T_shown = viewer.move.call_args.args
    assert index == 0
    np.testing.assert_allclose(
        T_shown[:3, 3] - session.queue.labels[0].T_cam_obj[:3, 3], [0.01, 0, 0], atol=1e-9
    )
    assert json.loads(session.corrected({"index": "0"}).body)["moved_mm"] == pytest.approx(10)
    session.show({"index": 1, "pose": "0"})
    assert viewer.show.call_count == 2
    on_move(T_cam_centre)  # too late: another instance is shown
    np.testing.assert_allclose(viewer.move.call_args.args[1], T_shown)


def test_an_instance_whose_frame_is_gone_can_still_be_decided(run, session):
    rows = [json.loads(line) for line in run.certificates.read_text().splitlines()]
    run.certificates.write_text("".join(json.dumps(row | {"im_id": 77}) + "\n" for row in rows[:1]))
    gone = ReviewSession(resolve_sources(run.folder), ReviewFilter())
    assert "77" in json.loads(gone.trouble({"index": "0"}).body)
    with pytest.raises(DataError, match="77"):
        gone.picture({"index": "0", "kind": "photo"})
    assert json.loads(session.trouble({"index": "0"}).body) == ""
    assert gone.decide({"index": 0, "kind": "reject"})["decided"] == 1


def test_a_query_gives_a_filter():
    query = {"status": "ambiguous\nrejected", "object": "025_mug", "reason": "x", "low": "0.2", "high": "0.5"}
    wanted = filter_of(query | {"order": "frame"})
    assert wanted == ReviewFilter(("ambiguous", "rejected"), ("025_mug",), "x", (0.2, 0.5), "frame")
    assert filter_of({}) == ReviewFilter()
    for wrong, message in [
        ({"status": "x"}, "no status 'x'"),
        ({"order": "x"}, "no order 'x'"),
        ({"low": "x"}, "two"),
    ]:
        with pytest.raises(Exception, match=message):
            filter_of(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objects", "mugg"], "no object 'mugg' in this run: expected one of"),
        (["--confidence", "0.9", "0.1"], "the confidence range must rise"),
        (["--port", "99999"], "--port must be from 1 to 65534"),
        (["--host", "192.0.2.1"], "cannot listen at 192.0.2.1"),
    ],
)
def test_options_that_make_no_sense_are_one_line(run, capsys, arguments, message):
    assert main(["review", str(run.folder), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_runs_without_certificates_are_one_line(run, capsys):
    run.certificates.unlink()
    assert main(["review", str(run.folder)]) == 2
    assert "nothing to review" in capsys.readouterr().err
