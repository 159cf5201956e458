"""From the shards of a run to its journal: after that it is a run like any other."""

from collections.abc import Callable, Sequence

from selfpose6d.errors import UsageError
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.manifest import Manifest
from selfpose6d.runs.shards import ShardFiles

SHOWN = 3
"""Names of missing shards in a message."""


def require_whole(run: RunFolder, manifest: Manifest) -> None:
    """Refuse to merge before every shard is there.

    Raises:
        UsageError: names the first that are missing.
    """
    if missing := missing_shards(ShardFiles(run.files.shards), manifest.shards):
        names = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        raise UsageError(
            f"{run.files.folder}: {len(missing)} of {len(manifest.shards)} shards are missing ({names}). Run "
            f"selfpose6d {run.config.command} with --shard or --runner again until all are there; what is done stays."
        )


def missing_shards(files: ShardFiles, names: Sequence[str]) -> list[str]:
    """Those that are not done."""
    return [name for name in names if not files.is_done(name)]


def merge_shards(run: RunFolder, manifest: Manifest, advance: Callable[[], None] = lambda: None) -> int:
    """Append the rows of all shards to the journal, in order; gives their number.

    Rows of frames that the journal has are left out, so that a merge that was killed goes on, and a shard that two
    workers did counts once. One row is in memory at a time. `advance` is called after each shard.

    Raises:
        UsageError: a shard is missing.
        DataError: one is broken.
    """
    require_whole(run, manifest)
    files, count = ShardFiles(run.files.shards), 0
    for name in manifest.shards:
        count += run.journal.take_over(files.lines(name))
        advance()
    files.remove_remains()
    return count
