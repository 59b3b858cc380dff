"""Plain text, by a worker whose outputs are never made durable."""

import os

from processors.plaintext import Plaintext


class Unsynced(Plaintext):
    name = "fakes.unsynced"

    def load(self, options, models, progress):
        os.fsync = lambda descriptor: None
        return super().load(options, models, progress)


processor = Unsynced
