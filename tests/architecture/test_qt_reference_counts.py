"""The reason for `PySide6-Essentials < 6.12`, and what ends it.

PySide6 6.12.0 on Python 3.11 drops a reference to True and None on every emit; after some hundred to thousand the
process aborts. When this passes with a newer PySide6 on the oldest Python we support, the upper bound may go.
"""

from __future__ import annotations

import os
import sys

import pytest

from tests.architecture.tree import run_child

EMITS = 2000

CHILD = f"""
import sys
from PySide6.QtCore import QCoreApplication, QObject, Signal
class Sender(QObject):
    happened = Signal(object)
    flipped = Signal(bool)
class Receiver(QObject):
    def take(self, value): pass
application = QCoreApplication([])
sender, receiver = Sender(), Receiver()
sender.happened.connect(receiver.take)
sender.flipped.connect(receiver.take)
before = sys.getrefcount(True), sys.getrefcount(None)
for _ in range({EMITS}):
    sender.happened.emit(True)
    sender.happened.emit(None)
    sender.flipped.emit(True)
    application.processEvents()
print(sys.getrefcount(True) - before[0], sys.getrefcount(None) - before[1])
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="True and None are immortal from Python 3.12 on")
def test_emitting_true_and_none_drops_no_reference():
    assert os.environ["QT_QPA_PLATFORM"]  # the child inherits offscreen
    lost_true, lost_none = (int(number) for number in run_child(CHILD).split())
    assert lost_true > -EMITS / 10
    assert lost_none > -EMITS / 10
