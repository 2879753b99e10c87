"""What a .tflite that we wrote says of itself in its description: facts that the format has no place for."""

from __future__ import annotations

DESCRIPTION = "Sandgrain"
CHANNELS_FIRST = "Sandgrain: the model that this was made from has its channels first"  # `Graph.channels_first`
RESTARTS = "Sandgrain: state starts from zero at each call"  # where the model comes from, too: no `Graph.restarts`
JOINT = "; "  # between several
