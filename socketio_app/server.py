"""`python -m socketio_app.server`: the same as `socketio-app serve`."""

import sys

from socketio_app.entrypoints.cli import main

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]]))
