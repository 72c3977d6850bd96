"""Sessions: modules, tensors and calls on a device, whatever the debug link to it."""

import itertools
import runpy
import time

import numpy as np
import pytest

from smelt.devices.heap import ALIGN, Block, Heap
from smelt.devices.session import Session
from smelt.devices.session_errors import DeviceHeapFull, SessionEnded, WrongBoard
from smelt.devices.session_layout import STACK_BYTES, make_layout
from smelt.devices.simulators.link import SimulatorLink
from smelt.errors import BuildError, DeviceError, OptionError
from smelt.firmware.module import ARGUMENT_BYTES, TASKS, build_module, helpers_of, module_source
from smelt.kernels.conv2d_portable import CONV2D_PORTABLE
from smelt.kernels.dense_portable import DENSE_PORTABLE
from smelt.model.reference import evaluate
from smelt.targets.boards import BOARDS, DISCO_F746NG, ESP32_C3, MPS3_AN547, NUCLEO_L4R5ZI
from tests.mac_cases import Maker
from tests.paths import ROOT
from tests.session_links import TRANSPORTS, opened
from tests.tiny_firmware import need

C = """
#include <stdint.h>
#include <string.h>
static int calls = 40;
static int zeros[3];
const int table[] = {2, 3, 5, 7};
int weighted(int a, int b, int c, int d, int e, int f, int g, int h, int i, int j, int k)
{
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + 10 * j + 11 * k;
}
int nothing(void) { return -7; }
int counted(void) { return ++calls + zeros[calls % 3]; }
static int chosen(int i) { return table[i & 3]; }
int (*volatile indirect)(int) = chosen;
int through_pointer(int i) { return indirect(i); }
int quotient(const int64_t *x) { return (int)(x[0] / x[1]); }
void half(float *x) { *x *= 0.5f; }
void fill(uint8_t *to, int value, int n) { memset(to, value, (unsigned)n); }
void copy(uint8_t *to, const uint8_t *from, int n) { memcpy(to, from, (unsigned)n); }
void add_one(int32_t *x, int n) { for (int i = 0; i < n; i++) x[i]++; }
"""


@pytest.fixture(scope="module", params=TRANSPORTS)
def shared(request):
    """A session with the functions above, for tests that leave it as it was."""
    with opened(request.param) as link, Session(link) as session:
        yield session, session.load(C)


@pytest.mark.parametrize("board", BOARDS, ids=lambda b: b.name)
def test_the_runtime_takes_a_few_hundred_bytes(board):
    layout = make_layout(board)
    assert 200 < len(layout.runtime.data) < 800
    blocks = sorted([layout.stack, layout.queue, layout.arguments, *layout.heap], key=lambda b: b.address)
    assert all(a.end <= b.address for a, b in itertools.pairwise(blocks))
    assert layout.stack.address == board.chip.rams[0].start
    total = sum(m.size for m in board.chip.rams if not m.external)  # the others nobody has set up
    assert total - sum(b.size for b in layout.heap) < STACK_BYTES + ARGUMENT_BYTES + 1536


# --- calls ------------------------------------------------------------------------------------------------------------


def test_any_number_of_arguments(shared):
    _, module = shared
    numbers = [3, -1, 4, -1, 5, -9, 2, -6, 5, 3, 2**20]
    assert module.weighted(*numbers).result == sum((i + 1) * n for i, n in enumerate(numbers))
    assert module.nothing().result == -7


def test_code_has_its_data(shared):
    _, module = shared
    first = module.counted().result
    assert module.counted().result == first + 1
    assert [module.through_pointer(i).result for i in range(4)] == [2, 3, 5, 7]


def test_helpers_of_the_compiler_come_with_the_module(shared):
    session, module = shared
    tensor = session.tensor(np.array([-(10**15), 10**9], np.int64))
    assert module.quotient(tensor).result == -(10**6)
    number = np.array([3.0], np.float32)
    module.half(number)
    assert number[0] == 1.5
    tensor.free()


def test_cycles_are_counted(shared):
    session, module = shared
    tensor = session.empty(2000, "uint8")
    little, much = (module.fill(tensor, 1, n).cycles for n in (4, 2000))
    queued = [module.fill(tensor, 1, n) for n in (4, 2000)]
    counts = [call.cycles for call in queued]
    tensor.free()
    if session.board.name.startswith("mps"):
        assert little is much is None and counts == [None, None]  # QEMU counts nothing
        return
    assert 10 < little < much < 20_000
    if session.board.core.isa.family == "arm":
        assert counts == pytest.approx([little, much], rel=0.2, abs=60)  # the core's own counter tells them apart
    else:
        assert counts == [None, None]


def test_calls_wait_until_a_result_is_needed(shared):
    session, module = shared
    tensor = session.tensor(np.zeros(5, np.int32))
    calls = [module.add_one(tensor, n) for n in (5, 4, 2)]
    assert session.pending == 3 and not any(c.done for c in calls)
    assert tensor.numpy().tolist() == [3, 3, 2, 2, 1]
    assert session.pending == 0 and all(c.done for c in calls)
    tensor.free()


def test_a_full_queue_is_run(shared):
    session, module = shared
    tensor = session.tensor(np.zeros(1, np.int32))
    calls = [module.add_one(tensor, 1) for _ in range(2 * TASKS + 3)]
    assert session.pending == 3
    assert [c.done for c in calls].count(False) == 3
    assert tensor.numpy().item() == len(calls)
    results = [module.weighted(*[i] * 11) for i in range(60)]  # here the arguments fill up first
    assert ARGUMENT_BYTES < 60 * 44
    assert [r.result for r in results] == [66 * i for i in range(60)]
    tensor.free()


def test_strict_sessions_call_at_once():
    with Session(NUCLEO_L4R5ZI, strict=True) as session:
        module, tensor = session.load(C), session.tensor(np.zeros(2, np.int32))
        used = session.heap.used
        assert module.add_one(tensor, 2).done
        assert module.copy(tensor, np.full(8, 1, np.uint8), 8).done
        assert session.pending == 0 and session.heap.used == used


def test_wrong_arguments_are_refused(shared):
    session, module = shared
    used = session.heap.used
    with pytest.raises(OptionError, match="weighted: cannot pass a str"):
        module.weighted(np.zeros(9), "x")
    with pytest.raises(OptionError, match="weighted: cannot pass a float"):
        module.weighted(1.5)
    with pytest.raises(OptionError, match="32 bits"):
        module.weighted(2**32)
    with pytest.raises(OptionError, match="too many"):
        module.weighted(*range(300))
    with pytest.raises(AttributeError, match=r"no function 'wieghted'; it has .*weighted"):
        module.wieghted(1)
    assert session.heap.used == used and session.pending == 0


# --- tensors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float32", "bool"])
def test_tensors_keep_what_they_are_given(shared, dtype):
    session, _ = shared
    array = np.random.default_rng(1).integers(-100, 100, (3, 1, 7)).astype(dtype)
    tensor = session.tensor(array[:, :, ::-1])
    assert tensor.numpy().dtype == array.dtype and tensor.address % ALIGN == 0
    np.testing.assert_array_equal(tensor.numpy(), array[:, :, ::-1])
    tensor.write(array)
    np.testing.assert_array_equal(tensor.numpy(), array)
    with pytest.raises(OptionError, match="the tensor is"):
        tensor.write(array[0])
    tensor.free()
    tensor.free()
    with pytest.raises(SessionEnded):
        tensor.numpy()


def test_numpy_arrays_travel_there_and_back(shared):
    session, module = shared
    used = session.heap.used
    x, y = np.arange(9, dtype=np.uint8), np.zeros(9, np.uint8)
    x.flags.writeable = False
    module.copy(y[:5], x, 5)
    assert y.tolist() == [0, 1, 2, 3, 4, 0, 0, 0, 0]
    module.fill(y[::3], 9, 3)  # not even contiguous
    assert y.tolist() == [9, 1, 2, 9, 4, 0, 9, 0, 0]
    assert session.heap.used == used


def test_empty_tensors_are_harmless(shared):
    session, _ = shared
    tensor = session.tensor(np.zeros((0, 3), np.int8))
    assert tensor.numpy().shape == (0, 3)
    tensor.free()


def test_tensors_of_another_session_are_refused(shared):
    _, module = shared
    with Session(NUCLEO_L4R5ZI) as other, pytest.raises(OptionError, match="another session"):
        module.copy(other.empty(3), other.empty(3), 3)


# --- kernels ----------------------------------------------------------------------------------------------------------


def build(implementation, op, board):
    return implementation.build(op, next(iter(implementation.schedules(op, board.core))))


def test_a_kernel_takes_arrays_in_the_order_of_its_buffers(shared):
    session, _ = shared
    op = Maker(3).conv((1, 5, 5, 3), 4, (3, 3), pad=(1, 1, 1, 1))
    call = build(CONV2D_PORTABLE, op, session.board)
    module = session.load(call.kernel)
    x = np.random.default_rng(1).integers(-128, 128, op.x.shape).astype(np.int8)
    y = np.zeros(op.y.shape, np.int8)
    arguments = [a if isinstance(a, np.ndarray) else x if a is op.x else y for a in call.arguments]
    getattr(module, call.kernel.name)(*arguments)
    np.testing.assert_array_equal(y, evaluate(op, x, op.weights.constant, op.bias.constant))
    module.free()


@pytest.mark.parametrize("board", [NUCLEO_L4R5ZI, ESP32_C3], ids=lambda b: b.name)
def test_kernel_calls_bring_their_tables(board):
    first, second = Maker(1).dense(1, 12, 5), Maker(1).dense(1, 12, 5)
    second.weights.constant[...] = first.weights.constant[::-1]
    calls = [build(DENSE_PORTABLE, op, board) for op in (first, second)]
    with Session(board) as session:
        module = session.load(calls)
        x = session.tensor(np.random.default_rng(1).integers(-128, 128, first.x.shape).astype(np.int8))
        y = session.empty(first.y.shape)
        for op, call in zip((first, second), calls, strict=True):
            module[call](x, y)
            expected = evaluate(op, x.numpy(), op.weights.constant, op.bias.constant)
            np.testing.assert_array_equal(y.numpy(), expected)
        with pytest.raises(KeyError):
            module[build(DENSE_PORTABLE, first, board)]
        module.free()
        with pytest.raises(SessionEnded):
            module[calls[0]](x, y)
        assert session.heap.used == x.block.size + y.block.size


def test_kernels_check_their_arguments(shared):
    session, _ = shared
    call = build(DENSE_PORTABLE, Maker(1).dense(1, 12, 5), session.board)
    module = session.load(call)
    x, y = np.zeros((1, 12), np.int8), np.zeros((1, 5), np.int8)
    function = module[call]
    with pytest.raises(OptionError, match=r"takes \(.*\) or just \(x, y\); 1 arguments were given"):
        function(x)
    with pytest.raises(OptionError, match="'x' must have 12 elements of int8, not int8 1x5"):
        function(y, y)
    with pytest.raises(OptionError, match="'x' must have 12 elements of int8, not int16"):
        function(x.astype(np.int16), y)
    with pytest.raises(OptionError, match="'y' must be an array"):
        function(x, 5)
    y.flags.writeable = False
    with pytest.raises(OptionError, match="read-only"):
        function(x, y)
    module.free()


def test_what_cannot_be_loaded(shared):
    session, _ = shared
    used = session.heap.used
    with pytest.raises(OptionError, match="a session loads"):
        session.load([])
    with pytest.raises(OptionError, match="a session loads"):
        session.load([3])
    with pytest.raises(BuildError, match=r"module\.c.*error"):
        session.load("int f(void) { return 1 }")
    with pytest.raises(BuildError, match="missing_function"):
        session.load("int missing_function(void); int f(void) { return missing_function(); }")
    assert session.heap.used == used


def test_a_module_is_made_for_its_board():
    source = module_source("int f(void) { return 1; }")
    assert source.board is None
    with pytest.raises(WrongBoard, match="made for disco_f746ng, this is a nucleo_l4r5zi"):
        from tests.test_layers import compilation

        with Session(NUCLEO_L4R5ZI) as session:
            session.load(compilation(DISCO_F746NG))


def test_modules_have_the_same_bytes_every_time():
    helpers = helpers_of(make_layout(DISCO_F746NG).runtime)
    assert "memcpy" in helpers and "__aeabi_memset4" in helpers
    first, second = (build_module(module_source(C), DISCO_F746NG, 0x20020000, helpers) for _ in range(2))
    assert first.data == second.data


# --- leaks ------------------------------------------------------------------------------------------------------------


def test_a_thousand_calls_leak_nothing(shared):
    session, module = shared
    before = (session.heap.used, session.heap.largest, len(session._tensors), len(session._modules))
    x, y = np.arange(64, dtype=np.uint8), np.zeros(64, np.uint8)
    rounds = 250 if session.board.name in ("nucleo_l4r5zi", "mps2_an386") else 25  # of four calls
    for i in range(rounds):
        module.copy(y, x + np.uint8(i), 64)
        assert module.weighted(i, 1).name == "weighted"
        tensor = session.tensor(x)
        module.fill(tensor, i & 255, 64)
        assert y[1] == (i + 1) & 255
        module.add_one(np.zeros(3, np.int32), 3)
        tensor.free()
    assert session.pending == 0
    assert (session.heap.used, session.heap.largest, len(session._tensors), len(session._modules)) == before


def test_modules_come_and_go(shared):
    session, _ = shared
    before = session.heap.used, session.heap.largest
    for i in range(5):
        module = session.load(f"int f(void) {{ return {i}; }}")
        assert module.f().result == i
        module.free()
    assert (session.heap.used, session.heap.largest) == before


def test_a_large_module_takes_seconds_through_openocd():
    with opened("openocd-disco_f746ng") as link, Session(link) as session:
        start = time.monotonic()
        module = session.load("const unsigned char big[102400] = {7}; int at(int i) { return big[i]; }")
        assert len(module.module.data) > 102_400 and module.at(0).result == 7
        assert time.monotonic() - start < 20


def test_boards_that_the_simulator_does_not_know_run_in_qemu():
    need("qemu-system-arm")
    with Session(MPS3_AN547) as session:
        assert session.load("int f(int x) { return x + 1; }").f(3).result == 4
        process = session.link.process
    assert not process.alive
    with pytest.raises(SessionEnded, match="it was closed"):
        session.link.reset()


def test_the_end_frees_everything():
    link = SimulatorLink(NUCLEO_L4R5ZI)
    for _ in range(3):
        with Session(link) as session:
            module, tensor = session.load(C), session.tensor(np.zeros(100, np.int32))
            module.add_one(tensor, 100)  # still queued: it runs at the end
        assert session.heap.used == 0
        with pytest.raises(SessionEnded, match="it was closed"):
            session.empty(3)
        with pytest.raises(SessionEnded):
            module.nothing()
        with pytest.raises(SessionEnded):
            tensor.numpy()


# --- the heap ---------------------------------------------------------------------------------------------------------


def test_the_heap_gives_what_is_free():
    memories = (Block(0x20000000, 4096), Block(0x20010000, 65536))
    heap = Heap(DISCO_F746NG, memories)
    random = np.random.default_rng(1)
    blocks = []
    for _ in range(2000):
        if blocks and random.random() < 0.45:
            heap.release(blocks.pop(int(random.integers(len(blocks)))))
            continue
        try:
            blocks.append(heap.allocate(int(random.integers(0, 3000))))
        except DeviceHeapFull:
            heap.release(blocks.pop())
        taken = sorted(blocks, key=lambda b: b.address)
        assert all(a.end <= b.address for a, b in itertools.pairwise(taken))
        assert all(any(m.address <= b.address and b.end <= m.end for m in memories) for b in taken)
        assert heap.used + heap.free == heap.size == 4096 + 65536
    for block in blocks:
        heap.release(block)
    assert heap.used == 0 and heap.largest == memories[1]
    with pytest.raises(DeviceError, match="nothing is allocated"):
        heap.release(Block(0x20000000, 16))


def test_tensors_lie_in_the_memory_that_is_asked_for():
    with Session(DISCO_F746NG) as session:
        for name in ("dtcm", "sram1", "sram2"):
            memory = next(m for m in DISCO_F746NG.chip.rams if m.name == name)
            address = session.empty(100, memory=name).address
            assert memory.start <= address < memory.end
        elsewhere = session.empty(100_000, memory="dtcm").address
        assert elsewhere > 0x20010000


def test_the_heap_says_what_is_missing():
    heap = Heap(DISCO_F746NG, (Block(0x20000000, 64), Block(0x20010000, 128)))
    heap.allocate(20)
    with pytest.raises(DeviceHeapFull, match="129 bytes needed, 160 free, the largest free block has 128") as caught:
        heap.allocate(129)
    assert (caught.value.needed, caught.value.free, caught.value.largest) == (129, 160, 128)


# --- the example ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_example_runs_everywhere(transport):
    example = runpy.run_path(str(ROOT / "examples" / "session_convolution.py"))
    op = example["convolution"]()
    x = np.random.default_rng(7).integers(-128, 128, op.x.shape).astype(np.int8)
    with opened(transport) as link:
        y, _ = example["run"](link, op, x)
    np.testing.assert_array_equal(y, evaluate(op, x, op.weights.constant, op.bias.constant))


def test_the_example_says_what_it_did(capsys):
    runpy.run_path(str(ROOT / "examples" / "session_convolution.py"))["main"]("nucleo_h743zi")
    assert "384 values" in (text := capsys.readouterr().out) and "equal to the reference" in text
