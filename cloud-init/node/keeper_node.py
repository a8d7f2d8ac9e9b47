#!/usr/bin/env python3
"""The program that makes a virtual machine a member of the cluster, and keeps it one.

Runs with the Python 3.10 of Ubuntu 22.04 and its standard library alone. `keeper_node.py --help` lists the commands.
"""

import sys

from keepernode.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
