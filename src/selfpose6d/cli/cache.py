"""`selfpose6d cache`: what lies in the user's cache directory, and clearing it."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from selfpose6d.cli.output import add_result

BYTES_PER_MB = 1_000_000


@dataclass(frozen=True)
class Command:
    """Say where the cache lies and how much is in it: what is slow to compute of meshes, decoded crops, rendered
    training frames. Nothing in it is needed; what is missing is made anew.
    """

    clear: bool = False
    """Remove all of it."""

    def run(self) -> int:
        """Print the sizes, or remove everything."""
        from selfpose6d.errors import UsageError
        from selfpose6d.files import user_cache

        folder = user_cache()
        parts = cache_parts(folder)
        total = sum(size for _, size in parts.values())
        for name, (files, size) in parts.items():
            print(f"{size / BYTES_PER_MB:9.1f} MB  {files:6d} files  {name}")
        if self.clear and folder.is_dir():
            if folder.is_symlink():
                raise UsageError(f"{folder} is a link. Remove what it points to by hand.")
            shutil.rmtree(folder)
        print(f"{total / BYTES_PER_MB:9.1f} MB {'removed from' if self.clear else 'in'} {folder}")
        sizes = {name: {"files": files, "bytes": size} for name, (files, size) in parts.items()}
        add_result(folder=folder, bytes=total, parts=sizes, cleared=self.clear)
        return 0


def cache_parts(folder: Path) -> dict[str, tuple[int, int]]:
    """Files and bytes of every folder of the cache, by its name; empty where there is no cache."""
    parts = {}
    for part in sorted(folder.iterdir()) if folder.is_dir() else ():
        paths = part.rglob("*") if part.is_dir() else (part,)
        sizes = [os.lstat(path).st_size for path in paths if path.is_symlink() or path.is_file()]
        parts[part.name] = (len(sizes), sum(sizes))
    return parts
