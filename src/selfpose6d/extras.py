"""Optional packages: what to install where one is missing, the same words everywhere.

selfpose6d is on no index, so pip cannot find an extra by its name. What is named are the extra's own packages, which
install beside a checkout and a wheel alike.
"""

import re
from importlib.metadata import PackageNotFoundError, requires

from selfpose6d.errors import UsageError


def missing_extra(extra: str, package: str, needed_by: str, otherwise: str = "") -> UsageError:
    """The error for an optional package that cannot be imported: `needed_by` needs `package`, of the extra `extra`.

    `otherwise` is another way out, a whole sentence. To be raised where the package is imported:

        try:
            import viser
        except ImportError:
            raise missing_extra("viewer", "viser", needed_by="view") from None
    """
    remedy = f"Install the {extra} extra: {install_command(extra, package)}."
    return UsageError(f"{needed_by} needs {package}, which is not installed. {remedy} {otherwise}".rstrip())


def install_command(extra: str, package: str) -> str:
    """The pip command that installs an extra's packages; `package` alone where the extra is unknown here."""
    return " ".join(["pip install", *(f"'{one}'" for one in extra_packages(extra) or (package,))])


def extra_packages(extra: str) -> tuple[str, ...]:
    """The packages of an extra with their least versions, as the installed package declares them.

    Empty where this package is not installed (run from its source) or was installed before it had that extra.
    """
    try:
        declared = requires("selfpose6d") or []
    except PackageNotFoundError:
        return ()
    return tuple(
        requirement.split(";")[0].strip()
        for requirement in declared
        if re.search(rf"""extra\s*==\s*["']{re.escape(extra)}["']""", requirement)
    )
