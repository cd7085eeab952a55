//! (layer point)
