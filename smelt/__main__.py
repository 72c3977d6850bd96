"""`python -m smelt`."""

from smelt.cli import main

if __name__ == "__main__":
    main(prog_name="smelt")
