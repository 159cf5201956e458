"""What benchmarks of several variants of a recipe, several seeds each, ask for and print."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from provenance import print_provenance, provenance
from selfpose6d.training.schedule import Limit


def variant_parser(description: str | None, variants: Iterable[str]) -> argparse.ArgumentParser:
    """Data, time, seeds, variants and the form of the output."""
    names = list(variants)
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--steps", type=int, help="instead of minutes")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=names, choices=names)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def limit_of(options: argparse.Namespace) -> Limit:
    """Steps where they are given, else minutes."""
    return Limit(max_steps=options.steps) if options.steps else Limit(max_minutes=options.minutes)


def print_end(options: argparse.Namespace, found: dict[str, Any]) -> None:
    """Under the table where it was measured, or instead of it one JSON object."""
    if options.json:
        print(json.dumps(provenance() | {"seeds": options.seeds, "variants": found}))
    else:
        print_provenance()
