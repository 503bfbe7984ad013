"""The servers that run until Ctrl-C."""

import io
import signal
import sys

import pytest

from bulkup.app.demo import VERSION, serve


class Impatient(io.StringIO):
    """A terminal whose user presses Ctrl-C as soon as it is said that this ends the program."""

    def write(self, text: str, /) -> int:
        done = super().write(text)
        if "Ctrl-C ends." in text:
            signal.raise_signal(signal.SIGINT)
        return done


def test_ctrl_c_ends_a_sandbox_from_the_moment_on_that_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", Impatient())
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # As in the background of a script.
    try:
        code = serve(
            host="127.0.0.1",
            port=0,
            piwigo=VERSION,
            folder=None,
            discard=False,
            use_iptc=False,
            workers=None,
            start_workers=None,
            cpus=None,
            finish_time=0,
            page_time=0,
            exist_time=0,
            gateway_timeout=30,
        )
    finally:
        kept = signal.signal(signal.SIGINT, before)
    assert code == 0
    assert kept == signal.SIG_IGN
