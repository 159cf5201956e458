"""`selfpose6d validate DATASET`: what is wrong with a data set, where, and how to mend it."""

from dataclasses import dataclass, replace

from tyro.conf import OmitArgPrefixes

from selfpose6d.cli.output import add_result
from selfpose6d.datasets.options import DataOptions


@dataclass(frozen=True)
class Command:
    """Check a data set: print every problem with path, reason and remedy; exit 1 on errors, 0 without."""

    data: OmitArgPrefixes[DataOptions]

    def run(self) -> int:
        """Check everything; problems go to standard output, progress to the terminal."""
        from selfpose6d.datasets.doctor.problems import Problem
        from selfpose6d.datasets.doctor.validate import Validation
        from selfpose6d.datasets.object_label import with_object_names
        from selfpose6d.errors import DataError
        from selfpose6d.objects.mesh_cache import default_cache_dir
        from selfpose6d.objects.object_model import build_object_model
        from selfpose6d.objects.warnings import object_warnings
        from selfpose6d.reporting.console import progress_bar

        try:
            dataset = self.data.open("test", require_model_files=False)
        except DataError as error:
            print(Problem("error", str(error)))
            add_result(errors=1, warnings=0, problems=[{"level": "error", "message": str(error)}])
            return 1
        names = dataset.object_names()
        found: list[dict[str, str]] = []
        validation = Validation(
            dataset,
            lambda obj_id, mesh, declared: object_warnings(
                build_object_model(mesh, declared, default_cache_dir(), f"object {obj_id}"), obj_id
            ),
        )
        with progress_bar("frames", transient=True) as progress:
            for problems in progress.track(
                validation.run(), total=len(dataset.frame_ids()) + 2, description="validate"
            ):
                for problem in problems:
                    message = with_object_names(problem.message, names)
                    print(replace(problem, message=message))
                    found.append({"level": problem.level, "message": message})
        print(validation.summary())
        add_result(errors=validation.errors, warnings=validation.warnings, problems=found)
        return 1 if validation.errors else 0
