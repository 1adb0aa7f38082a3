"""What `make run` does: the bridge, the bundled Flowdock server and the worker on one machine, with one command."""
