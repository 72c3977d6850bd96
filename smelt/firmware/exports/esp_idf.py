"""`esp-idf`: a component of Espressif's framework, by its component manager's manifest."""

from __future__ import annotations

from smelt.firmware.exports.arranged import arranged, example
from smelt.firmware.exports.layout import Format
from smelt.firmware.exports.package import UNSTATED, Label, Package
from smelt.firmware.exports.texts import filled, listed

ENTRY = "void app_main(void)\n{\n    (void)run_example();\n}\n"
APPLICATION = "main"  # the component that every project has


def _files(package: Package) -> dict[str, str]:
    label = package.label
    stated = "" if label.license == UNSTATED else f'license: "{label.license}"\n'
    page = f'url: "{label.url}"\n' if label.url else ""
    prototype = "<stdio.h>\n\nvoid app_main(void);"
    return {
        **arranged(package),
        "CMakeLists.txt": filled("esp_idf_lists.txt", package, code=listed(f'"src/{c}"' for c in package.code)),
        "idf_component.yml": filled("esp_idf_component.yml", package, stated=f"{stated}{page}"),
        "examples/basic/CMakeLists.txt": filled("esp_idf_example_lists.txt", package),
        "examples/basic/main/CMakeLists.txt": filled("esp_idf_main_lists.txt", package),
        "examples/basic/main/main.c": example(package, header=prototype, entry=ENTRY),
    }


def _refused(name: str, label: Label) -> str:
    return "the application itself is the component 'main': give another --name" if name == APPLICATION else ""


FORMAT = Format("esp-idf", "An ESP-IDF component", "esp_idf_use.md", _files, refused=_refused)
