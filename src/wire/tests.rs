//! Properties of every message: what is written is read back, and no bytes whatever make a decoder panic.
