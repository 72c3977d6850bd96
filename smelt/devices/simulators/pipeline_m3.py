"""The pipeline of the Cortex-M3: that of the M4, but multiplications take their time. Arm's table; not validated."""

from __future__ import annotations

from smelt.devices.simulators.decode import Op
from smelt.devices.simulators.pipeline_m4 import M4


class M3(M4):
    """What a multiplication costs depends on its width, and on whether it adds."""

    def _cost(self, op: Op, last: Op | None) -> int:
        if op.kind != "mac":
            return super()._cost(op, last)
        table = self.timing
        if op.name in ("smull", "umull"):
            return table.multiply_long
        if op.name in ("smlal", "umlal"):
            return table.multiply_long_add
        return table.multiply_add if op.name in ("mla", "mls") else table.multiply
