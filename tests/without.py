"""smelt as it is where packages are not installed: `python tests/without.py ziglang,elftools compile model.tflite ...`."""

import sys
from importlib.machinery import PathFinder

OPTIONAL = (
    *("ziglang", "elftools", "ortools", "unicorn", "capstone", "PIL", "tflite", "tflite_micro", "pyocd"),
    *("onnx", "onnxruntime", "distributed"),
)


class Without:
    """Finds modules as Python does, except for those of `packages`, which it does not find either."""

    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in self.packages else PathFinder.find_spec(name, path, target)


def hide(packages):
    sys.meta_path[:] = [Without(packages) if finder is PathFinder else finder for finder in sys.meta_path]


if __name__ == "__main__":
    hide(sys.argv.pop(1).split(","))
    from smelt.cli import main

    main()
