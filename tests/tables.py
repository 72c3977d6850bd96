"""Tables that tests show in the summary at the end, be they run by one process or by several."""

TABLE = "table"
"""The property under which a test records one: `record_property(TABLE, text)`."""


def show(terminalreporter) -> None:
    for reports in list(terminalreporter.stats.values()):
        for report in reports:
            if getattr(report, "when", None) == "call":
                for name, text in report.user_properties:
                    if name == TABLE:
                        terminalreporter.section(report.nodeid)
                        terminalreporter.write_line(text)
