"""`python -m beliefgeo` is the command `beliefgeo`."""

from beliefgeo.runs.command import command

if __name__ == "__main__":
    command()
