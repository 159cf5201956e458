"""`--device auto|cpu|cuda`, resolved once at the door."""

from selfpose6d.errors import UsageError


def resolve_device(wanted: str) -> str:
    """`cuda` if asked for or automatic and present, else `cpu`.

    Raises:
        UsageError: cuda was asked for and there is none.
    """
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UsageError(
            "--device cuda: this torch sees no CUDA device. Use --device cpu, or install a CUDA build of torch."
        )
    return "cuda" if wanted == "cuda" or (wanted == "auto" and available) else "cpu"
