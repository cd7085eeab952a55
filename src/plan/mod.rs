//! (layer plan)
