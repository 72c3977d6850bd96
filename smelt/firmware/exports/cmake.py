"""`cmake`: a package for add_subdirectory, FetchContent and find_package."""

from __future__ import annotations

from smelt.firmware.exports.arranged import arranged, example
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import Package
from smelt.firmware.exports.texts import filled, listed


def _files(package: Package) -> dict[str, str]:
    name = package.name
    code = [file for file in package.code if file.endswith(".c")]
    assembly = [file for file in package.code if file.endswith(".S")]
    lists = filled(
        "cmake_lists.txt",
        package,
        code=listed(code, "src/"),
        assembly=filled("cmake_assembly.txt", package, files=listed(assembly, "src/")) if assembly else "",
    )
    return {
        **arranged(package),
        "CMakeLists.txt": lists,
        f"{name}Config.cmake.in": filled("cmake_config.txt", package),
        "examples/basic/CMakeLists.txt": filled("cmake_example.txt", package),
        "examples/basic/main.cpp": example(package),
    }


FORMAT = Format("cmake", "A CMake package: find_package, FetchContent, add_subdirectory", "cmake_use.md", _files)
