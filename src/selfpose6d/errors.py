"""The errors a user can cause. Each message names what is wrong, what was expected, what was got and the remedy.

The command line prints them as one line and exits with code 2; anything else is a bug and keeps its traceback.
"""

MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)
"""What is raised where a value of a file is of another kind than expected: text for a number, a number for a list, a
number too large. Whoever reads a file turns these into one of the errors below."""


class SelfPose6DError(Exception):
    """Base of every error that the user can mend; one line, also where a name in it has a line end."""

    def __str__(self) -> str:
        return " ".join(super().__str__().splitlines())


class UsageError(SelfPose6DError):
    """An option or argument is wrong, or a run folder does not fit the options."""


class DataError(SelfPose6DError):
    """A file of a data set is missing, unreadable or inconsistent."""


class NoMasksError(DataError):
    """A data set without masks: objects can be annotated in it after they were found."""


class WorkerError(SelfPose6DError):
    """A process that works for this one was ended from outside."""


class MeshError(SelfPose6DError):
    """A mesh file is missing, unreadable or has an implausible size."""


class CheckpointError(SelfPose6DError):
    """A checkpoint is corrupt or belongs to other objects."""
