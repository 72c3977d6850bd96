"""What lives on a device, as Python objects: tensors, functions, modules, and calls that run when their result is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, Protocol

import numpy as np

from smelt.devices.heap import Block
from smelt.devices.session_errors import ContentLost, SessionEnded
from smelt.errors import OptionError
from smelt.firmware.module import Module, ModuleSource, Parameter, Signature

Array = np.ndarray[Any, np.dtype[Any]]


class Call:
    """A function call on its way to the device. `result` and `cycles` run the queue if need be."""

    def __init__(self, name: str, pointer: int, words: Sequence[int], run: Callable[[], None]) -> None:
        self.name, self.pointer, self.words = name, pointer, tuple(words)
        self.outcome: tuple[int, int | None] | None = None
        self.temporaries: tuple[RemoteTensor, ...] = ()
        self._run = run

    @property
    def done(self) -> bool:
        return self.outcome is not None

    def wait(self) -> Call:
        """Run everything up to this call. Raises DeviceError where that went wrong."""
        self._finished()
        return self

    @property
    def result(self) -> int:
        """What the function returned, as an int32 (meaningless for void functions)."""
        return self._finished()[0]

    @property
    def cycles(self) -> int | None:
        """The cycles it took, the call itself included; None where the device cannot count them."""
        return self._finished()[1]

    def _finished(self) -> tuple[int, int | None]:
        if self.outcome is None:
            self._run()
        if self.outcome is None:
            raise SessionEnded(f"{self.name} was never completed: it, or what was queued with it, went wrong")
        return self.outcome


class Host(Protocol):
    """What remote objects need from their session."""

    epoch: int

    def run(self) -> None: ...
    def read(self, address: int, size: int) -> bytes: ...
    def write(self, address: int, data: bytes) -> None: ...
    def submit(self, call: Call) -> None: ...
    def forget(self, thing: RemoteTensor | RemoteModule) -> None: ...
    def tensor(self, array: Array) -> RemoteTensor: ...
    def empty(self, shape: int | Sequence[int], dtype: Any = "int8") -> RemoteTensor: ...


class RemoteTensor:
    """An array in the device's RAM: `address`, `shape`, `dtype`. Use `session.tensor` and `session.empty` to make one."""

    def __init__(self, session: Host, block: Block, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.session, self.block = session, block
        self.shape, self.dtype = shape, dtype
        self.epoch = session.epoch
        self.freed = False

    @property
    def address(self) -> int:
        """Raises SessionEnded after `free`, ContentLost where a reset of the device destroyed the content."""
        self._check_alive()
        if self.epoch != self.session.epoch:
            raise ContentLost("this tensor lost its content when the device was reset: write it again")
        return self.block.address

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def numpy(self) -> Array:
        """The content, after everything that was called has run."""
        self.session.run()
        data = self.session.read(self.address, self.nbytes)
        return np.frombuffer(data, self.dtype).reshape(self.shape).copy()

    def write(self, array: Array) -> None:
        """Replace the content, after everything that was called has run. Raises OptionError for another shape or dtype."""
        if array.shape != self.shape or array.dtype != self.dtype:
            raise OptionError(f"the tensor is {_kind(self)}, the array {_kind(array)}")
        self.session.run()
        self._check_alive()
        self.epoch = self.session.epoch
        self.session.write(self.address, np.ascontiguousarray(array).tobytes())

    def free(self) -> None:
        """Give the memory back, after everything that was called has run. Harmless if done twice."""
        if not self.freed:
            try:
                self.session.run()
            finally:
                self.release()

    def release(self) -> None:
        """Give the memory back at once, whoever may still use it."""
        if not self.freed:
            self.freed = True
            self.session.forget(self)

    def _check_alive(self) -> None:
        if self.freed:
            raise SessionEnded("this tensor was freed, or its session has ended")

    def __repr__(self) -> str:
        state = "freed" if self.freed else f"at {self.block.address:#010x}"
        return f"<RemoteTensor {_kind(self)} {state}>"


Argument = RemoteTensor | Array | int | np.integer[Any]


class RemoteFunction:
    """A function on the device. Arrays travel there and, where the function may have written them, back."""

    def __init__(self, module: RemoteModule, name: str, pointer: int, signature: Signature | None) -> None:
        self.name, self.pointer, self.signature = name, pointer, signature
        self._module = module

    def __call__(self, *arguments: Argument) -> Call:
        """Call it with remote tensors, NumPy arrays, and integers of up to 32 bits, in the order of its C parameters.

        Tables that the module was loaded with, and scratch, may be left out. The call waits in the queue until a result is
        needed; at once, where a NumPy array has to be brought up to date. Raises OptionError for wrong arguments, DeviceError.
        """
        session = self._module.alive()
        with _temporaries() as temporaries:
            words, outputs = self._prepare(session, arguments, temporaries)
            call = Call(self.name, self.pointer, words, session.run)
            session.submit(call)
            if outputs:
                session.run()
            elif not call.done:
                call.temporaries = tuple(temporaries)
                temporaries.clear()
            for array, tensor in outputs:
                array[...] = tensor.numpy()
        return call

    def _prepare(
        self, session: Host, arguments: Sequence[Argument], temporaries: list[RemoteTensor]
    ) -> tuple[list[int], list[tuple[Array, RemoteTensor]]]:
        """The words to pass, and the arrays to bring up to date from their tensors."""
        words: list[int] = []
        outputs: list[tuple[Array, RemoteTensor]] = []
        for argument, parameter in self._complete(session, arguments, temporaries):
            if not isinstance(argument, np.ndarray):
                words.append(_word(self.name, session, argument))
                continue
            written = parameter.role in ("output", "scratch") if parameter else argument.flags.writeable
            tensor = _copied(session, argument, parameter)
            temporaries.append(tensor)
            words.append(tensor.address)
            if written:
                outputs.append((argument, tensor))
        return words, outputs

    def _complete(
        self, session: Host, given: Sequence[Argument], temporaries: list[RemoteTensor]
    ) -> list[tuple[Argument, Parameter | None]]:
        """The arguments, checked, with those that were left out filled in."""
        if self.signature is None:
            return [(a, None) for a in given]
        parameters = self.signature.parameters
        if len(given) == len(parameters):
            pairs = list(zip(given, parameters, strict=True))
        elif len(given) == len(self.signature.open):
            rest = iter(given)
            pairs = [(self._default(session, p, temporaries, rest), p) for p in parameters]
        else:
            raise OptionError(f"{self.name} takes {self._takes()}; {len(given)} arguments were given")
        for argument, parameter in pairs:
            self._check(argument, parameter)
        return [(a, p) for a, p in pairs]

    def _default(
        self, session: Host, parameter: Parameter, temporaries: list[RemoteTensor], given: Iterator[Argument]
    ) -> Argument:
        if parameter.value is not None:
            return self._module.table(parameter)
        if parameter.role != "scratch":
            return next(given)
        temporaries.append(session.empty(parameter.elements, parameter.dtype))
        return temporaries[-1]

    def _check(self, argument: Argument, parameter: Parameter) -> None:
        if not isinstance(argument, np.ndarray | RemoteTensor):
            raise OptionError(f"{self.name}: '{parameter.name}' must be an array or a remote tensor, not {argument!r}")
        fits = argument.dtype == np.dtype(parameter.dtype) and argument.size == parameter.elements
        if not fits and not (parameter.role == "scratch" and argument.nbytes >= parameter.bytes):
            wanted = f"{parameter.elements} elements of {parameter.dtype}"
            raise OptionError(f"{self.name}: '{parameter.name}' must have {wanted}, not {_kind(argument)}")
        if isinstance(argument, np.ndarray) and parameter.role == "output" and not argument.flags.writeable:
            raise OptionError(f"{self.name}: '{parameter.name}' is an output, but the array is read-only")

    def _takes(self) -> str:
        assert self.signature is not None
        everything, needed = self.signature.parameters, self.signature.open
        texts = [
            ", ".join(p.name for p in ps) for ps in ((everything, needed) if needed != everything else (everything,))
        ]
        return " or just ".join(f"({text})" for text in texts)

    def __repr__(self) -> str:
        return f"<RemoteFunction {self.name} at {self.pointer:#010x}>"


class RemoteModule:
    """Functions that were loaded into the device: `module.name(...)`, or `module[kernel_call](...)` with that call's tables."""

    def __init__(self, session: Host, source: ModuleSource, module: Module, block: Block) -> None:
        self.session, self.module, self.block = session, module, block
        self.freed = False
        self._signatures = source.signatures
        self._calls = source.calls
        self._tables: dict[int, RemoteTensor] = {}  # by the identity of the array, which `_calls` keeps alive

    @property
    def functions(self) -> Mapping[str, RemoteFunction]:
        """Every function, by name."""
        return {n: RemoteFunction(self, n, p, self._signatures.get(n)) for n, p in self.module.functions.items()}

    def __getattr__(self, name: str) -> RemoteFunction:
        if name.startswith("_") or name == "module" or name not in self.module.functions:
            raise AttributeError(f"the module has no function '{name}'; it has {', '.join(self.module.functions)}")
        return RemoteFunction(self, name, self.module.functions[name], self._signatures.get(name))

    def __getitem__(self, call: object) -> RemoteFunction:
        for known, signature in self._calls:
            if known is call:
                return RemoteFunction(self, signature.name, self.module.functions[signature.name], signature)
        raise KeyError("the module was not loaded with this kernel call")

    def alive(self) -> Host:
        """The session; raises SessionEnded after `free`."""
        if self.freed:
            raise SessionEnded("this module was freed, or its session has ended")
        return self.session

    def table(self, parameter: Parameter) -> RemoteTensor:
        """The constant data of a parameter, on the device until the module is freed."""
        assert parameter.value is not None
        key = id(parameter.value)
        if key not in self._tables:
            self._tables[key] = self.session.tensor(parameter.value)
        elif self._tables[key].epoch != self.session.epoch:
            self._tables[key].write(parameter.value)
        return self._tables[key]

    def free(self) -> None:
        """Give the memory back, after everything that was called has run. Harmless if done twice."""
        if not self.freed:
            try:
                self.session.run()
            finally:
                self.release()

    def release(self) -> None:
        """Give the memory back at once."""
        if not self.freed:
            self.freed = True
            for tensor in self._tables.values():
                tensor.release()
            self.session.forget(self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.module.functions]

    def __repr__(self) -> str:
        return f"<RemoteModule {', '.join(self.module.functions)}: {len(self.module.data)} bytes>"


@contextmanager
def _temporaries() -> Iterator[list[RemoteTensor]]:
    """Tensors that are freed at the end, whatever happens."""
    tensors: list[RemoteTensor] = []
    try:
        yield tensors
    finally:
        for tensor in tensors:
            tensor.release()


def _copied(session: Host, array: Array, parameter: Parameter | None) -> RemoteTensor:
    """A tensor for `array`; its content travels only if the function may read it."""
    if parameter is not None and parameter.role in ("output", "scratch"):
        return session.empty(array.shape, array.dtype)
    return session.tensor(array)


def _word(function: str, session: Host, argument: Argument) -> int:
    if isinstance(argument, RemoteTensor):
        if argument.session is not session:
            raise OptionError(f"{function}: a tensor of another session")
        return argument.address
    if isinstance(argument, int | np.integer | np.bool_):
        if not -(2**31) <= int(argument) < 2**32:
            raise OptionError(f"{function}: {argument} does not fit into 32 bits")
        return int(argument) & 0xFFFFFFFF
    # floats travel in other registers on cores with the hard-float ABI
    raise OptionError(
        f"{function}: cannot pass a {type(argument).__name__} to a device: only arrays, tensors and integers"
    )


def _kind(array: Array | RemoteTensor) -> str:
    return f"{array.dtype} {'x'.join(map(str, array.shape)) or 'scalar'}"
