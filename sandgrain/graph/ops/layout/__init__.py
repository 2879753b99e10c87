"""Elements that move, are repeated or interpolated."""
