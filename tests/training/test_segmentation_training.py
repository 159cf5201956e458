"""Training a segmentation network: what teaches, what the targets are, that it learns, resumes, and reads no label."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from label_runs import write_label_run

from selfpose6d.cli.main import main
from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import CheckpointError, UsageError
from selfpose6d.network.checkpoint import load_network, load_segmentation
from selfpose6d.network.segmentation import (
    MULTIPLE,
    Segmentation,
    SegmentationConfig,
    SegmentationNetwork,
    padded,
)
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.review import Verdict, append_verdict
from selfpose6d.segmentation.segmenter import Segmenter
from selfpose6d.training.schedule import Limit
from selfpose6d.training.segmentation import fit, session
from selfpose6d.training.segmentation.batch import make_batch, votes_to_middles
from selfpose6d.training.segmentation.fit import LEARNING_RATE, _Trainer
from selfpose6d.training.segmentation.frames import IGNORED, FrameStore, Taught, open_frames
from selfpose6d.training.segmentation.loss import confusion, mean_iou, segmentation_loss
from selfpose6d.training.segmentation.session import SegmentOptions, _certified_frames


@pytest.fixture(scope="module")
def rendered(rendered_pair) -> Path:
    return rendered_pair


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> CacheOptions:
    return CacheOptions(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def frames(rendered, cache) -> np.ndarray:
    return open_frames(DataOptions(rendered, "train").open(), cache)


def test_frames_hold_the_masks_of_their_instances(frames, rendered):
    dataset = DataOptions(rendered, "train").open()
    assert len(frames) == 16
    frame = dataset.load_frame(dataset.frame_ids()[3])
    record = frames[3]
    assert tuple(record["shape"]) == (240, 320)
    for index, one in enumerate(frame.instances, start=1):
        assert record["obj_id"][index] == one.key.obj_id
        assert (record["instance"][:240] == index).sum() == one.mask[1::2, 1::2].sum()
    assert (record["instance"][240:] == IGNORED).all()
    assert np.abs(record["depth"][:240] * 0.0005 - frame.depth_m[1::2, 1::2]).max() < 6e-4


def test_masks_that_a_person_rejected_teach_nothing(rendered, cache, tmp_path):
    data = DataOptions(rendered, "train")
    dataset = data.open()
    run = write_label_run(dataset, tmp_path / "labels", rejected_frames=())
    options = SegmentOptions(data, Limit(max_steps=1), labels=run, cache=cache)
    assert len(_certified_frames(dataset, options, lambda: None)) == 16
    for one in dataset.load_frame(dataset.frame_ids()[5]).instances:
        append_verdict(RunFiles(run).review, one.key, Verdict("reject"))
    assert len(_certified_frames(dataset, options, lambda: None)) == 15


def test_only_certified_instances_teach_and_the_others_teach_nothing(rendered, cache):
    dataset = DataOptions(rendered, "train").open()
    frame = dataset.load_frame(dataset.frame_ids()[0])
    chosen, *others = frame.instances
    certified = frozenset({(0, 0, chosen.key.inst_id)})
    (record,) = open_frames(dataset, cache, Taught(certified))  # of the others' frames nothing is certified
    taught = record["instance"][:240]
    assert set(np.unique(taught)) <= {0, 1, IGNORED}
    assert record["obj_id"][1] == chosen.key.obj_id
    for other in others:
        assert (taught[other.mask[1::2, 1::2]] == IGNORED).all()
    with pytest.raises(UsageError, match="no frame with a mask that can be learned from"):
        open_frames(dataset, cache, Taught(frozenset()))
    box = (0, 0, 101, 60)  # what was turned away here may be an object: it is no background
    (doubtful,) = open_frames(dataset, cache, Taught(certified, {dataset.frame_ids()[0]: (box,)}))
    inside = doubtful["instance"][:30, :51]
    assert set(np.unique(inside)) <= {1, IGNORED}
    assert (doubtful["instance"][30:240] == record["instance"][30:240]).all()


def test_frames_that_do_not_fit_the_cache_are_refused(rendered, tmp_path):
    small = CacheOptions(tmp_path, budget_bytes=1 << 20)
    with pytest.raises(UsageError, match="Raise --cache-gb"):
        open_frames(DataOptions(rendered, "train").open(), small)
    assert not list(tmp_path.glob("frames/*.npy"))


def test_targets_are_classes_and_ways_to_the_middle(frames):
    generator = torch.Generator().manual_seed(0)
    batch = make_batch(frames[:4], (1, 5), generator, changed=False, window_px=320)
    assert batch.image.shape == (4, 8, 320, 320)
    assert batch.label.shape == (4, 160, 160)
    assert set(batch.label.unique().tolist()) <= {0, 1, 2, IGNORED}
    assert (batch.label[:, 120:] == IGNORED).all()  # below the image
    # an object that is not among those to be known is background
    assert set(make_batch(frames[:4], (5,), generator, changed=False).label.unique().tolist()) <= {
        0,
        1,
        IGNORED,
    }
    places = torch.zeros(1, 20, 30, dtype=torch.int64)
    places[0, 4:7, 10:15], places[0, 12:, 20:] = 3, IGNORED
    votes = votes_to_middles(places)
    row, column = 4, 10
    assert votes[0, :, row, column].tolist() == [2.0, 1.0]
    assert not votes[0, :, 12:, 20:].any()
    assert not votes[0, :, 0].any()


def test_changes_follow_the_generator_and_leave_unknown_depth_unknown(frames):
    first, again, other = (
        make_batch(frames[:2], (1, 5), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first.image, again.image)
    assert not torch.equal(first.image, other.image)
    assert first.image.isfinite().all()


def test_the_loss_falls_with_what_is_right_and_ignores_what_teaches_nothing(frames):
    batch = make_batch(frames[:2], (1, 5), torch.Generator().manual_seed(1), changed=False)
    label = torch.where(batch.label == IGNORED, 0, batch.label)
    right = 12.0 * torch.nn.functional.one_hot(label, 3).permute(0, 3, 1, 2).float()
    perfect = Segmentation(right, batch.votes_px)
    assert segmentation_loss(perfect, batch).total < 0.02
    assert mean_iou(confusion(perfect, batch)) == 1.0
    wrong = Segmentation(right.roll(1, dims=1), batch.votes_px + 16)
    assert segmentation_loss(wrong, batch).total > 3
    assert mean_iou(confusion(wrong, batch)) < 0.1
    unknown = batch._replace(label=torch.full_like(batch.label, IGNORED))
    assert np.isnan(mean_iou(confusion(wrong, unknown)))
    logits = right.roll(1, dims=1).requires_grad_()
    segmentation_loss(Segmentation(logits, batch.votes_px), unknown).total.backward()
    assert not logits.grad.any()


def test_the_network_takes_any_size_and_comes_back_from_its_file(tmp_path):
    torch.manual_seed(0)
    network = SegmentationNetwork(SegmentationConfig(channels=(8, 16, 16, 24)), (3, 9), (0.1, 0.2)).eval()
    image = padded(torch.randn(2, 8, 50, 37))
    assert image.shape[-2:] == (64, 48)
    assert MULTIPLE == 16
    answer = network(image)
    assert answer.logits.shape == (2, 3, 32, 24)
    assert answer.votes_px.shape == (2, 2, 32, 24)
    from selfpose6d.network.checkpoint import save_segmentation

    save_segmentation(tmp_path / "a.safetensors", network, {"step": 3})
    again, facts = load_segmentation(tmp_path / "a.safetensors")
    assert facts == {"step": 3}
    assert (again.obj_ids, again.diameters_m) == ((3, 9), (0.1, 0.2))
    assert torch.equal(again(image).logits, answer.logits)
    with pytest.raises(CheckpointError, match="task segment, needed is one of task pose"):
        load_network(tmp_path / "a.safetensors")


def test_frames_of_several_parts_are_read_by_one_index(frames):
    store = FrameStore((frames[:3], frames[3:]))
    assert len(store) == 16
    read = store.read(np.array([0, 3, 15]))
    assert all((read[k] == frames[i]).all() for k, i in enumerate((0, 3, 15)))


@pytest.fixture
def tiny_network():
    """A network that steps fast, where nothing is asked of what it has learnt."""
    config = partial(SegmentationConfig, channels=(8, 16, 16, 24), blocks=(1, 1, 1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "SegmentationConfig", config)
        yield


def test_it_learns_within_some_steps(pair_segmenter, rendered):
    rows = [json.loads(line) for line in (pair_segmenter / "log.jsonl").read_text().splitlines()]
    losses = [row["total"] for row in rows if row["kind"] == "train"]
    assert losses[-1] < 0.6 * losses[0]
    assert [row for row in rows if row["kind"] == "validation"][-1]["mean_iou"] > 0.3
    segmenter = Segmenter.load(pair_segmenter)
    dataset = DataOptions(rendered, "train").open()
    frame = dataset.load_frame(dataset.frame_ids()[0])
    seen = segmenter(frame)
    assert {one.obj_id for one in seen} <= {1, 5}
    assert all(one.mask.shape == frame.depth_m.shape and one.mask.any() for one in seen)
    best = max(
        ((one.mask & mine.mask).sum() / (one.mask | mine.mask).sum())
        for one in seen
        for mine in frame.instances
        if one.obj_id == mine.key.obj_id
    )
    assert best > 0.5
    assert {one.obj_id for one in segmenter(frame, (5,))} <= {5}


def run_training(root: Path, out: Path, cache: CacheOptions, steps: int, *more: str) -> int:
    options = ["--task", "segment", "--recipe", "synthetic", "--cache", str(cache.folder), *more]
    return main(["train", str(root), "--out", str(out), "--max-steps", str(steps), *options])


@pytest.mark.usefixtures("tiny_network")
def test_a_stopped_training_goes_on_as_if_it_had_not_been(rendered, cache, tmp_path, monkeypatch):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run_training(rendered, whole, cache, 6) == 0
    one_step, done = _Trainer._one_step, []

    def stop_at_the_fourth(self, *arguments):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(one_step(self, *arguments))
        self._save()

    monkeypatch.setattr(_Trainer, "_one_step", stop_at_the_fourth)
    assert run_training(rendered, stopped, cache, 6) == 130
    assert torch.load(stopped / "checkpoints/last.state", weights_only=True)["step"] == 3
    monkeypatch.undo()
    assert run_training(rendered, stopped, cache, 6) == 2  # it is there already
    assert run_training(rendered, stopped, cache, 6, "--resume") == 0
    states = [torch.load(run / "checkpoints/last.state", weights_only=True) for run in (whole, stopped)]
    assert states[0]["step"] == states[1]["step"] == 6
    for name, weight in states[0]["network"].items():
        torch.testing.assert_close(states[1]["network"][name], weight, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("tiny_network")
def test_added_steps_have_a_schedule_of_their_own(rendered, cache, tmp_path):
    out = tmp_path / "run"
    assert run_training(rendered, out, cache, 4) == 0
    assert run_training(rendered, out, cache, 24, "--resume") == 0
    assert torch.load(out / "checkpoints/last.state", weights_only=True)["schedule_start"] == 4
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    rates = {row["step"]: row["learning_rate"] for row in rows if row["kind"] == "train"}
    assert rates[10] > rates[20] > rates[24]
    assert rates[10] > 0.8 * LEARNING_RATE
    assert load_segmentation(out / "checkpoints/last.safetensors")[1]["step"] == 24


@pytest.mark.usefixtures("tiny_network")
def test_a_loss_that_is_not_finite_leaves_the_state_before_it(rendered, cache, tmp_path, monkeypatch, capsys):
    def broken(answer, batch):
        loss = segmentation_loss(answer, batch)
        return loss._replace(total=loss.total * float("nan"))

    monkeypatch.setattr(fit, "segmentation_loss", broken)
    assert run_training(rendered, tmp_path / "run", cache, 4) == 2
    assert "step 0: the loss is nan" in capsys.readouterr().err
    weights = torch.load(tmp_path / "run/checkpoints/last.state", weights_only=True)["network"]
    assert all(value.isfinite().all() for value in weights.values())


def test_options_of_the_pose_network_are_refused(rendered, tmp_path, capsys):
    common = ["train", str(rendered), "--out", str(tmp_path / "run"), "--task", "segment", "--max-steps", "2"]
    for more, words in (
        (["--size", "paper"], "no use for the options of size"),
        (["--recipe", "verified"], "learns from rendered frames"),
        (["--recipe", "synthetic", "--synthetic", str(rendered)], "Leave them out"),
        (["--detections", str(rendered / "synth.json")], "--recipe supervised only"),
    ):
        assert main([*common, *more]) == 2
        assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
