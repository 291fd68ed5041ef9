"""ONNX Runtime: what can run a model here, and whether two of its packages stand in each other's way.

`onnxruntime`, `onnxruntime-gpu` and their kin are packages of different names that write the same files. Where two were
installed, the last one's files lie there, and removing either takes files from the other: so both what is installed and
whether its files are still its own are looked at.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from edge.check.findings import Finding, fail, ok, warn

__all__ = ["check_runtime", "clash"]

_MARK = "onnxruntime/__init__.py"
"""The file that each of these packages writes, and others of a similar name do not."""
_NATIVE = ".so"
_NVIDIA = Path("/dev/nvidiactl")

_REINSTALL = (
    "pip uninstall --yes onnxruntime onnxruntime-gpu, then install one: footfall[edge], or footfall[gpu] with "
    "requirements/edge-gpu.txt"
)


def check_runtime(wanted: Sequence[str], *, installed: Iterable[Distribution] | None = None) -> Finding:
    """What is installed is no clash, and can run what `wanted` names (as in detector.providers)."""
    problem = clash(distributions() if installed is None else installed)
    if problem:
        return fail("runtime", problem, _REINSTALL)
    try:
        import onnxruntime

        from edge.detector.providers import choose_providers, title_of
    except ImportError as error:
        return fail("runtime", f"ONNX Runtime cannot be loaded: {error}", _REINSTALL)
    from edge.errors import ModelError

    available = onnxruntime.get_available_providers()
    try:
        chosen = choose_providers(wanted, available)
    except ModelError as error:
        return fail("runtime", str(error), "name one of these in detector.providers, or leave it at auto")
    names = ", ".join(map(title_of, chosen))
    said = f"ONNX Runtime {onnxruntime.__version__} runs models on {names}"
    if _NVIDIA.exists() and "CUDAExecutionProvider" not in available:
        return warn("runtime", f"{said}; there is an NVIDIA GPU that it cannot use", _REINSTALL)
    return ok("runtime", said)


def clash(installed: Iterable[Distribution]) -> str:
    """What is wrong with the packages of ONNX Runtime among those installed; empty where nothing is."""
    ours = {each.metadata["Name"]: each for each in installed if _MARK in map(str, each.files or ())}
    if len(ours) > 1:
        return f"{' and '.join(sorted(ours))} are installed together and overwrite each other's files"
    for name, package in ours.items():
        foreign = _foreign_files(package)
        if foreign:
            return f"{name} is installed, but {', '.join(foreign)} are missing or of another package"
    return ""


def _foreign_files(package: Distribution) -> list[str]:
    """Native files of a package that are absent, or not as long as when it was installed."""
    files = [file for file in package.files or () if file.suffix == _NATIVE and file.size is not None]
    return [file.name for file in files if not _is_whole(Path(str(file.locate())), file.size or 0)]


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
