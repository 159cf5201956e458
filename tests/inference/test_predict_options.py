"""What `--precision` means: bf16 where the hardware has it, one line where it would be emulated."""

import pytest
import torch

from selfpose6d.errors import UsageError
from selfpose6d.inference.options import use_bf16


@pytest.fixture
def hardware(monkeypatch):
    """Sets a CUDA device's compute capability and a CPU's instructions."""

    def describe(capability: tuple[int, int] = (7, 5), amx: bool = False, avx512: bool = False) -> None:
        def supported(including_emulation: bool = True) -> bool:
            return including_emulation or capability >= (8, 0)

        monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)

    return describe


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)])
def test_gpus_with_bf16_units_take_it(hardware, capability):
    hardware(capability)
    assert use_bf16("cuda", "auto") is True
    assert use_bf16("cuda", "bf16") is True
    assert use_bf16("cuda", "fp32") is False


def test_a_gpu_that_emulates_it_does_not(hardware):
    hardware((7, 5), amx=True)
    assert use_bf16("cuda", "auto") is False
    with pytest.raises(
        UsageError, match=r"this GPU only emulates it.*capability 8\.0.*--precision fp32 or auto"
    ):
        use_bf16("cuda", "bf16")


@pytest.mark.parametrize("instructions", [{"amx": True}, {"avx512": True}])
def test_cpus_with_bf16_instructions_take_it(hardware, instructions):
    hardware(**instructions)
    assert use_bf16("cpu", "auto") is True
    assert use_bf16("cpu", "bf16") is True
    assert use_bf16("cpu", "fp32") is False


def test_a_cpu_that_emulates_it_does_not(hardware):
    hardware((8, 0))
    assert use_bf16("cpu", "auto") is False
    with pytest.raises(UsageError, match="this CPU only emulates it"):
        use_bf16("cpu", "bf16")


def test_a_torch_that_does_not_know_the_question_says_no(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert use_bf16("cpu", "auto") is False
    with pytest.raises(UsageError, match="--precision bf16"):
        use_bf16("cpu", "bf16")
