"""A CUDA machine made of a CPU: the arithmetic is real, the device of each tensor is pretended.

While `pretended_cuda` is active, every call into torch passes through a `TorchFunctionMode`. It remembers on each
storage which device its tensors claim to be on, answers `.device` accordingly, turns copies between devices into copies
in memory, and raises `WrongDevice` where CUDA would raise: operands on two devices, NumPy views of GPU tensors, random
draws with another device's generator. It also counts, by line of the package, what would make the host wait for the
GPU, and what has no deterministic form on CUDA.

Autograd, optimisers, checkpoints and OpenCV are the real ones, so whole commands run. What it cannot see is C++ code
that calls torch without Python: gradients carry no claim until Python reads them, and then take their parameter's.
"""

import collections
import concurrent.futures
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode

PACKAGE = f"{os.sep}skinlesion{os.sep}"
CPU = torch.device("cpu")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: They make tensors from nothing: on the CPU unless told otherwise.
MAKERS = _names(
    """
    arange as_tensor asarray empty eye full linspace ones rand randint randn randperm scalar_tensor tensor zeros
    """
)
#: They make tensors on the device of another, unless told otherwise.
MAKERS_LIKE = _names(
    """
    empty_like full_like new_empty new_full new_ones new_tensor new_zeros ones_like rand_like randn_like
    zeros_like
    """
)
#: They take a generator, which has to be of the device they draw on.
DRAWS = _names(
    """
    bernoulli bernoulli_ multinomial normal_ rand randint randn randperm uniform_
    """
)
#: The host waits for their values.
WAITS = _names(
    """
    __bool__ __float__ __index__ __int__ allclose equal inv item linalg_inv nonzero tolist unique
    """
)
#: They look at no value, or only at what the tensor is.
FACTS = _names(
    """
    __hash__ __len__ __repr__ __reduce_ex__ _has_compatible_shallow_copy_type can_cast data_ptr dim element_size
    has_names is_complex is_contiguous is_floating_point is_inference is_pinned is_shared is_tensor ndimension
    nelement numel register_hook requires_grad_ result_type retain_grad size storage_offset stride
    untyped_storage __format__ _is_view backward manual_seed get_rng_state set_rng_state fork_rng _parse_to
    """
)
#: Matrix products, of which the first decides with which workspace cuBLAS runs.
PRODUCTS = _names(
    """
    __matmul__ __rmatmul__ addmm baddbmm bmm einsum linear matmul mm multi_head_attention_forward
    scaled_dot_product_attention
    """
)
#: Their gradients have no deterministic form on CUDA (documentation of torch.use_deterministic_algorithms).
NOT_DETERMINISTIC = _names(
    """
    adaptive_avg_pool2d adaptive_max_pool2d cross_entropy ctc_loss grid_sample histc interpolate max_unpool2d
    nll_loss put_
    """
)


class WrongDevice(RuntimeError):
    """What CUDA would have refused."""


class PretendedCuda(TorchFunctionMode):
    """The mode itself; the counters say what happened while it was active."""

    def __init__(self, devices: int = 1) -> None:
        super().__init__()
        self.devices = devices
        self.waits: collections.Counter[str] = collections.Counter()  # "file:line what" → how often
        self.not_deterministic: collections.Counter[str] = collections.Counter()
        self.workspace_at_first_product: str | None = "none yet"
        self._thread = threading.local()
        self._lock = threading.Lock()

    # Which device ----------------------------------------------------------------------------------------------------
    @property
    def current(self) -> int:
        """The device that this thread works on: 0 in a new thread, as with CUDA."""
        return getattr(self._thread, "index", 0)

    def select(self, device: Any) -> None:
        self._thread.index = self.resolve(device).index

    def resolve(self, device: Any) -> torch.device:
        device = torch.device("cuda", device) if isinstance(device, int) else torch.device(device)
        if device.type != "cuda":
            return CPU
        index = self.current if device.index is None else device.index
        if index >= self.devices:
            raise WrongDevice(f"CUDA error: invalid device ordinal {index}")
        return torch.device("cuda", index)

    def claim(self, tensor: torch.Tensor) -> torch.device | None:
        """Return the device a tensor claims; None where nobody has said, such as a gradient's."""
        try:
            return getattr(tensor.untyped_storage(), "_claim", None)
        except (NotImplementedError, RuntimeError):  # no storage at all
            return None

    def put(self, tensor: Any, device: torch.device | None) -> Any:
        if isinstance(tensor, torch.Tensor) and device is not None and tensor.layout == torch.strided:
            tensor.untyped_storage()._claim = device  # type: ignore[attr-defined]
        return tensor

    def on_gpu(self, tensor: Any) -> bool:
        claim = self.claim(tensor) if isinstance(tensor, torch.Tensor) else None
        return claim is not None and claim.type == "cuda"

    # Counting --------------------------------------------------------------------------------------------------------
    def note(self, counter: "collections.Counter[str]", event: str) -> None:
        frame = sys._getframe(1)
        while frame is not None and PACKAGE not in frame.f_code.co_filename:
            frame = frame.f_back  # type: ignore[assignment]
        place = "elsewhere"
        if frame is not None:
            place = f"{frame.f_code.co_filename.rpartition(PACKAGE)[2]}:{frame.f_lineno}"
        with self._lock:
            counter[f"{place} {event}"] += 1

    # Every call of torch ---------------------------------------------------------------------------------------------
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", str(func))
        if name in ("__get__", "__set__"):
            return self._attribute(func, name, func.__self__.__name__, args)
        if name in FACTS or name.startswith("_set_grad"):
            return func(*args, **kwargs)
        if name in ("to", "cuda", "cpu", "type_as"):
            return self._move(name, args[0], list(args[1:]), kwargs)
        if name in ("numpy", "__array__"):
            if self.on_gpu(args[0]):
                raise WrongDevice("can't convert cuda device type tensor to numpy; use Tensor.cpu() first")
            return func(*args, **kwargs)
        if name == "pin_memory":
            if self.on_gpu(args[0]):
                raise WrongDevice("only dense CPU tensors can be pinned")
            return self.put(args[0].clone(), CPU)
        if name == "copy_":
            if self.on_gpu(args[0]) != self.on_gpu(args[1]):
                self.note(self.waits, "copy_")
            return func(*args, **kwargs)
        if name == "__getitem__":
            self._check_index(*args)
            return self.put(func(*args), self.claim(args[0]))
        if name == "__setitem__":
            self._check_index(args[0], args[1], args[2])
            return func(*args)
        return self._operation(func, name, args, kwargs)

    def _attribute(self, func: Any, kind: str, attribute: str, args: Any) -> Any:
        claim = self.claim(args[0])
        if kind == "__set__":
            value_claim = self.claim(args[1]) if attribute == "grad" and args[1] is not None else None
            if claim and value_claim and claim != value_claim:
                raise WrongDevice("assigned grad has data located on a different device")
            return func(*args)
        if attribute == "device" and claim is not None:
            return claim
        if attribute in ("is_cuda", "is_cpu"):
            return (claim or CPU).type == attribute.removeprefix("is_")
        attribute_value = func(*args)
        return (
            self.put(attribute_value, claim)
            if isinstance(attribute_value, torch.Tensor) and self.claim(attribute_value) is None
            else attribute_value
        )

    def _move(self, name: str, tensor: torch.Tensor, rest: list[Any], kwargs: dict[str, Any]) -> torch.Tensor:
        """Convert as `Tensor.to` does, and copy where the device changes."""
        source, target = self.claim(tensor), None
        waits = not kwargs.pop("non_blocking", False)
        if name in ("cpu", "cuda"):
            target = CPU if name == "cpu" else self.resolve(rest.pop(0) if rest and rest[0] is not None else "cuda")
            kwargs.pop("device", None)
        elif "device" in kwargs:
            requested = kwargs.pop("device")
            target = None if requested is None else self.resolve(requested)
        elif rest and isinstance(rest[0], (torch.device, str, int)) and not isinstance(rest[0], bool):
            target = self.resolve(rest.pop(0))
        elif rest and isinstance(rest[0], torch.Tensor):
            target = self.claim(rest[0]) or CPU
            rest[0] = rest[0].dtype
        elif rest and rest[0] is None:
            rest.pop(0)
        if len(rest) >= 2 and isinstance(rest[1], bool):  # dtype, non_blocking, copy
            waits = not rest.pop(1)
        moved = torch.Tensor.to(tensor, *rest, **kwargs) if rest or kwargs else tensor
        if target is None or target == (source or CPU):
            claim = target or source
            return moved if moved is tensor and source is not None else self.put(moved, claim)
        if moved.untyped_storage() is tensor.untyped_storage():
            moved = moved.clone(memory_format=torch.preserve_format)
        if target.type == "cpu":
            self.note(self.waits, "copies back")
        elif waits:
            self.note(self.waits, "copies to the GPU and waits")
        return self.put(moved, target)

    def _check_index(self, tensor: torch.Tensor, index: Any, value: Any = None) -> None:
        claim = self.claim(tensor)
        positions = [
            part for part in (index if isinstance(index, tuple) else (index,)) if isinstance(part, torch.Tensor)
        ]
        for part in positions:
            index_claim = self.claim(part)
            if claim and index_claim and index_claim.type == "cuda" and index_claim != claim:
                raise WrongDevice(f"indices should be either on cpu or on the same device as the tensor ({claim})")
            if self.on_gpu(tensor) and (part.dtype == torch.bool or (index_claim == CPU and part.ndim)):
                self.note(self.waits, "index")
        value_claim = self.claim(value) if positions and isinstance(value, torch.Tensor) and value.ndim else None
        if claim and value_claim and claim != value_claim:
            raise WrongDevice(f"expected all tensors to be on the same device: assigns {value_claim} into {claim}")

    def _operation(self, func: Any, name: str, args: Any, kwargs: dict[str, Any]) -> Any:
        tensors = list(_tensors((args, kwargs)))
        claims = [self.claim(tensor) for tensor in tensors]
        # A single number on the CPU may join tensors on a GPU, as an operand, not as what is changed.
        devices = {
            claim for tensor, claim in zip(tensors, claims, strict=True) if claim and (tensor.ndim or claim != CPU)
        }
        in_place = (name.endswith("_") and not name.startswith("_")) or name.startswith("__i")
        if in_place and tensors and claims[0] is not None:
            devices.add(claims[0])
        if len(devices) > 1:
            listed = ", ".join(
                f"{tuple(tensor.shape)} on {claim}" for tensor, claim in zip(tensors, claims, strict=True)
            )
            raise WrongDevice(f"expected all tensors to be on the same device: {name} of {listed}")
        device = next(iter(devices), CPU if any(claims) else None)
        if name in MAKERS or name in MAKERS_LIKE:
            requested = kwargs.pop("device", None)
            device = self.resolve(requested) if requested is not None else device or CPU
            if device.type == "cuda" and name in ("tensor", "as_tensor", "asarray", "new_tensor"):
                self.note(self.waits, "makes a GPU tensor of the host's values")
        generator = kwargs.get("generator")
        if name in DRAWS and generator is not None and device is not None and generator.device.type != device.type:
            raise WrongDevice(f"expected a {device.type} generator but found {generator.device.type}")
        if device is not None and device.type == "cuda":
            self._count(name, tensors, args)
        result = func(*args, **kwargs)
        for tensor in _tensors(result):
            if self.claim(tensor) is None:
                self.put(tensor, device)
        return result

    def _count(self, name: str, tensors: list[torch.Tensor], args: Any) -> None:
        if name in WAITS:
            self.note(self.waits, name)
        if name in PRODUCTS and self.workspace_at_first_product == "none yet":
            self.workspace_at_first_product = os.environ.get("CUBLAS_WORKSPACE_CONFIG")
        if name == "interpolate" and tensors[0].dtype == torch.uint8:
            raise WrongDevice("interpolate is not implemented for 'Byte' on CUDA")
        is_mean = name == "adaptive_avg_pool2d" and args[1] in (1, (1, 1), [1, 1])
        differentiated = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        if name in NOT_DETERMINISTIC and differentiated and not is_mean:
            self.note(self.not_deterministic, name)


def _tensors(content: Any) -> Iterator[torch.Tensor]:
    if isinstance(content, torch.Tensor):
        yield content
    elif isinstance(content, (tuple, list)):
        for part in content:
            yield from _tensors(part)
    elif isinstance(content, dict):
        yield from _tensors(list(content.values()))


class _Autocast(torch.autocast):
    """CUDA's autocast, as a CPU can do it."""

    def __init__(self, device_type: str, *args: Any, **kwargs: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, *args, **kwargs)


@contextmanager
def pretended_cuda(devices: int = 1, free: int = 100 << 30) -> Iterator[PretendedCuda]:
    """Run a block as if on a machine with CUDA devices of `free` bytes of free memory each."""
    mode = PretendedCuda(devices)
    from_numpy, submit = torch.from_numpy, concurrent.futures.ThreadPoolExecutor.submit
    group = torch.utils._foreach_utils._group_tensors_by_device_and_dtype

    def submit_inside(pool: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        def inside(*given: Any, **named: Any) -> Any:
            with mode:
                return function(*given, **named)

        return submit(pool, inside, *args, **kwargs)

    def grouped(lists: Any, with_indices: bool = False) -> dict[Any, Any]:
        """Group by the devices that tensors claim."""
        return {
            (mode.claim(next(tensor for tensor in tensors[0] if tensor is not None)) or device, dtype): (
                tensors,
                places,
            )
            for (device, dtype), (tensors, places) in group(lists, with_indices).items()
        }

    replaced = {
        "torch.nn.utils.clip_grad._group_tensors_by_device_and_dtype": grouped,
        "torch.optim.optimizer._group_tensors_by_device_and_dtype": grouped,
        "torch.optim.Optimizer._accelerator_graph_capture_health_check": lambda *_: None,
        "torch.optim.Optimizer._cuda_graph_capture_health_check": lambda *_: None,
        "torch.cuda.is_available": lambda: True,
        "torch.cuda.device_count": lambda: devices,
        "torch.cuda.current_device": lambda: mode.current,
        "torch.cuda.set_device": mode.select,
        "torch.cuda.is_bf16_supported": lambda *_, **__: True,
        "torch.cuda.get_device_name": lambda *_: "pretended",
        "torch.cuda.mem_get_info": lambda *_: (free, free),
        "torch.cuda.get_rng_state": lambda *_: torch.get_rng_state(),
        "torch.cuda.set_rng_state": lambda *_, **__: None,
        "torch.cuda.synchronize": lambda *_: mode.note(mode.waits, "synchronize"),
        "torch.cuda.empty_cache": lambda: None,
        "torch.cuda._lazy_init": lambda: None,
        "torch.autocast": _Autocast,
        "torch.from_numpy": lambda array: mode.put(from_numpy(array), CPU),
        "concurrent.futures.ThreadPoolExecutor.submit": submit_inside,
    }
    with ExitStack() as patches:
        for target, replacement in replaced.items():
            patches.enter_context(mock.patch(target, replacement, create=target.startswith("torch.optim.Optimizer")))
        patches.enter_context(mode)
        yield mode
