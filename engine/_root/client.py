"""`import onearm.client`: a client of the service, for threads and for tasks. It loads neither numba nor NumPy.

>>> from onearm.client import Client
>>> client = Client("http://127.0.0.1:8080", key="oa_...")
>>> banner = client.experiment("banner")
>>> client.close()

docs/client.md has the rest.
"""

from onearm.api.client.asynchronous.client import AsyncClient
from onearm.api.client.blocking.client import Client
from onearm.api.client.frames import as_frame, as_rows
from onearm.api.client.reward_queue import move_queue

__all__ = ["AsyncClient", "Client", "as_frame", "as_rows", "move_queue"]
