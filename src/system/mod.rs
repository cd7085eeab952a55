//! (layer system)
