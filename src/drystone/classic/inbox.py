"""Where datagrams wait while a node sleeps or searches."""

from collections import deque

BUFFER_BYTES = 212_992  # Linux's default receive buffer
DATAGRAM_OVERHEAD_BYTES = 768  # what Linux charges a small datagram beside its bytes


class Inbox:
    """Datagrams in order of arrival, bounded as in a socket's buffer: when full, the new are lost.

    The tutorial leaves this to the operating system; a core that also runs in virtual time keeps
    its own. Charging each datagram its overhead bounds a flood of empty ones, too.
    """

    def __init__(self, limit_bytes: int = BUFFER_BYTES) -> None:
        self._waiting: deque[bytes] = deque()
        self._room = limit_bytes

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes) -> bool:
        """Keep the datagram; False if there is no room, and it is gone."""
        cost = len(data) + DATAGRAM_OVERHEAD_BYTES
        if cost > self._room:
            return False
        self._room -= cost
        self._waiting.append(data)
        return True

    def pop(self) -> bytes:
        """The one that has waited longest. Raises IndexError when none waits."""
        data = self._waiting.popleft()
        self._room += len(data) + DATAGRAM_OVERHEAD_BYTES
        return data
