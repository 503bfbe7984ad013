"""What local workers load first: a Ctrl-C in the terminal is for the coordinator alone.

Knows signals: the coordinator lets its workers end when they have done.
"""

import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
