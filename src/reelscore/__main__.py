"""``python -m reelscore``: the command line."""

from reelscore.cli.app import run

if __name__ == "__main__":
    run()
