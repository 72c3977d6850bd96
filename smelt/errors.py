"""What can go wrong, sorted by who must act. Each class has its exit code."""


def printable(text: object) -> str:
    """A name from outside (of a file, a tensor) as it may be shown: what is not printable, new lines included, as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


class SmeltError(Exception):
    """Base of everything smelt reports to its user: one message, no traceback.

    Whatever the message quotes, it holds no control characters but new lines.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__("\n".join(map(printable, str(message).split("\n"))))


class OptionError(SmeltError):
    """The command line or an API argument: unknown board, wrong input shape, unwritable folder."""

    exit_code = 2


class ModelError(SmeltError):
    """The model file: unreadable, truncated, inconsistent."""

    exit_code = 3


class Unsupported(SmeltError):
    """The model is sound, but smelt cannot compile it. Carries *every* reason, not the first."""

    exit_code = 4

    def __init__(self, subject: str, reasons: tuple[str, ...]) -> None:
        self.subject, self.reasons = subject, reasons
        super().__init__("\n".join([f"{subject} is not supported:", *(f"  - {r}" for r in reasons)]))


class DoesNotFit(SmeltError):
    """The model needs more memory than the board has."""

    exit_code = 5


class BuildError(SmeltError):
    """The compiler is missing or failed, or its result could not be written."""

    exit_code = 6


class DeviceError(SmeltError):
    """The device, real or simulated: lost, timed out, faulted, or computed something else."""

    exit_code = 7


class Mismatch(DeviceError):
    """The device ran, but its numbers differ from the oracle's."""

    exit_code = 8
