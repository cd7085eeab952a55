//! (layer vault)
