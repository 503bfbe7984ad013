"""A check-up in front of somebody: a line or two for each finding, or one JSON object at its end.

Knows consoles and a clock. Findings go to one console, signs of life to another, where they are
painted over on a terminal and told now and then elsewhere.
"""

import json

from rich.console import Console
from rich.text import Text

from bulkup.findings import SCHEMA, Finding, Looking, Mark, to_json
from bulkup.report.canvas import Canvas
from bulkup.report.diagnosis import NAMES, looking, words
from bulkup.report.live import suits_live
from bulkup.report.plain import write
from bulkup.report.ticks import Clock
from bulkup.report.words import BAD, FAINT, GOOD, WARNING

MARKS = {
    Mark.OK: Text("✓", GOOD),
    Mark.WARNING: Text("!", WARNING),
    Mark.PROBLEM: Text("✗", BAD),
}
WIDTH = max(map(len, NAMES.values()))
INDENT = " " * (WIDTH + 4)
FRAME_S = 0.1
"""Signs of life that follow each other sooner are not painted."""

LINE_S = 10.0


class CheckupReport:
    """Takes in what a check-up tells; `out` None: nothing is written as it comes."""

    def __init__(self, out: Console | None, *, signs: Console, clock: Clock) -> None:
        self._out = out
        self._signs = signs
        self._clock = clock
        self._canvas = Canvas(signs) if suits_live(signs) else None
        self._findings: list[Finding] = []
        self._signed = clock()

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return all(finding.mark is not Mark.PROBLEM for finding in self._findings)

    def tell(self, told: Finding | Looking) -> None:
        """Take in a finding or a sign of life."""
        if isinstance(told, Looking):
            self._show(told)
            return
        self._findings.append(told)
        self.rest()
        self._signed = self._clock()
        if self._out is not None:
            write(self._out, *lines(told))

    def rest(self) -> None:
        """Take the last sign of life away."""
        if self._canvas is not None:
            self._canvas.clear()

    def document(self) -> str:
        """Return everything found as one JSON object, in ASCII.

        `schema`, `ok`, and `checks`: by the name of each check its `mark` (`ok`, `warning`,
        `problem`), `text`, `hint`, and the fields of the finding.
        """
        checks = {}
        for finding in self._findings:
            said = words(finding)
            text = {"text": "\n".join(said.lines), "hint": said.hint}
            checks[finding.check.value] = to_json(finding) | text
        return json.dumps({"schema": SCHEMA, "ok": self.ok, "checks": checks}, indent=2)

    def _show(self, sign: Looking) -> None:
        now = self._clock()
        line = Text(f"… {looking(sign)}", FAINT)
        if self._canvas is not None:
            if sign.at is None or now - self._signed >= FRAME_S:
                self._canvas.paint([line])
                self._signed = now
        elif now - self._signed >= LINE_S:
            write(self._signs, line)
            self._signed = now


def lines(finding: Finding) -> list[Text]:
    """Return the lines that a finding is worth: its mark before the first one, the hint below."""
    said = words(finding)
    first, *others = said.lines or ("",)
    shown = [
        Text.assemble(MARKS[finding.mark], f" {NAMES[finding.check]:<{WIDTH}}  {first}"),
        *(Text(INDENT + line) for line in others),
    ]
    if said.hint:
        shown.append(Text(INDENT + said.hint, FAINT))
    return shown
