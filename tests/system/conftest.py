"""Fixtures of every test that runs commands."""

from tests.support.commands import box, event_loop_guard, no_pauses, own_state, photos

__all__ = ["box", "event_loop_guard", "no_pauses", "own_state", "photos"]
