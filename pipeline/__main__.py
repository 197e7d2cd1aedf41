"""`python -m pipeline <command>`: the same as `sier <command>`."""

from pipeline.commands.command import main

if __name__ == "__main__":
    raise SystemExit(main())
