"""`make run`: the bridge, the bundled Flowdock server and the worker on one machine, with one command."""
