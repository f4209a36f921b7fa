"""`python -m libelli.cli` is `libelli`: how `up` starts replicas with the interpreter that runs it."""

from libelli.cli.application import main

main()
