"""YAML from files: plain values only, and nothing that grows while it is read."""

from pathlib import Path
from typing import Any

import yaml

from selfpose6d.errors import MALFORMED
from selfpose6d.files import read_text


def read_yaml(path: Path) -> Any:
    """The content of a YAML file.

    Raises:
        OSError: there is no such file, or it is no file.
        ValueError: it is broken, in one line.
    """
    return parse_yaml(read_text(path))


def parse_yaml(text: str) -> Any:
    """The first document of a YAML text (`ros2 topic echo` ends each message with `---`), None where there is none.

    Raises:
        ValueError: it is broken, in one line; or it has aliases, by which a few lines can stand for gigabytes.
    """
    try:
        return next(yaml.load_all(text, _PlainLoader), None)
    except (yaml.YAMLError, RecursionError, *MALFORMED) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from None


class _PlainLoader(yaml.SafeLoader):
    """Makes no objects, and follows no aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node; an alias is refused."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not read")
        return super().compose_node(parent, index)


def _matrix(loader: yaml.SafeLoader, node: yaml.Node) -> dict[Any, Any]:
    """OpenCV's matrices say rows, cols and data, as those of ROS do without a tag."""
    if not isinstance(node, yaml.MappingNode):
        raise yaml.YAMLError("!!opencv-matrix is no mapping")
    return loader.construct_mapping(node, deep=True)


_PlainLoader.add_constructor("tag:yaml.org,2002:opencv-matrix", _matrix)
