"""Everything that can go wrong in a session: a named DeviceError in time, and a session that goes on or has ended cleanly."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from smelt.devices.link import LinkLost, UnexpectedReset, WrongChip
from smelt.devices.session import Session
from smelt.devices.session_errors import (
    ContentLost,
    DeviceHeapFull,
    DeviceReset,
    FunctionFault,
    FunctionTimeout,
    SessionEnded,
)
from smelt.devices.simulators.link import SimulatorLink
from smelt.errors import DeviceError
from smelt.targets.boards import NUCLEO_L4R5ZI
from tests.session_links import FEW, Breakable, opened

C = """
#include <stdint.h>
static int count = 1;
int fine(int x) { return x + count; }
void set(int x) { count = x; }
void forever(void) { for (volatile int i = 0;; i++) { } }
int bad_pointer(volatile int *p) { return *p; }
void undefined(void) { __asm__ volatile(".short 0, 0xde00"); }
int recursion(int n) { volatile int big[64] = {0}; return n == 0 ? big[0] : recursion(n - 1) + big[n & 63]; }
void early(void)
{
#if defined(__arm__)
    __asm__ volatile("bkpt 1");
#else
    __asm__ volatile("ebreak");
#endif
}
"""


@pytest.fixture(params=FEW)
def device(request):
    """A session that things may happen to, its module, and its link."""
    with opened(request.param) as link:
        breakable = Breakable(link)
        with Session(breakable, timeout=0.6) as session:
            yield session, session.load(C), breakable


def assert_alive(session, module):
    """The runtime and the module are as new."""
    assert module.fine(41).result == 42
    assert session.pending == 0
    module.set(7)
    assert module.fine(1).result == 8


def test_a_function_that_never_returns(device):
    session, module, _ = device
    module.set(5)
    kept = module.fine(0)
    start = time.monotonic()
    stuck, after = module.forever(), module.fine(2)
    with pytest.raises(FunctionTimeout, match=r"forever: did not return within 0.6 s, it was in forever") as caught:
        stuck.wait()
    assert time.monotonic() - start < 5
    assert caught.value.function == "forever" and caught.value.board == session.board.name
    for call in (kept, stuck, after):
        with pytest.raises(SessionEnded, match=r"never completed"):
            call.wait()
    assert_alive(session, module)


@pytest.mark.parametrize("where", [0xF0000004, 0x68000000 + 3])
def test_a_bad_pointer(device, where):
    session, module, _ = device
    module.fine(1)
    module.bad_pointer(where)
    module.fine(2)
    with pytest.raises(FunctionFault, match=r"bad_pointer: .*in bad_pointer") as caught:
        session.run()
    assert caught.value.function == "bad_pointer"
    assert_alive(session, module)


def test_an_undefined_instruction(device):
    session, module, _ = device
    with pytest.raises(FunctionFault, match=r"undefined: .*undefined instruction"):
        module.undefined().wait()
    assert_alive(session, module)


def test_a_breakpoint_in_a_function(device):
    session, module, _ = device
    with pytest.raises(FunctionFault, match=r"early: stopped at 0x[0-9a-f]+ in early"):
        module.early().wait()
    assert_alive(session, module)


def test_a_stack_that_overflows(device):
    session, module, _ = device
    with pytest.raises(FunctionFault, match="recursion"):
        module.recursion(100_000).wait()
    assert_alive(session, module)


def test_a_small_overflow_of_the_stack_is_seen():
    with Session(NUCLEO_L4R5ZI, stack_bytes=1024) as session:
        module = session.load("void damage(volatile int *limit) { *limit = 0; }")
        with pytest.raises(FunctionFault, match="damage: the stack of 1024 bytes overflowed"):
            module.damage(session.layout.stack.address).wait()


def test_tensors_lose_their_content_with_the_device(device):
    session, module, _ = device
    tensor = session.tensor(np.arange(4))
    with pytest.raises(FunctionTimeout):
        module.forever().wait()
    with pytest.raises(ContentLost, match="write it again"):
        tensor.numpy()
    with pytest.raises(ContentLost):
        module.bad_pointer(tensor)
    tensor.write(np.arange(4) * 2)
    assert tensor.numpy().tolist() == [0, 2, 4, 6]
    tensor.free()


def test_failures_leak_nothing(device):
    session, module, _ = device
    used = session.heap.used
    for function, error in ((module.forever, FunctionTimeout), (module.undefined, FunctionFault)):
        module.bad_pointer(np.zeros(100, np.int32)[::1])
        with pytest.raises(error):
            function().wait()
        with pytest.raises(error):
            function(np.zeros(100, np.int32))
    assert session.heap.used == used
    assert_alive(session, module)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_link_that_dies(device, when):
    session, module, link = device
    tensor = session.tensor(np.zeros(3))
    setattr(link, f"{when}_call", link.die)
    start = time.monotonic()
    call = module.fine(1)
    with pytest.raises(LinkLost, match="fine: the probe was unplugged"):
        call.wait()
    assert time.monotonic() - start < 2
    assert session.heap.used == 0 and tensor.freed and module.freed
    with pytest.raises(SessionEnded):
        tensor.numpy()
    with pytest.raises(SessionEnded):
        module.fine(1)
    with pytest.raises(SessionEnded, match=r"cannot be used: the link to the device was lost"):
        session.load(C)
    session.close()


@pytest.mark.parametrize("transport", ["openocd-disco_f746ng", "qemu-mps2_an386"])
def test_a_program_that_is_killed_during_a_call(transport):
    with opened(transport) as link, Session(link, timeout=30) as session:
        module, tensor = session.load(C), session.tensor(np.zeros(3))
        killer = threading.Timer(0.3, os.kill, (link.process.pid, signal.SIGTERM))
        killer.start()
        start = time.monotonic()
        with pytest.raises(LinkLost, match="forever: "):
            module.forever().wait()
        assert time.monotonic() - start < 10
        killer.join()
        assert tensor.freed and session.heap.used == 0
        with pytest.raises(SessionEnded):
            module.fine(1)
    assert not link.process.alive


def test_a_link_that_dies_between_calls(device):
    session, _, link = device
    tensor = session.tensor(np.zeros(3))
    link.die()
    with pytest.raises(LinkLost):
        tensor.numpy()
    with pytest.raises(SessionEnded):
        session.empty(1)


def test_a_link_that_is_dead_from_the_start():
    link = Breakable(SimulatorLink(NUCLEO_L4R5ZI))
    link.die()
    with pytest.raises(LinkLost), Session(link):
        pass


def test_the_end_of_a_with_block_reports_what_was_queued():
    with pytest.raises(FunctionTimeout, match="forever"), Session(NUCLEO_L4R5ZI, timeout=0.2) as session:
        session.load(C).forever()
    assert session.heap.used == 0


def test_a_reset_between_calls(device):
    session, module, link = device
    module.fine(1).wait()
    link.reset_with_rubbish()
    with pytest.raises(DeviceReset, match="fine: not called: the device was reset since the last call"):
        module.fine(1).wait()
    assert_alive(session, module)


def test_a_reset_before_a_tensor_is_read(device):
    session, module, link = device
    tensor = session.tensor(np.arange(4))
    link.reset_with_rubbish()
    with pytest.raises(DeviceReset, match="the device was reset since the last call"):
        tensor.numpy()
    with pytest.raises(ContentLost):
        tensor.numpy()
    assert_alive(session, module)


def test_a_reset_during_a_call(device):
    _session, module, link = device
    link.after_call = link.reset_with_rubbish
    call = module.fine(1)
    with pytest.raises(DeviceReset, match="fine: the device was reset during the call"):
        call.wait()
    # it still resets after each call, even the first one of a new runtime: the session cannot go on
    with pytest.raises(SessionEnded, match="could not be set up again"):
        module.session.empty(3)


def test_a_reset_that_the_link_sees(device):
    session, module, link = device

    def reset_once():
        link.before_call = lambda: None
        raise UnexpectedReset(link.board, 0x20000000)

    link.before_call = reset_once
    with pytest.raises(DeviceReset, match="fine: the device was reset during the call"):
        module.fine(1).wait()
    assert_alive(session, module)


def test_another_chip():
    class Other(SimulatorLink):
        def read(self, address, size):
            return (0x410FC271).to_bytes(4, "little") if address == 0xE000ED00 else super().read(address, size)

    with (
        pytest.raises(WrongChip, match=r"nucleo_l4r5zi.*part number is 0xc27, expected 0xc24"),
        Session(Other(NUCLEO_L4R5ZI)),
    ):
        pass


def test_no_memory_left(device):
    session, module, _ = device
    free = session.heap.free
    with pytest.raises(DeviceHeapFull, match=r"no memory left on the device heap: 10,000,000 bytes needed"):
        session.empty(10_000_000)
    with pytest.raises(DeviceHeapFull) as caught:
        session.load(f"char big[{free}] = {{1}}; int f(void) {{ return big[0]; }}")
    assert caught.value.needed > free and isinstance(caught.value, DeviceError)
    with pytest.raises(DeviceHeapFull):
        module.fine(np.zeros(10_000_000, np.int8))
    tensors = []
    with pytest.raises(DeviceHeapFull):
        while True:
            tensors.append(session.empty(16_000))
    assert session.heap.largest.size < 16_000
    for tensor in tensors:
        tensor.free()
    assert session.heap.free == free
    assert_alive(session, module)


def test_queued_arrays_make_room_for_others():
    with Session(NUCLEO_L4R5ZI) as session:
        module = session.load("int first(const int *x) { return x[0]; }")
        big = np.full(50_000, 3, np.int32)
        big.flags.writeable = False
        calls = [module.first(big) for _ in range(8)]  # 1.6 MB on a board with 640 KB
        assert [c.result for c in calls] == [3] * 8
        assert session.heap.used == module.block.size
