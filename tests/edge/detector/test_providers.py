from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge.detector.onnx import OnnxDetector
from edge.detector.providers import AUTO, choose_providers, with_options
from edge.detector.recipe import Recipe
from edge.errors import ModelError
from tests.support.onnx_models import write_answering_network, write_quantised_network

EVERYTHING = [
    "CPUExecutionProvider",
    "OpenVINOExecutionProvider",
    "CUDAExecutionProvider",
    "TensorrtExecutionProvider",
    "AzureExecutionProvider",
]


def test_auto_prefers_the_fastest_provider_there_is() -> None:
    assert choose_providers(["auto"], EVERYTHING) == ["tensorrt", "cuda", "openvino", "cpu"]
    assert choose_providers(["auto"], ["AzureExecutionProvider", "CPUExecutionProvider"]) == ["cpu"]


def test_named_providers_keep_their_order_and_the_cpu_stays_behind_them() -> None:
    assert choose_providers(["openvino", "cuda"], EVERYTHING) == ["openvino", "cuda", "cpu"]


def test_one_that_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(ModelError, match=r"'tensorrt' is not available; here there are: auto, cpu"):
        choose_providers(["tensorrt"], ["CPUExecutionProvider"])


def test_without_a_folder_for_the_engine_those_that_need_one_are_left_out() -> None:
    chosen = with_options(["tensorrt", "cuda", "openvino", "cpu"], engine=None)
    assert chosen == [
        ("CUDAExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"}),
        ("CPUExecutionProvider", {}),
    ]


def test_openvino_is_told_its_device_its_cache_and_on_a_processor_its_threads() -> None:
    ((name, options),) = with_options(["openvino"], engine=Path("/engines/one"), threads=2)
    assert name == "OpenVINOExecutionProvider"
    assert options == {"device_type": "CPU", "cache_dir": "/engines/one", "num_of_threads": "2"}
    ((_, options),) = with_options(["openvino"], engine=Path("/engines/one"), openvino_device="GPU", threads=2)
    assert options == {"device_type": "GPU", "cache_dir": "/engines/one"}


class Handed:
    """Stands in for ONNX Runtime's session: notes what it is told, and runs on the CPU whoever is named."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.providers: list[tuple[str, dict[str, str]]] = []
        real = onnxruntime.InferenceSession

        def session(
            path: Path,
            options: onnxruntime.SessionOptions,
            *,
            providers: list[tuple[str, dict[str, str]]],
            enable_fallback: int,
        ) -> onnxruntime.InferenceSession:
            self.providers = providers
            self.falls_back = bool(enable_fallback)
            opened = real(path, options, providers=["CPUExecutionProvider"])
            opened.get_providers = lambda: [name for name, _ in providers]
            return opened

        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: EVERYTHING)


@pytest.mark.parametrize("quantised", [False, True], ids=["half precision", "whole numbers"])
def test_tensorrt_is_told_to_use_half_precision_and_whole_numbers_only_for_a_network_made_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quantised: bool
) -> None:
    write = write_quantised_network if quantised else write_plain_network
    path = write(tmp_path / "model.onnx")
    handed = Handed(monkeypatch)
    detector = OnnxDetector(Recipe(path=path, providers=("tensorrt", "cuda")), engine=tmp_path / "engines" / "one")
    assert detector.provider == "tensorrt"
    assert [name for name, _ in handed.providers] == [
        "TensorrtExecutionProvider",
        "CUDAExecutionProvider",
        "CPUExecutionProvider",
    ]
    assert handed.providers[0][1] == {
        "trt_fp16_enable": "1",
        "trt_int8_enable": "1" if quantised else "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(tmp_path / "engines" / "one"),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(tmp_path / "engines"),
    }
    assert not handed.falls_back


def test_without_an_engine_cuda_and_the_cpu_serve_and_may_fall_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = Handed(monkeypatch)
    detector = OnnxDetector(Recipe(path=write_plain_network(tmp_path / "model.onnx"), providers=AUTO))
    assert detector.provider == "cuda"
    assert [name for name, _ in handed.providers] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert handed.falls_back


def write_plain_network(path: Path) -> Path:
    return write_answering_network(path, {"output0": np.zeros((1, 300, 6), np.float32)})
