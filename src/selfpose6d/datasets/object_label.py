"""How people are told which object is meant: by its name, its id in brackets."""

import re
from collections.abc import Mapping

_OBJECT = re.compile(r"(?<![\w/\\])object (\d+)(?![\w/\\])")


def object_label(obj_id: int, names: Mapping[int, str]) -> str:
    """`mug (14)`, or `object 14` where it has no name but that of its file or its id."""
    name, plain = names.get(obj_id), f"object {obj_id}"
    return f"{name} ({obj_id})" if name not in (None, "", plain, f"obj_{obj_id:06d}") else plain


def with_object_names(text: str, names: Mapping[int, str]) -> str:
    """The text with `mug (14)` in place of `object 14`; objects without a name stay as they are."""
    return _OBJECT.sub(lambda match: object_label(int(match[1]), names), text)
