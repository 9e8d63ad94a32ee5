"""A program that downloads until it is killed, from a server of the test: `downloading_child HUB CACHE`.

Says one line at its end: the sha256 of what it has, or the code of the error.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jepa_core.clock import CancelToken
from jepa_core.downloads import Settings, download
from jepa_core.errors import DownloadError
from tests.helpers.downloading import lewm


def main() -> int:
    settings = Settings(hub=sys.argv[1], stall_s=60.0, spare_bytes=0, sync_bytes=32 << 10)
    try:
        done = download(
            lewm(), Path(sys.argv[2]), settings=settings, progress=lambda _: None, cancel=CancelToken()
        )
    except DownloadError as error:
        print(error.code)
        return 3
    print(done.main.sha256)
    return 0


if __name__ == "__main__":
    sys.exit(main())
