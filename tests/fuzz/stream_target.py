"""Any answer of ``chat/completions``: the bytes of a stream, or of a whole answer."""

from __future__ import annotations

from streams import check_any, delta, finished, sse, whole


class StreamTarget:
    """The reader of answers, and what holds of any input."""

    #: One input of each kind, to begin with.
    PROBES = (
        sse(delta(content="a"), finished(), {"usage": {"cost": 1, "total_tokens": 2}}, "[DONE]"),
        sse(delta(content=[{"type": "text", "text": "a"}], reasoning="b", refusal="c")),
        sse({"error": {"code": 429, "message": "x", "metadata": {"provider_name": "P"}}}),
        b"event: error\r\ndata: x\r\n\r\n",
        whole({"content": "a", "images": [{"image_url": {"url": "data:"}}]}),
    )

    def __init__(self) -> None:
        for probe in self.PROBES:
            self(probe)

    def __call__(self, data: bytes) -> None:
        """Read the answer in ``data``, in blocks of several sizes, and check the outcome."""
        check_any(data)
