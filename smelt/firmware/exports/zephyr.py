"""`zephyr`: a module of Zephyr, with a sample."""

from __future__ import annotations

from smelt.firmware.exports.arranged import arranged, example
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import Package
from smelt.firmware.exports.texts import filled, listed


def _files(package: Package) -> dict[str, str]:
    return {
        **arranged(package),
        "zephyr/module.yml": filled("zephyr_module.yml", package),
        "zephyr/Kconfig": filled("zephyr_kconfig", package),
        "CMakeLists.txt": filled("zephyr_lists.txt", package, code=listed(package.code, "src/")),
        "samples/basic/CMakeLists.txt": filled("zephyr_sample_lists.txt", package),
        "samples/basic/prj.conf": filled("zephyr_prj.conf", package),
        "samples/basic/sample.yaml": filled("zephyr_sample.yaml", package),
        "samples/basic/src/main.c": example(package, "printk", "<zephyr/sys/printk.h>"),
    }


FORMAT = Format("zephyr", "A Zephyr module: Kconfig, CMake, sample", "zephyr_use.md", _files)
