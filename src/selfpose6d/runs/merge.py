"""From the shards of a run to its journal: after that it is a run like any other."""

from collections.abc import Callable, Sequence

from selfpose6d.errors import UsageError
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.manifest import Manifest
from selfpose6d.runs.shards import Shard, ShardFiles, plan_shards
from selfpose6d.selection import FrameIds

SHOWN = 3
"""Names of missing shards in a message."""


def require_whole(run: RunFolder, manifest: Manifest, frame_ids: FrameIds | None = None) -> None:
    """Refuse to merge before every shard is there, or all of its frames are in the journal.

    The second holds after a merge that removed shards. `frame_ids` are the run's; None: the journal is not asked.

    Raises:
        UsageError: names the first that are missing.
    """
    missing = missing_shards(ShardFiles(run.files.shards), manifest.shards)
    if missing and frame_ids is not None:
        planned = {shard.name: shard for shard in plan_shards(frame_ids, manifest.frames_per_shard)}
        missing = [name for name in missing if name not in planned or not _is_merged(run, planned[name])]
    if missing:
        names = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        raise UsageError(
            f"{run.files.folder}: {len(missing)} of {len(manifest.shards)} shards are missing ({names}). Run "
            f"selfpose6d {run.config.command} with --shard or --runner again until all are there; what is done stays."
        )


def _is_merged(run: RunFolder, shard: Shard) -> bool:
    return all(map(run.journal.has_seen, shard.frame_ids()))


def missing_shards(files: ShardFiles, names: Sequence[str]) -> list[str]:
    """Those that are not done."""
    return [name for name in names if not files.is_done(name)]


def merge_shards(
    run: RunFolder,
    manifest: Manifest,
    advance: Callable[[], None] = lambda: None,
    frame_ids: FrameIds | None = None,
) -> int:
    """Append the rows of all shards to the journal, in order; gives their number.

    Rows of frames that the journal has are left out, so that a merge that was killed goes on, and a shard that two
    workers did counts once. One row is in memory at a time. `advance` is called after each shard.
    `frame_ids`: as `require_whole` takes them.

    Raises:
        UsageError: a shard is missing.
        DataError: one is broken.
    """
    require_whole(run, manifest, frame_ids)
    files, count = ShardFiles(run.files.shards), 0
    for name in manifest.shards:
        if files.is_done(name):
            count += run.journal.take_over(files.lines(name))
        advance()
    files.remove_remains()
    return count
