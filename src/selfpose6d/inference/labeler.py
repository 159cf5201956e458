"""Annotates a data set's frames one by one: with a network's hypotheses, without what an earlier run has settled."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from selfpose6d.datasets.dataset import Dataset, process_frame
from selfpose6d.errors import DataError
from selfpose6d.inference.predictor import Predictor
from selfpose6d.labeling.annotate import AnnotateOptions, annotate
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.runs.journal import JournalRecord
from selfpose6d.runs.kept import KeptRows
from selfpose6d.selection import FrameId
from selfpose6d.types import Frame, InstanceKey, LabeledPose


@dataclass(frozen=True)
class FrameLabeler:
    """What makes the journal's record of a frame."""

    dataset: Dataset
    models: Mapping[int, Mesh | ObjectModel]
    options: AnnotateOptions
    network: Predictor | None = None
    """Whose hypotheses come first."""
    search_all: bool = False
    """Search every instance, also where the hypotheses lead to a certified pose."""
    kept: KeptRows = field(default_factory=dict)
    """Rows that are taken over as they are; of a frame of which all are kept no image is read."""

    def __call__(self, frame_id: FrameId) -> JournalRecord:
        """The frame's record; unreadable frames keep what was kept of them."""
        keeps = self.dataset.selection.keeps_object
        kept = {key: row for key, row in self.kept.get(frame_id, {}).items() if keeps(key.obj_id)}
        rows = tuple(kept.values())
        time_s = sum(row.get("time_s") or 0.0 for row in rows)
        if kept and self._is_settled(frame_id, kept):
            return JournalRecord(frame_id, rows, time_s=time_s)
        record = process_frame(self.dataset, frame_id, lambda frame: self._annotate(frame, kept))
        place = [(row["obj_id"], row["inst_id"]) for row in rows]
        skipped = tuple(row for row in record.skipped if (row["obj_id"], row["inst_id"]) not in place)
        labels = (*rows, *record.labels)
        return replace(record, labels=labels, skipped=skipped, time_s=time_s + record.time_s)

    def _is_settled(self, frame_id: FrameId, kept: Collection[InstanceKey]) -> bool:
        try:
            return all(key in kept for key in self.dataset.instance_keys(frame_id))
        except DataError:  # reading the frame says what is wrong
            return False

    def _annotate(self, frame: Frame, kept: Collection[InstanceKey]) -> list[LabeledPose]:
        frame = replace(frame, instances=tuple(one for one in frame.instances if one.key not in kept))
        proposals = self.network.propose(frame) if self.network is not None else None
        return annotate(frame, self.models, self.options, proposals, self.search_all)
