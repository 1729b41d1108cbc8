"""The options of a load survive a round trip through the command line."""

import argparse

from benchmarks.load.options import Load, add_options


def test_load_survives_round_trip_through_arguments() -> None:
    load = Load("latency", clients=7, senders=2, window=1, rate=2.5, size=9, seconds=0.5, warm_up=0)
    parser = argparse.ArgumentParser()
    add_options(parser, ["latency"])

    assert Load.of(parser.parse_args(load.as_arguments())) == load
