//! What somebody or something else left in the way: names, paths, documents,
//! permissions, places without room.

mod documents;
mod paths;
mod places;
mod properties;
mod resources;
