"""WebSocket frames of a client that sends prepared bytes."""


def masked(payload: bytes, opcode: int = 0x1, final: int = 0x80) -> bytes:
    """Return a frame with a mask of zeros, which changes nothing (RFC 6455, section 5.3)."""
    length = len(payload)
    if length < 126:
        head = bytes([final | opcode, 0x80 | length])
    elif length < 65_536:
        head = bytes([final | opcode, 0x80 | 126]) + length.to_bytes(2, "big")
    else:
        head = bytes([final | opcode, 0x80 | 127]) + length.to_bytes(8, "big")
    return head + bytes(4) + payload
