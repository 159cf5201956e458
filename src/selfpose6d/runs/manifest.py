"""`manifest.json`: what all shards of a run are made of, so that only like joins like."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfpose6d.errors import MALFORMED, UsageError
from selfpose6d.files import replacing
from selfpose6d.json_files import read_json
from selfpose6d.runs.config import RunConfig, code_version, flat_options
from selfpose6d.runs.outputs import ResultFiles

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """The shards of a run. `made_of`: options, data, meshes, calibration and code, by name."""

    made_of: Mapping[str, Any]
    frames_per_shard: int
    results: ResultFiles
    shards: tuple[str, ...]

    @property
    def content_hash(self) -> str:
        """What tells these shards from those made of something else."""
        content = {"made_of": self.made_of, "frames_per_shard": self.frames_per_shard, "shards": self.shards}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @classmethod
    def of_run(
        cls,
        config: RunConfig,
        meshes: str,
        frames_per_shard: int,
        results: ResultFiles,
        shards: Iterable[str],
    ) -> "Manifest":
        """That of a run with this configuration; `meshes` names the content of the meshes."""
        options = dict(flat_options(config.options))
        made_of = {
            "command": config.command,
            "data": config.data.fingerprint,
            "meshes": meshes,
            "calibration": options.get(
                "certificate.calibration", options.get("annotate.certificate.calibration")
            ),
            "code": code_version(),
            "options": options,
        }
        return cls(json.loads(json.dumps(made_of)), frames_per_shard, results, tuple(shards))


def share_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest where there is none; else the one that is there must be the same.

    Raises:
        UsageError: the shards that are there are made of something else, which is named.
    """
    if not path.is_file():
        content = {"format": FORMAT, "hash": manifest.content_hash} | asdict(manifest)
        head = {name: value for name, value in content.items() if name != "shards"}
        with replacing(path) as file:  # one shard a line
            file.write(json.dumps(head)[:-1] + ', "shards": [\n')
            file.write(",\n".join(map(json.dumps, manifest.shards)) + "\n]}\n")
    there = read_manifest(path)
    if there.content_hash != manifest.content_hash:
        raise UsageError(
            f"{path.parent} has shards that are made of something else: {_differences(there, manifest)}. Choose "
            f"another --out, or remove {path.name} and the shards to make them again."
        )


def read_manifest(path: Path) -> Manifest:
    """What `share_manifest` wrote.

    Raises:
        UsageError: there is none, or it is broken.
    """
    try:
        content = read_json(path)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        return Manifest(
            content["made_of"],
            int(content["frames_per_shard"]),
            ResultFiles(**content["results"]),
            tuple(content["shards"]),
        )
    except FileNotFoundError:
        raise UsageError(
            f"{path.parent} has no {path.name}: it is no run in shards. Pass the --out of annotate, find or estimate "
            "with --shard or --runner."
        ) from None
    except (OSError, *MALFORMED) as error:
        raise UsageError(f"{path} is broken ({error}). Remove it and run the command again.") from None


def _differences(there: Manifest, now: Manifest) -> str:
    old, new = (dict(flat_options(manifest.made_of)) for manifest in (there, now))
    old["--frames-per-shard"], new["--frames-per-shard"] = there.frames_per_shard, now.frames_per_shard
    names = [name for name in old | new if old.get(name) != new.get(name)]
    said = [f"{name} is {json.dumps(old.get(name))} there, {json.dumps(new.get(name))} now" for name in names]
    return "; ".join(said) or f"{len(there.shards)} shards there, {len(now.shards)} now"
